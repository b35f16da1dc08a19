"""Hyper-parameter search over a run's configuration that several processes can share, and that survives being killed.

Trials have numbers of their own here, *slots* 0 to n_trials - 1. Optuna numbers every attempt anew; a slot keeps its
number, its parameters and its random state over all attempts. A slot is put into Optuna's queue before it is taken out
again, so that taking it is the storage's own atomic step, and whatever two workers or a kill leave twice is seen by its
(slot, attempt) and counted once.
"""

from __future__ import annotations

import contextlib
import difflib
import fcntl
import functools
import gc
import hashlib
import json
import math
import os
import platform
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assay.runtime.best_weights import NoFiniteScoreError
from assay.runtime.errors import ExperimentError
from assay.runtime.search_space import Parameter, SearchSpace, read_space, walk

if TYPE_CHECKING:
    import optuna
    from omegaconf import DictConfig

Report = Callable[[float, int], None]
"""`report(value, step)` tells the search an intermediate value, and raises `optuna.TrialPruned` to end the trial."""

Objective = Callable[["DictConfig", Report], float]

_KEYS = ("n_trials", "direction", "seed", "storage", "pruner", "search_space")
_DIRECTIONS = ("maximize", "minimize")
# a slot whose attempts were all killed or failed is given up after this many, so that one that kills its process by
# itself (too little memory) does not do so for ever
_ATTEMPTS = 5
# Optuna takes a worker on another machine for dead when its heartbeat is this old
_HEARTBEAT_SECONDS = 30
_GRACE_SECONDS = 300
_LOCK_SECONDS = 120
_POLL_SECONDS = 5.0
_SETTINGS = "assay:settings"
_PRUNERS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "median": (
        "MedianPruner",
        {"startup_trials": "n_startup_trials", "warmup_steps": "n_warmup_steps", "interval_steps": "interval_steps"},
    ),
    "percentile": (
        "PercentilePruner",
        {
            "percentile": "percentile",
            "startup_trials": "n_startup_trials",
            "warmup_steps": "n_warmup_steps",
            "interval_steps": "interval_steps",
        },
    ),
    "halving": (
        "SuccessiveHalvingPruner",
        {
            "min_resource": "min_resource",
            "reduction_factor": "reduction_factor",
            "min_early_stopping_rate": "min_early_stopping_rate",
        },
    ),
    "none": ("NopPruner", {}),
}


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
    seeding: Callable[[int], None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = datetime.now,
) -> SearchResult:
    """Searches the values of `optuna.search_space` that make the objective best.

    Nothing is searched in trial mode (the space is checked all the same), with `optuna.n_trials` 0, or without an
    `optuna` section; Optuna is not imported then.

    Every process that calls this with the same storage works on the same search, and all of them end with the same
    best. A slot's values depend on the seed, its number and the trials finished before, never on how often the search
    was stopped and started.

    Args:
        cfg: Configuration of the run.
        objective: Trains a candidate and returns its score on validation data. A score that is not finite fails the
            trial and spends its slot. Other errors end the search; the slot is tried again by the next start.
        folder: Folder of the run; the default storage is `search.db` in it.
        mode: `full`, or `trial`.
        run_id: Name of the study; by default the folder's name.
        say: Takes one line for a person.
        seeding: Seeds Python, NumPy and PyTorch with a whole number from 0 to 2**32 - 1, before every trial and at the
            end.
        sleep: Waits for a number of seconds, while only other workers' trials are left.
        now: The time by the clock of this machine, without a time zone, as Optuna notes it.

    Returns:
        The best values, and the configuration with them.

    Raises:
        ExperimentError: The section is wrong (exit status 2); the storage cannot be used or holds another search; no
            trial gave a finite score.
    """
    settings = _read_settings(cfg)
    if settings is None:
        return SearchResult(cfg)
    space = read_space(cfg)
    if mode == "trial":
        return SearchResult(cfg)
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(verbosity, optuna.logging.WARNING))
    try:
        workplace = _Storage(settings.storage, folder)
        with workplace.faults():
            study = _opened(workplace, run_id or folder.name, settings, _fingerprint(cfg, space))
        worker = _Worker(cfg, objective, settings, space, study, workplace, say, seeding, sleep, now)
        return worker.work()
    finally:
        optuna.logging.set_verbosity(verbosity)


@dataclass(frozen=True)
class _Settings:
    """The `optuna` section without its search space."""

    n_trials: int
    direction: Literal["maximize", "minimize"]
    seed: int
    storage: str | None
    pruner: str
    pruner_arguments: Mapping[str, float]


def _read_settings(cfg: DictConfig) -> _Settings | None:
    """The settings, or None where nothing is to be searched."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    section = cfg.get("optuna")
    if section is None:
        return None
    if not OmegaConf.is_dict(section):
        raise _wrong(f"optuna is {section!r}: it is a section with {', '.join(_KEYS)}")
    for key in section:
        if key not in (*_KEYS, "result"):
            near = difflib.get_close_matches(str(key), _KEYS, 1, 0.6)
            hint = f"did you mean {near[0]}? " if near else ""
            raise _wrong(f"optuna.{key} is no setting of a search: {hint}There are {', '.join(_KEYS)}")
    try:
        given = {key: section.get(key) for key in _KEYS if key != "search_space"}
        space = section.get("search_space")
    except OmegaConfBaseException as error:
        raise _wrong(f"optuna cannot be resolved: {error}") from error
    n_trials = given["n_trials"]
    if n_trials is None:
        if space:
            raise _wrong("optuna has a search_space and no n_trials: say how many trials, or 0 for none")
        return None
    if type(n_trials) is not int or n_trials < 0:
        raise _wrong(f"optuna.n_trials is {n_trials!r}: write a whole number, 0 for no search")
    if n_trials == 0:
        return None
    direction = given["direction"]
    if direction not in _DIRECTIONS:
        what = "is missing" if direction is None else f"is {direction!r}"
        raise _wrong(f"optuna.direction {what}: write maximize or minimize")
    seed = 0 if given["seed"] is None else given["seed"]
    if type(seed) is not int or seed < 0:
        raise _wrong(f"optuna.seed is {seed!r}: write a whole number from 0")
    storage = given["storage"]
    if storage is not None and not isinstance(storage, str):
        raise _wrong(f"optuna.storage is {storage!r}: write a storage address such as sqlite:///search.db, or null")
    # without the key, the pruner that Optuna itself takes; with null, none
    pruner: Any = {"type": "median"}
    if "pruner" in section:
        pruner = given["pruner"] or {"type": "none"}
        pruner = OmegaConf.to_container(pruner, resolve=True) if OmegaConf.is_config(pruner) else pruner
    kind, arguments = _read_pruner(pruner)
    return _Settings(n_trials, direction, seed, storage, kind, arguments)


def _read_pruner(entry: Any) -> tuple[str, Mapping[str, float]]:
    if not isinstance(entry, dict) or entry.get("type") not in _PRUNERS:
        raise _wrong(f"optuna.pruner is {entry!r}: write {{type: ...}} with one of {', '.join(_PRUNERS)}")
    kind = str(entry["type"])
    names = _PRUNERS[kind][1]
    arguments: dict[str, float] = {}
    for key, value in entry.items():
        if key == "type":
            continue
        if key not in names:
            raise _wrong(f"optuna.pruner.{key} is unknown to {kind}: it takes {', '.join(names) or 'nothing more'}")
        whole = key != "percentile"
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or value < 0:
            raise _wrong(f"optuna.pruner.{key} is {value!r}: write a {'whole ' if whole else ''}number from 0")
        arguments[names[key]] = value
    if kind == "percentile" and "percentile" not in arguments:
        raise _wrong("optuna.pruner is percentile and has no percentile: give one from 0 to 100")
    return kind, arguments


class _Storage:
    """Where the study lies, with the errors of that place made clear."""

    def __init__(self, url: str | None, folder: Path) -> None:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        if url is None:
            path = folder.resolve() / "search.db"
            # Optuna formats the address, SQLAlchemy cuts it at a question mark
            if set("?{}%") & set(str(path)):
                raise _wrong(f"{path} cannot be a storage address because of ?, %, {{ or }}: use another results_dir")
            _make(folder)
            url = f"sqlite:///{path}"
        self.url = url
        try:
            address = make_url(url)
        except ArgumentError as error:
            raise _wrong(f"optuna.storage is {url!r}, no address: write one such as sqlite:///search.db") from error
        # without the password
        self.shown = address.render_as_string(hide_password=True)
        self.database: Path | None = None
        if address.get_backend_name() == "sqlite":
            if not address.database or address.database == ":memory:":
                raise _wrong(
                    "optuna.storage is an SQLite database in memory, which is lost with the process: name a file"
                )
            self.database = Path(address.database)
            self.shown = str(self.database)
            _check_database(self.database)
        self._locked = (self.database or folder / "search.db").absolute().parent

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Lets one process on these files go first.

        SQLite has no row locks, so that two processes could take the same trial out of Optuna's queue, or create its
        tables at once. The lock is on the database's folder, leaves no file, and goes with its process. Where a file
        system has no such locks, or on a database server, Optuna's own row locks and the count by slot stand alone.
        """
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                handle = os.open(self._locked, os.O_RDONLY)
                stack.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def faults(self) -> Iterator[None]:
        """Turns what a database says into one line."""
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError, OSError) as error:
            # Optuna's sentence is about the commit; what happened is in its cause
            cause = error.__cause__ or error
            said = str(getattr(cause, "orig", None) or cause).split("\n")[0]
            raise ExperimentError(
                f"the search in {self.shown} cannot go on: {said}; finished trials are kept: mend that and start again"
            ) from error

    @functools.cached_property
    def backend(self) -> optuna.storages.RDBStorage:
        """The connection; opening it makes tables where there are none."""
        import optuna

        arguments = {"connect_args": {"timeout": _LOCK_SECONDS}} if self.database else {"pool_pre_ping": True}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return optuna.storages.RDBStorage(
                    self.url,
                    engine_kwargs=arguments,
                    heartbeat_interval=_HEARTBEAT_SECONDS,
                    grace_period=_GRACE_SECONDS,
                )
        except ImportError as error:
            raise ExperimentError(f"no driver for the storage {self.shown} is installed: {error}") from error
        except (KeyError, IndexError, ValueError) as error:
            # Optuna fills in braces, as of str.format
            raise _wrong(f"optuna.storage is {self.shown!r}, which cannot be used: {error}") from error
        except RuntimeError as error:
            raise ExperimentError(f"the storage {self.shown} is of another version of Optuna: {error}") from error


def _check_database(path: Path) -> None:
    """Refuses a file that is no sound database of Optuna before anything is written to it."""
    import sqlite3

    if not path.parent.is_dir():
        raise ExperimentError(f"{path} cannot be opened: there is no folder {path.parent}")
    remedy = "move it away to search anew, or put back a copy of it"
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ExperimentError(f"{path} cannot be read: {error}") from error
    # nothing yet, as a kill before the first table leaves it
    if not head:
        return
    if head != b"SQLite format 3\0":
        raise ExperimentError(f"{path} is not a database: {remedy}")
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_LOCK_SECONDS)) as connection:
            sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.OperationalError as error:
        raise ExperimentError(f"{path} cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
        raise ExperimentError(f"{path} is damaged ({error}): {remedy}") from error
    if sound != "ok":
        raise ExperimentError(f"{path} is damaged ({str(sound).strip()}): {remedy}")
    if tables and "studies" not in tables:
        raise ExperimentError(f"{path} is a database of something else ({', '.join(sorted(tables)[:3])}): {remedy}")


def _opened(workplace: _Storage, name: str, settings: _Settings, fingerprint: Mapping[str, str]) -> optuna.Study:
    """The study of a run, new or as it was left, of exactly this search."""
    import optuna

    made, arguments = _PRUNERS[settings.pruner][0], settings.pruner_arguments
    with workplace.turn():
        storage = workplace.backend
        try:
            pruner = getattr(optuna.pruners, made)(**arguments)
        except ValueError as error:
            raise _wrong(f"optuna.pruner: {error}") from error
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            direction=settings.direction,
            load_if_exists=True,
            sampler=_sampler(settings.seed),
            pruner=pruner,
        )
        wanted = dict(fingerprint) | {
            "optuna.direction": settings.direction,
            "optuna.seed": str(settings.seed),
            "optuna.pruner": f"{settings.pruner} {json.dumps(dict(arguments), sort_keys=True)}",
        }
        if study.direction.name.lower() != settings.direction:
            # killed before the settings were noted, and changed since
            raise ExperimentError(
                f"{workplace.shown} holds a search of {name} that would {study.direction.name.lower()}: "
                "set optuna.direction to that, or move the database away"
            )
        known = study.user_attrs.get(_SETTINGS)
        if known is None and not study.get_trials(deepcopy=False):
            study.set_user_attr(_SETTINGS, wanted)
            return study
        if known != wanted:
            raise ExperimentError(
                f"{workplace.shown} holds a search of {name} that differs: {_difference(known, wanted)}. Set that back "
                "to go on with it, or use another run id, or move the database away to search anew"
            )
    return study


def _fingerprint(cfg: DictConfig, space: SearchSpace) -> dict[str, str]:
    """Everything that makes trials comparable: dotted key -> text.

    Left out is what may change between starts: how many trials, where results and the study lie, how it is tracked.
    Links are taken as they are written, because what they resolve to (a time, an environment variable) may be new at
    every start.
    """
    from omegaconf import OmegaConf

    searched = {parameter.key: parameter for parameter in space.parameters}
    apart = ("optuna", "mode", "results_dir", "device", "wandb", "hydra", "criteria")
    fixed = {}
    for path, value in walk(OmegaConf.to_container(cfg, resolve=False)):
        if path.split(".")[0] in apart or path in searched:
            continue
        if not isinstance(value, dict | list) or not value:
            fixed[path] = repr(value)
    return fixed | {f"search space of {key}": parameter.described() for key, parameter in searched.items()}


def _difference(known: Mapping[str, str] | None, wanted: Mapping[str, str]) -> str:
    if known is None:
        return "it was made by another program"
    keys = [key for key in sorted({*known, *wanted}) if known.get(key) != wanted.get(key)]
    told = [f"{key} was {known.get(key, 'absent')} and is {wanted.get(key, 'absent')}" for key in keys[:3]]
    return "; ".join(told) + (f"; and {len(keys) - 3} more" if len(keys) > 3 else "")


def _sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Tree-structured Parzen estimation whose draws depend on what is drawn, not on how many were drawn before.

    A `TPESampler(seed)` has one stream of random numbers for a process: started again it repeats its first draws, and
    a second worker with the same seed draws what the first one draws. Here every draw has a sampler of its own, seeded
    by the seed, the slot and the parameter.
    """
    import optuna

    class SlotSampler(optuna.samplers.BaseSampler):
        def infer_relative_search_space(
            self, study: optuna.Study, trial: optuna.trial.FrozenTrial
        ) -> dict[str, optuna.distributions.BaseDistribution]:
            return {}

        def sample_relative(
            self,
            study: optuna.Study,
            trial: optuna.trial.FrozenTrial,
            search_space: dict[str, optuna.distributions.BaseDistribution],
        ) -> dict[str, Any]:
            return {}

        def sample_independent(
            self,
            study: optuna.Study,
            trial: optuna.trial.FrozenTrial,
            param_name: str,
            param_distribution: optuna.distributions.BaseDistribution,
        ) -> Any:
            slot = trial.user_attrs.get("slot", trial.number)
            # both options are given because their defaults changed in Optuna 5; running trials must not count, or a
            # draw would depend on which workers happen to be busy
            drawing = optuna.samplers.TPESampler(
                seed=_mixed(seed, slot, param_name), multivariate=False, constant_liar=False
            )
            return drawing.sample_independent(study, trial, param_name, param_distribution)

    return SlotSampler()


def _mixed(*parts: object) -> int:
    """A seed from 0 to 2**32 - 1 that differs where any part does; the same in every process."""
    digest = hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).digest()
    return int.from_bytes(digest[:4], "big")


@dataclass
class _Slot:
    """What became of one slot: its attempts in order, each the first trial that was queued as it."""

    attempts: list[optuna.trial.FrozenTrial] = field(default_factory=list)

    @property
    def last(self) -> optuna.trial.FrozenTrial:
        return self.attempts[-1]


@dataclass
class _Worker:
    """One process at work on a study."""

    cfg: DictConfig
    objective: Objective
    settings: _Settings
    space: SearchSpace
    study: optuna.Study
    storage: _Storage
    say: Callable[[str], None]
    seeding: Callable[[int], None] | None
    sleep: Callable[[float], None]
    now: Callable[[], datetime]
    told: set[tuple[str, int]] = field(default_factory=set)

    def work(self) -> SearchResult:
        """Runs trials until every slot is settled."""
        while True:
            with self.storage.faults(), self.storage.turn():
                trial, busy = self.claimed()
            if trial is not None:
                self.run(trial)
                # a failed candidate's model is often held by cycles, and the next one needs its memory
                gc.collect()
            elif busy:
                if ("waiting", 0) not in self.told:
                    self.told.add(("waiting", 0))
                    self.say(f"search: waiting for {_counted(busy, 'trial')} of other workers")
                self.sleep(_POLL_SECONDS)
            else:
                return self.result()

    def claimed(self) -> tuple[optuna.Trial | None, int]:
        """A trial for this worker, or none and how many are still run by others."""
        while True:
            busy = self.put_right()
            slots = self.slots()
            slot = self.next_slot(slots)
            if slot is None:
                return None, busy
            if slot not in slots:
                self.study.enqueue_trial({}, user_attrs={"slot": slot, "attempt": 1})
            with warnings.catch_warnings():
                # Optuna says here that `optimize` beats the heart by itself; `run` does it instead
                warnings.filterwarnings("ignore", message=".*[Hh]eartbeat of storage.*")
                trial = self.study.ask()
            self.beat(trial.number)
            trial.set_user_attr("worker", _this_process())
            if self.counts(trial):
                return trial, busy
            trial.set_user_attr("ended", "surplus")
            self.tell(trial, None)

    def counts(self, trial: optuna.Trial) -> bool:
        """Whether a trial taken from the queue is the first of its slot and attempt, and within the budget."""
        slot, attempt = trial.user_attrs.get("slot"), trial.user_attrs.get("attempt")
        if slot is None or slot >= self.settings.n_trials:
            return False
        attempts = self.slots()[slot].attempts
        return any(first.number == trial.number and first.user_attrs["attempt"] == attempt for first in attempts)

    def slots(self) -> dict[int, _Slot]:
        """Every slot there is a trial of. Trials that count for nothing are left out."""
        found: dict[int, dict[int, optuna.trial.FrozenTrial]] = {}
        for trial in self.study.get_trials(deepcopy=False):
            if "slot" not in trial.user_attrs or trial.user_attrs.get("ended") == "surplus":
                continue
            slot, attempt = trial.user_attrs["slot"], trial.user_attrs["attempt"]
            # trials come by number: the first one queued counts
            found.setdefault(slot, {}).setdefault(attempt, trial)
        return {slot: _Slot([tries[key] for key in sorted(tries)]) for slot, tries in sorted(found.items())}

    def next_slot(self, slots: Mapping[int, _Slot]) -> int | None:
        """The first slot within the budget that waits for a worker or has no trial yet."""
        from optuna.trial import TrialState

        finished = sum(slot.last.state in (TrialState.COMPLETE, TrialState.PRUNED) for slot in slots.values())
        if finished >= self.settings.n_trials:
            # the budget was lowered, and the trials that finished are not the first ones
            return None
        waiting = [slot for slot, tries in slots.items() if tries.last.state == TrialState.WAITING]
        for slot in waiting:
            if slot < self.settings.n_trials:
                return slot
        return next((slot for slot in range(self.settings.n_trials) if slot not in slots), None)

    def put_right(self) -> int:
        """Queues again what dead workers left, and gives the number of trials that live ones run."""
        import optuna
        from optuna.trial import TrialState

        here = _this_process()
        running = [trial for trial in self.study.get_trials(deepcopy=False) if trial.state == TrialState.RUNNING]
        places = {(trial.user_attrs.get("worker") or here)["place"] for trial in running}
        if places - {here["place"]} or None in places:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                optuna.storages.fail_stale_trials(self.study)
        busy = 0
        for number, slot in self.slots().items():
            last = slot.last
            if last.state == TrialState.RUNNING:
                if self.alive(last):
                    busy += number < self.settings.n_trials
                    continue
                why = f"was left by process {(last.user_attrs.get('worker') or {}).get('pid', '?')}, which is gone"
            elif last.state == TrialState.FAIL and last.user_attrs.get("ended") != "not finite":
                why = "failed" if last.user_attrs.get("ended") == "error" else "was left by a worker that is gone"
            else:
                continue
            self.requeue(number, slot, why)
        return busy

    def requeue(self, number: int, slot: _Slot, why: str) -> None:
        """Gives a slot another attempt with the same values, and closes the one before.

        The new attempt comes first: a kill between the two leaves a dead trial, of which the next start sees that it
        was followed.
        """
        from optuna.trial import TrialState

        attempt, last = len(slot.attempts), slot.last
        again = attempt < _ATTEMPTS
        if again:
            values = {**last.system_attrs.get("fixed_params", {}), **last.params}
            self.study.enqueue_trial(values, user_attrs={"slot": number, "attempt": attempt + 1})
        if last.state == TrialState.RUNNING:
            # another worker may have closed it
            self.study.tell(last.number, state=TrialState.FAIL, skip_if_finished=True)
        if again:
            self.say(f"trial {number}: {why}; it is tried again")
        elif ("given up", number) not in self.told:
            self.told.add(("given up", number))
            self.say(f"trial {number}: {why}; given up after {attempt} attempts")

    def alive(self, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether the process that runs a trial still does, as far as can be seen from here."""
        worker = trial.user_attrs.get("worker")
        here = _this_process()
        if worker is None:
            # killed between taking the trial and signing it: nobody else is in between while this worker has its turn,
            # unless a database server is used from several machines
            if self.storage.database is not None or trial.datetime_start is None:
                return False
            return (self.now() - trial.datetime_start).total_seconds() < _GRACE_SECONDS
        if worker["place"] != here["place"] or here["place"] is None:
            # its heartbeat decides, see `put_right`
            return True
        # a trial of this very process is one that an earlier search in it did not end
        return bool(worker != here) and _started(worker["pid"]) == worker["started"]

    def run(self, trial: optuna.Trial) -> None:
        """One trial, from drawing its values to telling its end."""
        import optuna

        slot = trial.user_attrs["slot"]
        with self.storage.faults():
            values = {parameter.key: _drawn(trial, parameter) for parameter in self.space.parameters}
        shown = _shown(values)
        candidate = self.space.apply(self.cfg, values)
        if self.seeding is not None:
            self.seeding(_mixed(self.settings.seed, slot))

        def report(value: float, step: int) -> None:
            with self.storage.faults():
                trial.report(float(value), int(step))
                pruned = trial.should_prune()
            if pruned:
                raise optuna.TrialPruned(f"at step {int(step)}")

        try:
            with self.beating(trial.number):
                value = _score(self.objective(candidate, report))
        except optuna.TrialPruned as pruned:
            self.tell(trial, None, pruned=True)
            self.say(f"trial {slot}: pruned {pruned} with {shown}".replace("  ", " "))
            return
        except NoFiniteScoreError:
            value = math.nan
        except BaseException as error:
            # an interrupt is no fault of the trial: it is tried again like one of a process that was killed
            if isinstance(error, Exception):
                with contextlib.suppress(ExperimentError), self.storage.faults():
                    trial.set_user_attr("ended", "error")
            # what went wrong first is what a person needs to see
            with contextlib.suppress(ExperimentError):
                self.tell(trial, None)
            if isinstance(error, ExperimentError):
                raise ExperimentError(f"trial {slot} of the search ({shown}): {error}", status=error.status) from error
            error.add_note(f"This was trial {slot} of the search, with {shown}.")
            raise
        if not math.isfinite(value):
            with self.storage.faults():
                trial.set_user_attr("ended", "not finite")
            self.tell(trial, None)
            self.say(f"trial {slot}: failed, its score is not a finite number, with {shown}")
            return
        if self.tell(trial, value):
            self.say(f"trial {slot}: {value:.6g} with {shown}")
        else:
            self.say(f"trial {slot}: taken for dead by another worker while it ran; its score does not count")

    def tell(self, trial: optuna.Trial, value: float | None, *, pruned: bool = False) -> bool:
        """Ends a trial; whether it ended as told."""
        from optuna.trial import TrialState

        state = TrialState.PRUNED if pruned else TrialState.FAIL if value is None else TrialState.COMPLETE
        with self.storage.faults():
            return self.study.tell(trial.number, value, state=state, skip_if_finished=True).state == state

    def beat(self, number: int) -> None:
        """Notes for other machines that this worker lives."""
        backend = self.storage.backend
        study = backend.get_study_id_from_name(self.study.study_name)
        backend.record_heartbeat(backend.get_trial_id_from_study_id_trial_number(study, number))

    @contextlib.contextmanager
    def beating(self, number: int) -> Iterator[None]:
        """Notes it again and again while a trial runs."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(_HEARTBEAT_SECONDS):
                # the next beat may get through; a storage that is gone shows when the trial is told
                with contextlib.suppress(Exception):
                    self.beat(number)

        thread = threading.Thread(target=beat, name="heartbeat of the search", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def result(self) -> SearchResult:
        """The best of all trials, wherever they ran."""
        from omegaconf import OmegaConf, open_dict
        from optuna.trial import TrialState

        with self.storage.faults():
            slots = self.slots()
        states = [slot.last.state for slot in slots.values()]
        complete = {number: slot.last for number, slot in slots.items() if slot.last.state == TrialState.COMPLETE}
        pruned = states.count(TrialState.PRUNED)
        if not complete:
            raise ExperimentError(
                f"the search found nothing: of {_counted(len(states), 'trial')} {pruned} were pruned and "
                f"{len(states) - pruned} failed, none gave a finite score. Look at the lines above, narrow "
                f"optuna.search_space, and move {self.storage.shown} away to search anew"
            )
        sign = 1 if self.settings.direction == "maximize" else -1
        # of equal scores the first slot's, so that every worker says the same
        number = max(complete, key=lambda slot: (sign * _value(complete[slot]), -slot))
        best, value = dict(complete[number].params), _value(complete[number])
        best = {parameter.key: best[parameter.key] for parameter in self.space.parameters}
        finished = len(complete) + pruned
        cut = f", {pruned} of them pruned" if pruned else ""
        self.say(
            f"search: best {value:.6g} in trial {number} with {_shown(best)}, of {_counted(finished, 'trial')}{cut}"
        )
        config = self.space.apply(self.cfg, best)
        with open_dict(config):
            config.optuna.result = OmegaConf.create({"best": best, "value": value, "trial": number, "trials": finished})
        if self.seeding is not None:
            # what follows must not depend on how many trials were left for this process
            self.seeding(_mixed(self.settings.seed, "after the search"))
        return SearchResult(config, best, value, finished)


def _drawn(trial: optuna.Trial, parameter: Parameter) -> Any:
    """The trial's value of one parameter."""
    if parameter.kind == "categorical":
        return trial.suggest_categorical(parameter.key, parameter.choices)
    if parameter.kind == "int":
        low, high, step = int(parameter.low), int(parameter.high), int(parameter.step or 1)
        return trial.suggest_int(parameter.key, low, high, step=step, log=parameter.log)
    return trial.suggest_float(parameter.key, parameter.low, parameter.high, step=parameter.step, log=parameter.log)


def _score(value: object) -> float:
    """The objective's result as a number."""
    try:
        return float(value)  # type: ignore[arg-type]  # whatever the objective gave
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"the objective returned {value!r}: return the score, one number") from error


def _value(trial: optuna.trial.FrozenTrial) -> float:
    assert trial.value is not None  # complete trials have one
    return trial.value


def _this_process() -> dict[str, Any]:
    """This process as others can look for it."""
    pid = os.getpid()
    return {"host": platform.node(), "pid": pid, "started": _started(pid), "place": _place()}


def _place() -> str | None:
    """Where process ids mean what they mean here: this start of this machine, and the process namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks since the machine did; None where there is none, or only its remains.

    Fields 3 (state) and 22 (starttime) of /proc/pid/stat, proc_pid_stat(5). The name before them may hold anything.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def _shown(values: Mapping[str, Any]) -> str:
    """Values short enough for a line: the last part of each key where that is unmistakable."""
    short = [key.split(".")[-1] for key in values]
    names = [last if short.count(last) == 1 else key for last, key in zip(short, values, strict=True)]
    texts = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values.values()]
    return ", ".join(f"{name}={text}" for name, text in zip(names, texts, strict=True))


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExperimentError(f"{folder} cannot be made: {error}") from error


def _wrong(text: str) -> ExperimentError:
    return ExperimentError(text, status=2)
