"""The best run of each kind and the gap between them are chosen as the contract says."""

from __future__ import annotations

import math

import pytest

from assay.evaluation.aggregate import aggregate, gap, notes
from assay.evaluation.request import Metric

ACCURACY, LOSS = Metric("accuracy", "maximize"), Metric("loss", "minimize")


def test_it_has_exactly_the_keys_of_the_contract():
    told = aggregate(
        [ACCURACY, LOSS], {"accuracy": {"proposed": 0.9, "baseline": 0.8}, "loss": {"proposed": 1.0, "baseline": 2.0}}
    )
    assert list(told) == ["primary_metric", "metrics", "best_proposed", "best_baseline", "gap"]
    assert told["primary_metric"] == "accuracy"
    assert told["metrics"]["loss"] == {"proposed": 1.0, "baseline": 2.0}
    assert told["best_proposed"] == {"run_id": "proposed", "value": 0.9}
    assert told["best_baseline"] == {"run_id": "baseline", "value": 0.8}
    assert told["gap"] == pytest.approx(12.5)


@pytest.mark.parametrize(("metric", "best"), [(ACCURACY, "proposed-2"), (LOSS, "proposed-1")])
def test_the_direction_says_which_run_is_best(metric, best):
    values = {metric.name: {"proposed-1": 1.0, "proposed-2": 2.0, "other": 9.0}}
    told = aggregate([metric], values)
    assert told["best_proposed"]["run_id"] == best
    assert told["best_baseline"] is None
    assert told["gap"] is None


@pytest.mark.parametrize("run_id", ["comparative-1", "x-baseline"])
def test_both_words_name_a_baseline(run_id):
    assert aggregate([ACCURACY], {"accuracy": {run_id: 1.0}})["best_baseline"] == {"run_id": run_id, "value": 1.0}


@pytest.mark.parametrize("metric", [ACCURACY, LOSS])
def test_of_equal_runs_the_first_given_is_the_best(metric):
    values = {metric.name: {"z-proposed": 1.0, "a-proposed": 1.0}}
    assert aggregate([metric], values)["best_proposed"]["run_id"] == "z-proposed"


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", [ACCURACY, LOSS])
def test_a_value_that_is_missing_or_not_finite_is_never_the_best_and_is_told(metric, missing):
    values = {metric.name: {"proposed-1": missing, "proposed-2": 1.0, "baseline": missing}}
    told = aggregate([metric], values)
    assert told["best_proposed"] == {"run_id": "proposed-2", "value": 1.0}
    assert told["best_baseline"] is None
    assert told["metrics"][metric.name]["proposed-1"] is None
    assert [note.split(":")[0] for note in notes(values)] == ["proposed-1", "baseline"]


@pytest.mark.parametrize(
    ("proposed", "baseline", "direction", "percent"),
    [
        (0.9, 0.8, "maximize", 12.5),
        (0.8, 1.0, "minimize", 20.0),
        (1.2, 1.0, "minimize", -20.0),
        (1.0, 0.0, "maximize", None),
        (None, 1.0, "maximize", None),
        (1.0, None, "maximize", None),
        (1.0, 5e-324, "maximize", None),
    ],
)
def test_the_gap_is_positive_where_the_proposed_run_is_better(proposed, baseline, direction, percent):
    assert gap(proposed, baseline, direction) == (None if percent is None else pytest.approx(percent))


def test_no_difference_is_zero_without_a_sign():
    assert math.copysign(1, gap(1.0, 1.0, "minimize") or 0.0) == 1


def test_a_run_that_counts_as_both_kinds_is_told():
    assert notes({"accuracy": {"proposed-baseline": 1.0}}) == [
        "proposed-baseline: its name counts it among the proposed runs and among the baselines"
    ]
