"""Seeds for everything that draws at random."""

from __future__ import annotations

import importlib.util
import random


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices), as far as they are installed.

    The workers of a `DataLoader` take their seeds for all three from PyTorch's generator
    (https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader), so that they are seeded too.

    Args:
        seed: From 0 to 2**32 - 1, what NumPy takes.

    Raises:
        ValueError: The seed is not in that range.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(f"a seed is a whole number from 0 to {2**32 - 1}, not {seed!r}")
    random.seed(seed)
    if importlib.util.find_spec("numpy"):
        import numpy as np

        np.random.seed(seed)
    if importlib.util.find_spec("torch"):
        import torch

        torch.manual_seed(seed)
