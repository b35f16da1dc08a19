"""The command line of a run is checked before Hydra sees it."""

from __future__ import annotations

import pytest

from assay.runtime.call import read_call, run_ids
from assay.runtime.errors import ExperimentError


@pytest.fixture
def config(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "config.yaml").write_text("run: ???\nresults_dir: ???\nmode: ???\n")
    for name in ("proposed-a", "comparative-1-a"):
        (tmp_path / "runs" / f"{name}.yaml").write_text(f"run_id: {name}\n")
    return tmp_path


def words(**changed: str | None) -> list[str]:
    given = {"run": "proposed-a", "results_dir": "out", "mode": "trial", **changed}
    return [f"{name}={value}" for name, value in given.items() if value is not None]


def test_a_run_becomes_the_choice_of_its_file(config):
    call = read_call(words(), config, "src.train")
    assert call.words[0] == "+runs@_global_=proposed-a"
    assert "results_dir=out" in call.words
    assert "run=proposed-a" not in call.words


def test_the_older_folder_of_run_files_is_found_too(config):
    (config / "runs").rename(config / "run")
    assert read_call(words(), config, "src.train").words[0] == "+run@_global_=proposed-a"


def test_the_choice_is_said_as_it_was_given_to_a_child(config):
    call = read_call([*words(), "training.lr=1"], config, "src.train")
    jobs_words = ["+runs@_global_=proposed-a", "results_dir=out", "mode=trial", "training.lr=1"]
    assert call.as_given(jobs_words) == [*words(), "training.lr=1"]


def test_hydra_gets_no_folder_of_its_own_unless_somebody_says_so(config):
    assert "hydra.output_subdir=null" in read_call(words(), config, "src.train").words
    asked = read_call([*words(), "hydra.run.dir=logs"], config, "src.train").words
    assert [word for word in asked if word.startswith("hydra")] == ["hydra.run.dir=logs"]
    with (config / "config.yaml").open("a") as file:
        file.write("hydra:\n  output_subdir: .hydra\n")
    assert not [word for word in read_call(words(), config, "src.train").words if word.startswith("hydra")]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (words(run=None), "run is missing"),
        (words(mode=None), "mode is missing"),
        (words(results_dir=None), "results_dir is missing"),
        (words(results_dir=""), "results_dir is missing"),
        ([*words(), "mode=full"], "mode is twice"),
        (words(mode="Trial"), "mode=Trial; mode is trial or full"),
        (words(run="proposed-b"), "did you mean proposed-a? the runs are comparative-1-a, proposed-a"),
        (words(run="../runs/proposed-a"), "the runs are"),
        (words(run="proposed-a,"), "the runs are"),
    ],
)
def test_a_wrong_call_is_said_in_one_line(config, given, says):
    with pytest.raises(ExperimentError, match=r"^src\.train: ") as caught:
        read_call(given, config, "src.train")
    assert says in str(caught.value)
    assert caught.value.status == 2


def test_without_run_files_that_is_said(config):
    for path in (config / "runs").iterdir():
        path.unlink()
    with pytest.raises(ExperimentError, match="there are no run files in"):
        read_call(words(), config, "src.train")


def test_without_config_yaml_that_is_said(tmp_path):
    with pytest.raises(ExperimentError, match=r"config\.yaml; write it there"):
        read_call(words(), tmp_path, "src.train")


@pytest.mark.parametrize("flag", ["--help", "--hydra-help", "--version"])
def test_what_only_shows_something_needs_no_run(config, flag):
    assert read_call([flag], config, "src.train").words == [flag]


def test_several_runs_may_be_swept_over(config):
    call = read_call(["-m", *words(run="proposed-a,comparative-1-a")], config, "src.train")
    assert "+runs@_global_=proposed-a,comparative-1-a" in call.words


def test_run_ids_are_the_names_of_the_run_files(config):
    assert run_ids(config) == ["comparative-1-a", "proposed-a"]
