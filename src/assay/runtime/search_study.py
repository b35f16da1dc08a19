"""The Optuna study of a search, which goes on only with the configuration it began with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import optuna
from omegaconf import OmegaConf

from assay.runtime.errors import ExperimentError
from assay.runtime.search_settings import SearchSettings
from assay.runtime.search_space import walk
from assay.runtime.search_storage import SearchStorage

if TYPE_CHECKING:
    from omegaconf import DictConfig

_NOTED = "assay:settings"
# what may change between starts: where it runs, where results go, how they are tracked and judged
_FREE = ("optuna", "mode", "results_dir", "device", "wandb", "hydra", "criteria")
_PRUNERS = {
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "halving": optuna.pruners.SuccessiveHalvingPruner,
    "none": optuna.pruners.NopPruner,
}
# options that Optuna has other names for
_RENAMED = {"startup_trials": "n_startup_trials", "warmup_steps": "n_warmup_steps"}


def open_study(storage: SearchStorage, name: str, settings: SearchSettings, cfg: DictConfig) -> optuna.Study:
    """The study of a run, new or as it was left.

    Raises:
        ExperimentError: The storage has a study of this name that is another search.
    """
    wanted = _fingerprint(cfg, settings)
    with storage.faults(), storage.locks.turn():
        study = optuna.create_study(
            study_name=name,
            storage=storage.backend,
            direction=settings.direction,
            load_if_exists=True,
            pruner=make_pruner(settings),
        )
        known = study.user_attrs.get(_NOTED)
        if known is None and not study.trials and study.direction.name.lower() == settings.direction:
            study.set_user_attr(_NOTED, wanted)
        elif known != wanted:
            raise ExperimentError(
                f"{storage.shown} holds a search of {name} that differs: {_difference(known, wanted)}. Set that back "
                "to go on with it, or use another run id, or move the database away to search anew"
            )
    return study


def make_pruner(settings: SearchSettings) -> optuna.pruners.BasePruner:
    """The pruner that a search asks for."""
    options = {_RENAMED.get(key, key): value for key, value in settings.pruner_options.items()}
    pruner: optuna.pruners.BasePruner = _PRUNERS[settings.pruner](**options)
    return pruner


def _fingerprint(cfg: DictConfig, settings: SearchSettings) -> dict[str, str]:
    """Everything that makes trials comparable: dotted key -> text.

    Links are taken as they are written, because what they resolve to (a time, an environment variable) may be new at
    every start.
    """
    searched = {parameter.key: parameter.described() for parameter in settings.space.parameters}
    fixed = {
        path: repr(value)
        for path, value in walk(OmegaConf.to_container(cfg, resolve=False))
        if path.split(".")[0] not in _FREE and path not in searched and not (isinstance(value, dict | list) and value)
    }
    return {
        **fixed,
        **{f"search space of {key}": described for key, described in searched.items()},
        "optuna.direction": settings.direction,
        "optuna.seed": str(settings.seed),
        "optuna.pruner": f"{settings.pruner} {json.dumps(dict(settings.pruner_options), sort_keys=True)}",
    }


def _difference(known: Mapping[str, str] | None, wanted: Mapping[str, str]) -> str:
    if known is None:
        return "it was made by another program"
    keys = [key for key in sorted({*known, *wanted}) if known.get(key) != wanted.get(key)]
    told = [f"{key} was {known.get(key, 'absent')} and is {wanted.get(key, 'absent')}" for key in keys[:3]]
    return "; ".join(told) + (f"; and {len(keys) - 3} more" if len(keys) > 3 else "")
