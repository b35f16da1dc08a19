"""Times to a target, where some seeds never get there within the time they had."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay.evaluation.statistics.paired import sign_flip_test, signed_rank_test
from assay.evaluation.statistics.pairs import pair
from assay.evaluation.statistics.significance import Alternative, Significance, least, named

Direction = Literal["maximize", "minimize"]
# survival is a product of fractions; a half may come out as 0.5000000000000001
_HALF = 0.5 + 1e-12
# ten seeds against ten
_ALL_DIVISIONS = 200_000


@dataclass(frozen=True)
class TimeToTarget:
    """When one seed reached a target.

    Attributes:
        time: The first time at which it had, or, where it never did, the last time at which it was looked at.
        reached: Whether it did. Where not, the time is right-censored: the target lies beyond it.
        not_finite: Number of scores up to `time` that are not finite; these reach no target.
    """

    time: float
    reached: bool
    not_finite: int = 0


@dataclass(frozen=True)
class Survival:
    """Kaplan-Meier estimate of the share of seeds that have not reached the target yet.

    Attributes:
        times: Distinct times in ascending order, censored ones included, shape (times,).
        survival: Share at and after each of `times`, up to the next one, shape (times,); 1 before the first time.
        median: The first time at which at most half of the seeds are left; None where more than half are at the end.
        n: Number of seeds.
        reached: Number of seeds that reached the target.
    """

    times: NDArray[np.float64]
    survival: NDArray[np.float64]
    median: float | None
    n: int
    reached: int


def time_to_target(
    times: Sequence[float], scores: Sequence[float], target: float, direction: Direction
) -> TimeToTarget:
    """The first time at which a score reaches a target.

    Args:
        times: Times of the scores, not descending, at least one.
        scores: Scores, as many. A score that is not finite reaches no target.
        target: The score to reach; reaching it exactly counts.
        direction: `maximize`: a score reaches the target from below; `minimize`: from above.

    Returns:
        The time, or the last time as a censored one.

    Raises:
        ValueError: There is no point, the lengths differ, a time is not finite, or times descend.
    """
    t, s = np.asarray(times, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if direction not in ("maximize", "minimize"):
        raise ValueError(f"the direction is maximize or minimize, not {direction!r}")
    if t.ndim != 1 or t.shape != s.shape or len(t) == 0:
        raise ValueError(
            f"times and scores are two lists of equal length, at least one point; not {t.shape}, {s.shape}"
        )
    if not np.all(np.isfinite(t)) or np.any(np.diff(t) < 0):
        raise ValueError("times are finite and do not descend")
    there = np.isfinite(s) & ((s >= target) if direction == "maximize" else (s <= target))
    reached = bool(np.any(there))
    last = int(np.argmax(there)) if reached else len(t) - 1
    return TimeToTarget(float(t[last]), reached, int(np.sum(~np.isfinite(s[: last + 1]))))


def survival(times: Mapping[int, TimeToTarget]) -> Survival:
    """Kaplan-Meier estimate over seeds (Kaplan and Meier 1958, "Nonparametric estimation").

    Args:
        times: Time by seed, at least one.

    Returns:
        The estimate.

    Raises:
        ValueError: There is no seed.
    """
    from scipy import stats  # type: ignore[import-untyped]

    if not times:
        raise ValueError("a survival curve needs at least one seed")
    function = stats.ecdf(_censored_data(times.values())).sf
    low = np.flatnonzero(function.probabilities <= _HALF)
    return Survival(
        times=np.asarray(function.quantiles, dtype=np.float64),
        survival=np.asarray(function.probabilities, dtype=np.float64),
        median=float(function.quantiles[low[0]]) if len(low) else None,
        n=len(times),
        reached=sum(time.reached for time in times.values()),
    )


def resampled_medians(times: Sequence[TimeToTarget], drawn: NDArray[Any]) -> NDArray[np.float64]:
    """Kaplan-Meier medians of many samples of the same seeds, for the bootstrap.

    Args:
        times: Time of every seed, shape (seeds,).
        drawn: Indices of the seeds in each sample, shape (..., size).

    Returns:
        The medians, shape (...); infinity where a sample does not reach its median.
    """
    t = np.array([time.time for time in times])
    event = np.array([time.reached for time in times])
    # at equal times, seeds that reach the target come before the censored ones, which were still at risk
    order = np.lexsort((~event, t))
    t, event = t[order], event[order]
    weight = np.sum(drawn[..., :, np.newaxis] == order, axis=-2)
    at_risk = np.flip(np.cumsum(np.flip(weight, -1), axis=-1), -1)
    left = np.cumprod(1 - np.where(at_risk > 0, weight * event / np.maximum(at_risk, 1), 0), axis=-1)
    crossed = left <= _HALF
    return np.where(np.any(crossed, axis=-1), t[np.argmax(crossed, axis=-1)], np.inf)


def log_rank(
    first: Mapping[int, TimeToTarget],
    second: Mapping[int, TimeToTarget],
    *,
    alternative: Alternative = "two-sided",
) -> Significance:
    """Log-rank test of two groups of seeds, which need not be paired (Mantel 1966; SciPy's `logrank`).

    The normal approximation finds differences too often in small groups: three seeds against three that are all faster
    come out at 0.025, although every tenth division of the six is as extreme. Where all divisions into groups of these
    sizes can be enumerated, the p-value is therefore their share with a difference between observed and expected
    arrivals at least as large (Peto and Peto 1972, "Asymptotically efficient rank invariant test procedures"). This
    takes for granted that seeds of both groups are given up alike, for example after as many epochs.

    Args:
        first: Time by seed.
        second: Time by seed.
        alternative: `greater` asks whether the first group's times are longer.

    Returns:
        The outcome. The statistic is a standard normal deviate, positive where the first group takes longer; `n` is
        the size of the smaller group. No test is possible where a group has fewer than two seeds, nobody reaches the
        target, or no time at which it is reached can tell the groups apart.
    """
    from scipy import stats

    smaller = min(len(first), len(second))
    reason = None
    if smaller < 2:
        reason = "A group has fewer than two seeds."
    elif not any(time.reached for time in (*first.values(), *second.values())):
        reason = "No seed of either group reached the target."
    z = p = np.nan
    if reason is None:
        # SciPy speaks of failure rates, which are lower where times are longer
        turned = {"two-sided": "two-sided", "greater": "less", "less": "greater"}[alternative]
        with np.errstate(all="ignore"):
            outcome = stats.logrank(_censored_data(first.values()), _censored_data(second.values()), alternative=turned)
        z, p = -float(outcome.statistic), float(outcome.pvalue)
        if not np.isfinite(z):
            reason = (
                "At no time at which a target was reached were both groups at risk, or all seeds reached it together."
            )
    if reason is not None:
        return Significance("logrank", None, smaller, None, None, reason, alternative=alternative)
    method = "normal approximation"
    divisions = math.comb(len(first) + len(second), smaller)
    if divisions <= _ALL_DIVISIONS:
        method, p = "exact, all divisions into groups", _share_of_divisions(first, second, alternative)
    return Significance(
        test="logrank",
        method=method,
        n=smaller,
        statistic=z,
        p_value=p,
        reason=None,
        sign=int(np.sign(z)),
        alternative=alternative,
        least_p_value=least(divisions, alternative),
    )


def _share_of_divisions(
    first: Mapping[int, TimeToTarget], second: Mapping[int, TimeToTarget], alternative: Alternative
) -> float:
    """Share of all divisions into two groups of these sizes that are as extreme as the given one."""
    times = [*first.values(), *second.values()]
    t, reached = np.array([time.time for time in times]), np.array([time.reached for time in times])
    arrivals = np.unique(t[reached])
    hazards = [np.sum(reached & (t == at)) / np.sum(t >= at) for at in arrivals]
    # expected minus observed arrivals of each seed: the sum over a group is larger where it takes longer
    scores = np.concatenate(([0.0], np.cumsum(hazards)))[np.searchsorted(arrivals, t, side="right")] - reached
    divisions = np.array(list(itertools.combinations(range(len(times)), len(first))))
    sums, given = np.sum(scores[divisions], axis=1), np.sum(scores[: len(first)])
    noise = 1e-9 * np.sum(np.abs(scores))
    longer, shorter = float(np.mean(sums >= given - noise)), float(np.mean(sums <= given + noise))
    return {"greater": longer, "less": shorter, "two-sided": min(1.0, 2 * min(longer, shorter))}[alternative]


def censored_paired(
    first: Mapping[int, TimeToTarget],
    second: Mapping[int, TimeToTarget],
    *,
    test: Literal["wilcoxon", "permutation"] = "wilcoxon",
    alternative: Alternative = "two-sided",
    seed: int = 0,
) -> Significance:
    """Paired test over the shared seeds in which seeds that never reach the target rank last.

    A pair in which one run reaches the target and the other does not ranks above all pairs in which both do, and equal
    to others of its kind; a pair in which neither does is a tie. The permutation test flips the signs of the
    differences where nobody is censored, and otherwise those of their ranks, because a censored difference has a
    rank but no size.

    Args:
        first: Time by seed.
        second: Time by seed.
        test: Which test is applied to the differences, or ranks.
        alternative: `greater` asks whether the first group's times are longer.
        seed: Seed of the permutation test's random flips.

    Returns:
        The outcome. No test is possible where a run reaches the target later than the time at which its partner was
        given up, because it is not known then which of them is faster.
    """
    from scipy import stats

    unpaired = tuple(sorted(first.keys() ^ second.keys()))
    shared = tuple(sorted(first.keys() & second.keys()))
    unordered = tuple(s for s in shared if _unordered(first[s], second[s]) or _unordered(second[s], first[s]))
    reason = None
    if not shared:
        reason = "The two groups share no seed."
    elif unordered:
        reason = (
            f"At {named(unordered)}, one run reached the target after the other had been given up, so that it is not "
            "known which is faster."
        )
    elif not any(first[s].reached or second[s].reached for s in shared):
        reason = "No seed of either group reached the target."
    if reason is not None:
        return Significance(test, None, len(shared), None, None, reason, alternative=alternative, unpaired=unpaired)
    differences = censored_differences(first, second)
    if test == "wilcoxon":
        outcome = signed_rank_test(differences, alternative)
    elif all(first[s].reached and second[s].reached for s in shared):
        outcome = sign_flip_test(differences, alternative, seed=seed)
    else:
        present = differences != 0
        ranks = np.zeros(len(differences))
        ranks[present] = np.sign(differences[present]) * stats.rankdata(np.abs(differences[present]))
        outcome = sign_flip_test(ranks, alternative, seed=seed)
        if outcome.method is not None:
            outcome = replace(outcome, method=f"{outcome.method}, of ranks because of censored times")
    return replace(outcome, unpaired=unpaired)


def censored_differences(first: Mapping[int, TimeToTarget], second: Mapping[int, TimeToTarget]) -> NDArray[np.float64]:
    """Differences of times, first minus second, whose ranks are right although some times are censored.

    Args:
        first: Time by seed.
        second: Time by seed.

    Returns:
        One difference per shared seed, in ascending order: the true one where both reach the target, zero where
        neither does, and otherwise one number, with its sign, that is larger than all true ones.
    """
    shared = sorted(first.keys() & second.keys())
    both = [s for s in shared if first[s].reached and second[s].reached]
    true = pair({s: first[s].time for s in both}, {s: second[s].time for s in both}).differences
    known = dict(zip(both, true.tolist(), strict=True))
    beyond = 2 * max((abs(value) for value in known.values()), default=0.0) + 1.0
    return np.array([known.get(s, beyond * (int(second[s].reached) - int(first[s].reached))) for s in shared])


def _unordered(given_up: TimeToTarget, other: TimeToTarget) -> bool:
    return not given_up.reached and other.reached and other.time > given_up.time


def _censored_data(times: Iterable[TimeToTarget]) -> Any:
    from scipy import stats

    listed = list(times)
    return stats.CensoredData.right_censored([time.time for time in listed], [not time.reached for time in listed])
