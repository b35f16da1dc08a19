"""Values of two runs, put side by side by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.evaluation.statistics.significance import named

_DIGITS = 12


@dataclass(frozen=True)
class Pairs:
    """Values of two groups over the seeds that both have.

    Attributes:
        seeds: The shared seeds in ascending order.
        first: Values of the first group, one per shared seed.
        second: Values of the second group, one per shared seed.
        unpaired: Seeds that only one of the groups has, in ascending order.
    """

    seeds: tuple[int, ...]
    first: NDArray[np.float64]
    second: NDArray[np.float64]
    unpaired: tuple[int, ...]

    @property
    def not_finite(self) -> tuple[int, ...]:
        """Shared seeds at which a value is not a number or infinite."""
        finite = np.isfinite(self.first) & np.isfinite(self.second)
        return tuple(seed for seed, good in zip(self.seeds, finite, strict=True) if not good)

    @property
    def differences(self) -> NDArray[np.float64]:
        """First minus second, in the order of `seeds`, without the noise of binary fractions.

        Each difference is rounded to twelve significant digits of the larger value of its pair: 0.95 - 0.93 and
        0.91 - 0.89 are equal, so that ranks tie where the logged numbers do.
        """
        return np.array([_difference(a, b) for a, b in zip(self.first.tolist(), self.second.tolist(), strict=True)])

    @property
    def obstacle(self) -> str | None:
        """Why nothing can be said about the pairs at all, as a sentence; None where something can."""
        if not self.seeds:
            return "The two groups share no seed."
        if self.not_finite:
            return f"{len(self.not_finite)} of {len(self.seeds)} pairs are not finite ({named(self.not_finite)})."
        return None


def _difference(a: float, b: float) -> float:
    difference, scale = a - b, max(abs(a), abs(b))
    if not math.isfinite(scale) or scale == 0:
        return difference
    return round(difference, _DIGITS - math.ceil(math.log10(scale)))


def pair(first: Mapping[int, float], second: Mapping[int, float]) -> Pairs:
    """Puts the values of two groups side by side.

    Args:
        first: Value by seed.
        second: Value by seed.

    Returns:
        The pairs over the shared seeds, and the seeds that have no partner.
    """
    shared = tuple(sorted(first.keys() & second.keys()))
    return Pairs(
        seeds=shared,
        first=np.array([first[seed] for seed in shared], dtype=np.float64),
        second=np.array([second[seed] for seed in shared], dtype=np.float64),
        unpaired=tuple(sorted(first.keys() ^ second.keys())),
    )
