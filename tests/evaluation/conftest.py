"""Tracked runs and a submission that compares them, as files on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assay.runtime.track_log import TrackLog, plain_values

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SERIES = ("epoch", "train_loss", "val_accuracy", "test_accuracy", "test_loss", "test_confusion")
SUMMARY = ("test_accuracy", "test_loss")

EVALUATE = """
from assay.evaluation import Metric, evaluate

if __name__ == "__main__":
    evaluate(
        Metric("test_accuracy", "maximize", "test accuracy"),
        Metric("test_loss", "minimize"),
        curves=("train_loss", "val_accuracy"),
        confusion="test_confusion",
        class_names=("cat", "dog"),
        targets={"val_accuracy": 0.8},
    )
"""


SMALL = """
from assay.evaluation import Metric, evaluate

if __name__ == "__main__":
    evaluate(Metric("test_accuracy", "maximize"), curves=("val_accuracy",))
"""


def write_track(
    results_dir: Path,
    run_id: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    summary: Mapping[str, Any] | None = None,
    series: Sequence[str] = SERIES,
    summary_keys: Sequence[str] = SUMMARY,
    status: str | None = "complete",
    wandb: Mapping[str, Any] | None = None,
) -> Path:
    """Writes the log of a run as the tracker does."""
    path = results_dir / run_id / "track.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with TrackLog(path) as log:
        log.start(
            attempt=1,
            time=NOON,
            run_id=run_id,
            config={"training": {"learning_rate": 0.1}},
            series=series,
            summary=summary_keys,
            wandb=wandb or {"mode": "offline"},
        )
        for step, row in enumerate(rows):
            log.row(step, plain_values(row))
        log.summary(summary or {})
        if status == "complete":
            log.finish("complete", NOON)
        elif status == "failed":
            log.finish("failed", NOON)
    return path


def write_run(
    results_dir: Path, run_id: str, accuracies: Sequence[float], losses: Sequence[float] | None = None
) -> Path:
    """Writes a run of three epochs a seed, one seed for every accuracy."""
    losses = losses or [1 - accuracy for accuracy in accuracies]
    rows: list[dict[str, Any]] = []
    for seed, (accuracy, loss) in enumerate(zip(accuracies, losses, strict=True)):
        for epoch in range(3):
            at = {"epoch": epoch, "seed": seed, "seconds": 2.0 * epoch + 1}
            rows.append(at | {"train_loss": loss + 1 / (epoch + 1)})
            rows.append(at | {"val_accuracy": accuracy * (epoch + 1) / 3})
        right = round(100 * accuracy) if accuracy == accuracy else 0
        matrix = [[right, 100 - right], [100 - right, right]]
        rows.append(
            {"test_accuracy": accuracy, "test_loss": loss, "test_confusion": matrix, "seed": seed, "seconds": 6.0}
        )
    summary = {"test_accuracy": sum(accuracies) / len(accuracies), "test_loss": sum(losses) / len(losses)}
    return write_track(results_dir, run_id, rows, summary=summary)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder for results."""
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture
def results(empty: Path) -> Path:
    """Results of one proposed run and two baselines, six seeds each."""
    folder = empty
    write_run(folder, "proposed-a", [0.91, 0.92, 0.93, 0.94, 0.95, 0.96])
    write_run(folder, "comparative-1-b", [0.81, 0.83, 0.82, 0.85, 0.84, 0.80])
    write_run(folder, "baseline-c", [0.70, 0.75, 0.72, 0.71, 0.74, 0.73])
    return folder


RUNS = ("proposed-a", "comparative-1-b", "baseline-c")


@pytest.fixture
def submission(tmp_path: Path) -> Path:
    """A submission whose src/evaluate.py compares such runs."""
    folder = tmp_path / "submission"
    (folder / "src").mkdir(parents=True)
    (folder / "config").mkdir()
    (folder / "src" / "evaluate.py").write_text(EVALUATE)
    (folder / "config" / "config.yaml").write_text(
        "run: ???\nresults_dir: ???\nwandb:\n  entity: lab\n  project: study\n  mode: offline\n"
    )
    return folder


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def command(submission: Path) -> Command:
    """Starts `python -m src.evaluate` of the submission with words of its own, and waits for its end."""

    def start(
        *words: str, preexec_fn: Callable[[], None] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "src.evaluate", *words],
            cwd=submission,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=preexec_fn,
        )

    return start


def words(results_dir: Path, *run_ids: str) -> list[str]:
    """The command's two words."""
    return [f"results_dir={results_dir}", f"run_ids={json.dumps(list(run_ids or RUNS))}"]
