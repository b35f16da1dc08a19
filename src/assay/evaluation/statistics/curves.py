"""Score curves over time, read as step functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = tuple[Sequence[float], Sequence[float]]


@dataclass(frozen=True)
class MeanCurve:
    """Mean and spread of curves over seeds on a common grid.

    Attributes:
        grid: All times of all seeds, shape (points,).
        mean: Mean over seeds, shape (points,).
        std: Standard deviation over seeds (n - 1), shape (points,); None for one seed.
        n: Number of seeds.
    """

    grid: NDArray[np.float64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64] | None
    n: int


def step_values(
    times: Sequence[float], scores: Sequence[float], at: Sequence[float] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """A curve's value at given times: the newest score logged at or before each.

    Args:
        times: Times of the scores, not descending, at least one. Of several scores at one time the last counts.
        scores: Scores, as many.
        at: Times to read at, shape (points,).

    Returns:
        The values, shape (points,). Before the first score the curve has that one, after the last it keeps it.

    Raises:
        ValueError: There is no point, the lengths differ, a time is not finite, or times descend.
    """
    t, s = _checked(times, scores)
    place = np.searchsorted(t, np.asarray(at, dtype=np.float64), side="right") - 1
    return s[np.maximum(place, 0)]


def area_under_curve(times: Sequence[float], scores: Sequence[float], *, budget: float) -> float:
    """Area under a score's step function from time 0 to a budget, divided by the budget: the mean score over time.

    The curve is right-continuous: it takes a score at the time at which it was logged and keeps it until the next
    one, and the last one until the budget. Before the first score it has that one. What was logged after the budget
    does not count.

    Args:
        times: Times of the scores, at least 0, not descending, at least one.
        scores: Scores, as many.
        budget: The end of the time that counts, above 0, in the unit of `times`.

    Returns:
        The area over the budget; not a number where a score that counts is not.

    Raises:
        ValueError: There is no point, the lengths differ, a time is negative or not finite, times descend, or the
            budget is not positive.
    """
    t, s = _checked(times, scores)
    if not (np.isfinite(budget) and budget > 0):
        raise ValueError(f"the budget is a positive time, not {budget}")
    if t[0] < 0:
        raise ValueError(f"times start at 0 or later, not at {t[0]}")
    inside = t < budget
    starts = np.concatenate(([0.0], t[inside]))
    widths = np.diff(np.concatenate((starts, [budget])))
    values = np.concatenate((s[:1], s[inside]))
    # a score that held for no time does not count, even where it is not finite
    return float(np.sum(values[widths > 0] * widths[widths > 0]) / budget)


def mean_curve(curves: Mapping[int, Curve]) -> MeanCurve:
    """Mean and spread over seeds of step functions.

    Args:
        curves: Times and scores by seed, as for `step_values`; at least one seed. A seed that stops early keeps its
            last score, and one that starts late has its first before.

    Returns:
        The mean and the spread at every time of any seed; not a number where a seed's score is not.

    Raises:
        ValueError: There is no seed, or a curve is not well-formed.
    """
    if not curves:
        raise ValueError("a mean curve needs at least one seed")
    checked = [_checked(times, scores) for times, scores in curves.values()]
    points = np.unique(np.concatenate([t for t, _ in checked]))
    values = np.stack([step_values(times, scores, points) for times, scores in curves.values()])
    std = np.std(values, axis=0, ddof=1) if len(values) > 1 else None
    return MeanCurve(grid=points, mean=np.mean(values, axis=0), std=std, n=len(values))


def _checked(times: Sequence[float], scores: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    t, s = np.asarray(times, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if t.ndim != 1 or t.shape != s.shape or len(t) == 0:
        raise ValueError(
            f"times and scores are two lists of equal length, at least one point; not {t.shape}, {s.shape}"
        )
    if not np.all(np.isfinite(t)) or np.any(np.diff(t) < 0):
        raise ValueError("times are finite and do not descend")
    return t, s
