"""The comments of Python, YAML and TOML texts, with their places."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from io import StringIO
from typing import NamedTuple

from assay.analysis.python_source import MAX_COUNTED_LINE, PythonFile

_LONGEST = 500
_HASH = re.compile(r"(?:^|(?<=\s))#")
_TRIPLE = re.compile(r"[A-Za-z]{0,2}(\"\"\"|''')")
_DECORATION = re.compile(r"^[#\s*=~|:>–—-]+")


class Comment(NamedTuple):
    """One comment.

    Args:
        line: Its line, from 1.
        text: What it says, without `#` and without decoration around it.
        alone: Whether nothing stands before it on its line.
    """

    line: int
    text: str
    alone: bool


def python_comments(file: PythonFile) -> tuple[Comment, ...]:
    """The comments of a Python file; of a broken one, those before the break."""
    return file.shared(_python_comments)


def _python_comments(file: PythonFile) -> tuple[Comment, ...]:
    if "#" not in file.text:
        return ()
    found = _beside_strings(file)
    return tuple(_tokenized(file.text) if found is None else found)


def _beside_strings(file: PythonFile) -> list[Comment] | None:
    """The comments by the places of the strings, which the tree knows; None where only a tokenizer can tell.

    A tokenizer written in Python, as that of Python 3.11 is, takes ten times as long.
    """
    if (
        file.tree is None
        or "\f" in file.text
        or (not file.text.isascii() and len(max(file.lines, key=len)) > MAX_COUNTED_LINE)
    ):
        return None
    strings: dict[int, list[tuple[int, int]]] = {}
    inside: set[int] = set()
    for node in file.nodes_of(ast.Constant, ast.JoinedStr):
        if isinstance(node, ast.Constant) and not isinstance(node.value, str | bytes):
            continue
        first, last = node.lineno, node.end_lineno or node.lineno
        end = node.end_col_offset or 0
        if first == last:
            strings.setdefault(first, []).append((node.col_offset, end))
        elif _is_one_literal(file, node):
            strings.setdefault(first, []).append((node.col_offset, len(file.lines[first - 1])))
            inside.update(range(first + 1, last))
            strings.setdefault(last, []).append((0, end))
        elif any("#" in line for line in file.lines[first - 1 : last]):
            return None
    found: list[Comment] = []
    for number, line in enumerate(file.lines, 1):
        if "#" not in line or number in inside:
            continue
        places = strings.get(number, ())
        at = line.find("#")
        while at >= 0 and any(begin <= at < end for begin, end in places):
            at = line.find("#", at + 1)
        if at >= 0:
            found.append(_comment(number, line[at:].rstrip("\r"), not line[:at].strip()))
    return found


def _is_one_literal(file: PythonFile, node: ast.expr) -> bool:
    """Whether a string of several lines is one literal in triple quotes, so that all between its ends is its text."""
    opening = _TRIPLE.match(file.lines[node.lineno - 1], node.col_offset)
    if opening is None or node.end_lineno is None or node.end_col_offset is None:
        return False
    quotes = opening.group(1)
    last = file.lines[node.end_lineno - 1][: node.end_col_offset]
    rest = file.lines[node.lineno - 1][opening.end() :]
    between = file.lines[node.lineno : node.end_lineno - 1]
    return last.endswith(quotes) and not any(quotes in line for line in (rest, *between, last[:-3]))


def _tokenized(text: str) -> list[Comment]:
    found: list[Comment] = []
    try:
        for token in tokenize.generate_tokens(StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found.append(_comment(token.start[0], token.string, not token.line[: token.start[1]].strip()))
    except (tokenize.TokenError, SyntaxError, ValueError):
        pass
    return found


def hash_comments(text: str) -> list[Comment]:
    """The comments of a YAML or TOML text, as far as a line shows them: a `#` that stands in no quoted text.

    Only the beginning of a very long line is looked at.
    """
    return list(_hash_comments(text))


def _hash_comments(text: str) -> Iterator[Comment]:
    for number, whole in enumerate(text.split("\n"), 1):
        line = whole[:_LONGEST]
        for match in _HASH.finditer(line):
            before = line[: match.start()]
            if before.count('"') % 2 == 0 and before.count("'") % 2 == 0:
                yield _comment(number, line[match.start() :], not before.strip())
                break


def _comment(line: int, text: str, alone: bool) -> Comment:
    return Comment(line, _DECORATION.sub("", text[:_LONGEST]).rstrip("#*=~- \t"), alone)
