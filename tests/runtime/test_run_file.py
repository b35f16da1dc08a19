"""`run.json` says what a run was made with, and tells the same run from another one."""

from __future__ import annotations

import json
import resource
import subprocess
from datetime import UTC, datetime

import pytest

from assay.runtime.errors import ExperimentError
from assay.runtime.provenance import git_state, hardware, library_versions, provenance
from assay.runtime.run_file import differences, write_run_file

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CONFIG = {"training": {"lr": 0.1, "seeds": [0, 1]}, "results_dir": "out"}


def test_each_attempt_is_kept(tmp_path):
    path = tmp_path / "run.json"
    write_run_file(path, {"python": "3.11", "config": CONFIG}, NOW, goes_on=True)
    write_run_file(path, {"python": "3.12", "config": CONFIG}, NOW, goes_on=True)
    content = json.loads(path.read_text())
    assert content["config"] == CONFIG
    assert content["attempts"] == [
        {"started": "2026-01-02T03:04:05+00:00", "python": "3.11"},
        {"started": "2026-01-02T03:04:05+00:00", "python": "3.12"},
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_another_configuration_is_refused_and_the_file_stays(tmp_path):
    path = tmp_path / "run.json"
    write_run_file(path, {"config": CONFIG}, NOW, goes_on=True)
    held = path.read_bytes()
    with pytest.raises(ExperimentError, match=r"training.lr was 0.1, is 0.2\): give another results_dir"):
        write_run_file(path, {"config": {**CONFIG, "training": {"lr": 0.2, "seeds": [0, 1]}}}, NOW, goes_on=True)
    assert path.read_bytes() == held


def test_keys_that_are_numbers_and_values_that_are_none_do_not_make_another_configuration(tmp_path):
    path = tmp_path / "run.json"
    for _ in range(2):
        write_run_file(path, {"config": {"weights": {0: 1.0, 1: float("nan")}}}, NOW, goes_on=True)
    assert len(json.loads(path.read_text())["attempts"]) == 2


def test_a_trial_may_differ_from_the_one_before(tmp_path):
    path = tmp_path / "run.json"
    for rate in (0.1, 0.2):
        write_run_file(path, {"config": {"lr": rate}}, NOW, goes_on=False)
    assert len(json.loads(path.read_text())["attempts"]) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_broken_file_is_said_and_stays(text, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(ExperimentError, match="move it away"):
        write_run_file(path, {"config": CONFIG}, NOW, goes_on=True)
    assert path.read_text() == text


def test_a_full_disk_leaves_the_file_of_before(tmp_path):
    path = tmp_path / "run.json"
    write_run_file(path, {"config": CONFIG}, NOW, goes_on=True)
    held = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(held), hard))
    try:
        with pytest.raises(ExperimentError, match="cannot be written: File too large"):
            write_run_file(path, {"config": CONFIG, "versions": ["x" * 1000]}, NOW, goes_on=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == held
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": [1]}}, {"a": {"b": [2]}}, ["a.b was [1], is [2]"]),
        ({"a": 1}, {"b": 1}, ["a was 1, is None", "b was None, is 1"]),
        ({"results_dir": "x", "wandb": {"mode": "online"}, "device": "cpu"}, {"results_dir": "y"}, []),
        ({"model": {"device": "x"}}, {"model": {"device": "y"}}, ["model.device was x, is y"]),
        ({"a": {"b": 1}}, {"a": 1}, ["a was {'b': 1}, is 1"]),
    ],
)
def test_differences_are_named_and_where_a_run_happens_is_none(before, now, found):
    assert differences(before, now) == found


def git(folder, *words):
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_the_commit_and_whether_files_differ_from_it(tmp_path):
    assert git_state(tmp_path) is None
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "start")
    state = git_state(tmp_path)
    assert state is not None
    assert len(state["commit"]) == 40
    assert state["changed"] is False
    (tmp_path / "train.py").write_text("a = 2\n")
    assert git_state(tmp_path) == {"commit": state["commit"], "changed": True}


def test_versions_and_hardware_are_those_of_this_environment():
    import omegaconf

    assert library_versions()["omegaconf"] == omegaconf.__version__
    found = hardware()
    assert found["memory_bytes"] > 2**28
    assert json.loads(json.dumps(found)) == found


def test_provenance_goes_into_json(tmp_path):
    assert json.loads(json.dumps(provenance(tmp_path)))["git"] is None
