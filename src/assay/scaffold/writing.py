"""Writing a new folder so that it is there as a whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from assay.errors import InputError


def place_of(folder: Path) -> Path:
    """The absolute path of a folder, with links followed.

    Raises:
        InputError: where links lead in a circle, or no system takes such a path.
    """
    try:
        return folder.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{str(folder)!r}: {_reason(error)}; nothing was written") from None


def write_folder(folder: Path, files: Mapping[str, str]) -> None:
    """Write files into a new or empty folder; the folders above it are made where they are missing.

    Everything is written into a temporary folder beside what will be new, and moved by renaming. A new folder appears
    by one rename; in an empty one each of its entries does, since the folder itself may be a mount point, or the one
    that the caller's shell stands in.

    Args:
        folder: Where to write.
        files: Relative path to text.

    Raises:
        InputError: where something is there already, or the file system refuses; then nothing has changed.
    """
    place = place_of(folder)
    try:
        _check_is_free(place, folder)
        _write(place, files)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: {_reason(error)}; nothing was written") from None


def _check_is_free(place: Path, folder: Path) -> None:
    if not place.is_dir():
        if place.exists():
            raise InputError(f"{folder}: there already, and no folder; choose another name")
        return
    held = min((entry.name for entry in place.iterdir()), default=None)
    if held is not None:
        raise InputError(f"{folder}: there already, and not empty (it holds {held!r}); choose another name")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    present = next(path for path in (folder, *folder.parents) if path.exists())
    stage = Path(tempfile.mkdtemp(prefix=".assay-new-", dir=present))
    moved: list[Path] = []
    try:
        for name, text in files.items():
            path = stage / folder.relative_to(present) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        for entry in sorted(stage.iterdir()):
            target = present / entry.name
            entry.rename(target)
            moved.append(target)
    except BaseException:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
