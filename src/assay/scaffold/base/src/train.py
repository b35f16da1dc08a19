"""Trains one run variation over all seeds, saves its models, and prints its metrics as JSON."""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from src.model import build_average, build_network
from src.preprocess import Splits, load_splits

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def set_seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@torch.no_grad()
def score(network: nn.Module, data: TensorDataset) -> dict[str, float]:
    """Loss and accuracy of a network on one part of the data."""
    network.eval()
    inputs, labels = (tensor.to(DEVICE) for tensor in data.tensors)
    logits = network(inputs)
    return {
        "loss": nn.functional.cross_entropy(logits, labels).item(),
        "accuracy": (logits.argmax(1) == labels).float().mean().item(),
    }


def train(config: dict[str, Any], run: dict[str, Any], splits: Splits, seed: int) -> tuple[nn.Module, list[dict]]:
    """The averaged network, and what each epoch measured."""
    set_seed(seed)
    settings = config["training"]
    network = build_network(config["model"], splits.features, splits.classes).to(DEVICE)
    loader = DataLoader(splits.train, batch_size=settings["batch_size"], shuffle=True)
    average = build_average(network, run["averaging"], settings["epochs"] * len(loader))
    optimizer = torch.optim.SGD(
        network.parameters(), lr=settings["learning_rate"], momentum=0.9, weight_decay=settings["weight_decay"]
    )
    history, step = [], 0
    for epoch in range(settings["epochs"]):
        network.train()
        total = 0.0
        for inputs, labels in loader:
            inputs, labels = inputs.to(DEVICE), labels.to(DEVICE)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(inputs), labels)
            loss.backward()
            optimizer.step()
            average.update(network, step)
            total += loss.item() * len(labels)
            step += 1
        validation = score(average.network, splits.validation)
        history.append(
            {
                "epoch": epoch,
                "train_loss": total / len(splits.train),
                "validation_loss": validation["loss"],
                "validation_accuracy": validation["accuracy"],
            }
        )
    return average.network, history


def main() -> None:
    parser = argparse.ArgumentParser(description="Train one run variation.")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--run-id", required=True)
    parser.add_argument("--results-dir", type=Path, required=True)
    arguments = parser.parse_args()
    config = yaml.safe_load(arguments.config.read_text(encoding="utf-8"))
    run = next((run for run in config["runs"] if run["run_id"] == arguments.run_id), None)
    if run is None:
        raise SystemExit(f"{arguments.config}: no run is called {arguments.run_id!r}")

    folder = arguments.results_dir / arguments.run_id
    folder.mkdir(parents=True, exist_ok=True)
    results = {"run_id": arguments.run_id, "averaging": run["averaging"], "seeds": []}
    for seed in config["seeds"]:
        network, history = train(config, run, load_splits(config["dataset"], seed), seed)
        torch.save(network.state_dict(), folder / f"model_seed{seed}.pt")
        results["seeds"].append({"seed": seed, "history": history})
        print(json.dumps({"run_id": arguments.run_id, "seed": seed, **history[-1]}))
    (folder / "results.json").write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
