"""Effect sizes and their intervals agree with their definitions and with SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from assay.evaluation.statistics import bootstrap_interval, interval_over_pairs, paired_effect

MEASURES = ["mean_difference", "median_difference"]


def by_seed(values):
    return dict(enumerate(map(float, values)))


def runs(n=9, seed=0):
    generator = np.random.default_rng(seed)
    # multiples of 1/1024 have exact sums in any order, so that equal samples have equal means
    return (np.round(generator.normal(mean, 2, n) * 1024) / 1024 for mean in (8, 10))


def test_effects_by_hand():
    # differences -2, -4, 1, -5; ranks of their sizes 2, 3, 1, 4, so R+ = 1 and R- = 9
    first, second = [8, 6, 11, 5], [10, 10, 10, 10]
    effect = paired_effect(by_seed(first), by_seed(second))
    assert effect.n == 4
    assert effect.mean_difference == -2.5
    assert effect.median_difference == -3
    # squared deviations from -2.5: 0.25, 2.25, 12.25, 6.25, together 21, variance 7
    assert effect.cohens_dz == pytest.approx(-2.5 / math.sqrt(7), abs=1e-12)
    assert effect.rank_biserial == pytest.approx((1 - 9) / 10, abs=1e-12)
    # 11 is above all four tens, the others below all four
    assert effect.cliffs_delta == pytest.approx((4 - 12) / 16, abs=1e-12)
    assert effect.reasons == {}


def test_effects_against_scipy():
    first, second = runs(20, seed=1)
    effect = paired_effect(by_seed(first), by_seed(second))
    # t = d_z * sqrt(n)
    assert effect.cohens_dz == pytest.approx(stats.ttest_rel(first, second).statistic / math.sqrt(20), abs=1e-9)
    # U counts the dominating pairs
    u = stats.mannwhitneyu(first, second).statistic
    assert effect.cliffs_delta == pytest.approx(2 * u / 400 - 1, abs=1e-9)
    w_plus = stats.wilcoxon(first, second, alternative="greater").statistic
    assert effect.rank_biserial == pytest.approx(4 * w_plus / (20 * 21) - 1, abs=1e-9)


@pytest.mark.parametrize(
    ("first", "second", "missing"),
    [
        ([1], [2], {"cohens_dz"}),
        ([2, 3, 4], [1, 2, 3], {"cohens_dz"}),
        ([1, 2], [1, 2], {"cohens_dz", "rank_biserial"}),
        ([1, math.nan], [0, 0], {*MEASURES, "cohens_dz", "rank_biserial", "cliffs_delta"}),
    ],
)
def test_an_effect_that_is_not_defined_is_none_with_a_reason(first, second, missing):
    effect = paired_effect(by_seed(first), by_seed(second))
    names = {*MEASURES, "cohens_dz", "rank_biserial", "cliffs_delta"}
    assert {name for name in names if getattr(effect, name) is None} == missing == effect.reasons.keys()


def test_effects_name_what_is_left_out():
    effect = paired_effect({0: 1.0, 1: math.inf, 5: 2.0}, {0: 3.0, 1: 1.0, 4: 1.0})
    assert (effect.n, effect.unpaired, effect.not_finite) == (2, (4, 5), (1,))
    assert "1 of 2 pairs" in effect.reasons["mean_difference"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-50, 50)] * 2), min_size=2, max_size=12))
def test_swapping_the_runs_turns_every_sign(values):
    first, second = by_seed([a for a, _ in values]), by_seed([b for _, b in values])
    one, other = paired_effect(first, second), paired_effect(second, first)
    for name in ("mean_difference", "median_difference", "cohens_dz", "rank_biserial", "cliffs_delta"):
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None and b is None) or a == pytest.approx(-b, abs=1e-12)
    assert one.cliffs_delta is not None
    assert -1 <= one.cliffs_delta <= 1


def test_the_interval_is_scipys_bca():
    first, second = runs()
    ours = bootstrap_interval(by_seed(first), by_seed(second), "mean_difference", seed=3)
    theirs = stats.bootstrap(
        (first - second,), np.mean, n_resamples=9999, method="BCa", batch=2048, rng=np.random.default_rng(3)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert (ours.method, ours.reason, ours.confidence) == ("BCa", None, 0.95)


def reduction(a, b, axis=-1):
    """How much lower the median of a is, as a share of that of b; not a number where that is 0."""
    a, b = np.median(a, axis=axis), np.median(b, axis=axis)
    return np.divide(b - a, b, out=np.full_like(b, np.nan), where=b != 0)


def test_the_interval_of_any_statistic_draws_pairs():
    first, second = runs(seed=2)

    theirs = stats.bootstrap(
        (first, second), reduction, paired=True, vectorized=True, method="BCa", batch=2048,
        rng=np.random.default_rng(0), confidence_level=0.8,
    ).confidence_interval  # fmt: skip
    ours = interval_over_pairs(lambda drawn: reduction(first[drawn], second[drawn]), len(first), confidence=0.8)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_an_interval_is_that_of_its_seed_and_holds_the_estimate(measure):
    first, second = map(by_seed, runs(seed=4))
    one, again = (bootstrap_interval(first, second, measure, resamples=999, seed=1) for _ in range(2))
    others = {bootstrap_interval(first, second, measure, resamples=999, seed=seed) for seed in range(2, 6)}
    assert one == again
    assert others != {one}
    assert one.low <= getattr(paired_effect(first, second), measure) <= one.high


def test_degenerate_data_fall_back_to_percentiles():
    # no sample has a median above that of the pairs
    interval = bootstrap_interval(by_seed([1, 1, 1, 1, 1, 1, 0]), by_seed([0] * 7), "median_difference")
    assert (interval.low, interval.high, interval.method) == (1.0, 1.0, "percentile")
    assert "degenerate" in str(interval.reason)


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ([1], [2], "at least 6 pairs"),
        ([1, 2, 3, 4, 5], [2, 4, 6, 8, 9], "95% needs at least 6 pairs"),
        ([], [], "share no seed"),
        ([1, math.nan], [1, 2], "not finite"),
        ([0.1] * 7, [0.3] * 7, "says nothing about its uncertainty"),
    ],
)
def test_where_there_is_no_interval_it_says_why(first, second, why):
    interval = bootstrap_interval(by_seed(first), by_seed(second), "median_difference")
    assert (interval.low, interval.high, interval.method) == (None, None, None)
    assert why in str(interval.reason)


def test_there_is_no_interval_where_a_sample_has_no_statistic():
    # a sample of zeros alone has no relative reduction
    first, second = np.arange(6.0), np.array([0, 0, 4, 4, 4, 4.0])
    interval = interval_over_pairs(lambda drawn: reduction(first[drawn], second[drawn]), 6)
    assert interval.low is None
    assert "not defined on some" in str(interval.reason)


def test_any_statistic_of_pairs_has_an_interval():
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 3.0])
    interval = interval_over_pairs(lambda drawn: values[drawn].max(axis=-1) * 1.0, 6, resamples=200)
    assert interval.high == 8.0


@pytest.mark.parametrize(("confidence", "fewest"), [(0.5, 2), (0.8, 4), (0.9, 5), (0.95, 6), (0.99, 8)])
def test_there_is_an_interval_where_the_pairs_can_hold_the_truth_that_often(confidence, fewest):
    values = np.arange(9.0)

    def method(n):
        return interval_over_pairs(lambda drawn: values[drawn].mean(axis=-1), n, confidence=confidence).method

    # the truth is beyond all n symmetric differences with a probability of 2 / 2^n
    assert 2 / 2**fewest <= 1 - confidence + 1e-9 < 2 / 2 ** (fewest - 1)
    assert (method(fewest - 1), method(fewest)) == (None, "BCa")


def test_tiny_differences_have_an_effect_size():
    effect = paired_effect(by_seed([3e-300, 5e-300, 4e-300]), by_seed([1e-300, 1e-300, 1e-300]))
    assert effect.cohens_dz == pytest.approx(3.0)
