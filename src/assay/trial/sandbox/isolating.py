"""Which kind of box this machine can make."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from assay.trial.sandbox.outcome import BoxError, Isolation, Limits

_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """An installed bubblewrap.

    Args:
        path: The program.
        closes: Whether it can forbid further user namespaces (0.8 and newer).
        sized_tmpfs: Whether it can limit a folder in memory (0.5 and newer).
    """

    path: str
    closes: bool
    sized_tmpfs: bool


@functools.cache
def bubblewrap() -> Bubblewrap | None:
    """The installed bubblewrap, where there is one."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    try:
        done = subprocess.run([path, "--help"], capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stdout + done.stderr
    return Bubblewrap(path, "--disable-userns" in said, "--size BYTES" in said)


GAPS = (
    "files outside of the submission's folder can be read and written",
    "the network can be reached",
    "processes of this user can be seen and ended",
    "shared memory outlives the run",
)
GAP_OF_ROOT = "this user is root, to whom all files and the kernel's settings belong"


def kinds() -> tuple[Isolation, ...]:
    """All kinds of box, the best first, whether they work here or not."""
    gaps = (*GAPS, GAP_OF_ROOT) if os.geteuid() == 0 else GAPS
    return Isolation("bubblewrap"), Isolation("namespaces"), Isolation("limits", gaps)


@functools.cache
def works(isolation: Isolation) -> str:
    """Why a kind of box cannot be made here; empty where it can. It is tried once in the life of a process."""
    if isolation.kind == "bubblewrap" and bubblewrap() is None:
        return "bubblewrap is not installed"
    return _tried(isolation, becomes=False)


@functools.cache
def somebody_else_works(isolation: Isolation) -> bool:
    """Whether a kind of box can be made here for a program that becomes somebody else, if its caller is root.

    Where the system lets only some programs, or only root, make user namespaces, it cannot. It is tried once.
    """
    return not _tried(isolation, becomes=True)


def _tried(isolation: Isolation, *, becomes: bool) -> str:
    from assay.trial.sandbox.boxed import run_as

    with tempfile.TemporaryDirectory(prefix="assay-box-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            ended = run_as(
                ["/bin/sh", "-c", ":"], folder=folder, writable=(), readable=(), cwd=folder, environment={},
                limits=Limits(_SECONDS), stdout=folder / "said", stderr=folder / "said", stop=None, kind=isolation,
                becomes=becomes,
            )  # fmt: skip
        except BoxError as error:
            return str(error)
    return "" if ended.status == 0 else "a shell does not start in it"


@functools.cache
def isolation() -> Isolation:
    """The best kind of box that works here. It is found out once in the life of a process."""
    return next((kind for kind in kinds() if not works(kind)), kinds()[-1])
