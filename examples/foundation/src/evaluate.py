"""Tests the saved models of all run variations, compares them, and draws the figures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
import yaml

from src.model import build_network
from src.preprocess import load_splits
from src.train import DEVICE, score

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def load_network(config: dict[str, Any], path: Path, features: int, classes: int) -> torch.nn.Module:
    network = build_network(config["model"], features, classes)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.to(DEVICE)


def test_accuracies(config: dict[str, Any], folder: Path) -> list[float]:
    """Test accuracy of each seed's saved model, in the order of the seeds."""
    accuracies = []
    for seed in config["seeds"]:
        splits = load_splits(config["dataset"], seed)
        network = load_network(config, folder / f"model_seed{seed}.pt", splits.features, splits.classes)
        accuracies.append(score(network, splits.test)["accuracy"])
    return accuracies


def compare(accuracies: dict[str, list[float]]) -> dict[str, Any]:
    """Mean and spread of each run, and its paired difference from the first run. Higher is better."""
    first = next(iter(accuracies))
    runs = {}
    for run_id, values in accuracies.items():
        difference = np.array(values) - np.array(accuracies[first])
        runs[run_id] = {
            "test_accuracy": values,
            "mean": float(np.mean(values)),
            "std": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "mean_difference": float(difference.mean()),
        }
    best = max(runs, key=lambda run_id: runs[run_id]["mean"])
    return {"metric": "test_accuracy", "direction": "maximize", "reference": first, "best": best, "runs": runs}


def draw_curves(results: list[dict[str, Any]], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 4))
    for result in results:
        curves = np.array([[row["validation_accuracy"] for row in seed["history"]] for seed in result["seeds"]])
        axes.plot(curves.mean(0), marker=".", label=result["run_id"])
        axes.annotate(f"{curves.mean(0)[-1]:.3f}", (curves.shape[1] - 1, curves.mean(0)[-1]))
    axes.set(xlabel="epoch", ylabel="validation accuracy", title="Mean over seeds")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def draw_accuracies(comparison: dict[str, Any], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 4))
    for number, (run_id, row) in enumerate(comparison["runs"].items()):
        axes.bar(number, row["mean"], yerr=row["std"] or 0.0, capsize=4, label=run_id)
        axes.annotate(f"{row['mean']:.3f}", (number, row["mean"]), ha="left", va="bottom")
    axes.set(xticks=[], ylabel="test accuracy", title="Mean and standard deviation over seeds")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the run variations.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--results-dir", type=Path, required=True)
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    folders = [arguments.results_dir / run["run_id"] for run in config["runs"]]
    results = [json.loads((folder / "results.json").read_text(encoding="utf-8")) for folder in folders]
    comparison = compare({folder.name: test_accuracies(config, folder) for folder in folders})
    figures = arguments.results_dir / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    draw_curves(results, figures / "validation_accuracy.pdf")
    draw_accuracies(comparison, figures / "test_accuracy.pdf")
    (arguments.results_dir / "comparison.json").write_text(json.dumps(comparison, indent=2), encoding="utf-8")
    print(json.dumps(comparison))


if __name__ == "__main__":
    main()
