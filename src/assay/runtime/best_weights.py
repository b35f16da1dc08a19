"""The weights of a model at its best score, kept aside while training goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from assay.runtime.errors import ExperimentError

if TYPE_CHECKING:
    from torch import nn


class NoFiniteScoreError(ExperimentError):
    """Training gave scores, and none of them was a finite number: it diverged.

    A fault for a run; a search takes it as the end of one trial.
    """


class BestWeights:
    """Keeps a copy of a model's weights whenever its score is the best so far.

    The copy lies in main memory, whatever device the model is on. A score that is not finite is never the best; of
    equal scores the first counts.

    Args:
        model: The model, which is only read until `restore`.
        direction: Whether higher or lower scores are better.

    Attributes:
        score: The best score, or None before the first finite one.

    Raises:
        ValueError: The direction is neither of the two.
    """

    def __init__(self, model: nn.Module, direction: Literal["maximize", "minimize"]) -> None:
        if direction not in ("maximize", "minimize"):
            raise ValueError(f"direction is {direction!r}: it is 'maximize' or 'minimize'")
        self._model = model
        self._direction = direction
        self._weights: dict[str, Any] | None = None
        self._updates = 0
        self.score: float | None = None

    def update(self, score: float) -> bool:
        """Takes the model's present weights if this score is the best so far.

        Args:
            score: Score of the present weights; anything that `float` takes.

        Returns:
            Whether they were taken.
        """
        number = float(score)
        self._updates += 1
        if not math.isfinite(number):
            return False
        if self.score is not None and (number <= self.score if self._direction == "maximize" else number >= self.score):
            return False
        self._weights = _copied(self._model.state_dict())
        self.score = number
        return True

    def restore(self) -> None:
        """Puts the best weights back into the model.

        Raises:
            NoFiniteScoreError: There were updates, none with a finite score.
            ExperimentError: There was no update.
        """
        if self._weights is None:
            if self._updates:
                raise NoFiniteScoreError(
                    f"none of {self._updates} scores is a finite number, so there are no best weights: training "
                    "diverged; look at the loss, and lower the learning rate"
                )
            raise ExperimentError("there are no best weights: call update(score) after an epoch before restore()")
        self._model.load_state_dict(self._weights)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: the score, the weights, the direction and the number of updates."""
        weights = None if self._weights is None else dict(self._weights)
        return {"direction": self._direction, "score": self.score, "updates": self._updates, "weights": weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes what `state_dict` gave.

        Args:
            state: Its result, perhaps of another process.

        Raises:
            ValueError: It is of the other direction, or of a model with other weights.
        """
        if state["direction"] != self._direction:
            raise ValueError(f"the best weights kept are those that {state['direction']}, not {self._direction}")
        weights = state["weights"]
        if weights is not None:
            present = self._model.state_dict()
            other = sorted(set(present) ^ set(weights)) or sorted(
                name for name, value in weights.items() if _shape(value) != _shape(present[name])
            )
            if other:
                raise ValueError(f"the best weights kept are of a model with other {', '.join(other[:3])}")
            weights = _copied(weights)
        self._weights = weights
        self._updates = int(state["updates"])
        self.score = state["score"]


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict in main memory that shares nothing with the model."""
    import copy

    import torch

    return {
        name: value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else copy.deepcopy(value)
        for name, value in state.items()
    }


def _shape(value: object) -> object:
    return getattr(value, "shape", None)
