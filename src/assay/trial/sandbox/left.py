"""Reading what a hostile program left behind."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath


def read_left(folder: Path, path: str, most: int, *, end: bool = False) -> bytes:
    """Some bytes of a file that a boxed program may have put there, instead of which it may have put anything.

    A link would lead to the caller's own files, a pipe would keep the caller waiting: neither is opened.

    Args:
        folder: Where it lies; a folder that no boxed program could replace, such as a writable one itself.
        path: Path of the file below the folder.
        most: How many bytes at most.
        end: Whether they are the last ones, not the first.

    Raises:
        OSError: There is no such file, something on the way to it is no folder, or it is no plain file.
    """
    *ways, name = PurePosixPath(path).parts
    if ".." in (*ways, name) or PurePosixPath(path).is_absolute():
        raise OSError(f"not below the folder: {path}")
    plain = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    held = os.open(folder, plain | os.O_DIRECTORY)
    try:
        for way in ways:
            inner = os.open(way, plain | os.O_DIRECTORY, dir_fd=held)
            os.close(held)
            held = inner
        file = os.open(name, plain | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=held)
    finally:
        os.close(held)
    with os.fdopen(file, "rb") as opened:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"not a plain file: {path}")
        if end:
            opened.seek(max(0, status.st_size - most))
        return opened.read(most)
