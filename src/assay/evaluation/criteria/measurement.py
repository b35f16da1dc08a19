"""What the seeds of one setting say about a criterion: improvement, interval, test."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from assay.evaluation import statistics
from assay.evaluation.criteria.section import Criterion, meant
from assay.evaluation.records import RunRecord
from assay.evaluation.request import Target
from assay.evaluation.statistics import TimeToTarget
from assay.evaluation.statistics.significance import Alternative, Significance
from assay.evaluation.times import times_to_target

Times = Mapping[int, TimeToTarget]
Centre = Callable[[NDArray[Any]], NDArray[np.float64]]


@dataclass(frozen=True)
class Improvement:
    """By how much the proposed run of a setting is better.

    Attributes:
        proposed: What stands for the proposed run's seeds: their median or mean; None where a median is not reached.
        baseline: The same of the baseline.
        size: The improvement, positive where the proposed run is better; None where there is none.
        bound: Whether `size` is the least (`lower`) or the most (`upper`) that it can be; None: it is an estimate.
        problem: Why there is none; None where there is one.
        interval: Its bootstrap confidence interval; None where there is no estimate.
    """

    proposed: float | None = None
    baseline: float | None = None
    size: float | None = None
    bound: Literal["lower", "upper"] | None = None
    problem: str | None = None
    interval: statistics.Interval | None = None


@dataclass(frozen=True)
class Measured:
    """What the seeds of one setting say, before the p-values of all settings are corrected.

    Attributes:
        proposed_id: Id of the proposed run.
        baseline_id: Id of the baseline; None where there is none.
        obstacle: Why nothing can be said; None where something can.
        pairs: Number of seeds that both runs have.
        unpaired: Seeds that one run has alone.
        not_finite: Shared seeds with a value that is not finite.
        never_reached: Shared seeds that never reached the target, of the proposed run and of the baseline.
        improvement: By how much the proposed run is better.
        significance: The test, whose `sign` is 1 where the proposed run is better; None where none is asked for.
        rank_biserial: Effect size in [-1, 1], positive where the proposed run is better.
    """

    proposed_id: str
    baseline_id: str | None
    obstacle: str | None = None
    pairs: int = 0
    unpaired: tuple[int, ...] = ()
    not_finite: tuple[int, ...] = ()
    never_reached: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    improvement: Improvement = Improvement()
    significance: Significance | None = None
    rank_biserial: float | None = None


def measured(
    criterion: Criterion, records: Mapping[str, RunRecord], proposed_id: str, baseline_id: str | None
) -> Measured:
    """Measures one setting.

    Args:
        criterion: The criterion, with its directions.
        records: The compared runs by their ids.
        proposed_id: Id of the proposed run.
        baseline_id: Id of the baseline; None where there is none.

    Returns:
        The numbers, or the obstacle.
    """
    if baseline_id is None:
        return Measured(proposed_id, None, f"No baseline's id goes with {proposed_id}.")
    for run_id in (proposed_id, baseline_id):
        if run_id not in records:
            obstacle = f"{run_id} is not among the compared runs{meant(run_id, records)}."
            return Measured(proposed_id, baseline_id, obstacle)
    if criterion.target is None:
        return _of_values(criterion, records[proposed_id], records[baseline_id])
    return _of_times(criterion, criterion.target, records[proposed_id], records[baseline_id])


def _of_values(criterion: Criterion, proposed: RunRecord, baseline: RunRecord) -> Measured:
    ids, name = (proposed.run_id, baseline.run_id), criterion.series
    missing = [record.run_id for record in (proposed, baseline) if not record.by_seed(name)]
    if missing:
        return Measured(*ids, f"{' and '.join(missing)} did not log {name}.")
    pairs = statistics.pair(proposed.by_seed(name), baseline.by_seed(name))
    known: dict[str, Any] = {"pairs": len(pairs.seeds), "unpaired": pairs.unpaired, "not_finite": pairs.not_finite}
    obstacle = pairs.obstacle or _too_few(criterion, len(pairs.seeds))
    if obstacle is not None:
        return Measured(*ids, obstacle, **known)
    sign = 1 if criterion.direction == "maximize" else -1
    centre = np.median if criterion.statistic == "median" else np.mean
    improvement = _estimate(
        criterion,
        lambda drawn: centre(pairs.first[drawn], axis=-1),
        lambda drawn: centre(pairs.second[drawn], axis=-1),
        len(pairs.seeds),
        sign,
    )
    # by sign, the greater value is the better one in both groups
    ours = dict(zip(pairs.seeds, (sign * pairs.first).tolist(), strict=True))
    theirs = {
        seed: sign * _worsened(criterion, value, sign)
        for seed, value in zip(pairs.seeds, pairs.second.tolist(), strict=True)
    }
    significance = None
    if criterion.test == "wilcoxon":
        significance = statistics.paired_wilcoxon(ours, theirs, alternative=_alternative(criterion))
    elif criterion.test == "permutation":
        significance = statistics.paired_permutation(ours, theirs, alternative=_alternative(criterion))
    return Measured(
        *ids,
        **known,
        improvement=improvement,
        significance=significance,
        rank_biserial=statistics.rank_biserial(sign * pairs.differences),
    )


def _of_times(criterion: Criterion, target: float, proposed: RunRecord, baseline: RunRecord) -> Measured:
    ids = (proposed.run_id, baseline.run_id)
    wanted = Target(criterion.series, target, criterion.score_direction or "maximize")
    times = [times_to_target(record, wanted, criterion.against) for record in (proposed, baseline)]
    for record, by_seed in zip((proposed, baseline), times, strict=True):
        if not by_seed:
            return Measured(*ids, f"{record.run_id} did not log {criterion.series} with {criterion.against}.")
    shared = sorted(times[0].keys() & times[1].keys())
    ours, theirs = ({seed: side[seed] for seed in shared} for side in times)
    known: dict[str, Any] = {
        "pairs": len(shared),
        "unpaired": tuple(sorted(times[0].keys() ^ times[1].keys())),
        "not_finite": tuple(seed for seed in shared if ours[seed].not_finite or theirs[seed].not_finite),
        "never_reached": tuple(tuple(seed for seed in shared if not side[seed].reached) for side in (ours, theirs)),
    }
    obstacle = _too_few(criterion, len(shared))
    if obstacle is not None:
        return Measured(*ids, obstacle, **known)
    # the baseline first: its times are longer where the proposed run is better
    allowed = {s: TimeToTarget(_worsened(criterion, t.time, -1), t.reached) for s, t in theirs.items()}
    significance = None
    if criterion.test == "logrank":
        significance = statistics.log_rank(allowed, ours, alternative=_alternative(criterion))
    elif criterion.test != "none":
        significance = statistics.censored_paired(
            allowed, ours, test=criterion.test, alternative=_alternative(criterion)
        )
    return Measured(
        *ids,
        **known,
        improvement=_improvement_of_times(criterion, ours, theirs),
        significance=significance,
        rank_biserial=statistics.rank_biserial(statistics.censored_differences(theirs, ours)),
    )


def _improvement_of_times(criterion: Criterion, ours: Times, theirs: Times) -> Improvement:
    p, b = list(ours.values()), list(theirs.values())
    if criterion.statistic == "mean":
        if not all(time.reached for time in (*p, *b)):
            return Improvement(problem="Some seeds never reached the target: their times have a median, but no mean.")
        return _estimate(criterion, _mean_time(p), _mean_time(b), len(p), -1)
    proposed, baseline = statistics.survival(ours).median, statistics.survival(theirs).median
    if proposed is not None and baseline is not None:
        return _estimate(
            criterion,
            lambda drawn: statistics.resampled_medians(p, drawn),
            lambda drawn: statistics.resampled_medians(b, drawn),
            len(p),
            -1,
        )
    if proposed is None and baseline is None:
        return Improvement(problem="Neither run reached the target in half of its seeds.")
    # a median that is not reached lies beyond the last time at which a seed was looked at
    size, problem = _size(
        criterion,
        max(time.time for time in p) if proposed is None else proposed,
        max(time.time for time in b) if baseline is None else baseline,
        -1,
    )
    return Improvement(proposed, baseline, size, "upper" if proposed is None else "lower", problem)


def _mean_time(times: Sequence[TimeToTarget]) -> Centre:
    array = np.array([time.time for time in times])
    return lambda drawn: np.mean(array[drawn], axis=-1)


def _estimate(criterion: Criterion, proposed: Centre, baseline: Centre, n: int, sign: int) -> Improvement:
    """The improvement of what stands for the seeds; `proposed` and `baseline` take indices of drawn seeds."""
    everything = np.arange(n)
    p, b = float(proposed(everything)), float(baseline(everything))
    size, problem = _size(criterion, p, b, sign)
    if problem is not None:
        return Improvement(p, b, problem=problem)

    def of_drawn(drawn: NDArray[Any]) -> NDArray[np.float64]:
        ours, theirs = proposed(drawn), baseline(drawn)
        gain = sign * (ours - theirs)
        if criterion.measure == "absolute":
            return gain
        # a median that is not reached is infinite: against it, whatever is reached is better by all of it
        relative = np.where(np.isinf(theirs) & np.isfinite(ours), 1.0, gain / np.abs(theirs))
        return np.where(theirs == 0, np.nan, relative)

    return Improvement(p, b, size, interval=statistics.interval_over_pairs(of_drawn, n))


def _size(criterion: Criterion, proposed: float, baseline: float, sign: int) -> tuple[float | None, str | None]:
    """The improvement, or why there is none."""
    gain = sign * (proposed - baseline)
    if criterion.measure == "absolute":
        return gain, None
    if baseline == 0:
        return None, f"The baseline's {criterion.statistic} is zero, so that there is no relative improvement."
    relative = gain / abs(baseline)
    if not math.isfinite(relative):
        return None, f"The baseline's {criterion.statistic} is too close to zero for a relative improvement."
    return relative, None


def _worsened(criterion: Criterion, baseline: float, sign: int) -> float:
    """A value of the baseline, made worse by as much as a negative improvement allows."""
    margin = max(0.0, -criterion.at_least)
    return baseline - sign * margin * (abs(baseline) if criterion.measure == "relative" else 1)


def _alternative(criterion: Criterion) -> Alternative:
    return "greater" if criterion.at_least < 0 else "two-sided"


def _too_few(criterion: Criterion, pairs: int) -> str | None:
    if pairs >= max(1, criterion.minimum_pairs):
        return None
    shared = {0: "no seed", 1: "one seed"}.get(pairs, f"{pairs} seeds")
    return f"The runs share {shared}, and at least {criterion.minimum_pairs} are asked for."
