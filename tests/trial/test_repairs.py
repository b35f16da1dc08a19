"""Repairs change the rehearsal's own copy, line for line where they can, and only once."""

from pathlib import Path

import pytest

from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.submission import SourceFile, Submission
from assay.trial.environment import TrialEnvironment
from assay.trial.launcher import Copy, Place
from assay.trial.record import Step, Stop, TrialFrame
from assay.trial.repairs import brought_about, repaired

FILES = {
    "config/config.yaml": "defaults:\n  - _self_\nmode: full\n",
    "config/runs/proposed.yaml": "run_id: proposed\nmodel:\n  name: hf://Qwen/Qwen3-0.6B\n",
    "src/main.py": "import hydra\n",
}
PLACE = Place(Path("/nowhere"), TrialEnvironment(), Path("/nowhere/catalogue.json"))
TRIAL = Step("trial:proposed", "trial", "proposed")


def copied(made: Copy | None) -> Copy:
    assert made is not None
    return made


def mend(kind, message, action="", *, step=TRIAL, copy=None):
    made = {path: SourceFile.of_text(path, text) for path, text in sorted(FILES.items())}
    project = Project(Submission("example", made), load_contract("experiment"))
    return repaired(action, copy or Copy(FILES), PLACE, project, Stop(kind, message), step)


@pytest.mark.parametrize(
    "message",
    [
        "You must specify 'run', e.g, run=<OPTION>\nAvailable options:",
        "In 'config': Could not find 'run/proposed'",
        "Could not override 'run'.\nNo match in the defaults list.",
    ],
)
def test_run_files_lie_where_the_program_asks_for_them(message):
    copy = mend("hydra.errors.ConfigCompositionException", message)
    assert copy.files["config/run/proposed.yaml"] == FILES["config/runs/proposed.yaml"]
    assert "- run: ???" in copy.files["config/config.yaml"]
    assert copy.files["config/config.yaml"].endswith("mode: full\n")
    # it is not done twice
    assert mend("hydra.errors.ConfigCompositionException", message, copy=copy) is None


def test_a_group_that_the_defaults_list_has_is_left_alone():
    files = {**FILES, "config/config.yaml": "defaults:\n  - runs@_global_: ???\n"}
    copy = mend("hydra.errors.MissingConfigException", "You must specify 'run'", copy=Copy(files))
    assert copy.files["config/config.yaml"] == files["config/config.yaml"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('@hydra.main(config_path="../config")', '@hydra.main(config_path="../config", config_name="config")'),
        (
            '@hydra.main(version_base=None, config_path="c", )',
            '@hydra.main(version_base=None, config_path="c", config_name="config")',
        ),
        ('@hydra.main(config_path="c", config_name="main")', '@hydra.main(config_path="c", config_name="main")'),
        ("@hydra.main()", "@hydra.main()"),
    ],
)
def test_a_program_that_names_no_configuration_composes_one(written, expected):
    files = {**FILES, "src/main.py": f"{written}\ndef main(cfg): ...\n"}
    copy = mend("hydra.errors.ConfigCompositionException", "Could not override 'run'.", copy=Copy(files))
    assert copy.files["src/main.py"] == f"{expected}\ndef main(cfg): ...\n"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("FileNotFoundError", "Run config config/runs/proposed.yaml not found."),
        ("FileNotFoundError", "[Errno 2] No such file or directory: '/box/outputs/2025/config/runs/proposed.yaml'"),
        ("runpy._Error", "Error while finding module specification (ModuleNotFoundError: No module named 'src')"),
    ],
)
def test_what_the_submission_holds_and_misses_is_a_matter_of_the_working_directory(kind, message):
    assert mend(kind, message).shims == {"working-directory"}


def test_a_file_that_nobody_holds_is_no_matter_of_the_working_directory():
    assert mend("FileNotFoundError", "[Errno 2] No such file or directory: 'data/train.csv'") is None


@pytest.mark.parametrize(
    ("message", "name"),
    [
        ("Repo id must be in the form 'repo_name' or 'namespace/repo_name': 'hf://Qwen/Qwen3-0.6B'. "
         "Use `repo_type` argument if needed.",
         "Qwen/Qwen3-0.6B"),
        ("Repo id must use alphanumeric chars, '-', '_' or '.'. The name cannot start or end with '-' or '.' and the "
         "maximum length is 96: 'hf://Qwen/Qwen3-0.6B'.", "Qwen/Qwen3-0.6B"),
    ],
)  # fmt: skip
def test_a_name_that_the_client_refuses_is_written_as_one_that_it_takes(message, name):
    copy = mend("huggingface_hub.errors.HFValidationError", message)
    assert copy.files["config/runs/proposed.yaml"] == f"run_id: proposed\nmodel:\n  name: {name}\n"
    assert copy.changes == (f"hf://Qwen/Qwen3-0.6B is asked for as {name}",)


def test_an_interpolation_that_nobody_resolves_becomes_a_value_of_the_range():
    searched = "optuna:\n  search_space:\n    rank:\n      choices: [8, 16]\n    model.lr:\n      low: 1.0e-4\n"
    text = f"rank: ${{optuna:rank}}\nlr: ${{optuna:model.lr}}\nother: ${{optuna:gone}} # ${{oc.env:HOME}}\n{searched}"
    made = {"config/runs/proposed.yaml": SourceFile.of_text("config/runs/proposed.yaml", text)}
    project = Project(Submission("example", made), load_contract("experiment"))
    stop = Stop("omegaconf.errors.UnsupportedInterpolationType", "Unsupported interpolation type optuna")
    copy = copied(repaired("", Copy({"config/runs/proposed.yaml": text}), PLACE, project, stop, TRIAL))
    lines = copy.files["config/runs/proposed.yaml"].split("\n")
    assert lines[:3] == ["rank: 8", "lr: 1.0e-4", "other: null # ${oc.env:HOME}"]


def test_a_variation_that_stops_is_left_out_line_for_line():
    text = "experiments:\n  - run_id: one\n    lr: 1\n  - run_id: one-more\n    lr: 2\n\nseed: 1\n"
    made = {"config/full_experiment.yaml": SourceFile.of_text("config/full_experiment.yaml", text)}
    project = Project(Submission("example", made), load_contract("derived"))
    started = {
        "kind": "process",
        "pid": 7,
        "argv": ["python", "-m", "src.train", "--config", "results/one-more/config.yaml"],
    }
    step = Step("experiment", "experiment", events=(started,))
    stop = Stop("ValueError", "no", (TrialFrame("src/train.py", 3, "main"),), process=7)
    copy = copied(repaired("", Copy({"config/full_experiment.yaml": text}), PLACE, project, stop, step))
    assert copy.files["config/full_experiment.yaml"] == ("experiments:\n  - run_id: one\n    lr: 1\n\n\n\nseed: 1\n")
    # none would be left
    first = {**started, "argv": ["python", "-m", "src.train", "--run", "one"]}
    assert repaired("", copy, PLACE, project, stop, Step("experiment", "experiment", events=(first,))) is None


def test_an_evaluation_that_takes_bare_values_gets_them():
    step = Step("evaluate", "evaluate")
    copy = mend("json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)", step=step)
    assert copy.arguments == "bare"
    assert mend("json.decoder.JSONDecodeError", "Expecting value: line 1 column 1 (char 0)") is None


def test_a_shim_is_switched_on_once():
    copy = mend("ValueError", "Attempting to unscale FP16 gradients.", "shim:unscale")
    assert copy.shims == {"unscale"}
    assert mend("ValueError", "Attempting to unscale FP16 gradients.", "shim:unscale", copy=copy) is None


def test_a_dataset_gets_its_configuration_and_a_model_is_given():
    copy = mend("ValueError", "Config name is missing.", "dataset-configuration:openai/gsm8k=main")
    assert copy.hub["default_configurations"] == {"openai/gsm8k": "main"}
    copy = mend("OSError", "not a valid model identifier", "open:Qwen3-0.6B", copy=copy)
    assert copy.hub["opened"] == ["Qwen3-0.6B"]
    assert len(copy.changes) == 2
    assert mend("OSError", "not a valid model identifier", "open:Qwen3-0.6B", copy=copy) is None


def test_a_name_that_a_library_does_not_have_can_be_imported():
    message = "cannot import name 'ttest_ind' from 'sklearn.metrics' (sklearn/metrics/__init__.py)"
    copy = mend("ImportError", message)
    assert copy.shims == {"member:sklearn.metrics:ttest_ind"}
    assert copy.changes == ("`sklearn.metrics` is given a `ttest_ind`",)
    assert mend("ImportError", "cannot import name 'build' from 'src.model'") is None


def test_a_stop_that_a_change_of_the_rehearsal_may_have_made_is_doubted():
    scaler = Stop("AssertionError", "No inf checks were recorded for this optimizer.")
    assert brought_about(Copy(FILES), scaler) == ""
    assert "what the rehearsal changed before" in brought_about(Copy(FILES, shims=frozenset({"detached-loss"})), scaler)
    assert brought_about(Copy(FILES, shims=frozenset({"detached-loss"})), Stop("KeyError", "'text'")) == ""


def test_what_nobody_knows_is_not_repaired():
    assert mend("RuntimeError", "mat1 and mat2 shapes cannot be multiplied") is None
    assert mend("RuntimeError", "no", "nothing:known") is None
    assert mend("RuntimeError", "no", "install:") is None
