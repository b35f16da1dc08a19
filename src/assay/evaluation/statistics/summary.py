"""Describes the values of one run over its seeds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from assay.evaluation.statistics.significance import named


@dataclass(frozen=True)
class Summary:
    """Location and spread of values over seeds.

    Attributes:
        n: Number of values, the ones that are not finite included.
        mean: Arithmetic mean.
        std: Standard deviation with n - 1 in the denominator; None for one value.
        median: Median.
        quartile_1: First quartile, with linear interpolation.
        quartile_3: Third quartile, with linear interpolation.
        iqr: Third minus first quartile.
        minimum: The smallest value.
        maximum: The largest value.
        not_finite: Seeds whose value is not finite; where there is one, all numbers above are None.
        reason: Why numbers are missing; None where none is.
    """

    n: int
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    quartile_1: float | None = None
    quartile_3: float | None = None
    iqr: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    not_finite: tuple[int, ...] = ()
    reason: str | None = None


def summarize(values: Mapping[int, float]) -> Summary:
    """Describes values over seeds.

    Args:
        values: Value by seed.

    Returns:
        The description. A value that is not finite is never left out: there are no numbers then, and a reason.
    """
    not_finite = tuple(sorted(seed for seed, value in values.items() if not np.isfinite(value)))
    if not values:
        return Summary(0, reason="There are no values.")
    if not_finite:
        reason = f"{len(not_finite)} of {len(values)} values are not finite ({named(not_finite)})."
        return Summary(len(values), not_finite=not_finite, reason=reason)
    listed = list(values.values())
    array = np.array(listed, dtype=np.float64)
    first, median, third = (float(quantile) for quantile in np.quantile(array, [0.25, 0.5, 0.75]))
    return Summary(
        n=len(array),
        mean=statistics.fmean(listed),
        std=statistics.stdev(listed) if len(listed) > 1 else None,
        median=median,
        quartile_1=first,
        quartile_3=third,
        iqr=third - first,
        minimum=float(np.min(array)),
        maximum=float(np.max(array)),
        reason=None if len(array) > 1 else "One value has no standard deviation.",
    )
