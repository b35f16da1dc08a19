"""No rule fails on a submission, however odd: the only outcomes are a verdict and an InputError."""

from __future__ import annotations

import json
import traceback

from hypothesis import given
from hypothesis import settings as chosen
from hypothesis import strategies as st

from assay import review
from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.errors import InputError
from assay.finding import Severity
from assay.report.text_report import render
from assay.rules import all_rules
from assay.submission import Submission
from tests.fuzz.conftest import ASKED
from tests.fuzz.mutation import submission


def failures_of(made: Submission, contract: str) -> dict[str, str]:
    """Code to the end of the traceback, for each rule that fails on a submission."""
    failed = {}
    project = Project(made, load_contract(contract))
    try:
        for code, rule in all_rules().items():
            try:
                list(rule().check(project))
            except InputError:
                pass
            except Exception as error:
                frames = traceback.extract_tb(error.__traceback__)[-2:]
                places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
                failed[code] = f"{type(error).__name__}: {error} ({places})"
    finally:
        project.close()
    return failed


@chosen(max_examples=ASKED or 150)
@given(seed=st.integers(0, 2**48))
def test_a_mutated_example_ends_in_a_verdict(seed):
    made, contract = submission(seed)
    try:
        verdict = review(made, contract=contract)
    except InputError:
        return
    if any("failed on this submission" in row.reason for row in verdict.requirements):
        raise AssertionError(f"seed {seed}: {failures_of(made, contract)}")
    json.dumps(verdict.as_dict(), allow_nan=True).encode("utf-8")
    assert render([verdict], Severity.NOTE)
