"""`@experiment` as a program: Hydra composes, the run file is laid over, wrong calls get one line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CONFIG = """\
run: ???
results_dir: ???
mode: ???
wandb: {entity: e, project: p}
training: {epochs: 9, learning_rate: 0.1}
shown: ${training.learning_rate}
"""
RUN = """\
run_id: proposed-a
training: {learning_rate: 0.5, momentum: 0.9}
optuna: {n_trials: 3}
"""
TRAIN = """\
import json
from assay.runtime import ExperimentError, experiment
from omegaconf import OmegaConf

@experiment
def main(cfg, run):
    if cfg.get("fault"):
        raise ExperimentError(cfg.fault)
    print(json.dumps([OmegaConf.to_container(cfg, resolve=True), run.arguments, str(run.folder), run.is_trial]))
    if cfg.get("read"):
        cfg.no_such_key

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def submission(tmp_path):
    for path, text in {
        "config/config.yaml": CONFIG,
        "config/runs/proposed-a.yaml": RUN,
        "config/runs/proposed-b.yaml": RUN,
        "config/runs/broken.yaml": "lr: ${training.rate}\n",
        "src/train.py": TRAIN,
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def call(submission, *words, directory=None):
    return subprocess.run(
        [sys.executable, "-m", "src.train", *words],
        cwd=directory or submission,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(submission)},
        capture_output=True,
        text=True,
        check=False,
    )


def composed(submission, *words, **options):
    done = call(submission, *words, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


FULL = ("run=proposed-a", "results_dir=out", "mode=full")


def test_the_run_file_lies_over_config_yaml_and_the_command_line_over_both(submission):
    cfg, arguments, folder, is_trial = composed(submission, *FULL, "training.momentum=0.8", "+training.extra=1")
    assert cfg["training"] == {"epochs": 9, "learning_rate": 0.5, "momentum": 0.8, "extra": 1}
    assert cfg["shown"] == 0.5
    assert (cfg["run"], cfg["run_id"], cfg["mode"]) == ("proposed-a", "proposed-a", "full")
    results = f"results_dir={submission / 'out'}"
    assert arguments == ["run=proposed-a", results, "mode=full", "training.momentum=0.8", "+training.extra=1"]
    assert folder == str(submission / "out" / "proposed-a")
    assert is_trial is False


def test_a_run_file_may_take_its_id_from_its_name(submission):
    path = submission / "config/runs/proposed-a.yaml"
    path.write_text(path.read_text().replace("run_id: proposed-a", "run_id: ${run}"))
    assert composed(submission, *FULL)[0]["run_id"] == "proposed-a"


def test_a_child_that_gets_the_arguments_gets_the_same_configuration(submission):
    elsewhere = submission / "it's, in=[a] folder"
    elsewhere.mkdir()
    first = composed(submission, *FULL, "training.momentum=0.8", directory=elsewhere)
    second = composed(submission, *first[1])
    assert second[0] == {**first[0], "results_dir": str(elsewhere / "out")}
    assert second[1:] == first[1:]
    assert second[2] == str(elsewhere / "out" / "proposed-a")


def test_a_trial_is_small(submission):
    cfg, _, _, is_trial = composed(submission, "run=proposed-a", "results_dir=out", "mode=trial")
    assert (cfg["training"]["epochs"], cfg["optuna"]["n_trials"], cfg["wandb"]["mode"]) == (1, 0, "disabled")
    assert is_trial is True


def test_run_files_of_the_older_folder_are_composed_alike(submission):
    expected = composed(submission, *FULL)
    (submission / "config/runs").rename(submission / "config/run")
    assert composed(submission, *FULL) == expected


def test_nothing_is_left_in_the_working_directory(submission, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    composed(submission, *FULL, directory=elsewhere)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run=proposed-a", "results_dir=out"), "src.train: mode is missing; usage: "),
        (("run=proposed-c", *FULL[1:]), "src.train: run=proposed-c; did you mean proposed-"),
        (("run=proposed-b", *FULL[1:]), "the run file proposed-b.yaml says run_id: proposed-a; a run file is named"),
        (("run=broken", *FULL[1:]), "run broken: configuration, key lr: Interpolation key 'training.rate' not found"),
        ((*FULL, "+training.decay=???"), "run proposed-a: configuration, key training.decay: Missing mandatory value"),
    ],
)
def test_a_wrong_call_gets_one_line_and_status_2(submission, words, says):
    done = call(submission, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_override_of_an_unknown_key_is_refused(submission):
    done = call(submission, *FULL, "training.lr=1")
    assert done.returncode == 1
    assert "Key 'lr' is not in struct" in done.stderr


def test_an_unknown_key_in_the_code_is_an_error(submission):
    done = call(submission, *FULL, "+read=1")
    assert done.returncode == 1
    assert "Key 'no_such_key' is not in struct" in done.stderr


def test_a_fault_of_the_experiment_is_one_line_and_status_1(submission):
    done = call(submission, *FULL, "+fault=the disk is full")
    assert (done.returncode, done.stderr) == (1, "the disk is full\n")


def test_hydra_shows_the_configuration_of_a_run(submission):
    done = call(submission, *FULL, "--cfg", "job")
    assert done.returncode == 0
    assert "learning_rate: 0.5" in done.stdout


def test_hydra_sweeps_over_runs(submission):
    (submission / "config/runs/proposed-b.yaml").write_text(RUN.replace("proposed-a", "proposed-b"))
    done = call(submission, "-m", "run=proposed-a,proposed-b", *FULL[1:])
    assert done.returncode == 0
    jobs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[{")]
    assert [(job[0]["run_id"], job[1][0]) for job in jobs] == [
        ("proposed-a", "run=proposed-a"),
        ("proposed-b", "run=proposed-b"),
    ]
    assert sorted(path.name for path in submission.iterdir()) == ["config", "out", "src"]


def test_an_interrupt_is_one_line_and_the_status_of_shells(submission):
    train = submission / "src/train.py"
    train.write_text(train.read_text().replace("    print(json", "    raise KeyboardInterrupt\n    print(json"))
    done = call(submission, *FULL)
    assert done.returncode == 130
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
