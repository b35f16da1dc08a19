"""Doing something in a process that the kernel ends when it takes too long."""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable

# A guard against what does not end, or grows with the square of its input: far above what anything here takes.
SECONDS = 60


def ends(work: Callable[[], object]) -> None:
    """Do some work in a process of its own, and fail if it raises or takes a minute of processor time."""
    process = multiprocessing.get_context("fork").Process(target=_limited, args=(work,))
    process.start()
    process.join()
    assert process.exitcode == 0, f"it ended with {process.exitcode}"


def _limited(work: Callable[[], object]) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    work()
