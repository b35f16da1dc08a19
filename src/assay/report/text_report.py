"""A verdict for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from assay.finding import Consequence, Finding, Severity
from assay.report.artifact import artifact_prefix
from assay.report.source_excerpt import excerpt
from assay.report.styled_text import Line, cells, plain, visible, wrapped
from assay.verdict import RequirementStatus, Verdict

if TYPE_CHECKING:
    from assay.trial.record import Rehearsal

PIPE_WIDTH = 100

_HEADINGS = {
    Consequence.CRASHES: "Crashes",
    Consequence.TRAINS_NOTHING: "Trains nothing, or something else",
    Consequence.BREAKS_CONTRACT: "Breaks the contract",
}
_WEIGHTS = {Severity.BLOCKING: "Blocking", Severity.WARNING: "Warnings", Severity.NOTE: "Notes"}
_STATUS_STYLES = {"met": "good", "violated": "bad", "undecided": "warning", "not-applicable": "dim"}


def render(verdicts: Sequence[Verdict], severity: Severity = Severity.NOTE) -> str:
    """The plain text of verdicts, as a pipe gets it."""
    return plain(report_lines(verdicts, severity))


def report_lines(
    verdicts: Sequence[Verdict],
    severity: Severity = Severity.NOTE,
    *,
    width: int = PIPE_WIDTH,
    verbose: bool = False,
    unreadable: int = 0,
) -> Iterator[Line]:
    """The lines of a report.

    Args:
        verdicts: What to report.
        severity: The least weight of the findings that are shown.
        width: Columns to fill.
        verbose: Whether the table of requirements is shown.
        unreadable: How many submissions got no verdict; they are counted in the summary over several.
    """
    for number, verdict in enumerate(verdicts):
        if number:
            yield [("─" * width, "dim")]
        yield from _one(verdict, severity, width, verbose)
    if len(verdicts) + unreadable > 1:
        yield [("─" * width, "dim")]
        yield from _over_all(verdicts, unreadable, width)


def concise_lines(verdicts: Sequence[Verdict], severity: Severity) -> Iterator[Line]:
    """One line a finding and nothing else, for editors and `grep`."""
    for verdict in verdicts:
        prefix = artifact_prefix(verdict)
        for finding in verdict.shown(severity):
            lead = prefix if finding.file is not None else ""
            if not lead and len(verdicts) > 1:
                lead = f"{verdict.submission}: "
            yield [
                (visible(lead + _place(finding)), "place"),
                (": ", ""),
                (finding.rule, finding.severity.value),
                (f" {finding.severity.value}: {visible(finding.message)}", ""),
            ]


def _one(verdict: Verdict, severity: Severity, width: int, verbose: bool) -> Iterator[Line]:
    title = f": {verdict.contract.title}" if verdict.contract.title else ""
    yield [("submission ", "dim"), (visible(verdict.submission), "strong")]
    for number, line in enumerate(wrapped(visible(f"{verdict.contract.name}{title}"), width - 11)):
        yield [("contract   " if number == 0 else " " * 11, "dim"), (line, "")]
    for line in wrapped(visible(verdict.contract_reason), width - 11):
        yield [(" " * 11, ""), (line, "guess" if verdict.is_guessed else "dim")]
    yield []
    group = ""
    for finding in verdict.shown(severity):
        heading = _HEADINGS[finding.consequence] if finding.consequence else _WEIGHTS[finding.severity]
        if heading != group:
            group = heading
            yield [(heading, "heading")]
            yield []
        yield from _finding(finding, verdict, width)
        yield []
    if verbose:
        yield from _rows(verdict.requirements, width)
        yield []
    if verdict.rehearsal is not None:
        yield from _rehearsal(verdict.rehearsal, width)
        yield []
    yield from _summary(verdict, severity, width)


def _finding(finding: Finding, verdict: Verdict, width: int) -> Iterator[Line]:
    style = finding.severity.value
    lead = len(finding.rule) + 1
    for number, line in enumerate(wrapped(visible(finding.message), width - lead)):
        yield [(f"{finding.rule} " if number == 0 else " " * lead, style), (line, "strong")]
    run = f" (run {visible(finding.run)})" if finding.run else ""
    yield [("  --> ", "bar"), (visible(_place(finding)), "place"), (run, "dim")]
    if finding.file is not None:
        yield from excerpt(finding, verdict.excerpts.get(finding.file, {}), width)
    for frame in finding.evidence.frames:
        source = verdict.excerpts.get(frame.file, {}).get(frame.line, "").strip()
        where = visible(f"{frame.file}:{frame.line}")
        room = max(0, width - cells(where) - 12)
        shown = visible(source[:room])
        yield [("   by way of ", "bar"), (where, "place"), (f"  {shown}" if shown else "", "dim")]
    labelled = [("follows", finding.explanation, ""), ("repair", finding.repair, "repair")]
    if finding.evidence.detail and finding.evidence.detail not in finding.message:
        labelled.insert(0, ("seen", finding.evidence.detail, "dim"))
    if finding.requirements:
        labelled.append(("rows", _row_texts(finding, verdict, width - 12), "dim"))
    for label, text, colour in labelled:
        if text:
            for number, line in enumerate(wrapped(visible(text), width - 12)):
                yield [(f"  {label:>8}: " if number == 0 else " " * 12, "bar"), (line, colour)]


def _row_texts(finding: Finding, verdict: Verdict, room: int) -> str:
    """The ids of the requirements; of a single one also its beginning, as far as it fits on the line."""
    ids = ", ".join(finding.requirements)
    texts = {row.id: row.text for row in verdict.requirements}
    if len(finding.requirements) > 1 or not texts.get(ids):
        return ids
    text = f"{ids} ({texts[ids]})"
    return text if cells(text) <= room else wrapped(text, room - 5)[0].rstrip(",;") + " ...)"


def _place(finding: Finding) -> str:
    if finding.line is None or finding.column is None:
        return finding.place if finding.file is not None else "the submission as a whole"
    return f"{finding.place}:{finding.column}"


def _rows(rows: Iterable[RequirementStatus], width: int) -> Iterator[Line]:
    listed = list(rows)
    id_width = max((cells(row.id) for row in listed), default=0)
    yield [("Requirements", "heading")]
    yield []
    lead = 4 + id_width + 16
    for row in listed:
        text = row.text + (f" [{row.reason}]" if row.reason else f" [{row.decided_by}]" if row.decided_by else "")
        for number, line in enumerate(wrapped(visible(text), max(20, width - lead))):
            if number == 0:
                yield [
                    (f"  {visible(row.id):<{id_width}}  ", "strong"),
                    (f"{row.status:<16}", _STATUS_STYLES.get(row.status, "")),
                    (line, ""),
                ]
            else:
                yield [(" " * lead, ""), (line, "")]


def _rehearsal(rehearsal: Rehearsal, width: int) -> Iterator[Line]:
    """How each command went, how it was shut in, what was changed in the copy, and what was not rehearsed."""
    from assay.trial.reading import changes_of, left_out, notes_of, outcome_of

    yield [("Rehearsal", "heading")]
    yield []
    names = max((cells(visible(step.name)) for step in rehearsal.steps), default=0)
    for step in rehearsal.steps:
        rounds = f", {step.rounds} rounds" if step.rounds > 1 else ""
        took = f" ({step.seconds:.0f} s{rounds})" if not step.skipped else ""
        for number, line in enumerate(wrapped(visible(outcome_of(step) + took), max(20, width - names - 4))):
            style = "good" if step.completed and step.mode != "refuse" else ""
            yield [(f"  {visible(step.name) if number == 0 else '':<{names}}  ", "strong"), (line, style)]
    open_to = ", ".join(rehearsal.gaps)
    listed = [("shut in by", rehearsal.isolation + (f", which leaves open: {open_to}" if open_to else ""))]
    listed += [("changed", text) for text in changes_of(rehearsal)]
    listed += [("left out", text) for text in left_out(rehearsal)]
    listed += [("note", text) for text in notes_of(rehearsal)]
    for label, text in listed:
        for number, line in enumerate(wrapped(visible(text), width - 14)):
            yield [(f"  {label:>10}: " if number == 0 else " " * 14, "bar"), (line, "dim")]


def _summary(verdict: Verdict, severity: Severity, width: int) -> Iterator[Line]:
    counts = _counted(verdict.findings)
    hidden = len(verdict.findings) - len(verdict.shown(severity))
    line = [("Ready" if verdict.ready else "Not ready", "good" if verdict.ready else "bad"), (": ", ""), (counts, "")]
    if hidden:
        line.append((f" ({hidden} not shown)", "dim"))
    line.append((".", ""))
    yield line
    for text in wrapped(_decided(verdict), width):
        yield [(text, "dim")]
    if not verdict.blocking and not verdict.ready:
        yield [("Undecided requirements count as not ready here (--require-decided).", "warning")]


def _decided(verdict: Verdict) -> str:
    statuses = [row.status for row in verdict.requirements]
    return (
        f"{verdict.decided_count} of {len(statuses)} requirements decided: {statuses.count('met')} met, "
        f"{statuses.count('violated')} violated, {statuses.count('not-applicable')} not applicable; "
        f"{statuses.count('undecided')} undecided."
    )


def _counted(findings: Sequence[Finding]) -> str:
    weights = [finding.severity for finding in findings]
    blocking, warnings, notes = (weights.count(weight) for weight in Severity)
    parts = [
        f"{blocking} blocking finding{'' if blocking == 1 else 's'}",
        f"{warnings} warning{'' if warnings == 1 else 's'}",
        f"{notes} note{'' if notes == 1 else 's'}",
    ]
    return "nothing found" if not findings else ", ".join(part for part in parts if not part.startswith("0 "))


def _over_all(verdicts: Sequence[Verdict], unreadable: int, width: int) -> Iterator[Line]:
    contract_width = max((len(verdict.contract.name) for verdict in verdicts), default=0)
    for verdict in verdicts:
        ready = ("ready      ", "good") if verdict.ready else ("not ready  ", "bad")
        counts = f"{verdict.decided_count}/{len(verdict.requirements)} decided, {_counted(verdict.findings)}"
        lead = f"{visible(verdict.contract.name):<{contract_width}}  "
        yield [ready, (lead, "dim"), (visible(verdict.submission), "strong"), (f"  {counts}", "dim")]
    ready_count = sum(verdict.ready for verdict in verdicts)
    total = len(verdicts) + unreadable
    text = f"{total} submissions: {ready_count} ready, {len(verdicts) - ready_count} not ready"
    yield [(text + (f", {unreadable} unreadable" if unreadable else "") + ".", "strong")]
