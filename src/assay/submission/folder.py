"""Reading a submission from a folder, without following a link out of it and without running anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from assay.errors import InputError
from assay.submission import limits
from assay.submission.record import SourceFile

# Folders that hold no part of a submission: version control, environments, caches.
SKIPPED_FOLDERS = frozenset(
    {
        ".git", ".hg", ".svn", ".venv", "venv", "__pycache__", "node_modules", ".cache", ".uv", ".tox", ".nox",
        ".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints",
    }
)  # fmt: skip


def read_folder(root: Path) -> dict[str, SourceFile]:
    """All files below `root`, by relative path.

    Raises:
        InputError: where the folder cannot be read whole: too many or too large files, a link that leads out,
            something that is not a file, or a source file that is not text.
    """
    files: dict[str, SourceFile] = {}
    total = 0
    top = root.resolve()
    for path, relative in _walk(root):
        if len(files) >= limits.MAX_FILES:
            raise InputError(f"{root}: more than {limits.MAX_FILES:,} files; name the folder of the experiment alone")
        file = _read(path, relative, top)
        total += file.size if file.text is not None else 0
        if total > limits.MAX_TOTAL_BYTES:
            raise InputError(f"{root}: more than {limits.MAX_TOTAL_BYTES:,} bytes of source text")
        files[relative] = file
    return dict(sorted(files.items()))


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    pending = [(root, "")]
    folders = 0
    while pending:
        folder, prefix = pending.pop()
        folders += 1
        if folders > limits.MAX_FILES or prefix.count("/") > limits.MAX_NESTING:
            raise InputError(f"{root}: more than {limits.MAX_FILES:,} folders, or folders nested too deeply")
        try:
            with os.scandir(folder) as entries:
                found = []
                for entry in entries:
                    found.append((entry.name, entry.is_dir(follow_symlinks=False)))
                    if len(found) > limits.MAX_FILES:
                        raise InputError(
                            f"{folder}: more than {limits.MAX_FILES:,} files; name the folder of the experiment alone"
                        )
        except OSError as error:
            raise InputError(f"{folder}: {error.strerror or error}") from None
        for name, is_folder in sorted(found):
            relative = prefix + name
            if not relative.isprintable():
                raise InputError(f"{relative!r}: a file name with characters that cannot be printed")
            if not is_folder:
                yield folder / name, relative
            elif name not in SKIPPED_FOLDERS:
                pending.append((folder / name, f"{relative}/"))


def _read(path: Path, relative: str, top: Path) -> SourceFile:
    try:
        if path.is_symlink():
            target = path.resolve()
            if not target.is_relative_to(top):
                raise InputError(f"{relative}: a symbolic link that leads out of the submission")
            if SKIPPED_FOLDERS.intersection(target.relative_to(top).parts[:-1]):
                raise InputError(f"{relative}: a symbolic link into a folder that is no part of the submission")
            if not target.is_file():
                raise InputError(f"{relative}: a symbolic link to something that is not a file of the submission")
            path = target
        # O_NONBLOCK: opening a pipe must not wait for its other end; O_NOFOLLOW: no link may appear meanwhile.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise InputError(f"{relative}: not a regular file")
            if not limits.is_text(relative):
                return SourceFile(relative, None, status.st_size)
            if status.st_size > limits.MAX_FILE_BYTES and not limits.is_code(relative):
                return SourceFile(relative, None, status.st_size)
            data = stream.read(limits.MAX_FILE_BYTES + 1)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{relative}: {getattr(error, 'strerror', None) or error}") from None
    return source_file(relative, data, max(status.st_size, len(data)))


def source_file(relative: str, data: bytes, size: int) -> SourceFile:
    """A file from its bytes. Code must be readable text; other text that is not is listed unread."""
    if size > limits.MAX_FILE_BYTES:
        if limits.is_code(relative):
            raise InputError(
                f"{relative}: {size:,} bytes, more than the {limits.MAX_FILE_BYTES:,} that one file may have"
            )
        return SourceFile(relative, None, size)
    try:
        text = limits.decode(relative, data)
        limits.check_nesting(relative, text)
    except InputError:
        if limits.is_code(relative):
            raise
        return SourceFile(relative, None, size)
    return SourceFile(relative, text, size)
