"""Overrides that Hydra refuses, passed over where a shim is asked for, in the launcher and in what it starts."""

from __future__ import annotations

import json

import pytest

from tests.trial.inside.watched_run import Stage

FILES = {
    "config/config.yaml": "defaults:\n- _self_\n- run: ???\nmode: full\nseed: 1\ntraining: {log: 1}\n",
    "config/run/a.yaml": "run_id: a\ntraining: {num_epochs: 9, optimizer: {lr: 0.1}}\n",
    "config/data/small.yaml": "rows: 5\n",
    "src/__init__.py": "",
    "src/main.py": """\
import subprocess, sys, hydra
@hydra.main(config_path="../config", config_name="config", version_base=None)
def main(cfg):
    words = ["run=a", "training.num_epochs=1", "training.optimizer={kind: sgd}", "data=small", "wandb.mode=disabled"]
    subprocess.run([sys.executable, "-m", "src.train", *words, *sys.argv[1:]], check=True)
main()
""",
    "src/train.py": """\
import json, hydra
from omegaconf import OmegaConf
@hydra.main(config_path="../config", config_name="config", version_base=None)
def main(cfg):
    print(json.dumps(OmegaConf.to_container(cfg)))
main()
""",
}
LINES = {"training.num_epochs=1", "training.optimizer={kind: sgd}", "data=small", "wandb.mode=disabled"}


def test_an_override_of_what_is_not_there_stops(stage: Stage) -> None:
    stage.write(FILES)
    ran = stage.run("-m", "src.main", "run=a")
    assert ran.stop["type"] == "hydra.errors.ConfigCompositionException"
    assert ran.stop["message"].startswith("Could not override 'data'. No match in the defaults list.")


def test_it_is_added_where_the_shim_is_on(stage: Stage) -> None:
    stage.write(FILES)
    ran = stage.run("-m", "src.main", "run=a", shims=["hydra-overrides"])
    assert ran.status == 0, ran.errors
    composed = json.loads(ran.output)
    assert composed["training"] == {"log": 1, "num_epochs": 1, "optimizer": {"kind": "sgd"}}
    assert (composed["data"], composed["wandb"]) == ({"rows": 5}, {"mode": "disabled"})
    # the run's own stays as it was composed
    assert composed["run"]["training"]["num_epochs"] == 9
    told = ran.of("applied", name="hydra-overrides")
    assert {line for event in told for line in event["keys"]} == LINES
    assert all(event["message"].startswith("Could not override") for event in told)


def test_it_reaches_the_run_s_group_where_both_are_one(stage: Stage) -> None:
    stage.write(FILES)
    ran = stage.run("-m", "src.main", "run=a", shims=["hydra-overrides", "hydra-root"])
    assert ran.status == 0, ran.errors
    composed = json.loads(ran.output)
    expected = {"log": 1, "num_epochs": 1, "optimizer": {"lr": 0.1, "kind": "sgd"}}
    assert composed["training"] == composed["run"]["training"] == expected


def test_what_the_run_holds_may_be_overridden_where_both_are_one(stage: Stage) -> None:
    stage.write(FILES)
    ran = stage.run("-m", "src.train", "run=a", "training.num_epochs=1", shims=["hydra-root"])
    assert ran.status == 0, ran.errors
    assert json.loads(ran.output)["run"]["training"]["num_epochs"] == 1
    assert stage.run("-m", "src.train", "run=a", "wandb.mode=disabled", shims=["hydra-root"]).status == 1


@pytest.mark.parametrize("override", ["seed.deep.er=1", "runs=a", "~nothing"])
def test_what_does_not_fit_is_still_refused(stage: Stage, override: str) -> None:
    stage.write(FILES)
    ran = stage.run("-m", "src.train", "run=a", override, shims=["hydra-overrides", "hydra-root"])
    assert ran.status != 0
    assert ran.stop["type"].startswith("hydra.errors.")


def test_a_composed_configuration_takes_it_as_well(stage: Stage) -> None:
    text = (
        "from hydra import compose, initialize\nwith initialize(config_path='config', version_base=None):\n"
        "    cfg = compose('config', overrides=['run=a', 'data=small', 'training.num_epochs=2'])\n"
        "print(cfg.data.rows, cfg.training.num_epochs, cfg.run.training.num_epochs)\n"
    )
    stage.write({**FILES, "a.py": text})
    assert stage.run("-m", "a", shims=["hydra-overrides"]).output.split() == ["5", "2", "9"]
    assert stage.run("-m", "a", shims=["hydra-overrides", "hydra-root"]).output.split() == ["5", "2", "2"]
