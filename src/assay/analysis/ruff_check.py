"""What ruff is certain of: syntax for the interpreter that the submission asks for, and undefined names.

ruff runs as a program on a private copy of the files, with settings and suppressions inside the submission
switched off.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

TIMEOUT_SECONDS = 60
OLDEST, NEWEST = 7, 14  # the Python 3 minor versions that ruff's --target-version knows


class Diagnostic(NamedTuple):
    """One line of ruff's report. `code` is `invalid-syntax` or a rule such as `F821`; places count from 1."""

    code: str
    message: str
    file: str
    line: int
    column: int
    end_line: int
    end_column: int


class RuffCheck:
    """A ruff process on the Python files of a submission; it starts at once and is waited for when asked."""

    def __init__(self, files: Mapping[str, str], minor: int | None) -> None:
        """Start ruff.

        Args:
            files: Path to text.
            minor: Minor version of the Python 3 that the files are for; None leaves it to ruff.
        """
        self.failure = ""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._paths: dict[str, str] = {}
        self._answer: list[Diagnostic] | None = None
        if not files:
            self._answer = []
            return
        program = find_ruff()
        if program is None:
            self._fail("ruff is not installed")
            return
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="assay-ruff-")
            # numbered names: nothing that the submission names reaches a path or a command line
            for number, (path, text) in enumerate(files.items()):
                copy = Path(self._folder.name) / f"{number}.py"
                copy.write_text(text, encoding="utf-8", errors="replace")
                self._paths[copy.name] = path
        except OSError as error:
            self._fail(f"the files could not be copied for ruff: {error.strerror or error}")
            return
        command = [
            program, "check", "--isolated", "--no-cache", "--ignore-noqa", "--quiet", "--exit-zero",
            "--select", "F821,F822", "--output-format", "json",
        ]  # fmt: skip
        if minor is not None:
            command += ["--target-version", f"py3{min(max(minor, OLDEST), NEWEST)}"]
        try:
            self._process = subprocess.Popen(
                [*command, "."], cwd=self._folder.name, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            self._fail(f"ruff could not be started: {error.strerror or error}")

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """The report. Empty with `failure` set where ruff gave none."""
        if self._answer is None:
            self._answer = self._collect()
            self.close()
        return self._answer

    def close(self) -> None:
        """End ruff if it still runs, and remove the copy."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _fail(self, reason: str) -> list[Diagnostic]:
        self.failure = reason
        self._answer = []
        return []

    def _collect(self) -> list[Diagnostic]:
        assert self._process is not None
        try:
            output, _ = self._process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return self._fail(f"ruff did not answer within {TIMEOUT_SECONDS} s")
        if self._process.returncode:
            return self._fail(f"ruff ended with status {self._process.returncode}")
        try:
            rows = json.loads(output)
        except ValueError:
            return self._fail("ruff's answer could not be read")
        return [
            Diagnostic(
                row["code"] or "invalid-syntax", row["message"], self._paths[Path(row["filename"]).name],
                row["location"]["row"], row["location"]["column"],
                row["end_location"]["row"], row["end_location"]["column"],
            )
            for row in rows
        ]  # fmt: skip


def find_ruff() -> str | None:
    """The ruff program: the one installed beside this interpreter, else the one on the path."""
    beside = Path(sys.executable).parent / "ruff"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("ruff")


_PYTHON_BOUND = re.compile(r"(>=|>|==|~=|<=|<|!=)\s*3(?:\.(\d+)(?:\.(\d+))?)?")


def python_range(requires: str | None, pinned: str | None = None) -> tuple[int | None, int | None]:
    """The lowest and highest minor version of Python 3 that a submission may run under.

    Args:
        requires: Its `requires-python`.
        pinned: The content of its `.python-version`, which wins.

    Returns:
        Two minor versions; None where that side is open.
    """
    match = re.match(r"\s*(?:cpython-?@?)?3\.(\d+)", pinned or "")
    if match:
        return int(match.group(1)), int(match.group(1))
    low: int | None = None
    high: int | None = None
    for operator, digits, patch in _PYTHON_BOUND.findall(requires or ""):
        if not digits:
            continue
        minor = int(digits)
        if operator in (">=", "~=", "==", ">"):
            low = max(low or 0, minor)
        if operator in ("==",):
            high = minor
        if operator in ("<",):
            # `<3.12.5` admits 3.12.4
            high = min(high if high is not None else 99, minor if int(patch or 0) else minor - 1)
        if operator in ("<=",):
            high = min(high if high is not None else 99, minor)
    return low, high
