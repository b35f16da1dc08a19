"""Figures look as they did, say what they should, and take whatever runs are called and did.

After a wanted change, `python tests/evaluation/test_figures.py` draws the baselines again; look at them then.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from fontTools.subset import Options  # type: ignore[import-untyped]
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.testing.compare import compare_images

from assay.evaluation.figures import (
    FigureNames,
    draw_bar_chart,
    draw_box_plot,
    draw_confusion_matrix,
    draw_curve_spread,
    draw_heat_map,
    draw_learning_curve,
    draw_survival,
    pdf_bytes,
)
from assay.evaluation.figures.names import safe_topic
from assay.evaluation.figures.style import house_style, look_of, number, plain, wrapped
from assay.evaluation.statistics import TimeToTarget
from assay.runtime.errors import ExperimentError

BASELINE = Path(__file__).parent / "baseline"
# root mean square over pixels of 0 to 255; letters of other FreeType releases differ by less, a changed value by more
TOLERANCE = 4


def curve(level: float, shift: float) -> tuple[list[float], list[float]]:
    return [0.0, 1.0, 2.0, 3.0], [level * (1 - 0.5 ** (epoch + 1)) + shift for epoch in range(4)]


def learning_curve(last: float = 0.96) -> Figure:
    gap = ([0.0, 1.0, 2.0, 3.0], [2.0, math.nan, 0.8, 0.6])
    three = {seed: curve(last, 0.05 * seed) for seed in range(3)}
    return draw_learning_curve("proposed-a", {"val_accuracy": three, "train_loss": {0: gap}}, "epoch")


def confusion_matrix(right: int = 8) -> Figure:
    return draw_confusion_matrix("proposed-a", [[right, 2, 0], [1, 9, 0], [0, 0, 0]], ["cat", "dog", "fish"], seeds=2)


def bar_chart(best: float = 0.9) -> Figure:
    values = {"proposed-a": best, "baseline-b": 0.7, "baseline-c": None}
    return draw_bar_chart(
        "accuracy", True, values, {"proposed-a": {0: best - 0.05, 1: best + 0.05}, "baseline-b": {0: 0.7}}
    )


def box_plot(outlier: float = 0.5) -> Figure:
    return draw_box_plot(
        "loss (nats)", False, {"proposed-a": {0: outlier, 1: 0.8, 2: 0.9, 3: 0.85}, "b": {0: 0.6}, "c": {}}
    )


def curve_spread(level: float = 0.9) -> Figure:
    runs = {"proposed-a": {seed: curve(level, 0.04 * seed) for seed in range(3)}, "baseline-b": {0: curve(0.6, 0)}}
    return draw_curve_spread("accuracy", runs, "epoch")


def survival(first: float = 2.0) -> Figure:
    times = {
        "proposed-a": {0: TimeToTarget(first, True), 1: TimeToTarget(4, True), 2: TimeToTarget(6, False)},
        "baseline-b": {0: TimeToTarget(6, False), 1: TimeToTarget(5, True), 2: TimeToTarget(6, False)},
    }
    return draw_survival("val_accuracy ≥ 0.9", times, "seconds")


def heat_map(value: float = 0.9) -> Figure:
    table: list[list[float | None]] = [[value, 0.5], [0.7, None], [0.8, 0.1]]
    return draw_heat_map(["a", "b", "c"], ["accuracy", "loss"], table, label="within", higher_is_better=[True, False])


def heat_map_of_values(value: float = 0.9) -> Figure:
    return draw_heat_map(["lr 0.1", "lr 0.01"], ["batch 16", "batch 32"], [[value, 0.5], [0.7, 0.6]], label="accuracy")


# each drawing, and a value that must be seen in it
CASES: list[tuple[Callable[..., Figure], float]] = [
    (learning_curve, 0.8),
    (confusion_matrix, 3),
    (bar_chart, 0.8),
    (box_plot, 0.55),
    (curve_spread, 0.8),
    (survival, 3.0),
    (heat_map, 0.75),
    (heat_map_of_values, 0.65),
]


def save_png(figure: Figure, path: Path) -> Path:
    with house_style():
        figure.savefig(path, dpi=60, metadata={"Software": None})
    return path


@pytest.mark.parametrize(("draw", "changed"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_figures_look_as_their_baselines_and_a_changed_value_shows(draw, changed, tmp_path):
    baseline = BASELINE / f"{draw.__name__}.png"
    same, other = save_png(draw(), tmp_path / "same.png"), save_png(draw(changed), tmp_path / "other.png")
    assert compare_images(str(baseline), str(same), tol=TOLERANCE) is None
    assert compare_images(str(baseline), str(other), tol=TOLERANCE) is not None


HOSTILE = ["proposed_$x_{2}$ 100% \\alpha & #1", "baseline-$", "run\nwith\ttabs", "-" * 120, "a_b^c~d"]


@pytest.mark.parametrize("runs", [1, 2, 20])
@pytest.mark.parametrize("seeds", [1, 5])
def test_any_number_of_runs_and_seeds_and_any_name_can_be_drawn(runs, seeds):
    names = [f"{HOSTILE[run % len(HOSTILE)]}{run}" for run in range(runs)]
    values = {name: {seed: 0.1 * run + 0.01 * seed for seed in range(seeds)} for run, name in enumerate(names)}
    curves = {name: {seed: curve(value, 0) for seed, value in by_seed.items()} for name, by_seed in values.items()}
    times = {name: {seed: TimeToTarget(1 + seed, seed % 2 == 0) for seed in range(seeds)} for name in names}
    figures = [
        draw_bar_chart("$m_", False, {name: by_seed[0] for name, by_seed in values.items()}, values),
        draw_box_plot("$m_$", True, values),
        draw_curve_spread("%m$", curves, "step$"),
        draw_survival("$ ≥ 1", times, "epoch"),
        draw_heat_map(names, ["$"], [[value[0]] for value in values.values()], label="$a$"),
        draw_learning_curve(names[0], curves, "epoch"),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in figures:
            figure.draw_without_rendering()


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_missing_is_told_in_the_figure_and_does_not_stop_it(value):
    missing = math.nan if value is None else value
    texts = {
        "no value": draw_bar_chart("m", True, {"a": value, "b": value}, {}),
        "no value ": draw_box_plot("m", True, {"a": {0: missing}}),
        "no value to draw": draw_learning_curve("a", {"m": {0: ([0.0], [missing])}}, "epoch"),
        "–": draw_heat_map(["a"], ["m"], [[value]], label="m"),
    }
    for text, figure in texts.items():
        figure.draw_without_rendering()
        assert text.strip() in texts_of(figure)
    for figure in (draw_curve_spread("m", {"a": {}}, "epoch"), draw_survival("m", {"a": {}}, "epoch")):
        assert "no value to draw" in texts_of(figure)


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text)]


def points_of(line: Line2D) -> Any:
    """Positions and values, shape (2, points)."""
    return np.asarray(line.get_xydata()).T


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_bars_carry_their_values_the_direction_and_a_legend():
    figure = bar_chart()
    texts = texts_of(figure)
    assert {"0.9000", "0.7000", "no value"} <= set(texts)
    assert "accuracy\n(higher is better)" in texts
    assert legend_of(figure) == ["value of the run (best in bold)", "± standard deviation over seeds", "one seed"]
    bold = [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_fontweight() == "bold"]
    assert bold == ["0.9000"]


def test_error_bars_are_the_sample_standard_deviation():
    (bar,) = [line for line in bar_chart().axes[0].collections if hasattr(line, "get_segments")]
    ((_, low), (_, high)) = bar.get_segments()[0]
    assert high - low == pytest.approx(2 * 0.05 * math.sqrt(2))


def test_confusion_matrices_say_how_much_is_right_and_over_how_many_seeds():
    texts = texts_of(confusion_matrix())
    assert "proposed-a\n85.00 % correct, 2 seeds summed" in texts
    assert {"8", "2", "1", "9", "predicted class", "true class", "share of the true class", "fish"} <= set(texts)


def test_confusion_matrices_colour_by_the_share_of_the_true_class():
    shares = confusion_matrix().axes[0].images[0].get_array()
    assert shares is not None
    assert shares.tolist() == [[0.8, 0.2, 0.0], [0.1, 0.9, 0.0], [0.0, 0.0, 0.0]]


def test_curves_are_means_with_bands_and_their_last_value_in_the_legend():
    figure = curve_spread()
    assert points_of(figure.axes[0].lines[0])[1] == pytest.approx(
        [0.45 + 0.04, 0.675 + 0.04, 0.7875 + 0.04, 0.84375 + 0.04]
    )
    assert legend_of(figure) == ["proposed-a (3 seeds; last 0.8838)", "baseline-b (1 seed; last 0.5625)"]
    band = figure.axes[0].collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (pytest.approx(0.45), pytest.approx(0.84375 + 0.08))
    assert len(figure.axes[0].collections) == 1


def test_what_is_logged_in_every_batch_is_drawn_as_one_value_an_epoch():
    batches = ([0.0, 0.0, 1.0, 1.0], [4.0, 2.0, 1.0, 0.5])
    figure = draw_curve_spread("loss", {"a": {0: batches}}, "epoch")
    assert points_of(figure.axes[0].lines[0]) == pytest.approx(np.array([[0, 1], [3, 0.75]]))


def test_survival_has_the_medians_steps_and_marks_of_given_up_seeds():
    figure = survival()
    assert legend_of(figure) == [
        "proposed-a (2 of 3 seeds; median 4.000)",
        "baseline-b (1 of 3 seeds; not reached by half)",
        "end of a seed that did not reach it",
    ]
    step, _, marks, *_ = figure.axes[0].lines
    assert points_of(step) == pytest.approx(np.array([[0, 2, 4, 6], [1, 2 / 3, 1 / 3, 1 / 3]]))
    assert points_of(marks) == pytest.approx(np.array([[6], [1 / 3]]))
    assert figure.axes[0].get_xlabel() == "training time (s)"


def test_heat_maps_scale_every_column_from_its_worst_to_its_best():
    shades = heat_map().axes[0].images[0].get_array()
    assert shades is not None
    assert shades[:, 0].tolist() == pytest.approx([1, 0, 0.5])
    assert shades[0, 1] == 0
    assert shades[2, 1] == 1


def test_learning_curves_have_a_line_a_seed_and_a_mean():
    figure = learning_curve()
    assert [len(axes.lines) for axes in figure.axes] == [4, 1]
    assert legend_of(figure) == ["one seed (of 3)", "mean of all seeds", "seed 0"]
    assert "0.9500" in texts_of(figure)


def test_looks_differ_for_thirty_runs_and_colours_for_seven():
    looks = [look_of(position) for position in range(28)]
    assert len(set(looks)) == 28
    assert len({(look.color, look.line) for look in looks}) == 28
    assert len({look.color for look in looks[:7]}) == 7


def test_names_are_written_as_they_are():
    assert plain("$a$ b\n") == "\\$a\\$ b\N{REPLACEMENT CHARACTER}"
    assert wrapped("comparative-1-resnet20-cifar10", 14, 7) == "comparative-1-\nresnet20-\ncifar10"
    assert wrapped("a" * 100, 10, 2).replace("\n", "") == "aaaaaaaa…aaaaaaaaa"
    assert [number(value) for value in (None, -0.5, 12345.0, 0.25, 1234.0)] == [
        "–",
        "−0.5000",
        "1.234e+04",
        "0.2500",
        "1234",
    ]


def test_file_names_say_what_is_drawn():
    names = FigureNames()
    assert names.of_run("run-a", "learning curve") == "run-a_learning_curve.pdf"
    assert names.of_comparison("heat_map") == "comparison_heat_map.pdf"
    assert names.of_comparison("curve", "val/acc $1") == "comparison_curve_val_acc_1.pdf"
    assert safe_topic("précision@5") == "précision_5"
    with pytest.raises(ExperimentError, match="too long for the name of a file"):
        names.of_comparison("curve", "é" * 120)


def test_no_two_figures_share_a_file_and_no_name_is_empty():
    names = FigureNames()
    names.of_comparison("curve", "a/b")
    for again in ("a/b", "a b", "A_B"):
        with pytest.raises(ExperimentError, match=r"comparison_curve_.*\.pdf"):
            names.of_comparison("curve", again)
    with pytest.raises(ExperimentError, match="no letter"):
        safe_topic("$/%")


DRAW = """
import sys
from tests.evaluation.test_figures import bar_chart, pdf_bytes
sys.stdout.buffer.write(pdf_bytes(bar_chart()))
"""


def test_the_same_data_give_the_same_bytes_with_embedded_fonts_and_no_date(tmp_path):
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nfont.family: serif\npdf.fonttype: 3\nsavefig.bbox: tight\n")
    environment = os.environ | {"MATPLOTLIBRC": str(tmp_path / "matplotlibrc"), "PYTHONHASHSEED": "7"}
    root = Path(__file__).parents[2]
    elsewhere = subprocess.run([sys.executable, "-c", DRAW], cwd=root, env=environment, check=True, capture_output=True)
    here = pdf_bytes(bar_chart())
    assert elsewhere.stdout == here
    assert b"/FontFile2" in here
    assert b"/Type3" not in here
    assert b"Date" not in here


def test_drawing_leaves_matplotlib_and_its_fonts_as_they_were():
    before, dropped = dict(matplotlib.rcParams), Options().drop_tables
    pdf_bytes(bar_chart())
    assert dict(matplotlib.rcParams) == before
    assert Options().drop_tables == dropped


def test_a_letter_that_the_font_lacks_is_drawn_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pdf_bytes(draw_bar_chart("m", True, {"日本": 1.0}, {}))


@pytest.mark.parametrize("count", [2, 9])
def test_long_names_take_no_room_from_the_bars(count):
    def height(name: str) -> float:
        figure = draw_bar_chart("m", True, {f"{name}{run}": 1.0 for run in range(count)}, {})
        figure.draw_without_rendering()
        return figure.axes[0].get_window_extent().height / figure.dpi

    assert height("proposed-resnet20-cifar10-lora-rank-8-") > 0.8 * height("a")


def test_seeds_are_counted_once_where_all_runs_have_as_many():
    alike = draw_box_plot("m", True, {"a": {0: 1.0, 1: 2.0}, "b": {0: 1.0, 1: 3.0}})
    assert legend_of(alike) == ["median (number)", "mean", "one seed (n = 2 in every run)"]
    assert not any("n = 4" in text for text in texts_of(alike))
    assert any("n = 4" in text for text in texts_of(box_plot()))
    runs = {name: {seed: curve(0.9, 0) for seed in range(3)} for name in "ab"}
    assert legend_of(draw_curve_spread("m", runs, "epoch")) == ["a (last 0.8438)", "b (last 0.8438)"]


def test_drawing_needs_no_pyplot():
    program = "import sys, assay.evaluation.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


if __name__ == "__main__":
    for drawing, _ in CASES:
        save_png(drawing(), BASELINE / f"{drawing.__name__}.png")
