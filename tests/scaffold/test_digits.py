"""The experiment that `assay new` writes: tried, run in full, killed, compared."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess

import pytest

from assay.contracts import load_contract
from assay.runtime.track_log import read_track
from assay.scaffold import new_submission
from tests.scaffold.contract_commands import prepared, run_in

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

PROPOSED, COMPARATIVE = "proposed-mlp-digits", "comparative-1-logistic-digits"
COMMANDS = load_contract("experiment").commands


def line(name, results, run=PROPOSED):
    ids = json.dumps([PROPOSED, COMPARATIVE])
    return COMMANDS[name].format(run_id=run, results_dir=shlex.quote(str(results)), run_ids=shlex.quote(ids))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies") / "digits"
    new_submission(folder, "experiment").write()
    return folder


@pytest.fixture(scope="module")
def finished(study, tmp_path_factory):
    """Both runs in full, and what each printed."""
    results = tmp_path_factory.mktemp("finished")
    for run in (PROPOSED, COMPARATIVE):
        done = run_in(study, line("full", results, run))
        assert done.returncode == 0, done.stderr
    return results


@pytest.mark.parametrize("run", [PROPOSED, COMPARATIVE])
def test_a_trial_runs_and_leaves_what_it_was_made_with(run, study, tmp_path):
    done = run_in(study, line("trial", tmp_path, run))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("seed 0: accuracy")
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {f"{run}/trial/{name}" for name in ("run.json", "stdout.log", "stderr.log")}


def test_a_trial_cannot_be_compared(study, tmp_path):
    for run in (PROPOSED, COMPARATIVE):
        (tmp_path / run / "trial").mkdir(parents=True)
    done = run_in(study, line("evaluate", tmp_path))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "mode=full" in done.stderr
    assert done.stderr.count("\n") == 1


def test_it_gets_better_than_95_percent_of_unseen_digits_right(finished):
    summary = read_track(finished / PROPOSED / "track.jsonl").summary
    assert summary["test_accuracy"] > 0.95
    assert read_track(finished / COMPARATIVE / "track.jsonl").summary["test_accuracy"] < summary["test_accuracy"]


def test_the_search_has_the_last_word_on_the_values_it_searched(finished):
    content = read_track(finished / PROPOSED / "track.jsonl")
    found = content.config["optuna"]["result"]
    assert content.config["training"]["learning_rate"] == found["best"]["training.learning_rate"]
    assert content.config["model"]["dropout"] == found["best"]["model.dropout"]


def test_it_is_compared_as_the_contract_says(study, finished):
    done = run_in(study, line("evaluate", finished))
    assert done.returncode == 0, done.stderr
    for run in (PROPOSED, COMPARATIVE):
        record = json.loads((finished / run / "metrics.json").read_text())
        assert record["run_id"] == run
        figures = {path.name for path in (finished / run).glob("*.pdf")}
        assert figures == {f"{run}_learning_curve.pdf", f"{run}_confusion_matrix.pdf"}
    comparison = finished / "comparison"
    aggregated = json.loads((comparison / "aggregated_metrics.json").read_text())
    assert list(aggregated) == ["primary_metric", "metrics", "best_proposed", "best_baseline", "gap"]
    ours, theirs = (aggregated["metrics"]["test_accuracy"][run] for run in (PROPOSED, COMPARATIVE))
    assert aggregated["best_proposed"] == {"run_id": PROPOSED, "value": ours}
    assert aggregated["best_baseline"] == {"run_id": COMPARATIVE, "value": theirs}
    assert aggregated["gap"] == pytest.approx((ours - theirs) / theirs * 100)
    assert {path.suffix for path in comparison.iterdir()} == {".pdf", ".json", ".csv", ".md", ".tex"}
    drawn = list(comparison.glob("*.pdf"))
    assert all(path.name.startswith("comparison_") and path.read_bytes().startswith(b"%PDF") for path in drawn)
    statistics = json.loads((comparison / "statistics.json").read_text())
    assert "wilcoxon" in json.dumps(statistics)
    criteria = json.loads((comparison / "criteria.json").read_text())
    assert criteria["better"]["verdict"] == "met"


SMALL = " training.seeds=[0,1,2] training.epochs=3 optuna.n_trials=3"


@pytest.fixture(scope="module")
def undisturbed(study, tmp_path_factory):
    results = tmp_path_factory.mktemp("undisturbed")
    done = run_in(study, line("full", results, COMPARATIVE) + SMALL)
    assert done.returncode == 0, done.stderr
    return scores(results)


def scores(results):
    content = read_track(results / COMPARATIVE / "track.jsonl")
    assert content.status == "complete"
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in content.rows]
    return rows, content.summary, content.config["optuna"]["result"]["best"]


@pytest.mark.parametrize("said", ["trial 0:", "trial 1:", "seed 0:", "seed 1:"])
def test_killed_at_any_point_it_is_finished_by_the_same_command(said, study, undisturbed, tmp_path):
    words, environment = prepared(line("full", tmp_path, COMPARATIVE) + SMALL)
    process = subprocess.Popen(
        words, cwd=study, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    with process:
        assert process.stdout is not None
        for text in process.stdout:
            if text.startswith(said.encode()):
                break
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done = run_in(study, line("full", tmp_path, COMPARATIVE) + SMALL)
    assert done.returncode == 0, done.stderr
    # a trial that was told of is done; a seed tells of itself before its end
    assert said.startswith("seed") or said not in done.stdout
    assert scores(tmp_path) == undisturbed
