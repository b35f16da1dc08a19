"""Exceptions by the names of their classes and bases, and which handlers catch them."""

from __future__ import annotations

import builtins

# names that Python has twice
SAME_EXCEPTION = {"IOError": "OSError", "EnvironmentError": "OSError"}


def python_exception(name: str) -> tuple[str, ...]:
    """Names of an exception of Python and of its bases."""
    found = getattr(builtins, name, None)
    if isinstance(found, type) and issubclass(found, BaseException):
        return tuple(one.__name__ for one in found.__mro__ if one is not object)
    return ()


def library_exception(path: str) -> tuple[str, ...]:
    """Names of an exception by its path, and of its bases; `?` where these are not known."""
    name = path.rpartition(".")[2]
    if path == name:
        known = python_exception(SAME_EXCEPTION.get(name, name))
        if known:
            return known
    return (name or "?", "?", "Exception", "BaseException")


def catches(handled: tuple[str, ...], names: tuple[str, ...]) -> bool | None:
    """Whether handlers for some exceptions catch one with these names; None where it is not known."""
    if any(one != "?" and (one in names or one in ("BaseException", "*")) for one in handled):
        return True
    if "?" in handled:
        return None
    # an exception whose bases are not known may be caught by the name of one of them
    return None if "?" in names else False
