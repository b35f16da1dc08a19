"""Every rule's examples hold: it finds what it says, and falls silent on its repair."""

from __future__ import annotations

import pytest

from assay.analysis.project import Project
from assay.contracts import builtin_names, load_contract
from assay.finding import Finding, Severity
from assay.reviewer import rows_of, run_rules
from assay.rules import Example, Rule, all_rules
from assay.submission import SourceFile, Submission

RULES = list(all_rules().values())
VALID = [pytest.param(rule, case, id=f"{rule.code}-{n}") for rule in RULES for n, case in enumerate(rule.VALID)]
INVALID = [pytest.param(rule, case, id=f"{rule.code}-{n}") for rule in RULES for n, case in enumerate(rule.INVALID)]


def submission_of(files, base=None, brief=None):
    made = {path: SourceFile.of_text(path, text) for path, text in files.items() if text is not None}
    kept = {"brief": brief} if brief else {}
    return Submission("example", dict(sorted(made.items())), base=submission_of(base) if base else None, **kept)


def findings_of(rule: type[Rule], example: Example, files=None) -> list[Finding]:
    project = Project(
        submission_of(files or example.files, example.base, example.brief), load_contract(example.contract)
    )
    try:
        findings, coverage = run_rules(project, {rule.code: rule})
    finally:
        project.close()
    failures = [
        reason for reasons in coverage.open.values() for reason in reasons if "failed on this submission" in reason
    ]
    assert not failures
    return findings


@pytest.mark.parametrize(("rule", "example"), VALID)
def test_valid_examples_have_no_finding(rule, example):
    assert findings_of(rule, example) == []


@pytest.mark.parametrize(("rule", "example"), INVALID)
def test_invalid_examples_are_found_at_their_places(rule, example):
    found = findings_of(rule, example)
    assert sorted(finding.place for finding in found) == sorted(example.at)
    assert all(finding.rule == rule.code for finding in found)
    assert example.at, "an INVALID example names the places of its findings"


@pytest.mark.parametrize(("rule", "example"), INVALID)
def test_a_blocking_rule_falls_silent_on_its_repair(rule, example):
    blocking = [finding for finding in findings_of(rule, example) if finding.severity is Severity.BLOCKING]
    if blocking:
        assert example.repaired, "an example that blocks shows its repair"
        repaired = findings_of(rule, example, {**example.files, **example.repaired})
        assert [finding for finding in repaired if finding.severity is Severity.BLOCKING] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_rules_are_documented_and_bear_on_a_contract(rule):
    assert rule.__doc__
    assert rule.__doc__.strip()
    assert rule.VALID
    assert rule.INVALID
    assert rule.repair
    assert set(rule.decides) <= set(rule.requirements)
    assert any(rows_of(rule.requirements, rule.code, load_contract(name)) for name in builtin_names())
    assert rule.code.lower() in rule.__module__.rpartition(".")[2]
