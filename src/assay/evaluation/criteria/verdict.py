"""Decides criteria on tracked runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Literal, cast

from assay.evaluation import statistics
from assay.evaluation.criteria.measurement import Improvement, Measured, measured
from assay.evaluation.criteria.pairing import PROPOSED, settings_of
from assay.evaluation.criteria.section import Criterion, meant, wrong
from assay.evaluation.records import RunRecord
from assay.evaluation.request import Direction
from assay.evaluation.statistics.significance import Significance

Verdict = Literal["met", "not met", "undecidable"]

_IMPROVEMENT_IS = {None: "estimate", "lower": "lower bound", "upper": "upper bound"}


def decide(
    criteria: Sequence[Criterion], records: Sequence[RunRecord], directions: Mapping[str, str]
) -> dict[str, Any]:
    """Decides every criterion on the tracked runs.

    Args:
        criteria: The criteria, from `read_criteria`.
        records: The runs that are compared.
        directions: `maximize` or `minimize` by the name of a metric, as far as the evaluation knows it.

    Returns:
        For every criterion by name: its verdict, why, what it asked for, and every setting with its numbers. Ready for
        JSON: nothing in it is infinite or not a number.

    Raises:
        ExperimentError: A criterion contradicts a metric's direction, needs one that nobody gives, or is about a metric
            that no run logged.
    """
    return {criterion.name: _decide_one(_resolved(criterion, records, directions), records) for criterion in criteria}


def _resolved(criterion: Criterion, records: Sequence[RunRecord], directions: Mapping[str, str]) -> Criterion:
    """The criterion with its directions filled in, checked against what the runs logged."""
    at, name = f"criteria.{criterion.name}", criterion.series
    timed = criterion.target is not None
    key = "metric.score_direction" if timed else "direction"
    said = criterion.score_direction if timed else criterion.direction
    known = directions.get(name)
    if said is not None and known is not None and said != known:
        raise wrong(f"{at}.{key}", f"is {said}, but the evaluation has {name} as a metric to {known}")
    direction = said or known
    if direction is None:
        raise wrong(
            f"{at}.{key}", f"is missing, and the evaluation knows no direction of {name}; write maximize or minimize"
        )
    if not any(record.by_seed(name) for record in records):
        logged = sorted({key for record in records for row in record.history for key in row} - {"seed"})
        where = f"{at}.metric.time_to" if timed else f"{at}.metric"
        raise wrong(
            where, f"is {name}, which no run logged in its rows; logged are {', '.join(logged)}{meant(name, logged)}"
        )
    if timed and not any(record.curve(name, criterion.against) for record in records):
        keys = sorted({key for r in records for row in r.history if name in row for key in row} - {name, "seed"})
        raise wrong(
            f"{at}.metric.against",
            f"is {criterion.against}, which no run logged with {name}; "
            f"logged with it are {', '.join(keys)}{meant(criterion.against, keys)}",
        )
    checked = cast(Direction, direction)
    return replace(criterion, score_direction=checked) if timed else replace(criterion, direction=checked)


def _decide_one(criterion: Criterion, records: Sequence[RunRecord]) -> dict[str, Any]:
    by_id = {record.run_id: record for record in records}
    pairs = settings_of(criterion, records)
    numbers = [measured(criterion, by_id, proposed, baseline) for proposed, baseline in pairs]
    p_values = [n.significance.p_value if n.significance else None for n in numbers]
    corrected = statistics.corrected(p_values, criterion.correction)
    least = [n.significance.least_p_value if n.significance else None for n in numbers]
    best = statistics.corrected(least, criterion.correction)
    settings = [_setting(criterion, n, p, b) for n, p, b in zip(numbers, corrected, best, strict=True)]
    verdicts = [setting["verdict"] for setting in settings]
    verdict, why = _verdict_of(criterion, verdicts)
    used = {run_id for pair in pairs for run_id in pair}
    asked = {key: value for key, value in asdict(criterion).items() if key != "name"}
    if criterion.settings is not None:
        # as JSON gives it back
        asked["settings"] = [list(setting) for setting in criterion.settings]
    return {
        "verdict": verdict,
        "why": why,
        "metric": _metric_text(criterion),
        "settings_met": verdicts.count("met"),
        "settings_not_met": verdicts.count("not met"),
        "settings_undecidable": verdicts.count("undecidable"),
        "settings": settings,
        "runs_in_no_setting": sorted(by_id.keys() - used),
        "criterion": asked,
    }


def _verdict_of(criterion: Criterion, verdicts: Sequence[str]) -> tuple[Verdict, str]:
    total, met, open_ = len(verdicts), verdicts.count("met"), verdicts.count("undecidable")
    if total == 0:
        return "undecidable", f"No proposed run is there: no run id matches {criterion.proposed or PROPOSED}."
    # a share such as 0.7 of 10 settings is 7, not 8 because of the binary fraction
    needed = max(1, math.ceil(criterion.share_of_settings * total - 1e-9))
    counts = f"{met} of {total} settings meet it, {open_} cannot be decided, and {needed} are needed"
    if met >= needed:
        return "met", f"{counts}."
    if met + open_ < needed:
        return "not met", f"{counts}."
    return "undecidable", f"{counts}: what cannot be decided would decide."


def _metric_text(criterion: Criterion) -> str:
    if criterion.target is None:
        return criterion.series
    sign = "≥" if criterion.score_direction == "maximize" else "≤"
    return f"{criterion.against} until {criterion.series} {sign} {criterion.target:g}"


def _setting(criterion: Criterion, m: Measured, corrected: float | None, best: float | None) -> dict[str, Any]:
    verdict, why = _verdict(criterion, m, corrected, best)
    improvement, interval, test = m.improvement, m.improvement.interval, m.significance
    described: dict[str, Any] = {
        "proposed": m.proposed_id,
        "baseline": m.baseline_id,
        "verdict": verdict,
        "why": why,
        "pairs": m.pairs,
        "unpaired_seeds": list(m.unpaired),
        "not_finite_seeds": list(m.not_finite),
        "proposed_value": improvement.proposed,
        "baseline_value": improvement.baseline,
        "improvement": improvement.size,
        "improvement_is": None if improvement.size is None else _IMPROVEMENT_IS[improvement.bound],
        "interval": None if interval is None or interval.low is None else [interval.low, interval.high],
        "interval_method": interval.method if interval else None,
        "interval_reason": interval.reason if interval else "There is no estimate.",
        "rank_biserial": m.rank_biserial,
        "method": test.method if test else None,
        "alternative": test.alternative if test else None,
        "statistic": test.statistic if test else None,
        "p_value": test.p_value if test else None,
        "p_corrected": corrected,
    }
    if criterion.target is not None:
        described["never_reached_seeds"] = dict(zip(("proposed", "baseline"), map(list, m.never_reached), strict=True))
    return described


def _verdict(criterion: Criterion, m: Measured, corrected: float | None, best: float | None) -> tuple[Verdict, str]:
    """Both the size and the test have to hold; one that fails for certain settles it, whatever the other says."""
    if m.obstacle is not None:
        return "undecidable", m.obstacle
    large, size = _large_enough(criterion, m.improvement)
    sure, test = _significant(criterion, m.significance, corrected, best)
    why = f"{size} {test}".strip()
    if large is False or sure is False:
        return "not met", why
    return ("met" if large and sure else "undecidable"), why


def _large_enough(criterion: Criterion, improvement: Improvement) -> tuple[bool | None, str]:
    size, bound = improvement.size, improvement.bound
    if size is None:
        return None, improvement.problem or ""
    # 0.93 - 0.91 is 0.02, although binary fractions make it a little less
    values = [abs(value) for value in (improvement.proposed, improvement.baseline) if value is not None]
    unit = 1.0 if criterion.measure == "relative" else max(values)
    near = math.isclose(size, criterion.at_least, rel_tol=1e-9, abs_tol=1e-12 * unit)
    enough = near or size > criterion.at_least
    is_ = {"lower": "is at least", "upper": "is at most", None: "is"}[bound]
    what = f"The {criterion.measure} improvement of the {criterion.statistic} {is_} {size:.4g}"
    text = f"{what}; at least {criterion.at_least:g} is asked for."
    # a lower bound proves that enough is there, an upper one that it is not; neither proves the opposite
    if (bound == "lower" and not enough) or (bound == "upper" and enough):
        return None, f"{text} A run that did not reach the target in half of its seeds leaves open what it is exactly."
    return enough, text


def _significant(
    criterion: Criterion, test: Significance | None, corrected: float | None, best: float | None
) -> tuple[bool | None, str]:
    if test is None:
        return True, ""
    if corrected is None:
        # runs that are equal in every seed leave no doubt that no difference is shown
        return (False if test.n > 1 and test.zeros == test.n else None), test.reason or ""
    label = "p" if criterion.correction == "none" else f"p after {criterion.correction.capitalize()}"
    text = f"{criterion.test}: {label} is {corrected:.4g}, alpha is {criterion.alpha:g}."
    if corrected < criterion.alpha and test.sign < 0:
        return False, f"{text} The difference is in the wrong direction."
    if best is not None and best >= criterion.alpha:
        return None, f"{text} So few seeds cannot give less than {best:.4g}, whatever their values are."
    return corrected < criterion.alpha, text
