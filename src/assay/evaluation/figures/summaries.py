"""Means and spreads that figures draw."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping

from assay.evaluation.records import Curve, one_value_a_position
from assay.evaluation.statistics import mean_curve


def finite(values: Iterable[float | None]) -> list[float]:
    """The values that can be drawn."""
    return [value for value in values if value is not None and math.isfinite(value)]


def spread(values: Iterable[float]) -> float:
    """Sample standard deviation (n - 1) of the finite values; not a number for fewer than two."""
    kept = finite(values)
    return statistics.stdev(kept) if len(kept) > 1 else math.nan


def mean_and_spread(curves: Mapping[int, Curve]) -> tuple[list[float], list[float], list[float]]:
    """Mean and sample standard deviation over seeds, at every position of any seed.

    Args:
        curves: By seed; values logged more than once at a position are averaged first.

    Returns:
        Positions, means and deviations (not a number for one seed). A seed that stops early keeps its last value.
    """
    usable = {seed: one_value_a_position(curve) for seed, curve in curves.items() if curve[0]}
    if not usable:
        return [], [], []
    mean = mean_curve(usable)
    spreads = [math.nan] * len(mean.grid) if mean.std is None else mean.std.tolist()
    return mean.grid.tolist(), mean.mean.tolist(), spreads
