"""SARIF 2.1.0: what the standard and GitHub's code scanning ask of a log."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hand_written import CONFIG, FINDINGS, TRAIN, verdict_of  # type: ignore[import-not-found]
from sarif_pydantic import Sarif  # type: ignore[import-untyped]

from assay.finding import Severity
from assay.report.sarif_report import render, sarif_log

# The objects that a log of Assay holds, after chapter 3 of the OASIS standard: closed, so that a misspelt or
# misplaced property is found.
SUBSET = json.loads(Path(__file__).parents[1].joinpath("data", "sarif-subset.json").read_text(encoding="utf-8"))


@pytest.fixture
def log(verdict, ready):
    return sarif_log([verdict, ready])


def test_a_log_keeps_to_the_standard(log):
    jsonschema.validate(log, SUBSET, jsonschema.Draft202012Validator)


def test_a_log_is_read_back_by_another_implementation(log):
    read = Sarif.model_validate_json(json.dumps(log))
    assert [result.rule_id for result in read.runs[0].results] == [r["ruleId"] for r in log["runs"][0]["results"]]


def test_an_empty_log_keeps_to_the_standard(ready):
    log = sarif_log([ready])
    jsonschema.validate(log, SUBSET, jsonschema.Draft202012Validator)
    assert log["runs"][0]["results"] == []


def test_every_result_names_its_rule_and_its_place(log):
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert len(run["results"]) == len(FINDINGS)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert len(result["locations"]) == 1
    levels = [result["level"] for result in run["results"]]
    assert levels == ["error", "error", "error", "warning", "note"]


def test_rules_carry_what_code_scanning_shows(log):
    for rule in log["runs"][0]["tool"]["driver"]["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["fullDescription"]["text"]
        assert rule["help"]["text"]


def test_regions_are_exact(log):
    first = log["runs"][0]["results"][0]
    region = first["locations"][0]["physicalLocation"]["region"]
    assert {key: region[key] for key in ("startLine", "startColumn", "endLine", "endColumn")} == {
        "startLine": 6,
        "startColumn": 62,
        "endLine": 6,
        "endColumn": 84,
    }
    assert region["snippet"]["text"] == TRAIN.split("\n")[5]


def test_frames_are_related_locations_and_a_flow(log):
    second = log["runs"][0]["results"][1]
    lines = [place["physicalLocation"]["region"]["startLine"] for place in second["relatedLocations"]]
    assert lines == [7, 9]
    assert len(second["codeFlows"][0]["threadFlows"][0]["locations"]) == 2


def test_an_empty_region_is_left_out():
    finding = replace(FINDINGS[0], column=5, end_column=5)
    log = sarif_log([verdict_of({"src/train.py": TRAIN}, [finding])])
    region = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert "endColumn" not in region


def test_fingerprints_stay_when_lines_move_and_tell_findings_apart():
    moved = replace(FINDINGS[1], line=11, end_line=11)
    before = sarif_log([verdict_of({"src/train.py": TRAIN}, [FINDINGS[1], FINDINGS[0]])])
    after = sarif_log([verdict_of({"src/train.py": f"\n\n{TRAIN}"}, [moved])])
    prints = [result["partialFingerprints"]["assayFinding/v1"] for result in before["runs"][0]["results"]]
    assert after["runs"][0]["results"][0]["partialFingerprints"]["assayFinding/v1"] in prints
    assert len(set(prints)) == 2
    twice = sarif_log([verdict_of({"src/train.py": TRAIN}, [FINDINGS[0], replace(FINDINGS[0], column=63)])])
    prints = [result["partialFingerprints"]["assayFinding/v1"] for result in twice["runs"][0]["results"]]
    assert len(set(prints)) == 2


def test_files_of_a_folder_are_seen_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stud ies" / "a").mkdir(parents=True)
    made = verdict_of({"src/train.py": TRAIN}, FINDINGS, name="stud ies/a")
    uris = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in sarif_log([made])["runs"][0]["results"]
    }
    assert "stud%20ies/a/src/train.py" in uris
    assert "stud%20ies/a/" in uris


@pytest.mark.parametrize("name", [".", "../elsewhere", "/", "bundle.json"])
def test_other_submissions_keep_their_own_file_names(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = sarif_log([verdict_of({"src/train.py": TRAIN}, FINDINGS[:1], name=name)])
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": "src/train.py", "uriBaseId": "SRCROOT"}


def test_lighter_findings_can_be_left_out(verdict):
    assert len(json.loads(render([verdict], Severity.WARNING))["runs"][0]["results"]) == 4


def test_verdicts_are_in_the_runs_properties(log):
    listed = log["runs"][0]["properties"]["verdicts"]
    assert [item["ready"] for item in listed] == [False, True]
    assert listed[0]["requirements"]["E2.2"] == "violated"


def test_rules_that_exist_describe_themselves(verdict):
    rule = next(r for r in sarif_log([verdict])["runs"][0]["tool"]["driver"]["rules"] if r["id"] == "LAY001")
    assert rule["name"] == "MissingFile"
    assert "assay explain LAY001" in rule["help"]["markdown"]
    assert CONFIG not in json.dumps(rule)
