"""What an experiment uses while it runs: modes, seeds, search, tracking, checkpoints, budgets, energy, children."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assay.runtime.best_weights import BestWeights as BestWeights
    from assay.runtime.budget import Budget as Budget
    from assay.runtime.checkpoints import Checkpoints as Checkpoints
    from assay.runtime.energy import EnergyMeter as EnergyMeter
    from assay.runtime.errors import ExperimentError as ExperimentError
    from assay.runtime.launching import launch as launch
    from assay.runtime.program import experiment as experiment
    from assay.runtime.run import Run as Run
    from assay.runtime.searching import Report as Report
    from assay.runtime.searching import search as search
    from assay.runtime.seeding import set_seed as set_seed
    from assay.runtime.stopwatch import Stopwatch as Stopwatch
    from assay.runtime.tracker import Tracker as Tracker

# Each name is imported when it is asked for: a launcher needs neither PyTorch nor a tracker.
_PLACES = {
    "BestWeights": "best_weights",
    "Budget": "budget",
    "Checkpoints": "checkpoints",
    "EnergyMeter": "energy",
    "ExperimentError": "errors",
    "Report": "searching",
    "Run": "run",
    "Stopwatch": "stopwatch",
    "Tracker": "tracker",
    "experiment": "program",
    "launch": "launching",
    "search": "searching",
    "set_seed": "seeding",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
