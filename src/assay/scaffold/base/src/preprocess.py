"""Datasets, split into train, validation and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import TensorDataset


@dataclass
class Splits:
    """The three parts of a dataset, the number of features of an example, and the number of classes."""

    train: TensorDataset
    validation: TensorDataset
    test: TensorDataset
    features: int
    classes: int


def load_splits(settings: dict[str, Any], seed: int) -> Splits:
    if settings["name"] == "synthetic":
        inputs, labels = synthetic(settings)
    else:
        inputs, labels = load_dataset(settings)
    return split(inputs, labels, seed)


def load_dataset(settings: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs (examples, ...) as floats and labels (examples,) as integers from zero."""
    # DATASET_PLACEHOLDER: the derived experiment loads the dataset that `settings` names here.
    raise NotImplementedError(f"DATASET_PLACEHOLDER: no dataset is called {settings['name']!r} yet")


def synthetic(settings: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """One Gaussian cloud for each class, the same in every run."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(settings["examples"]) % settings["classes"]
    centres = torch.randn(settings["classes"], settings["features"], generator=generator)
    noise = torch.randn(settings["examples"], settings["features"], generator=generator)
    return centres[labels] + noise, labels


def split(inputs: torch.Tensor, labels: torch.Tensor, seed: int) -> Splits:
    """60 % train, 20 % validation and 20 % test, scaled by what the train part alone says."""
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    train, validation, test = order.split([len(order) - 2 * (len(order) // 5), len(order) // 5, len(order) // 5])
    mean, spread = inputs[train].mean(0), inputs[train].std(0).clamp_min(1e-6)
    scaled = (inputs - mean) / spread
    return Splits(
        train=TensorDataset(scaled[train], labels[train]),
        validation=TensorDataset(scaled[validation], labels[validation]),
        test=TensorDataset(scaled[test], labels[test]),
        features=inputs[0].numel(),
        classes=int(labels.max()) + 1,
    )
