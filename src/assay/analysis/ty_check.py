"""What ty says of a submission's Python files in an environment.

ty runs as a program on a private copy. No settings of the submission are obeyed, and the comments that would silence
ty are made unreadable in the copy. ty reads the environment and executes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from assay.analysis.environment import Environment
from assay.errors import InputError

TIMEOUT_SECONDS = 60
MEMORY_BYTES = 12 * 2**30  # of address space; a torch environment takes below 1 GiB of memory
RULES = (
    "unresolved-import", "unresolved-attribute", "unknown-argument", "missing-argument",
    "too-many-positional-arguments",
)  # fmt: skip
# `# ty: ignore`, `# type: ignore`, and the header that makes a file a script of its own
_SILENCING = re.compile(r"(#[^\n]*?\b(?:ty|type)\s*:\s*)ignore|^(#\s*///\s*)script", re.IGNORECASE | re.MULTILINE)


class TypeReport(NamedTuple):
    """One line of ty's report. Places count from 1, columns in characters."""

    rule: str
    message: str
    file: str
    line: int
    column: int
    end_line: int
    end_column: int


class TyCheck:
    """A ty process on the Python files of a submission; it starts at once and is waited for when asked."""

    def __init__(self, files: Mapping[str, str], environment: Environment, minor: int | None = None) -> None:
        """Start ty.

        Args:
            files: Path to text.
            environment: Where the submission would run.
            minor: Minor version of the Python 3 to assume, instead of the environment's.

        Raises:
            InputError: where ty is not installed.
        """
        self.failure = ""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._answer: list[TypeReport] | None = None
        if not files:
            self._answer = []
            return
        program = find_ty()
        if program is None:
            raise InputError("an environment is read with the program ty: pip install 'assay[env]'")
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="assay-ty-")
            root = Path(self._folder.name) / "submission"
            root.mkdir()
            for path, text in files.items():
                copy = root / PurePosixPath(path)
                if not copy.resolve().is_relative_to(root.resolve()):
                    continue
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(_SILENCING.sub(_unreadable, text), encoding="utf-8", errors="replace")
        except (OSError, ValueError) as error:
            self._fail(f"the files could not be copied for ty: {getattr(error, 'strerror', None) or error}")
            return
        version = minor if minor is not None else environment.minor
        command = [
            program, "check", "--project", str(root), "--python", str(environment.folder), "--exit-zero",
            "--no-progress", "--output-format", "gitlab", "--color", "never",
            "--no-respect-ignore-files", "--ignore", "all",
            *(word for rule in RULES for word in ("--error", rule)),
            "-c", "analysis.respect-type-ignore-comments=false", "-c", 'environment.root=["."]',
            *(("--python-version", f"3.{version}") if version is not None else ()),
        ]  # fmt: skip
        # the caller's own settings for ty would be found in the home folder
        home = self._folder.name
        surroundings = {
            "PATH": os.environ.get("PATH", ""), "HOME": home, "XDG_CONFIG_HOME": home, "TY_MAX_PARALLELISM": "4",
        }  # fmt: skip
        try:
            self._process = subprocess.Popen(
                command, cwd=root, env=surroundings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            self._fail(f"ty could not be started: {error.strerror or error}")
            return
        if hasattr(resource, "prlimit"):
            with contextlib.suppress(OSError, ValueError):
                resource.prlimit(self._process.pid, resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    @property
    def reports(self) -> list[TypeReport]:
        """The report. Empty with `failure` set where ty gave none."""
        if self._answer is None:
            self._answer = self._collect()
            self.close()
        return self._answer

    def close(self) -> None:
        """End ty if it still runs, and remove the copy."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _fail(self, reason: str) -> list[TypeReport]:
        self.failure = reason
        self._answer = []
        return []

    def _collect(self) -> list[TypeReport]:
        assert self._process is not None
        try:
            output, _ = self._process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return self._fail(f"ty did not answer within {TIMEOUT_SECONDS} s")
        if self._process.returncode:
            return self._fail(f"ty ended with status {self._process.returncode}")
        try:
            return [_report(row) for row in json.loads(output)]
        except (ValueError, KeyError, TypeError):
            return self._fail("ty's answer could not be read")


def find_ty() -> str | None:
    """The ty program: the one installed beside this interpreter, else the one on the path."""
    beside = Path(sys.executable).parent / "ty"
    return str(beside) if os.access(beside, os.X_OK) else shutil.which("ty")


def _report(row: dict[str, object]) -> TypeReport:
    location = row["location"]
    assert isinstance(location, dict)
    begin, end = location["positions"]["begin"], location["positions"]["end"]
    rule, message = str(row["check_name"]), str(row["description"])
    return TypeReport(
        rule, message.removeprefix(f"{rule}: "), str(location["path"]),
        begin["line"], begin["column"], end["line"], end["column"],
    )  # fmt: skip


def _unreadable(match: re.Match[str]) -> str:
    """The same text, just as long, with the word that counts spoilt."""
    if match.group(1) is not None:
        return f"{match.group(1)}ign_re"
    return f"{match.group(2)}scr_pt"
