"""The pre-commit hook and the GitHub action do what docs/reports.md says, as far as a machine without them can tell."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@pytest.fixture
def repository(tmp_path):
    """A repository whose submission, in a folder of its own, lacks files."""
    folder = tmp_path / "work" / "exp"
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "config.yaml").write_text("run: ???\n")
    return tmp_path / "work"


@pytest.fixture
def binaries(tmp_path):
    """A folder with the command `assay`, as an installation makes it."""
    folder = tmp_path / "temporary" / "assay" / "bin"
    folder.mkdir(parents=True)
    (folder / "assay").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m assay "$@"\n')
    (folder / "assay").chmod(0o755)
    return folder


def hook():
    (only,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    return only


def action():
    return yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def test_the_hook_reviews_the_whole_repository(repository, binaries):
    entry = hook()
    assert entry["id"] == "assay-review"
    assert entry["language"] == "python"
    assert entry["pass_filenames"] is False
    command = [*shlex.split(entry["entry"]), "--contract", "experiment", "--select", "LAY001"]
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=repository / "exp", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "LAY001 src/train.py is missing" in done.stdout


def test_the_hooks_folder_is_what_the_documentation_names():
    text = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    block = next(yaml.safe_load(b) for b in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "repos:" in b)
    assert block["repos"][0]["hooks"][0]["id"] == hook()["id"]


def run_steps(repository, binaries, **inputs):
    """Run the action's scripts as a runner does: expressions become values, every step is a bash of its own."""
    described = action()
    given = {name: str(value.get("default", "")) for name, value in described["inputs"].items()} | inputs
    output = repository.parent / "output"
    summary = repository.parent / "summary.md"
    output.touch()
    summary.touch()
    values = {f"inputs.{name}": value for name, value in given.items()}
    values |= {"steps.python.outputs.python-path": sys.executable, "github.action_path": str(ROOT)}
    status, log = 0, ""
    for step in described["runs"]["steps"]:
        if "run" not in step:
            continue
        assert step["shell"] == "bash"
        assert not EXPRESSION.search(step["run"]), "inputs may not be pasted into scripts"
        environment = {name: EXPRESSION.sub(lambda m: values[m.group(1)], text) for name, text in step["env"].items()}
        environment |= {
            "PATH": os.environ["PATH"],
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(summary),
            "RUNNER_TEMP": str(binaries.parents[1]),
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=repository,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        log += done.stdout
        status = status or done.returncode
    return status, dict(line.split("=", 1) for line in output.read_text().splitlines()), log, summary.read_text()


def test_the_action_annotates_and_fails_where_something_is_not_ready(repository, binaries):
    status, outputs, log, summary = run_steps(
        repository, binaries, path="exp", contract="experiment", args="--select LAY001", sarif="out.sarif"
    )
    assert status == 1
    assert outputs == {"ready": "false", "sarif": "out.sarif"}
    assert "::error file=exp/src/train.py,title=LAY001 (breaks-contract)::src/train.py is missing. " in log
    assert "| LAY001 |" in summary
    results = json.loads((repository / "out.sarif").read_text())["runs"][0]["results"]
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results}
    assert "exp/src/train.py" in uris


def test_the_action_passes_where_nothing_blocks(repository, binaries):
    (repository / "exp" / "src").mkdir()
    for name in ("src/train.py", "src/evaluate.py", "src/preprocess.py", "src/model.py", "src/main.py"):
        (repository / "exp" / name).write_text("x = 1\n")
    (repository / "exp" / "pyproject.toml").write_text("[project]\nname = 'a'\nversion = '1'\n")
    status, outputs, log, _ = run_steps(repository, binaries, path="exp\n", args="--select\nLAY001")
    assert (status, outputs) == (0, {"ready": "true"}), log


def test_the_action_fails_where_nothing_can_be_read(repository, binaries):
    status, outputs, _, _ = run_steps(repository, binaries, path="absent", sarif="out.sarif")
    assert (status, outputs) == (2, {})


def test_inputs_are_never_commands(repository, binaries):
    inputs = {"path": "$(touch owned) `touch owned`", "contract": "'; touch owned; '", "args": "--select LAY001;touch"}
    status, _, _, _ = run_steps(repository, binaries, **inputs)
    assert status == 2
    assert not (repository / "owned").exists()


def test_the_documented_inputs_and_outputs_exist():
    text = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    described = action()
    for name in described["inputs"]:
        assert f"| `{name}` |" in text
    for name, value in described["outputs"].items():
        assert f"`{name}`" in text
        assert value["value"] == f"${{{{ steps.review.outputs.{name} }}}}"
    assert [step.get("id") for step in described["runs"]["steps"] if "id" in step] == ["python", "review"]
