"""Runs the experiment: python -m src.main --smoke-test|--full-experiment --results-dir PATH."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import IO

import yaml

CONFIG = Path(__file__).resolve().parents[1] / "config"


def forward(stream: IO[str], path: Path, sink: IO[str]) -> None:
    """Copy what a child writes to a file and to one of our own streams, line by line."""
    with path.open("w", encoding="utf-8") as log:
        for line in stream:
            log.write(line)
            log.flush()
            sink.write(line)
            sink.flush()


def launch(arguments: list[str], folder: Path) -> None:
    """Run a module to its end. Each pipe has a thread of its own, so that neither can fill and block the child."""
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    threads = [
        Thread(target=forward, args=(process.stdout, folder / "stdout.log", sys.stdout)),
        Thread(target=forward, args=(process.stderr, folder / "stderr.log", sys.stderr)),
    ]
    for thread in threads:
        thread.start()
    status = process.wait()
    for thread in threads:
        thread.join()
    if status != 0:
        raise SystemExit(f"{arguments[0]} ended with status {status}; see {folder / 'stderr.log'}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train every run variation in turn and compare them.")
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--smoke-test", action="store_true", help="seconds, to see that everything works")
    size.add_argument("--full-experiment", action="store_true", help="the whole experiment")
    parser.add_argument("--results-dir", type=Path, required=True)
    arguments = parser.parse_args()
    path = CONFIG / ("smoke_test.yaml" if arguments.smoke_test else "full_experiment.yaml")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    print(f"{config['description']}: {len(config['runs'])} run variations, seeds {config['seeds']}", flush=True)
    shared = ["--config", str(path), "--results-dir", str(arguments.results_dir)]
    for run in config["runs"]:
        launch(["src.train", "--run-id", run["run_id"], *shared], arguments.results_dir / run["run_id"])
    launch(["src.evaluate", *shared], arguments.results_dir / "evaluation")


if __name__ == "__main__":
    main()
