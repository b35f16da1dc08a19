"""aggregated_metrics.json: every metric of every run, the best proposed run, the best baseline, and the gap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from assay.evaluation.request import Direction, Metric

PROPOSED = ("proposed",)
BASELINE = ("comparative", "baseline")

Values = Mapping[str, Mapping[str, float | None]]


def aggregate(metrics: Sequence[Metric], values: Values) -> dict[str, Any]:
    """Compares the best proposed run with the best baseline by the primary metric.

    Args:
        metrics: The first is the primary one.
        values: By metric name, then by run id in the order given: the run's value; None or not finite where it has
            none.

    Returns:
        Exactly the keys `primary_metric`, `metrics` (values that are missing or not finite are None),
        `best_proposed` and `best_baseline` (`run_id` and `value`, or None), and `gap`. Of equal values, the run that
        was given first is the best.
    """
    primary = metrics[0]
    known = {name: {run_id: _finite(value) for run_id, value in by_run.items()} for name, by_run in values.items()}
    proposed = _best(known[primary.name], PROPOSED, primary.direction)
    baseline = _best(known[primary.name], BASELINE, primary.direction)
    return {
        "primary_metric": primary.name,
        "metrics": known,
        "best_proposed": proposed,
        "best_baseline": baseline,
        "gap": gap(_value_of(proposed), _value_of(baseline), primary.direction),
    }


def gap(proposed: float | None, baseline: float | None, direction: Direction) -> float | None:
    """How much better the proposed method is, in percent of the baseline.

    Args:
        proposed: Its value.
        baseline: The baseline's value.
        direction: The metric's.

    Returns:
        (proposed - baseline) / baseline * 100, with the sign reversed where lower is better; None where one of the two
        is missing, the baseline is 0, or the quotient is too large for a number.
    """
    if proposed is None or baseline is None or baseline == 0:
        return None
    percent = (proposed - baseline) / baseline * 100
    # adding zero turns a reversed zero, -0.0, into 0.0
    return _finite((percent if direction == "maximize" else -percent) + 0.0)


def notes(values: Values) -> list[str]:
    """What a reader of the comparison must be told about the values.

    Args:
        values: As in `aggregate`.

    Returns:
        A line for every value that is left out, and one for every run id that counts as both kinds.
    """
    lines = []
    for name, by_run in values.items():
        for run_id, value in by_run.items():
            if value is None:
                lines.append(f"{run_id}: {name} has no value; left out of the comparison")
            elif not math.isfinite(value):
                lines.append(f"{run_id}: {name} is {value}; left out of the comparison")
    run_ids = dict.fromkeys(run_id for by_run in values.values() for run_id in by_run)
    lines += [
        f"{run_id}: its name counts it among the proposed runs and among the baselines"
        for run_id in run_ids
        if is_kind(run_id, PROPOSED) and is_kind(run_id, BASELINE)
    ]
    return lines


def is_kind(run_id: str, words: Sequence[str]) -> bool:
    """Whether a run id says that the run is of a kind."""
    return any(word in run_id for word in words)


def _best(values: Mapping[str, float | None], words: Sequence[str], direction: Direction) -> dict[str, Any] | None:
    chosen = {run_id: value for run_id, value in values.items() if value is not None and is_kind(run_id, words)}
    if not chosen:
        return None
    run_id = (max if direction == "maximize" else min)(chosen, key=lambda candidate: chosen[candidate])
    return {"run_id": run_id, "value": chosen[run_id]}


def _value_of(best: Mapping[str, Any] | None) -> float | None:
    return None if best is None else best["value"]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
