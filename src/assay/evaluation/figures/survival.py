"""When the seeds of every run reach a target: Kaplan-Meier steps, with a mark where a seed was given up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from assay.evaluation.figures.style import (
    INK,
    MUTED,
    house_style,
    legend_below,
    legend_name,
    line_chart_width,
    look_of,
    new_figure,
    number,
    position_axis,
    wrapped,
)
from assay.evaluation.statistics import TimeToTarget, survival


@house_style()
def draw_survival(goal: str, times: Mapping[str, Mapping[int, TimeToTarget]], against: str) -> Figure:
    """Draws the share of seeds that have not reached the target yet.

    Args:
        goal: The target in words, such as `val_accuracy ≥ 0.9`.
        times: By run id, in the order of drawing, then by seed: when the target was reached, or until when it was not.
        against: Key of the times.

    Returns:
        The figure. The median time stands in the legend, where at least half of the seeds reached the target.
    """
    figure, (axes,) = new_figure(line_chart_width(len(times)), 3.2)
    entries: list[tuple[str, Artist]] = []
    drawn: list[float] = []
    given_up = False
    for slot, (run_id, by_seed) in enumerate(times.items()):
        if not by_seed:
            continue
        look = look_of(slot)
        estimate = survival(by_seed)
        at, left = np.concatenate(([0.0], estimate.times)), np.concatenate(([1.0], estimate.survival))
        axes.step(at, left, where="post", color=look.color, linestyle=look.line, linewidth=1.8)
        axes.plot(estimate.times, estimate.survival, linestyle="", marker=look.marker, color=look.color, markersize=3.5)
        censored = sorted({time.time for time in by_seed.values() if not time.reached})
        heights = estimate.survival[np.searchsorted(estimate.times, censored)]
        axes.plot(censored, heights, linestyle="", marker="|", markersize=11, markeredgewidth=1.4, color=INK, zorder=4)
        given_up = given_up or bool(censored)
        median = "not reached by half" if estimate.median is None else f"median {number(estimate.median)}"
        seeds = " seeds" if len(times) <= 6 else ""
        label = f"{legend_name(run_id, len(times))} ({estimate.reached} of {estimate.n}{seeds}; {median})"
        shown = Line2D([], [], color=look.color, linestyle=look.line, marker=look.marker, markersize=3.5)
        entries.append((label, shown))
        drawn += at.tolist()
    if given_up:
        mark = Line2D([], [], linestyle="", marker="|", markersize=11, markeredgewidth=1.4, color=INK)
        entries.append(("end of a seed that did not reach it", mark))
    if not entries:
        axes.text(0.5, 0.5, "no value to draw", transform=axes.transAxes, ha="center", va="center", color=MUTED)
    axes.set_ylim(-0.03, 1.06)
    axes.margins(x=0.04)
    axes.set_title(f"target: {wrapped(goal, 60, 2)}", loc="left", color=MUTED, fontsize=8)
    position_axis(axes, against, drawn)
    axes.set_xlim(left=0)
    axes.set_ylabel("share of seeds\nnot yet at the target")
    legend_below(figure, entries)
    return figure
