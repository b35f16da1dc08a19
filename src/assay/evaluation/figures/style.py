"""How figures look: one place for sizes, colours, markers, texts and the bytes of the file.

Figures are made without pyplot: no window, no global state. The palette is Okabe and Ito's ("Color Universal Design",
2008), made for readers who do not tell all colours apart; markers, line styles and hatches say the same again for
printers without colours.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Line = Literal["-", "--", "-.", ":"]

# yellow, the eighth colour of the palette, is too light for lines on white
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")
LINES: tuple[Line, ...] = ("-", "--", "-.", ":")
HATCHES = ("", "//", "..", "\\\\", "xx", "++", "--", "oo")
INK = "#222222"
MUTED = "#777777"
MISSING = "–"
# more runs than this take slanted names, wider charts and shorter legends
_UPRIGHT = 6

_SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,  # TrueType: text stays text, and journals that refuse Type 3 take it
    "savefig.dpi": 200,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Matplotlib's defaults and the settings of this module, whatever the machine's matplotlibrc says."""
    with matplotlib.style.context(["default", _SETTINGS]):
        yield


@dataclass(frozen=True)
class Look:
    """How one run looks in every figure of a comparison."""

    color: str
    marker: str
    line: Line
    hatch: str


def look_of(position: int) -> Look:
    """The look of the run at a position of the comparison.

    Args:
        position: From 0. Seven have colours of their own; with further ones, marker, line and hatch tell them apart.
    """
    lap = position // len(PALETTE)
    return Look(
        color=PALETTE[position % len(PALETTE)],
        marker=MARKERS[position % len(MARKERS)],
        line=LINES[lap % len(LINES)],
        hatch=HATCHES[(position + lap) % len(HATCHES)],
    )


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure with a grid of axes that keeps its texts from overlapping.

    Args:
        width: In inches.
        height: In inches.
        rows: Of the grid.
        columns: Of the grid.

    Returns:
        The figure, and its axes row by row.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def plain(text: object) -> str:
    """A text of the experiment as it is: dollar signs start no formula, control characters draw no boxes."""
    letters = (letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
    return "".join(letters).replace("$", r"\$")


def wrapped(text: object, width: int, lines: int) -> str:
    """A long name over several lines, broken at its separators where it has any.

    Args:
        text: The name.
        width: Letters a line.
        lines: At most so many; a longer name keeps its beginning and its end.
    """
    name = plain(text)
    room = width * lines - 3
    if len(name) > room:
        name = f"{name[: room // 2]}…{name[-room // 2 :]}"
    pieces = _broken_up(name, width)
    return "\n".join(pieces)


def _broken_up(name: str, width: int) -> list[str]:
    lines = [""]
    for piece in _pieces(name):
        for part in textwrap.wrap(piece, width, drop_whitespace=False) or [piece]:
            if len(lines[-1]) + len(part) > width and lines[-1]:
                lines.append("")
            lines[-1] += part
    return lines


def _pieces(name: str) -> Iterator[str]:
    start = 0
    for position, letter in enumerate(name, start=1):
        if letter in "-_/.:= ":
            yield name[start:position]
            start = position
    yield name[start:]


def number(value: float | None) -> str:
    """A value with four significant digits; a dash where it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:#.4g}".rstrip(".")
    return text.replace("-", "−", 1) if value < 0 else text


def run_axis(figure: Figure, axes: Axes, run_ids: Sequence[str], notes: Sequence[str] | None = None) -> None:
    """Writes run ids under the slots 0, 1, 2, ... of the horizontal axis, slanted where there are many.

    Args:
        figure: The figure, which grows by what the texts take up.
        axes: Its axes.
        run_ids: In the order of the slots.
        notes: A further line for each.
    """
    slanted = len(run_ids) > _UPRIGHT
    labels = [wrapped(run_id, *((30, 2) if slanted else (14, 7))) for run_id in run_ids]
    if notes:
        labels = [f"{label}\n{note}" for label, note in zip(labels, notes, strict=True)]
    axes.set_xticks(range(len(run_ids)), labels)
    lines, widest = (
        max(label.count("\n") + 1 for label in labels),
        max(len(text) for text in "\n".join(labels).split("\n")),
    )
    if slanted:
        slant(axes)
        figure.set_figheight(figure.get_figheight() + 0.044 * widest)
    else:
        figure.set_figheight(figure.get_figheight() + 0.13 * (lines - 1))
    axes.set_xlim(-0.6, len(run_ids) - 0.4)
    axes.grid(False, axis="x")


def number_angle(runs: int) -> float:
    """Degrees by which the numbers above so many slots are turned, so that they do not touch."""
    return 90.0 if runs > 24 else 0.0


def slant(axes: Axes) -> None:
    """Slants the texts under the horizontal axis; each ends at its tick."""
    for label in axes.get_xticklabels():
        label.set(rotation=40, horizontalalignment="right", rotation_mode="anchor")


def position_axis(axes: Axes, name: str, positions: Sequence[float]) -> None:
    """Names the horizontal axis after a tracked position, and gives whole numbers whole ticks.

    Args:
        axes: The axes.
        name: Key of the position.
        positions: All that are drawn.
    """
    axes.set_xlabel({"seconds": "training time (s)"}.get(name, plain(name)))
    if positions and all(float(position).is_integer() for position in positions):
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, min_n_ticks=1))
    if len(set(positions)) == 1:
        axes.set_xlim(positions[0] - 0.6, positions[0] + 0.6)


def run_axis_width(runs: int) -> float:
    """Width in inches of a figure with one slot for every run."""
    return min(18.0, max(3.6, 1.1 + (1.05 if runs <= _UPRIGHT else 0.62) * runs))


def line_chart_width(runs: int) -> float:
    """Width in inches of a figure with one line for every run; many get room for a legend in two columns."""
    return 5.6 if runs <= _UPRIGHT else 8.6


def legend_name(run_id: str, runs: int) -> str:
    """A run id as long as the legend below a line chart of so many runs takes it."""
    return wrapped(run_id, 34, 4) if runs <= _UPRIGHT else wrapped(run_id, 28, 3)


def legend_below(figure: Figure, entries: Sequence[tuple[str, Artist]]) -> None:
    """Puts one legend under all axes, where it covers nothing; the figure grows by its height.

    Args:
        figure: The figure.
        entries: Texts, and what each stands for.
    """
    if not entries:
        return
    widest = max(len(line) for label, _ in entries for line in label.splitlines())
    columns = max(1, min(len(entries), int(figure.get_figwidth() / (0.072 * widest + 0.5))))
    rows = math.ceil(len(entries) / columns)
    lines = max(label.count("\n") + 1 for label, _ in entries)
    figure.set_figheight(figure.get_figheight() + rows * (0.14 * lines + 0.06))
    figure.legend(
        [artist for _, artist in entries], [label for label, _ in entries], loc="outside lower center", ncols=columns
    )


def pdf_bytes(figure: Figure) -> bytes:
    """The figure as a PDF file: the same bytes for the same data, fonts embedded as TrueType.

    Args:
        figure: A figure of this package.

    Returns:
        The file's content, without a date.
    """
    buffer = io.BytesIO()
    with house_style(), _without_layout_tables(), warnings.catch_warnings():
        # a letter that the font lacks is drawn as an empty box, which is told by itself
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(buffer, format="pdf", metadata={"Creator": "assay", "CreationDate": None, "ModDate": None})
    return buffer.getvalue()


@contextmanager
def _without_layout_tables() -> Iterator[None]:
    """Embeds fonts without their tables for ligatures and kerning.

    A PDF places every letter itself, and taking these tables apart is a third of the time that a figure takes. The list
    is fontTools' own default, which matplotlib offers no way to: where it is no longer there, it only takes longer.
    """
    from fontTools.subset import Options  # type: ignore[import-untyped]

    default = getattr(Options, "_drop_tables_default", None)
    if default is None:
        yield
        return
    Options._drop_tables_default = [*default, "GSUB", "GPOS", "GDEF", "MATH"]
    try:
        yield
    finally:
        Options._drop_tables_default = default
