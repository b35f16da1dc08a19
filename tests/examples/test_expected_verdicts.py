"""The submissions in examples/ get the verdicts that expected.yaml gives them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from assay import Finding, Severity, Verdict, review
from assay.contracts import load_contract

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
EXPECTED = yaml.safe_load((Path(__file__).parent / "expected.yaml").read_text(encoding="utf-8"))
READY = [name for name, entry in EXPECTED.items() if entry["ready"]]


def verdict_of(name: str) -> Verdict:
    entry = EXPECTED[name]
    return review(
        EXAMPLES / name,
        contract=entry["contract"],
        base=EXAMPLES / entry["base"] if "base" in entry else None,
        brief=EXAMPLES / entry["brief"] if "brief" in entry else None,
    )


def line_of(finding: Finding) -> str:
    return f"{finding.rule} {finding.place}"


@pytest.fixture(scope="module")
def verdicts():
    return {name: verdict_of(name) for name in EXPECTED}


def test_every_example_is_expected():
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_has_exactly_its_blocking_findings(name, verdicts):
    found = sorted(line_of(finding) for finding in verdicts[name].blocking)
    assert found == sorted(EXPECTED[name].get("blocking", []))
    assert verdicts[name].ready is EXPECTED[name]["ready"]


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_has_exactly_its_warnings(name, verdicts):
    found = sorted(line_of(finding) for finding in verdicts[name].findings if finding.severity is Severity.WARNING)
    assert found == sorted(EXPECTED[name].get("warnings", []))


@pytest.mark.parametrize("name", READY)
def test_an_example_that_passes_holds_the_files_of_its_contract_and_run_files(name):
    root = EXAMPLES / name
    held = {path.relative_to(root).as_posix() for path in root.rglob("*.*") if path.suffix in (".py", ".toml", ".yaml")}
    held -= {path for path in held if path.startswith("config/runs/")}
    assert held == set(load_contract(EXPECTED[name]["contract"]).required)


@pytest.mark.parametrize("name", EXPECTED)
def test_no_rule_failed_on_an_example(name, verdicts):
    assert [row.reason for row in verdicts[name].requirements if "failed on this submission" in row.reason] == []
