"""A piece of source with the place of a finding marked, in the manner of a compiler."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assay.excerpt import CONTEXT_LINES
from assay.finding import Finding
from assay.report.styled_text import Line, cells, visible

_CUT = "..."


def excerpt(finding: Finding, lines: Mapping[int, str], width: int) -> Iterator[Line]:
    """The lines around a finding, the place underlined.

    Args:
        finding: The finding.
        lines: Line number to source line.
        width: Columns of the terminal.
    """
    if finding.line is None or finding.line not in lines:
        return
    first, last = finding.line - CONTEXT_LINES, finding.line + CONTEXT_LINES
    shown = [number for number in range(first, last + 1) if number in lines]
    # blank lines at the edges show nothing
    while shown[0] < finding.line and not lines[shown[0]].strip():
        shown.pop(0)
    while shown[-1] > finding.line and not lines[shown[-1]].strip():
        shown.pop()
    gutter = len(str(shown[-1]))
    room = max(20, width - gutter - 5)
    marked = lines[finding.line]
    begin, end = _marked(finding, marked)
    # every line is cut alike, so that the shape of the code stays
    offset = 0
    if cells(visible(marked[: end - 1])) > room:
        offset = max(0, min(begin - 1 - room // 3, len(marked) - room + 2 * len(_CUT)))
    for number in shown:
        style = finding.severity.value if number == finding.line else "dim"
        text, _ = _cut(lines[number], offset, room)
        yield [(f" {number:>{gutter}} ", style), ("| ", "bar"), (text, "" if number == finding.line else "dim")]
        if number == finding.line:
            _, shift = _cut(marked, offset, room)
            blank = min(room - 1, shift + cells(visible(marked[offset : begin - 1])))
            length = max(1, cells(visible(marked[begin - 1 : end - 1])))
            under = "^" * max(1, min(length, room - blank))
            yield [(" " * (gutter + 2), ""), ("| ", "bar"), (" " * blank, ""), (under, finding.severity.value)]


def _marked(finding: Finding, line: str) -> tuple[int, int]:
    """The columns to underline, from 1, the second one exclusive."""
    indent = len(line) - len(line.lstrip())
    if finding.column is None:
        return indent + 1, max(indent + 2, len(line.rstrip()) + 1)
    begin = min(max(1, finding.column), len(line) + 1)
    if finding.end_column is None:
        # the end is not known: the word that begins there
        words = line[begin - 1 :].split(maxsplit=1)
        return begin, begin + (len(words[0]) if words and not line[begin - 1].isspace() else 1)
    if finding.end_line is not None and finding.end_line != finding.line:
        return begin, max(begin + 1, len(line.rstrip()) + 1)
    return begin, min(max(begin + 1, finding.end_column), max(begin + 1, len(line) + 1))


def _cut(line: str, offset: int, room: int) -> tuple[str, int]:
    """A line from `offset` on that fits into `room` columns, and the columns its leading mark takes."""
    lead = _CUT if offset and line[:offset].strip() else " " * len(_CUT) if offset else ""
    # a character takes at least one column once combining ones are set aside; twelve escape the longest one
    text = lead + visible(line[offset : offset + room * 2])
    if cells(text) <= room and len(line) <= offset + room * 2:
        return text, len(lead)
    taken = 0
    kept = []
    for character in text:
        taken += cells(character)
        if taken > room - len(_CUT):
            break
        kept.append(character)
    return "".join(kept) + _CUT, len(lead)
