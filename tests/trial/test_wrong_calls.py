"""What a rehearsal is asked wrongly: one line, and exit status 2, before anything is built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from assay.trial.record import Rehearsal
from tests.trial import tiny_submission as tiny


def told(*words: str | Path) -> str:
    """The one line with which a call is refused."""
    command = [sys.executable, "-m", "assay", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    # what happens may be told before
    assert lines[-1].startswith("assay: ")
    assert all(line.endswith(": building the environment") for line in lines[:-1])
    return lines[-1]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["none"], "none: no such file or folder"),
        (["bare"], "neither config/config.yaml nor config/smoke_test.yaml, so the contract cannot be guessed"),
        (["tiny", "--env", "none"], "none: there is no such environment"),
        (["tiny", "--env", "bare"], "no virtual environment"),
        (["tiny", "--standins", "none"], "none: No such file or directory"),
        (["tiny", "--standins", "broken.yaml"], "broken.yaml:2: not readable as YAML"),
        (["tiny", "--standins", "wrong.yaml"], "models.me/x: no stand-in can be made as it is described"),
        (["tiny", "--time-limit", "0"], "'--time-limit': 0.0 is not in the range x>=10"),
        (["tiny", "--time-limit", "nan"], "'--time-limit': nan is no number of seconds"),
        (["tiny", "--runs", "0"], "'--runs': 0 is not in the range x>=1"),
    ],
)
def test_a_wrong_call_of_a_trial_is_one_line(tmp_path, monkeypatch, words, line):
    tiny.lay(tmp_path / "tiny", tiny.files())
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "main.py").write_text("print(1)\n", encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("datasets: [1\n", encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text("models: {me/x: {config: {model_type: bert, depths: 3}}}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert line in told("trial", *words)


@pytest.mark.parametrize(("words", "option"), [(["--online"], "--online"), (["--standins", "x.yaml"], "--standins")])
def test_options_of_a_rehearsal_need_one(tmp_path, words, option):
    assert f"{option}: it says how to rehearse: add --trial" in told("review", tiny.lay(tmp_path, tiny.files()), *words)


def test_a_trial_that_rehearsed_nothing_is_not_ready(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from assay.cli import app
    from assay.trial import rehearsal as driver

    monkeypatch.setattr(driver, "rehearse", lambda *_: Rehearsal(isolation="bubblewrap"))
    folder = tiny.lay(tmp_path, tiny.files())
    result = CliRunner().invoke(app, ["trial", str(folder)])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"assay: {folder}: nothing was rehearsed"
