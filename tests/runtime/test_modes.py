"""A mode changes a configuration once, and in a trial leaves no loop long."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigAttributeError

from assay.runtime.modes import ACCUMULATION, EPOCHS, apply_mode


def configured(mode, **sections):
    cfg = OmegaConf.create({"mode": mode, "wandb": {"project": "p"}, **sections})
    OmegaConf.set_struct(cfg, True)
    apply_mode(cfg)
    return cfg


def test_a_trial_is_neither_tracked_nor_searched():
    cfg = configured("trial", optuna={"n_trials": 20})
    assert cfg.wandb.mode == "disabled"
    assert cfg.optuna.n_trials == 0


@pytest.mark.parametrize("name", sorted(EPOCHS | ACCUMULATION))
def test_a_trial_has_one_epoch_and_accumulates_nothing(name):
    assert configured("trial", training={"inner": {name: 8}}).training.inner[name] == 1


def test_a_trial_takes_two_steps_and_one_seed():
    cfg = configured("trial", training={"max_steps": 500, "seeds": [3, 4, 5], "seed": 9})
    assert (cfg.training.max_steps, list(cfg.training.seeds), cfg.training.seed) == (2, [3], 9)


def test_no_limit_stays_no_limit():
    # libraries take -1 or null for "as many as there are"
    cfg = configured("trial", training={"max_steps": -1, "num_epochs": None, "epochs": 3})
    assert (cfg.training.max_steps, cfg.training.num_epochs, cfg.training.epochs) == (-1, None, 1)


def test_an_interpolation_follows_what_it_names():
    cfg = configured("trial", training={"epochs": 30, "max_epochs": "${training.epochs}"})
    assert cfg.training.max_epochs == 1
    assert OmegaConf.is_interpolation(cfg.training, "max_epochs")


def test_a_trial_leaves_other_sections_alone():
    cfg = configured("trial", pretraining={"epochs": 5}, training={"learning_rate": 0.1, "warmup": True})
    assert cfg.pretraining.epochs == 5
    assert cfg.training == {"learning_rate": 0.1, "warmup": True}


def test_full_changes_nothing_but_the_mode_of_wandb():
    given = {"optuna": {"n_trials": 20}, "training": {"epochs": 30, "accumulation_steps": 4, "seeds": [1, 2]}}
    cfg = configured("full", **given)
    assert cfg.wandb.mode == "online"
    assert {name: OmegaConf.to_container(cfg[name]) for name in given} == given


def test_who_asks_for_offline_gets_it():
    cfg = OmegaConf.create({"mode": "full", "wandb": {"mode": "offline"}})
    apply_mode(cfg)
    assert cfg.wandb.mode == "offline"


@pytest.mark.parametrize("mode", ["trial", "full"])
def test_unknown_keys_stay_errors(mode):
    cfg = configured(mode)
    with pytest.raises(ConfigAttributeError):
        cfg.training  # noqa: B018


def test_a_configuration_without_wandb_gets_its_mode():
    cfg = OmegaConf.create({"mode": "trial"})
    apply_mode(cfg)
    assert cfg.wandb.mode == "disabled"
