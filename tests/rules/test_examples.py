"""Every rule's examples hold: it finds what it says, and falls silent on its repair."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from assay.analysis.project import Project
from assay.analysis.resolution import Resolution
from assay.contracts import builtin_names, load_contract
from assay.finding import Finding, Severity
from assay.reviewer import rows_of, run_rules
from assay.rules import Example, Rule, all_rules
from assay.submission import SourceFile, Submission
from tests.enacting import InProcessSession

RULES = list(all_rules().values())
VALID = [pytest.param(rule, case, id=f"{rule.code}-{n}") for rule in RULES for n, case in enumerate(rule.VALID)]
INVALID = [pytest.param(rule, case, id=f"{rule.code}-{n}") for rule in RULES for n, case in enumerate(rule.INVALID)]


def submission_of(files, base=None, brief=None):
    made = {path: SourceFile.of_text(path, text) for path, text in files.items() if text is not None}
    kept = {"brief": brief} if brief else {}
    return Submission("example", dict(sorted(made.items())), base=submission_of(base) if base else None, **kept)


def findings_of(rule: type[Rule], example: Example, files=None) -> list[Finding]:
    project = Project(
        submission_of(files or example.files, example.base, example.brief),
        load_contract(example.contract),
        as_of=example.as_of,
    )
    project.start_enactment(InProcessSession())
    with tempfile.TemporaryDirectory() as folder:
        try:
            if example.libraries is not None:
                project.use_environment(lay_environment(Path(folder), example.libraries))
            if example.uv_says is not None:
                # once it is repaired, uv has nothing to say
                project.resolution = Resolution(refusal=example.uv_says if files is None else "")
            project.rehearsal = example.rehearsed if files is None else example.rehearsed_after
            findings, coverage = run_rules(project, {rule.code: rule})
        finally:
            project.close()
    failures = [
        reason for reasons in coverage.open.values() for reason in reasons if "failed on this submission" in reason
    ]
    assert not failures
    return findings


def lay_environment(folder, libraries):
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.11.0\ninclude-system-site-packages = false\n")
    for path, text in {"placeholder.py": "", **libraries}.items():
        file = folder / "lib" / "python3.11" / "site-packages" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


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
    assert bool(blocking) == bool(example.repaired), "an example shows a repair where it blocks, and only there"
    if blocking:
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
