"""What the packaging rules say of a project file is what uv does with it. Nothing is downloaded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.finding import Severity
from assay.reviewer import run_rules
from assay.rules import all_rules
from assay.submission import SourceFile, Submission

# `uv run` names its own program in UV
UV = os.environ.get("UV") or shutil.which("uv")
pytestmark = pytest.mark.skipif(UV is None, reason="uv is not installed")

HEAD = '[project]\nname = "demo"\nversion = "0.1.0"\nrequires-python = ">=3.10"\n'
STOPS = {
    "dependencies as a table": f'{HEAD}[project.dependencies]\nnumpy = "*"\n',
    "dependencies as a string": f'{HEAD}dependencies = "numpy"\n',
    "optional dependencies as a list": f'{HEAD}optional-dependencies = ["numpy"]\n',
    "no name": '[project]\nversion = "0.1.0"\n',
    "no version": '[project]\nname = "demo"\n',
    "a caret in requires-python": '[project]\nname = "demo"\nversion = "0.1.0"\nrequires-python = "^3.10"\n',
    "a key set twice": f'{HEAD}name = "other"\n',
    "a group with a caret": f'{HEAD}[dependency-groups]\nplots = ["seaborn^0.13"]\n',
}
RUNS = {
    "a list": f"{HEAD}dependencies = []\n",
    "no dependencies": HEAD,
    "poetry alone": '[tool.poetry]\nname = "demo"\nversion = "0.1.0"\n',
    "a readme that is not there": f'{HEAD}readme = "README.md"\n',
    "a backend that is not called": f'{HEAD}[build-system]\nrequires = ["hatchling"]\n[tool.uv]\npackage = false\n',
}


def uv_stops(folder, text):
    (folder / "pyproject.toml").write_text(text)
    (folder / "src").mkdir()
    (folder / "src" / "main.py").write_text("print(1)\n")
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")}
    done = subprocess.run(
        [str(UV), "run", "--offline", "--no-config", "--python", sys.executable, "python", "-m", "src.main"],
        cwd=folder,
        env=kept,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode != 0, done.stderr


def rules_block(text):
    files = {
        path: SourceFile.of_text(path, held) for path, held in (("pyproject.toml", text), ("src/main.py", "x = 1\n"))
    }
    project = Project(Submission("example", files), load_contract("experiment"))
    try:
        rules = {code: rule for code, rule in all_rules().items() if code.startswith("PKG")}
        findings, _ = run_rules(project, rules)
    finally:
        project.close()
    return [finding for finding in findings if finding.severity is Severity.BLOCKING]


@pytest.mark.parametrize("text", STOPS.values(), ids=STOPS)
def test_uv_stops_where_a_rule_blocks(tmp_path, text):
    stopped, message = uv_stops(tmp_path, text)
    assert stopped, message
    assert rules_block(text)


@pytest.mark.parametrize("text", RUNS.values(), ids=RUNS)
def test_uv_runs_where_the_rules_let_it_pass(tmp_path, text):
    stopped, message = uv_stops(tmp_path, text)
    assert not stopped, message
    assert rules_block(text) == []
