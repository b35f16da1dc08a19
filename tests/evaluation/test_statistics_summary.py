"""Summaries agree with Python's own statistics and keep every value in sight."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluation.statistics import summarize


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_summary_is_that_of_the_standard_library(values):
    summary = summarize(dict(enumerate(values)))
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    assert summary.n == len(values)
    assert summary.mean == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-9)
    assert summary.std == pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-6)
    assert (summary.quartile_1, summary.median, summary.quartile_3) == pytest.approx(
        (first, median, third), rel=1e-9, abs=1e-9
    )
    assert (summary.minimum, summary.maximum) == (min(values), max(values))


def test_by_hand():
    # deviations from 3: 4 + 1 + 0 + 1 + 4 = 10, over n - 1 = 4
    summary = summarize({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0, 4: 5.0})
    assert (summary.mean, summary.median, summary.iqr) == (3.0, 3.0, 2.0)
    assert summary.std == pytest.approx(math.sqrt(2.5), abs=1e-12)
    assert summary.reason is None


def test_one_value_has_no_spread():
    summary = summarize({3: 0.7})
    assert (summary.n, summary.mean, summary.median, summary.std) == (1, 0.7, 0.7, None)
    assert summary.reason is not None


def test_no_values_have_no_summary():
    assert summarize({}).mean is None
    assert summarize({}).reason == "There are no values."


def test_a_value_that_is_not_finite_is_named_and_not_left_out():
    summary = summarize({0: 1.0, 4: math.nan, 2: math.inf})
    assert (summary.n, summary.mean, summary.median, summary.not_finite) == (3, None, None, (2, 4))
    assert summary.reason == "2 of 3 values are not finite (seeds 2, 4)."
