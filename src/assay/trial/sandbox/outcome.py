"""What a boxed program may use, how it ended, and what kept it in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["bubblewrap", "namespaces", "limits"]
Broke = Literal["", "time", "memory", "disk", "output", "processes", "stopped"]

GIGABYTE = 10**9


class BoxError(RuntimeError):
    """The box could not be made, or its keeper died; the program did not run, or nothing is known of how it ended."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a boxed program, with all that it starts, may use.

    Args:
        seconds: Time on the clock, from its start.
        memory: Bytes resident at once, over all its processes; what they share counts once.
        processes: Processes at once. With their threads they may be 8 times as many.
        file_size: Bytes of the longest file that it may write; longer writes fail with `EFBIG`.
        disk: Bytes on disk below the writable folders, together, with what was there before.
        output: Bytes kept of each of stdout and stderr; a program that writes more is ended.
        files: Files and folders below the writable folders, together.
        open_files: Files that each process may hold open.
    """

    seconds: float
    memory: int = 8 * GIGABYTE
    processes: int = 256
    file_size: int = 4 * GIGABYTE
    disk: int = 8 * GIGABYTE
    output: int = 64 * 10**6
    files: int = 200_000
    open_files: int = 8192


@dataclass(frozen=True, slots=True)
class Isolation:
    """What keeps a program in.

    Args:
        kind: `bubblewrap`, `namespaces` (the same, made by assay itself), or `limits` (resource limits alone).
        gaps: What this kind does not stop, each as a clause for people. Empty for the first two.
    """

    kind: Kind
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a boxed program ended.

    Args:
        status: Its exit status; None where a signal or the keeper ended it.
        signal: Number of the signal that ended it; None where it exited. A status of 129 to 192 under bubblewrap is
            read as a signal, because bubblewrap tells the two no further apart than a shell does.
        seconds: Time on the clock from its start to the end of the last of its processes.
        cpu_seconds: Processor time of all its processes.
        peak_memory: Most bytes that were resident at once, as far as looking every few hundredths of a second shows.
        broke: Which limit ended it: `""` for none, `stopped` where the caller asked for it.
        isolation: What kept it in.
    """

    status: int | None
    signal: int | None
    seconds: float
    cpu_seconds: float
    peak_memory: int
    broke: Broke
    isolation: Isolation
