"""What a significance test says, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Alternative = Literal["two-sided", "greater", "less"]


@dataclass(frozen=True)
class Significance:
    """The outcome of one test.

    Attributes:
        test: Name of the test.
        method: How the p-value was computed, for example `exact`; None where there is no p-value.
        n: Number of pairs (or, for the log-rank test, of seeds in each group) that went into the test.
        statistic: The test's statistic; None where there is no p-value.
        p_value: The p-value; None where no test is possible.
        reason: Why no test is possible; None where there is a p-value.
        sign: 1 where the first group tends to the greater values, -1 where the second does, 0 for neither.
        alternative: The alternative hypothesis, about the first group against the second.
        zeros: Number of pairs without a difference.
        unpaired: Seeds that only one of the two groups has, which the test leaves out.
        not_finite: Seeds with a value that is not finite; where there is one, there is no test.
        least_p_value: What so few seeds give at best, whatever their values are; None where there is no p-value.
    """

    test: str
    method: str | None
    n: int
    statistic: float | None
    p_value: float | None
    reason: str | None
    sign: int = 0
    alternative: Alternative = "two-sided"
    zeros: int = 0
    unpaired: tuple[int, ...] = ()
    not_finite: tuple[int, ...] = ()
    least_p_value: float | None = None


def least(patterns: int, alternative: Alternative) -> float:
    """The smallest p-value of a test that counts patterns: one of them, two-sided two, is as extreme as can be."""
    return (2.0 if alternative == "two-sided" else 1.0) / patterns


def named(seeds: tuple[int, ...]) -> str:
    """Seeds for a sentence: `seed 3`, or `seeds 3, 5`."""
    return f"seed{'s' if len(seeds) != 1 else ''} {', '.join(map(str, seeds))}"
