"""A language-model submission is rehearsed to its end with libraries of two generations, and found ready.

Slow: `pytest -m slow` runs these; the first builds an environment of several gigabytes.
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path

import pytest

from assay import review
from assay.trial.rehearsal import TrialOptions

SUBMISSION = Path(__file__).parents[2] / "benchmarks" / "trial_submission"


@pytest.mark.slow
@pytest.mark.parametrize("generation", ["2025-11", "current"])
def test_a_small_language_model_is_rehearsed_to_its_end(generation):
    if generation == "current":
        pytest.importorskip("torch")
        pytest.importorskip("peft")
        options, day = TrialOptions(env=Path(sys.prefix)), None
    else:
        options, day = TrialOptions(), datetime.date(2025, 11, 28)
    verdict = review(SUBMISSION, contract="experiment", as_of=day, trial=options)
    rehearsal = verdict.rehearsal
    assert rehearsal is not None
    assert [step.name for step in rehearsal.steps if not step.completed] == ["refuse"]
    assert not any(event["kind"] == "inside-failed" for step in rehearsal.steps for event in step.events)
    assert [finding.message for finding in verdict.findings] == []
    assert verdict.ready
    versions = rehearsal.packages["transformers"].split(".")[0], rehearsal.packages["datasets"].split(".")[0]
    assert versions == (("4", "4") if generation == "2025-11" else ("5", "5"))
