"""A verdict as annotations of a GitHub job, and as the summary of its step.

The commands and their escapes are described in GitHub's documentation, "Workflow commands for GitHub Actions".
GitHub shows ten errors, ten warnings and ten notices a step; the log holds all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from assay.finding import Finding, Severity
from assay.report.artifact import artifact_prefix
from assay.report.styled_text import visible
from assay.verdict import Verdict

_COMMANDS = {Severity.BLOCKING: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_SUMMARY_FINDINGS = 100
_ENTITIES = {ord(character): f"&#{ord(character)};" for character in "&<>\\`*_[]|~#@"}


def render(verdicts: Sequence[Verdict], severity: Severity = Severity.NOTE) -> str:
    """One command a finding, and one notice a verdict."""
    lines = []
    for verdict in verdicts:
        prefix = artifact_prefix(verdict)
        lines += [_annotation(finding, prefix) for finding in verdict.shown(severity)]
        lines.append(f"::notice title={_property(f'assay: {verdict.submission}')}::{_data(_summary(verdict))}")
    return "".join(f"{line}\n" for line in lines)


def _annotation(finding: Finding, prefix: str) -> str:
    properties: dict[str, str | int] = {}
    if finding.file is not None:
        properties["file"] = prefix + finding.file
        if finding.line is not None:
            properties["line"] = finding.line
            if finding.end_line is not None and finding.end_line > finding.line:
                properties["endLine"] = finding.end_line
            elif finding.column is not None:
                # columns count only where the place lies on one line
                properties["col"] = finding.column
                if finding.end_column is not None and finding.end_column > finding.column:
                    properties["endColumn"] = finding.end_column
    consequence = f" ({finding.consequence.value})" if finding.consequence else ""
    properties["title"] = f"{finding.rule}{consequence}"
    listed = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    sentences = [f"{finding.message}.", finding.explanation, f"Repair: {finding.repair}" if finding.repair else ""]
    return f"::{_COMMANDS[finding.severity]} {listed}::{_data(' '.join(filter(None, sentences)))}"


def step_summary(verdicts: Sequence[Verdict]) -> str:
    """The verdicts as a Markdown table, for the file that `GITHUB_STEP_SUMMARY` names."""
    lines = ["### Assay", "", "| submission | contract | verdict |", "|---|---|---|"]
    lines += [
        f"| {_cell(verdict.submission)} | {_cell(verdict.contract.name)} | {_cell(_summary(verdict))} |"
        for verdict in verdicts
    ]
    blocking = [(artifact_prefix(verdict), finding) for verdict in verdicts for finding in verdict.blocking]
    if blocking:
        lines += ["", "| rule | place | what is wrong | repair |", "|---|---|---|---|"]
    for prefix, finding in blocking[:_SUMMARY_FINDINGS]:
        place = prefix + finding.place if finding.file else finding.place
        lines.append(f"| {finding.rule} | {_cell(place)} | {_cell(finding.message)} | {_cell(finding.repair)} |")
    if len(blocking) > _SUMMARY_FINDINGS:
        lines += ["", f"{len(blocking) - _SUMMARY_FINDINGS} more findings are in the log."]
    return "\n".join([*lines, "", ""])


def _summary(verdict: Verdict) -> str:
    ready = "ready" if verdict.ready else f"not ready, {len(verdict.blocking)} blocking"
    return f"{ready}; {verdict.decided_count} of {len(verdict.requirements)} requirements decided"


def _data(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Text for a Markdown table, in which nothing is markup."""
    return visible(text).translate(_ENTITIES)
