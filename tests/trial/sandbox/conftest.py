"""A folder as a rehearsal lays it out, and a way to run Python in each kind of box."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from assay.trial.sandbox import Ended, Isolation, Limits, remove_tree, run_boxed
from assay.trial.sandbox.isolating import kinds, somebody_else_works, works
from assay.trial.sandbox.ownership import is_somebody_else

BASE = Path(sys.base_prefix)
PYTHON = str(Path(sys.executable).resolve())
MEGABYTE = 10**6


@dataclass
class Box:
    """Runs programs in one kind of box; `folder` is shown, `work` and `results` may be written."""

    isolation: Isolation
    folder: Path
    limits: Limits = field(default_factory=lambda: Limits(seconds=20, memory=600 * MEGABYTE))
    stop: threading.Event | None = None

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": "/usr/bin:/bin", "HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp")}

    @property
    def counts(self) -> bool:
        """Whether the kernel bounds how many processes there are: it does not for root."""
        return os.geteuid() != 0 or (is_somebody_else((self.folder, BASE)) and somebody_else_works(self.isolation))

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")

    @property
    def complaints(self) -> str:
        return (self.folder / "complaints").read_text(errors="replace")

    def run(self, program: str, *arguments: object, **limits: Any) -> Ended:
        """Run a Python program; `arguments` come after it."""
        return self.run_line([PYTHON, "-I", "-S", "-c", program, *map(str, arguments)], **limits)

    def run_line(self, line: list[str], **limits: Any) -> Ended:
        return run_boxed(
            line, folder=self.folder, writable=tuple(self.folder / name for name in ("work", "home", "tmp", "results")),
            readable=(BASE,), cwd=self.work, environment=self.environment,
            limits=replace(self.limits, **limits), stdout=self.folder / "said", stderr=self.folder / "complaints",
            stop=self.stop, within=self.isolation,
        )  # fmt: skip

    def says(self, program: str, *arguments: object, **limits: Any) -> str:
        """What a program prints that ends well."""
        ended = self.run(program, *arguments, **limits)
        assert ended.status == 0, (ended, self.complaints)
        return self.said.strip()


@pytest.fixture(params=[kind.kind for kind in kinds()])
def box(request, tmp_path):
    """Each kind of box that works here."""
    isolation = next(kind for kind in kinds() if kind.kind == request.param)
    if why := works(isolation):
        pytest.skip(why)
    folder = tmp_path / "step"
    for name in ("work", "home", "tmp", "results"):
        (folder / name).mkdir(parents=True)
    yield Box(isolation, folder)
    remove_tree(folder)


@pytest.fixture
def closed_box(box):
    """The kinds that isolate."""
    if box.isolation.gaps:
        pytest.skip("resource limits isolate nothing, which test_gaps.py shows")
    return box
