"""The whole of `python -m src.evaluate`: reads tracked runs, compares them, and writes tables, numbers and figures."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from assay.evaluation.aggregate import aggregate, notes
from assay.evaluation.arguments import Call, read_arguments
from assay.evaluation.records import RunRecord, load_record
from assay.evaluation.request import Direction, Metric, Request, check_tracked, make_request
from assay.evaluation.tables import Table, make_table, to_csv, to_latex, to_markdown, to_text
from assay.evaluation.writing import json_text, only_evaluation, write_whole
from assay.runtime.errors import ExperimentError


def evaluate(
    primary: Metric,
    *others: Metric,
    curves: Sequence[str] = (),
    against: str = "epoch",
    confusion: str | None = None,
    class_names: Sequence[str] | None = None,
    targets: Mapping[str, float | tuple[float, Direction]] | None = None,
    arguments: Sequence[str] | None = None,
    config: Path | None = None,
) -> None:
    """Compares tracked runs: `python -m src.evaluate results_dir=PATH run_ids='["a", "b"]'`.

    Args:
        primary: The metric by which the best runs are chosen.
        others: Further metrics.
        curves: Keys of series to draw over the course of training.
        against: Key of their positions, logged in the same rows.
        confusion: Key of a confusion matrix, logged once a seed: rows (true class) of counts (predicted class).
        class_names: Names of its classes.
        targets: By key of a series: the value to reach, or the value and `maximize` or `minimize`. Without a direction,
            it is that of the metric which measures the same.
        arguments: Words of the command line; those of the process where None.
        config: The configuration file; where None, config/config.yaml of the submission that calls.

    Raises:
        SystemExit: With 2 after a wrong call and 1 where data are missing or a file cannot be written, in both cases
            after one line on standard error.

    Example:
        >>> from assay.evaluation import Metric, evaluate
        >>> if __name__ == "__main__":  # doctest: +SKIP
        ...     evaluate(Metric("test_accuracy", "maximize"), curves=["train_loss"], targets={"val_accuracy": 0.9})
    """
    try:
        request = make_request((primary, *others), curves, against, confusion, class_names, targets)
        call = read_arguments(sys.argv[1:] if arguments is None else arguments)
        settings = _read_config(config or _config_of_caller())
        _evaluate(request, call, settings)
    except ExperimentError as fault:
        _stop(fault)


def _stop(fault: ExperimentError) -> NoReturn:
    print(fault, file=sys.stderr)
    raise SystemExit(fault.status)


def _evaluate(request: Request, call: Call, settings: Mapping[str, Any]) -> None:
    from assay.evaluation.comparison import compare
    from assay.evaluation.outputs import Output, comparison_figures, run_outputs

    records = {run_id: load_record(call.results_dir, run_id, settings["wandb"], call.source) for run_id in call.run_ids}
    check_tracked(request, records.values())

    values = {
        metric.name: {run_id: record.value(metric.name) for run_id, record in records.items()}
        for metric in request.metrics
    }
    seeds = {
        metric.name: {run_id: record.by_seed(metric.name) for run_id, record in records.items()}
        for metric in request.metrics
    }
    aggregated = aggregate(request.metrics, values)
    compared = compare(request, records)
    table = make_table(request.metrics, values, seeds)
    folder = call.results_dir / "comparison"
    outputs = [
        *run_outputs(request, call.results_dir, records),
        *comparison_figures(request, folder, records, values, seeds),
        Output(folder / "comparison_metrics.csv", lambda: to_csv(table)),
        Output(folder / "comparison_metrics.md", lambda: to_markdown(table)),
        Output(folder / "comparison_metrics.tex", lambda: to_latex(table)),
        Output(folder / "statistics.json", lambda: json_text(compared)),
    ]
    decided = _decide(settings["criteria"], request, list(records.values()))
    if decided:
        outputs.append(Output(folder / "criteria.json", lambda: json_text(decided)))
    outputs.append(Output(folder / "aggregated_metrics.json", lambda: json_text(aggregated)))

    for note in [*notes(values), *_disagreements(values, seeds)]:
        print(note, file=sys.stderr)
    with only_evaluation(folder):
        # all of it before the first is written: what cannot be drawn leaves the earlier results as they are
        contents = [(output.path, output.content()) for output in outputs]
        for path, content in contents:
            write_whole(path, content)
    _report([output.path for output in outputs], table, aggregated, compared)
    for name, criterion in decided.items():
        print(f"criterion {name}: {criterion['verdict']} ({criterion['why']})")


def _config_of_caller() -> Path:
    """config/config.yaml of the submission whose src/evaluate.py called `evaluate`."""
    file = sys._getframe(2).f_globals.get("__file__")
    if file is None:
        raise ExperimentError("evaluate(...) is not called from a file; pass config=PATH.", status=2)
    return Path(file).resolve().parents[1] / "config" / "config.yaml"


def _read_config(path: Path) -> dict[str, Any]:
    """`wandb` and `criteria` of the configuration, resolved; the rest may lack values that only a run has."""
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        config = OmegaConf.load(path)
        if not isinstance(config, DictConfig):
            raise ExperimentError(f"{path}: no mapping at its top; write `wandb:` with entity and project.", status=2)
        sections = {name: OmegaConf.select(config, name) for name in ("wandb", "criteria")}
        plain = {
            name: OmegaConf.to_container(section, resolve=True) if OmegaConf.is_config(section) else section
            for name, section in sections.items()
        }
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read ({error.strerror or error}).", status=2) from error
    except RecursionError as error:
        raise ExperimentError(f"{path}: nested too deeply.", status=2) from error
    except (YAMLError, OmegaConfBaseException, ValueError) as error:
        raise ExperimentError(f"{path}: {error}", status=2) from error
    if not isinstance(plain["wandb"], dict):
        raise ExperimentError(f"{path}: `wandb` is no section; write wandb.entity and wandb.project.", status=2)
    return plain


def _decide(section: object, request: Request, records: Sequence[RunRecord]) -> dict[str, Any]:
    """What each criterion of the configuration comes to; empty where it has none."""
    if section is None:
        return {}
    from assay.evaluation.criteria import decide, read_criteria

    directions = {target.name: target.direction for target in request.targets}
    directions |= {metric.name: metric.direction for metric in request.metrics}
    return decide(read_criteria(section), records, directions)


def _disagreements(
    values: Mapping[str, Mapping[str, float | None]], seeds: Mapping[str, Mapping[str, Mapping[int, float]]]
) -> list[str]:
    """A line for every summary that is not the mean of its seeds: the comparison takes one, the tests the other."""
    lines = []
    for name, by_run in values.items():
        for run_id, value in by_run.items():
            by_seed = seeds[name][run_id].values()
            if value is None or not by_seed or not all(map(math.isfinite, (value, *by_seed))):
                continue
            mean = math.fsum(by_seed) / len(by_seed)
            if not math.isclose(value, mean, rel_tol=1e-6, abs_tol=1e-12):
                lines.append(
                    f"{run_id}: the summary says {name} = {value:.6g}, the mean over its {len(by_seed)} seeds is "
                    f"{mean:.6g}; tables take the summary, tests the seeds"
                )
    return lines


def _report(paths: Sequence[Path], table: Table, aggregated: Mapping[str, Any], compared: Mapping[str, Any]) -> None:
    """Prints the comparison and where it was written."""
    print(to_text(table))
    for kind in ("proposed", "baseline"):
        best = aggregated[f"best_{kind}"]
        told = f"{best['run_id']} ({best['value']:.6g})" if best else "none"
        print(f"best {kind} run by {aggregated['primary_metric']}: {told}")
    gap = aggregated["gap"]
    print(f"gap: {'none' if gap is None else f'{gap:+.2f} %'}{_selection(compared)}")
    if compared["reason"]:
        print(compared["reason"])
    for comparison in compared["metrics"][aggregated["primary_metric"]]["comparisons"]:
        print(_comparison_line(comparison))
    print()
    for folder in dict.fromkeys(path.parent for path in paths):
        print(f"wrote {folder}: {', '.join(path.name for path in paths if path.parent == folder)}")


def _selection(compared: Mapping[str, Any]) -> str:
    """What a reader of the gap must know where the best runs were chosen among several."""
    counts = {"proposed": len(compared["proposed"]), "baseline": len(compared["baselines"])}
    several = [f"{count} {kind} runs" for kind, count in counts.items() if count > 1]
    return f" (best of {' and best of '.join(several)}, chosen by these very values)" if several else ""


def _comparison_line(comparison: Mapping[str, Any]) -> str:
    """Difference, interval and tests of one pair in a line."""
    who = f"{comparison['proposed']} against {comparison['baseline']}"
    difference, interval = comparison["effect"]["mean_difference"], comparison["intervals"]["mean_difference"]
    if difference is None:
        return f"{who}: no difference ({comparison['effect']['reasons']['mean_difference']})"
    told = f"{who}: mean difference {difference:+.4g} over {comparison['effect']['n']} seeds"
    alone = len(comparison["effect"]["unpaired"])
    told += f" (without {alone} that one run has alone)" if alone else ""
    if interval["low"] is not None:
        told += f" [{interval['low']:+.4g}, {interval['high']:+.4g}]"
    for test in ("wilcoxon", "permutation"):
        outcome = comparison[test]
        if outcome["p_value"] is None:
            return f"{told}; no test ({outcome['reason']})"
        told += f"; {test} p = {outcome['p_value']:.3g} (Holm {outcome['p_value_holm']:.3g})"
    if outcome["least_p_value_holm"] > 0.05:
        told += f"; so few seeds cannot give less than Holm {outcome['least_p_value_holm']:.3g}"
    return told
