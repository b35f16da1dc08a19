"""Text with styles: lines of spans, shown plain in pipes and coloured on terminals.

What comes from a submission is hostile: `visible` shows control characters, escape sequences and invisible
letters as escapes, so that no source line can colour, move or rewrite what stands around it. Rich would do all
of this but the escaping, and takes 60 to 80 ms to import, a third of a review.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TextIO

Span = tuple[str, str]
Line = Sequence[Span]

# Style to the parameters of ECMA-48's "select graphic rendition".
_CODES = {
    "": "",
    "strong": "1",
    "dim": "2",
    "heading": "1;4",
    "blocking": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "good": "1;32",
    "bad": "1;31",
    "guess": "33",
    "place": "36",
    "bar": "34",
    "repair": "32",
}


def visible(text: str) -> str:
    """`text` on one line, with every character that cannot be seen shown as an escape."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    if character == "\t":
        return "    "
    if character.isspace() and ord(character) > 127:
        return " "
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def cells(text: str) -> int:
    """How many columns of a terminal a visible text takes."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def wrapped(text: str, width: int) -> list[str]:
    """A visible text in lines of at most `width` columns, broken at spaces and inside longer words."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and cells(line) + 1 + cells(word) <= width:
            line += f" {word}"
            continue
        if line:
            lines.append(line)
        while cells(word) > width:
            head = _head(word, width)
            lines.append(head)
            word = word[len(head) :]
        line = word
    return [*lines, line] if line else lines or [""]


def _head(word: str, width: int) -> str:
    taken = 0
    for number, character in enumerate(word):
        taken += _width(character)
        if taken > width:
            return word[: max(1, number)]
    return word


def plain(lines: Iterable[Line]) -> str:
    """Lines without their styles, each ended by a line feed."""
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)


def coloured(lines: Iterable[Line]) -> str:
    """Lines with their styles as ANSI escape sequences, each ended by a line feed."""
    return "".join("".join(_coloured(text, style) for text, style in line) + "\n" for line in lines)


def _coloured(text: str, style: str) -> str:
    code = _CODES[style]
    return f"\x1b[{code}m{text}\x1b[0m" if code and text else text


def wants_colour(stream: TextIO) -> bool:
    """Whether a stream takes colours: a terminal does, NO_COLOR forbids and FORCE_COLOR demands them."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")
