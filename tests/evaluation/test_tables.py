"""One table in four forms, which say the same."""

from __future__ import annotations

import csv
import io
import math
import statistics

import pytest

from assay.evaluation.request import Metric
from assay.evaluation.tables import make_table, to_csv, to_latex, to_markdown, to_text

ACCURACY, LOSS = Metric("accuracy", "maximize", "accuracy (%)"), Metric("loss", "minimize")
SEEDS: dict[str, dict[str, dict[int, float]]] = {
    "accuracy": {"proposed_a": {0: 90.0, 1: 92.0}, "b|c": {0: 80.0, 1: 80.5}},
    "loss": {"proposed_a": {}, "b|c": {}},
}
VALUES = {"accuracy": {"proposed_a": 91.0, "b|c": 80.25}, "loss": {"proposed_a": 0.5, "b|c": math.nan}}
TABLE = make_table([ACCURACY, LOSS], VALUES, SEEDS)


def test_csv_has_every_digit_and_leaves_missing_values_empty():
    first, second = csv.DictReader(io.StringIO(to_csv(TABLE)))
    assert first["run_id"] == "proposed_a"
    assert float(first["accuracy"]) == 91.0
    assert float(first["accuracy_std"]) == statistics.stdev([90.0, 92.0])
    assert first["accuracy_seeds"] == "2"
    assert (second["run_id"], second["loss"], second["loss_std"], second["loss_seeds"]) == ("b|c", "", "", "0")


def test_markdown_marks_the_best_escapes_and_dashes():
    lines = to_markdown(TABLE).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[:4]]
    assert cells[0] == ["run", "accuracy (%) ↑", "loss ↓", "n"]
    assert cells[2] == [r"proposed\_a", "**91.00 ± 1.41**", "**0.5000**", "2"]
    assert cells[3] == [r"b\|c", "80.25 ± 0.35", "–", "2"]
    assert len({len(line) for line in lines[:4]}) == 1
    assert "standard deviation" in lines[-1]


def test_latex_escapes_what_tex_would_read():
    text = to_latex(
        make_table([Metric("m", "maximize", r"a_b & c% $d$ #1 {x} ~ ^ \e")], {"m": {"r_1": 1.0}}, {"m": {"r_1": {}}})
    )
    assert r"a\_b \& c\% \$d\$ \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{}e $\uparrow$" in text
    assert r"r\_1 & $\mathbf{1.000}$ & -- \\" in text
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert rule in text


def test_latex_has_mean_and_deviation_and_bold_only_for_the_best():
    text = to_latex(TABLE)
    assert r"proposed\_a & $\mathbf{91.00} \pm 1.41$ & $\mathbf{0.5000}$ & 2 \\" in text
    assert r"b\textbar{}c & $80.25 \pm 0.35$ & -- & 2 \\" in text


def test_latex_writes_powers_of_ten():
    table = make_table([LOSS], {"loss": {"a": 1.5e-12, "b": -2.5e9}}, {"loss": {"a": {}, "b": {}}})
    assert r"$1.5 \times 10^{-12}$" in to_latex(table)
    assert r"$\mathbf{-2.5 \times 10^{9}}$" in to_latex(table)


@pytest.mark.parametrize(("metric", "best"), [(ACCURACY, "b"), (LOSS, "a")])
def test_the_best_follows_the_direction_and_equal_bests_are_all_marked(metric, best):
    values = {metric.name: {"a": 1.0, "b": 2.0, best + "2": {"a": 1.0, "b": 2.0}[best], "c": None}}
    table = make_table([metric], values, {metric.name: {run_id: {} for run_id in values[metric.name]}})
    assert [run_id for run_id, (cell,) in table.rows.items() if cell.best] == [best, best + "2"]


def test_text_for_the_terminal_keeps_columns_and_stars_the_best():
    lines = to_text(TABLE).splitlines()
    assert lines[1].split() == ["proposed_a", "91.00", "±", "1.41", "*", "0.5000", "*", "2"]
    assert lines[2].split() == ["b|c", "80.25", "±", "0.35", "–", "2"]
    assert lines[1].index("±") == lines[2].index("±")


def test_runs_with_different_numbers_of_seeds_for_their_metrics_say_so():
    seeds = {"accuracy": {"a": {0: 1.0, 1: 2.0}}, "loss": {"a": {0: 1.0, 1: 2.0, 2: math.nan, 3: 1.0}}}
    table = make_table([ACCURACY, LOSS], {"accuracy": {"a": 1.5}, "loss": {"a": 1.3}}, seeds)
    assert to_text(table).splitlines()[1].endswith("2 to 3")


def test_a_table_without_any_value_is_a_table_of_dashes():
    table = make_table([ACCURACY], {"accuracy": {"a": None}}, {"accuracy": {"a": {}}})
    assert to_markdown(table).splitlines()[2].split()[1:] == ["a", "|", "–", "|", "–", "|"]
