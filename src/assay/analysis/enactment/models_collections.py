"""What the functions do that make and walk through lists, tuples, sets and dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from assay.analysis.enactment.describing import copy_of
from assay.analysis.enactment.operations import MAX_TURNS
from assay.analysis.enactment.regions import BRANCH, REPEAT
from assay.analysis.enactment.registry import MODELS, Call, Model, model
from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    Choice,
    Counted,
    External,
    Instance,
    Items,
    Node,
    Pairs,
    choice,
    is_constant,
    marks_of,
)

MAX_COUNTED = 3


@model("len")
def _len(call: Call) -> object:
    value = call.first(0, "obj", ANYTHING)
    machine = call.machine
    if isinstance(value, str):
        return machine.text_length(value)
    if isinstance(value, Items) and value.kind in ("set", "iterator"):
        return ANYTHING
    turns = machine.turns(value, keep=True)
    if turns is not None:
        return len(turns)
    if isinstance(value, Instance):
        method = value.cls.method("__len__")
        if method is not None:
            return machine.call(method.bound_to(value), [], {}, call.node)
    return External("len()", marks_of(value))


@model("range")
def _range(call: Call) -> object:
    marks = marks_of(*call.positional)
    if call.positional and len(call.positional) <= 3:
        if all(isinstance(one, int) for one in call.positional):
            numbers: list[Any] = list(call.positional)
            try:
                turns = range(*numbers)
                count = len(turns)
            except (ValueError, OverflowError):
                return ANYTHING
            if count <= MAX_COUNTED:
                return Items(list(turns), region=call.machine.region)
            return External("range()")
        if marks:
            call.machine.emit("use", call.node, marks=tuple(sorted(marks)), by="range")
        return External("range()" if marks or _counts(call.positional) else "range(?)", marks)
    return ANYTHING


def _counts(positional: list[object]) -> bool:
    """Whether a range to one of several numbers is certainly not empty."""
    last = positional[0] if len(positional) == 1 else positional[1]
    known = last.values if isinstance(last, Choice) else (last,)
    starts = len(positional) == 1 or positional[0] == 0
    return starts and len(positional) < 3 and all(isinstance(one, int) and one > 0 for one in known)


def _sequence_named(name: str) -> Model:
    kind = {"tuple": "tuple", "set": "set", "frozenset": "set", "sorted": "list", "list": "list"}.get(name, "iterator")

    def carry(call: Call) -> object:
        machine = call.machine
        if call.keywords:
            machine.callbacks(list(call.keywords.values()), call.node)
        if not call.positional and not call.keywords:
            return Items([], kind, region=machine.region)
        value = call.first(0, "iterable")
        if value is ABSENT or (len(call.positional) > 1 and name in ("iter", "enumerate")):
            return ANYTHING
        if name == "list" and isinstance(value, Node):
            machine.emit("read", call.node, path=machine.configurations.path_of(value.config), by="items", found=True)
        lasting = isinstance(value, Items) and value.kind != "iterator"
        turns = machine.turns(value)
        if name == "enumerate":
            if turns is not None and "start" not in call.keywords:
                rows: list[object] = [
                    Items([place, one], "tuple", region=machine.region) for place, one in enumerate(turns)
                ]
                return Items(rows, kind, region=machine.region)
            return Counted(machine.element(value), machine.runs_for_batches(value))
        if turns is None:
            if isinstance(value, External):
                return value
            if isinstance(value, Items):
                made = value.kind if kind == "iterator" and lasting else kind
                return Items(list(value.items), made, open=True, region=machine.region, hollow=value.hollow)
            if isinstance(value, Instance):
                return value
            return External("?", marks_of(value))
        if name == "reversed":
            turns = turns[::-1]
        if name == "sorted" and len(turns) > 1:
            if call.keywords or not all(isinstance(one, str) for one in turns):
                return Items(turns, open=True, region=machine.region)
            turns = sorted(turns, key=str)
        return Items(list(turns), kind, region=machine.region)

    return carry


for _name in ("enumerate", "reversed", "iter", "sorted", "list", "tuple", "set", "frozenset"):
    MODELS[_name] = _sequence_named(_name)
for _name in ("tqdm.tqdm", "tqdm.auto.tqdm", "tqdm.notebook.tqdm", "rich.progress.track", "tqdm"):
    MODELS[_name] = _sequence_named("iter")
MODELS["tqdm.trange"] = MODELS["tqdm.auto.trange"] = MODELS["range"]


@model("itertools.islice")
def _islice(call: Call) -> object:
    return External("DataLoader" if call.positional and call.machine.runs_for_batches(call.positional[0]) else "?")


@model("zip")
def _zip(call: Call) -> object:
    machine = call.machine
    turns = [machine.turns(one) for one in call.positional]
    known = [one for one in turns if one is not None]
    if call.positional and len(known) == len(turns) and not call.keywords:
        rows = zip(*known, strict=False)
        made = [Items(list(row), "tuple", region=machine.region) for row in rows]
        return Items(list(made), "iterator", region=machine.region)
    if turns and all(machine.runs_for_batches(one) or rows for one, rows in zip(call.positional, turns, strict=True)):
        return External("DataLoader")
    return ANYTHING


@model("dict", "collections.OrderedDict", open_too=True)
def _dict(call: Call) -> object:
    machine = call.machine
    made = Pairs({}, open=call.is_open, region=machine.region)
    for value in call.positional:
        if isinstance(value, Node):
            path = machine.configurations.path_of(value.config)
            machine.emit("read", call.node, path=path, by="items", found=True)
            value = machine.configurations.container(value.config, path, deep=False)
        if isinstance(value, Pairs) and not value.attributes:
            made.pairs.update(value.pairs)
            made.doubtful |= value.doubtful
            made.open = made.open or value.open
            made.path = value.path
            continue
        turns = machine.turns(value)
        for one in turns or []:
            if isinstance(one, Items) and len(one.items) == 2 and is_constant(one.items[0]) and not one.open:
                made.pairs[one.items[0]] = one.items[1]
            else:
                made.open = True
        made.open = made.open or turns is None
    for word, value in call.keywords.items():
        made.pairs[word] = value
        made.doubtful.discard(word)
    return made


@model("collections.defaultdict", "collections.Counter", open_too=True)
def _open_dictionary(call: Call) -> object:
    call.machine.callbacks(call.values, call.node)
    return Pairs({}, open=True, region=call.machine.region)


def _folded_named(name: str) -> Model:
    functions: dict[str, Callable[[list[Any]], object]] = {"max": max, "min": min, "sum": sum}

    def carry(call: Call) -> object:
        machine = call.machine
        key = call.keywords.get("key")
        if key is not None:
            machine.callbacks([key], call.node)
        if call.keywords or (name in ("sum", "any", "all") and len(call.positional) != 1):
            return External("?", marks_of(*call.values))
        values = call.positional if len(call.positional) > 1 else None
        if len(call.positional) == 1:
            values = machine.turns(call.positional[0])
        if values is None:
            return External("?", marks_of(*call.positional))
        if name in ("any", "all"):
            known = [machine.truth(one) for one in values]
            stop = name == "any"
            if stop in known:
                return stop
            return ANYTHING if None in known else not stop
        if values and all(isinstance(one, int | float) for one in values):
            try:
                return functions[name](list(values))
            except OverflowError:
                return ANYTHING
        return External("?", marks_of(*values))

    return carry


for _name in ("max", "min", "sum", "any", "all"):
    MODELS[_name] = _folded_named(_name)


@model("map", "filter")
def _map(call: Call) -> object:
    machine = call.machine
    eager = machine.consumes(call.node)
    if len(call.positional) != 2:
        machine.callbacks(call.values, call.node)
        return ANYTHING
    function, source = call.positional
    turns = machine.turns(source)
    if turns is not None and len(turns) <= MAX_TURNS:
        found: list[object] = []
        for one in turns:
            if eager:
                found.append(machine.call(function, [one], {}, call.node))
                continue
            value: object = ANYTHING
            # it is carried out as far as somebody asks
            with machine.within(BRANCH):
                value = machine.call(function, [one], {}, call.node)
            found.append(value)
        if call.name == "map":
            return Items(found, "iterator", region=machine.region)
        known = [machine.truth(one if function is None else value) for one, value in zip(turns, found, strict=True)]
        kept = [one for one, true in zip(turns, known, strict=True) if true is not False]
        return Items(kept, "iterator", open=None in known, region=machine.region, hollow=True not in known)
    element = machine.element(source)
    made: object = ANYTHING
    with machine.within(REPEAT):
        made = machine.call(function, [element], {}, call.node)
    kept = [made if call.name == "map" else element]
    return Items(kept, "iterator", open=True, region=machine.region, hollow=True)


@model("next")
def _next(call: Call) -> object:
    machine = call.machine
    value = call.first(0, "iterator", ANYTHING)
    default = call.positional[1:2]
    if not isinstance(value, Items):
        return choice([machine.element(value), *default]) if call.positional else ANYTHING
    if value.kind == "iterator" and not value.open and not machine.weak(value.region):
        if value.items:
            return value.items.pop(0)
        return default[0] if default else ANYTHING
    known = value.items[:4]
    value.open = value.hollow = True
    return choice([*known, ANYTHING, *default])


@model("vars")
def _vars(call: Call) -> object:
    value = call.first(0, "object", ANYTHING)
    if isinstance(value, Pairs) and value.attributes:
        return call.machine.shared_pairs(value)
    call.machine.havoc([value])
    return Pairs({}, open=True, region=call.machine.region)


@model("copy.deepcopy", "copy.copy", "omegaconf.OmegaConf.deepcopy", "omegaconf.OmegaConf.copy")
def _copy(call: Call) -> object:
    value = call.first(0, "x", ANYTHING)
    region = call.machine.region
    deep = call.name != "copy.copy"
    if isinstance(value, Node):
        return call.machine.configurations.copied(value, deep=deep)
    if isinstance(value, Instance) and not value.cls.closed:
        return ANYTHING
    if isinstance(value, Items | Pairs | Instance) and deep:
        return copy_of(value, region)
    if isinstance(value, Pairs):
        return Pairs(dict(value.pairs), value.open, region, value.path, value.attributes, set(value.doubtful))
    if isinstance(value, Items):
        return Items(list(value.items), value.kind, value.open, region, value.path, value.hollow)
    if isinstance(value, Instance):
        return Instance(value.cls, dict(value.attributes), region, set(value.doubtful), value.open)
    return value
