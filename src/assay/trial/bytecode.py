"""Bytecode for the packages of an environment: taken over from other environments, or compiled."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from assay.analysis.environment import NOTES
from assay.analysis.resolution import UvError
from assay.analysis.tied_process import run_tied

_SECONDS = 900
# Folders whose modules programs do not import; compiling them would take a third of the time.
_LEFT_OUT = frozenset({"test", "tests", "nvidia", "__pycache__"})


def compile_packages(target: Path, python: str, building: Path, environments: Path) -> None:
    """Compile what programs import, since an environment is never written to once it is built.

    Args:
        target: The environment, or a folder of packages alone.
        python: The interpreter that is to read it.
        building: A folder that is removed where this process is killed meanwhile.
        environments: Where other environments lie, whose bytecode for the same releases is taken over.

    Raises:
        UvError: where it takes too long.
    """
    if (target / "pyvenv.cfg").is_file():
        _take_over(environments, target)
    (building / "modules.txt").write_text("\n".join(_uncompiled(target)) + "\n", encoding="utf-8")
    jobs = str(max(1, min(8, os.cpu_count() or 1)))
    command = [python, "-I", "-S", "-m", "compileall", "-qq", "-j", jobs, "-i", "modules.txt"]
    try:
        run_tied(
            command, folder=str(building), surroundings={"PATH": "/usr/bin:/bin"}, seconds=_SECONDS,
            goes_too=str(building),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UvError(f"compiling the packages did not end within {_SECONDS} s") from None


def _uncompiled(target: Path) -> Iterator[str]:
    """The modules without bytecode that programs may import."""
    for parent, folders, names in os.walk(target):
        compiled: set[str] = set()
        if "__pycache__" in folders:
            compiled = {path.name.partition(".")[0] for path in Path(parent, "__pycache__").iterdir()}
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        yield from (f"{parent}/{name}" for name in names if name.endswith(".py") and name[:-3] not in compiled)


def _take_over(environments: Path, target: Path) -> None:
    """Link what was compiled for the same releases in other environments: most of the work of building one."""
    site = _site(target)
    wanted = {path.name: path / "RECORD" for path in site.glob("*.dist-info")}
    for other in sorted(environments.glob(f"*/{NOTES}")):
        theirs = _site(other.parent)
        if theirs.parent.name != site.parent.name:
            continue
        for name in [name for name in wanted if (theirs / name).is_dir()]:
            with contextlib.suppress(OSError):
                _link(wanted[name].read_text(encoding="utf-8", errors="replace"), theirs, site)
            del wanted[name]


def _link(record: str, theirs: Path, site: Path) -> None:
    """Link the bytecode of one distribution's modules, by the list of its files."""
    tag = site.parent.name.replace("python", "cpython-").replace(".", "")
    for line in record.split("\n"):
        path = line.partition(",")[0]
        if not path.endswith(".py") or path.startswith(("../", "/")):
            continue
        folder, _, name = path.rpartition("/")
        kept = f"{folder}/__pycache__/{name[:-3]}.{tag}.pyc".lstrip("/")
        with contextlib.suppress(OSError):
            with (theirs / kept).open("rb") as file:
                head = file.read(16)
            state = (site / path).stat()
            # flags, then date and size of the source that it was compiled from (PEP 552)
            if head[4:] == struct.pack("<III", 0, int(state.st_mtime) & 0xFFFFFFFF, state.st_size & 0xFFFFFFFF):
                (site / kept).parent.mkdir(exist_ok=True)
                (site / kept).hardlink_to(theirs / kept)


def _site(environment: Path) -> Path:
    """Where an environment's modules lie; itself where it is a folder of packages alone."""
    return next(iter(environment.glob("lib/python3.*/site-packages")), environment)
