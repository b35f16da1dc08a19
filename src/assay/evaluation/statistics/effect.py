"""How large the difference between two runs is over the seeds that they share, and how certain that is."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay.evaluation.statistics.pairs import pair

Array = NDArray[Any]
Measure = Literal["mean_difference", "median_difference"]


@dataclass(frozen=True)
class Effect:
    """Effect sizes of a first group against a second; differences are first minus second.

    Attributes:
        n: Number of pairs.
        mean_difference: Mean of the paired differences.
        median_difference: Median of the paired differences.
        cohens_dz: Mean difference over the standard deviation of the differences (Cohen 1988, "Statistical power
            analysis", d'z), without a correction for few pairs.
        rank_biserial: Matched-pairs rank-biserial correlation, (R+ - R-) / (R+ + R-) with R the sums of the ranks of
            the absolute differences, zeros left out (Kerby 2014, "The simple difference formula"); in [-1, 1].
        cliffs_delta: P(first > second) - P(first < second) over all pairs of values, ignoring the pairing (Cliff 1993,
            "Dominance statistics"); in [-1, 1].
        reasons: Why a number is None, by its name.
        unpaired: Seeds that only one group has, which are left out.
        not_finite: Shared seeds with a value that is not finite; where there is one, all numbers are None.
    """

    n: int
    mean_difference: float | None
    median_difference: float | None
    cohens_dz: float | None
    rank_biserial: float | None
    cliffs_delta: float | None
    reasons: Mapping[str, str]
    unpaired: tuple[int, ...]
    not_finite: tuple[int, ...]


@dataclass(frozen=True)
class Interval:
    """A bootstrap confidence interval.

    Attributes:
        low: Lower end; None where there is no interval.
        high: Upper end; None where there is no interval.
        confidence: The confidence level.
        method: `BCa` or `percentile`; None where there is no interval.
        reason: Why there is no interval, or why it is not BCa; None otherwise.
    """

    low: float | None
    high: float | None
    confidence: float
    method: str | None
    reason: str | None


def paired_effect(first: Mapping[int, float], second: Mapping[int, float]) -> Effect:
    """Effect sizes over the shared seeds.

    Args:
        first: Value by seed.
        second: Value by seed.

    Returns:
        The effect sizes; None, with a reason, where one is not defined.
    """
    pairs = pair(first, second)
    if pairs.obstacle is not None:
        names = (
            "mean_difference",
            "median_difference",
            "cohens_dz",
            "rank_biserial",
            "cliffs_delta",
        )
        reasons = dict.fromkeys(names, pairs.obstacle)
        return Effect(len(pairs.seeds), None, None, None, None, None, reasons, pairs.unpaired, pairs.not_finite)
    differences = pairs.differences
    reasons = {}
    dz = cohens_dz(differences)
    if dz is None:
        reasons["cohens_dz"] = (
            "One pair has no standard deviation." if len(differences) == 1 else "All differences are equal."
        )
    biserial = rank_biserial(differences)
    if biserial is None:
        reasons["rank_biserial"] = "All differences are zero."
    return Effect(
        n=len(differences),
        mean_difference=float(np.mean(differences)),
        median_difference=float(np.median(differences)),
        cohens_dz=dz,
        rank_biserial=biserial,
        cliffs_delta=float(np.mean(np.sign(np.subtract.outer(pairs.first, pairs.second)))),
        reasons=reasons,
        unpaired=pairs.unpaired,
        not_finite=(),
    )


def cohens_dz(differences: NDArray[np.float64]) -> float | None:
    """Mean of differences over their standard deviation (n - 1); None where that is zero or not defined."""
    if len(differences) < 2 or np.all(differences == differences[0]):
        return None
    # exact also where squares of tiny differences are no longer numbers
    values: list[float] = differences.tolist()
    return statistics.fmean(values) / statistics.stdev(values)


def rank_biserial(differences: NDArray[np.float64]) -> float | None:
    """Matched-pairs rank-biserial correlation of differences, shape (pairs,); None where all of them are zero."""
    from scipy import stats  # type: ignore[import-untyped]

    ranked = differences[differences != 0]
    if len(ranked) == 0:
        return None
    ranks = stats.rankdata(np.abs(ranked))
    return float(np.sum(np.sign(ranked) * ranks) / np.sum(ranks))


def bootstrap_interval(
    first: Mapping[int, float],
    second: Mapping[int, float],
    measure: Measure,
    *,
    confidence: float = 0.95,
    resamples: int = 9_999,
    seed: int = 0,
) -> Interval:
    """Confidence interval of an effect size; pairs are drawn with replacement.

    Args:
        first: Value by seed.
        second: Value by seed.
        measure: The effect size, as in `Effect`.
        confidence: Confidence level in (0, 1).
        resamples: Number of bootstrap samples.
        seed: Seed of the drawing.

    Returns:
        The interval, or why there is none.
    """
    pairs = pair(first, second)
    if pairs.obstacle is not None:
        return Interval(None, None, confidence, None, pairs.obstacle)
    differences = pairs.differences
    formulas: dict[str, Callable[[Array], Array]] = {
        "mean_difference": lambda drawn: np.mean(differences[drawn], axis=-1),
        "median_difference": lambda drawn: np.median(differences[drawn], axis=-1),
    }
    return interval_over_pairs(
        formulas[measure], len(pairs.seeds), confidence=confidence, resamples=resamples, seed=seed
    )


def interval_over_pairs(
    statistic: Callable[[Array], Array],
    n: int,
    *,
    confidence: float = 0.95,
    resamples: int = 9_999,
    seed: int = 0,
) -> Interval:
    """Confidence interval of any statistic of pairs: BCa (Efron 1987), or percentiles where BCa is not defined.

    Samples of the pairs never reach beyond the pairs themselves. A median lies outside all of n symmetric differences
    with a probability of 2 / 2^n, so that no such interval can hold it in 95 % of cases before there are six pairs.

    Args:
        statistic: Takes indices of drawn pairs, shape (samples, pairs), and gives the statistic, shape (samples,): not
            a number where it is not defined; it may be infinite, as order is what counts.
        n: Number of pairs.
        confidence: Confidence level in (0, 1).
        resamples: Number of bootstrap samples.
        seed: Seed of the drawing.

    Returns:
        The interval, or why there is none: too few pairs for the confidence level, samples on which the statistic is
        not defined, or samples that all give the same value.
    """
    from scipy import stats

    fewest = max(2, math.ceil(1 - math.log2(1 - confidence) - 1e-9))
    if n < fewest:
        reason = f"A bootstrap interval of {confidence:.0%} needs at least {fewest} pairs."
        return Interval(None, None, confidence, None, reason)

    def of_drawn(drawn: Array, axis: int = -1) -> Array:
        return statistic(np.moveaxis(drawn, axis, -1))

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # degenerate data are told in words, by the method that the interval names
        warnings.simplefilter("ignore")
        outcome = stats.bootstrap(
            (np.arange(n),),
            of_drawn,
            n_resamples=resamples,
            confidence_level=confidence,
            method="BCa",
            vectorized=True,
            batch=2048,
            rng=np.random.default_rng(seed),
        )
        if np.any(np.isnan(outcome.bootstrap_distribution)):
            reason = "The statistic is not defined on some of the bootstrap samples."
            return Interval(None, None, confidence, None, reason)
        lowest, highest = np.min(outcome.bootstrap_distribution), np.max(outcome.bootstrap_distribution)
        if np.isclose(lowest, highest, rtol=1e-12, atol=0):
            reason = "All bootstrap samples give the same value, which says nothing about its uncertainty."
            return Interval(None, None, confidence, None, reason)
        low, high = outcome.confidence_interval
        if np.isfinite(low) and np.isfinite(high):
            return Interval(float(low), float(high), confidence, "BCa", None)
        outcome = stats.bootstrap(
            (np.arange(n),),
            of_drawn,
            n_resamples=0,
            bootstrap_result=outcome,
            confidence_level=confidence,
            method="percentile",
            vectorized=True,
        )
    low, high = outcome.confidence_interval
    if not (np.isfinite(low) and np.isfinite(high)):
        return Interval(None, None, confidence, None, "An end of the interval is infinite.")
    return Interval(float(low), float(high), confidence, "percentile", "BCa is not defined on degenerate data.")
