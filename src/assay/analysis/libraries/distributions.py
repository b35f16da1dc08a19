"""Which distribution provides which module, and which distributions come along with which."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from packaging.version import InvalidVersion, Version

from assay.analysis.fact_table import read_table


def canonical(name: str) -> str:
    """The name of a distribution in the form in which all spellings of it are equal (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def provides(module: str) -> frozenset[str]:
    """The distributions that provide a module, by the longest part of its dotted name that is known.

    Empty where no known distribution provides it: nothing follows from that.
    """
    parts = module.split(".")
    known = _distributions_of()
    for length in range(len(parts), 0, -1):
        if found := known.get(".".join(parts[:length])):
            return found
    return frozenset()


def modules_of(distribution: str) -> frozenset[str]:
    """The modules that a distribution provides; empty where they are not known."""
    return _modules().get(canonical(distribution), frozenset())


def is_known(distribution: str) -> bool:
    """Whether both its modules and what it brings along are known."""
    name = canonical(distribution)
    return name in _modules() and name in _brings()


def certainly(declared: Iterable[str]) -> frozenset[str]:
    """The declared distributions and those that every known version of them brings along, however far down."""
    return _closure(declared, _needed())[0]


def possible(declared: Iterable[str]) -> frozenset[str]:
    """The declared distributions and all that some version of them, or an extra, brings along."""
    return _closure(declared, _brings())[0] | _WITH_OLDER_PYTHONS


def unknown_among(declared: Iterable[str]) -> tuple[str, ...]:
    """The distributions of which it is not known what they bring along: declared ones, or brought along themselves."""
    names = [canonical(name) for name in declared]
    reached, unknown = _closure(names, _brings())
    strange = [name for name in names if name not in _modules()]
    return tuple(dict.fromkeys([*strange, *sorted(unknown & reached)]))


def oldest_known(distribution: str) -> Version | None:
    """The oldest version whose needs were looked at."""
    try:
        return Version(_oldest().get(canonical(distribution), ""))
    except InvalidVersion:
        return None


# Backports that resolutions for Python 3.11 do not show, and what an environment may hold by itself.
_WITH_OLDER_PYTHONS = frozenset(
    {
        "async-timeout", "backports-zoneinfo", "exceptiongroup", "importlib-metadata", "importlib-resources", "pip",
        "setuptools", "tomli", "typing-extensions", "wheel", "zipp",
    }
)  # fmt: skip


def _closure(names: Iterable[str], edges: dict[str, frozenset[str]]) -> tuple[frozenset[str], frozenset[str]]:
    """Everything reached from some names, and what of it has no entry."""
    pending = [canonical(name) for name in names]
    reached: set[str] = set()
    unknown: set[str] = set()
    while pending:
        name = pending.pop()
        if name in reached:
            continue
        reached.add(name)
        if name in edges:
            pending.extend(edges[name])
        else:
            unknown.add(name)
    return frozenset(reached), frozenset(unknown)


@cache
def _modules() -> dict[str, frozenset[str]]:
    return {row["distribution"]: frozenset(row["modules"].split()) for row in read_table("distributions")}


@cache
def _distributions_of() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for distribution, modules in _modules().items():
        for module in modules:
            found.setdefault(module, set()).add(distribution)
    return {module: frozenset(names) for module, names in found.items()}


@cache
def _needed() -> dict[str, frozenset[str]]:
    return {row["distribution"]: frozenset((row["certainly"] or "").split()) for row in read_table("brings")}


@cache
def _brings() -> dict[str, frozenset[str]]:
    return {
        row["distribution"]: frozenset(f"{row['certainly'] or ''} {row['possibly'] or ''}".split())
        for row in read_table("brings")
    }


@cache
def _oldest() -> dict[str, str]:
    return {row["distribution"]: row["oldest"] for row in read_table("brings")}
