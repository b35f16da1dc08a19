"""Reading a submission from a git revision of a working tree or a bare repository, without checking it out."""

from __future__ import annotations

import contextlib
import os
import posixpath
import shutil
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from assay.errors import InputError
from assay.submission import limits
from assay.submission.folder import SKIPPED_FOLDERS, source_file
from assay.submission.record import SourceFile

TIMEOUT_SECONDS = 60
MAX_LISTING_BYTES = 8 * 1024 * 1024
MAX_LINK_BYTES = 4096
MAX_REVISION_LENGTH = 1_000
# What git itself may allocate: a commit or a tag is read whole, and a small file can inflate to gigabytes.
MAX_MEMORY_BYTES = 1024 * 1024 * 1024


def is_bare_repository(path: Path) -> bool:
    """Whether a folder looks like a bare repository and like no submission."""
    return not (path / "src").exists() and (path / "HEAD").is_file() and (path / "objects").is_dir()


def read_revision(path: Path, revision: str) -> dict[str, SourceFile]:
    """All files of `revision`, below `path` where that is a folder inside a working tree.

    Raises:
        InputError: where git is missing, `path` is no repository, the revision does not exist, or a file of it
            cannot be read.
    """
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except (OSError, ValueError) as error:
        raise InputError(f"{str(path)!r}: {getattr(error, 'strerror', None) or error}") from None
    if not exists:
        raise InputError(f"{path}: no such file or folder")
    if not is_folder or _git(path, "rev-parse", "--git-dir").status:
        raise InputError(f"{path}: not a git repository; leave out --rev to review it as it is")
    unknown = InputError(f"{path}: unknown revision {revision[:100]!r}; name a commit, a branch or a tag")
    if "\0" in revision or len(revision) > MAX_REVISION_LENGTH:
        raise unknown
    found = _git(path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    commit = found.output.decode("ascii", "replace").strip()
    if found.status or not commit.isalnum():
        raise unknown
    # --show-prefix is empty at the top of a working tree and in a bare repository
    prefix = _git(path, "rev-parse", "--show-prefix").output.decode("utf-8", "surrogateescape").removesuffix("\n")
    listed = _git(path, "ls-tree", "-r", "-z", "--long", "--full-tree", commit, *([prefix] if prefix else []))
    if len(listed.output) > MAX_LISTING_BYTES:
        raise InputError(f"{path}@{revision}: more than {limits.MAX_FILES:,} files; name the folder of the experiment")
    if listed.status:
        raise InputError(
            f"{path}@{revision}: git cannot list its files (a broken repository, or a partial clone without them); "
            f"git ls-tree -r --long {commit[:12]} says more"
        )
    if prefix and not listed.output:
        raise InputError(f"{path}@{revision}: the revision has no folder {prefix}")
    return _read_entries(path, listed.output, prefix, f"{path}@{revision}")


def _read_entries(path: Path, listing: bytes, prefix: str, name: str) -> dict[str, SourceFile]:
    wanted: dict[str, str] = {}
    links: dict[str, str] = {}
    files: dict[str, SourceFile] = {}
    total = 0
    for entry in listing.split(b"\0"):
        if not entry:
            continue
        meta, _, raw = entry.partition(b"\t")
        mode, kind, blob, size_text = meta.decode("ascii").split()
        relative = raw.decode("utf-8", "surrogateescape").removeprefix(prefix)
        parts = relative.split("/")
        if SKIPPED_FOLDERS.intersection(parts[:-1]):
            continue
        if not relative.isprintable():
            raise InputError(f"{name}: {relative!r}: a file name with characters that cannot be printed")
        if {"", ".", ".."}.intersection(parts) or relative in wanted or relative in links or relative in files:
            raise InputError(f"{name}: {relative!r}: a broken tree, with a name that git does not check out")
        if len(wanted) + len(links) + len(files) >= limits.MAX_FILES:
            raise InputError(f"{name}: more than {limits.MAX_FILES:,} files; name the folder of the experiment")
        size = int(size_text) if size_text.isdigit() else 0
        if mode == "120000":
            if size > MAX_LINK_BYTES:
                raise InputError(f"{relative}: a symbolic link of {size:,} bytes")
            links[relative] = blob
        elif kind != "blob" or not limits.is_text(relative):
            files[relative] = SourceFile(relative, None, size)
        elif size <= limits.MAX_FILE_BYTES:
            total += size
            wanted[relative] = blob
        elif limits.is_code(relative):
            raise InputError(
                f"{relative}: {size:,} bytes, more than the {limits.MAX_FILE_BYTES:,} that one file may have"
            )
        else:
            files[relative] = SourceFile(relative, None, size)
    if total > limits.MAX_TOTAL_BYTES:
        raise InputError(f"{name}: more than {limits.MAX_TOTAL_BYTES:,} bytes of source text")
    contents = _blobs(path, name, [*wanted.values(), *links.values()])
    for relative, blob in {**wanted, **links}.items():
        if blob not in contents and (limits.is_code(relative) or relative in links):
            raise InputError(f"{name}: {relative} is missing from the repository (a partial clone?); fetch it")
    for relative, blob in wanted.items():
        known = contents.get(blob)
        files[relative] = SourceFile(relative, None, 0) if known is None else source_file(relative, known, len(known))
    targets = {relative: contents[blob].decode("utf-8", "replace") for relative, blob in links.items()}
    for relative in links:
        files[relative] = _followed(relative, targets, files)
    return dict(sorted(files.items()))


def _followed(link: str, targets: dict[str, str], files: dict[str, SourceFile]) -> SourceFile:
    """The file of the submission that a symbolic link, or a chain of them, leads to."""
    at = link
    for _ in range(limits.MAX_NESTING):
        if at not in targets:
            break
        target = targets[at]
        at = posixpath.normpath(posixpath.join(posixpath.dirname(at), target))
        if target.startswith("/") or at == ".." or at.startswith("../"):
            raise InputError(f"{link}: a symbolic link that leads out of the submission")
    if at in targets or at not in files:
        raise InputError(f"{link}: a symbolic link to something that is not a file of the submission")
    found = files[at]
    if found.text is None and limits.is_text(link):
        return SourceFile(link, None, found.size)
    return source_file(link, found.text.encode("utf-8"), found.size) if found.text is not None else found


def _blobs(path: Path, name: str, blobs: list[str]) -> dict[str, bytes]:
    """The contents of git objects, read in one call; without those that the repository lacks."""
    contents: dict[str, bytes] = {}
    if not blobs:
        return contents
    wanted = list(dict.fromkeys(blobs))
    answer = _git(path, "cat-file", "--batch", send=("\n".join(wanted) + "\n").encode("ascii"))
    at = 0
    for blob in wanted:
        end = answer.output.find(b"\n", at)
        header = answer.output[at:end].decode("ascii", "replace").split() if end >= 0 else []
        if header[1:] == ["missing"]:
            at = end + 1
            continue
        if len(header) != 3 or not header[2].isdigit() or end + 1 + int(header[2]) > len(answer.output):
            raise InputError(f"{name}: git cannot read object {blob[:12]} (a broken repository)")
        contents[blob] = answer.output[end + 1 : end + 1 + int(header[2])]
        at = end + 1 + int(header[2]) + 1
    return contents


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    output: bytes


def _git(path: Path, *arguments: str, send: bytes = b"") -> _Answer:
    """Run a reading git command: nothing is fetched, and no program that the repository configures is started."""
    program = shutil.which("git")
    if program is None:
        raise InputError("git is not installed; review a folder, or install git to use --rev")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {
        # newer than git 2.44 only; before that, no protocol is left by which a missing object could be fetched
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": os.devnull,
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }
    settings = ["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    most = MAX_LISTING_BYTES if not send else limits.MAX_TOTAL_BYTES + limits.MAX_FILES * (MAX_LINK_BYTES + 100)
    with tempfile.TemporaryFile() as questions:
        questions.write(send)
        questions.seek(0)
        process = subprocess.Popen(
            [program, "--no-pager", "-C", str(path), *settings, *arguments],
            stdin=questions, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True,
        )  # fmt: skip
    assert process.stdout is not None
    _bound_memory(process.pid)
    late = threading.Event()

    def end() -> None:
        late.set()
        _end_group(process.pid)

    timer = threading.Timer(TIMEOUT_SECONDS, end)
    timer.start()
    try:
        with process.stdout as stream:
            output = stream.read(most + 1)
        if len(output) > most:
            _end_group(process.pid)
        status = process.wait()
    finally:
        timer.cancel()
    if late.is_set():
        raise InputError(f"{path}: git did not answer within {TIMEOUT_SECONDS} s")
    return _Answer(status, output)


def _bound_memory(process: int) -> None:
    with contextlib.suppress(ImportError, AttributeError, OSError, ValueError):
        import resource

        resource.prlimit(process, resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


def _end_group(process: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(process, signal.SIGKILL)
