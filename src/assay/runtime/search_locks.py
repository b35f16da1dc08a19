"""Locks of the workers of a search that share a file system; the kernel lifts them when their process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import uuid
from collections.abc import Iterator
from pathlib import Path


class SearchLocks:
    """Locks on single bytes of a file, of which only the locks matter and never the content.

    Byte 0 is the turn, byte n the trial whose id in the storage is n (they begin at 1). They are POSIX record locks
    (fcntl(2)), which SQLite itself relies on. Child processes do not inherit them, so that a data loader that outlives
    its parent holds none. A process has one `SearchLocks` on a file at a time, as closing one lifts the locks of both.

    Args:
        path: The lock file; it is made where it is missing.

    Attributes:
        place: Equal where two processes see each other's locks; unlike any other where the file system has no locks.
            Nothing is locked then, and every trial counts as unlocked.
    """

    def __init__(self, path: Path) -> None:
        self._file: int | None = None
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            self.is_held(0)
            status = os.fstat(self._file)
            self.place = f"{platform.node()} {status.st_dev}:{status.st_ino}"
        except OSError:
            self.close()
            self.place = f"no locks {uuid.uuid4()}"

    def close(self) -> None:
        """Lifts all locks."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Lets one process at a time go on."""
        self._lock(fcntl.LOCK_EX, 0)
        try:
            yield
        finally:
            self._lock(fcntl.LOCK_UN, 0)

    def hold(self, trial: int) -> None:
        """Shows others that this process runs a trial. A trial that has ended needs no lock, and may keep it."""
        self._lock(fcntl.LOCK_EX, trial)

    def is_held(self, trial: int) -> bool:
        """Whether another process runs a trial. Asked for a trial of this process, it lifts the lock."""
        try:
            self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB, trial)
        except (BlockingIOError, PermissionError):
            return True
        self._lock(fcntl.LOCK_UN, trial)
        return False

    def _lock(self, command: int, byte: int) -> None:
        if self._file is not None:
            fcntl.lockf(self._file, command, 1, byte)
