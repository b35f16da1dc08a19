"""A verdict as annotations of a GitHub job, and as the summary of its step.

The commands and their escapes are described in GitHub's documentation, "Workflow commands for GitHub Actions".
GitHub shows ten errors, ten warnings and ten notices a step; the log holds all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from assay.finding import Finding, Severity
from assay.report.artifact import artifact_prefix
from assay.report.styled_text import visible
from assay.verdict import Verdict

if TYPE_CHECKING:
    from assay.trial.record import Rehearsal

_COMMANDS = {Severity.BLOCKING: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_SUMMARY_FINDINGS = 100
_FRAMES = 6
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
    repair = f"Repair: {finding.repair}" if finding.repair else ""
    sentences = [f"{finding.message}.", finding.explanation, _by_way_of(finding), repair]
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
    decided = f"{ready}; {verdict.decided_count} of {len(verdict.requirements)} requirements decided"
    return f"{decided}; {_rehearsed(verdict.rehearsal)}" if verdict.rehearsal else decided


def _rehearsed(rehearsal: Rehearsal) -> str:
    """How a rehearsal went, on one line."""
    from assay.trial.reading import changes_of, left_out

    ran = [step for step in rehearsal.steps if not step.skipped]
    ended = sum(step.completed for step in ran if step.mode != "refuse")
    of = sum(step.mode != "refuse" for step in ran)
    parts = [f"rehearsed in {rehearsal.isolation}: {ended} of {of} commands end well"]
    parts += [f"not isolated: {gap}" for gap in rehearsal.gaps]
    parts += [f"changed: {text}" for text in changes_of(rehearsal)]
    return "; ".join([*parts, *left_out(rehearsal)])


def _by_way_of(finding: Finding) -> str:
    """Where a finding of a rehearsal was seen: the run, and the frames that lead to it."""
    if finding.evidence.kind != "trial":
        return ""
    frames = ", ".join(f"{frame.file}:{frame.line}" for frame in finding.evidence.frames[-_FRAMES:])
    seen = f"Seen in run {finding.run}" if finding.run else "Seen in a rehearsal"
    return f"{seen}, by way of {frames}." if frames else f"{seen}."


def _data(text: str) -> str:
    return visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Text for a Markdown table, in which nothing is markup."""
    return visible(text).translate(_ENTITIES)
