"""Seconds that count while a stopwatch runs, and go on from what an earlier attempt had counted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class Stopwatch:
    """Counts seconds from its making, without the time it is paused.

    A clock that jumps back (a suspended virtual machine, a wall clock set anew) takes nothing away: the jump counts as
    nothing, and what follows counts again.

    Args:
        clock: Gives seconds; only differences matter.
        already: Seconds counted before, by an earlier attempt; 0 or more.

    Raises:
        ValueError: `already` is negative or not finite.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, already: float = 0.0) -> None:
        if not math.isfinite(already) or already < 0:
            raise ValueError(f"already must be a number of seconds, 0 or more, not {already!r}")
        self._clock = clock
        self._counted = float(already)
        self._since: float | None = clock()
        self._latest = self._since

    @property
    def running(self) -> bool:
        """Whether time counts now."""
        return self._since is not None

    @property
    def seconds(self) -> float:
        """Seconds counted so far, those before this stopwatch was made included. Never falls."""
        if self._since is None:
            return self._counted
        now = self._clock()
        if now < self._latest:
            self._counted += self._latest - self._since
            self._since = now
        self._latest = now
        return self._counted + (now - self._since)

    def pause(self) -> None:
        """Stops counting. Does nothing where it is paused already."""
        self._counted = self.seconds
        self._since = None

    def resume(self) -> None:
        """Goes on counting. Does nothing where it runs already."""
        if self._since is None:
            self._since = self._latest = self._clock()
