"""How one metric spreads over the seeds of every run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
from assay.evaluation.figures.summaries import finite


@house_style()
def draw_box_plot(label: str, higher_is_better: bool, seeds: Mapping[str, Mapping[int, float]]) -> Figure:
    """Draws a box for every run that has two seeds or more, and every seed as a dot.

    Args:
        label: What is measured, with its unit.
        higher_is_better: The metric's direction; stands on the axis.
        seeds: By run id, in the order of drawing: value by seed.

    Returns:
        The figure. Boxes reach from the first to the third quartile, whiskers to the last value within 1.5 times that
        range (Tukey); the median is written above.
    """
    figure, (axes,) = new_figure(run_axis_width(len(seeds)), 3.6)
    boxes = 0
    for slot, by_seed in enumerate(seeds.values()):
        look = look_of(slot)
        values = finite(by_seed.values())
        if not values:
            axes.text(
                slot, 0.03, "no value", transform=axes.get_xaxis_transform(), ha="center", color=MUTED, fontsize=8
            )
            continue
        median = statistics.median(values)
        if len(values) > 1:
            boxes += 1
            drawn = axes.boxplot(
                values,
                positions=[slot],
                widths=0.5,
                showfliers=False,
                patch_artist=True,
                manage_ticks=False,
                medianprops={"color": INK, "linewidth": 1.6},
                boxprops={"edgecolor": look.color, "facecolor": look.color + "66", "hatch": look.hatch},
                whiskerprops={"color": look.color},
                capprops={"color": look.color},
            )
            drawn["boxes"][0].set_linewidth(1.1)
            axes.plot(
                slot, statistics.fmean(values), marker="D", color="white", markeredgecolor=INK, markersize=4.5, zorder=5
            )
        width = min(0.36, 0.09 * (len(values) - 1))
        shifts = [width * (index / max(1, len(values) - 1) - 0.5) for index in range(len(values))]
        axes.plot(
            [slot + shift for shift in shifts],
            values,
            linestyle="",
            marker=look.marker,
            color=look.color,
            markeredgecolor=INK,
            markeredgewidth=0.5,
            markersize=4,
            zorder=4,
        )
        axes.annotate(
            number(median),
            (slot, max(values)),
            (0, 6),
            textcoords="offset points",
            ha="center",
            va="bottom",
            rotation=number_angle(len(seeds)),
            fontsize=8,
            zorder=6,
        )
    axes.margins(y=0.12)
    counts = [len(finite(by_seed.values())) for by_seed in seeds.values()]
    alike = len(set(counts)) == 1
    run_axis(figure, axes, list(seeds), None if alike else [f"n = {count}" for count in counts])
    axes.set_ylabel(f"{plain(label)}\n({'higher' if higher_is_better else 'lower'} is better)")
    entries: dict[str, Artist] = {}
    if boxes:
        entries["median (number)"] = Line2D([], [], color=INK, linewidth=1.6)
        diamond = Line2D([], [], linestyle="", marker="D", color="white", markeredgecolor=INK, markersize=4.5)
        entries["mean"] = diamond
    dot = Line2D([], [], linestyle="", marker="o", color="#BBBBBB", markeredgecolor=INK, markersize=4)
    entries[f"one seed (n = {counts[0]} in every run)" if alike else "one seed"] = dot
    legend_below(figure, list(entries.items()))
    return figure
