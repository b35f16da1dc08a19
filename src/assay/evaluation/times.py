"""When the seeds of a run reached a target, and in what that time is measured."""

from __future__ import annotations

from collections.abc import Mapping

from assay.evaluation.records import RunRecord
from assay.evaluation.request import Request, Target
from assay.evaluation.statistics import TimeToTarget, time_to_target


def time_axis(request: Request, records: Mapping[str, RunRecord]) -> str:
    """Key of the time that targets are measured in: `seconds` where every run has them, else that of the curves."""
    names = [target.name for target in request.targets]
    timed = all(
        record.curve(name, "seconds") or not record.by_seed(name) for record in records.values() for name in names
    )
    return "seconds" if timed else request.against


def times_to_target(record: RunRecord, target: Target, against: str) -> dict[int, TimeToTarget]:
    """When each seed of a run reached a target.

    Args:
        record: The run.
        target: The target.
        against: Key of the time.

    Returns:
        By seed; empty where the run has no value of the series at such a time.
    """
    times = {}
    for seed, curve in record.curve(target.name, against).items():
        # a stable sort: of several values at one time, the order of logging stays
        at, values = zip(*sorted(zip(*curve, strict=True), key=lambda point: point[0]), strict=True)
        times[seed] = time_to_target(at, values, target.value, target.direction)
    return times
