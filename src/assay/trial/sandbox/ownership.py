"""As whom a boxed program runs, and that what it may write is its own."""

from __future__ import annotations

# works by descriptors, which pathlib does not know
import contextlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from assay.trial.sandbox.view import GID, UID

# folders within one another, beyond which nothing is looked for: a program may nest thousands, its caller does not
_DEEPEST = 64
_READ = stat.S_IROTH
_READ_AND_ENTER = stat.S_IROTH | stat.S_IXOTH


def is_somebody_else(shown: Iterable[Path]) -> bool:
    """Whether the program can be another user than its caller.

    Only root can make it so, and what the program is to read must be readable by everybody. It matters: to the kernel,
    a program of root's is root wherever a file's mode decides, and root's processes are not counted.

    Args:
        shown: Files and folders that the program reads.
    """
    if os.geteuid() != 0 or numbers() <= max(UID, GID):
        return False
    for path in shown:
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        wanted = _READ_AND_ENTER if stat.S_ISDIR(mode) else _READ
        if mode & wanted != wanted:
            return False
    return True


def numbers() -> int:
    """How many users, from 0 on, this process's user namespace knows."""
    return min(_known("uid_map"), _known("gid_map"))


def _known(name: str) -> int:
    with contextlib.suppress(OSError, ValueError), Path(f"/proc/self/{name}").open(encoding="ascii") as file:
        for line in file:
            first, _, count = map(int, line.split())
            if first == 0:
                return count
    return 0


def hand_over(folders: Iterable[Path], uid: int, gid: int) -> None:
    """Give folders, with all that lies in them, to a user. No link is followed, whoever changes things meanwhile.

    Args:
        folders: What a boxed program may write, and boxed programs before it did.
        uid: The user.
        gid: The group.

    Raises:
        OSError: A folder could not be read or given.
    """
    for folder in folders:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _give(handle, uid, gid, _DEEPEST)
        finally:
            os.close(handle)


def _give(folder: int, uid: int, gid: int, deeper: int) -> None:
    if os.fstat(folder).st_uid != uid:
        os.fchown(folder, uid, gid)
    if not deeper:
        return
    for name in os.listdir(folder):
        # another box, which shares the folder, may remove it meanwhile
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                try:
                    _give(inner, uid, gid, deeper - 1)
                finally:
                    os.close(inner)
            elif status.st_uid != uid:
                os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
