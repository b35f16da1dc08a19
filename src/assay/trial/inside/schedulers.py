"""Learning-rate schedulers: whether one is stepped before its optimizer ever was."""

from __future__ import annotations

import functools
import threading
import weakref
from types import ModuleType
from typing import Any

from . import events, optimizers

# Steps of a scheduler that are told one by one, after which only powers of two are.
TOLD = 5

_counts: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
_inside = threading.local()


def install(torch: ModuleType) -> None:
    """Watch `step` of every scheduler that torch defines; others come to it through `super().step()`."""
    from torch.optim import lr_scheduler

    if hasattr(lr_scheduler.ReduceLROnPlateau.step, "__wrapped__"):
        return
    base = getattr(lr_scheduler, "LRScheduler", None) or lr_scheduler._LRScheduler
    plateau = lr_scheduler.ReduceLROnPlateau
    classes = {base, plateau}
    for value in vars(lr_scheduler).values():
        if isinstance(value, type) and issubclass(value, (base, plateau)):
            classes.add(value)
    for cls in classes:
        if "step" in vars(cls):
            _wrap(cls)


def _wrap(cls: Any) -> None:
    step = cls.step

    @functools.wraps(step)
    def stepped(self: Any, *args: Any, **keywords: Any) -> Any:
        # a chained or derived scheduler calls others, which the program did not
        if getattr(_inside, "deep", False):
            return step(self, *args, **keywords)
        _look(self)
        _inside.deep = True
        try:
            return step(self, *args, **keywords)
        finally:
            _inside.deep = False

    cls.step = stepped


@events.guarded
def _look(scheduler: Any) -> None:
    if _being_made(scheduler):
        return
    n = _counts.get(scheduler, 0) + 1
    _counts[scheduler] = n
    if n > TOLD and n & (n - 1):
        return
    optimizer = getattr(scheduler, "optimizer", None)
    # accelerate and others wrap the optimizer that does the work
    while (
        optimizer is not None
        and not hasattr(optimizer, "_optimizer_step_pre_hooks")
        and hasattr(optimizer, "optimizer")
    ):
        optimizer = optimizer.optimizer
    before = False
    if optimizer is not None:
        known = optimizers.record(optimizer)
        # a step that a gradient scaler left out was asked for in the right order
        before = known.steps + known.skipped == 0
    events.emit(
        "scheduler",
        op="step",
        cls=type(scheduler).__name__,
        n=n,
        before_optimizer=before,
        frames=events.own_frames(),
    )


def _being_made(scheduler: Any) -> bool:
    # LRScheduler.__init__ takes a first step itself: `_initial_step` sets the count to 0 before it
    return getattr(scheduler, "_step_count", 1) == 0
