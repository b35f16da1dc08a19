"""Telling the driver what was seen: one JSON object a line, appended whole, so that a killed process loses nothing.

The file is opened for appending and each line is one write: lines of several processes never mix (write(2), O_APPEND).
"""

from __future__ import annotations

import os
import sys
import time

from . import settings

try:
    # the module json costs a child 7 ms, with all that it imports
    from _json import encode_basestring_ascii
except ImportError:
    from json.encoder import py_encode_basestring_ascii as encode_basestring_ascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType
    from typing import Any, TypeVar

    Wrapped = TypeVar("Wrapped", bound=Callable[..., Any])

# bytes of a line, at most
LONGEST = 16_000
# the name of this package, here and in the overlay
PACKAGE = __name__.rpartition(".")[0]
HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
STARTED = time.time()
# where relative names of files in code objects count from
_cwd = os.getcwd() if os.path.isdir(".") else "/"

_descriptor = -1
_identity = (0, 0)
_failed: set[str] = set()
_once: set[Any] = set()
_work = ""


def emit(kind: str, **fields: Any) -> None:
    """Append one event; what JSON has no word for becomes text, and what is too long is cut. Never raises."""
    try:
        event = {"kind": kind, **fields, "t": round(time.time() - STARTED, 3), "pid": os.getpid()}
        _append(_line(event))
    except Exception:
        # there is nobody left to tell
        return


def emit_once(key: Any, kind: str, **fields: Any) -> None:
    """Append an event unless one with this key was appended by this process before."""
    if key not in _once:
        _once.add(key)
        emit(kind, **fields)


def shrunk(what: str, before: Any, after: Any, frames: list[list[Any]]) -> None:
    """Tell that a size was cut: once for each kind of size and innermost place of the submission."""
    emit_once(("shrunk", what, str(frames[-1:])), "shrunk", what=what, frames=frames, **{"from": before, "to": after})


def failed(where: str, error: BaseException) -> None:
    """Tell that a probe failed, once for each place and error."""
    text = f"{type(error).__name__}: {error}"[:500]
    if where + text not in _failed and len(_failed) < 50:
        _failed.add(where + text)
        import traceback

        tail = traceback.format_exception(type(error), error, error.__traceback__)[-4:]
        emit("inside-failed", where=where, error=text, text="".join(tail)[-1500:])


def guarded(probe: Wrapped) -> Wrapped:
    """Decorate a probe: an exception of its own is told as `inside-failed`, and None returned."""
    import functools

    @functools.wraps(probe)
    def call(*args: Any, **keywords: Any) -> Any:
        try:
            return probe(*args, **keywords)
        except Exception as error:
            failed(f"{probe.__module__}.{probe.__qualname__}", error)
            return None

    return call  # type: ignore[return-value]


def own_frames(frame: FrameType | None = None) -> list[list[Any]]:
    """The submission's frames below which the caller runs: [file relative to work, line, function], outermost first."""
    frame = frame or sys._getframe(1)
    found = []
    current: FrameType | None = frame
    while current is not None:
        path = own_file(current.f_code.co_filename)
        if path is not None:
            found.append([path, current.f_lineno, current.f_code.co_name])
        current = current.f_back
    return found[::-1][-40:]


def library_frames(frame: FrameType | None = None) -> list[list[Any]]:
    """The innermost six frames of others: [module, line, function], outermost first."""
    current: FrameType | None = frame or sys._getframe(1)
    found: list[list[Any]] = []
    while current is not None and len(found) < 6:
        code = current.f_code
        if _of_library(code.co_filename):
            found.append([current.f_globals.get("__name__", ""), current.f_lineno, code.co_name])
        current = current.f_back
    return found[::-1]


def frames_of(trace: TracebackType | None) -> tuple[list[list[Any]], list[list[Any]]]:
    """The submission's frames and the innermost six of others that a traceback holds, outermost first."""
    own, others = [], []
    while trace is not None:
        code = trace.tb_frame.f_code
        path = own_file(code.co_filename)
        if path is not None:
            own.append([path, trace.tb_lineno, code.co_name])
        elif _of_library(code.co_filename):
            others.append([trace.tb_frame.f_globals.get("__name__", ""), trace.tb_lineno, code.co_name])
        trace = trace.tb_next
    return own[-40:], others[-6:]


def own_file(path: str) -> str | None:
    """The path of a file of the submission, relative to its folder; None for a file of somebody else."""
    if path.startswith("<"):
        return None
    work = work_folder()
    if not os.path.isabs(path):
        path = os.path.normpath(os.path.join(_cwd, path))
    if not path.startswith(work):
        return None
    inner = path[len(work) :]
    # environments and caches may lie in the copy, and hold nothing that the submission's author wrote
    if "site-packages" in inner or inner.startswith((".venv/", ".cache/")) or path.startswith(HERE):
        return None
    return inner


def work_folder() -> str:
    """The folder of the submission's copy, with a separator at its end; the present folder where nothing is set."""
    global _work
    if not _work:
        _work = os.path.realpath(str(settings.get("work") or _cwd)).rstrip(os.sep) + os.sep
    return _work


def in_own_frame(depth: int = 1) -> bool:
    """Whether the caller of the function that asks belongs to the submission; `depth` 2 goes one call further."""
    return own_file(sys._getframe(depth + 1).f_code.co_filename) is not None


def _of_library(path: str) -> bool:
    return not path.startswith((HERE, "<frozen"))


def _line(event: dict[str, Any]) -> bytes:
    for length in (6_000, 1_500, 300, 60):
        line = _json(event, length, 0).encode() + b"\n"
        if len(line) <= LONGEST:
            return line
    short = {name: event[name] for name in ("kind", "t", "pid")}
    return _json({**short, "cut": True}, 60, 0).encode() + b"\n"


def _json(value: Any, length: int, depth: int) -> str:
    """A value as JSON: what JSON has no word for becomes text, NaN too; lists and texts are cut to a length."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return int.__repr__(value) if abs(value) < 2**63 else f'"{hex(value)[:200]}"'
    if isinstance(value, float):
        text = float.__repr__(value)
        return text if value - value == 0 else f'"{text}"'
    if isinstance(value, str):
        # the end of a traceback says more than its beginning
        return str(encode_basestring_ascii(value if len(value) <= length else value[-length:]))
    if depth > 12:
        return '"..."'
    most = max(length // 5, 12)
    if isinstance(value, dict):
        pairs = list(value.items())[:most]
        inner = [f"{encode_basestring_ascii(str(key)[:200])}:{_json(item, length, depth + 1)}" for key, item in pairs]
        return "{" + ",".join(inner) + "}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return "[" + ",".join(_json(item, length, depth + 1) for item in list(value)[:most]) + "]"
    return _json(str(value), min(length, 200), depth)


def _append(line: bytes) -> None:
    global _descriptor, _identity
    # a submission may close descriptors that it does not know, and open files of its own at their numbers
    if _descriptor >= 0 and not _still_ours():
        _descriptor = -1
    if _descriptor < 0:
        path = settings.get("events")
        if not path:
            return
        _descriptor = _out_of_the_way(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))
        found = os.fstat(_descriptor)
        _identity = (found.st_dev, found.st_ino)
    os.write(_descriptor, line)


def _still_ours() -> bool:
    try:
        found = os.fstat(_descriptor)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == _identity


def _out_of_the_way(descriptor: int) -> int:
    """Move it to a high number: programs exist that reckon with the lowest numbers."""
    try:
        import fcntl

        high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 200)
    except (ImportError, OSError):
        return descriptor
    os.close(descriptor)
    return high
