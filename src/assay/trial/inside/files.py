"""Which files the submission writes, deletes and renames, and what its figures say."""

from __future__ import annotations

import os
import sys

from . import events, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType
    from typing import Any

# events of this process, at most
MOST = 400
_WRITING = os.O_WRONLY | os.O_RDWR
_OPS = {
    "os.remove": "delete",
    "os.rmdir": "delete",
    "shutil.rmtree": "rmtree",
    "os.rename": "rename",
    "shutil.move": "rename",
}

_told: set[tuple[str, str]] = set()
_places: list[tuple[str, str]] = []
_busy = False


def watch() -> None:
    """Tell of files from now on, by Python's audit events (PEP 578); what C and Rust open is not seen."""
    for name, setting in (("results", "results"), ("work", "work")):
        found = settings.get(setting)
        if found:
            _places.append((name, os.path.realpath(str(found))))
    # before the home, which may hold it
    _places.append(("tmp", os.path.realpath(os.environ.get("TMPDIR") or "/tmp")))
    _places.append(("home", os.path.realpath(os.path.expanduser("~"))))
    sys.addaudithook(_heard)


def _heard(event: str, args: tuple[Any, ...]) -> None:
    global _busy
    if event == "open":
        mode, flags = args[1], args[2]
        if isinstance(mode, str):
            if "r" in mode and "+" not in mode:
                return
        elif not isinstance(flags, int) or not flags & _WRITING:
            return
        op = "write"
    elif event in _OPS:
        op = _OPS[event]
    else:
        return
    if _busy or len(_told) >= MOST:
        return
    _busy = True
    try:
        _tell(op, args)
    except Exception as error:
        events.failed("files", error)
    finally:
        _busy = False


def _tell(op: str, args: tuple[Any, ...]) -> None:
    path = args[0]
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not isinstance(path, str):
        path = getattr(path, "__fspath__", lambda: None)()
        if not isinstance(path, str):
            return
    path = os.path.abspath(path)
    if path.startswith(("/dev/", "/proc/", "/sys/")) or "__pycache__" in path or path == settings.get("events"):
        return
    name = placed(path)
    if name.startswith("tmp:"):
        return
    if not name.startswith("results:"):
        # of a cache with thousands of files, its folder says enough
        name = "/".join(name.split("/")[:3])
    if (op, name) in _told:
        return
    frames = events.own_frames(sys._getframe(2))
    if not frames and not name.startswith("results:"):
        return
    _told.add((op, name))
    more = {}
    if op == "rename" and len(args) > 1 and isinstance(args[1], (str, os.PathLike)):
        more["to"] = placed(os.path.abspath(os.fspath(args[1])))
    events.emit("file", op=op, path=name, frames=frames, by=_author(sys._getframe(2)), **more)


def _author(frame: FrameType | None) -> str:
    """Who does it: `own` for the submission itself, else the package that does it below one of its calls."""
    while frame is not None:
        path = frame.f_code.co_filename
        if events.own_file(path) is not None:
            return "own"
        if "-packages" in path and not path.startswith(events.HERE):
            return str(frame.f_globals.get("__name__", "")).partition(".")[0]
        frame = frame.f_back
    return ""


def placed(path: str) -> str:
    """A path as events name it: `results:a/b`, `work:a/b`, `tmp:…`, `home:…` or `other:/…`."""
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    for name, folder in _places:
        if real == folder:
            return name + ":"
        if real.startswith(folder + os.sep):
            return name + ":" + real[len(folder) + 1 :]
    return "other:" + real


def install(module: ModuleType) -> None:
    """Tell of each figure that is saved: legend, texts, whether it was cut tight."""
    figure = module.Figure
    savefig = figure.savefig

    import functools

    @functools.wraps(savefig)
    def watched(self: Any, *args: Any, **keywords: Any) -> Any:
        _figure(self, args, keywords)
        return savefig(self, *args, **keywords)

    figure.savefig = watched


@events.guarded
def _figure(figure: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    target: Any = args[0] if args else keywords.get("fname")
    is_path = isinstance(target, (str, os.PathLike))
    texts: list[str] = []
    legend = bool(figure.legends)
    for axes in figure.axes:
        shown = axes.get_legend()
        legend = legend or shown is not None
        texts += [axes.get_title(), axes.get_xlabel(), axes.get_ylabel()]
        texts += [text.get_text() for text in axes.texts]
        if shown is not None:
            texts += [text.get_text() for text in shown.get_texts()]
        texts += [text.get_text() for text in [*axes.get_xticklabels(), *axes.get_yticklabels()]][:60]
    said = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
    tight = keywords.get("bbox_inches") == "tight" or bool(
        figure.get_tight_layout() if hasattr(figure, "get_tight_layout") else False
    )
    if hasattr(figure, "get_layout_engine"):
        tight = tight or figure.get_layout_engine() is not None
    events.emit(
        "figure",
        path=placed(os.path.abspath(os.fspath(target))) if is_path else "",
        legend=legend,
        texts=[text for text in [said, *texts] if text][:100],
        tight=tight,
        frames=events.own_frames(sys._getframe(2)),
    )
