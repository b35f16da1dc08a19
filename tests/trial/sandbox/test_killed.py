"""Whoever asked for a box is killed: nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.trial.sandbox.running import marked, none_marked

HOME = Path(__file__).parents[3]
CALLER = """
import sys
from pathlib import Path
from assay.trial.sandbox import Limits, run_boxed
from assay.trial.sandbox.isolating import kinds
folder, mark = Path(sys.argv[1]), sys.argv[2]
kind = next(kind for kind in kinds() if kind.kind == sys.argv[3])
print("ready", flush=True)
run_boxed(
    [sys.argv[4], "-I", "-S", "-c", sys.argv[5], mark], folder=folder, writable=(folder / "work",),
    readable=(Path(sys.base_prefix),), cwd=folder / "work", environment={"PATH": "/usr/bin:/bin"},
    limits=Limits(30), stdout=folder / "said", stderr=folder / "complaints", within=kind,
)
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork(): os._exit(0)
        break
open('running', 'w')
time.sleep(15)
"""


def calling(box, mark):
    """A caller in a process of its own, that has a stubborn program run."""
    return subprocess.Popen(
        [sys.executable, "-c", CALLER, box.folder, mark, box.isolation.kind, Path(sys.executable).resolve(), STUBBORN],
        env={**os.environ, "PYTHONPATH": str(HOME / "src")}, stdout=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_caller_that_is_killed_leaves_nothing(box, number):
    mark = uuid.uuid4().hex
    with calling(box, mark) as caller:
        end = time.monotonic() + 20
        while not (box.work / "running").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        # the caller carries the mark too
        assert len(marked(mark)) >= 2
        caller.send_signal(number)
        caller.wait()
    assert none_marked(mark)


def test_a_caller_that_is_killed_at_any_moment_leaves_nothing(box):
    mark = uuid.uuid4().hex
    for delay in (0, 0.01, 0.025, 0.05):
        with calling(box, mark) as caller:
            assert caller.stdout.readline() == b"ready\n"
            time.sleep(delay)
            caller.kill()
    assert none_marked(mark)


def test_a_keeper_that_is_killed_takes_its_box_along(closed_box):
    mark = uuid.uuid4().hex
    with calling(closed_box, mark) as caller:
        end = time.monotonic() + 20
        while not (closed_box.work / "running").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        keepers = Path(f"/proc/{caller.pid}/task/{caller.pid}/children").read_text().split()
        os.kill(int(keepers[0]), signal.SIGKILL)
        caller.wait()
        assert none_marked(mark)
        assert caller.returncode == 1
