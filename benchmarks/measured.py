"""A command measured from outside: wall time, and the peak memory of the process and all its children."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INTERVAL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one call of a command took.

    Args:
        seconds: Wall time from start to end.
        peak_bytes: Largest sum of resident memory over the process tree, sampled every 5 ms (Linux; else 0).
        status: Exit status.
        output: Standard output.
    """

    seconds: float
    peak_bytes: int
    status: int
    output: str


def measure(command: Sequence[str], *, cwd: Path | None = None) -> Measurement:
    """Run a command and measure it."""
    peak = 0
    ended = threading.Event()
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def watch() -> None:
        nonlocal peak
        while not ended.wait(INTERVAL_SECONDS):
            peak = max(peak, _resident(process.pid))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - begin
    ended.set()
    watcher.join()
    return Measurement(seconds, peak, process.returncode, output)


def _resident(root: int) -> int:
    page = os.sysconf("SC_PAGE_SIZE")
    total, pending = 0, [root]
    while pending:
        folder = Path("/proc") / str(pending.pop())
        try:
            total += int((folder / "statm").read_text().split()[1]) * page
            for task in (folder / "task").iterdir():
                pending += map(int, (task / "children").read_text().split())
        except (OSError, IndexError, ValueError):
            continue
    return total


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headings, columns aligned; numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(headings), *cells]) for column in range(len(headings))]
    for line in [list(headings), ["-" * width for width in widths], *cells]:
        print("  ".join(_aligned(text, width) for text, width in zip(line, widths, strict=True)).rstrip())


def _aligned(text: str, width: int) -> str:
    return text.rjust(width) if text[:1].isdigit() else text.ljust(width)


def write_json(path: Path | None, value: Any) -> None:
    """Write what was measured, if a file was named for it."""
    if path is not None:
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
