"""Paired tests agree with SciPy and with counting by hand, and say why where no test is possible."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from assay.evaluation.statistics import pair, paired_permutation, paired_wilcoxon

TESTS = [paired_wilcoxon, paired_permutation]


def by_seed(values):
    return dict(enumerate(map(float, values)))


def sample(n, seed, decimals=None):
    """Two runs over n seeds; with few decimals, ties and zero differences appear."""
    generator = np.random.default_rng(seed)
    first, second = generator.normal(0.4, 1, n), generator.normal(0, 1, n)
    return (first, second) if decimals is None else (np.round(first, decimals), np.round(second, decimals))


def signed_rank_by_counting(differences, alternative):
    """The signed-rank test from its definition: every sign of every rank is equally likely."""
    ranked = [d for d in differences if d != 0]
    ranks = stats.rankdata(np.abs(ranked))
    observed = sum(rank for rank, d in zip(ranks, ranked, strict=True) if d > 0)
    sums = [sum(itertools.compress(ranks, signs)) for signs in itertools.product((False, True), repeat=len(ranked))]
    greater = np.mean([s >= observed - 1e-9 for s in sums])
    less = np.mean([s <= observed + 1e-9 for s in sums])
    return {"greater": greater, "less": less, "two-sided": min(1.0, 2 * min(greater, less))}[alternative]


def sign_flip_by_counting(differences, alternative):
    observed = math.fsum(differences)
    sums = [
        math.fsum(sign * d for sign, d in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    greater = np.mean([s >= observed - 1e-12 for s in sums])
    less = np.mean([s <= observed + 1e-12 for s in sums])
    return {"greater": greater, "less": less, "two-sided": min(1.0, 2 * min(greater, less))}[alternative]


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("n", [2, 6, 10, 25, 50, 80])
def test_wilcoxon_is_scipys(n, alternative):
    first, second = sample(n, seed=n)
    ours = paired_wilcoxon(by_seed(first), by_seed(second), alternative=alternative)
    theirs = stats.wilcoxon(first, second, alternative=alternative)
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=1e-9)
    assert ours.statistic == pytest.approx(theirs.statistic, abs=1e-9)
    assert ours.method == ("exact" if n <= 50 else "normal approximation")
    assert ours.alternative == alternative


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("n", [3, 5, 9])
def test_wilcoxon_with_ties_and_zeros_counts_all_signs(n, alternative):
    first, second = sample(n, seed=n + 1, decimals=0)
    first[0] = second[0]
    ours = paired_wilcoxon(by_seed(first), by_seed(second), alternative=alternative)
    assert ours.p_value == pytest.approx(signed_rank_by_counting(first - second, alternative), abs=1e-9)
    assert ours.zeros == np.sum(first == second) > 0
    assert ours.n == n


def test_wilcoxon_with_many_ties_is_the_normal_approximation():
    first, second = sample(30, seed=3, decimals=1)
    ours = paired_wilcoxon(by_seed(first), by_seed(second))
    differences = np.round(first - second, 1)
    assert ours.method == "normal approximation"
    assert ours.p_value == pytest.approx(stats.wilcoxon(differences, method="asymptotic").pvalue, abs=1e-9)


def test_wilcoxon_by_hand():
    # differences 1, 2, 3, 4, 5, 6: only all six signs the same way are as extreme, 2 of 2 ** 6
    outcome = paired_wilcoxon(by_seed([11, 12, 13, 14, 15, 16]), by_seed([10] * 6))
    assert (outcome.p_value, outcome.statistic, outcome.method, outcome.sign) == (2 / 64, 0.0, "exact", 1)


def test_a_tie_of_the_logged_numbers_is_a_tie_of_the_ranks():
    # 0.95 - 0.93 and 0.91 - 0.89 are 0.02 to a person and two different binary fractions
    assert 0.95 - 0.93 != 0.91 - 0.89
    differences = pair(by_seed([0.95, 0.91, 1e-7]), by_seed([0.93, 0.89, 3e-7])).differences
    assert differences.tolist() == [0.02, 0.02, -2e-7]


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("n", [2, 5, 11])
def test_permutation_counts_all_sign_flips(n, alternative):
    first, second = sample(n, seed=n + 20)
    ours = paired_permutation(by_seed(first), by_seed(second), alternative=alternative)
    assert ours.p_value == pytest.approx(sign_flip_by_counting(first - second, alternative), abs=1e-9)
    assert ours.statistic == pytest.approx(np.mean(first - second), abs=1e-9)
    assert ours.method == "exact, all sign flips"


def test_permutation_by_hand():
    # means of 1, 2, 3 with any signs: only +++ and --- are as far out as the observed +++, 2 of 8
    assert paired_permutation(by_seed([1, 2, 3]), by_seed([0, 0, 0])).p_value == 2 / 8


def test_permutation_is_exact_up_to_16_pairs_and_drawn_with_a_seed_beyond():
    sixteen, seventeen = (dict(enumerate(np.arange(1.0, n + 1))) for n in (16, 17))
    nothing = dict.fromkeys(range(17), 0.0)
    exact = paired_permutation(sixteen, nothing, resamples=10)
    assert (exact.p_value, exact.method) == (2 / 2**16, "exact, all sign flips")
    as_many = paired_permutation(seventeen, nothing, resamples=2**17)
    assert (as_many.p_value, as_many.method) == (2 / 2**17, "exact, all sign flips")
    drawn = paired_permutation(seventeen, nothing, resamples=999, seed=4)
    assert drawn.method == "Monte Carlo, 999 sign flips, seed 4"
    # none of 999 draws is as extreme, but the observed one counts too: 2 * 1 / 1000
    assert drawn.p_value == pytest.approx(0.002, abs=1e-12)


def test_drawn_permutations_are_those_of_the_seed():
    first, second = map(by_seed, sample(20, seed=5))
    one, again, *others = (
        paired_permutation(first, second, resamples=500, seed=seed).p_value for seed in (1, 1, 2, 3, 4, 5)
    )
    assert one == again
    assert set(others) != {one}


@pytest.mark.parametrize("test", TESTS)
def test_unpaired_seeds_are_named_and_left_out(test):
    both = {1: 3.0, 2: 5.0, 3: 4.0}
    with_more = test({**both, 9: 100.0}, {1: 1.0, 2: 1.0, 3: 1.0, 7: 0.0})
    without = test(both, {1: 1.0, 2: 1.0, 3: 1.0})
    assert with_more.unpaired == (7, 9)
    assert (with_more.p_value, with_more.n) == (without.p_value, 3)


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ({}, {}, "share no seed"),
        ({0: 1.0}, {1: 1.0}, "share no seed"),
        ({0: 1.0}, {0: 2.0}, "one pair only"),
        ({0: 1.0, 1: 2.0, 2: 3.0}, {0: 1.0, 1: 2.0, 2: 3.0}, "All differences are zero"),
        ({0: 1.0, 1: math.nan, 2: 3.0}, {0: 2.0, 1: 3.0, 2: math.inf}, r"2 of 3 pairs are not finite \(seeds 1, 2\)"),
    ],
)
def test_where_no_test_is_possible_it_says_why(test, first, second, why):
    outcome = test(first, second, alternative="greater")
    assert (outcome.p_value, outcome.statistic, outcome.method) == (None, None, None)
    assert outcome.alternative == "greater"
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(outcome.reason)


@pytest.mark.parametrize("test", TESTS)
def test_values_that_are_not_finite_are_named_not_dropped(test):
    outcome = test(by_seed([1, math.nan, 3, 4]), by_seed([0, 1, 1, 1]))
    assert (outcome.not_finite, outcome.n, outcome.p_value) == ((1,), 4, None)


@pytest.mark.parametrize("test", TESTS)
@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.tuples(*[st.integers(-20, 20)] * 2), min_size=2, max_size=8))
def test_swapping_the_runs_turns_the_direction_only(test, values):
    first, second = by_seed([a for a, _ in values]), by_seed([b for _, b in values])
    one, other = test(first, second), test(second, first)
    assert one.p_value == pytest.approx(other.p_value, abs=1e-12)
    assert one.sign == -other.sign
    greater, less = test(first, second, alternative="greater"), test(second, first, alternative="less")
    assert greater.p_value == pytest.approx(less.p_value, abs=1e-12)
    if one.p_value is not None:
        assert 2 / 2 ** len(values) - 1e-12 <= one.p_value <= 1
