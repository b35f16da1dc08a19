"""Running a program in a box, from the caller's side."""

from __future__ import annotations

import contextlib
import dataclasses
import marshal
import os
import select
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assay.trial.sandbox import ownership, view
from assay.trial.sandbox.isolating import bubblewrap, isolation, somebody_else_works
from assay.trial.sandbox.outcome import BoxError, Ended, Isolation, Limits

_HOME = Path(__file__).parent
_BOOT = "import sys; sys.path.append(sys.argv[1]); from keeper.main import main; main()"
# seconds between two looks at the wish to stop
_PATIENCE = 0.05


def run_boxed(
    argv: list[str],
    *,
    folder: Path,
    writable: tuple[Path, ...],
    readable: tuple[Path, ...],
    cwd: Path,
    environment: Mapping[str, str],
    limits: Limits,
    stdout: Path,
    stderr: Path,
    stop: threading.Event | None = None,
    within: Isolation | None = None,
) -> Ended:
    """Run a program in a box and wait until the last of its processes has ended.

    Paths are the same inside as outside. The program has no network but its own loopback, no terminal, `/dev/null` as
    stdin, and no process of the machine in sight. If the caller is killed, the box ends too.

    Where the caller is root, the program is another user if everybody may read what it is shown, and its writable
    folders are given to that user, with all that lies in them; they stay given.

    Args:
        argv: Command line; the program is found by the `PATH` of `environment`, or given as a path.
        folder: Private folder of this run, shown read-only.
        writable: Folders that the program may write, which must exist.
        readable: Files and folders that it may read besides; what does not exist is left out.
        cwd: Where it starts.
        environment: All its variables. `PWD` is added.
        limits: What it may use.
        stdout: File that is written with what it prints, the first `limits.output` bytes; overwritten.
        stderr: The same; may be the same file.
        stop: Set to end the program early.
        within: Which kind of box; `isolation()` by default.

    Raises:
        BoxError: The box could not be made.
        FileNotFoundError: A writable folder is missing.
    """
    for path in (folder, *writable):
        if not Path(path).is_dir():
            raise FileNotFoundError(f"no such folder: {path}")
    kind = within or isolation()
    becomes = (
        kind.kind != "limits"
        and ownership.is_somebody_else((folder, *(Path(path) for path in readable)))
        and somebody_else_works(kind)
    )
    return run_as(
        argv, folder=folder, writable=writable, readable=readable, cwd=cwd, environment=environment, limits=limits,
        stdout=stdout, stderr=stderr, stop=stop, kind=kind, becomes=becomes,
    )  # fmt: skip


def run_as(
    argv: list[str],
    *,
    folder: Path,
    writable: tuple[Path, ...],
    readable: tuple[Path, ...],
    cwd: Path,
    environment: Mapping[str, str],
    limits: Limits,
    stdout: Path,
    stderr: Path,
    stop: threading.Event | None,
    kind: Isolation,
    becomes: bool,
) -> Ended:
    """`run_boxed`, where it has been decided how.

    Args:
        argv: Command line; this and what follows are as for `run_boxed`.
        folder: Private folder of this run.
        writable: Folders that the program may write.
        readable: What it may read besides.
        cwd: Where it starts.
        environment: Its variables.
        limits: What it may use.
        stdout: File for what it prints.
        stderr: The same.
        stop: Set to end the program early.
        kind: Which kind of box.
        becomes: Whether the program becomes somebody else, as only root can have it.

    Raises:
        BoxError: The box could not be made.
    """
    if os.geteuid() == 0:
        # back to root where a box before this one gave them away
        ownership.hand_over(writable, *((view.UID, view.GID) if becomes else (0, os.getegid())))
    shared_memory = max(64 << 20, limits.memory // 2)
    specification: dict[str, Any] = {
        "kind": kind.kind,
        "parent": os.getpid(),
        "argv": argv,
        "cwd": str(cwd),
        "environment": {**dict(environment), "PWD": str(cwd)},
        "limits": dataclasses.asdict(limits),
        "streams": [str(Path(stdout).absolute()), str(Path(stderr).absolute())],
        "counted": _outermost(writable),
        "uid": view.UID,
        "gid": view.GID,
        "becomes": becomes,
        "numbers": ownership.numbers() if becomes else 1,
        "view": view.view(
            folder, writable, readable, home=environment.get("HOME", "/nonexistent"), shared_memory=shared_memory
        ),
    }
    if kind.kind == "bubblewrap":
        found = bubblewrap()
        if found is None:
            raise BoxError("bubblewrap is not installed")
        specification |= {"bubblewrap": found.path, "closes": found.closes, "sized_tmpfs": found.sized_tmpfs}
    held = marshal.dumps(specification)
    question = len(held).to_bytes(8, "big") + held
    with tempfile.TemporaryFile() as complaints:
        keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOT, str(_HOME)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=complaints, cwd="/", env={}, start_new_session=True,
        )  # fmt: skip
        try:
            answer = _ask(keeper, question, stop)
        finally:
            _dismiss(keeper)
        if not answer:
            complaints.seek(0)
            lines = complaints.read().decode(errors="replace").strip().splitlines()
            raise BoxError(f"the sandbox's keeper died{': ' + lines[-1] if lines else ''}")
    told = marshal.loads(answer)
    if "failed" in told:
        said = _last_line(stderr)
        raise BoxError(f"the box could not be made: {told['failed']}{': ' + said if said else ''}")
    return Ended(**told, isolation=kind)


def _ask(keeper: subprocess.Popen[bytes], question: bytes, stop: threading.Event | None) -> bytes:
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        keeper.stdin.write(question)
        keeper.stdin.flush()
    except BrokenPipeError:
        return b""
    poll = select.poll()
    poll.register(keeper.stdout, select.POLLIN)
    asked = False
    while not poll.poll(_PATIENCE * 1000 if stop is not None and not asked else None):
        if stop is not None and not asked and stop.is_set():
            asked = True
            try:
                keeper.stdin.write(b"s")
                keeper.stdin.flush()
            except BrokenPipeError:
                break
    return keeper.stdout.read()


def _dismiss(keeper: subprocess.Popen[bytes]) -> None:
    """Let the keeper end; it does when nobody holds the other end of its stdin."""
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        keeper.stdin.close()
    try:
        keeper.wait(30)
    except subprocess.TimeoutExpired:
        keeper.kill()
        keeper.wait()
    keeper.stdout.close()


def _outermost(folders: tuple[Path, ...]) -> list[str]:
    """The folders, resolved, without what lies in one another."""
    kept: list[str] = []
    for path in sorted(os.path.realpath(folder) for folder in folders):
        if not any(path == outer or path.startswith(f"{outer}/") for outer in kept):
            kept.append(path)
    return kept


def _last_line(path: Path) -> str:
    try:
        lines = Path(path).read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
