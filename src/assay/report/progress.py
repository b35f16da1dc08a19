"""What standard error says of a review at work: a bar for several submissions, a line for each step of a rehearsal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Callable[[Any], None]]:
    """What to call after each of `total` reviews. It shows something only where a person is watching."""
    if total < 2 or quiet or not sys.stderr.isatty():
        yield lambda answer: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reviewing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda answer: bar.advance(task)


def tell_of_rehearsal(path: str, text: str) -> None:
    """Say in one line what a rehearsal does now."""
    from assay.report.styled_text import visible

    print(visible(f"assay: {path}: {text}"), file=sys.stderr, flush=True)
