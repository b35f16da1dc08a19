"""statistics.json: how every metric spreads over the seeds, and what the seeds say about the differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from assay.evaluation.aggregate import BASELINE, PROPOSED, is_kind
from assay.evaluation.records import RunRecord, one_value_a_position
from assay.evaluation.request import Request, Target
from assay.evaluation.statistics import (
    Significance,
    TimeToTarget,
    area_under_curve,
    bootstrap_interval,
    corrected,
    log_rank,
    paired_effect,
    paired_permutation,
    paired_wilcoxon,
    summarize,
    survival,
)
from assay.evaluation.times import time_axis, times_to_target

CONFIDENCE = 0.95

Records = Mapping[str, RunRecord]
Pair = tuple[str, str]


def compare(request: Request, records: Records) -> dict[str, Any]:
    """Every proposed run against every baseline, metric by metric.

    Args:
        request: What to compare.
        records: By run id.

    Returns:
        What statistics.json holds. `metrics`: by name, a summary for every run and a comparison for every pair, which
        consists of effect sizes, bootstrap intervals, and two paired tests over the shared seeds, each corrected for
        the number of pairs (Holm). `targets`: times to each target and log-rank tests. `areas`: areas under the curves.
        Wherever something cannot be said, `reason` says why.
    """
    proposed = [run_id for run_id in records if is_kind(run_id, PROPOSED)]
    baselines = [run_id for run_id in records if is_kind(run_id, BASELINE)]
    pairs = [(one, other) for one in proposed for other in baselines if one != other]
    return {
        "proposed": proposed,
        "baselines": baselines,
        "reason": None if pairs else _no_pair(proposed, baselines),
        "confidence": CONFIDENCE,
        "correction": "holm",
        "metrics": {metric.name: _metric(metric.name, metric.direction, records, pairs) for metric in request.metrics},
        "targets": {
            target.name: _target(target, time_axis(request, records), records, pairs) for target in request.targets
        },
        "areas": {name: _areas(name, request.against, records) for name in request.curves},
    }


def _no_pair(proposed: Sequence[str], baselines: Sequence[str]) -> str:
    if not proposed:
        return "No run id contains `proposed`, so that nothing is compared."
    if not baselines:
        return "No run id contains `comparative` or `baseline`, so that nothing is compared."
    return "The only proposed run is the only baseline."


def _metric(name: str, direction: str, records: Records, pairs: Sequence[Pair]) -> dict[str, Any]:
    seeds = {run_id: record.by_seed(name) for run_id, record in records.items()}
    return {
        "direction": direction,
        "runs": {run_id: asdict(summarize(values)) | {"by_seed": values} for run_id, values in seeds.items()},
        "comparisons": _with_tests(
            pairs,
            [_effect(seeds[proposed], seeds[baseline]) for proposed, baseline in pairs],
            {
                "wilcoxon": lambda pair: paired_wilcoxon(seeds[pair[0]], seeds[pair[1]]),
                "permutation": lambda pair: paired_permutation(seeds[pair[0]], seeds[pair[1]]),
            },
        ),
    }


def _effect(proposed: Mapping[int, float], baseline: Mapping[int, float]) -> dict[str, Any]:
    intervals = {
        "mean_difference": bootstrap_interval(proposed, baseline, "mean_difference", confidence=CONFIDENCE),
        "median_difference": bootstrap_interval(proposed, baseline, "median_difference", confidence=CONFIDENCE),
    }
    return {
        "seeds": sorted(proposed.keys() & baseline.keys()),
        "effect": asdict(paired_effect(proposed, baseline)),
        "intervals": {name: asdict(interval) for name, interval in intervals.items()},
    }


def _with_tests(
    pairs: Sequence[Pair], parts: Sequence[Mapping[str, Any]], tests: Mapping[str, Callable[[Pair], Significance]]
) -> list[dict[str, Any]]:
    """Applies tests to all pairs and corrects each test for their number."""
    told: list[dict[str, Any]] = [
        {"proposed": pair[0], "baseline": pair[1], **part} for pair, part in zip(pairs, parts, strict=True)
    ]
    for name, test in tests.items():
        outcomes = [test(pair) for pair in pairs]
        holm = corrected([outcome.p_value for outcome in outcomes], "holm")
        least = corrected([outcome.least_p_value for outcome in outcomes], "holm")
        for entry, outcome, p_value, at_best in zip(told, outcomes, holm, least, strict=True):
            entry[name] = asdict(outcome) | {"p_value_holm": p_value, "least_p_value_holm": at_best}
    return told


def _target(target: Target, against: str, records: Records, pairs: Sequence[Pair]) -> dict[str, Any]:
    times = {run_id: times_to_target(record, target, against) for run_id, record in records.items()}
    return {
        "value": target.value,
        "direction": target.direction,
        "against": against,
        "runs": {run_id: _times(by_seed) for run_id, by_seed in times.items()},
        "comparisons": _with_tests(
            pairs, [{} for _ in pairs], {"log_rank": lambda pair: log_rank(times[pair[0]], times[pair[1]])}
        ),
    }


def _times(by_seed: Mapping[int, TimeToTarget]) -> dict[str, Any]:
    if not by_seed:
        return {"n": 0, "reached": 0, "median": None, "reason": "There are no values.", "by_seed": {}}
    estimate = survival(by_seed)
    return {
        "n": estimate.n,
        "reached": estimate.reached,
        "median": estimate.median,
        "reason": None if estimate.median is not None else "Fewer than half of the seeds reached the target.",
        "by_seed": {seed: asdict(time) for seed, time in by_seed.items()},
    }


def _areas(name: str, against: str, records: Records) -> dict[str, Any]:
    """Areas up to the last position that every seed of every run reached, so that all are measured alike."""
    curves = {
        run_id: {seed: one_value_a_position(curve) for seed, curve in record.curve(name, against).items()}
        for run_id, record in records.items()
    }
    positions = [at for by_seed in curves.values() for at, _ in by_seed.values()]
    budget = min((at[-1] for at in positions), default=None)
    reason = None
    if budget is None:
        reason = "There are no values."
    elif budget <= 0:
        reason = f"A seed has no value beyond {against} 0."
    elif any(at[0] < 0 for at in positions):
        reason = f"Values are logged at negative {against}."
    told: dict[str, Any] = {"against": against, "budget": budget, "reason": reason, "runs": {}}
    if budget is not None and reason is None:
        for run_id, by_seed in curves.items():
            areas = {seed: area_under_curve(at, values, budget=budget) for seed, (at, values) in by_seed.items()}
            told["runs"][run_id] = asdict(summarize(areas)) | {"by_seed": areas}
    return told
