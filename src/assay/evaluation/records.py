"""What a run tracked: its rows, its summary and its configuration, wherever they are kept."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from assay.runtime.errors import ExperimentError
from assay.runtime.track_log import TrackContent, read_track

Source = Literal["auto", "wandb", "local"]
Curve = tuple[list[float], list[float]]

# W&B and track.jsonl write these as strings, because JSON has no words for them
_LARGEST = 1e150
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def as_number(value: object) -> float | None:
    """The number that a tracked value stands for.

    Args:
        value: What stands in a row or a summary. `"NaN"`, `"Infinity"` and `"-Infinity"` are numbers here.

    Returns:
        The number, which may be not finite; None for anything that is no number. A number beyond 1e150 counts as
        infinite: the squares in its spread would be.
    """
    # called for every value of every row: the type that nearly all of them have comes first
    if type(value) is not float and not isinstance(value, int | float):
        return _NOT_FINITE.get(value) if isinstance(value, str) else None
    return float(value) if not abs(value) > _LARGEST else math.copysign(math.inf, value > 0 or -1)


@dataclass(frozen=True)
class RunRecord:
    """Everything that one run tracked.

    Attributes:
        run_id: The run's id; also the id of its W&B run.
        history: The rows in the order of logging. Rows of a training seed carry `seed` and `seconds`.
        summary: The final values that the run gave itself.
        config: The run's resolved configuration.
        series: Keys registered for rows; empty where unknown.
        summary_keys: Keys registered for the summary; empty where unknown.
        source: Where this was read: `W&B entity/project/run_id`, or the path of a `track.jsonl`.
    """

    run_id: str
    history: tuple[Mapping[str, Any], ...]
    summary: Mapping[str, Any]
    config: Mapping[str, Any]
    series: tuple[str, ...]
    summary_keys: tuple[str, ...]
    source: str

    def by_seed(self, name: str) -> dict[int, float]:
        """The last value of a series in every seed.

        Args:
            name: Key of the series.

        Returns:
            Value by seed, in the order of the seeds; a value may be not finite. Seed 0 stands for all rows where no
            row that holds the series names a seed. Empty where the series has no number.
        """
        numbers = ((seed, as_number(row[name])) for seed, row in self._rows_with(name))
        return dict(sorted({seed: number for seed, number in numbers if number is not None}.items()))

    def last(self, name: str) -> dict[int, Any]:
        """The last entry of a series in every seed, whatever it is: a number, a matrix as a list of rows.

        Args:
            name: Key of the series.

        Returns:
            Entry by seed, in the order of the seeds, with seed 0 as in `by_seed`.
        """
        return dict(sorted({seed: row[name] for seed, row in self._rows_with(name)}.items()))

    def value(self, name: str) -> float | None:
        """The one number that stands for a metric of this run.

        Args:
            name: Key of the summary or of a series.

        Returns:
            The summary's value, else the mean of the last values over the seeds (not a number where one of them is
            not). None where there is neither. W&B puts the last row of every series into the summary by itself:
            such a value is the last seed's alone, and counts only where it is not known which keys the run registered.
        """
        registered = name in self.summary_keys or not (self.summary_keys or self.series)
        value = as_number(self.summary.get(name)) if registered else None
        if value is not None:
            return value
        values = self.by_seed(name).values()
        if not values:
            return None
        return _mean(values)

    def curve(self, name: str, against: str = "epoch") -> dict[int, Curve]:
        """A series over the course of training, seed by seed.

        Args:
            name: Key of the series.
            against: Key of the position, logged in the same rows (`epoch`, `seconds`).

        Returns:
            By seed, in the order of the seeds: positions and values as they were logged, of equal length. Positions
            repeat where a series is logged more than once at one of them. Seed 0 stands for all rows where no row
            that holds the series names a seed. Rows that lack one of the two are left out, and such whose position
            is not finite.
        """
        curves: dict[int, Curve] = {}
        for seed, row in self._rows_with(name):
            position, value = as_number(row.get(against)), as_number(row[name])
            if position is not None and math.isfinite(position) and value is not None:
                positions, values = curves.setdefault(seed, ([], []))
                positions.append(position)
                values.append(value)
        return dict(sorted(curves.items()))

    def _rows_with(self, name: str) -> list[tuple[int, Mapping[str, Any]]]:
        """Rows that hold a series, with their seed. Rows without one count only where no row has one."""
        rows = [row for row in self.history if row.get(name) is not None]
        seeds = [row.get("seed") for row in rows]
        if not all(type(seed) is int for seed in seeds):
            seeds = [None if seed is None else self._seed(seed) for seed in seeds]
        seeded = [(seed, row) for seed, row in zip(seeds, rows, strict=True) if seed is not None]
        return seeded or [(0, row) for row in rows]

    def _seed(self, value: object) -> int:
        number = as_number(value)
        if number is None or not number.is_integer():
            raise ExperimentError(f"{self.source}: a row has the seed {value!r:.40}, which is no whole number.")
        return int(number)


def one_value_a_position(curve: Curve) -> Curve:
    """Averages what was logged more than once at a position.

    Args:
        curve: Positions in any order, and values. A value that is not finite makes its position's mean not a number,
            so that the line shows a gap there.

    Returns:
        Positions in rising order, each once, and the means.
    """
    grouped: dict[float, list[float]] = {}
    for position, value in zip(*curve, strict=True):
        grouped.setdefault(position, []).append(value)
    positions = sorted(grouped)
    return positions, [_mean(grouped[position]) for position in positions]


def load_record(results_dir: Path, run_id: str, wandb_section: Mapping[str, Any], source: Source = "auto") -> RunRecord:
    """Reads what a run tracked.

    Args:
        results_dir: Folder that holds one folder per run.
        run_id: The run.
        wandb_section: `wandb` of config.yaml: `entity`, `project`, and `mode` where it has one.
        source: `wandb` takes the W&B API and nothing else, `local` the run's own `track.jsonl`. `auto` takes the API
            where the run was tracked online, and the local file otherwise, or where the API does not answer; it then
            says so on standard error.

    Returns:
        The record of a run that came to its end.

    Raises:
        ExperimentError: Nothing was tracked, the run did not finish, or what was tracked cannot be read.
    """
    path = results_dir / run_id / "track.jsonl"
    content = read_track(path) if path.is_file() else None
    if content is not None and content.status != "complete":
        state = "failed" if content.status == "failed" else "has not finished"
        raise ExperimentError(
            f"{run_id}: the run {state} (last line of {path}); start it again with mode=full, it goes on from its "
            "checkpoint, and evaluate when it is through."
        )
    if source == "local" or (source == "auto" and not _tracked_online(content, wandb_section)):
        if content is None:
            raise _nothing_tracked(run_id, f"there is no {path}")
        return _local_record(run_id, path, content)
    try:
        return _online_record(run_id, wandb_section)
    except ExperimentError as fault:
        if source == "wandb":
            raise
        if content is None:
            raise _nothing_tracked(run_id, f"there is no {path}, and W&B gave nothing ({fault})") from fault
        print(f"{run_id}: read from {path}, because W&B gave nothing ({fault})", file=sys.stderr)
        return _local_record(run_id, path, content)


def _tracked_online(content: TrackContent | None, wandb_section: Mapping[str, Any]) -> bool:
    """How the run says that it was tracked; without a local log, how it should have been."""
    return bool((wandb_section if content is None else content.wandb).get("mode", "online") == "online")


def _online_record(run_id: str, wandb_section: Mapping[str, Any]) -> RunRecord:
    from assay.evaluation.records_wandb import fetch_record

    project = wandb_section.get("project")
    if not project:
        raise ExperimentError("config.yaml does not say wandb.project; add it, or pass source=local.", status=2)
    return fetch_record(wandb_section.get("entity"), str(project), run_id)


def _local_record(run_id: str, path: Path, content: TrackContent) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        history=content.rows,
        summary=content.summary,
        config=content.config,
        series=content.series,
        summary_keys=content.summary_keys,
        source=str(path),
    )


def _nothing_tracked(run_id: str, where: str) -> ExperimentError:
    return ExperimentError(
        f"{run_id}: no tracked data: {where}. A run in trial mode tracks nothing; run it with mode=full, then evaluate."
    )


def _mean(values: Collection[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan
