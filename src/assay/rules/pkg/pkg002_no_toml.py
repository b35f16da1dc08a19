"""PKG002: the project file is no TOML."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.packaging_metadata import PyProject
from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule, Undecided

_GOOD = '[project]\nname = "a"\nversion = "0.1.0"\n'
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+"""'
    r"|'''(?:[^']|'(?!''))*+'''"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
    r"|\#[^\n]*+"
    r"|[\[{]|[\]}]",
    re.DOTALL,
)


class NoToml(Rule):
    """`pyproject.toml` cannot be parsed as TOML.

    A bracket that is never closed, a key that is set twice, a value without quotation marks: uv reads the file
    before it does anything else, and stops there with every command.

    TOML 1.1 allows line breaks and trailing commas in inline tables and two more escapes. Recent versions of uv
    accept them, so where only these may be at fault the rule leaves the matter open.
    """

    code = "PKG002"
    name = "no-toml"
    requirements = ("X1",)
    consequence = Consequence.CRASHES
    message = "pyproject.toml is not valid TOML"
    explanation = "uv reads this file first and stops every command: {error}."
    repair = "Correct the syntax at this place."

    VALID = (
        Example({"pyproject.toml": _GOOD}),
        # TOML 1.1, which uv reads
        Example({"pyproject.toml": f'{_GOOD}authors = [{{name = "A",\n  email = "a@example.org",}}]\n'}),
        Example({"pyproject.toml": f'{_GOOD}description = "\\x41"\n'}),
    )
    INVALID = (
        Example(
            {"pyproject.toml": '[project]\nname = a\nversion = "0.1.0"\n'},
            at=("pyproject.toml:2",),
            repaired={"pyproject.toml": _GOOD},
        ),
        Example(
            {"pyproject.toml": f'{_GOOD}name = "b"\n'},
            at=("pyproject.toml:4",),
            repaired={"pyproject.toml": _GOOD},
        ),
        Example(
            {"pyproject.toml": f'{_GOOD}dependencies = [\n  "numpy",\n'},
            at=("pyproject.toml",),
            repaired={"pyproject.toml": _GOOD},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        metadata = project.pyproject
        if metadata is None or not metadata.error:
            return
        if not re.search(r"\(at (line \d+|end of document)", metadata.error):
            yield Undecided(f"pyproject.toml cannot be read here: {metadata.error[:200]}")
        elif _may_be_newer_toml(metadata):
            yield Undecided("pyproject.toml is not TOML 1.0; whether a uv accepts it depends on its version")
        else:
            error = re.sub(r"\s*\(at .*", "", metadata.error, flags=re.DOTALL)[:200].rstrip(".")
            yield self.finding(metadata.path, metadata.error_line, detail=metadata.error[:500], error=error)


def _may_be_newer_toml(metadata: PyProject) -> bool:
    """Whether what TOML 1.0 refuses here may be TOML 1.1: an escape, a time, or the inside of an inline table."""
    if "escape" in metadata.error.lower() or "\\" in metadata.error:
        return True
    lines = metadata.text.split("\n")
    line = metadata.error_line or len(lines)
    if re.search(r"\d{2}:\d{2}(?!:)", lines[line - 1] if line <= len(lines) else ""):
        return True
    column = re.search(r"column (\d+)", metadata.error)
    end = sum(len(text) + 1 for text in lines[: line - 1]) + (int(column.group(1)) if column else 0)
    open_brackets: list[str] = []
    for match in _TOKEN.finditer(metadata.text, 0, end if metadata.error_line else len(metadata.text)):
        token = match.group()
        if token in "[{":
            open_brackets.append(token)
        elif token in "]}" and open_brackets:
            if token == "}" and match.end() >= end - 1:
                return True
            open_brackets.pop()
    return "{" in open_brackets
