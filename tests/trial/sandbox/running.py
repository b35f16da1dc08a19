"""Which processes of the machine carry a mark in their command line."""

from __future__ import annotations

import time
from pathlib import Path


def marked(mark: str) -> list[int]:
    """Processes that run now and have the mark in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in line:
                found.append(int(folder.name))
    return found


def none_marked(mark: str, seconds: float = 10) -> bool:
    """Whether none runs, or all that do end within some seconds."""
    end = time.monotonic() + seconds
    while marked(mark):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
