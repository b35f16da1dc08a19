"""One series of every run in one panel: the mean over seeds, and how far they spread."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from assay.evaluation.figures.style import (
    MUTED,
    house_style,
    legend_below,
    legend_name,
    line_chart_width,
    look_of,
    new_figure,
    number,
    plain,
    position_axis,
)
from assay.evaluation.figures.summaries import mean_and_spread
from assay.evaluation.records import Curve

# with more runs, bands would cover each other
_BANDS = 6


@house_style()
def draw_curve_spread(label: str, curves: Mapping[str, Mapping[int, Curve]], against: str) -> Figure:
    """Draws one line for every run.

    Args:
        label: What is measured, with its unit.
        curves: By run id, in the order of drawing, then by seed: positions and values. Values logged more than once
            at a position are averaged; values that are not finite leave gaps.
        against: Key of the positions.

    Returns:
        The figure. The band is one sample standard deviation over the seeds; with more than six runs it is left out.
        The last mean is written into the legend, and the number of seeds where it differs.
    """
    figure, (axes,) = new_figure(line_chart_width(len(curves)), 3.2)
    entries: list[tuple[str, Artist]] = []
    drawn: list[float] = []
    counts = {len(by_seed) for by_seed in curves.values()}
    alike = len(counts) == 1
    for slot, (run_id, by_seed) in enumerate(curves.items()):
        look = look_of(slot)
        positions, means, spreads = mean_and_spread(by_seed)
        last = next((value for value in reversed(means) if math.isfinite(value)), None)
        (line,) = axes.plot(
            positions,
            means,
            color=look.color,
            linestyle=look.line,
            marker=look.marker,
            markevery=max(1, len(positions) // 8),
        )
        if len(curves) <= _BANDS and len(by_seed) > 1:
            middle, reach = np.array(means), np.array(spreads)
            axes.fill_between(positions, middle - reach, middle + reach, color=look.color, alpha=0.18, linewidth=0)
        seeds = "" if alike else f"{len(by_seed)} seed{'' if len(by_seed) == 1 else 's'}; "
        entries.append((f"{legend_name(run_id, len(curves))} ({seeds}last {number(last)})", line))
        drawn += positions
    if not drawn:
        axes.text(0.5, 0.5, "no value to draw", transform=axes.transAxes, ha="center", va="center", color=MUTED)
    band = len(curves) <= _BANDS and any(len(by_seed) > 1 for by_seed in curves.values())
    mean = f"mean of {max(counts)} seeds a run" if alike and max(counts) > 1 else "mean of all seeds"
    axes.set_title(mean + (", band: ± standard deviation" if band else ""), loc="left", color=MUTED, fontsize=8)
    axes.set_ylabel(plain(label))
    axes.margins(x=0.03)
    position_axis(axes, against, drawn)
    legend_below(figure, entries)
    return figure
