"""Values of the enactment as JSON and as Python hold them, and the way back."""

from __future__ import annotations

import json

from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.operations import MAX_TEXT
from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    Choice,
    Class,
    External,
    FilePath,
    Function,
    Instance,
    Items,
    Node,
    Pairs,
    is_constant,
    marks_of,
)

MAX_ITEMS = 2_000


def describe(machine: Machine, value: object, depth: int = 3) -> object:
    """A value as JSON can hold it."""
    if is_constant(value):
        return {"is": value.decode("latin-1")[:200]} if isinstance(value, bytes) else {"is": short(value)}
    if isinstance(value, External):
        found: dict[str, object] = {"external": value.path}
        if value.marks:
            found["marks"] = sorted(value.marks)
        if value.keys:
            found["keys"] = {name: short(one) for name, one in value.keys if not isinstance(one, bytes)}
        return found
    if isinstance(value, Choice):
        return {"choice": [describe(machine, one, depth - 1) for one in value.values]}
    if depth <= 0:
        return {"external": "?"}
    if isinstance(value, Items):
        kind = "list" if value.kind == "iterator" else value.kind
        shown = [describe(machine, one, depth - 1) for one in value.items[:30]]
        return {kind: shown, "open": value.open or len(value.items) > 30}
    if isinstance(value, Pairs):
        pairs = list(value.pairs.items())
        return {
            "dict": {str(key): describe(machine, one, depth - 1) for key, one in pairs[:60]},
            "open": value.open or bool(value.doubtful) or len(pairs) > 60,
        }
    if isinstance(value, Node):
        return {"config": machine.configurations.path_of(value.config)}
    if isinstance(value, FilePath):
        return {"path": value.text}
    if isinstance(value, Function):
        return {"function": value.name, "file": value.scope.file.path, "line": getattr(value.node, "lineno", 0)}
    if isinstance(value, Instance):
        return {"instance": value.cls.node.name, "file": value.cls.scope.file.path}
    if isinstance(value, Class):
        return {"class": value.node.name, "file": value.scope.file.path}
    return {"external": "?"}


def short(value: object) -> object:
    """A constant that is no longer than needs be."""
    if isinstance(value, str):
        return value[:500]
    if isinstance(value, int) and abs(value) > 2**62:
        return hex(value)[:80]
    return value


def plain_of(value: object, depth: int = 12) -> object:
    """A value of constants and closed containers as Python holds it; `ABSENT` where it is not one."""
    if is_constant(value):
        return value
    if depth <= 0:
        return ABSENT
    if isinstance(value, Items) and not value.open and value.kind in ("list", "tuple"):
        items = [plain_of(one, depth - 1) for one in value.items]
        return ABSENT if any(one is ABSENT for one in items) else items
    if isinstance(value, Pairs) and not value.open and not value.attributes and not value.doubtful:
        pairs = {key: plain_of(one, depth - 1) for key, one in value.pairs.items()}
        return ABSENT if any(one is ABSENT for one in pairs.values()) else pairs
    return ABSENT


def held_of(value: object, region: int, depth: int = 40) -> object:
    """A value of Python as the enactment holds it."""
    if is_constant(value):
        return value
    if depth <= 0:
        return ANYTHING
    if isinstance(value, list | tuple):
        items = [held_of(one, region, depth - 1) for one in value[:MAX_ITEMS]]
        kind = "tuple" if isinstance(value, tuple) else "list"
        return Items(items, kind, open=len(value) > MAX_ITEMS, region=region)
    if isinstance(value, dict):
        known = {key: held_of(one, region, depth - 1) for key, one in value.items() if is_constant(key)}
        return Pairs(known, open=len(known) < len(value), region=region)
    return ANYTHING


def copy_of(value: object, region: int, *, as_json: bool = False) -> object:
    """A copy of containers and what they hold.

    Args:
        as_json: Whether it has been written down as JSON and read again: tuples are lists, keys are texts.
    """
    made: dict[int, object] = {}

    def go(one: object, depth: int) -> object:
        if isinstance(one, Items | Pairs | Instance) and id(one) in made:
            return made[id(one)]
        if depth <= 0:
            return one if is_constant(one) else ANYTHING
        if isinstance(one, Items):
            kind = "list" if as_json else one.kind
            items = Items([], kind, one.open, region, None if as_json else one.path, one.hollow)
            made[id(one)] = items
            items.items += [go(item, depth - 1) for item in one.items]
            return items
        if isinstance(one, Pairs):
            pairs = Pairs({}, one.open, region, None if as_json else one.path, one.attributes, set(one.doubtful))
            made[id(one)] = pairs
            for key, held in one.pairs.items():
                if as_json and not isinstance(key, str):
                    pairs.open = True
                    continue
                pairs.pairs[key] = go(held, depth - 1)
            return pairs
        if isinstance(one, Instance):
            copied = Instance(one.cls, {}, region, set(one.doubtful), one.open)
            made[id(one)] = copied
            copied.attributes.update({name: go(held, depth - 1) for name, held in one.attributes.items()})
            return copied
        return one

    return go(value, 30)


def json_text(value: object) -> object:
    """`json.dumps(value)`."""
    plain = plain_of(value)
    if plain is ABSENT:
        return External("?", marks_of(value))
    try:
        text = json.dumps(plain)
    except (TypeError, ValueError):
        return ANYTHING
    return text if len(text) <= MAX_TEXT else ANYTHING
