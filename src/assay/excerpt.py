"""The source lines that a report shows around findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from assay.finding import Finding
from assay.submission.record import Submission

CONTEXT_LINES = 2

# Path to line number to line; only the lines around findings, so that a verdict stays small.
Excerpts = Mapping[str, Mapping[int, str]]


def excerpts_of(findings: Iterable[Finding], submission: Submission) -> Excerpts:
    """The lines around each finding and the lines of the frames that lead to it."""
    wanted: dict[str, set[int]] = {}
    for finding in findings:
        if finding.file is not None and finding.line is not None:
            around = range(max(1, finding.line - CONTEXT_LINES), finding.line + CONTEXT_LINES + 1)
            wanted.setdefault(finding.file, set()).update(around)
        for frame in finding.evidence.frames:
            wanted.setdefault(frame.file, set()).add(frame.line)
    excerpts: dict[str, dict[int, str]] = {}
    for path, numbers in wanted.items():
        lines = (submission.text(path) or "").split("\n")
        excerpts[path] = {number: lines[number - 1] for number in sorted(numbers) if 0 < number <= len(lines)}
    return excerpts
