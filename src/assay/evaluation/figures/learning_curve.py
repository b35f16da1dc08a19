"""How one run learned: a panel for every tracked series, each seed thin, their mean bold."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from assay.evaluation.figures.style import (
    MUTED,
    PALETTE,
    house_style,
    legend_below,
    new_figure,
    number,
    position_axis,
    wrapped,
)
from assay.evaluation.figures.summaries import mean_and_spread
from assay.evaluation.records import Curve, one_value_a_position

_FEW_POINTS = 20


@house_style()
def draw_learning_curve(run_id: str, panels: Mapping[str, Mapping[int, Curve]], against: str) -> Figure:
    """Draws the series of one run.

    Args:
        run_id: The run; the figure's title.
        panels: By series, then by seed: positions and values. Values logged more than once at a position are averaged;
            values that are not finite leave gaps.
        against: Key of the positions.

    Returns:
        The figure. The last mean of every panel is written beside it.
    """
    columns = min(3, max(1, len(panels)))
    rows = math.ceil(len(panels) / columns)
    figure, grid = new_figure(3.3 * columns + 0.3, 2.6 * rows + 0.3, rows, columns)
    figure.suptitle(wrapped(run_id, 44 * columns, 4), fontsize=10)
    for axes in grid[len(panels) :]:
        axes.remove()
    for position, (name, curves) in enumerate(panels.items()):
        axes = grid[position]
        _draw_panel(axes, curves, PALETTE[position % len(PALETTE)])
        position_axis(axes, against, [at for curve in curves.values() for at in curve[0]])
        axes.set_ylabel(wrapped(name, 30, 2))
    entries: dict[str, Artist] = {}
    for axes in grid[: len(panels)]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    legend_below(figure, list(entries.items()))
    return figure


def _draw_panel(axes: Axes, curves: Mapping[int, Curve], color: str) -> None:
    positions, means, _ = mean_and_spread(curves)
    several = len(curves) > 1
    for seed, curve in curves.items():
        at, values = one_value_a_position(curve)
        label = f"one seed (of {len(curves)})" if several else f"seed {seed}"
        axes.plot(
            at,
            values,
            color=color,
            linewidth=0.8 if several else 1.8,
            alpha=0.45 if several else 1.0,
            marker="o" if len(at) <= _FEW_POINTS else "",
            markersize=2 if several else 3.5,
            label=label,
        )
    if several and positions:
        marker = "o" if len(positions) <= _FEW_POINTS else ""
        axes.plot(positions, means, color=color, linewidth=2.2, marker=marker, markersize=4, label="mean of all seeds")
    drawn = [point for point in zip(positions, means, strict=True) if math.isfinite(point[1])]
    if not drawn:
        axes.text(0.5, 0.5, "no value to draw", transform=axes.transAxes, ha="center", va="center", color=MUTED)
        return
    axes.annotate(
        number(drawn[-1][1]),
        drawn[-1],
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        color=color,
        annotation_clip=False,
    )
