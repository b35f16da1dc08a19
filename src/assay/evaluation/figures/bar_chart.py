"""One metric of every run as a bar with its value above it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from assay.evaluation.figures.style import (
    INK,
    MUTED,
    house_style,
    legend_below,
    look_of,
    new_figure,
    number,
    number_angle,
    plain,
    run_axis,
    run_axis_width,
)
from assay.evaluation.figures.summaries import finite, spread


@house_style()
def draw_bar_chart(
    label: str, higher_is_better: bool, values: Mapping[str, float | None], seeds: Mapping[str, Mapping[int, float]]
) -> Figure:
    """Draws a bar for every run.

    Args:
        label: What is measured, with its unit.
        higher_is_better: The metric's direction; stands on the axis, and the best run's value is bold.
        values: Height of the bar by run id, in the order of drawing. A run without a finite value gets a dash.
        seeds: By run id: value by seed. Drawn as dots; their sample standard deviation is the error bar.

    Returns:
        The figure.
    """
    figure, (axes,) = new_figure(run_axis_width(len(values)), 3.6)
    known = finite(values.values())
    best = (max if higher_is_better else min)(known) if known else None
    tops: list[float] = []
    deviations = 0
    for slot, (run_id, value) in enumerate(values.items()):
        look = look_of(slot)
        dots = finite(seeds.get(run_id, {}).values())
        if value is None or not math.isfinite(value):
            axes.annotate(
                "no value", (slot, 0), (0, 4), textcoords="offset points", ha="center", color=MUTED, fontsize=8
            )
        else:
            axes.bar(slot, value, width=0.66, color=look.color, alpha=0.55, edgecolor=look.color, hatch=look.hatch)
            deviation = spread(dots)
            if not math.isnan(deviation):
                deviations += 1
                axes.errorbar(slot, value, yerr=deviation, color=INK, capsize=3, linewidth=1.1, zorder=3)
            reach = [value, *dots] + ([] if math.isnan(deviation) else [value + deviation, value - deviation])
            top = min(reach) if value < 0 else max(reach)
            tops.append(top)
            axes.annotate(
                number(value),
                (slot, top),
                (0, -4 if value < 0 else 4),
                textcoords="offset points",
                ha="center",
                va="top" if value < 0 else "bottom",
                rotation=number_angle(len(values)),
                fontsize=8,
                fontweight="bold" if value == best else "normal",
            )
        for dot, shift in zip(dots, _side_by_side(len(dots)), strict=True):
            axes.plot(
                slot + shift,
                dot,
                "o",
                color="white",
                markeredgecolor=INK,
                markersize=3.4,
                markeredgewidth=0.7,
                zorder=4,
            )
    if any(top < 0 for top in tops):
        axes.axhline(0, color=INK, linewidth=0.8)
    axes.margins(y=0.14)
    run_axis(figure, axes, list(values))
    axes.set_ylabel(f"{plain(label)}\n({'higher' if higher_is_better else 'lower'} is better)")
    entries: dict[str, Artist] = {"value of the run (best in bold)": Patch(facecolor="#BBBBBB", edgecolor=MUTED)}
    if deviations:
        bar = Line2D([], [], color=INK, marker="_", markersize=7, linewidth=1.1)
        entries["± standard deviation over seeds"] = bar
    if any(seeds.values()):
        circle = Line2D([], [], linestyle="", color="white", marker="o", markeredgecolor=INK, markersize=3.4)
        entries["one seed"] = circle
    legend_below(figure, list(entries.items()))
    return figure


def _side_by_side(count: int) -> list[float]:
    """Shifts of dots, so that equal values do not hide each other."""
    width = min(0.44, 0.09 * (count - 1))
    return [width * (index / (count - 1) - 0.5) for index in range(count)] if count > 1 else [0.0] * count
