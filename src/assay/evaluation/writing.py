"""Result files that are there whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from assay.runtime.errors import ExperimentError


def write_whole(path: Path, content: str | bytes) -> None:
    """Puts a file in its place in one step.

    The content goes to a hidden file beside it first, so that a process that is killed leaves the earlier file or the
    new one. The hidden file's name is always the same: what a killed process left is overwritten by the next.

    Args:
        path: The file; its folder is made where it is missing.
        content: The whole of it; text is written as UTF-8 with the line ends it has.

    Raises:
        ExperimentError: The disk is full, or the file may not be written. An earlier file is as it was.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            # a full disk may show only here, and a rename must not overtake the content
            os.fsync(file.fileno())
        os.replace(partial, path)  # noqa: PTH105 - the name that says it is atomic
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise ExperimentError(
            f"{path}: cannot be written ({error.strerror}). Files written earlier are whole; "
            f"{_REMEDIES.get(error.errno or 0, 'make the folder writable')} and evaluate again."
        ) from error


_REMEDIES = {errno.ENOSPC: "free some space", errno.EDQUOT: "free some space", errno.EFBIG: "raise the size limit"}


def json_text(value: object) -> str:
    """JSON that every reader takes, the same for the same value.

    Args:
        value: Mappings, sequences, texts, numbers, None. Anything else is written as its text.

    Returns:
        Indented JSON with a line end. Numbers that are not finite are written as `"NaN"`, `"Infinity"` and
        `"-Infinity"`, as the tracker does.
    """
    return json.dumps(_plain(value), indent=2, allow_nan=False) + "\n"


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


@contextmanager
def only_evaluation(folder: Path) -> Iterator[None]:
    """Keeps a second evaluation from writing the same results at the same time.

    The lock is the kernel's and goes with the process, however that ends; no file is left for it.

    Args:
        folder: Folder of the comparison; made where it is missing.

    Raises:
        ExperimentError: Another evaluation is at work on it, or the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise ExperimentError(f"{folder}: cannot be made ({error.strerror}); make its parent writable.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ExperimentError(f"{folder}: another evaluation is writing here; wait for its end.") from None
        except OSError:
            # a file system without locks: two evaluations at once are then the caller's to avoid
            pass
        yield
    finally:
        os.close(handle)
