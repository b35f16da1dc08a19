"""Hyper-parameter search over a run's configuration that several processes can share, and that survives being killed.

`search_settings` reads what is asked for, `search_storage` opens where it is kept, `search_study` the study there,
`search_worker` takes and runs trials, and `search_slots` tells from the trials of the study what is left to do.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.runtime.errors import ExperimentError
from assay.runtime.search_settings import SearchSettings, read_settings

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from assay.runtime.search_slots import Slots
    from assay.runtime.search_worker import SearchWorker

Report = Callable[[float, int], None]
"""`report(value, step)` tells the search an intermediate value, and raises `optuna.TrialPruned` to end the trial."""

Objective = Callable[["DictConfig", Report], float]

_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        config: The configuration with the best values set and, under `optuna.result`, a record of them; the
            configuration as it was where nothing was searched.
        best: Dotted key -> best value; empty where nothing was searched.
        value: The objective there, or None where nothing was searched.
        trials: How many trials finished, pruned ones included, over all workers and restarts.
    """

    config: DictConfig
    best: Mapping[str, Any] = field(default_factory=dict)
    value: float | None = None
    trials: int = 0


def search(
    cfg: DictConfig,
    objective: Objective,
    *,
    folder: Path,
    mode: str,
    run_id: str | None = None,
    say: Callable[[str], None] = print,
    seeding: Callable[[int], None] = lambda seed: None,
    sleep: Callable[[float], None] = time.sleep,
) -> SearchResult:
    """Searches the values of `optuna.search_space` that make the objective best.

    Nothing is searched in trial mode (the section is checked all the same), with `optuna.n_trials` 0, or without an
    `optuna` section; Optuna is not imported then.

    Every process that calls this with the same storage works on the same search, and all of them end with the same
    best. A trial's values depend on the seed, its number and the trials finished before, never on how often the search
    was stopped and started.

    Args:
        cfg: Configuration of the run.
        objective: Trains a candidate and returns its score on validation data. A score that is not finite fails the
            trial for good. Other errors end the search; the trial is tried again by the next start.
        folder: Folder of the run; the default storage is `search.db` in it.
        mode: `full`, or `trial`.
        run_id: Name of the study; by default the folder's name.
        say: Takes one line for a person.
        seeding: Seeds Python, NumPy and PyTorch with a whole number from 0 to 2**32 - 1, before every trial and at the
            end.
        sleep: Waits for a number of seconds, while only other workers' trials are left.

    Returns:
        The best values, and the configuration with them.

    Raises:
        ExperimentError: The section is wrong (exit status 2); the storage cannot be used or holds another search; no
            trial gave a finite score.
    """
    settings = read_settings(cfg)
    if settings is None or mode == "trial":
        return SearchResult(cfg)
    import optuna

    from assay.runtime.search_storage import SearchStorage
    from assay.runtime.search_study import open_study
    from assay.runtime.search_worker import SearchWorker, mix_seed

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        storage = SearchStorage(settings.storage, folder)
        with contextlib.closing(storage.locks):
            study = open_study(storage, run_id or folder.name, settings, cfg)
            worker = SearchWorker(cfg, objective, settings, study, storage, say, seeding)
            _work(worker, say, sleep)
            with storage.faults():
                slots = worker.slots()
    finally:
        optuna.logging.set_verbosity(verbosity)
    # what follows must not depend on how many trials were left for this process
    seeding(mix_seed(settings.seed, "after the search"))
    return _result(cfg, settings, slots, storage.shown, say)


def _work(worker: SearchWorker, say: Callable[[str], None], sleep: Callable[[float], None]) -> None:
    """Runs trials until all are settled, those of other workers too."""
    waiting = False
    while True:
        trial, busy = worker.take()
        if trial is not None:
            worker.run(trial)
            # a failed candidate's model is often held by cycles, and the next one needs its memory
            gc.collect()
        elif busy:
            if not waiting:
                say(f"search: waiting for {_count(busy, 'trial')} of other workers")
            waiting = True
            sleep(_POLL_SECONDS)
        else:
            return


def _result(
    cfg: DictConfig, settings: SearchSettings, slots: Slots, shown: str, say: Callable[[str], None]
) -> SearchResult:
    """The best of all trials, wherever they ran."""
    from omegaconf import OmegaConf, open_dict
    from optuna.trial import TrialState

    from assay.runtime.search_slots import is_finished
    from assay.runtime.search_worker import show_values

    last = {slot: tries[-1] for slot, tries in slots.items()}
    scores = {
        slot: trial.value
        for slot, trial in last.items()
        if trial.state == TrialState.COMPLETE and trial.value is not None
    }
    finished = sum(map(is_finished, slots.values()))
    pruned = finished - len(scores)
    if not scores:
        raise ExperimentError(
            f"the search found nothing: of {_count(len(slots), 'trial')} {pruned} were pruned and "
            f"{len(slots) - pruned} failed, none gave a finite score. Look at the lines above, narrow "
            f"optuna.search_space, and move {shown} away to search anew"
        )
    # of equal scores the first slot's, so that every worker says the same
    number = (max if settings.direction == "maximize" else min)(scores, key=scores.__getitem__)
    best = {parameter.key: last[number].params[parameter.key] for parameter in settings.space.parameters}
    value = scores[number]
    ends = {"pruned": pruned, "failed": len(slots) - finished}
    rest = "".join(f", {many} of them {how}" for how, many in ends.items() if many)
    say(f"search: best {value:.6g} in trial {number} with {show_values(best)}, of {_count(len(slots), 'trial')}{rest}")
    config = settings.space.apply(cfg, best)
    with open_dict(config):
        config.optuna.result = OmegaConf.create({"best": best, "value": value, "trial": number, "trials": finished})
    return SearchResult(config, best, value, finished)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
