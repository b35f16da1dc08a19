"""The parent's side of the child that composes and enacts: start it early, ask once, hear it or say why not."""

from __future__ import annotations

# Everything waits for the child, so what is not needed to start it is imported where it is used; `pathlib` is not.
import atexit
import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CPU_SECONDS = 20
MAX_ANSWER = 64 * 1024 * 1024
PROBE_SECONDS = 5
# bubblewrap's own; the child ends with 0, or by a signal
_BWRAP_FAILED = 1

# the source folder comes after what is installed: it must hide nothing of it
_BOOT = (
    "import gc, sys\n"
    "gc.disable()\n"
    "if sys.argv[1] not in sys.path: sys.path.append(sys.argv[1])\n"
    "from assay.analysis.enactment.child import main\n"
    "main(sys.argv[2], int(sys.argv[3]))\n"
)
_PACKAGE_HOME = os.path.realpath(os.path.join(__file__, *[os.pardir] * 4))


class Session:
    """One child, one request, one answer.

    The child sees a private folder, an environment without the caller's values, and, where bubblewrap works, no
    network and no other files than Python's.

    Args:
        cpu_seconds: Processor time that the child may take.
        sandbox: Whether to use bubblewrap where it works.

    Example:
        >>> session = Session()  # doctest: +SKIP
        >>> session.start(); session.send({"files": {}, "compositions": []}); session.answer(10)  # doctest: +SKIP
        {'compositions': []}
    """

    def __init__(self, *, cpu_seconds: int = CPU_SECONDS, sandbox: bool = True) -> None:
        self.cpu_seconds = cpu_seconds
        self.sandbox = sandbox
        self._folder: str | None = None
        self._cleared: weakref.finalize[[str], Session] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._threads: list[threading.Thread] = []
        self._request = b""
        self._output = b""
        self._answer: dict[str, Any] | None = None

    def start(self) -> None:
        """Start the child, if it is not started. It gets ready by itself; nothing waits for it here."""
        if self._process is not None or self._answer is not None:
            return
        try:
            self._folder = folder = _private_folder()
            self._cleared = weakref.finalize(self, _remove, folder)
            program = [sys.executable, "-I", "-c", _BOOT, _PACKAGE_HOME, folder, str(self.cpu_seconds)]
            self.sandbox = self.sandbox and _bubblewrap() is not None
            wrapper = _wrapper(folder) if self.sandbox else []
            self._process = subprocess.Popen(
                [*wrapper, *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                cwd=folder, env=_environment(folder), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._fail(f"the child could not be started: {error.strerror or error}")

    def send(self, request: dict[str, Any]) -> None:
        """Hand over the request. The child works on it while the caller goes on."""
        self.start()
        if self._process is None or self._threads:
            return
        import json

        self._request = json.dumps(request).encode("utf-8", "replace")
        self._talk()

    def _talk(self) -> None:
        self._threads = [
            threading.Thread(target=self._write, daemon=True),
            threading.Thread(target=self._read, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def answer(self, timeout: float) -> dict[str, Any]:
        """The child's answer; a second call gives the same.

        Args:
            timeout: Seconds to wait for it.

        Returns:
            What the child says, or `{"failed": why}` with one plain line.
        """
        if self._answer is None:
            heard = self._heard(timeout)
            if heard is None:
                # bubblewrap is there and does not work here: ask a child without it
                self._end()
                self.sandbox, self._process, self._output = False, None, b""
                self.start()
                self._talk()
                heard = self._heard(timeout) or {"failed": "it could not be started"}
            self._answer = heard
            self._end()
        return self._answer

    def close(self) -> None:
        """End the child if it still runs, and remove its folder."""
        self._end()
        if self._answer is None:
            self._fail("it was ended before it answered")

    def _end(self) -> None:
        process = self._process
        if process is not None:
            if process.poll() is None:
                with contextlib.suppress(OSError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.kill()
            process.wait()
            for thread in self._threads:
                thread.join(1)
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError, ValueError):
                    if pipe is not None and not self._threads:
                        pipe.close()
        if self._cleared is not None:
            self._cleared()

    def __enter__(self) -> Session:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fail(self, reason: str) -> dict[str, Any]:
        self._answer = {"failed": reason}
        return self._answer

    def _write(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError), self._process.stdin as pipe:
            pipe.write(self._request)

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError), self._process.stdout as pipe:
            self._output = pipe.read(MAX_ANSWER + 1)

    def _heard(self, timeout: float) -> dict[str, Any] | None:
        """What the child says; None where bubblewrap did not let it start."""
        if self._process is None or not self._threads:
            return {"failed": "nothing was asked"}
        end = time.monotonic() + timeout
        self._threads[1].join(timeout)
        if self._threads[1].is_alive():
            return {"failed": f"it did not answer within {timeout:g} s"}
        if len(self._output) > MAX_ANSWER:
            return {"failed": f"its answer is longer than {MAX_ANSWER // 1024**2} MiB"}
        try:
            status = self._process.wait(max(0.1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            return {"failed": f"it did not end within {timeout:g} s"}
        if self.sandbox and status == _BWRAP_FAILED and not self._output:
            return None
        import json

        try:
            answer = json.loads(self._output)
        except (ValueError, RecursionError):
            return {"failed": self._why(status)}
        return answer if isinstance(answer, dict) else {"failed": "its answer could not be read"}

    def _why(self, status: int) -> str:
        """What the exit status of a child without an answer says. A wrapper adds 128 to the number of a signal."""
        number = -status if status < 0 else status - 128
        if number == signal.SIGXCPU:
            return f"it needed more than {self.cpu_seconds} s of processor time"
        if number == signal.SIGKILL:
            return f"it was killed, for memory or for more than {self.cpu_seconds} s of processor time"
        if 0 < number < signal.NSIG:
            return f"it died of {signal.Signals(number).name}"
        return f"it ended with status {status} and no answer"


def compile_once() -> None:
    """Have the bytecode of what the child imports written, in the background, if nobody has done so yet.

    A child in the sandbox cannot write it, and without it the child takes half a second longer each time.
    """
    if sys.dont_write_bytecode:
        return
    import importlib.util

    folders = []
    for name in _CHILD_IMPORTS:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            folders.append(os.path.dirname(found.origin))
            if os.path.exists(importlib.util.cache_from_source(found.origin)):
                return
    with contextlib.suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-I", "-m", "compileall", "-q", *folders], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip


_CHILD_IMPORTS = ("hydra", "omegaconf", "antlr4")
_EARLY: list[Session] = []


def start_early() -> None:
    """Start a child before it is known what it will be asked, so that it is ready sooner."""
    session = Session()
    session.start()
    compile_once()
    _EARLY.append(session)
    atexit.register(session.close)


def take_session() -> Session:
    """The child that was started early, if it was not handed out yet, or a new session."""
    return _EARLY.pop() if _EARLY else Session()


def _private_folder() -> str:
    """A new folder that only this user may enter, as `tempfile` makes one."""
    wanted = [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
    for place in [*filter(None, wanted), "/tmp", "/var/tmp"]:
        folder = os.path.join(os.path.realpath(place), f"assay-enact-{os.urandom(8).hex()}")
        try:
            os.mkdir(folder, 0o700)
        except OSError:
            continue
        return folder
    raise OSError("no folder for temporary files can be written")


def _remove(folder: str) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _bubblewrap() -> str | None:
    """The path of bubblewrap, where it is installed."""
    places = (os.path.join(folder, "bwrap") for folder in os.get_exec_path())
    return next((place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)), None)


def _environment(folder: str) -> dict[str, str]:
    """All that the child's environment holds: nothing of the caller's."""
    return {"PATH": "/usr/bin:/bin", "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}


def _wrapper(folder: str) -> list[str]:
    """The bubblewrap command line before the program: Python's files, the private folder, nothing else."""
    command = [
        _bubblewrap() or "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]
    command += ["--tmpfs", "/tmp"]
    for path in _needed():
        command += ["--ro-bind-try", path, path]
    return [*command, "--bind", folder, folder, "--chdir", folder]


@functools.cache
def _needed() -> tuple[str, ...]:
    """What Python needs of the file system, without what lies in one another."""
    here = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, _PACKAGE_HOME}
    here |= {sys.executable, os.path.realpath(sys.executable), os.path.dirname(os.__file__)}
    link = sys.executable
    while os.path.islink(link):
        folder = os.path.dirname(link)
        here.add(folder)
        link = os.path.join(folder, os.readlink(link))
    here |= {"/usr", "/lib", "/lib64", "/etc/ld.so.cache"}
    kept: list[str] = []
    for path in sorted((path for path in here if path and path != "/"), key=len):
        if not any(path.startswith(f"{outer}/") for outer in kept):
            kept.append(path)
    return tuple(kept)


@functools.cache
def sandbox_works() -> bool:
    """Whether bubblewrap is there and lets Python start. It is asked once in the life of a process."""
    import tempfile

    if _bubblewrap() is None:
        return False
    try:
        with tempfile.TemporaryDirectory(prefix="assay-probe-") as name:
            folder = os.path.realpath(name)
            probe = [*_wrapper(folder), sys.executable, "-I", "-S", "-c", ""]
            done = subprocess.run(
                probe, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                timeout=PROBE_SECONDS, env=_environment(folder), check=False,
            )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
