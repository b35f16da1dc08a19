"""Corrections agree with their formulas; tests that were not possible do not count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluation.statistics import corrected

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def holm(p_values):
    """Holm's procedure from its definition."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    result, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        result[index] = running
    return result


@given(P_VALUES)
def test_holm_is_its_definition(p_values):
    assert corrected(p_values, "holm") == pytest.approx(holm(p_values), abs=1e-9)


@pytest.mark.parametrize("method", ["holm", "bonferroni"])
def test_corrections_are_those_of_statsmodels(method):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    generator = np.random.default_rng(0)
    for count in (1, 2, 7):
        # to two digits, so that some are equal
        p_values = [*np.round(generator.random(count), 2).tolist(), 0.01, 0.01]
        theirs = multitest.multipletests(p_values, method=method)[1]
        assert corrected(p_values, method) == pytest.approx(theirs.tolist(), abs=1e-12)


@given(P_VALUES)
def test_bonferroni_multiplies_by_the_number_of_tests(p_values):
    assert corrected(p_values, "bonferroni") == pytest.approx([min(1, len(p_values) * p) for p in p_values], abs=1e-9)


def test_by_hand():
    # Holm: 3 * 0.01, 2 * 0.02, 1 * 0.03, the last raised to the one before it
    assert corrected([0.03, 0.01, 0.02], "holm") == pytest.approx((0.04, 0.03, 0.04), abs=1e-12)
    assert corrected([0.03, 0.01, 0.5], "bonferroni") == pytest.approx((0.09, 0.03, 1.0), abs=1e-12)
    assert corrected([0.03, None], "none") == (0.03, None)


@pytest.mark.parametrize("method", ["none", "holm", "bonferroni"])
def test_a_test_that_was_not_possible_does_not_count(method):
    with_none = corrected([None, 0.01, None, 0.04, None], method)
    assert with_none[0] is with_none[2] is with_none[4] is None
    assert (with_none[1], with_none[3]) == corrected([0.01, 0.04], method)
    assert corrected([None, None], method) == (None, None)
    assert corrected([], method) == ()


@pytest.mark.parametrize("p", [-0.01, 1.01, float("nan")])
def test_what_is_no_p_value_is_refused(p):
    with pytest.raises(ValueError, match="between 0 and 1"):
        corrected([0.5, p], "holm")


def test_an_unknown_correction_is_refused():
    with pytest.raises(ValueError, match="none, holm or bonferroni"):
        corrected([0.5], "fdr")  # type: ignore[arg-type]
