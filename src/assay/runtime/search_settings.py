"""What the section `optuna` of a configuration asks for, checked before anything runs and without Optuna."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from assay.runtime.errors import ExperimentError
from assay.runtime.search_space import SearchSpace, read_space

if TYPE_CHECKING:
    from omegaconf import DictConfig

_KEYS = ("n_trials", "direction", "seed", "storage", "pruner", "search_space")
# pruner -> its options, and option -> lowest value; all but the percentile are whole numbers
_PRUNERS: Mapping[str, tuple[str, ...]] = {
    "median": ("startup_trials", "warmup_steps", "interval_steps"),
    "percentile": ("percentile", "startup_trials", "warmup_steps", "interval_steps"),
    "halving": ("min_resource", "reduction_factor", "min_early_stopping_rate"),
    "none": (),
}
_LOWEST: Mapping[str, int] = {
    "startup_trials": 0,
    "warmup_steps": 0,
    "interval_steps": 1,
    "percentile": 0,
    "min_resource": 1,
    "reduction_factor": 2,
    "min_early_stopping_rate": 0,
}


@dataclass(frozen=True)
class SearchSettings:
    """A search that a configuration asks for.

    Attributes:
        n_trials: How many trials are to end, at least 1.
        direction: Whether higher or lower scores are better.
        seed: Where draws begin, from 0.
        storage: Storage address of Optuna, or None for a file in the run's folder.
        pruner: `median`, `percentile`, `halving` or `none`.
        pruner_options: Options of the pruner by the names they have in the configuration.
        space: What is drawn.
    """

    n_trials: int
    direction: Literal["maximize", "minimize"]
    seed: int
    storage: str | None
    pruner: str
    pruner_options: Mapping[str, float]
    space: SearchSpace


def read_settings(cfg: DictConfig) -> SearchSettings | None:
    """The search that a configuration asks for.

    Args:
        cfg: The configuration of a run.

    Returns:
        The search, or None without an `optuna` section or with `n_trials` 0.

    Raises:
        ExperimentError: The section is wrong (exit status 2). Whether the storage can be used is seen only by a
            search.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    section = cfg.get("optuna")
    if section is None:
        return None
    if not OmegaConf.is_dict(section):
        raise _fault(f"optuna is {section!r}: it is a section with {', '.join(_KEYS)}")
    for key in section:
        # the record of a search that was made
        if key not in (*_KEYS, "result"):
            near = difflib.get_close_matches(str(key), _KEYS, 1, 0.6)
            hint = f"did you mean {near[0]}? " if near else ""
            raise _fault(f"optuna.{key} is no setting of a search: {hint}There are {', '.join(_KEYS)}")
    try:
        given = {key: section.get(key) for key in _KEYS if key in section}
        pruner = given.get("pruner", {"type": "median"})
        pruner = OmegaConf.to_container(pruner, resolve=True) if OmegaConf.is_config(pruner) else pruner
    except OmegaConfBaseException as error:
        raise _fault(f"optuna cannot be resolved: {error}") from error
    n_trials = given.get("n_trials")
    if n_trials is None and given.get("search_space"):
        raise _fault("optuna has a search_space and no n_trials: say how many trials, or 0 for none")
    if n_trials is None or (type(n_trials) is int and n_trials == 0):
        return None
    if type(n_trials) is not int or n_trials < 0:
        raise _fault(f"optuna.n_trials is {n_trials!r}: write a whole number, 0 for no search")
    direction = given.get("direction")
    if direction not in ("maximize", "minimize"):
        what = "is missing" if direction is None else f"is {direction!r}"
        raise _fault(f"optuna.direction {what}: write maximize or minimize")
    seed = given.get("seed")
    seed = 0 if seed is None else seed
    if type(seed) is not int or seed < 0:
        raise _fault(f"optuna.seed is {seed!r}: write a whole number from 0")
    storage = given.get("storage")
    if storage is not None and (not isinstance(storage, str) or "://" not in storage):
        raise _fault(f"optuna.storage is {storage!r}, no address: write one such as sqlite:///search.db, or null")
    kind, options = _read_pruner({"type": "none"} if pruner is None else pruner)
    return SearchSettings(n_trials, direction, seed, storage, kind, options, read_space(cfg))


def _read_pruner(entry: Any) -> tuple[str, Mapping[str, float]]:
    if not isinstance(entry, dict) or entry.get("type") not in tuple(_PRUNERS):
        raise _fault(f"optuna.pruner is {entry!r}: write {{type: ...}} with one of {', '.join(_PRUNERS)}")
    kind = str(entry["type"])
    options = {key: value for key, value in entry.items() if key != "type"}
    for key, value in options.items():
        if key not in _PRUNERS[kind]:
            allowed = ", ".join(_PRUNERS[kind]) or "nothing more"
            raise _fault(f"optuna.pruner.{key} is unknown to {kind}: it takes {allowed}")
        if key == "percentile":
            if type(value) not in (int, float) or not 0 <= value <= 100:
                raise _fault(f"optuna.pruner.percentile is {value!r}: write a number from 0 to 100")
        elif type(value) is not int or value < _LOWEST[key]:
            raise _fault(f"optuna.pruner.{key} is {value!r}: write a whole number from {_LOWEST[key]}")
    if kind == "percentile" and "percentile" not in options:
        raise _fault("optuna.pruner is percentile and has no percentile: give one from 0 to 100")
    return kind, options


def _fault(text: str) -> ExperimentError:
    return ExperimentError(text, status=2)
