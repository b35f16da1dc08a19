"""CONTRIBUTING.md works as written: its rule is added to a copy of the project, its commands are run there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_rule_in_ten_minutes(tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## A rule in ten minutes")[1]
    blocks = re.findall(r"```(python|bash)\n(.*?)```", text, re.DOTALL)
    for folder in ("src", "tests", "docs", "examples"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "src"), "COLUMNS": "100"}
    outputs = []
    for language, block in blocks:
        if language == "python":
            path, code = block.split("\n", 1)
            (tmp_path / path.removeprefix("# ")).write_text(code, encoding="utf-8")
            continue
        for line in block.strip().splitlines():
            tool, *arguments = shlex.split(line.removeprefix("uv run "))
            # this environment is the one that `uv run` would make
            command = [sys.executable, *(arguments if tool == "python" else ["-m", tool, *arguments])]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            outputs.append(done.stdout)
    tested, explained, reviewed, _ = outputs
    assert "3 passed" in tested or re.search(r"[1-9]\d* passed", tested)
    assert "debugger-left" in explained
    assert "Ready: nothing found." in reviewed
    assert (tmp_path / "docs/rules/CPL900.md").is_file()
