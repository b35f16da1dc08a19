"""Programs that end when their caller ends, however it ends, and the folder that goes with them.

A keeper stands between the two: a small Python process in a session of its own, which starts the program in a process
group, waits for whatever ends first, and kills the group and removes the folder where that was the caller.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

# Without pidfd_open (Linux before 5.3, other systems) the keeper looks this often, in seconds.
_PAUSE = 0.1


def run_tied(
    command: Sequence[str], *, folder: str, surroundings: Mapping[str, str], seconds: float, goes_too: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and have nothing of it left where this process is killed meanwhile.

    Args:
        command: The program with its arguments.
        folder: Its working directory.
        surroundings: Its environment variables.
        seconds: How long it may take.
        goes_too: A folder that is removed where this process or the program's time ends first; empty for none.

    Returns:
        Its exit status, output and errors.

    Raises:
        subprocess.TimeoutExpired: where it took longer. It has ended, and so has what it started.
        OSError: where it cannot be started.
    """
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(os.getpid()), goes_too, *command],
        cwd=folder, env=dict(surroundings), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        output, errors = keeper.communicate(timeout=seconds)
    except BaseException:
        keeper.terminate()
        keeper.wait()
        raise
    finally:
        for pipe in (keeper.stdout, keeper.stderr):
            if pipe is not None:
                pipe.close()
    if keeper.returncode == _NOT_STARTED:
        raise OSError(0, errors.strip() or "it cannot be started")
    return subprocess.CompletedProcess(list(command), keeper.returncode, output, errors)


_NOT_STARTED = 113


class _AskedToEndError(Exception):
    """The caller wants no more of it."""


def _keep(caller: int, folder: str, command: Sequence[str]) -> int:
    def end(number: int, frame: FrameType | None) -> None:
        raise _AskedToEndError

    signal.signal(signal.SIGTERM, end)
    program: subprocess.Popen[bytes] | None = None
    try:
        if os.getppid() != caller:
            raise _AskedToEndError
        try:
            program = subprocess.Popen(command, process_group=0)
        except OSError as error:
            print(f"{command[0]}: {error.strerror or error}", file=sys.stderr)
            return _NOT_STARTED
        _wait(program, caller)
        status = program.wait()
        return status if status >= 0 else 128 - status
    except _AskedToEndError:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if program is not None:
            with contextlib.suppress(OSError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
        if folder:
            _remove(folder)
        return 128 + signal.SIGTERM


def _wait(program: subprocess.Popen[bytes], caller: int) -> None:
    """Until the program ends. Raises where the caller ended first."""
    try:
        watched = {os.pidfd_open(program.pid): False, os.pidfd_open(caller): True}
    except (AttributeError, OSError):
        watched = {}
    waiting = select.poll()
    for descriptor in watched:
        waiting.register(descriptor, select.POLLIN)
    # asked once more: the caller may have ended before its number was opened
    while os.getppid() == caller:
        ready = waiting.poll(None if watched else int(_PAUSE * 1000))
        if any(not watched[descriptor] for descriptor, _ in ready) or program.poll() is not None:
            return
    raise _AskedToEndError


def _remove(folder: str) -> None:
    """Remove a folder in which something may still be ending."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            return
        time.sleep(_PAUSE)


if __name__ == "__main__":
    sys.exit(_keep(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
