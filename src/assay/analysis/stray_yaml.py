"""Text in a YAML file that is no YAML: fences, file markers, sentences, tails of an answer, tabs."""

from __future__ import annotations

import re
from typing import NamedTuple

from assay.analysis.project import YamlFile
from assay.yaml_tree import Mapping, Scalar

_FENCE = re.compile(r"\s*(?:```|~~~)")
_CONFLICT = re.compile(r"(?:<{7}|>{7})(?:\s|$)|={7}$")
_MARKER = re.compile(r"\s*(?:={3,}|\*{2,}|-{4,}|<{3,})\s*\S")
_TAIL = re.compile(r"[\s\"'`}\])>,;]+")
_SENTENCE = re.compile(r"[A-Z][\w'’]*(?:[ ,]+[\w'’(),/.-]+){2,}[.!:]?\s*")


class StrayText(NamedTuple):
    """Something in a YAML file that is no YAML.

    Args:
        line: Its line, from 1.
        kind: What it is, with its article.
        certain: Whether the file cannot be loaded because of it.
    """

    line: int
    kind: str
    certain: bool


def stray_text(file: YamlFile) -> StrayText | None:
    """The first stray text of a file, or None where it holds none that can be told from a slip in the YAML."""
    if file.error is not None:
        return _behind_error(file)
    if len(file.documents) > 1:
        return StrayText(file.documents[1].line, "a second YAML document", True)
    root = file.root
    if isinstance(root, Scalar):
        is_text = isinstance(root.resolve(), str) and root.text.strip()
        return StrayText(root.line, "a text where a mapping belongs", True) if is_text else None
    if isinstance(root, Mapping):
        for key, value in root.pairs:
            if not isinstance(key, Scalar) or not key.plain:
                continue
            empty = isinstance(value, Scalar) and not value.text and value.plain
            if _MARKER.match(key.text):
                return StrayText(key.line, "a file marker", False)
            if empty and _SENTENCE.fullmatch(key.text):
                return StrayText(key.line, "a sentence", False)
    return None


def _behind_error(file: YamlFile) -> StrayText | None:
    assert file.error is not None
    lines = file.text.split("\n")
    at = min(file.error.line, len(lines))
    # the parser notices some texts only at the next line that holds something
    earlier = [number for number in range(at - 1, max(at - 10, 0), -1) if lines[number - 1].strip()][:1]
    for number in (at, *earlier):
        line = lines[number - 1]
        if _FENCE.match(line):
            return StrayText(number, "a Markdown code fence", True)
        if _CONFLICT.match(line):
            return StrayText(number, "a merge conflict marker", True)
        if _MARKER.match(line):
            return StrayText(number, "a file marker or heading", True)
        indent = line[: len(line) - len(line.lstrip())]
        if number == at and "\t" in indent:
            return StrayText(number, "a tab as indentation", True)
        if _SENTENCE.fullmatch(line):
            return StrayText(number, "a sentence", True)
    tail = [number for number, line in enumerate(lines, 1) if line.strip()]
    last = tail[-1] if tail else 0
    # an unclosed quote is noticed at the end of the file
    if last and at >= last and _TAIL.fullmatch(lines[last - 1]) and lines[last - 1].startswith('"'):
        return StrayText(last, "the tail of a JSON answer", True)
    return None
