"""Networks, and the weight averages that the experiment compares."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class LinearClassifier(nn.Module):
    """The network of the smoke test: one linear layer over the features."""

    def __init__(self, settings: dict[str, Any], features: int, classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(features, classes)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(inputs.flatten(1))


class Perceptron(nn.Module):
    """The network of the experiment: one hidden layer with dropout."""

    def __init__(self, settings: dict[str, Any], features: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, settings["hidden"]),
            nn.ReLU(),
            nn.Dropout(settings["dropout"]),
            nn.Linear(settings["hidden"], classes),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layers(inputs.flatten(1))


NETWORKS = {"linear": LinearClassifier, "mlp": Perceptron}


def build_network(settings: dict[str, Any], features: int, classes: int) -> nn.Module:
    if settings["name"] not in NETWORKS:
        raise ValueError(f"no network is called {settings['name']!r}; there are {', '.join(NETWORKS)}")
    return NETWORKS[settings["name"]](settings, features, classes)


class LastWeights:
    """Evaluates the weights as the last step left them; the baseline."""

    def __init__(self, network: nn.Module, settings: dict[str, Any], total_steps: int) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.settings = settings
        self.total_steps = total_steps

    def share_of_new(self, step: int) -> float:
        """The share, from 0 to 1, that the weights of this step get in the average."""
        return 1.0

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        share = self.share_of_new(step)
        kept, new = self.network.state_dict(), network.state_dict()
        for name, tensor in kept.items():
            if tensor.is_floating_point():
                tensor.lerp_(new[name], share)
            else:
                tensor.copy_(new[name])


class ExponentialAverage(LastWeights):
    """Evaluates an exponential moving average, which forgets faster during the first steps."""

    def share_of_new(self, step: int) -> float:
        return 1.0 - min(self.settings["decay"], (step + 1) / (step + 10))


class TailMean(LastWeights):
    """Evaluates the plain mean of the weights over the last part of training, `tail` being its share of the steps."""

    def share_of_new(self, step: int) -> float:
        first = int(self.total_steps * (1.0 - self.settings["tail"]))
        return 1.0 if step < first else 1.0 / (step - first + 1)


AVERAGES = {"last-weights": LastWeights, "ema-weights": ExponentialAverage, "tail-mean": TailMean}


def build_average(network: nn.Module, settings: dict[str, Any], total_steps: int) -> LastWeights:
    if settings["name"] not in AVERAGES:
        raise ValueError(f"no average is called {settings['name']!r}; there are {', '.join(AVERAGES)}")
    return AVERAGES[settings["name"]](network, settings, total_steps)
