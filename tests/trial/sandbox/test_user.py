"""The same as somebody who is not root."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from assay.trial.sandbox import remove_tree, view

SOURCE = Path(__file__).parents[3] / "src"
NOBODY = 65534
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from assay.trial.sandbox import Limits, run_boxed
from assay.trial.sandbox.isolating import kinds, works
kind = next(kind for kind in kinds() if kind.kind == sys.argv[2])
why = works(kind)
if why:
    print("skipped:", why)
    sys.exit()
folder = Path(sys.argv[3])
def run(line, **limits):
    return run_boxed(
        line, folder=folder, writable=(folder,), readable=(), cwd=folder, environment={"PATH": "/usr/bin:/bin"},
        limits=Limits(15, **limits), stdout=folder / "said", stderr=folder / "complaints", within=kind,
    )
ended = run(["/bin/sh", "-c", "id -u; echo made > made; cat /etc/shadow"])
print(ended.status, (folder / "said").read_text().split(), (folder / "made").read_text().split())
forks = "n=0; while [ $n -lt 120 ]; do n=$((n + 1)); sleep 8 & done; wait"
print(run(["/bin/sh", "-c", forks], processes=30).broke)
said = "n=0; while [ $n -lt 900000 ]; do n=$((n + 1)); echo x; done"
print(run(["/bin/sh", "-c", said], output=10**6).broke)
grown = "x=xxxxxxxxxxxxxxxx; n=0; while [ $n -lt 25 ]; do n=$((n + 1)); x=$x$x; done; sleep 8"
print(run(["/bin/sh", "-c", grown], memory=10**8).broke)
"""


def as_nobody(interpreter, *line):
    return subprocess.run(
        [interpreter, "-c", *line], capture_output=True, text=True, check=False, cwd="/",
        env={"PATH": os.environ["PATH"]}, user=NOBODY, group=NOBODY, extra_groups=[],
    )  # fmt: skip


def readable_interpreter():
    """An interpreter that everybody may use and that reads assay; the tests' own often lies in a home."""
    asked = (
        "import sys; sys.path.insert(0, sys.argv[1]); import assay.trial.sandbox; print(sys.version_info >= (3, 11))"
    )
    for interpreter in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        with contextlib.suppress(OSError):
            if as_nobody(interpreter, asked, SOURCE).stdout == "True\n":
                return interpreter
    return None


@pytest.mark.parametrize("kind", ["bubblewrap", "namespaces", "limits"])
def test_a_user_without_power_gets_the_same(kind):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else; the other tests run as a user already")
    if (interpreter := readable_interpreter()) is None:
        pytest.skip("no interpreter of 3.11 or newer that another user may read")
    folder = Path(tempfile.mkdtemp(prefix="assay-user-"))
    os.chown(folder, NOBODY, NOBODY)
    try:
        done = as_nobody(interpreter, PROGRAM, SOURCE, kind, folder)
        assert done.returncode == 0, done.stderr
        if done.stdout.startswith("skipped"):
            pytest.skip(done.stdout)
        inside = "65534" if kind == "limits" else str(view.UID)
        assert done.stdout.splitlines() == [f"1 ['{inside}'] ['made']", "processes", "output", "memory"]
    finally:
        remove_tree(folder)
