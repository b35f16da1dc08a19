"""What ends a process of the submission: uncaught exceptions, those of threads and children too, and exits.

`sys.excepthook` sees no SystemExit, and libraries replace it. So the call of the main module is watched as well where
`python -m` runs it, and `sys.exit` where a script does.
"""

from __future__ import annotations

import os
import sys
import time

from . import events, imports, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType, TracebackType
    from typing import Any

# how a traceback names a place, in a message that another process sent
_PLACE = '  File "'
_TRACEBACK = "Traceback (most recent call last):"
# the exit that was asked for last, where nobody sees whether it is caught: status, frames and time
_asked: dict[str, Any] = {}
# set on an exception that was told; kept themselves, they would keep workers and memory with them
_MARK = "_assay_stop"
# stops that this process told
_stops = 0


def install() -> None:
    """Watch all ways in which this process can stop."""
    _watch_excepthook()
    _watch_exit()
    imports.when_imported("threading", _watch_threads)
    imports.when_imported("multiprocessing.process", _watch_children)
    # a fork of it, under another name, that datasets uses
    imports.when_imported("multiprocess.process", _watch_children)
    imports.when_imported("runpy", _watch_main_module)


def report(error: BaseException, *, fatal: bool = True, worker: bool = False) -> None:
    """Emit a `stop` for an exception that nobody caught, once; or `passed-on` where a child's stop led to it."""
    try:
        _report(error, fatal, worker)
    except Exception as failure:
        events.failed("stops.report", failure)


def _report(
    error: BaseException,
    fatal: bool,
    worker: bool,
    outer: list[list[Any]] | None = None,
    status: int | str | None = None,
) -> None:
    global _stops
    if isinstance(error, (KeyboardInterrupt, GeneratorExit)):
        return
    if isinstance(error, SystemExit):
        if not error.code:
            return
        status = error.code if isinstance(error.code, int) else str(error.code)
        cause = _cause(error)
        # `except Exception: print(...); sys.exit(1)`, as Hydra does it, hides what really happened
        if isinstance(cause, Exception):
            outer, _ = events.frames_of(error.__traceback__)
            error = cause
    if getattr(error, _MARK, False):
        return
    try:  # noqa: SIM105, since contextlib costs a child its import
        setattr(error, _MARK, True)
    except (AttributeError, TypeError):
        pass
    if (status is not None or _of_subprocess(error)) and _child_stopped():
        events.emit("passed-on", type=type_name(error), message=str(error)[:1000], status=status)
        return
    own, others = events.frames_of(error.__traceback__)
    own = _joined(outer or [], own)
    text = traceback_text(error)
    name, message, from_worker = type_name(error), _message(error), False
    sent = sent_traceback(error)
    if sent:
        inner, inner_others, inner_name, inner_message = parse_traceback(sent)
        if inner:
            own, others, from_worker = [*own, *inner], inner_others or others, True
            name, message = inner_name or name, inner_message or message
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        place = events.own_file(os.path.abspath(str(error.filename)))
        if place is not None:
            own = [*own, [place, error.lineno, "<module>"]]
    more = {} if status is None else {"status": status}
    if fatal:
        _stops += 1
    events.emit(
        "stop",
        type=name,
        message=message[:4000],
        frames=own,
        library_frames=others,
        chain=_chain(error),
        text=text[-6000:],
        worker=worker or from_worker,
        fatal=fatal,
        parent=os.getppid(),
        **more,
    )


def _joined(outer: list[list[Any]], inner: list[list[Any]]) -> list[list[Any]]:
    """The frames of a caught exception, below those that lead to the function which caught it."""
    if not inner:
        return outer
    for position, frame in enumerate(outer):
        if (frame[0], frame[2]) == (inner[0][0], inner[0][2]):
            return [*outer[:position], *inner]
    return inner


def type_name(error: BaseException) -> str:
    """The dotted name of an exception's class, without `builtins`."""
    kind = type(error)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def traceback_text(error: BaseException) -> str:
    """The traceback as Python prints it, without the frames that belong to the watching."""
    import traceback

    try:
        lines = traceback.format_exception(type(error), error, error.__traceback__)
    except Exception:
        return f"{type_name(error)}: {_message(error)}"
    return "".join(line for line in lines if events.HERE not in line)


def sent_traceback(error: BaseException) -> str:
    """The traceback of another process inside an exception: in its message or its cause's; empty where there is none.

    torch's DataLoader raises the exception of a worker anew with the traceback as its message; pools of processes and
    futures hang an exception with the traceback's text before it.
    """
    found = ""
    for one in (error, error.__cause__):
        if one is None:
            continue
        text = getattr(one, "tb", None)
        if not isinstance(text, str):
            text = _message(one)
        if _TRACEBACK in text:
            found = text
    return found


def parse_traceback(text: str) -> tuple[list[list[Any]], list[list[Any]], str, str]:
    """Own frames, the innermost six of others, type and message of the last traceback that a text holds."""
    last = text[text.rindex(_TRACEBACK) :].splitlines()[1:]
    own: list[list[Any]] = []
    others: list[list[Any]] = []
    said = ""
    for position, line in enumerate(last):
        if line.startswith(_PLACE):
            path, _, rest = line[len(_PLACE) :].partition('", line ')
            number, _, function = rest.partition(", in ")
            if not number.isdigit():
                continue
            inner = events.own_file(path)
            if inner is not None:
                own.append([inner, int(number), function.strip()])
            elif not path.startswith((events.HERE, "<frozen")):
                others.append([_module_of(path), int(number), function.strip()])
        elif line and not line.startswith(" ") and ("Error" in line or ":" in line or position == len(last) - 1):
            said = "\n".join(last[position:]).strip().strip('"').strip()
            break
    name, colon, message = said.partition(": ")
    if " " in name:
        return own, others[-6:], "", ""
    return own, others[-6:], name.rstrip(":"), message if colon else ""


def _module_of(path: str) -> str:
    """The dotted name of a library's module by its file."""
    for mark in ("/site-packages/", "/dist-packages/"):
        if mark in path:
            path = path.rpartition(mark)[2]
            break
    else:
        path = os.path.basename(path)
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:
        return f"<its text cannot be had: {type(failure).__name__}>"


def _cause(error: BaseException) -> BaseException | None:
    """What an exception was raised for, or while handling; None where that is hidden on purpose."""
    if error.__cause__ is not None:
        return error.__cause__
    return None if error.__suppress_context__ else error.__context__


def _chain(error: BaseException) -> list[list[str]]:
    """Type and message of the exceptions that led to this one, the first of them first."""
    found: list[list[str]] = []
    seen = {id(error)}
    current = _cause(error)
    while current is not None and id(current) not in seen and len(found) < 8:
        seen.add(id(current))
        found.append([type_name(current), _message(current)[:600]])
        current = _cause(current)
    return found[::-1]


def _of_subprocess(error: BaseException) -> bool:
    """Whether an exception, or one that led to it, says no more than that a child process failed."""
    current: BaseException | None = error
    for _ in range(8):
        if current is None:
            return False
        if type(current).__name__ in ("CalledProcessError", "ProcessRaisedException", "ChildFailedError"):
            return True
        current = _cause(current)
    return False


def _child_stopped() -> bool:
    """Whether a process that began after this one told a stop: it is taken for a child, whatever stands in between."""
    import json

    path = settings.get("events")
    if not path:
        return False
    mine = os.getpid()
    older, stopped = set(), set()
    begun = False
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if '"process"' not in line and '"stop"' not in line:
                    continue
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if event.get("kind") == "process":
                    begun = begun or event.get("pid") == mine
                    if not begun:
                        older.add(event.get("pid"))
                elif event.get("kind") == "stop" and begun and event.get("fatal"):
                    stopped.add(event.get("pid"))
    except OSError:
        return False
    return bool(stopped - older - {mine})


def _watch_excepthook() -> None:
    before = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        # a class alone may be thrown by C code
        if isinstance(error, BaseException):
            if error.__traceback__ is None:
                error = error.with_traceback(trace)
            report(error)
        before(kind, error, trace)

    sys.excepthook = excepthook


def _watch_threads(threading: ModuleType) -> None:
    before = threading.excepthook

    def excepthook(args: Any) -> None:
        if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
            report(args.exc_value, fatal=False)
        before(args)

    threading.excepthook = excepthook  # type: ignore[attr-defined]


def _watch_children(process: ModuleType) -> None:
    """Report what ends the target of a multiprocessing child: `_bootstrap` prints it and calls no hook."""
    base = process.BaseProcess
    bootstrap = base._bootstrap

    def _bootstrap(self: Any, *args: Any, **keywords: Any) -> Any:
        run = self.run

        def watched_run() -> Any:
            # a forked child has all that its parent had, and none of what the parent told is its own
            _asked.clear()
            events.emit("process", argv=[str(self.name)], parent=os.getppid(), python=sys.executable, forked=True)
            try:
                return run()
            except BaseException as error:
                report(error)
                raise

        try:
            self.run = watched_run
        except AttributeError as error:
            events.failed("stops.children", error)
        return bootstrap(self, *args, **keywords)

    _bootstrap.__wrapped__ = bootstrap  # type: ignore[attr-defined]
    base._bootstrap = _bootstrap


def _watch_main_module(runpy: ModuleType) -> None:
    """Report what ends the module that `python -m` runs, SystemExit among them."""
    run_code = getattr(runpy, "_run_code", None)
    if run_code is None:
        return

    def _run_code(code: Any, run_globals: Any, *args: Any, **keywords: Any) -> Any:
        if not _is_main(args, keywords):
            return run_code(code, run_globals, *args, **keywords)
        try:
            return run_code(code, run_globals, *args, **keywords)
        except SystemExit as error:
            _asked.clear()
            report(error)
            raise
        except BaseException as error:
            report(error)
            raise

    _run_code.__wrapped__ = run_code  # type: ignore[attr-defined]
    runpy._run_code = _run_code  # type: ignore[attr-defined]


def _is_main(args: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    """Whether `_run_code(code, globals, init_globals, mod_name, ...)` runs the main module."""
    name = keywords.get("mod_name", args[1] if len(args) > 1 else None)
    return name == "__main__" and sys._getframe(2).f_code.co_name == "_run_module_as_main"


def _watch_exit() -> None:
    """Note where the last `sys.exit` with a status was asked for: in a script, nobody else sees it."""
    import atexit

    leave = sys.exit

    def exit(status: object = None, /) -> None:
        if status and not isinstance(status, bool):
            _note_exit(status)
        leave(status)  # type: ignore[arg-type]

    exit.__doc__ = leave.__doc__
    sys.exit = exit  # type: ignore[assignment]
    atexit.register(_tell_exit)


def _note_exit(status: object) -> None:
    handled = sys.exc_info()[1]
    frame = sys._getframe(2)
    _asked.update(
        status=status if isinstance(status, int) else str(status)[:1000],
        error=handled if isinstance(handled, Exception) else None,
        frames=events.own_frames(frame),
        library_frames=events.library_frames(frame),
        at=time.time(),
        pid=os.getpid(),
    )


@events.guarded
def _tell_exit() -> None:
    # an exit that was asked for long ago was caught by somebody, as test runners and notebooks do
    if not _asked or _asked["pid"] != os.getpid() or time.time() - _asked["at"] > 5:
        return
    # a spawned child of multiprocessing ends so, after its exception was told
    if _stops:
        return
    if _asked["error"] is not None:
        _report(_asked["error"], True, False, _asked["frames"], _asked["status"])
        return
    if _child_stopped():
        events.emit("passed-on", type="SystemExit", message=str(_asked["status"]), status=_asked["status"])
        return
    events.emit(
        "stop",
        type="SystemExit",
        message=str(_asked["status"]),
        frames=_asked["frames"],
        library_frames=_asked["library_frames"],
        chain=[],
        text="",
        worker=False,
        fatal=True,
        parent=os.getppid(),
        status=_asked["status"],
    )
