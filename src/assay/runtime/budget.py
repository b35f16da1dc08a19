"""A budget of seconds, of steps or of both, which a resumed run goes on spending where the killed one stopped."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from assay.runtime.errors import ExperimentError
from assay.runtime.stopwatch import Stopwatch

T = TypeVar("T")


class Spent(NamedTuple):
    """What was used of a budget: `seconds` and `steps`, each 0 or more."""

    seconds: float
    steps: int


class Left(NamedTuple):
    """What is left of a budget: `seconds` and `steps`, each 0 or more, None where that is not limited."""

    seconds: float | None
    steps: int | None


class Budget:
    """How long a training may go on: seconds on the clock, steps, or both, whichever ends first.

    Seconds count from the making of the budget, so make it just before the loop. Steps count when they are spent. The
    budget never interrupts anything: a step that began in time is finished, so the last one may end after the limit.

        budget = Budget(seconds=cfg.training.seconds)
        for inputs, labels in budget.until_spent(endless(loader)):
            rate = cfg.training.learning_rate * budget.fraction_left        # 1 at the first step
            ...
            with budget.not_counted():
                accuracy = evaluate(model, splits.validation)

    A state of the budget belongs in the checkpoint (`state_dict`, `load_state_dict`): the time between two attempts
    then does not count, and what a killed attempt had used since its last checkpoint is given back, as its steps are
    done again. In distributed training let one process decide: the clocks of two may disagree about the last step.

    Args:
        seconds: Limit in seconds, above 0; None for no limit.
        steps: Limit in steps, 1 or more; None for no limit.
        clock: Gives seconds; only differences matter.

    Raises:
        ExperimentError: Neither limit is given, or one is not of that kind.
    """

    def __init__(
        self,
        *,
        seconds: float | None = None,
        steps: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if seconds is None and steps is None:
            raise ExperimentError("a budget needs a limit: give seconds=, steps= or both", status=2)
        self._seconds_limit = None if seconds is None else _seconds(seconds, "the seconds of a budget", above_zero=True)
        self._steps_limit = None if steps is None else _steps(steps, "the steps of a budget", least=1)
        self._clock = clock
        self._watch = Stopwatch(clock)
        self._steps = 0

    @property
    def used(self) -> Spent:
        """Seconds and steps used so far, in earlier attempts too. May exceed the limits by the last step."""
        return Spent(self._watch.seconds, self._steps)

    @property
    def left(self) -> Left:
        """Seconds and steps left, never below 0; None for what is not limited."""
        used = self.used
        return Left(
            None if self._seconds_limit is None else max(0.0, self._seconds_limit - used.seconds),
            None if self._steps_limit is None else max(0, self._steps_limit - used.steps),
        )

    @property
    def fraction_left(self) -> float:
        """What share of the budget is left, from 1 down to 0: the smaller one where seconds and steps are limited."""
        left = self.left
        shares = []
        if left.seconds is not None and self._seconds_limit is not None:
            shares.append(left.seconds / self._seconds_limit)
        if left.steps is not None and self._steps_limit is not None:
            shares.append(left.steps / self._steps_limit)
        return min(shares)

    @property
    def exhausted(self) -> bool:
        """Whether a limit is reached."""
        left = self.left
        return left.seconds == 0 or left.steps == 0

    def spend(self, steps: int = 1) -> None:
        """Counts steps as done, also past the limit.

        Args:
            steps: How many, 0 or more.

        Raises:
            ExperimentError: It is not a whole number, or negative.
        """
        self._steps += _steps(steps, "the steps to spend", least=0)

    def until_spent(self, items: Iterable[T]) -> Iterator[T]:
        """Hands out items until they or the budget end; each one is a step.

        A step is spent when the loop's body is through with it, also where the body leaves the loop by `break`. No item
        is taken from `items` once the budget is exhausted.

        Args:
            items: What the loop goes over, a data loader for example; taken one at a time.

        Yields:
            The items, in their order.
        """
        following = iter(items)
        while not self.exhausted:
            try:
                item = next(following)
            except StopIteration:
                return
            try:
                yield item
            finally:
                self.spend()

    def pause(self) -> None:
        """Lets no time count until `resume`. Does nothing where it is paused already."""
        self._watch.pause()

    def resume(self) -> None:
        """Lets time count again. Does nothing where it counts already."""
        self._watch.resume()

    @contextmanager
    def not_counted(self) -> Iterator[None]:
        """Lets the time inside the block not count, for an evaluation that shall be free. May be nested."""
        counted = self._watch.running
        self._watch.pause()
        try:
            yield
        finally:
            if counted:
                self._watch.resume()

    def state_dict(self) -> dict[str, Any]:
        """What was used, for a checkpoint: `{"seconds": float, "steps": int}`. The limits are not part of it."""
        return {"seconds": self._watch.seconds, "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what was used according to a state; what this budget had counted before is forgotten.

        Args:
            state: What `state_dict` gave.

        Raises:
            ExperimentError: It is not such a state.
        """
        if set(state) != {"seconds", "steps"}:
            raise ExperimentError(
                f"the state of a budget has the keys seconds and steps, not {sorted(map(str, state))}"
            )
        seconds = _seconds(state["seconds"], "the seconds in the state of a budget", above_zero=False)
        steps = _steps(state["steps"], "the steps in the state of a budget", least=0)
        running = self._watch.running
        self._watch = Stopwatch(self._clock, seconds)
        if not running:
            self._watch.pause()
        self._steps = steps


def _seconds(value: Any, what: str, *, above_zero: bool) -> float:
    try:
        seconds = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0 or (above_zero and seconds == 0):
        bound = "above 0" if above_zero else "0 or more"
        raise ExperimentError(f"{what} must be a finite number {bound}, not {value!r}", status=2)
    return seconds


def _steps(value: Any, what: str, *, least: int) -> int:
    try:
        steps = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        steps = -1
    if steps < least:
        raise ExperimentError(f"{what} must be a whole number, {least} or more, not {value!r}", status=2)
    return steps
