"""The command `python -m src.evaluate` as a person uses it, kills it and misspells it."""

from __future__ import annotations

import csv
import json
import math
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest

from assay.evaluation import Metric, evaluate
from assay.evaluation.comparison import compare
from assay.evaluation.confusion import summed_confusion
from assay.evaluation.records import RunRecord
from assay.evaluation.request import make_request
from assay.evaluation.writing import json_text, only_evaluation, write_whole
from assay.runtime.errors import ExperimentError
from tests.evaluation.conftest import RUNS, SMALL, words, write_run, write_track

ACCURACY, LOSS = Metric("test_accuracy", "maximize"), Metric("test_loss", "minimize")
TWO = ("proposed-a", "baseline-b")
COMPARISON = {
    "aggregated_metrics.json",
    "statistics.json",
    "comparison_metrics.csv",
    "comparison_metrics.md",
    "comparison_metrics.tex",
    "comparison_bar_chart_test_accuracy.pdf",
    "comparison_bar_chart_test_loss.pdf",
    "comparison_box_plot_test_accuracy.pdf",
    "comparison_box_plot_test_loss.pdf",
    "comparison_curve_train_loss.pdf",
    "comparison_curve_val_accuracy.pdf",
    "comparison_time_to_target_val_accuracy.pdf",
    "comparison_heat_map.pdf",
}


@pytest.fixture
def config(submission: Path) -> Path:
    return submission / "config" / "config.yaml"


class Ended:
    """What is left of an evaluation in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], config: Path):
        self.capsys, self.config = capsys, config

    def __call__(self, arguments: list[str], *metrics: Metric, **named: Any) -> tuple[int, str]:
        first, *others = metrics or (ACCURACY,)
        with pytest.raises(SystemExit) as ended:
            evaluate(first, *others, arguments=arguments, config=self.config, **named)
        said = self.capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert isinstance(ended.value.code, int)
        return ended.value.code, said


@pytest.fixture
def ended(capsys, config) -> Ended:
    return Ended(capsys, config)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def results_of(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(folder).items() if not name.endswith("track.jsonl")}


def test_the_command_writes_everything_that_the_contract_names(command, results):
    done = command(*words(results))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert {path.name for path in (results / "comparison").iterdir()} == COMPARISON
    for run_id in RUNS:
        assert {path.name for path in (results / run_id).iterdir()} == {
            "track.jsonl",
            "metrics.json",
            f"{run_id}_learning_curve.pdf",
            f"{run_id}_confusion_matrix.pdf",
        }

    aggregated = json.loads((results / "comparison" / "aggregated_metrics.json").read_text())
    assert list(aggregated) == ["primary_metric", "metrics", "best_proposed", "best_baseline", "gap"]
    assert aggregated["best_proposed"]["run_id"] == "proposed-a"
    assert aggregated["best_baseline"]["run_id"] == "comparative-1-b"
    assert aggregated["gap"] == pytest.approx((0.935 - 0.825) / 0.825 * 100)
    assert list(aggregated["metrics"]["test_loss"]) == list(RUNS)

    told = json.loads((results / "comparison" / "statistics.json").read_text())
    first, second = told["metrics"]["test_accuracy"]["comparisons"]
    assert (first["proposed"], first["baseline"]) == ("proposed-a", "comparative-1-b")
    assert first["seeds"] == [0, 1, 2, 3, 4, 5]
    # six pairs that all differ in one direction: two of 2^6 sign patterns are as extreme
    assert first["wilcoxon"]["p_value"] == first["permutation"]["p_value"] == 2 / 64
    assert first["wilcoxon"]["p_value_holm"] == second["wilcoxon"]["p_value_holm"] == 4 / 64
    assert first["effect"]["mean_difference"] == pytest.approx(0.11)
    interval = first["intervals"]["mean_difference"]
    assert interval["low"] < 0.11 < interval["high"]
    assert told["metrics"]["test_accuracy"]["runs"]["proposed-a"]["median"] == pytest.approx(0.935)

    target = told["targets"]["val_accuracy"]
    assert (target["value"], target["direction"], target["against"]) == (0.8, "maximize", "seconds")
    assert target["runs"]["proposed-a"]["median"] == 5.0
    assert target["runs"]["baseline-c"] | {"by_seed": None} == {
        "n": 6,
        "reached": 0,
        "median": None,
        "reason": "Fewer than half of the seeds reached the target.",
        "by_seed": None,
    }
    assert target["comparisons"][1]["log_rank"]["p_value"] < 0.01
    # val_accuracy is a third, two thirds, all of 0.91 at epochs 0, 1, 2; a step function until epoch 2
    assert told["areas"]["val_accuracy"]["runs"]["proposed-a"]["by_seed"]["0"] == pytest.approx(0.91 / 2)

    metrics = json.loads((results / "proposed-a" / "metrics.json").read_text())
    assert metrics["metrics"]["test_accuracy"] == pytest.approx(0.935)
    assert metrics["by_seed"]["test_accuracy"]["5"] == 0.96
    assert len(metrics["history"]) == 6 * 7
    assert metrics["config"] == {"training": {"learning_rate": 0.1}}

    (row, *_) = csv.DictReader((results / "comparison" / "comparison_metrics.csv").open())
    assert (row["run_id"], row["test_accuracy_seeds"]) == ("proposed-a", "6")
    assert "gap: +13.33 %" in done.stdout
    assert "wilcoxon p = 0.0312 (Holm 0.0625)" in done.stdout
    assert f"wrote {results / 'comparison'}: " in done.stdout

    # the words in the other order, and the same data: the same bytes
    first = contents(results)
    done = command(*reversed(words(results)), "source=local")
    assert done.returncode == 0, done.stderr
    assert contents(results) == first


def evaluate_and_die(results: Path, config: Path, step: str, at: int) -> int:
    """Evaluates in a process of its own, which kills itself around the renaming of its `at`-th file."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    rename, written = os.replace, 0

    def dying(partial: Path, path: Path) -> None:
        nonlocal written
        written += 1
        if written == at and step == "halfway":
            partial.write_bytes(partial.read_bytes()[:100])
        if written == at and step != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        rename(partial, path)
        if written == at:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        os.replace = dying  # type: ignore[assignment]
        evaluate(ACCURACY, curves=["val_accuracy"], arguments=words(results, *TWO), config=config)
    finally:
        os._exit(99)


def test_an_evaluation_killed_anywhere_leaves_whole_files_and_can_be_started_again(config, tmp_path):
    results, undisturbed = tmp_path / "results", tmp_path / "there" / "results"
    for folder in (results, undisturbed):
        write_run(folder, "proposed-a", [0.9, 0.8])
        write_run(folder, "baseline-b", [0.7, 0.6])
    evaluate(ACCURACY, curves=["val_accuracy"], arguments=words(undisturbed, *TWO), config=config)
    expected = {
        name: data.replace(str(undisturbed).encode(), str(results).encode())
        for name, data in results_of(undisturbed).items()
    }

    for step, at in (("before", 1), ("halfway", 2), ("after", 6), ("before", len(expected))):
        assert evaluate_and_die(results, config, step, at) == -signal.SIGKILL
        left = results_of(results)
        whole = {name: data for name, data in left.items() if not name.endswith(".partial")}
        assert whole.items() <= expected.items()
        assert len(left) - len(whole) == (0 if step == "after" else 1)
    assert len(whole) == len(expected) - 1
    evaluate(ACCURACY, curves=["val_accuracy"], arguments=words(results, *TWO), config=config)
    assert results_of(results) == expected


def test_a_full_disk_is_told_in_a_line_and_harms_no_earlier_file(submission, command, results):
    (submission / "src" / "evaluate.py").write_text(SMALL)
    earlier = {results / "proposed-a" / "proposed-a_learning_curve.pdf", results / "comparison" / "statistics.json"}
    for path in earlier:
        path.parent.mkdir(exist_ok=True)
        path.write_text("earlier")
    done = command(*words(results), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000)))
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "proposed-a_learning_curve.pdf: cannot be written (File too large)" in done.stderr
    assert {path.read_text() for path in earlier} == {"earlier"}
    assert not list(results.rglob("*.partial"))


def test_a_folder_that_takes_no_file_is_told_in_a_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExperimentError, match="cannot be written"):
        write_whole(tmp_path / "file" / "metrics.json", "{}")


def test_a_file_is_replaced_whole_and_nothing_else_stays(tmp_path):
    write_whole(tmp_path / "a" / "b.json", "first")
    write_whole(tmp_path / "a" / "b.json", b"second")
    assert contents(tmp_path) == {"a/b.json": b"second"}


def test_a_second_evaluation_at_the_same_time_is_refused(ended, results):
    with only_evaluation(results / "comparison"):
        status, line = ended(words(results))
    assert status == 1
    assert "another evaluation is writing here" in line
    assert results_of(results) == {}
    with only_evaluation(results / "comparison"):
        pass  # the first one's lock is gone


def test_json_has_words_for_numbers_that_are_not_finite():
    assert json.loads(json_text({1: [math.nan, math.inf, -math.inf, (True, None, "ü")]})) == {
        "1": ["NaN", "Infinity", "-Infinity", [True, None, "ü"]]
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "results_dir and run_ids are missing"),
        (["results_dir=RESULTS"], "run_ids is missing"),
        (["results_dir=", 'run_ids=["a"]'], "results_dir is missing"),
        (["--results_dir=RESULTS", 'run_ids=["a"]'], "starts with hyphens"),
        (["--results_dir", "RESULTS", 'run_ids=["a"]'], "starts with hyphens"),
        (["RESULTS", 'run_ids=["a"]'], "is no key=value"),
        (["results_dir=RESULTS", 'run_ids=["a"]', "mode=full"], "there is no 'mode'"),
        (["results_dir=RESULTS", "results_dir=RESULTS", 'run_ids=["a"]'], "results_dir stands twice"),
        (["results_dir=RESULTS", "run_ids=[a]"], "is not JSON"),
        (["results_dir=RESULTS", "run_ids=" + "[" * 100_000], "is not JSON"),
        (["results_dir=RESULTS", f"run_ids=[{'1' * 5000}]"], "is not JSON (a number too long)"),
        (["results_dir=RESULTS", 'run_ids="a"'], "is no list of texts"),
        (["results_dir=RESULTS", 'run_ids={"a": 1}'], "is no list of texts"),
        (["results_dir=RESULTS", "run_ids=[1]"], "is no list of texts"),
        (["results_dir=RESULTS", "run_ids=[]"], "empty list"),
        (["results_dir=RESULTS", 'run_ids=["a", "a"]'], "names 'a' twice"),
        (["results_dir=RESULTS", 'run_ids=["a/b"]'], "cannot be a run id"),
        (["results_dir=RESULTS", r'run_ids=["a\\b"]'], "cannot be a run id"),
        (["results_dir=RESULTS", 'run_ids=[".."]'], "cannot be a run id"),
        (["results_dir=RESULTS", 'run_ids=[" "]'], "cannot be a run id"),
        (["results_dir=RESULTS", r'run_ids=["a\u0000"]'], "cannot be a run id"),
        (["results_dir=RESULTS", f'run_ids=["{"é" * 101}"]'], "up to 200 bytes"),
        (["results_dir=RESULTS", 'run_ids=["comparison"]'], "cannot be called 'comparison'"),
        (["results_dir=RESULTS/none", 'run_ids=["a"]'], "there is no folder"),
        (["results_dir=" + "x" * 5000, 'run_ids=["a"]'], "there is no folder"),
        (["results_dir=RESULTS", 'run_ids=["a"]', "source=cloud"], "is none of auto, wandb, local"),
    ],
)
def test_a_wrong_call_is_answered_in_a_line_with_the_usage(ended, results, arguments, said):
    status, line = ended([argument.replace("RESULTS", str(results)) for argument in arguments])
    assert status == 2
    assert said in line
    assert "usage: python -m src.evaluate results_dir=PATH run_ids=" in line


def test_keys_that_no_run_tracked_are_all_named_before_anything_is_written(ended, results):
    write_track(results, "proposed-z", [{"seed": 0, "acc": 1.0}], series=["acc"], summary_keys=[])
    status, line = ended(
        words(results, "proposed-a", "proposed-z"),
        Metric("test_acuracy", "maximize"),
        curves=("val_loss",),
        confusion="confusion",
        targets={"val_acc": (0.9, "maximize")},
    )
    assert status == 1
    assert "test_acuracy in proposed-a, proposed-z (did you mean test_accuracy?)" in line
    assert "val_acc in proposed-a, proposed-z (did you mean val_accuracy?)" in line
    for name in ("val_loss", "confusion", "epoch in proposed-z"):
        assert name in line
    assert results_of(results) == {}


def test_a_key_that_is_only_in_the_summary_is_no_curve(ended, empty):
    write_track(empty, "a", [{"seed": 0, "epoch": 1}], series=["epoch"], summary={"test_accuracy": 1.0})
    status, line = ended(words(empty, "a"), curves=("test_accuracy",))
    assert status == 1
    assert "Not tracked: test_accuracy in a" in line


def test_a_curve_that_is_never_logged_with_its_position_is_refused(ended, results):
    status, line = ended(words(results, "proposed-a"), curves=("test_accuracy",))
    assert status == 1
    assert "test_accuracy is never logged in one row with epoch" in line


def test_without_tracked_data_it_refuses_and_names_the_mode(ended, empty):
    (empty / "a").mkdir()
    (empty / "a" / "trial.json").write_text("{}")
    status, line = ended(words(empty, "a"))
    assert status == 1
    assert "run it with mode=full" in line
    assert results_of(empty) == {"a/trial.json": b"{}"}


def test_a_run_that_has_not_finished_is_not_compared(ended, results):
    write_track(results, "proposed-z", [{"seed": 0, "test_accuracy": 1.0}], status=None)
    status, line = ended(words(results, "proposed-a", "proposed-z"))
    assert status == 1
    assert "proposed-z: the run has not finished" in line
    assert results_of(results) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read"),
        ("wandb: [", "while parsing"),
        ("- wandb", "no mapping at its top"),
        ("run: ???", "`wandb` is no section"),
        ("wandb: {entity: '${nowhere}', project: p}", "nowhere"),
        ("5", "Invalid loaded object type"),
        ("wandb: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("wandb: {project: p}\ncriteria: " + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_a_wrong_call(ended, config, results, text, said):
    config.unlink() if text is None else config.write_text(text)
    status, line = ended(words(results, "proposed-a"))
    assert status == 2
    assert "config.yaml" in line
    assert said in line


def test_what_the_command_compares_is_checked(ended, results):
    told = words(results, "proposed-a")
    assert "stands twice" in ended(told, ACCURACY, ACCURACY)[1]
    assert "stands twice" in ended(told, curves=("a", "a"))[1]
    assert "write a tuple" in ended(told, curves="train_loss")[1]
    assert "does 'val_f1' rise or fall" in ended(told, targets={"val_f1": 0.5})[1]
    assert "write Metric('loss', 'maximize')" in ended(told, ACCURACY, "loss")[1]
    for named in ({"curves": 5}, {"curves": (1,)}, {"confusion": 5}, {"against": None}, {"targets": ["loss"]}):
        status, line = ended(told, **named)
        assert (status, line.startswith("evaluate(")) == (2, True)
    for target in ("0.5", math.nan, (0.5, "maximize", 1), ()):
        assert "write a number, or (number, 'maximize')" in ended(told, targets={"test_loss": target})[1]
    for wrong in (("", "maximize"), ("loss", "up")):
        with pytest.raises(ExperimentError, match="Metric"):
            Metric(*wrong)


def test_figures_that_would_share_a_name_are_refused(ended, empty):
    write_track(empty, "a", [{"seed": 0, "x/y": 1.0, "x y": 2.0}], series=["x/y", "x y"])
    status, line = ended(words(empty, "a"), Metric("x/y", "maximize"), Metric("x y", "maximize"))
    assert status == 2
    assert "comparison_bar_chart_x_y.pdf" in line
    assert results_of(empty) == {}


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ([[1, 2], [3]], "is no confusion matrix"),
        ([1, 2], "is no confusion matrix"),
        ([[1, -2], [3, 4]], "is no confusion matrix"),
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], "has 3 classes, but evaluate(class_names=...) names 2"),
    ],
)
def test_a_confusion_matrix_that_is_none_is_refused(ended, empty, matrix, said):
    write_track(empty, "a", [{"seed": 0, "test_accuracy": 1.0, "test_confusion": matrix}])
    status, line = ended(words(empty, "a"), confusion="test_confusion", class_names=("cat", "dog"))
    assert status == 1
    assert said in line


def test_seeds_with_different_classes_are_refused(ended, empty):
    rows = [{"seed": 0, "test_confusion": [[1]]}, {"seed": 1, "test_confusion": [[1, 0], [0, 1]]}]
    write_track(empty, "a", rows)
    assert "has 1 classes, but 2 in seed 1" in ended(words(empty, "a"), confusion="test_confusion")[1]


def test_one_seed_and_no_baseline_leave_no_test_and_that_is_said(config, empty, capsys):
    write_run(empty, "proposed-a", [0.9])
    write_run(empty, "baseline-b", [0.8])
    evaluate(ACCURACY, arguments=words(empty, "proposed-a", "baseline-b"), config=config)
    said = capsys.readouterr()
    assert "no test (There is one pair only; a test needs at least two.)" in said.out
    told = json.loads((empty / "comparison" / "statistics.json").read_text())
    (comparison,) = told["metrics"]["test_accuracy"]["comparisons"]
    assert comparison["wilcoxon"]["p_value"] is None
    assert comparison["wilcoxon"]["reason"].startswith("There is one pair only")
    assert comparison["intervals"]["mean_difference"]["reason"] == "A bootstrap interval of 95% needs at least 6 pairs."

    evaluate(ACCURACY, arguments=words(empty, "proposed-a"), config=config)
    told = json.loads((empty / "comparison" / "statistics.json").read_text())
    assert told["reason"] == "No run id contains `comparative` or `baseline`, so that nothing is compared."
    assert told["reason"] in capsys.readouterr().out


def test_a_run_that_diverged_is_left_out_and_that_is_said(config, empty, capsys):
    write_run(empty, "proposed-a", [0.9, math.nan])
    write_run(empty, "proposed-b", [0.8, 0.7])
    evaluate(ACCURACY, LOSS, arguments=words(empty, "proposed-a", "proposed-b"), config=config, curves=["train_loss"])
    assert "proposed-a: test_accuracy is nan; left out of the comparison" in capsys.readouterr().err
    text = (empty / "comparison" / "aggregated_metrics.json").read_text()
    aggregated = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert aggregated["metrics"]["test_accuracy"] == {"proposed-a": None, "proposed-b": pytest.approx(0.75)}
    assert aggregated["best_proposed"]["run_id"] == "proposed-b"


def test_numbers_without_squares_count_as_infinite(config, empty, capsys):
    for run_id, values in (("proposed-a", (1e151, 10**400)), ("baseline-b", (1e149, 3e149))):
        rows = [{"seed": seed, "epoch": 1, "test_accuracy": value} for seed, value in enumerate(values)]
        write_track(empty, run_id, rows)
    evaluate(
        ACCURACY,
        arguments=words(empty, *TWO),
        config=config,
        curves=["test_accuracy"],
        targets={"test_accuracy": 2e149},
    )
    assert "proposed-a: test_accuracy is nan; left out of the comparison" in capsys.readouterr().err
    aggregated = json.loads((empty / "comparison" / "aggregated_metrics.json").read_text())
    assert aggregated["metrics"]["test_accuracy"] == {"proposed-a": None, "baseline-b": 2e149}
    told = json.loads((empty / "comparison" / "statistics.json").read_text())["metrics"]["test_accuracy"]["runs"]
    assert told["baseline-b"]["std"] == pytest.approx(math.sqrt(2) * 1e149)
    assert told["proposed-a"]["not_finite"] == [0, 1]


@pytest.mark.parametrize("seed", ["first", [1], 0.5, "NaN"])
def test_a_seed_that_is_no_whole_number_is_refused(ended, empty, seed):
    rows = [{"seed": seed, "test_accuracy": 1.0}]
    write_track(empty, "a", rows)
    status, line = ended(words(empty, "a"))
    assert (status, results_of(empty)) == (1, {})
    assert "which is no whole number" in line


def test_what_cannot_be_drawn_leaves_the_earlier_results(config, results, monkeypatch):
    evaluate(ACCURACY, arguments=words(results, *RUNS), config=config)
    earlier = results_of(results)
    write_run(results, "baseline-c", [0.5, 0.6])

    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr("assay.evaluation.figures.draw_heat_map", fail)
    with pytest.raises(MemoryError):
        evaluate(ACCURACY, arguments=words(results, *RUNS), config=config)
    assert results_of(results) == earlier


def test_what_readers_of_the_gap_and_of_p_values_must_know_is_said(config, results, capsys):
    write_run(results, "baseline-c", [0.70, 0.75, 0.72, 0.71])
    evaluate(ACCURACY, arguments=words(results), config=config)
    lines = capsys.readouterr().out.splitlines()
    gap, one, other = (
        next(line for line in lines if line.startswith(start))
        for start in ("gap", "proposed-a against comparative-1-b", "proposed-a against baseline-c")
    )
    assert gap.endswith("(best of 2 baseline runs, chosen by these very values)")
    # six pairs and four: 2 * 2 / 64 where the other is 2 / 16, which stays
    assert "so few seeds cannot give less than Holm 0.0625" in one
    assert "over 4 seeds (without 2 that one run has alone)" in other
    assert other.endswith("so few seeds cannot give less than Holm 0.125")
    told = json.loads((results / "comparison" / "statistics.json").read_text())
    first, second = (entry["wilcoxon"] for entry in told["metrics"]["test_accuracy"]["comparisons"])
    assert (first["least_p_value"], first["least_p_value_holm"]) == (2 / 64, 4 / 64)
    assert (second["least_p_value"], second["least_p_value_holm"]) == (2 / 16, 2 / 16)


def test_a_summary_that_is_not_the_mean_of_its_seeds_is_told(config, empty, capsys):
    rows = [{"seed": seed, "test_accuracy": value} for seed, value in enumerate((0.5, 0.7))]
    write_track(empty, "a", rows, summary={"test_accuracy": 0.7})
    evaluate(ACCURACY, arguments=words(empty, "a"), config=config)
    assert "summary says test_accuracy = 0.7, the mean over its 2 seeds is 0.6" in capsys.readouterr().err


def test_criteria_of_the_configuration_are_decided(config, results, capsys):
    config.write_text(
        config.read_text()
        + "criteria:\n  better:\n    metric: test_accuracy\n    improvement: {at_least: 0.05, measure: absolute}\n"
    )
    evaluate(ACCURACY, arguments=words(results), config=config)
    decided = json.loads((results / "comparison" / "criteria.json").read_text())
    assert list(decided) == ["better"]
    assert f"criterion better: {decided['better']['verdict']}" in capsys.readouterr().out


def test_a_target_takes_its_direction_from_the_metric_that_measures_the_same(config, results):
    evaluate(LOSS, arguments=words(results), config=config, targets={"train_loss": 0.5})
    told = json.loads((results / "comparison" / "statistics.json").read_text())["targets"]["train_loss"]
    assert told["direction"] == "minimize"
    assert told["runs"]["proposed-a"]["reached"] == 6
    assert told["runs"]["proposed-a"]["median"] == 5.0


def test_without_seconds_times_are_counted_along_the_curves(config, empty):
    write_track(empty, "a", [{"seed": 0, "epoch": epoch, "test_accuracy": epoch / 10} for epoch in range(10)])
    evaluate(ACCURACY, arguments=words(empty, "a"), config=config, targets={"test_accuracy": 0.5})
    told = json.loads((empty / "comparison" / "statistics.json").read_text())["targets"]["test_accuracy"]
    assert (told["against"], told["runs"]["a"]["median"]) == ("epoch", 5.0)


def record(run_id: str, *rows: dict[str, Any]) -> RunRecord:
    return RunRecord(run_id, rows, {}, {}, (), (), "test")


def test_areas_end_where_the_shortest_seed_of_any_run_ends():
    short = record("a", *({"seed": 0, "epoch": epoch, "m": 1.0} for epoch in range(3)))
    long = record("b", *({"seed": 0, "epoch": epoch, "m": float(epoch)} for epoch in range(5)))
    request = make_request([Metric("m", "maximize")], ["m"], "epoch", None, None, None)
    told = compare(request, {"a": short, "b": long})["areas"]["m"]
    assert told["budget"] == 2
    # 0 from epoch 0 to 1, 1 from epoch 1 to 2
    assert told["runs"]["b"]["by_seed"] == {0: 0.5}


def test_a_run_is_never_compared_with_itself():
    run = record("proposed-baseline", {"seed": 0, "m": 1.0}, {"seed": 1, "m": 2.0})
    told = compare(make_request([Metric("m", "maximize")], [], "epoch", None, None, None), {run.run_id: run})
    assert told["metrics"]["m"]["comparisons"] == []
    assert told["reason"] == "The only proposed run is the only baseline."


def test_confusion_matrices_are_summed_over_the_last_of_every_seed():
    run = record(
        "a",
        {"seed": 0, "c": [[9, 9], [9, 9]]},
        {"seed": 0, "c": [[1, 2], [3, 4]]},
        {"seed": 1, "c": [[10, 20], [30, 40]]},
    )
    assert summed_confusion(run, "c", None) == (((11.0, 22.0), (33.0, 44.0)), 2)
