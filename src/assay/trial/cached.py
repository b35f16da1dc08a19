"""The environments that Assay keeps: what there is, who uses it, and what is given up to keep within a size."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from assay.analysis.environment import NOTES
from assay.analysis.resolution import cache_folder

# What the cache may hold before the environments that were not used for longest are given up.
MOST_BYTES = 40_000_000_000
# Held as long as this process lives; the kernel lets go of them when it ends, however it ends.
_held: dict[Path, IO[str]] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One environment in the cache.

    Args:
        path: Its folder.
        packages: How many distributions it holds.
        bytes: Size of its files. Those that uv's own cache holds as well take their place on the disk only once.
        last_used: When it was last used, in seconds since 1970.
        in_use: Whether some process uses it now.
    """

    path: Path
    packages: int
    bytes: int
    last_used: float
    in_use: bool


def entries(cache: Path | None = None) -> list[Entry]:
    """The environments in the cache, the one used last first.

    Args:
        cache: The cache, instead of `cache_folder()`.
    """
    found: list[Entry] = []
    for path in _kept(cache or cache_folder()):
        with contextlib.suppress(OSError):
            packages = len({item.name for item in path.glob("lib/python3.*/site-packages/*.dist-info")})
            packages = packages or len(list(path.glob("*.dist-info")))
            found.append(Entry(path, packages, _size(path), _mark(path).stat().st_mtime, _is_used(path)))
    return sorted(found, key=lambda entry: (-entry.last_used, entry.path))


def prune(max_bytes: int = MOST_BYTES, cache: Path | None = None) -> list[Entry]:
    """Give up the environments that were not used for longest, until the others keep within a size.

    None that is in use is touched. What killed processes left half-built is removed as well.

    Args:
        max_bytes: The size; 0 gives up all that is not in use.
        cache: The cache, instead of `cache_folder()`.

    Returns:
        What was given up.

    Raises:
        OSError: where the cache cannot be written.
    """
    folder = cache or cache_folder()
    sweep(folder)
    present = entries(folder)
    total = sum(entry.bytes for entry in present)
    gone: list[Entry] = []
    for entry in reversed(present):
        if total <= max_bytes:
            break
        if not entry.in_use and _give_up(entry.path):
            total -= entry.bytes
            gone.append(entry)
    return gone


def sweep(cache: Path) -> None:
    """Remove what is half-built and nobody is building any more."""
    for left in (cache / "environments").glob(".*-*"):
        name = left.name[1:].rpartition("-")[0]
        with contextlib.suppress(OSError), (left.parent / f"{name}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)


def hold(path: Path) -> bool:
    """Keep an environment from being given up as long as this process lives, and note that it was used.

    Args:
        path: Its folder in the cache.

    Returns:
        Whether it is there, complete.

    Raises:
        OSError: where the cache cannot be written.
    """
    if path not in _held:
        file = _mark(path).open("a")
        fcntl.flock(file, fcntl.LOCK_SH)
        _held[path] = file
    if not (path / NOTES).is_file():
        _held.pop(path).close()
        return False
    os.utime(_mark(path))
    return True


def measured(folder: Path) -> int:
    """Bytes of the files in a folder; links count nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                state = os.lstat(f"{parent}/{name}")
                total += state.st_size
    return total


def _kept(cache: Path) -> Iterator[Path]:
    for notes in sorted((cache / "environments").glob(f"*/{NOTES}")):
        # made by a review before there were marks
        if not _mark(notes.parent).exists():
            with contextlib.suppress(OSError):
                _mark(notes.parent).touch()
                os.utime(_mark(notes.parent), (notes.stat().st_atime, notes.stat().st_mtime))
        yield notes.parent


def _mark(path: Path) -> Path:
    """The file whose lock says that an environment is used, and whose time says when it was."""
    return path.with_name(f"{path.name}.use")


def _size(path: Path) -> int:
    """Its size as it was noted when it was built, since walking through it takes a while."""
    try:
        return int(json.loads((path / NOTES).read_text(encoding="utf-8"))["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return measured(path)


def _is_used(path: Path) -> bool:
    with _mark(path).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _give_up(path: Path) -> bool:
    with _mark(path).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        # moved first, so that nobody finds half of it
        doomed = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        path.rename(doomed / "environment")
        shutil.rmtree(doomed, ignore_errors=True)
        # mark and lock stay: whoever has them open would lock what nobody else sees
    return True
