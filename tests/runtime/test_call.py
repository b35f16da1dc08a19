"""The command line of a run is checked before Hydra sees it."""

from __future__ import annotations

import pytest

from assay.runtime.call import quoted, read_call, run_ids
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


@pytest.mark.parametrize(
    "path",
    [
        "out",
        "../out",
        "out dir",
        "a=b",
        "ünï",
        "it's",
        'say "so"',
        "a\\b",
        "a\\'b",
        "end\\",
        "a,b",
        "a(1)",
        "12",
        "null",
        "~b",
        "#",
    ],
)
def test_any_path_reaches_hydra_as_it_is(config, path):
    parser = pytest.importorskip("hydra.core.override_parser.overrides_parser").OverridesParser.create()
    [word] = [word for word in read_call(words(results_dir=path), config, "src.train").words if "results_dir=" in word]
    assert parser.parse_override(word).value() == path
    assert quoted(quoted(path)) == quoted(path)


def test_a_run_may_have_any_name_that_a_file_can_have(config):
    for name in ("prüfung 1", "a.v1.5", "2024"):
        (config / "runs" / f"{name}.yaml").write_text("")
    assert read_call(words(run="prüfung 1"), config, "src.train").words[0] == "+runs@_global_='prüfung 1'"
    assert read_call(words(run="a.v1.5"), config, "src.train").words[0] == "+runs@_global_=a.v1.5"
    swept = [*words(run="2024,proposed-a", results_dir="b,c"), "--multirun"]
    assert read_call(swept, config, "src.train").words[0] == "+runs@_global_='2024',proposed-a"
    assert "results_dir=b,c" in read_call(swept, config, "src.train").words


def test_a_folder_under_the_home_is_found_where_no_shell_did_so(config, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert "results_dir=/home/somebody/out" in read_call(words(results_dir="~/out"), config, "src.train").words
