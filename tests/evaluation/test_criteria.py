"""Success criteria are decided as their page says, and a wrong section names its key, its value and what is allowed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from assay.evaluation.criteria import decide, read_criteria
from assay.evaluation.records import RunRecord
from assay.runtime.errors import ExperimentError

PAGE = Path(__file__).parents[2] / "docs" / "criteria.md"
DIRECTIONS = {"accuracy": "maximize", "loss": "minimize"}
BASE = [0.80, 0.81, 0.82, 0.83, 0.84, 0.85]
TASK = {"model": {"name": "resnet"}, "dataset": {"name": "cifar10"}}


def record(run_id: str, rows: Sequence[Mapping[str, Any]], config: Mapping[str, Any] | None = None) -> RunRecord:
    return RunRecord(run_id, tuple(rows), {}, config or {}, (), (), "track.jsonl")


def values(run_id: str, numbers: Sequence[float], name: str = "accuracy", config: Mapping[str, Any] | None = None):
    """A run that logs one value in each of the seeds 0, 1, ..."""
    return record(run_id, [{"seed": seed, name: number} for seed, number in enumerate(numbers)], config)


def times(run_id: str, numbers: Sequence[float | None], end: float = 100.0) -> RunRecord:
    """A run whose accuracy reaches 0.93 after so many seconds in each seed; None: not until the end."""
    rows = []
    for seed, number in enumerate(numbers):
        rows.append({"seed": seed, "seconds": 0.0, "epoch": 0, "accuracy": 0.1})
        if number is not None:
            rows.append({"seed": seed, "seconds": number, "epoch": 1, "accuracy": 0.93})
        rows.append({"seed": seed, "seconds": end, "epoch": 2, "accuracy": 0.95 if number is not None else 0.9})
    return record(run_id, rows)


def better(by: float | Sequence[float]) -> list[float]:
    steps = by if isinstance(by, Sequence) else [by] * 6
    return [round(b + step, 6) for b, step in zip(BASE, steps, strict=True)]


FASTER = "{metric: {time_to: accuracy, target: 0.93}, improvement: {at_least: 0.15, measure: relative}"
# six differences with the same sign and without ties, as far apart as can be: p = 2 / 2**6 = 0.03125
STEPS = [0.011, 0.012, 0.013, 0.014, 0.015, 0.016]


# of seven differences to 10, the smallest is negative
SEVEN = [9, 12, 13, 14, 15, 16, 17]


@dataclass(frozen=True)
class Case:
    """Runs and a criterion, with the verdict derived by hand in the comment above it."""

    name: str
    criterion: str
    runs: list[RunRecord]
    verdict: str
    settings: list[str]
    why: list[str] = field(default_factory=list)


def pair_of(proposed: Sequence[float], baseline: Sequence[float] = BASE, task: str = "x", name: str = "accuracy"):
    return [values(f"proposed-{task}", proposed, name), values(f"baseline-{task}", baseline, name)]


CASES = [
    # medians 0.825 and 0.8385 (0.824 + 0.829, ...): 0.0135 absolute; p = 0.03125 < 0.05
    Case(
        "a clear improvement",
        "{metric: accuracy, improvement: {at_least: 0.01, measure: absolute}}",
        pair_of(better(STEPS)),
        "met",
        ["met"],
        ["improvement of the median is 0.0135", "p after Holm is 0.03125"],
    ),
    # the same numbers as losses are a deterioration: improvement -0.0135
    Case(
        "lower is better",
        "{metric: loss}",
        pair_of(better(STEPS), name="loss"),
        "not met",
        ["not met"],
        ["is -0.0135"],
    ),
    # and the other way round an improvement of 0.0135 / 0.8385 = 0.0161 of the baseline
    Case(
        "a lower loss, relatively",
        "{metric: loss, improvement: {at_least: 0.016, measure: relative}}",
        pair_of(BASE, better(STEPS), name="loss"),
        "met",
        ["met"],
        ["relative improvement of the median is 0.0161"],
    ),
    # 0.0135 < 0.02, although p = 0.03125
    Case(
        "significant, but too small",
        "{metric: accuracy, improvement: {at_least: 0.02, measure: absolute}}",
        pair_of(better(STEPS)),
        "not met",
        ["not met"],
        ["at least 0.02 is asked for"],
    ),
    # every seed gains 0.02 (all ranks tie, 2 of 64): the improvement is 0.02, although 0.845 - 0.825 is a little less
    Case(
        "exactly as much as asked for, in tied ranks",
        "{metric: accuracy, improvement: {at_least: 0.02, measure: absolute}}",
        pair_of(better(0.02)),
        "met",
        ["met"],
        ["p after Holm is 0.03125"],
    ),
    # ranks 1..6 of the differences, the first two negative: R- = 3, P(R <= 3) = 5 / 64, p = 0.15625
    Case(
        "large, but not significant",
        "{metric: accuracy}",
        pair_of(better([-0.011, -0.012, 0.033, 0.034, 0.035, 0.036])),
        "not met",
        ["not met"],
        ["p after Holm is 0.1562"],
    ),
    # no difference in any seed: improvement 0, which no test can show
    Case("equal in every seed", "{metric: accuracy}", pair_of(BASE), "not met", ["not met"], ["differences are zero"]),
    # the median goes from 5 to 5.5, but eight of nine seeds get worse by more: R+ = 1, p = 2 * 2 / 2**9 = 0.0078
    Case(
        "significant in the wrong direction",
        "{metric: accuracy}",
        pair_of([-1, -2, -3, -4, 5.5, 9.5, 7.5, 6.5, 5.6], [0, 0, 0, 0, 5, 11, 10, 10, 10]),
        "not met",
        ["not met"],
        ["wrong direction", "median is 0.5"],
    ),
    Case(
        "too few pairs",
        "{metric: accuracy}",
        pair_of(better(STEPS)[:5]),
        "undecidable",
        ["undecidable"],
        ["share 5 seeds, and at least 6"],
    ),
    Case(
        "one seed",
        "{metric: accuracy, minimum_pairs: 2}",
        pair_of([0.9], [0.8]),
        "undecidable",
        ["undecidable"],
        ["share one seed"],
    ),
    # allowed by minimum_pairs, but no test of one pair is possible
    Case(
        "one seed, and a test",
        "{metric: accuracy, minimum_pairs: 1}",
        pair_of([0.9], [0.8]),
        "undecidable",
        ["undecidable"],
        ["one pair only"],
    ),
    # 0.9 - 0.8 = 0.1 without a test
    Case(
        "one seed, and no test",
        "{metric: accuracy, minimum_pairs: 1, test: none, improvement: {at_least: 0.1, measure: absolute}}",
        pair_of([0.9], [0.8]),
        "met",
        ["met"],
        ["is 0.1"],
    ),
    Case(
        "not a number",
        "{metric: accuracy}",
        pair_of([*better(STEPS)[:5], math.nan]),
        "undecidable",
        ["undecidable"],
        ["1 of 6 pairs are not finite (seed 5)"],
    ),
    Case(
        "a metric that one run lacks",
        "{metric: accuracy}",
        [values("proposed-x", BASE), values("baseline-x", BASE, "loss")],
        "undecidable",
        ["undecidable"],
        ["baseline-x did not log accuracy"],
    ),
    Case(
        "no baseline",
        "{metric: accuracy}",
        [values("proposed-x", BASE), values("baseline-y", BASE)],
        "undecidable",
        ["undecidable"],
        ["No baseline's id goes with proposed-x"],
    ),
    Case("no proposed run", "{metric: accuracy}", [values("baseline-x", BASE)], "undecidable", []),
    # relative to a median of 0 there is nothing; the test alone would hold (p = 0.03125)
    Case(
        "a baseline of zero, relatively",
        "{metric: accuracy, improvement: {at_least: 0.1, measure: relative}}",
        pair_of([1, 2, 3, 4, 5, 6], [0] * 6),
        "undecidable",
        ["undecidable"],
        ["median is zero"],
    ),
    # and absolutely it is 3.5
    Case(
        "a baseline of zero, absolutely",
        "{metric: accuracy, improvement: {at_least: 3.5, measure: absolute}}",
        pair_of([1, 2, 3, 4, 5, 6], [0] * 6),
        "met",
        ["met"],
    ),
    # means 0.825 and 0.825 + 0.06 / 6 = 0.835, medians 0.825 and 0.825
    Case(
        "a mean where the median says nothing",
        "{metric: accuracy, test: none, improvement: {at_least: 0.01, measure: absolute, statistic: mean}}",
        pair_of(better([0, 0, 0, 0, 0, 0.06])),
        "met",
        ["met"],
        ["improvement of the mean is 0.01"],
    ),
    Case(
        "a median where the mean is better",
        "{metric: accuracy, test: none, improvement: {at_least: 0.01, measure: absolute, statistic: median}}",
        pair_of(better([0, 0, 0, 0, 0, 0.06])),
        "not met",
        ["not met"],
    ),
    # the mean of the same numbers in another order, which binary fractions make a little less
    Case(
        "no less than none, whatever the order of a sum",
        "{metric: accuracy, test: none, minimum_pairs: 3,"
        " improvement: {at_least: 0, measure: absolute, statistic: mean}}",
        pair_of([0.3, 0.2, 0.1], [0.1, 0.2, 0.3]),
        "met",
        ["met"],
    ),
    # five pairs can give 1 / 2**5 = 0.03125 one-sided, so that these, of which three fall by more, are an answer
    Case(
        "enough pairs for a one-sided test",
        "{metric: accuracy, minimum_pairs: 5, improvement: {at_least: -0.002, measure: relative}}",
        pair_of(better([-0.004, -0.005, -0.001, -0.001, -0.006, 0])[:5]),
        "not met",
        ["not met"],
    ),
    # seeds with -0.001 of 0.8: within 0.2 % of every baseline (0.0016 to 0.0017), all six: one-sided p = 1 / 64
    Case(
        "not worse by more than is allowed",
        "{metric: accuracy, improvement: {at_least: -0.002, measure: relative}}",
        pair_of(better(-0.001)),
        "met",
        ["met"],
        ["p after Holm is 0.01562"],
    ),
    # -0.001 is within 0.0016, but three seeds of six fall by more: the median of the runs goes from 0.825 to
    # (0.8190 + 0.8290) / 2 = 0.824, which is enough; the shifted differences are not all positive
    Case(
        "not shown to be within what is allowed",
        "{metric: accuracy, improvement: {at_least: -0.002, measure: relative}}",
        pair_of(better([-0.004, -0.005, -0.001, -0.001, -0.006, -0.001])),
        "not met",
        ["not met"],
        ["is -0.001212"],
    ),
    # -0.003 of 0.825 is -0.36 %
    Case(
        "worse by more than is allowed",
        "{metric: accuracy, improvement: {at_least: -0.002, measure: relative}}",
        pair_of(better(-0.003)),
        "not met",
        ["not met"],
        ["is -0.003636"],
    ),
    # a loss of 1.00 that rises by 0.01 in every seed stays under 1.02, and so does each of the others: p = 1 / 64
    Case(
        "a loss not worse by more than is allowed",
        "{metric: loss, improvement: {at_least: -0.02, measure: absolute}, test: permutation}",
        pair_of([1.01, 1.11, 1.21, 1.31, 1.41, 1.51], [1.0, 1.1, 1.2, 1.3, 1.4, 1.5], name="loss"),
        "met",
        ["met"],
        ["permutation: p after Holm is 0.01562"],
    ),
    # the Kaplan-Meier medians (third of six) are 42 and 62: 20 / 62 = 0.3226; p = 2 / 64
    Case(
        "a time to a target",
        FASTER + "}",
        [times("proposed-x", [40, 41, 42, 43, 44, 45]), times("baseline-x", [60, 61, 62, 63, 65, 67])],
        "met",
        ["met"],
        ["is 0.3226", "p after Holm is 0.03125"],
    ),
    # the baseline reaches it in two of six seeds: its median lies beyond 100, the proposed run's is 42, so the
    # improvement is at least 58 / 100; all six pairs have the same sign: 2 / 64
    Case(
        "a baseline that mostly never gets there",
        FASTER + "}",
        [times("proposed-x", [40, 41, 42, 43, 44, 45]), times("baseline-x", [60, 61, None, None, None, None])],
        "met",
        ["met"],
        ["is at least 0.58"],
    ),
    # proposed 92, baseline beyond 100: at least 0.08, which may or may not be 0.15
    Case(
        "a baseline that may be much slower or little",
        FASTER + "}",
        [times("proposed-x", [90, 91, 92, 93, 94, 95]), times("baseline-x", [None] * 6)],
        "undecidable",
        ["undecidable"],
        ["is at least 0.08", "leaves open"],
    ),
    # the proposed run's median lies beyond 100, the baseline's is 42: at most (42 - 100) / 42 = -1.381
    Case(
        "a proposed run that never gets there",
        FASTER + "}",
        [times("proposed-x", [None] * 6), times("baseline-x", [40, 41, 42, 43, 44, 45])],
        "not met",
        ["not met"],
        ["is at most -1.381"],
    ),
    # at most (42 - 20) / 42 = 0.52, because the proposed run was given up after 20
    Case(
        "a proposed run that was given up early",
        FASTER + ", test: none}",
        [times("proposed-x", [None] * 6, end=20), times("baseline-x", [40, 41, 42, 43, 44, 45])],
        "undecidable",
        ["undecidable"],
        ["is at most 0.5238"],
    ),
    Case(
        "nobody gets there",
        FASTER + "}",
        [times("proposed-x", [None] * 6), times("baseline-x", [None] * 6)],
        "undecidable",
        ["undecidable"],
        ["Neither run reached", "No seed of either group"],
    ),
    # 60 comes after the baseline was given up at 50, which may have needed 55 or 550
    Case(
        "a baseline that was given up before the other got there",
        FASTER + "}",
        [times("proposed-x", [60] * 6), times("baseline-x", [None] * 6, end=50)],
        "undecidable",
        ["undecidable"],
        ["not known which is faster"],
    ),
    # one seed of the baseline never gets there: the mean of its times does not exist; p = 2 / 64
    Case(
        "a mean of times that are not all there",
        "{metric: {time_to: accuracy, target: 0.93},"
        " improvement: {at_least: 0.15, measure: relative, statistic: mean}}",
        [times("proposed-x", [40, 41, 42, 43, 44, 45]), times("baseline-x", [60, 61, 62, 63, 65, None])],
        "undecidable",
        ["undecidable"],
        ["have a median, but no mean"],
    ),
    # of the 924 divisions of twelve seeds into two groups of six, this one and its mirror image are the most extreme
    Case(
        "log-rank",
        FASTER + ", test: logrank}",
        [times("proposed-x", [40, 41, 42, 43, 44, 45]), times("baseline-x", [60, 61, None, None, None, None])],
        "met",
        ["met"],
        ["logrank: p after Holm is 0.002165"],
    ),
    Case(
        "three seeds for log-rank",
        FASTER + ", test: logrank, minimum_pairs: 3}",
        [times("proposed-x", [40, 41, 42]), times("baseline-x", [60, 61, None])],
        "undecidable",
        ["undecidable"],
        # 20 divisions of six seeds into two groups of three
        ["logrank: p after Holm is 0.1, alpha is 0.05. So few seeds cannot give less than 0.1"],
    ),
    # 46 is 15 % later than 40 and so on: within 20 % of every baseline, and all shifted pairs favour the proposed run
    Case(
        "times not worse by more than is allowed",
        "{metric: {time_to: accuracy, target: 0.93}, improvement: {at_least: -0.2, measure: relative}}",
        [times("proposed-x", [46, 47, 48, 49, 50, 51]), times("baseline-x", [40, 41, 42, 43, 44, 45])],
        "met",
        ["met"],
        ["is -0.1429", "p after Holm is 0.01562"],
    ),
    # by epochs, every seed takes one: no improvement
    Case(
        "a time in epochs",
        "{metric: {time_to: accuracy, target: 0.93, against: epoch}}",
        [times("proposed-x", [40, 41, 42, 43, 44, 45]), times("baseline-x", [60, 61, 62, 63, 65, 67])],
        "not met",
        ["not met"],
        ["differences are zero"],
    ),
    # the smallest of seven differences is negative: 2 * 2 / 2**7 = 0.03125 in both settings, and 2 * 0.03125 = 0.0625
    Case(
        "significant alone, not together",
        "{metric: accuracy, correction: bonferroni}",
        pair_of(SEVEN, [10] * 7, task="x") + pair_of(SEVEN, [10] * 7, task="y"),
        "not met",
        ["not met", "not met"],
        ["p after Bonferroni is 0.0625"],
    ),
    Case(
        "the same without correction",
        "{metric: accuracy, correction: none}",
        pair_of(SEVEN, [10] * 7, task="x") + pair_of(SEVEN, [10] * 7, task="y"),
        "met",
        ["met", "met"],
        ["wilcoxon: p is 0.03125"],
    ),
    # 2 / 2**6 is the least that six pairs can give, and twice that is more than 0.05 whatever was measured
    Case(
        "too few pairs for two settings",
        "{metric: accuracy, correction: holm}",
        pair_of(better(STEPS), task="x") + pair_of(better([-0.011, *STEPS[1:]]), task="y"),
        "undecidable",
        ["undecidable", "undecidable"],
        ["cannot give less than 0.0625"],
    ),
    # eight seeds: 2 / 2**8 = 0.0078, twice that is 0.0156; the second has 0.03125, which Holm takes once
    Case(
        "Holm where Bonferroni would not do",
        "{metric: accuracy, correction: holm}",
        pair_of([0.90, 0.92, 0.94, 0.96, 0.98, 1.0, 1.02, 1.04], [0.89, 0.90, 0.91, 0.92, 0.93, 0.94, 0.95, 0.96])
        + pair_of(better(STEPS), task="y"),
        "met",
        ["met", "met"],
        ["p after Holm is 0.01562", "p after Holm is 0.03125"],
    ),
    # three of four hold: 0.75 is reached
    Case(
        "share reached",
        "{metric: accuracy, correction: none, share_of_settings: 0.75}",
        [r for t in "abc" for r in pair_of(better(STEPS), task=t)] + pair_of(BASE, task="d"),
        "met",
        ["met", "met", "met", "not met"],
    ),
    # three hold and the fourth does not matter any more
    Case(
        "share reached, whatever the open one is",
        "{metric: accuracy, correction: none, share_of_settings: 0.75}",
        [r for t in "abc" for r in pair_of(better(STEPS), task=t)] + [values("proposed-d", BASE)],
        "met",
        ["met", "met", "met", "undecidable"],
    ),
    # one holds, one is open: two of four at most, three are needed
    Case(
        "share out of reach",
        "{metric: accuracy, correction: none, share_of_settings: 0.75}",
        pair_of(better(STEPS), task="a") + pair_of(BASE, task="b") + pair_of(BASE, task="c")
        + [values("proposed-d", BASE)],
        "not met",
        ["met", "not met", "not met", "undecidable"],
    ),
    # two hold, one is open: two or three, and three are needed
    Case(
        "share open",
        "{metric: accuracy, correction: none, share_of_settings: 0.75}",
        pair_of(better(STEPS), task="a") + pair_of(better(STEPS), task="b") + pair_of(BASE, task="c")
        + [values("proposed-d", BASE)],
        "undecidable",
        ["met", "met", "not met", "undecidable"],
    ),
    Case(
        "named settings",
        "{metric: accuracy, settings: [[ours, theirs], [ours, tehirs]], share_of_settings: 0.5}",
        [values("ours", better(STEPS)), values("theirs", BASE)],
        "met",
        ["met", "undecidable"],
        ["tehirs is not among the compared runs (did you mean theirs?)"],
    ),
]  # fmt: skip


def decided(criterion: str, runs: Sequence[RunRecord], directions: Mapping[str, str] = DIRECTIONS) -> dict[str, Any]:
    return decide(read_criteria({"c": yaml.safe_load(criterion)}), runs, directions)["c"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdict_is_the_one_derived_by_hand(case: Case):
    result = decided(case.criterion, case.runs)
    assert [setting["verdict"] for setting in result["settings"]] == case.settings
    assert result["verdict"] == case.verdict
    reasons = " ".join(setting["why"] for setting in result["settings"])
    for part in case.why:
        assert part in reasons
    assert all(setting["why"] for setting in result["settings"])
    # JSON has no words for what is not finite
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_setting_gives_its_numbers():
    runs = [
        record(
            "proposed-x",
            [{"seed": s, "accuracy": v} for s, v in {1: 12, 2: 14, 3: 15, 4: 19, 5: 13, 6: 16, 9: 1}.items()],
        ),
        record(
            "baseline-x",
            [{"seed": s, "accuracy": v} for s, v in {1: 10, 2: 10, 3: 10, 4: 20, 5: 10, 6: 10, 8: 1}.items()],
        ),
    ]
    (setting,) = decided("{metric: accuracy, improvement: {at_least: 0, measure: relative}, correction: none}", runs)[
        "settings"
    ]
    assert (setting["pairs"], setting["unpaired_seeds"]) == (6, [8, 9])
    # medians of 12, 13, 14, 15, 16, 19 and of five times 10 and 20
    assert (setting["proposed_value"], setting["baseline_value"], setting["improvement"]) == (14.5, 10, 0.45)
    # differences 2, 4, 5, -1, 3, 6 have their sizes as ranks: R- = 1, P(R <= 1) = 2 / 64
    assert (setting["statistic"], setting["p_value"], setting["p_corrected"]) == (1.0, 4 / 64, 4 / 64)
    assert (setting["method"], setting["alternative"]) == ("exact", "two-sided")
    assert setting["rank_biserial"] == pytest.approx(19 / 21, abs=1e-12)
    low, high = setting["interval"]
    # the worst sample draws seed 4 only, the best seed 6
    assert -0.05 <= low <= 0.45 <= high <= 0.6
    assert "never_reached_seeds" not in setting


def test_an_interval_that_is_not_defined_says_why():
    # samples of the zeros alone have a median of zero
    runs = pair_of([2, 3, 4, 5, 6, 7], [0, 0, 1, 1, 1, 1])
    (setting,) = decided("{metric: accuracy, improvement: {at_least: 1, measure: relative}}", runs)["settings"]
    assert (setting["improvement"], setting["interval"]) == (3.5, None)
    assert "not defined on some of the bootstrap samples" in setting["interval_reason"]


def test_a_time_gives_who_never_got_there_and_what_was_not_finite():
    diverged = times("baseline-x", [60, 61, 62, 63, 64, None])
    rows = [{**row, "accuracy": math.nan} if row["accuracy"] == 0.9 else row for row in diverged.history]
    runs = [times("proposed-x", [40, 41, 42, 43, 44, 45]), record("baseline-x", rows)]
    (setting,) = decided(FASTER + "}", runs)["settings"]
    assert setting["never_reached_seeds"] == {"proposed": [], "baseline": [5]}
    assert setting["not_finite_seeds"] == [5]
    assert (setting["proposed_value"], setting["baseline_value"], setting["verdict"]) == (42, 62, "met")
    assert setting["rank_biserial"] == 1


def test_a_score_that_is_to_fall_reaches_its_target_from_above():
    def falling(run_id: str, moments: Sequence[float]) -> RunRecord:
        rows = [
            {"seed": seed, "seconds": at, "loss": loss}
            for seed, moment in enumerate(moments)
            for at, loss in ((0, 2.0), (moment, 0.5), (100, 0.4))
        ]
        return record(run_id, rows)

    runs = [falling("proposed-x", [40, 41, 42, 43, 44, 45]), falling("baseline-x", [60, 62, 64, 66, 68, 70])]
    result = decided("{metric: {time_to: loss, target: 0.5}}", runs)
    assert (result["metric"], result["verdict"]) == ("seconds until loss ≤ 0.5", "met")
    assert result["settings"][0]["improvement"] == 64 - 42
    assert decided("{metric: {time_to: loss, target: 0.5, score_direction: minimize}}", runs, {}) == result


@pytest.mark.parametrize(
    ("share", "total", "needed"), [(0.28, 25, 7), (0.7, 10, 7), (0.75, 5, 4), (1.0, 3, 3), (0.01, 3, 1), (0.6, 5, 3)]
)
def test_a_share_needs_so_many_settings(share, total, needed):
    def result(met: int) -> str:
        runs = [r for t in range(total) for r in pair_of(better(0.01) if t < met else better(-0.01), task=f"task{t}")]
        return str(decided(f"{{metric: accuracy, test: none, share_of_settings: {share}}}", runs)["verdict"])

    assert (result(needed), result(needed - 1)) == ("met", "not met")


# ---- which runs are compared


@pytest.mark.parametrize(
    ("ids", "keys", "expected"),
    [
        (["proposed-x", "baseline-x"], "", [("proposed-x", "baseline-x")]),
        (["proposed", "comparative-1"], "", [("proposed", "comparative-1")]),
        (
            ["proposed-a-b", "comparative-1-a-b", "comparative-2-a-b", "comparative-1-a-c"],
            "",
            [("proposed-a-b", "comparative-1-a-b"), ("proposed-a-b", "comparative-2-a-b")],
        ),
        # a number that both have is part of the setting
        (
            ["proposed-10-a", "proposed-20-a", "baseline-10-a", "baseline-20-a"],
            "",
            [("proposed-10-a", "baseline-10-a"), ("proposed-20-a", "baseline-20-a")],
        ),
        (["iter2-proposed-a", "iter2-baseline-a"], "", [("iter2-proposed-a", "iter2-baseline-a")]),
        # and one that the proposed run has as well is no counter of the baseline
        (["proposed-10-a", "comparative-20-a"], "", [("proposed-10-a", None)]),
        (["proposed-qwen-1.5b", "comparative-1-qwen-7b"], "", [("proposed-qwen-1.5b", None)]),
        # an id of its own with a word more is no pair where others agree as they are
        (["proposed-a", "proposed-new-a", "baseline-a"], "", [("proposed-a", "baseline-a"), ("proposed-new-a", None)]),
        (["ours-a", "sgd-a"], ", proposed: 'ours*', baseline: 'sgd*'", [("ours-a", "sgd-a")]),
        (["proposed-a", "ablation-a"], ", baseline: 'ablation-?'", [("proposed-a", "ablation-a")]),
        (["proposed-lora-a", "comparative-1-full-a"], "", [("proposed-lora-a", None)]),
    ],
)
def test_runs_are_paired_by_what_their_ids_say_apart_from_the_role(ids, keys, expected):
    result = decided(f"{{metric: accuracy{keys}}}", [values(run_id, BASE) for run_id in ids])
    assert [(setting["proposed"], setting["baseline"]) for setting in result["settings"]] == expected
    used = {run_id for setting in expected for run_id in setting}
    assert result["runs_in_no_setting"] == sorted(set(ids) - used)


@pytest.mark.parametrize("baseline", ["comparative-1-full-a", "baseline-a", "comparative-2-a"])
@pytest.mark.parametrize(
    ("config", "paired"),
    [
        (TASK, True),
        ({**TASK, "dataset": {"name": "mnist"}}, False),
        ({"model": {"name": "resnet"}}, False),
        ({}, False),
    ],
)
def test_a_method_in_the_id_is_left_out_where_the_configurations_name_the_same_task(baseline, config, paired):
    runs = [values("proposed-lora-a", BASE, config=TASK), values(baseline, BASE, config=config)]
    (setting,) = decided("{metric: accuracy}", runs)["settings"]
    assert setting["baseline"] == (baseline if paired else None)


def test_a_method_may_be_in_the_id_of_the_baseline_alone():
    runs = [values("proposed-a", BASE, config=TASK), values("comparative-1-full-a", BASE, config=TASK)]
    assert decided("{metric: accuracy}", runs)["settings"][0]["baseline"] == "comparative-1-full-a"


def test_a_method_alone_is_an_id():
    runs = [values("proposed-lora", BASE, config=TASK), values("comparative-1-full", BASE, config=TASK)]
    assert decided("{metric: accuracy}", runs)["settings"][0]["baseline"] == "comparative-1-full"


def test_one_proposed_run_and_one_baseline_are_a_pair_where_their_data_are_the_same():
    perceptron, forest = ({**TASK, "model": {"name": name}} for name in ("mlp", "forest"))
    runs = [values("proposed-mlp-a", BASE, config=perceptron), values("comparative-1-forest-a", BASE, config=forest)]
    assert decided("{metric: accuracy}", runs)["settings"][0]["baseline"] == "comparative-1-forest-a"
    third = values("comparative-2-tree-a", BASE, config={**TASK, "model": {"name": "tree"}})
    assert decided("{metric: accuracy}", [*runs, third])["settings"][0]["baseline"] is None


# ---- what is wrong with a section


@pytest.mark.parametrize(
    ("section", "parts"),
    [
        ([], ["criteria is []", "by their names"]),
        ({"c": "accuracy"}, ["criteria.c is 'accuracy'"]),
        ({"c": {}}, ["criteria.c lacks the key metric"]),
        ({"c": {"metric": "a", "alhpa": 0.05}}, ["criteria.c.alhpa", "did you mean alpha?", "minimum_pairs"]),
        ({"c": {"metric": 3}}, ["criteria.c.metric is 3"]),
        ({"c": {"metric": {"time_to": "a"}}}, ["criteria.c.metric lacks the key target"]),
        ({"c": {"metric": {"target": 1}}}, ["criteria.c.metric lacks the key time_to"]),
        ({"c": {"metric": {"time_to": "a", "taget": 1}}}, ["criteria.c.metric.taget", "did you mean target?"]),
        ({"c": {"metric": {"time_to": "a", "target": "high"}}}, ["criteria.c.metric.target is 'high'", "a number"]),
        ({"c": {"metric": {"time_to": "a", "target": math.nan}}}, ["criteria.c.metric.target is nan"]),
        (
            {"c": {"metric": {"time_to": "a", "target": 1, "score_direction": "up"}}},
            ["criteria.c.metric.score_direction is 'up'", "maximize | minimize"],
        ),
        ({"c": {"metric": "a", "direction": "minimise"}}, ["criteria.c.direction", "did you mean minimize?"]),
        (
            {"c": {"metric": {"time_to": "a", "target": 1}, "direction": "maximize"}},
            ["criteria.c.direction", "shorter"],
        ),
        ({"c": {"metric": "a", "test": "t-test"}}, ["'t-test'", "wilcoxon | permutation | logrank | none"]),
        ({"c": {"metric": "a", "test": None}}, ["criteria.c.test is None"]),
        ({"c": {"metric": "a", "test": "logrank"}}, ["criteria.c.test is logrank", "time_to"]),
        ({"c": {"metric": "a", "correction": "bonferoni"}}, ["did you mean bonferroni?"]),
        ({"c": {"metric": "a", "alpha": 0}}, ["criteria.c.alpha is 0", "between 0 and 1, both excluded"]),
        ({"c": {"metric": "a", "alpha": 1}}, ["criteria.c.alpha is 1"]),
        ({"c": {"metric": "a", "alpha": 5}}, ["criteria.c.alpha is 5"]),
        ({"c": {"metric": "a", "alpha": "5e-2"}}, ["criteria.c.alpha is '5e-2'"]),
        ({"c": {"metric": "a", "alpha": True}}, ["criteria.c.alpha is True"]),
        ({"c": {"metric": "a", "share_of_settings": 0}}, ["share_of_settings is 0", "above 0 and at most 1"]),
        ({"c": {"metric": "a", "share_of_settings": 75}}, ["share_of_settings is 75"]),
        ({"c": {"metric": "a", "minimum_pairs": 2.5}}, ["minimum_pairs is 2.5", "a whole number from 1"]),
        ({"c": {"metric": "a", "minimum_pairs": True}}, ["minimum_pairs is True"]),
        ({"c": {"metric": "a", "minimum_pairs": 0}}, ["minimum_pairs is 0"]),
        ({"c": {"metric": "a", "improvement": 0.15}}, ["criteria.c.improvement is 0.15", "relative | absolute"]),
        ({"c": {"metric": "a", "improvement": {"at_least": 0.15}}}, ["criteria.c.improvement lacks the key measure"]),
        ({"c": {"metric": "a", "improvement": {"measure": "relative"}}}, ["improvement lacks the key at_least"]),
        (
            {"c": {"metric": "a", "improvement": {"at_least": 1, "measure": "percent"}}},
            ["criteria.c.improvement.measure is 'percent'", "relative | absolute"],
        ),
        (
            {"c": {"metric": "a", "improvement": {"at_least": 1, "measure": "relative", "statistic": "medain"}}},
            ["criteria.c.improvement.statistic", "did you mean median?"],
        ),
        ({"c": {"metric": "a", "proposed": ""}}, ["criteria.c.proposed is ''"]),
        ({"c": {"metric": "a", "settings": []}}, ["criteria.c.settings is []"]),
        ({"c": {"metric": "a", "settings": ["ab"]}}, ["criteria.c.settings[0] is 'ab'"]),
        ({"c": {"metric": "a", "settings": [["p", "b"], ["p"]]}}, ["criteria.c.settings[1] is ['p']"]),
        ({"c": {"metric": "a", "settings": [["p", "p"]]}}, ["compares 'p' with itself"]),
        ({"c": {"metric": "a", "settings": [["p", "b"]], "baseline": "b*"}}, ["criteria.c.settings", "leave out"]),
    ],
)
def test_a_wrong_section_names_its_key_and_what_is_allowed(section, parts):
    with pytest.raises(ExperimentError) as fault:
        read_criteria(section)
    for part in ("config.yaml", *parts):
        assert part in str(fault.value)
    assert fault.value.status == 2


RUNS = [times("proposed-x", [40] * 6), times("baseline-x", [60] * 6)]


@pytest.mark.parametrize(
    ("criterion", "parts"),
    [
        ("{metric: acuracy, direction: maximize}", ["criteria.c.metric is acuracy", "did you mean accuracy?"]),
        (
            "{metric: {time_to: acuracy, target: 1, score_direction: maximize}}",
            ["criteria.c.metric.time_to is acuracy", "did you mean accuracy?"],
        ),
        (
            "{metric: {time_to: accuracy, target: 1, against: second}}",
            ["criteria.c.metric.against is second", "epoch, seconds (did you mean seconds?)"],
        ),
        ("{metric: accuracy, direction: minimize}", ["criteria.c.direction is minimize", "maximize"]),
        (
            "{metric: {time_to: accuracy, target: 1, score_direction: minimize}}",
            ["criteria.c.metric.score_direction is minimize", "maximize"],
        ),
        ("{metric: seconds}", ["criteria.c.direction is missing", "maximize or minimize"]),
        ("{metric: {time_to: epoch, target: 1}}", ["criteria.c.metric.score_direction is missing"]),
        ("{metric: accuracy, baseline: '*'}", ["proposed-x both", "settings"]),
    ],
)
def test_a_criterion_that_does_not_fit_the_runs_is_a_fault(criterion, parts):
    with pytest.raises(ExperimentError) as fault:
        decided(criterion, RUNS)
    for part in ("config.yaml", *parts):
        assert part in str(fault.value)
    assert fault.value.status == 2


def test_no_section_has_no_criteria():
    assert read_criteria(None) == read_criteria({}) == ()
    assert decide((), RUNS, {}) == {}


def test_several_criteria_are_decided_each_for_itself():
    section = {"better": {"metric": "accuracy"}, "faster": yaml.safe_load(FASTER + "}")}
    result = decide(read_criteria(section), RUNS, DIRECTIONS)
    assert {name: one["verdict"] for name, one in result.items()} == {"better": "not met", "faster": "met"}


def test_a_section_of_hydra_is_read_as_one_of_yaml():
    omegaconf = pytest.importorskip("omegaconf")
    section = {"c": {"metric": "accuracy", "settings": [["p", "b"]], "alpha": 0.01}}
    assert read_criteria(omegaconf.OmegaConf.create(section)) == read_criteria(section)


# ---- the page


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language} example\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    return str(found)


def test_the_example_of_the_page_gives_the_json_of_the_page():
    table = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    runs = [
        times(run_id, [None if cell.strip() == "never" else float(cell) for cell in cells.split("|")])
        for run_id, cells in table
        if run_id.startswith(("proposed-", "comparative-"))
    ]
    section = yaml.safe_load(block("yaml"))["criteria"]
    result = decide(read_criteria(section), runs, DIRECTIONS)
    assert json.loads(block("json")) == json.loads(json.dumps(result), parse_float=lambda x: float(f"{float(x):.6g}"))


def test_the_page_explains_every_key():
    from assay.evaluation.criteria import section

    page = PAGE.read_text("utf-8")
    for key in (*section._KEYS, *section._TIME_KEYS, *section._IMPROVEMENT_KEYS):
        assert f"| `{key}` |" in page
