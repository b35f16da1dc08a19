"""IMP001: a Python file that the interpreter cannot parse."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import closing

from assay.analysis.own_modules import OwnModules
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile
from assay.analysis.ruff_check import NEWEST, Diagnostic, RuffCheck
from assay.finding import Consequence, Finding, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_GOOD = {"src/main.py": "def run(rate: float) -> float:\n    return rate / 2\n\n\nrun(1.0)\n"}


def _asking(requires: str) -> str:
    return f"[project]\nname = 'study'\nversion = '1'\nrequires-python = '{requires}'\n"


_MATCH = "def size(shape):\n    match shape:\n        case [side]:\n            return side\n"


class SyntaxFault(Rule):
    """A file is not Python for the interpreter that will run it.

    The interpreter reads a whole file before it runs its first line, so one fault keeps all of the file from running.
    Files from a code generator break most often where the answer was cut off: the last line stops in the middle of a
    statement, a bracket or a string.

    What counts is the interpreter that the submission asks for (`requires-python`, `.python-version`), not the
    reviewer's. A fault on every version that is admitted blocks. Syntax that only the older ones of them lack is a
    warning: the program runs under a newer one.

    Of each file the first fault is reported; what a parser says after it is seldom of use.
    """

    code = "IMP001"
    name = "syntax-error"
    requirements = ("E1.2", "D4.1", "B4.8")
    consequence = Consequence.CRASHES
    message = "syntax error: {problem}"
    explanation = "The file cannot be parsed{versions}, so nothing in it runs and every import of it stops the program."
    repair = "Correct the syntax of this line."

    VALID = (
        Example(_GOOD),
        # an arrow or an escaped arrow in text is no fault
        Example({"src/main.py": "ARROW = '-\\u003e'\n\n\ndef run() -> str:\n    return f'a {ARROW} b'\n"}),
        Example({"src/main.py": _MATCH, "pyproject.toml": _asking(">=3.10")}),
    )
    INVALID = (
        Example(
            {"src/main.py": "def run(rate)\n    return rate / 2\n"},
            at=("src/main.py:1",),
            repaired={"src/main.py": "def run(rate):\n    return rate / 2\n"},
        ),
        # cut off inside a call
        Example(
            {"src/train.py": "import argparse\n\nparser = argparse.ArgumentParser(\n    description='a stu"},
            at=("src/train.py:4",),
            repaired={
                "src/train.py": "import argparse\n\nparser = argparse.ArgumentParser(\n    description='a study')\n"
            },
        ),
        # parsed, but not compiled
        Example(
            {"src/evaluate.py": "rows = []\nif not rows:\n    return 1\n"},
            at=("src/evaluate.py:3",),
            repaired={"src/evaluate.py": "rows = []\nif not rows:\n    raise SystemExit(1)\n"},
        ),
        # an older interpreter is admitted: a warning
        Example({"src/main.py": _MATCH, "pyproject.toml": _asking(">=3.9")}, at=("src/main.py:2",)),
        # no newer one is admitted: it blocks
        Example(
            {"src/main.py": _MATCH, "pyproject.toml": _asking(">=3.8,<3.10")},
            at=("src/main.py:2",),
            repaired={"pyproject.toml": _asking(">=3.10")},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        low, high = project.python_range
        reported = _faults(project.ruff)
        suspects = project.python if low is None and high is not None else reported
        texts = {path: project.python[path].text for path in suspects}
        with closing(RuffCheck(texts, NEWEST if high is None else high)) as newest:
            lasting = _faults(newest)
        if failure := project.ruff.failure or newest.failure:
            yield Undecided(f"syntax was not checked: {failure}")
            return
        modules = project.shared(OwnModules)
        for path, file in project.python.items():
            refused = _compile_fault(file)
            if path in lasting:
                # where an interpreter that the submission admits takes the file, ruff is mistaken
                if refused is not None or not (low or 0) <= sys.version_info.minor <= (high or NEWEST):
                    yield self._fault(modules, file, lasting[path], high)
            elif path in reported:
                yield self._old_python(path, reported[path][0], low)
            elif refused is not None and file.tree is not None:
                yield self._fault(modules, file, [refused], None)

    def _fault(self, modules: OwnModules, file: PythonFile, faults: list[Diagnostic], high: int | None) -> Finding:
        first = faults[0]
        crashes = file.path in modules.reached
        detail = f"{first.message} (line {first.line}, column {first.column})"
        if len(faults) > 1:
            detail += f"; {len(faults) - 1} further in this file"
        old = high is not None and "(syntax was added in" in first.message
        versions = f" by Python 3.{high}, the newest that the submission admits" if old else ""
        cut = _cut_off(file, first)
        return self.finding(
            file.path,
            first.line,
            consequence=Consequence.CRASHES if crashes else Consequence.BREAKS_CONTRACT,
            message="{path} ends in the middle of {cut}" if cut else None,
            repair="Write the rest of the file, from line {line} on." if cut else _RAISE if old else None,
            detail=detail,
            path=file.path,
            line=first.line,
            problem=_lowered(first.message),
            versions=versions,
            cut=cut,
        )

    def _old_python(self, path: str, fault: Diagnostic, low: int | None) -> Finding:
        return self.finding(
            path,
            fault.line,
            severity=Severity.WARNING,
            message="syntax that Python 3.{low} lacks: {problem}",
            explanation="The submission admits Python 3.{low}, which cannot parse this file; newer ones can.",
            repair=_RAISE,
            detail=fault.message,
            low=low,
            problem=_lowered(fault.message),
        )


_RAISE = "Raise requires-python to a version that has this syntax, or write it in the older way."


def _faults(check: RuffCheck) -> dict[str, list[Diagnostic]]:
    """File to its syntax errors, in the order of the text."""
    found: dict[str, list[Diagnostic]] = {}
    for diagnostic in check.diagnostics:
        if diagnostic.code == "invalid-syntax":
            found.setdefault(diagnostic.file, []).append(diagnostic)
    return {path: sorted(faults, key=lambda fault: (fault.line, fault.column)) for path, faults in found.items()}


def _compile_fault(file: PythonFile) -> Diagnostic | None:
    """What the compiler refuses in a file that the parser took: a `return` outside a function, and the like.

    Only files whose tree is known to be shallow are compiled; nothing is executed.
    """
    if file.tree is None:
        return Diagnostic("invalid-syntax", file.unreadable, file.path, 1, 1, 1, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(file.text, "submission", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = error.lineno or 1
        return Diagnostic("invalid-syntax", error.msg, file.path, line, error.offset or 1, line, error.offset or 1)
    except (MemoryError, RecursionError, ValueError, OverflowError):
        return None
    return None


def _lowered(message: str) -> str:
    """A message as the second half of a sentence."""
    message = message.rstrip(".")
    return message[:1].lower() + message[1:] if message[1:2].islower() else message


def _cut_off(file: PythonFile, first: Diagnostic) -> str:
    """What the text ends in the middle of, in words; empty where it does not end there."""
    lines = file.text.rstrip().split("\n")
    line = (re.findall(r"\(line (\d+)\)", file.unreadable) or [""])[-1]
    if file.unreadable.startswith("unterminated triple-quoted"):
        return f"a string that begins on line {line}"
    if first.line < len(lines):
        return ""
    if "was never closed" in file.unreadable:
        return f"the brackets that line {line} opens"
    if file.unreadable.startswith("unterminated string"):
        return "a string"
    if file.unreadable.startswith("expected an indented block"):
        return "a definition or block that has no body yet"
    beyond = first.line > len(lines) or first.column > len(lines[-1].rstrip())
    return "a statement" if beyond and file.unreadable.startswith("invalid syntax") else ""
