"""One process at work on a search: takes trials, runs them, and closes those of workers that are gone."""

from __future__ import annotations

import contextlib
import math
import random
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.trial import TrialState

from assay.runtime.best_weights import NoFiniteScoreError
from assay.runtime.errors import ExperimentError
from assay.runtime.search_settings import SearchSettings
from assay.runtime.search_slots import ATTEMPTS, NOT_FINITE, SURPLUS, Slots, next_slot, read_slots
from assay.runtime.search_space import Parameter
from assay.runtime.search_storage import HEARTBEAT_SECONDS, SearchStorage

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from assay.runtime.searching import Objective


@dataclass(frozen=True)
class SearchWorker:
    """Takes and runs trials of a study; the arguments are those of `assay.runtime.searching.search`."""

    cfg: DictConfig
    objective: Objective
    settings: SearchSettings
    study: optuna.Study
    storage: SearchStorage
    say: Callable[[str], None]
    seeding: Callable[[int], None]

    def slots(self) -> Slots:
        """All slots as they are now."""
        return read_slots(self.study.get_trials(deepcopy=False))

    def take(self) -> tuple[optuna.Trial | None, int]:
        """A trial to run; where there is none, how many slots others still have in work.

        An attempt is queued before it is taken, so that it has its slot from the first, and taking it is the storage's
        own atomic step. SQLite has no row locks: there it is the turn that makes the step atomic.
        """
        budget = self.settings.n_trials
        with self.storage.faults(), self.storage.locks.turn():
            while True:
                self._close_dead()
                slots = self.slots()
                slot = next_slot(slots, budget)
                if slot is None:
                    running = (tries[-1].state == TrialState.RUNNING for at, tries in slots.items() if at < budget)
                    return None, sum(running)
                tries = slots.get(slot, [])
                if not tries or tries[-1].state != TrialState.WAITING:
                    self._queue(slot, [one.params for one in tries])
                trial = self._ask()
                # it may be another one that lay in the queue
                counted = {one.number for at, tries in self.slots().items() if at < budget for one in tries}
                if trial.number in counted:
                    return trial, 0
                self._end(trial, TrialState.FAIL, ended=SURPLUS)

    def _queue(self, slot: int, tried: list[dict[str, Any]]) -> None:
        # an attempt killed while its values were drawn has only some, with which nothing was tried
        values = next((params for params in tried if len(params) == len(self.settings.space.parameters)), {})
        self.study.enqueue_trial(values, user_attrs={"slot": slot, "attempt": len(tried) + 1})
        if tried:
            self.say(f"trial {slot}: ended without a score; it is tried again ({len(tried)} of {ATTEMPTS})")

    def _ask(self) -> optuna.Trial:
        with warnings.catch_warnings():
            # Optuna says here that `optimize` beats the heart by itself; `_beating` does it instead
            warnings.filterwarnings("ignore", message=".*[Hh]eartbeat of storage.*")
            trial = self.study.ask()
        identity = self._identity(trial.number)
        self.storage.locks.hold(identity)
        self._sign(identity, self.storage.locks.place)
        return trial

    def _close_dead(self) -> None:
        """Marks trials failed whose worker is gone: by its lock where that can be seen, else by its heartbeat."""
        locks, elsewhere = self.storage.locks, False
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            identity, place = self._identity(trial.number), trial.user_attrs.get("place")
            if place is None and self.storage.is_server:
                # taken on another machine and not signed yet, or killed before that: five minutes from now show which
                place = "unknown"
                # it may just have ended
                with contextlib.suppress(RuntimeError):
                    self._sign(identity, place)
            if place not in (None, locks.place):
                elsewhere = True
            elif not locks.is_held(identity):
                self.study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
        if elsewhere:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                optuna.storages.fail_stale_trials(self.study)

    def _identity(self, number: int) -> int:
        backend = self.storage.backend
        with self.storage.faults():
            study = backend.get_study_id_from_name(self.study.study_name)
            return backend.get_trial_id_from_study_id_trial_number(study, number)

    def _sign(self, identity: int, place: str) -> None:
        self.storage.backend.record_heartbeat(identity)
        self.storage.backend.set_trial_user_attr(identity, "place", place)

    def run(self, trial: optuna.Trial) -> None:
        """One trial, from drawing its values to telling its end.

        Raises:
            ExperimentError: The storage failed, or the objective raised this or gave no number.
            BaseException: What else the objective raised.
        """
        slot = trial.user_attrs["slot"]
        seed = mix_seed(self.settings.seed, slot)
        values = self._draw(trial, seed)
        shown = show_values(values)
        candidate = self.settings.space.apply(self.cfg, values)

        def report(value: float, step: int) -> None:
            with self.storage.faults():
                try:
                    trial.report(float(value), int(step))
                    pruned = trial.should_prune()
                except RuntimeError:
                    # taken for dead by another worker: what is left of it is for nothing
                    pruned = True
            if pruned:
                raise optuna.TrialPruned

        self.seeding(seed)
        state, value = TrialState.COMPLETE, None
        try:
            with self._beating(trial.number):
                value = _read_score(self.objective(candidate, report))
        except optuna.TrialPruned:
            state = TrialState.PRUNED
        except NoFiniteScoreError:
            value = math.nan
        except BaseException as error:
            # what went wrong first is what a person needs to see
            with contextlib.suppress(ExperimentError):
                self._end(trial, TrialState.FAIL)
            if isinstance(error, ExperimentError):
                raise ExperimentError(f"trial {slot} of the search ({shown}): {error}", status=error.status) from error
            error.add_note(f"This was trial {slot} of the search, with {shown}.")
            raise
        if value is None:
            ended, line = self._end(trial, state), f"pruned, with {shown}"
        elif math.isfinite(value):
            ended, line = self._end(trial, state, value), f"{value:.6g} with {shown}"
        else:
            ended = self._end(trial, TrialState.FAIL, ended=NOT_FINITE)
            line = f"failed, its score is not a finite number, with {shown}"
        self.say(
            f"trial {slot}: {line if ended else 'taken for dead by another worker while it ran; it does not count'}"
        )

    def _draw(self, trial: optuna.Trial, seed: int) -> dict[str, Any]:
        """The values of a trial.

        Each slot has a sampler of its own: one `TPESampler(seed)` would repeat its first draws when the search is
        started again, and two workers would draw alike. Both options are given because their defaults changed in
        Optuna 5; running trials must not count, or draws would depend on which workers are busy.
        """
        self.study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False, constant_liar=False)
        with self.storage.faults():
            return {parameter.key: _draw_one(trial, parameter) for parameter in self.settings.space.parameters}

    def _end(
        self, trial: optuna.Trial, state: TrialState, value: float | None = None, ended: str | None = None
    ) -> bool:
        """Ends a trial; whether it ended so, and not as one that another worker took for dead."""
        with self.storage.faults():
            # another worker may have ended it
            with contextlib.suppress(RuntimeError):
                if ended is not None:
                    trial.set_user_attr("ended", ended)
            return self.study.tell(trial.number, value, state=state, skip_if_finished=True).state == state

    @contextlib.contextmanager
    def _beating(self, number: int) -> Iterator[None]:
        """Notes again and again, for other machines, that the worker of a trial lives."""
        ended = threading.Event()
        identity = self._identity(number)

        def beat() -> None:
            while not ended.wait(HEARTBEAT_SECONDS):
                # the next beat may get through; a storage that is gone shows when the trial is told
                with contextlib.suppress(Exception):
                    self.storage.backend.record_heartbeat(identity)

        thread = threading.Thread(target=beat, name="heartbeat of the search", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def mix_seed(*parts: object) -> int:
    """A seed from 0 to 2**32 - 1 that differs where any part does; the same in every process."""
    return random.Random(" ".join(map(str, parts))).getrandbits(32)


def show_values(values: Mapping[str, Any]) -> str:
    """Values short enough for a line: the last part of each key where that is unmistakable."""
    short = [key.split(".")[-1] for key in values]
    names = [last if short.count(last) == 1 else key for last, key in zip(short, values, strict=True)]
    texts = [f"{value:.6g}" if isinstance(value, float) else str(value) for value in values.values()]
    return ", ".join(f"{name}={text}" for name, text in zip(names, texts, strict=True))


def _draw_one(trial: optuna.Trial, parameter: Parameter) -> Any:
    if parameter.kind == "categorical":
        return trial.suggest_categorical(parameter.key, parameter.choices)
    if parameter.kind == "int":
        low, high, step = int(parameter.low), int(parameter.high), int(parameter.step or 1)
        return trial.suggest_int(parameter.key, low, high, step=step, log=parameter.log)
    return trial.suggest_float(parameter.key, parameter.low, parameter.high, step=parameter.step, log=parameter.log)


def _read_score(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # whatever the objective gave
    except (TypeError, ValueError) as error:
        raise ExperimentError(f"the objective returned {value!r}: return the score, one number") from error
