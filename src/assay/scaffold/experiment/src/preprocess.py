"""The handwritten digits that ship with scikit-learn, split and scaled."""

from typing import NamedTuple

import torch
from omegaconf import DictConfig
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import TensorDataset


class Splits(NamedTuple):
    """The three parts of the data, the number of features of an example, and the number of classes."""

    train: TensorDataset
    validation: TensorDataset
    test: TensorDataset
    features: int
    classes: int


def load_splits(settings: DictConfig) -> Splits:
    """Stratified parts, the same for every run and seed, scaled by what the train part alone says."""
    if settings.name != "digits":
        raise ValueError(f"dataset.name={settings.name}: there is digits")
    pixels, digits = load_digits(return_X_y=True)
    inputs = torch.tensor(pixels, dtype=torch.float32)
    labels = torch.tensor(digits, dtype=torch.long)
    share = settings.validation_share + settings.test_share
    train, rest = train_test_split(
        torch.arange(len(labels)), test_size=share, stratify=labels, random_state=settings.split_seed
    )
    validation, test = train_test_split(
        rest, test_size=settings.test_share / share, stratify=labels[rest], random_state=settings.split_seed
    )
    # A pixel at the border is zero in every example: its spread is not divided by.
    mean, spread = inputs[train].mean(0), inputs[train].std(0)
    scaled = (inputs - mean) / torch.where(spread > 0, spread, 1.0)
    parts = [TensorDataset(scaled[part], labels[part]) for part in (train, validation, test)]
    return Splits(*parts, features=inputs.shape[1], classes=int(labels.max()) + 1)
