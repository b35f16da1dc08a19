"""What an evaluation is asked to compare, and whether the runs tracked it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from assay.evaluation.records import RunRecord, as_number
from assay.runtime.errors import ExperimentError

Direction = Literal["maximize", "minimize"]

# logged with every row of a training seed by the tracker itself
_BY_ITSELF = ("seed", "seconds")
_STAGES = ("train", "training", "val", "valid", "validation", "dev", "eval", "test", "final", "best", "last")


@dataclass(frozen=True)
class Metric:
    """A number that every run is judged by.

    Args:
        name: Its key in the tracked data.
        direction: `maximize` where higher is better, `minimize` where lower is.
        label: How figures and tables call it, with its unit; the name where None.

    Raises:
        ExperimentError: The name is empty, or the direction is neither of the two.
    """

    name: str
    direction: Direction
    label: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ExperimentError(
                f"Metric({self.name!r}, ...): the name is the key that was tracked, a text.", status=2
            )
        if self.direction not in ("maximize", "minimize"):
            raise ExperimentError(
                f"Metric({self.name!r}, {self.direction!r}): the direction is 'maximize' or 'minimize'.", status=2
            )

    @property
    def higher_is_better(self) -> bool:
        return self.direction == "maximize"

    @property
    def title(self) -> str:
        return self.label or self.name


@dataclass(frozen=True)
class Target:
    """A value that a series is to reach.

    Attributes:
        name: Key of the series.
        value: The value.
        direction: `maximize`: reached from this value on; `minimize`: from this value down.
    """

    name: str
    value: float
    direction: Direction


@dataclass(frozen=True)
class Request:
    """What to compare.

    Attributes:
        metrics: The first is the primary one.
        curves: Keys of series to draw.
        against: Key of their positions.
        confusion: Key of a confusion matrix, a list of rows; None where there is none.
        class_names: Names of its classes.
        targets: Values to reach.
    """

    metrics: tuple[Metric, ...]
    curves: tuple[str, ...] = ()
    against: str = "epoch"
    confusion: str | None = None
    class_names: tuple[str, ...] | None = None
    targets: tuple[Target, ...] = ()

    @property
    def primary(self) -> Metric:
        return self.metrics[0]


def make_request(
    metrics: Sequence[Metric],
    curves: Sequence[str],
    against: str,
    confusion: str | None,
    class_names: Sequence[str] | None,
    targets: Mapping[str, float | tuple[float, Direction]] | None,
) -> Request:
    """Checks the words of a call to `evaluate`.

    Args:
        metrics: As in `Request`.
        curves: As in `Request`.
        against: As in `Request`.
        confusion: As in `Request`.
        class_names: As in `Request`.
        targets: By series: the value, or the value and its direction. Without one, the direction is that of the metric
            of the same name, or of one that measures the same at another stage (`val_accuracy`, `test_accuracy`).

    Returns:
        The request.

    Raises:
        ExperimentError: Something is not of its type, a name stands twice, or a target's direction cannot be told.
    """
    if isinstance(curves, str):
        raise ExperimentError(f"evaluate(curves={curves!r}): write a tuple of names, ({curves!r},).", status=2)
    for metric in metrics:
        if not isinstance(metric, Metric):
            raise ExperimentError(f"evaluate({metric!r}, ...): write Metric({metric!r}, 'maximize').", status=2)
    if not isinstance(curves, Sequence) or not all(isinstance(name, str) for name in curves):
        raise ExperimentError(f"evaluate(curves={curves!r}): it takes a tuple of names.", status=2)
    for word, name in {"against": against, "confusion": confusion}.items():
        if not isinstance(name, str) and not (name is None and word == "confusion"):
            raise ExperimentError(f"evaluate({word}={name!r}): it takes the name of a series.", status=2)
    if not isinstance(targets or {}, Mapping):
        raise ExperimentError(f"evaluate(targets={targets!r}): it takes values by the names of series.", status=2)
    for kind, keys in {"metric": [metric.name for metric in metrics], "curve": list(curves)}.items():
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ExperimentError(f"evaluate(...): the {kind} {twice[0]!r} stands twice; name it once.", status=2)
    wanted = tuple(_target(name, given, metrics) for name, given in (targets or {}).items())
    names = None if class_names is None else tuple(map(str, class_names))
    return Request(tuple(metrics), tuple(curves), against, confusion, names, wanted)


def _target(name: str, given: float | tuple[float, Direction], metrics: Sequence[Metric]) -> Target:
    value, said = (given[0], given[1:]) if isinstance(given, tuple) and given else (given, ())
    number = as_number(value) if isinstance(value, int | float) else None
    if number is None or not math.isfinite(number) or len(said) > 1:
        raise ExperimentError(
            f"evaluate(targets=...): {name!r} is to reach {given!r}; write a number, or (number, 'maximize').", status=2
        )
    if said:
        return Target(name, number, Metric(name, said[0]).direction)
    directions = {metric.direction for metric in metrics if metric.name == name} or {
        metric.direction for metric in metrics if _without_stage(metric.name) == _without_stage(name)
    }
    if len(directions) != 1:
        raise ExperimentError(
            f"evaluate(targets=...): does {name!r} rise or fall to {value}? "
            f"Write {name!r}: ({value}, 'maximize') or ({value}, 'minimize').",
            status=2,
        )
    return Target(name, number, directions.pop())


def _without_stage(name: str) -> str:
    words = name.lower().replace("/", "_").split("_")
    return "_".join(word for word in words if word not in _STAGES)


def check_tracked(request: Request, records: Iterable[RunRecord]) -> None:
    """Makes sure that every run tracked what is to be compared, before anything is written.

    Args:
        request: What is asked for.
        records: The runs.

    Raises:
        ExperimentError: Names every key that is missing, the runs where it is, and the key that may have been meant.
    """
    in_rows = [*request.curves, *(target.name for target in request.targets)]
    in_rows += [request.against] if in_rows else []
    in_rows += [request.confusion] if request.confusion else []
    missing: dict[str, list[str]] = {}
    registered: dict[str, None] = {}
    for record in records:
        series, summary = _series_of(record), _summary_of(record)
        registered |= dict.fromkeys((*series, *summary))
        absent = [metric.name for metric in request.metrics if metric.name not in (*series, *summary)]
        absent += [name for name in in_rows if name not in (*series, *_BY_ITSELF)]
        for name in dict.fromkeys(absent):
            missing.setdefault(name, []).append(record.run_id)
    if missing:
        told = "; ".join(
            f"{name} in {', '.join(runs)}{_meant(name, list(registered))}" for name, runs in missing.items()
        )
        raise ExperimentError(
            f"Not tracked: {told}. Registered are: {', '.join(registered) or 'no keys'}. Use the same names in "
            "src/train.py and src/evaluate.py."
        )
    for record in records:
        for name in (*request.curves, *(target.name for target in request.targets)):
            logged = any(as_number(row.get(name)) is not None for row in record.history)
            if logged and not record.curve(name, request.against):
                raise ExperimentError(
                    f"{record.run_id}: {name} is never logged in one row with {request.against}; log them together, "
                    f"tracker.log({{{request.against!r}: ..., {name!r}: ...}}), or pass another against=."
                )


def _series_of(record: RunRecord) -> tuple[str, ...]:
    return record.series or tuple(dict.fromkeys(name for row in record.history for name in row))


def _summary_of(record: RunRecord) -> tuple[str, ...]:
    return record.summary_keys or tuple(record.summary)


def _meant(name: str, registered: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, registered, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
