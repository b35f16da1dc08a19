"""Areas and mean curves agree with walking along the steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluation.statistics import area_under_curve, mean_curve, step_values

POINTS = st.lists(st.tuples(st.integers(0, 30), st.integers(-9, 9)), min_size=1, max_size=10)


def walk(times, scores, moment):
    """The step function from its definition: the last score logged at or before the moment, else the first."""
    value = scores[0]
    for time, score in zip(times, scores, strict=True):
        if time <= moment:
            value = score
    return value


@given(POINTS, st.integers(1, 40))
def test_the_area_is_the_sum_over_unit_steps(points, budget):
    points.sort(key=lambda point: point[0])
    times, scores = [t for t, _ in points], [float(s) for _, s in points]
    # times are whole numbers, so that the curve is constant between them
    naive = sum(walk(times, scores, moment) for moment in range(budget)) / budget
    assert area_under_curve(times, scores, budget=budget) == pytest.approx(naive, abs=1e-9)


def test_the_area_by_hand():
    # the first score counts from the start: 0.5 for 5, 0.9 for 5
    assert area_under_curve([2, 5], [0.5, 0.9], budget=10) == pytest.approx(0.7, abs=1e-12)
    # what was logged after the budget does not count
    assert area_under_curve([2, 3, 4.5], [0.5, 0.9, 7], budget=4) == pytest.approx((1.5 + 0.9) / 4, abs=1e-12)


def test_a_score_that_is_not_finite_shows_where_it_counts_and_nowhere_else():
    assert math.isnan(area_under_curve([0, 1], [1, math.nan], budget=2))
    assert area_under_curve([0, 2], [1, math.nan], budget=2) == 1
    assert area_under_curve([0, 1, 1], [1, math.nan, 3], budget=2) == 2


@given(POINTS)
def test_steps_are_right_continuous(points):
    points.sort(key=lambda point: point[0])
    times, scores = [t for t, _ in points], [float(s) for _, s in points]
    moments = [moment / 2 for moment in range(-2, 65)]
    expected = [walk(times, scores, moment) for moment in moments]
    assert step_values(times, scores, moments).tolist() == expected


def test_mean_and_spread_on_a_common_grid():
    curve = mean_curve({0: ([1, 3], [10, 30]), 1: ([2], [20])})
    assert curve.grid.tolist() == [1, 2, 3]
    # seed 0 has 10, 10, 30 and seed 1 has 20 throughout
    assert curve.mean.tolist() == [15, 15, 25]
    # both are 5 from their mean at every time, so that the variance is (25 + 25) / 1
    assert curve.std is not None
    assert curve.std.tolist() == pytest.approx([math.sqrt(50)] * 3, abs=1e-12)
    assert curve.n == 2


def test_one_seed_has_no_spread():
    curve = mean_curve({4: ([0, 2], [1, 5])})
    assert curve.mean.tolist() == [1, 5]
    assert curve.std is None


@pytest.mark.parametrize(
    ("times", "scores", "budget", "why"),
    [
        ([], [], 1, "at least one point"),
        ([1, 2], [1], 1, "equal length"),
        ([2, 1], [1, 1], 1, "do not descend"),
        ([math.nan], [1], 1, "finite"),
        ([-1], [1], 1, "start at 0"),
        ([0], [1], 0, "positive"),
        ([0], [1], math.inf, "positive"),
    ],
)
def test_what_is_no_curve_is_refused(times, scores, budget, why):
    with pytest.raises(ValueError, match=why):
        area_under_curve(times, scores, budget=budget)


def test_no_seeds_have_no_mean_curve():
    with pytest.raises(ValueError, match="at least one seed"):
        mean_curve({})


def test_values_keep_their_order_within_one_time():
    assert step_values([1, 1], [5, 6], np.array([1.0])).tolist() == [6]
