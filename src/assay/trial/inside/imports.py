"""Calling a function right after a module was imported, whoever imports it and whenever."""

from __future__ import annotations

import sys

from . import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    Hook = Callable[[ModuleType], object]
else:
    # the same class, without the module that names it
    ModuleSpec = type(sys.__spec__)

_waiting: dict[str, list[Hook]] = {}


def when_imported(module: str, function: Hook) -> None:
    """Call `function(module)` once, after the module's own code ran; at once where it was imported already.

    Several functions of one module are called in the order in which they were given. What a function raises is told
    as an event and goes no further.
    """
    there = sys.modules.get(module)
    if there is not None and not _initializing(there) and module not in _waiting:
        _call(function, there)
        return
    _waiting.setdefault(module, []).append(function)
    if there is not None:
        # it is being imported now, by whom this was called: its loader is past wrapping, its parent's may not be
        _watch_running(module)
    _first_in_line()


def _initializing(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _watch_running(module: str) -> None:
    spec = getattr(sys.modules.get(module), "__spec__", None)
    if spec is None:
        return
    # importlib looks once more at this flag when the import is over; no other sign of it is given
    spec.__class__ = _Noticed


class _Noticed(ModuleSpec):
    """A specification that notices when importlib declares its module's import to be over."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "_initializing" and not value:
            self.__class__ = ModuleSpec  # type: ignore[assignment]
            fire(self.name)


def fire(module: str) -> None:
    """Call what waits for a module that is imported by now."""
    there = sys.modules.get(module)
    if there is None:
        return
    for function in _waiting.pop(module, ()):
        _call(function, there)


def _call(function: Hook, module: ModuleType) -> None:
    try:
        function(module)
    except Exception as error:
        where = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')} of {module.__name__}"
        events.failed(where, error)


class _Finder:
    """Finds nothing itself: lets the other finders look, and wraps the loader of a module that is waited for."""

    def __init__(self) -> None:
        self.looking: set[tuple[int, str]] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in _waiting:
            return None
        import _thread

        key = (_thread.get_ident(), name)
        if key in self.looking:
            return None
        self.looking.add(key)
        try:
            spec = self._others(name, path, target)
        finally:
            self.looking.discard(key)
        if spec is not None and spec.loader is not None:
            _wrap(spec)
        return spec

    def _others(self, name: str, path: Sequence[str] | None, target: ModuleType | None) -> ModuleSpec | None:
        for finder in sys.meta_path:
            look = getattr(finder, "find_spec", None)
            if finder is self or look is None:
                continue
            found: ModuleSpec | None = look(name, path, target)
            if found is not None:
                return found
        return None


def _wrap(spec: ModuleSpec) -> None:
    loader: Any = spec.loader
    execute = getattr(loader, "exec_module", None)
    if execute is None or getattr(execute, "waited_for", False):
        return

    def exec_module(module: ModuleType) -> None:
        execute(module)
        fire(module.__name__)

    exec_module.waited_for = True  # type: ignore[attr-defined]
    try:
        if isinstance(loader, type):
            raise AttributeError("loaders of frozen and builtin modules are classes, which all modules share")
        # on the loader itself, which belongs to this module alone: nobody meets a loader of a strange class
        loader.exec_module = exec_module
    except AttributeError:
        spec.loader = _Loader(loader, exec_module)  # type: ignore[assignment]


class _Loader:
    """Stands before a loader that takes no attributes."""

    def __init__(self, loader: Any, execute: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self.exec_module = execute

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


_finder = _Finder()


def _first_in_line() -> None:
    if not sys.meta_path or sys.meta_path[0] is not _finder:
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)
        sys.meta_path.insert(0, _finder)


def installing(owner: str) -> Hook:
    """A function that imports a module of this package, only then, and has it install itself into a library."""

    def install(module: ModuleType) -> None:
        from importlib import import_module

        import_module(f"{events.PACKAGE}.{owner}").install(module)

    install.__qualname__ = f"install {owner}"
    return install
