"""Times to a target agree with lifelines, and a seed that never gets there is neither dropped nor invented."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]

from assay.evaluation.statistics import (
    TimeToTarget,
    censored_differences,
    censored_paired,
    log_rank,
    resampled_medians,
    survival,
    time_to_target,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    lifelines = pytest.importorskip("lifelines")
    from lifelines.statistics import logrank_test  # type: ignore[import-untyped]

TIMES = st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=12)


def reached(*times):
    return {seed: TimeToTarget(float(time), True) for seed, time in enumerate(times)}


def of(pairs):
    return {seed: TimeToTarget(float(time), event) for seed, (time, event) in enumerate(pairs)}


def kaplan_meier(times):
    fitter = lifelines.KaplanMeierFitter()
    fitter.fit([t.time for t in times.values()], [t.reached for t in times.values()])
    return fitter


@pytest.mark.parametrize(
    ("scores", "target", "direction", "expected"),
    [
        ([0.1, 0.5, 0.9, 0.4], 0.5, "maximize", TimeToTarget(20.0, True)),
        ([0.1, 0.5, 0.9, 0.4], 0.95, "maximize", TimeToTarget(40.0, False)),
        ([0.9, 0.5, 0.1, 0.4], 0.3, "minimize", TimeToTarget(30.0, True)),
        ([0.9, 0.5, 0.4, 0.4], 0.3, "minimize", TimeToTarget(40.0, False)),
        ([math.nan, math.inf, 0.9, math.nan], 0.5, "maximize", TimeToTarget(30.0, True, not_finite=2)),
        ([math.nan, -math.inf, 0.9, math.nan], 0.1, "minimize", TimeToTarget(40.0, False, not_finite=3)),
    ],
)
def test_the_first_time_at_which_a_score_reaches_the_target(scores, target, direction, expected):
    assert time_to_target([10, 20, 30, 40], scores, target, direction) == expected


@pytest.mark.parametrize(
    ("times", "scores", "direction", "why"),
    [
        ([], [], "maximize", "at least one point"),
        ([1, 2], [1], "maximize", "equal length"),
        ([2, 1], [1, 2], "maximize", "descend"),
        ([math.nan], [1], "maximize", "finite"),
        ([1], [1], "up", "maximize or minimize"),
    ],
)
def test_what_is_no_curve_is_refused(times, scores, direction, why):
    with pytest.raises(ValueError, match=why):
        time_to_target(times, scores, 0.5, direction)


@settings(max_examples=40, deadline=None)
@given(TIMES)
def test_survival_is_that_of_lifelines(pairs):
    times = of(pairs)
    ours, theirs = survival(times), kaplan_meier(times)
    assert ours.survival == pytest.approx(theirs.survival_function_at_times(ours.times).to_numpy(), abs=1e-9)
    assert ours.n == len(pairs)
    assert ours.reached == sum(event for _, event in pairs)
    # lifelines takes survival of a half plus rounding for more than a half
    just_half = np.any(np.abs(ours.survival - 0.5) < 1e-9)
    median = theirs.median_survival_time_
    if not just_half or ours.median == median:
        assert (math.inf if ours.median is None else ours.median) == median


def test_survival_by_hand():
    # 4 at risk at 10, one gone: 3/4; one censored at 20; 2 at risk at 30, one gone: 3/8; one censored at 40
    curve = survival(of([(10, True), (20, False), (30, True), (40, False)]))
    assert curve.times.tolist() == [10, 20, 30, 40]
    assert curve.survival.tolist() == pytest.approx([0.75, 0.75, 0.375, 0.375], abs=1e-12)
    assert curve.median == 30


@pytest.mark.parametrize(
    ("pairs", "median"),
    [
        ([(10, True), (20, True), (30, True), (40, True)], 20),
        ([(10, True), (20, True), (30, True), (40, False), (40, False), (40, False)], 30),
        ([(10, True), (20, False), (20, False)], None),
        ([(20, False)], None),
    ],
)
def test_the_median_is_the_time_at_which_half_is_there(pairs, median):
    assert survival(of(pairs)).median == median


def test_no_seed_has_no_survival():
    with pytest.raises(ValueError, match="at least one seed"):
        survival({})


@settings(max_examples=40, deadline=None)
@given(TIMES, st.integers(0, 10**6))
def test_medians_of_samples_are_those_of_survival(pairs, seed):
    times = [TimeToTarget(float(time), event) for time, event in pairs]
    drawn = np.random.default_rng(seed).integers(0, len(times), size=(5, len(times)))
    expected = [survival(dict(enumerate(times[i] for i in row))).median for row in drawn]
    assert resampled_medians(times, drawn).tolist() == [math.inf if m is None else m for m in expected]


@settings(max_examples=40, deadline=None)
@given(TIMES, TIMES)
def test_log_rank_is_that_of_lifelines(first, second):
    ours = log_rank(of(first), of(second))
    if ours.p_value is None or ours.statistic is None:
        return
    theirs = logrank_test([t for t, _ in first], [t for t, _ in second], [e for _, e in first], [e for _, e in second])
    assert ours.statistic**2 == pytest.approx(theirs.test_statistic, abs=1e-9)
    if ours.method == "normal approximation":
        assert ours.p_value == pytest.approx(theirs.p_value, abs=1e-9)


def test_large_groups_have_the_p_value_of_lifelines():
    generator = np.random.default_rng(3)
    first, second = ([(int(t), t < 40) for t in generator.exponential(mean, 15)] for mean in (20, 30))
    ours = log_rank(of(first), of(second))
    theirs = logrank_test([t for t, _ in first], [t for t, _ in second], [e for _, e in first], [e for _, e in second])
    assert ours.method == "normal approximation"
    assert ours.p_value == pytest.approx(theirs.p_value, abs=1e-9)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_small_groups_are_divided_in_every_way(alternative):
    first, second = [(3, True), (5, True), (9, False)], [(2, True), (3, True), (4, True), (9, False)]
    pooled = first + second

    def excess(members):
        """Expected minus observed arrivals in a group, as the log-rank test adds them up."""
        total = 0.0
        for at in {t for t, event in pooled if event}:
            risk = [i for i, (t, _) in enumerate(pooled) if t >= at]
            arrived = [i for i, (t, event) in enumerate(pooled) if t == at and event]
            total += len(arrived) * len(members & set(risk)) / len(risk) - len(members & set(arrived))
        return total

    sums = np.array([excess(set(members)) for members in itertools.combinations(range(7), 3)])
    longer, shorter = np.mean(sums >= sums[0] - 1e-9), np.mean(sums <= sums[0] + 1e-9)
    expected = {"two-sided": 2 * min(longer, shorter), "greater": longer, "less": shorter}[alternative]
    outcome = log_rank(of(first), of(second), alternative=alternative)
    assert outcome.method == "exact, all divisions into groups"
    assert outcome.p_value == pytest.approx(expected)


def test_three_seeds_against_three_that_are_all_faster_are_no_proof():
    outcome = log_rank(reached(1, 2, 3), reached(4, 5, 6))
    # 20 divisions, one of which is this one, and one its mirror image
    assert outcome.p_value == outcome.least_p_value == pytest.approx(2 / 20)
    assert outcome.statistic is not None
    assert 2 * stats.norm.sf(abs(outcome.statistic)) < 0.05


def test_log_rank_says_which_group_takes_longer():
    fast, slow = reached(1, 2, 3, 4, 5), reached(11, 12, 13, 14, 15)
    greater, less, either = (log_rank(slow, fast, alternative=a) for a in ("greater", "less", "two-sided"))
    assert (greater.sign, greater.n) == (1, 5)
    # 252 divisions of ten seeds, and no other is as extreme in this direction
    assert (greater.p_value, less.p_value, either.p_value) == pytest.approx((1 / 252, 1, 2 / 252))
    assert log_rank(fast, slow).sign == -1


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (reached(1), reached(1, 2), "fewer than two"),
        ({}, {}, "fewer than two"),
        (of([(9, False)] * 3), of([(9, False)] * 3), "No seed of either group"),
        (reached(5, 5, 5), reached(5, 5, 5), "reached it together"),
    ],
)
def test_where_there_is_no_log_rank_test_it_says_why(first, second, why):
    outcome = log_rank(first, second)
    assert (outcome.p_value, outcome.statistic) == (None, None)
    assert why in str(outcome.reason)


@pytest.mark.parametrize("test", ["wilcoxon", "permutation"])
def test_without_censored_times_it_is_the_ordinary_test(test):
    generator = np.random.default_rng(1)
    a, b = generator.normal(50, 5, 8), generator.normal(55, 5, 8)
    ours = censored_paired(reached(*a), reached(*b), test=test)
    theirs = (
        stats.wilcoxon(a, b)
        if test == "wilcoxon"
        else stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=2**8)
    )
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=1e-9)


@pytest.mark.parametrize("test", ["wilcoxon", "permutation"])
def test_censored_pairs_rank_last_and_equal(test):
    # pairs: 5 - 8 = -3; first never, second at 7: above all; both never: 0; 6 - 5 = 1; first at 2, second never: below
    # all. Sizes 1, 3 and twice the largest: ranks 1, 2, 3.5, 3.5, signs +, -, +, -
    first = of([(5, True), (99, False), (99, False), (6, True), (2, True)])
    second = of([(8, True), (7, True), (99, False), (5, True), (99, False)])
    differences = censored_differences(first, second)
    assert differences[[0, 2, 3]].tolist() == [-3, 0, 1]
    assert differences[1] == -differences[4] > 3
    ranks, signs = np.array([1, 2, 3.5, 3.5]), np.array([1, -1, 1, -1])
    sums = [np.dot(ranks, flips) for flips in itertools.product((1, -1), repeat=4)]
    by_counting = min(1, 2 * min(np.mean(sums >= ranks @ signs), np.mean(sums <= ranks @ signs)))
    outcome = censored_paired(first, second, test=test)
    assert outcome.p_value == pytest.approx(by_counting, abs=1e-9)
    assert (outcome.zeros, outcome.n) == (1, 5)


def test_a_permutation_says_when_it_is_one_of_ranks():
    outcome = censored_paired(
        of([(1, True), (2, True), (3, True)]), of([(9, False), (8, True), (7, True)]), test="permutation"
    )
    assert outcome.method == "exact, all sign flips, of ranks because of censored times"
    # ranks 3, 2, 1, all negative: 2 of 8
    assert outcome.p_value == 2 / 8
    assert outcome.sign == -1


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (reached(1), {7: TimeToTarget(1.0, True)}, "share no seed"),
        (reached(1), reached(2), "one pair only"),
        (reached(1, 2), reached(1, 2), "All differences are zero"),
        (of([(9, False), (9, False)]), of([(9, False), (8, False)]), "No seed of either group"),
        # given up at 5, while the other got there at 7: the first may still have been faster
        (of([(5, False), (1, True)]), of([(7, True), (2, True)]), "At seed 0"),
        (of([(1, True), (7, True)]), of([(2, True), (5, False)]), "At seed 1"),
    ],
)
def test_where_there_is_no_paired_test_it_says_why(first, second, why):
    outcome = censored_paired(first, second)
    assert (outcome.p_value, outcome.statistic) == (None, None)
    assert why in str(outcome.reason)


def test_given_up_at_the_time_at_which_the_other_got_there_is_slower():
    outcome = censored_paired(of([(7, False), (7, False)]), reached(7, 6))
    assert (outcome.p_value, outcome.sign) == (0.5, 1)


def test_seeds_of_one_run_alone_are_named():
    outcome = censored_paired({**reached(1, 2, 3), 9: TimeToTarget(1.0, True)}, reached(4, 6, 8, 5))
    assert (outcome.unpaired, outcome.n) == ((3, 9), 3)
