"""Starts a module of the submission as a child, shows and keeps all it prints, and never leaves it behind."""

from __future__ import annotations

import codecs
import errno
import fcntl
import importlib.util
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, TextIO

from assay.runtime.errors import ExperimentError

_CHUNK = 1 << 16
_FULL = {errno.ENOSPC, errno.EDQUOT}
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

# Becomes the program it is to start, by exec, after the kernel was asked (PR_SET_PDEATHSIG, prctl(2)) to kill it when
# its parent dies. Asked for in a fresh interpreter, because Popen's preexec_fn may deadlock where threads run; exec
# keeps the request. A parent that died before the request is seen by its number.
_BOUND_TO_PARENT = """\
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, ctypes.c_ulong(signal.SIGKILL))
if os.getppid() != int(sys.argv[1]):
    os.kill(os.getpid(), signal.SIGKILL)
os.execv(sys.argv[2], sys.argv[2:])
"""

_OFTEN = {
    signal.SIGKILL: "often the kernel, out of memory",
    signal.SIGSEGV: "a crash in compiled code",
    signal.SIGABRT: "compiled code gave up",
    signal.SIGBUS: "often shared memory, /dev/shm, is full",
    signal.SIGILL: "often a library built for another processor",
    signal.SIGFPE: "often a division by zero in compiled code",
    signal.SIGTERM: "asked to end, by a scheduler for example",
    signal.SIGINT: "interrupted",
    signal.SIGHUP: "its terminal was closed",
    signal.SIGXCPU: "its limit of processor time is used up",
    signal.SIGPIPE: "nobody read its output any more",
}


@dataclass(frozen=True)
class ChildExit:
    """How a child ended.

    Attributes:
        module: What was started.
        code: Exit code as a shell counts it: 0 to 255, 128 + the signal's number where a signal ended it.
        signal: Number of the signal that ended it, None where it ended by itself.
        seconds: From its start to its end.
        passed_on: Number of the signal that this program got and passed on to the child, None where there was none.
        log: File that holds its standard error, None where none is kept.
    """

    module: str
    code: int
    signal: int | None
    seconds: float
    passed_on: int | None = None
    log: Path | None = None

    @property
    def ok(self) -> bool:
        """Whether the child ended with exit code 0 and was not asked to end."""
        return self.code == 0 and self.passed_on is None

    def __str__(self) -> str:
        if self.signal is not None:
            name = _name(self.signal)
            often = f": {_OFTEN[signal.Signals(self.signal)]}" if name and signal.Signals(self.signal) in _OFTEN else ""
            text = f"{self.module} was ended by signal {self.signal} ({name or 'without a name'}{often})"
        else:
            text = f"{self.module} ended with exit code {self.code}"
        text += f" after {self.seconds:.1f} s"
        if self.passed_on is not None:
            text += f", after {_name(self.passed_on)} was passed on to it"
        return f"{text}; see {self.log}" if self.log is not None and not self.ok else text


def launch(
    module: str,
    arguments: Iterable[str] = (),
    *,
    folder: Path | str | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path | str | None = None,
    check: bool = True,
    patience: float = 1.0,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> ChildExit:
    """Runs `python -u -m module arguments...` to its end, in the submission's root and with closed standard input.

    What it prints goes to this program's own streams and to `stdout.log` and `stderr.log`, byte for byte and as soon as
    it comes. Logs of earlier attempts are kept: a line `--- started again <time> ---` follows them. A stream of ours
    that nobody reads any more, or a disk that is full, ends neither the child nor the other copy.

    The child is in a process group of its own, so that a Ctrl-C in the terminal reaches it once, through this program:
    SIGINT is passed on to that whole group as a terminal would, SIGTERM and SIGHUP to the child alone. Then its end is
    waited for; a second signal kills the group; a third one has its usual effect on this program. Signals can be
    passed on only where this is called from the main thread. Where this program itself is killed, on Linux the kernel
    kills the child; elsewhere the child ends when it next prints. Processes that the child had started are then left
    to themselves (the workers of a PyTorch data loader end by themselves).

    Args:
        module: Dotted name, `src.train` for example.
        arguments: Words that the child gets, each exactly as it is here.
        folder: Folder of the logs, made where it is missing; None for no logs.
        environment: Variables to set for the child besides those of this program.
        directory: Working directory of the child. Without it: the folder that holds this program's own top package
            (known from how it was started, also where it was started from elsewhere), else a folder above the program's
            file or the working directory, whichever holds the module first. Relative paths among the arguments mean
            something else to the child where this is not the working directory.
        check: Whether an end other than by exit code 0 raises.
        patience: Seconds that are granted, once the child has ended, to processes it left behind that still hold its
            output. What the child itself wrote is kept whatever the time.
        clock: Gives seconds, for `ChildExit.seconds` and `patience`.
        now: Gives the time that is written into continued logs.

    Returns:
        How the child ended.

    Raises:
        ExperimentError: There is no such module (status 2); the logs cannot be written; or, with `check`, the child did
            not end well: the status is its exit code.
    """
    root = _root_of(module, directory)
    if not sys.executable:
        raise ExperimentError(f"{module} cannot be started: this Python does not know its own program file")
    _flush_own_streams()
    errors = _OwnStream(sys.stderr)
    logs = _open_logs(None if folder is None else Path(folder), errors, now)
    words = [sys.executable, "-u", "-m", module, *arguments]
    signals = _Signals()
    began = clock()
    try:
        with signals:
            child = _start(words, root, environment)
            try:
                signals.reach(child)
                _copy_until_end(child, logs, errors, patience, clock)
            except BaseException:
                if child.poll() is None:
                    with suppress(ProcessLookupError, PermissionError):
                        os.killpg(child.pid, signal.SIGKILL)
                    child.wait()
                raise
    finally:
        for log in logs:
            log.close()
    ended = ChildExit(
        module,
        child.returncode if child.returncode >= 0 else 128 - child.returncode,
        -child.returncode if child.returncode < 0 else None,
        clock() - began,
        signals.passed_on,
        None if folder is None else Path(folder) / "stderr.log",
    )
    if check and not ended.ok:
        raise ExperimentError(str(ended), status=ended.code or 128 + (ended.passed_on or 0))
    return ended


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return ""


def _start(words: Sequence[str], root: Path, environment: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            _bound_to_this_process(words),
            cwd=root,
            env=None if environment is None else {**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            process_group=0,
        )
    except (OSError, ValueError) as error:
        # too many words (E2BIG), no more processes (EAGAIN), a null character in a word
        why = getattr(error, "strerror", None) or error
        raise ExperimentError(f"{words[3]} cannot be started in {root}: {why}") from error


def _bound_to_this_process(words: Sequence[str]) -> list[str]:
    if not sys.platform.startswith("linux"):
        return list(words)
    return [sys.executable, "-I", "-S", "-c", _BOUND_TO_PARENT, str(os.getpid()), *words]


# ---- where the module is


def _root_of(module: str, directory: Path | str | None) -> Path:
    places = _places(sys.modules["__main__"]) if directory is None else [Path(directory).absolute()]
    for place in places:
        if _holds(place, module):
            return place
    top = module.partition(".")[0]
    if not any((place / top).is_dir() or (place / f"{top}.py").is_file() for place in places) and _installed(top):
        return places[0]
    raise ExperimentError(f"there is no module {module} in {', '.join(map(str, places))}", status=2)


def _places(program: ModuleType) -> list[Path]:
    """Where a submission's root may be, most likely first."""
    places = []
    spec: ModuleSpec | None = getattr(program, "__spec__", None)
    if spec is not None and spec.origin is not None and spec.has_location:
        places.append(Path(spec.origin).parents[spec.name.count(".")])
    elif getattr(program, "__file__", None):
        places += Path(program.__file__ or "").absolute().parents[:2]
    return list(dict.fromkeys([*places, Path.cwd()]))


def _holds(place: Path, module: str) -> bool:
    """Whether `python -m module` finds its program there; nothing is imported."""
    path = place.joinpath(*module.split("."))
    files = (path.with_name(f"{path.name}.py"), path.with_name(f"{path.name}.pyc"), path / "__main__.py")
    return any(file.is_file() for file in files)


def _installed(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


# ---- signals


class _Signals:
    """Passes on to the child what this program is asked while it waits: the first time as it is, then by killing."""

    def __init__(self) -> None:
        self.passed_on: int | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for number in _PASSED_ON:
                handler = signal.getsignal(number)
                # ignored (nohup, a shell's `&`) stays ignored, in the child too; None is a handler that is not Python's
                if handler is not signal.SIG_IGN and handler is not None:
                    self._before[number] = handler
                    signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def reach(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        if self.passed_on is not None:
            self._pass(self.passed_on)

    def _arrived(self, number: int, _: FrameType | None) -> None:
        if self.passed_on is None:
            self.passed_on = number
            self._pass(number)
            return
        self._pass(signal.SIGKILL)
        self.__exit__()

    def _pass(self, number: int) -> None:
        child = self._child
        # a child that was waited for is gone, and its number may be another's by now
        if child is None or child.returncode is not None:
            return
        with suppress(ProcessLookupError, PermissionError):
            if number in (signal.SIGINT, signal.SIGKILL):
                os.killpg(child.pid, number)
            else:
                os.kill(child.pid, number)


# ---- output


class _OwnStream:
    """One of this program's streams, as far as it still takes something."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._descriptor: int | None = None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._within_line = False
        self._said: set[str] = set()
        self._lock = threading.Lock()
        with suppress(OSError, ValueError, AttributeError):
            self._descriptor = stream.fileno() if stream is not None else None

    def write(self, data: bytes) -> None:
        with self._lock:
            self._write(data)

    def say(self, text: str) -> None:
        """Writes a line of this program's own, once, and never into a line of the child."""
        with self._lock:
            if text not in self._said:
                self._said.add(text)
                line = f"\n{text}\n" if self._within_line else f"{text}\n"
                self._write(line.encode(errors="backslashreplace"))

    def _write(self, data: bytes) -> None:
        if self._stream is None or not data:
            return
        self._within_line = not data.endswith((b"\n", b"\r"))
        try:
            if self._descriptor is not None:
                # past Python's buffers: a broken pipe leaves nothing in them that would fail again at the exit
                _write_all(self._descriptor, data)
            elif hasattr(self._stream, "buffer"):
                self._stream.buffer.write(data)
                self._stream.buffer.flush()
            else:
                self._stream.write(self._decode(data))
        except (OSError, ValueError):
            self._stream = None


class _Log:
    """A log file that gives up, and says so, when the disk takes no more."""

    def __init__(self, path: Path, errors: _OwnStream, now: Callable[[], datetime]) -> None:
        self._path = path
        self._errors = errors
        self._file: int | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            size = os.fstat(self._file).st_size
            if size:
                torn = os.pread(self._file, 1, size - 1) != b"\n"
                line = f"--- started again {now().isoformat(timespec='seconds')} ---\n"
                self.write((b"\n" if torn else b"") + line.encode())
        except OSError as error:
            if error.errno not in _FULL:
                self.close()
                raise ExperimentError(f"the log {path} cannot be written: {error.strerror}") from error
            self._give_up(error)

    def write(self, data: bytes) -> None:
        if self._file is not None:
            try:
                _write_all(self._file, data)
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.close()
        # what comes later would leave a hole that nobody sees, so the log ends here
        folder = self._path.parent
        self._errors.say(f"assay: logs in {folder} are incomplete: {error.strerror}; the output goes on here")

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            # our stream may have been made non-blocking by whoever shares it
            waiting = select.poll()
            waiting.register(descriptor, select.POLLOUT)
            waiting.poll()


def _flush_own_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _open_logs(folder: Path | None, errors: _OwnStream, now: Callable[[], datetime]) -> list[_Log]:
    if folder is None:
        return []
    return [_Log(folder / name, errors, now) for name in ("stdout.log", "stderr.log")]


def _copy_until_end(
    child: subprocess.Popen[bytes],
    logs: Sequence[_Log],
    errors: _OwnStream,
    patience: float,
    clock: Callable[[], float],
) -> None:
    assert child.stdout is not None
    assert child.stderr is not None
    ended, tell = os.pipe()
    held: list[bool] = []

    def copy(source: int, sinks: Sequence[_Log | _OwnStream]) -> None:
        held.append(_copy(source, ended, sinks, patience, clock))

    copies = []
    for place, (pipe, own) in enumerate(((child.stdout, _OwnStream(sys.stdout)), (child.stderr, errors))):
        # the log first: it does not wait for whoever reads our stream
        sinks = (*logs[place : place + 1], own)
        copies.append(threading.Thread(target=copy, args=(pipe.fileno(), sinks), daemon=True))
    for thread in copies:
        thread.start()
    # in turns: a signal that comes just before Python begins to wait for good would be heard only at the child's end
    while child.returncode is None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=1.0)
    os.close(tell)
    for thread in copies:
        thread.join()
    os.close(ended)
    child.stdout.close()
    child.stderr.close()
    if any(held):
        errors.say("assay: a process that the child left behind still holds its output; it is no longer read")


def _copy(
    source: int,
    ended: int,
    sinks: Sequence[_Log | _OwnStream],
    patience: float,
    clock: Callable[[], float],
) -> bool:
    """Copies what comes from a pipe until it is closed, or the child has ended and patience is over.

    Returns:
        Whether somebody still held the pipe when it was left.
    """
    waiting = select.poll()
    waiting.register(source, select.POLLIN)
    waiting.register(ended, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in waiting.poll()}
        if ended in ready:
            break
        if not _copy_once(source, sinks):
            return False
    waiting.unregister(ended)
    # whatever the child itself wrote lies in the pipe now; more can only come from processes it left behind
    owed = struct.unpack("i", fcntl.ioctl(source, termios.FIONREAD, b"\0" * 4))[0]
    until = clock() + patience
    while owed > 0 or (left := until - clock()) > 0:
        if owed <= 0 and not waiting.poll(left * 1000):
            break
        count = _copy_once(source, sinks)
        if not count:
            return False
        owed -= count
    return not waiting.poll(0) or _copy_once(source, sinks) > 0


def _copy_once(source: int, sinks: Sequence[_Log | _OwnStream]) -> int:
    data = os.read(source, _CHUNK)
    for sink in sinks:
        sink.write(data)
    return len(data)
