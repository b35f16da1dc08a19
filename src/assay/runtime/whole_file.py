"""Files that are replaced as a whole, so that a kill or a full disk leaves the one before."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from assay.runtime.errors import ExperimentError


def replace_file(path: Path, text: str) -> None:
    """Write a text to the disk, and only then put it in the place of what was there.

    Args:
        path: The file. Its folder is made where it is missing.
        text: The whole content.

    Raises:
        ExperimentError: It cannot be written; the file before is unharmed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ExperimentError(
            f"{path}: cannot be written: {error.strerror or error}; mend that, then start again"
        ) from error
