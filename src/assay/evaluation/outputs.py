"""Which files an evaluation writes, and how the content of each is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from assay.evaluation import figures
from assay.evaluation.aggregate import Values
from assay.evaluation.confusion import summed_confusion
from assay.evaluation.records import RunRecord
from assay.evaluation.request import Request
from assay.evaluation.times import time_axis, times_to_target
from assay.evaluation.writing import json_text

Seeds = Mapping[str, Mapping[str, Mapping[int, float]]]


@dataclass(frozen=True)
class Output:
    """A file to write.

    Attributes:
        path: Where.
        content: Makes it; called when it is to be written, so that one figure at a time is in memory.
    """

    path: Path
    content: Callable[[], str | bytes]


def run_outputs(request: Request, results_dir: Path, records: Mapping[str, RunRecord]) -> list[Output]:
    """Files of every single run: its numbers, its learning curves, its confusion matrix.

    Args:
        request: What is asked for.
        results_dir: Folder that holds one folder per run.
        records: By run id.

    Returns:
        The files, run by run.

    Raises:
        ExperimentError: A tracked confusion matrix is none.
    """
    outputs = []
    for run_id, record in records.items():
        folder, names = results_dir / run_id, figures.FigureNames()
        outputs.append(Output(folder / "metrics.json", _json(_run_metrics(request, record))))
        if request.curves:
            panels = {name: record.curve(name, request.against) for name in request.curves}
            drawn = _pdf(figures.draw_learning_curve, run_id, panels, request.against)
            outputs.append(Output(folder / names.of_run(run_id, "learning_curve"), drawn))
        summed = summed_confusion(record, request.confusion, request.class_names) if request.confusion else None
        if summed is not None:
            drawn = _pdf(figures.draw_confusion_matrix, run_id, summed[0], request.class_names, summed[1])
            outputs.append(Output(folder / names.of_run(run_id, "confusion_matrix"), drawn))
    return outputs


def comparison_figures(
    request: Request, folder: Path, records: Mapping[str, RunRecord], values: Values, seeds: Seeds
) -> list[Output]:
    """Figures that show all runs side by side.

    Args:
        request: What is asked for.
        folder: Where they go.
        records: By run id.
        values: By metric name, then by run id.
        seeds: By metric name, by run id, by seed.

    Returns:
        The files.

    Raises:
        ExperimentError: Two of them would have one name.
    """
    names = figures.FigureNames()
    outputs = []

    def add(
        topic: str, condition: str | None, draw: Callable[..., Figure], *arguments: object, **named: object
    ) -> None:
        outputs.append(Output(folder / names.of_comparison(topic, condition), _pdf(draw, *arguments, **named)))

    for metric in request.metrics:
        by_seed = seeds[metric.name]
        better = metric.higher_is_better
        add("bar_chart", metric.name, figures.draw_bar_chart, metric.title, better, values[metric.name], by_seed)
        if any(by_seed.values()):
            add("box_plot", metric.name, figures.draw_box_plot, metric.title, better, by_seed)
    for name in request.curves:
        curves = {run_id: record.curve(name, request.against) for run_id, record in records.items()}
        add("curve", name, figures.draw_curve_spread, name, curves, request.against)
    against = time_axis(request, records)
    for target in request.targets:
        times = {run_id: times_to_target(record, target, against) for run_id, record in records.items()}
        goal = f"{target.name} {'≥' if target.direction == 'maximize' else '≤'} {target.value:g}"
        add("time_to_target", target.name, figures.draw_survival, goal, times, against)
    if len(records) > 1:
        add(
            "heat_map",
            None,
            figures.draw_heat_map,
            list(records),
            [metric.title for metric in request.metrics],
            [[values[metric.name][run_id] for metric in request.metrics] for run_id in records],
            label="within each metric",
            higher_is_better=[metric.higher_is_better for metric in request.metrics],
        )
    return outputs


def _run_metrics(request: Request, record: RunRecord) -> dict[str, Any]:
    """What metrics.json holds: everything that was tracked, and the values that the comparison takes from it."""
    names = dict.fromkeys([*(metric.name for metric in request.metrics), *request.curves])
    return {
        "run_id": record.run_id,
        "source": record.source,
        "metrics": {metric.name: record.value(metric.name) for metric in request.metrics},
        "by_seed": {name: record.by_seed(name) for name in names},
        "summary": record.summary,
        "config": record.config,
        "history": record.history,
    }


def _json(value: object) -> Callable[[], str]:
    return lambda: json_text(value)


def _pdf(draw: Callable[..., Figure], *arguments: object, **named: object) -> Callable[[], bytes]:
    return lambda: figures.pdf_bytes(draw(*arguments, **named))
