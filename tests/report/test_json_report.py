"""The verdict as JSON keeps the form that generators and dashboards rely on."""

from __future__ import annotations

import json

from assay.contracts.user_file import VERDICT_KEYS
from assay.finding import Severity
from assay.report.json_report import render

KEYS = [
    "submission", "contract", "contract_reason", "evidence", "tool", "as_of", "requirements", "findings", "seconds",
]  # fmt: skip
FINDING_KEYS = {
    "rule", "requirements", "severity", "message", "consequence", "explanation", "repair", "file", "line", "column",
    "end_line", "end_column", "symbol", "run", "evidence",
}  # fmt: skip


def test_the_first_two_keys_are_the_contracts(verdict):
    value = json.loads(render([verdict]))
    assert list(value) == ["is_code_ready", "code_issue", *KEYS]
    assert value["is_code_ready"] is False
    assert value["code_issue"].startswith("1. src/train.py:6 training.learning_rate is read")
    assert value["tool"]["name"] == "assay"


def test_a_contract_of_one_s_own_may_not_take_a_key_of_the_verdict():
    assert frozenset(KEYS) == VERDICT_KEYS


def test_findings_and_rows_point_at_each_other(verdict):
    value = json.loads(render([verdict]))
    assert all(set(finding) == FINDING_KEYS for finding in value["findings"])
    for row in value["requirements"]:
        assert set(row) == {"id", "status", "decided_by", "reason", "findings"}
        for number in row["findings"]:
            assert row["id"] in value["findings"][number]["requirements"]
    assert value["findings"][0]["evidence"]["frames"] == [{"file": "src/train.py", "line": 20}]


def test_lighter_findings_are_left_out_but_the_verdict_stays(verdict):
    value = json.loads(render([verdict], Severity.BLOCKING))
    assert len(value["findings"]) == 3
    assert all(number < 3 for row in value["requirements"] for number in row["findings"])


def test_several_verdicts_are_json_lines(verdict, ready):
    lines = render([verdict, ready]).splitlines()
    assert [json.loads(line)["is_code_ready"] for line in lines] == [False, True]


def test_source_lines_are_not_part_of_it(verdict):
    assert "optimizer = torch" not in render([verdict])
