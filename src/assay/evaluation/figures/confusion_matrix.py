"""Which classes a run takes for which: counts in the cells, shares of the true class as colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from assay.evaluation.figures.style import house_style, new_figure, plain, slant, wrapped

# more classes than this leave no room for readable numbers
_ANNOTATED = 24


@house_style()
def draw_confusion_matrix(
    run_id: str, counts: Sequence[Sequence[float]], class_names: Sequence[str] | None = None, seeds: int = 1
) -> Figure:
    """Draws a confusion matrix.

    Args:
        run_id: The run; the figure's title.
        counts: Square; row: true class, column: predicted class. Summed over the seeds.
        class_names: One a class; their numbers where None.
        seeds: How many seeds the counts are summed over.

    Returns:
        The figure. A cell's colour is its share of its row; a class without an example has share 0.
    """
    matrix = np.asarray(counts, dtype=float)
    classes = len(matrix)
    names = [wrapped(name, 16, 2) for name in (class_names or range(classes))]
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros_like(matrix), where=totals > 0)
    side = min(12.0, max(3.4, 1.6 + 0.42 * classes))
    figure, (axes,) = new_figure(side + 0.9, side)
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.85, label="share of the true class")
    bar.outline.set_visible(False)
    long = max(map(len, names)) > (6 if classes <= 8 else 2)
    step = max(1, classes // 40)
    size = 8 if classes <= 16 else 6
    axes.set_xticks(range(0, classes, step), names[::step], fontsize=size)
    axes.set_yticks(range(0, classes, step), names[::step], fontsize=size)
    if long:
        slant(axes)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    accuracy = f"{100 * np.trace(matrix) / matrix.sum():.2f} % correct" if matrix.sum() else "no example"
    over = f", {seeds} seeds summed" if seeds > 1 else ""
    axes.set_title(f"{wrapped(run_id, 40, 4)}\n{accuracy}{over}", fontsize=9)
    if classes <= _ANNOTATED:
        longest = max(len(_count(value)) for value in matrix.flat)
        letters = min(8.0, 0.42 * (side - 1.6) / (0.42 * classes) * 72 / max(2, longest))
        for row in range(classes):
            for column in range(classes):
                axes.text(
                    column,
                    row,
                    plain(_count(matrix[row, column])),
                    ha="center",
                    va="center",
                    fontsize=letters,
                    color="white" if shares[row, column] > 0.55 else "#222222",
                )
    return figure


def _count(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
