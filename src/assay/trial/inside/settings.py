"""The settings of one rehearsed step, from the file that lies beside this module.

A file and no environment variable, because a submission may start its children with a cleared environment.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "settings.json")

_values: dict[str, Any] | None = None


def values() -> dict[str, Any]:
    """All settings; empty where there is no file, as in tests of single modules."""
    global _values
    if _values is None:
        try:
            with open(PATH, encoding="utf-8") as file:
                read = _parsed(file.read())
        except (OSError, ValueError):
            read = {}
        _values = read if isinstance(read, dict) else {}
    return _values


def _parsed(text: str) -> Any:
    """What JSON says, without the module json where possible: with all that it imports, it costs a child 7 ms."""
    try:
        from _json import make_scanner
    except ImportError:
        import json

        return json.loads(text)

    class Ways:
        strict = True
        object_hook = None
        object_pairs_hook = None
        array_hook = None
        parse_float = float
        parse_int = int
        parse_constant = float
        memo: dict[str, str] = {}

    try:
        return make_scanner(Ways)(text.strip(), 0)[0]  # type: ignore[arg-type]
    except StopIteration:
        raise ValueError("no JSON") from None


def use(given: dict[str, Any]) -> None:
    """Take these settings instead of the file's, from now on and in this process alone."""
    global _values
    _values = dict(given)


def get(name: str, default: Any = None) -> Any:
    """A setting by its name; dots lead into objects, as in `hub.catalogue`."""
    found: Any = values()
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return default
        found = found[part]
    return found


def shrinks() -> bool:
    """Whether sizes are cut, so that a rehearsal is quick; off in a run that is to confirm a stop."""
    return bool(get("shrink", False))


def limit(name: str) -> int | None:
    """A limit of size, 1 or more; None where nothing is to be cut."""
    if not shrinks():
        return None
    found = get("limits." + name)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or found < 1:
        return None
    return int(found)


def shim(name: str) -> bool:
    """Whether a shim is asked for, by its name."""
    return name in (get("shims") or ())
