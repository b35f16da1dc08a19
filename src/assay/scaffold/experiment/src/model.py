"""The two classifiers that are compared."""

import torch
from omegaconf import DictConfig
from torch import nn


class LogisticRegression(nn.Module):
    """One linear layer over the pixels; the comparative method."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(features, classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes) of inputs (batch, features)."""
        return self.layer(inputs)


class Perceptron(nn.Module):
    """Hidden layers with dropout between the pixels and the logits; the proposed method."""

    def __init__(self, features: int, classes: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for number in range(depth):
            layers += [nn.Linear(features if number == 0 else width, width), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(width, classes))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (batch, classes) of inputs (batch, features)."""
        return self.layers(inputs)


def build_model(settings: DictConfig, features: int, classes: int) -> nn.Module:
    if settings.name == "logistic-regression":
        return LogisticRegression(features, classes)
    if settings.name == "mlp":
        return Perceptron(features, classes, settings.width, settings.depth, settings.dropout)
    raise ValueError(f"model.name={settings.name}: there are logistic-regression and mlp")
