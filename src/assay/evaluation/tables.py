"""The comparison as a table: CSV for programs, Markdown and LaTeX for papers, plain text for the terminal."""

from __future__ import annotations

import csv
import io
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from assay.evaluation.request import Metric

MISSING = "–"


@dataclass(frozen=True)
class Cell:
    """One metric of one run.

    Attributes:
        value: None where there is none.
        deviation: Sample standard deviation over the seeds; None for fewer than two.
        seeds: How many seeds have a finite value; 0 where the metric is not tracked by seed.
        best: Whether no run of the table is better.
    """

    value: float | None
    deviation: float | None
    seeds: int
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Runs by metrics.

    Attributes:
        metrics: The columns.
        rows: By run id, in order: one cell a metric.
    """

    metrics: tuple[Metric, ...]
    rows: Mapping[str, tuple[Cell, ...]]

    @property
    def caption(self) -> str:
        several = any(cell.seeds > 1 for cells in self.rows.values() for cell in cells)
        return "Mean ± standard deviation over the seeds (n)." if several else "Values of single runs."


def make_table(
    metrics: Sequence[Metric],
    values: Mapping[str, Mapping[str, float | None]],
    seeds: Mapping[str, Mapping[str, Mapping[int, float]]],
) -> Table:
    """Sets up the table.

    Args:
        metrics: The columns.
        values: By metric name, then by run id in the order of the rows; None or not finite where there is none.
        seeds: By metric name, by run id, by seed: the values that the deviation is of.

    Returns:
        The table. Equal best values are all marked.
    """
    columns: list[list[Cell]] = []
    for metric in metrics:
        known = [value for value in values[metric.name].values() if value is not None and math.isfinite(value)]
        best = (max if metric.higher_is_better else min)(known) if known else None
        column = []
        for run_id, value in values[metric.name].items():
            by_seed = [number for number in seeds[metric.name][run_id].values() if math.isfinite(number)]
            finite = value if value is not None and math.isfinite(value) else None
            deviation = statistics.stdev(by_seed) if len(by_seed) > 1 and finite is not None else None
            column.append(Cell(finite, deviation, len(by_seed), best=finite is not None and finite == best))
        columns.append(column)
    run_ids = list(values[metrics[0].name])
    return Table(tuple(metrics), dict(zip(run_ids, zip(*columns, strict=True), strict=True)))


def to_csv(table: Table) -> str:
    """Full precision; three columns a metric (`name`, `name_std`, `name_seeds`); empty where there is no value."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["run_id", *(f"{metric.name}{part}" for metric in table.metrics for part in ("", "_std", "_seeds"))]
    )
    for run_id, cells in table.rows.items():
        numbers: list[object] = []
        for cell in cells:
            numbers += ["" if part is None else part for part in (cell.value, cell.deviation)]
            numbers.append(cell.seeds)
        writer.writerow([run_id, *numbers])
    return buffer.getvalue()


def to_markdown(table: Table) -> str:
    """A table with aligned columns; the best value of every metric is bold."""
    escape = _markdown_escaped
    lines = _grid(table, escape, lambda text: f"**{text}**", lambda metric: f"{escape(metric.title)} {_arrow(metric)}")
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(lines[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    aligned = [_aligned(line, widths) for line in (lines[0], rule, *lines[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in aligned) + f"\n\n{table.caption} Best in bold.\n"


def to_text(table: Table) -> str:
    """Columns for a terminal; a star marks the best value of every metric."""
    lines = _grid(table, str, lambda text: f"{text} *", lambda metric: f"{metric.title} {_arrow(metric)}")
    # a value without the star keeps its place under one that has it
    padded = [
        [text if number == 0 or index == 0 or text.endswith("*") else f"{text}  " for index, text in enumerate(line)]
        for number, line in enumerate(lines)
    ]
    widths = [max(len(line[column]) for line in padded) for column in range(len(padded[0]))]
    return "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in padded) + "\n"


def to_latex(table: Table) -> str:
    """A `table` environment for the package booktabs; the best value of every metric is bold."""
    heads = ["Run", *(f"{_latex_escaped(metric.title)} ${_latex_arrow(metric)}$" for metric in table.metrics), "$n$"]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}[t]",
        r"  \centering",
        rf"  \caption{{{_latex_escaped(table.caption).replace('±', '$' + chr(92) + 'pm$')} Best in bold.}}",
        r"  \label{tab:comparison}",
        rf"  \begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"    \toprule",
        "    " + " & ".join(heads) + r" \\",
        r"    \midrule",
    ]
    decimals = _decimals_of_columns(table)
    for run_id, cells in table.rows.items():
        texts = [_latex_cell(cell, places) for cell, places in zip(cells, decimals, strict=True)]
        lines.append("    " + " & ".join([_latex_escaped(run_id), *texts, _seeds(cells, "--")]) + r" \\")
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _grid(
    table: Table, escape: Callable[[str], str], marked: Callable[[str], str], head: Callable[[Metric], str]
) -> list[list[str]]:
    lines = [["run", *map(head, table.metrics), "n"]]
    decimals = _decimals_of_columns(table)
    for run_id, cells in table.rows.items():
        texts = [_cell(cell, places) for cell, places in zip(cells, decimals, strict=True)]
        texts = [marked(text) if cell.best else text for cell, text in zip(cells, texts, strict=True)]
        lines.append([escape(run_id), *texts, _seeds(cells, MISSING)])
    return lines


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [line[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True))]


def _seeds(cells: Sequence[Cell], dash: str) -> str:
    counts = sorted({cell.seeds for cell in cells if cell.seeds})
    if not counts:
        return dash
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _decimals_of_columns(table: Table) -> list[int | None]:
    return [_decimals([cells[column] for cells in table.rows.values()]) for column in range(len(table.metrics))]


def _decimals(column: Sequence[Cell]) -> int | None:
    """Decimals that show two digits of the smallest deviation, else four digits of the largest value.

    None where that would take more than eight, or the numbers are so large that they want an exponent.
    """
    values = [abs(cell.value) for cell in column if cell.value]
    deviations = [cell.deviation for cell in column if cell.deviation]
    if not values:
        return 1
    if deviations:
        decimals = 1 - math.floor(math.log10(min(deviations)))
    else:
        decimals = 3 - math.floor(math.log10(max(values)))
    return None if decimals > 8 or max(values) >= 1e7 else max(0, decimals)


def _number(value: float, decimals: int | None) -> str:
    return f"{value:.4g}" if decimals is None else f"{value:.{decimals}f}"


def _cell(cell: Cell, decimals: int | None) -> str:
    if cell.value is None:
        return MISSING
    mean = _number(cell.value, decimals)
    return mean if cell.deviation is None else f"{mean} ± {_number(cell.deviation, decimals)}"


def _latex_cell(cell: Cell, decimals: int | None) -> str:
    if cell.value is None:
        return "--"
    mean = _latex_number(cell.value, decimals)
    mean = rf"\mathbf{{{mean}}}" if cell.best else mean
    return f"${mean}$" if cell.deviation is None else rf"${mean} \pm {_latex_number(cell.deviation, decimals)}$"


def _latex_number(value: float, decimals: int | None) -> str:
    mantissa, mark, exponent = _number(value, decimals).partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if mark else mantissa


def _arrow(metric: Metric) -> str:
    return "↑" if metric.higher_is_better else "↓"


def _latex_arrow(metric: Metric) -> str:
    return r"\uparrow" if metric.higher_is_better else r"\downarrow"


def _markdown_escaped(text: str) -> str:
    return re.sub(r"([\\`*_|<>\[\]$~])", r"\\\1", " ".join(text.split()))


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{letter: "\\" + letter for letter in "{}$&#%_"},
}


def _latex_escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))
