"""Verdicts as SARIF 2.1.0: one run, with the rules that found something and a result for each finding.

Written after the OASIS standard (section numbers below are its own) and GitHub's page "SARIF support for code
scanning", which asks for `shortDescription`, `fullDescription`, `help` and a location of every result.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from assay import __version__
from assay.finding import Finding, Frame, Severity
from assay.report.artifact import artifact_prefix
from assay.rules.registry import all_rules
from assay.rules.rule import Rule
from assay.verdict import Verdict

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.BLOCKING: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_BASE = "SRCROOT"
_SNIPPET_CHARACTERS = 1000


def render(verdicts: Sequence[Verdict], severity: Severity = Severity.NOTE) -> str:
    """The SARIF text of verdicts."""
    return json.dumps(sarif_log(verdicts, severity), indent=2, ensure_ascii=False) + "\n"


def sarif_log(verdicts: Sequence[Verdict], severity: Severity = Severity.NOTE) -> dict[str, Any]:
    """The SARIF log of verdicts as Python values."""
    shown = [(verdict, finding) for verdict in verdicts for finding in verdict.shown(severity)]
    first_of: dict[str, Finding] = {}
    for _, finding in shown:
        first_of.setdefault(finding.rule, finding)
    codes = sorted(first_of)
    occurrences: Counter[str] = Counter()
    run = {
        "tool": {
            "driver": {
                "name": "assay",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_descriptor(code, first_of[code]) for code in codes],
            }
        },
        "invocations": [{"executionSuccessful": True}],
        "originalUriBaseIds": {
            _BASE: {"description": {"text": "The working directory of the review, as a rule a repository's root."}}
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(verdict, finding, codes.index(finding.rule), occurrences) for verdict, finding in shown],
        "properties": {"verdicts": [_verdict_properties(verdict) for verdict in verdicts]},
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _descriptor(code: str, finding: Finding) -> dict[str, Any]:
    """What is known of a rule (3.49). A finding of a gate without rule classes describes itself."""
    rule = all_rules().get(code)
    if rule is None:
        return {
            "id": code,
            "shortDescription": {"text": finding.message},
            "fullDescription": {"text": finding.explanation or finding.message},
            "help": {"text": finding.repair or finding.message},
            "defaultConfiguration": {"level": _LEVELS[finding.severity]},
        }
    text = inspect.getdoc(rule) or rule.name
    summary = " ".join(text.split("\n\n")[0].split())
    return {
        "id": code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),
        "shortDescription": {"text": rule.name.replace("-", " ")},
        "fullDescription": {"text": summary},
        "help": {"text": text, "markdown": _help(rule, text)},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["machine-learning", *rule.requirements][:20]},
    }


def _help(rule: type[Rule], text: str) -> str:
    return f"**{rule.name}** (`{rule.code}`)\n\n{text}\n\n`assay explain {rule.code}` shows examples."


def _result(verdict: Verdict, finding: Finding, rule_index: int, occurrences: Counter[str]) -> dict[str, Any]:
    sentences = [f"{finding.message}.", finding.explanation, f"Repair: {finding.repair}" if finding.repair else ""]
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.severity],
        "message": {"text": " ".join(filter(None, sentences))},
        "locations": [_location(verdict, finding)],
        "partialFingerprints": {"assayFinding/v1": _fingerprint(verdict, finding, occurrences)},
        "properties": {
            "requirements": list(finding.requirements),
            "consequence": finding.consequence.value if finding.consequence else None,
            "evidence": finding.evidence.kind,
            "detail": finding.evidence.detail,
            "run": finding.run,
        },
    }
    frames = finding.evidence.frames
    if frames:
        result["relatedLocations"] = [
            {**_frame(verdict, frame), "id": number, "message": {"text": "on the way"}}
            for number, frame in enumerate(frames, 1)
        ]
    if len(frames) > 1:
        steps = [{"location": _frame(verdict, frame)} for frame in frames]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    return result


def _location(verdict: Verdict, finding: Finding) -> dict[str, Any]:
    if finding.file is None:
        return {"physicalLocation": {"artifactLocation": _artifact(artifact_prefix(verdict) or "./")}}
    physical: dict[str, Any] = {"artifactLocation": _artifact(artifact_prefix(verdict) + finding.file)}
    if finding.line is not None:
        physical["region"] = _region(verdict, finding, finding.line)
    location: dict[str, Any] = {"physicalLocation": physical}
    if finding.symbol:
        location["logicalLocations"] = [{"name": finding.symbol}]
    return location


def _region(verdict: Verdict, finding: Finding, line: int) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": line}
    if finding.column is not None:
        region["startColumn"] = finding.column
        end_line = max(line, finding.end_line or line)
        # 3.30.8: a region ends after its last character, so one that ends where it begins marks nothing
        if finding.end_column is not None and (end_line > line or finding.end_column > finding.column):
            region |= {"endLine": end_line, "endColumn": finding.end_column}
    source = verdict.excerpts.get(finding.file or "", {}).get(line)
    if source is not None and len(source) <= _SNIPPET_CHARACTERS:
        region["snippet"] = {"text": source}
    return region


def _frame(verdict: Verdict, frame: Frame) -> dict[str, Any]:
    artifact = _artifact(artifact_prefix(verdict) + frame.file)
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": max(1, frame.line)}}}


def _artifact(path: str) -> dict[str, Any]:
    return {"uri": quote(path, safe="/", errors="replace"), "uriBaseId": _BASE}


def _fingerprint(verdict: Verdict, finding: Finding, occurrences: Counter[str]) -> str:
    """What stays of a finding when the lines around it move: rule, file, symbol and the line's own text.

    GitHub's upload action adds its own `primaryLocationLineHash`.
    """
    source = verdict.excerpts.get(finding.file or "", {}).get(finding.line or 0, "")
    name = artifact_prefix(verdict) if verdict.kind == "folder" else verdict.submission.partition("@")[0]
    known = (name, finding.rule, finding.file, finding.symbol, finding.run, " ".join(source.split()))
    text = "\0".join(part or "" for part in known)
    digest = hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    occurrences[digest] += 1
    return f"{digest}:{occurrences[digest]}"


def _verdict_properties(verdict: Verdict) -> dict[str, Any]:
    told: dict[str, Any] = {
        "submission": verdict.submission,
        "contract": verdict.contract.name,
        "contractReason": verdict.contract_reason,
        "ready": verdict.ready,
        "requirements": {row.id: row.status for row in verdict.requirements},
    }
    if verdict.rehearsal is not None:
        from assay.trial.reading import rehearsal_as_dict

        told["trial"] = rehearsal_as_dict(verdict.rehearsal)
    return told
