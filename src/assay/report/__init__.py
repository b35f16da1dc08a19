"""Verdicts for people and machines: text, JSON, SARIF, GitHub annotations."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from assay.errors import InputError
from assay.finding import Severity
from assay.verdict import Verdict

# Each module has `render(verdicts, severity) -> str`.
_MODULES = {"text": "text_report", "json": "json_report", "sarif": "sarif_report", "github": "github_report"}


def emit(
    verdicts: Sequence[Verdict],
    form: str,
    output: Path | None,
    severity: Severity,
    *,
    verbose: bool = False,
    quiet: bool = False,
    unreadable: int = 0,
) -> None:
    """Write a report to a file, or to standard output where none is named.

    Args:
        verdicts: What to report.
        form: `text`, `json`, `sarif` or `github`.
        output: The file to write.
        severity: The least weight of the findings that are shown.
        verbose: Whether the text shows the table of requirements.
        quiet: Whether the text is one line a finding.
        unreadable: How many submissions got no verdict.

    Raises:
        InputError: where the file cannot be written.
    """
    if form == "text":
        from assay.report.text_report import PIPE_WIDTH, concise_lines, report_lines

        if quiet:
            lines = concise_lines(verdicts, severity)
        else:
            width = (terminal_width() if output is None else None) or PIPE_WIDTH
            lines = report_lines(verdicts, severity, width=width, verbose=verbose, unreadable=unreadable)
        write_lines(lines, output)
        return
    options = {"several": len(verdicts) + unreadable > 1} if form == "json" else {}
    write(importlib.import_module(f"assay.report.{_MODULES[form]}").render(verdicts, severity, **options), output)
    if form == "github" and (summary := os.environ.get("GITHUB_STEP_SUMMARY")):
        from assay.report.github_report import step_summary

        _append(Path(summary), step_summary(verdicts))


def terminal_width() -> int | None:
    """The columns of the terminal that standard output is, at most 120; None where it is none."""
    import shutil

    if not sys.stdout.isatty():
        return None
    return max(60, min(120, shutil.get_terminal_size((100, 24)).columns))


def write_lines(lines: Iterable[Sequence[tuple[str, str]]], output: Path | None = None) -> None:
    """Write styled lines, with colours where standard output takes them."""
    from assay.report.styled_text import coloured, plain, wants_colour

    text = coloured(lines) if output is None and wants_colour(sys.stdout) else plain(lines)
    write(text if output or os.environ.get("GITHUB_ACTIONS") != "true" else _without_commands(text), output)


def write(text: str, output: Path | None = None) -> None:
    """Write text to a file, or to standard output; a reader that closes its end of a pipe is no error.

    Raises:
        InputError: where the file, or standard output, cannot be written.
    """
    if output is not None:
        try:
            output.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise InputError(f"{output}: {error.strerror or error}") from None
        return
    try:
        sys.stdout.buffer.write(text.encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
        sys.stdout.flush()
    except OSError as error:
        # what Python would still flush at its end goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise InputError(f"standard output: {error.strerror or error}") from None


def write_page(text: str, output: Path | None = None) -> None:
    """Write Markdown: rendered where standard output is a terminal, as it is elsewhere."""
    from assay.report.styled_text import wants_colour

    if output is None and sys.stdout.isatty() and wants_colour(sys.stdout):
        from rich.console import Console
        from rich.markdown import Markdown

        console = Console(width=terminal_width(), force_terminal=True)
        with console.capture() as capture:
            console.print(Markdown(text))
        text = capture.get()
    write(text, output)


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _without_commands(text: str) -> str:
    """`text` for the log of a GitHub job, in which a line that begins with `::` would be a command."""
    import secrets

    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{text}::{token}::\n"
