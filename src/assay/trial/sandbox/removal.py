"""Removing what a hostile program left behind."""

from __future__ import annotations

# works by descriptors, which pathlib does not know
# ruff: noqa: PTH101, PTH106, PTH208
import errno
import os
import stat
from pathlib import Path


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that lies in it, however deep it is nested and whatever its modes; follow no link.

    Folders within folders are moved up to the top one by one, so no path gets long and few descriptors are open.
    Nothing may be running in it any more. A folder that is missing is no error.

    Raises:
        OSError: Something could not be removed.
    """
    try:
        top = _opened(str(folder), None)
    except FileNotFoundError:
        return
    try:
        moved = 0
        while names := os.listdir(top):
            for name in names:
                try:
                    os.unlink(name, dir_fd=top)
                except (IsADirectoryError, PermissionError):
                    moved = _emptied(name, top, moved)
                    os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(folder)


def _emptied(name: str, top: int, moved: int) -> int:
    """Unlink the files of a folder in `top`, and move its folders up to it; how many were moved so far."""
    inner = _opened(name, top)
    try:
        for child in os.listdir(inner):
            if stat.S_ISDIR(os.stat(child, dir_fd=inner, follow_symlinks=False).st_mode):
                # a folder that is not writable cannot be moved, because that changes its ".."
                os.close(_opened(child, inner))
                moved = _moved(child, inner, top, moved)
            else:
                os.unlink(child, dir_fd=inner)
    finally:
        os.close(inner)
    return moved


def _moved(child: str, inner: int, top: int, moved: int) -> int:
    while True:
        moved += 1
        try:
            os.rename(child, f".removed-{moved}", src_dir_fd=inner, dst_dir_fd=top)
        except OSError as error:
            # the name is taken: the next one
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            return moved


def _opened(name: str, within: int | None) -> int:
    """A folder, made listable and writable first, and never by way of a link."""
    handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=within)
    try:
        path = f"/proc/self/fd/{handle}"
        if stat.S_IMODE(os.fstat(handle).st_mode) & 0o700 != 0o700:
            os.chmod(path, 0o700)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(handle)
