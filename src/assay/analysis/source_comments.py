"""The comments of Python, YAML and TOML texts, with their places."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from io import StringIO
from typing import NamedTuple

_LONGEST = 500
_HASH = re.compile(r"(?:^|(?<=\s))#")
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


@lru_cache(maxsize=64)
def python_comments(text: str) -> tuple[Comment, ...]:
    """The comments of a Python text; of a broken one, those before the break."""
    found: list[Comment] = []
    try:
        for token in tokenize.generate_tokens(StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found.append(_comment(token.start[0], token.string, not token.line[: token.start[1]].strip()))
    except (tokenize.TokenError, SyntaxError, ValueError):
        pass
    return tuple(found)


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
