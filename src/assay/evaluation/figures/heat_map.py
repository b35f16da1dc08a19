"""A table of numbers as colours: runs by metrics, or scores by hyper-parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from assay.evaluation.figures.style import MISSING, house_style, new_figure, number, plain, slant, wrapped
from assay.evaluation.figures.summaries import finite


@house_style()
def draw_heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    label: str,
    higher_is_better: Sequence[bool] | None = None,
) -> Figure:
    """Draws one cell for every pair of a row and a column, with its value in it.

    Args:
        rows: Names of the rows, top to bottom.
        columns: Names of the columns, left to right.
        values: Row by row; None or not finite where there is none, which is left white with a dash.
        label: Of the colour bar.
        higher_is_better: By column: every column gets a scale of its own, from its worst value to its best. None: one
            scale of the values themselves for all cells.

    Returns:
        The figure.
    """
    table = np.array(
        [[math.nan if value is None or not math.isfinite(value) else value for value in row] for row in values]
    )
    table = table.reshape(len(rows), len(columns))
    shades = table if higher_is_better is None else _scaled_by_column(table, higher_is_better)
    width = min(18.0, 2.9 + 0.85 * len(columns))
    figure, (axes,) = new_figure(width, min(18.0, max(2.8, 1.4 + 0.36 * len(rows))))
    limits = finite(shades.flat) or [0.0]
    low, high = (0.0, 1.0) if higher_is_better is not None else (min(limits), max(limits))
    image = axes.imshow(shades, cmap="cividis", vmin=low, vmax=high if high > low else low + 1, aspect="auto")
    axes.grid(False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, label=plain(label))
    bar.outline.set_visible(False)
    if higher_is_better is not None:
        bar.set_ticks([0.0, 1.0], labels=["worst", "best"])
    axes.set_xticks(range(len(columns)), [wrapped(name, 20, 2) for name in columns])
    if max(map(len, columns), default=0) > 10:
        slant(axes)
    axes.set_yticks(range(len(rows)), [wrapped(name, 34, 4) for name in rows])
    for row in range(len(rows)):
        for column in range(len(columns)):
            value, shade = table[row, column], shades[row, column]
            light = not math.isnan(shade) and (shade - low) / ((high - low) or 1) > 0.55
            axes.text(
                column,
                row,
                MISSING if math.isnan(value) else number(value),
                ha="center",
                va="center",
                fontsize=8,
                color="#222222" if light or math.isnan(shade) else "white",
            )
    return figure


def _scaled_by_column(table: np.ndarray, higher_is_better: Sequence[bool]) -> np.ndarray:
    """Every column from 0, its worst value, to 1, its best; a column of equal values is best throughout."""
    shades = np.full_like(table, math.nan)
    for column, higher in enumerate(higher_is_better):
        known = finite(table[:, column])
        if known:
            worst, best = (min(known), max(known)) if higher else (max(known), min(known))
            shades[:, column] = (
                np.where(np.isnan(table[:, column]), math.nan, 1.0)
                if worst == best
                else (table[:, column] - worst) / (best - worst)
            )
    return shades
