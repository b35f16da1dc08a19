"""`pyproject.toml` as rules see it: its values, and the lines they stand on."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

_HEADER = re.compile(r"^\s*+\[{1,2}([^\]]+)\]{1,2}\s*+(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*(?:[\w-]+|"[^"\n]*"|'[^'\n]*'))*)\s*=""")


@dataclass(frozen=True, slots=True, eq=False)
class PyProject:
    """The project file of a submission.

    Args:
        path: Its path in the submission.
        text: Its text.
        data: Its values; empty where it is no TOML.
        error: Why it is no TOML; empty where it is.
        error_line: The line at which the TOML breaks, where the parser says it.
        lines: Dotted key or table to the line on which it is set, from 1.
    """

    path: str
    text: str
    data: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    error_line: int | None = None
    lines: dict[str, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, path: str, text: str) -> PyProject:
        """Read a project file; broken TOML is recorded, not raised."""
        text = text.removeprefix("\ufeff")
        lines = _lines(text)
        try:
            return cls(path, text, tomllib.loads(text), lines=lines)
        except tomllib.TOMLDecodeError as error:
            match = re.search(r"at line (\d+)", str(error))
            return cls(path, text, error=str(error), error_line=int(match.group(1)) if match else None, lines=lines)
        except (RecursionError, ValueError) as error:
            return cls(path, text, error=str(error) or "nested too deeply", lines=lines)

    def table(self, *keys: str) -> dict[str, Any]:
        """A table by its path; empty where it is absent or no table."""
        value = self.get(*keys)
        return value if isinstance(value, dict) else {}

    def get(self, *keys: str) -> Any:
        """A value by its path, or None."""
        value: Any = self.data
        for key in keys:
            if not isinstance(value, dict):
                return None
            value = value.get(key)
        return value

    def line(self, *keys: str) -> int | None:
        """The line on which a key or table is set; that of the nearest table around it where it is not found."""
        for length in range(len(keys), 0, -1):
            found = self.lines.get(".".join(keys[:length]))
            if found is not None:
                return found
        return None

    def line_of_text(self, wanted: str, after: int = 1) -> int | None:
        """The first line from `after` on that holds a text."""
        for number, line in enumerate(self.text.split("\n"), 1):
            if number >= after and wanted in line:
                return number
        return None


def _lines(text: str) -> dict[str, int]:
    """Where tables and keys stand. Strings over several lines may add keys that are none; they shadow nothing."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.match(line):
            table = _plain(header.group(1))
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            name = _plain(key.group(1))
            found.setdefault(f"{table}.{name}" if table else name, number)
    return found


def _plain(key: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in key.split("."))
