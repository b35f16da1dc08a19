"""Corrects p-values for the number of tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Correction = Literal["none", "holm", "bonferroni"]


def corrected(p_values: Sequence[float | None], method: Correction) -> tuple[float | None, ...]:
    """p-values that hold for a family of tests together.

    Args:
        p_values: p-values in [0, 1]; None for a test that was not possible.
        method: `bonferroni`: p times the number of tests; `holm`: the step-down procedure of Holm (1979, "A simple
            sequentially rejective multiple test procedure"), which is never weaker; `none`: as they are.

    Returns:
        The corrected p-values in the same order, at most 1. None stays None and does not count as a test.

    Raises:
        ValueError: A p-value is outside [0, 1], or the method is unknown.
    """
    known = [p for p in p_values if p is not None]
    for p in known:
        if not 0 <= p <= 1:
            raise ValueError(f"a p-value is between 0 and 1, not {p}")
    if method not in ("none", "holm", "bonferroni"):
        raise ValueError(f"the correction is none, holm or bonferroni, not {method!r}")
    if method == "none":
        return tuple(p_values)
    tests, reached = len(known), 0.0
    by_p: dict[float, float] = {}
    for rank, p in enumerate(sorted(known)):
        # the smallest of equal p-values is met first, and its factor, the largest, holds for all of them
        reached = max(reached, min(1.0, p * (tests - rank if method == "holm" else tests)))
        by_p.setdefault(p, reached)
    return tuple(None if p is None else by_p[p] for p in p_values)
