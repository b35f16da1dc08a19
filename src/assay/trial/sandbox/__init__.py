"""The sandbox: a program of somebody else runs in a box, within limits, and leaves nothing running."""

from __future__ import annotations

from assay.trial.sandbox.boxed import run_boxed
from assay.trial.sandbox.isolating import isolation
from assay.trial.sandbox.left import read_left
from assay.trial.sandbox.outcome import BoxError, Ended, Isolation, Limits
from assay.trial.sandbox.removal import remove_tree

__all__ = ["BoxError", "Ended", "Isolation", "Limits", "isolation", "read_left", "remove_tree", "run_boxed"]
