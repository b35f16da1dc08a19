"""Tests whether two runs differ over the seeds that they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assay.evaluation.statistics.pairs import Pairs, pair
from assay.evaluation.statistics.significance import Alternative, Significance, least

# SciPy's own limits (scipy.stats.wilcoxon, method="auto"): the exact distribution knows no ties; with ties all signs
# are tried out while there are few
_EXACT_WITHOUT_TIES = 50
_EXACT_WITH_TIES = 13
_ALL_SIGN_FLIPS = 2**16


def paired_wilcoxon(
    first: Mapping[int, float], second: Mapping[int, float], *, alternative: Alternative = "two-sided"
) -> Significance:
    """Wilcoxon's signed-rank test over the shared seeds.

    Pairs without a difference are left out of the ranks, as in Wilcoxon (1945, "Individual comparisons by ranking
    methods"), and counted in `zeros`. The p-value is exact up to 50 differences without ties and up to 13 with
    ties, otherwise it is the normal approximation; `method` says which.

    Args:
        first: Value by seed.
        second: Value by seed.
        alternative: `greater` asks whether the first group's values are greater.

    Returns:
        The outcome. The statistic is the smaller rank sum, or, for a one-sided alternative, the rank sum of the
        positive differences, as in SciPy.
    """
    pairs = pair(first, second)
    return _over(pairs, "wilcoxon", alternative, lambda: signed_rank_test(pairs.differences, alternative))


def paired_permutation(
    first: Mapping[int, float],
    second: Mapping[int, float],
    *,
    alternative: Alternative = "two-sided",
    resamples: int = 99_999,
    seed: int = 0,
) -> Significance:
    """Sign-flip permutation test of the mean difference over the shared seeds.

    Where the runs do not differ, every difference could as well have the other sign (Fisher 1935, "The design of
    experiments", section 21). Up to 16 pairs all flips are enumerated, and beyond that where `resamples` are as many;
    otherwise that many random ones are drawn. `method` says which. Pairs without a difference stay in; flipping them
    changes nothing.

    Args:
        first: Value by seed.
        second: Value by seed.
        alternative: `greater` asks whether the first group's values are greater.
        resamples: Number of random flips where not all are enumerated.
        seed: Seed of the random flips.

    Returns:
        The outcome. The statistic is the mean difference, first minus second.
    """
    pairs = pair(first, second)
    return _over(
        pairs,
        "permutation",
        alternative,
        lambda: sign_flip_test(pairs.differences, alternative, resamples=resamples, seed=seed),
    )


def signed_rank_test(differences: NDArray[np.float64], alternative: Alternative = "two-sided") -> Significance:
    """Wilcoxon's signed-rank test on differences that are there already; see `paired_wilcoxon`.

    Args:
        differences: Finite differences, shape (pairs,).
        alternative: `greater` asks whether the differences tend to be positive.

    Returns:
        The outcome.
    """
    from scipy import stats  # type: ignore[import-untyped]

    unable = _unable("wilcoxon", differences, alternative)
    if unable is not None:
        return unable
    ranked = differences[differences != 0]
    tied = len(np.unique(np.abs(ranked))) < len(ranked)
    if not tied and len(ranked) <= _EXACT_WITHOUT_TIES:
        how, method = "exact", "exact"
    elif tied and len(ranked) <= _EXACT_WITH_TIES:
        how, method = stats.PermutationMethod(n_resamples=2 ** len(ranked)), "exact, all signs of tied ranks"
    else:
        how, method = "asymptotic", "normal approximation"
    outcome = stats.wilcoxon(ranked, alternative=alternative, method=how)
    ranks = stats.rankdata(np.abs(ranked))
    return Significance(
        test="wilcoxon",
        method=method,
        n=len(differences),
        statistic=float(outcome.statistic),
        p_value=float(outcome.pvalue),
        reason=None,
        sign=int(np.sign(np.sum(np.sign(ranked) * ranks))),
        alternative=alternative,
        least_p_value=least(2 ** len(differences), alternative),
        zeros=len(differences) - len(ranked),
    )


def sign_flip_test(
    differences: NDArray[np.float64],
    alternative: Alternative = "two-sided",
    *,
    resamples: int = 99_999,
    seed: int = 0,
) -> Significance:
    """Sign-flip permutation test on differences that are there already; see `paired_permutation`.

    Args:
        differences: Finite differences, shape (pairs,).
        alternative: `greater` asks whether the mean difference is positive.
        resamples: Number of random flips where not all are enumerated.
        seed: Seed of the random flips.

    Returns:
        The outcome.
    """
    from scipy import stats

    unable = _unable("permutation", differences, alternative)
    if unable is not None:
        return unable
    flips = 2 ** len(differences)
    every = flips <= max(_ALL_SIGN_FLIPS, resamples)
    outcome = stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        alternative=alternative,
        n_resamples=flips if every else resamples,
        batch=4096,
        rng=np.random.default_rng(seed),
    )
    return Significance(
        test="permutation",
        method="exact, all sign flips" if every else f"Monte Carlo, {resamples} sign flips, seed {seed}",
        n=len(differences),
        statistic=float(outcome.statistic),
        p_value=float(outcome.pvalue),
        reason=None,
        sign=int(np.sign(outcome.statistic)),
        alternative=alternative,
        least_p_value=least(flips, alternative),
        zeros=int(np.sum(differences == 0)),
    )


def _unable(test: str, differences: NDArray[np.float64], alternative: Alternative) -> Significance | None:
    reason = None
    if len(differences) == 0:
        reason = "There is no pair."
    elif not np.all(np.isfinite(differences)):
        reason = f"{int(np.sum(~np.isfinite(differences)))} of {len(differences)} differences are not finite."
    elif len(differences) == 1:
        reason = "There is one pair only; a test needs at least two."
    elif not np.any(differences):
        reason = "All differences are zero."
    if reason is None:
        return None
    zeros = int(np.sum(differences == 0))
    return Significance(test, None, len(differences), None, None, reason, alternative=alternative, zeros=zeros)


def _over(pairs: Pairs, test: str, alternative: Alternative, run: Callable[[], Significance]) -> Significance:
    if pairs.obstacle is None:
        outcome = run()
    else:
        outcome = Significance(test, None, len(pairs.seeds), None, None, pairs.obstacle, alternative=alternative)
    return replace(outcome, unpaired=pairs.unpaired, not_finite=pairs.not_finite)
