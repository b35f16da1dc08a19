"""What the methods of configurations, dictionaries and lists do."""

from __future__ import annotations

from omegaconf import OmegaConf

from assay.analysis.enactment.calls import held
from assay.analysis.enactment.configurations import CONTAINERS, MARK, RaisedError
from assay.analysis.enactment.describing import describe
from assay.analysis.enactment.operations import MAX_ITEMS
from assay.analysis.enactment.registry import Call
from assay.analysis.enactment.values import (
    ANYTHING,
    Choice,
    External,
    Items,
    Node,
    Pairs,
    choice,
    is_constant,
    marks_of,
)

# Methods of configurations that change nothing, and whose result is not known.
_READING = frozenset(
    {
        "items_ex", "index", "count", "is_empty", "resolve_parse_tree", "__len__", "__iter__", "__reversed__", "__eq__",
        "__ne__", "__repr__", "__str__", "__hash__", "__format__", "__dir__", "__sizeof__", "__copy__", "__deepcopy__",
        "__getstate__", "__reduce__", "__reduce_ex__", "_get_flag", "_get_node_flag", "_get_full_key", "_key",
        "_is_none", "_is_missing", "_is_optional", "_is_interpolation", "_is_typed",
    }
)  # fmt: skip


def node_method(call: Call, receiver: Node) -> object:
    """A method of a configuration."""
    machine, configurations, config = call.machine, call.machine.configurations, receiver.config
    name = call.name
    path = configurations.path_of(config)
    if name == "get":
        key = call.first(0, "key", ANYTHING)
        default = call.first(1, "default_value", None)
        if isinstance(key, Choice):
            return choice([_get(call, receiver, one, default) for one in key.values])
        return _get(call, receiver, key, default)
    if name in ("keys", "items", "values"):
        machine.emit("read", call.node, path=path, by=name, found=True)
        keys = machine.turns(receiver)
        if keys is None:
            return Items([], open=True, region=machine.region, hollow=True)
        if name == "keys":
            return Items(keys, region=machine.region)
        values = [_peek(call, config, key) for key in keys]
        if name == "values":
            return Items(values, region=machine.region)
        pairs = [Items([key, value], "tuple", region=machine.region) for key, value in zip(keys, values, strict=True)]
        return Items(list(pairs), region=machine.region)
    if name == "copy":
        return configurations.copied(receiver, deep=False)
    if name in ("update", "merge_with"):
        return _update(call, receiver, path)
    if name == "pop":
        return _pop(call, receiver)
    if name == "setdefault":
        key = call.first(0, "key", ANYTHING)
        default = call.first(1, "default", None)
        known = configurations.has(config, key) if is_constant(key) else None
        if known is False:
            machine.write(receiver, key, default, call.node)
            return default
        if known is None:
            configurations.shake(config)
            return ANYTHING
        return _get(call, receiver, key, default)
    if name in ("append", "extend", "insert", "remove", "sort", "clear", "popitem", "reverse"):
        machine.changes += 1
        if name == "append" and len(call.positional) == 1 and machine.is_sure(config):
            configurations.append(config, call.positional[0])
        else:
            configurations.shake(config)
        return ANYTHING if name == "popitem" else None
    if name in ("merge_with_dotlist", "merge_with_cli"):
        return _merge_words(call, receiver)
    if name in ("__setitem__", "__setattr__") and len(call.positional) == 2 and not call.keywords:
        key, value = call.positional
        machine.write(receiver, key, value, call.node, attribute=name == "__setattr__")
        return None
    if name in ("__delitem__", "__delattr__") and len(call.positional) == 1:
        machine.remove(receiver, call.positional[0])
        return None
    if name == "__getitem__" and len(call.positional) == 1:
        return machine.item(receiver, call.positional[0], call.node)
    if name in ("__getattr__", "__getattribute__") and isinstance(key := call.first(0, "key"), str):
        return machine.attribute(receiver, key, call.node)
    if name == "__contains__" and len(call.positional) == 1:
        known = machine.contains(receiver, call.positional[0])
        return ANYTHING if known is None else known
    if name not in _READING:
        machine.callbacks(call.values, call.node)
        machine.havoc([receiver, *call.values])
        if name.startswith("_") and isinstance(config, CONTAINERS):
            # it may be unlocked
            config._set_flag(["struct", "readonly"], False)
    return ANYTHING


def _merge_words(call: Call, receiver: Node) -> object:
    """`config.merge_with_dotlist(["a.b=1"])`, or the same with the words of the command line."""
    machine, configurations, config = call.machine, call.machine.configurations, receiver.config
    words = machine.turns(call.first(0, "dotlist") if call.name == "merge_with_dotlist" else machine.argv, keep=True)
    if words is not None and call.name == "merge_with_cli":
        words = words[1:]
    sure = machine.is_sure(config)
    if words is None or not sure or not all(isinstance(one, str) and MARK not in one for one in words):
        machine.havoc([receiver])
        machine.emit("write", call.node, path=None, marks=())
        return None
    base = configurations.path_of(config)
    for word in words:
        try:
            made = OmegaConf.from_dotlist([str(word)])
        except Exception:
            machine.havoc([receiver])
            return None
        key, equals, _ = str(word).partition("=")
        try:
            value = OmegaConf.select(made, key) if equals else None
            configurations.update(config, key, configurations.container(value) if equals else None)
        except RaisedError as fault:
            machine.fault(fault, call.node, what="update")
        except Exception:
            machine.havoc([receiver])
        machine.emit("write", call.node, path=f"{base}.{key}" if base else key, marks=())
    return None


def _update(call: Call, receiver: Node, path: str) -> object:
    machine, configurations, config = call.machine, call.machine.configurations, receiver.config
    for value in [*call.positional, *([Pairs(held(call.keywords))] if call.keywords else [])]:
        if call.name == "update" and isinstance(value, Pairs):
            for key, one in value.pairs.items():
                machine.write(receiver, key, one, call.node)
            if value.open or value.doubtful:
                configurations.shake(config)
            continue
        if not machine.is_sure(config):
            configurations.shake(config)
        try:
            configurations.merge_with(config, [value])
        except RaisedError as fault:
            machine.fault(fault, call.node, what="merge")
        machine.emit("write", call.node, path=path, marks=())
    return None


def _pop(call: Call, receiver: Node) -> object:
    machine, configurations, config = call.machine, call.machine.configurations, receiver.config
    key = call.first(0, "key", ANYTHING)
    has_default = len(call.values) > 1
    value = _get(call, receiver, key, call.first(1, "default", None))
    known = configurations.has(config, key) if is_constant(key) else None
    if not has_default and known is False:
        names = ("ConfigKeyError", "KeyError", "Exception")
        return machine.fault(RaisedError(names, f"Key not found: {key!r}"), call.node, what="read", by="pop")
    if known is not False:
        machine.remove(receiver, key)
    return value


def _get(call: Call, receiver: Node, key: object, default: object) -> object:
    machine, configurations, config = call.machine, call.machine.configurations, receiver.config
    if not is_constant(key):
        machine.emit("read", call.node, path=None, by="get", found=None)
        return ANYTHING
    path = configurations.key_of(config, key)
    try:
        value = configurations.get(config, key, default)
    except RaisedError as fault:
        return machine.fault(fault, call.node, what="read", path=path, by="get")
    found = configurations.has(config, key)
    machine.emit(
        "read", call.node, path=path, by="get", found=found, default=describe(machine, default, 1),
        marks=tuple(sorted(marks_of(value))),
    )  # fmt: skip
    if found is None and not isinstance(value, Node):
        return choice([value, ANYTHING])
    return value


def _peek(call: Call, config: object, key: object) -> object:
    try:
        return call.machine.configurations.item(config, key)
    except RaisedError:
        return ANYTHING


def pairs_method(call: Call, receiver: Pairs) -> object:
    """A method of a dictionary."""
    machine, name = call.machine, call.name
    if receiver.attributes:
        return ANYTHING
    if name in ("get", "pop", "setdefault"):
        return _entry(call, receiver)
    if name in ("keys", "items", "values"):
        if receiver.path is not None:
            machine.emit("read", call.node, path=receiver.path, by=name, found=True)
        is_open = receiver.open or bool(receiver.doubtful)
        hollow = machine.truth(receiver) is not True
        shown: list[object] = list(receiver.pairs)
        if name == "values":
            shown = list(receiver.pairs.values())
        elif name == "items":
            shown = [Items([key, one], "tuple", region=machine.region) for key, one in receiver.pairs.items()]
        return Items(shown, open=is_open, region=machine.region, hollow=hollow)
    if name == "update":
        for value in call.positional:
            machine.update_pairs(receiver, value, call.node)
        for word, one in call.keywords.items():
            machine.set_item(receiver, word, one, call.node)
        return None
    if name == "copy":
        return Pairs(dict(receiver.pairs), receiver.open, machine.region, receiver.path, False, set(receiver.doubtful))
    if name == "clear" and not machine.weak(receiver.region):
        receiver.pairs.clear()
        receiver.doubtful.clear()
        return None
    machine.havoc([receiver])
    return ANYTHING


def _entry(call: Call, receiver: Pairs) -> object:
    """`get`, `pop` or `setdefault` of a dictionary."""
    machine, name = call.machine, call.name
    key = call.first(0, "key", ANYTHING)
    has_default = len(call.values) > 1
    default = call.first(1, "default", None)
    if receiver is machine.environment and isinstance(key, str) and name == "get":
        machine.emit("environment", call.node, name=key)
    if not is_constant(key):
        if name == "pop":
            machine.remove(receiver, key)
        elif name == "setdefault":
            machine.set_item(receiver, key, ANYTHING, call.node)
        return ANYTHING
    if receiver.path is not None:
        path = f"{receiver.path}.{key}" if receiver.path else str(key)
        machine.emit("read", call.node, path=path, by="copy", found=key in receiver.pairs)
    found: list[object] = []
    sure = key in receiver.pairs and key not in receiver.doubtful
    if key in receiver.pairs:
        found.append(receiver.pairs[key])
    if receiver.open and not (sure and receiver is machine.environment):
        found.append(External("?", marks_of(*found)))
    if not sure:
        # the environment is not known either, but a program that asks with a default provides for that
        found.append(default)
    if name == "pop":
        if not found or (not has_default and not sure and not receiver.open and key not in receiver.pairs):
            names = ("KeyError", "LookupError", "Exception")
            return machine.fault(RaisedError(names, f"KeyError: {key!r}", str(key)), call.node, what="pop")
        machine.remove(receiver, key)
    elif name == "setdefault" and not sure:
        value = choice(found)
        if isinstance(default, Items | Pairs) and len(found) == 1:
            value = default
        machine.set_item(receiver, key, value, call.node)
        return value
    return choice(found)


def items_method(call: Call, receiver: Items) -> object:
    """A method of a list, tuple or set."""
    machine, name = call.machine, call.name
    if name == "append" and call.positional:
        machine.append(receiver, call.positional[0])
        return None
    if name == "add" and call.positional:
        if machine.contains(receiver, call.positional[0]) is not True:
            machine.append(receiver, call.positional[0])
        return None
    if name == "extend" and call.positional:
        machine.extend(receiver, call.positional[0])
        return None
    if name == "update" and receiver.kind == "set":
        for value in call.positional:
            machine.extend(receiver, value)
        return None
    if name == "insert" and len(call.positional) == 2:
        place = call.positional[0]
        if not machine.weak(receiver.region) and isinstance(place, int) and len(receiver.items) < MAX_ITEMS:
            receiver.items.insert(place, call.positional[1])
            receiver.hollow = False
        else:
            receiver.items.append(call.positional[1])
            receiver.open = receiver.hollow = True
        return None
    if name == "copy":
        return Items(list(receiver.items), receiver.kind, receiver.open, machine.region, None, receiver.hollow)
    if name == "pop" and receiver.kind == "list":
        place = call.first(0, "index", -1)
        known = not receiver.open and isinstance(place, int) and -len(receiver.items) <= place < len(receiver.items)
        if known and isinstance(place, int) and not machine.weak(receiver.region):
            return receiver.items.pop(place)
        value = machine.element(receiver)
        machine.shake(receiver)
        return value
    if name == "clear" and not machine.weak(receiver.region):
        receiver.items.clear()
        receiver.open = receiver.hollow = False
        return None
    if name in ("index", "count", "isdisjoint", "issubset", "issuperset"):
        return ANYTHING
    if name in ("union", "intersection", "difference", "symmetric_difference"):
        return Items(list(receiver.items), "set", open=True, region=machine.region, hollow=True)
    machine.callbacks(call.values, call.node)
    machine.shake(receiver)
    return None if name in ("sort", "reverse", "remove", "discard", "clear") else ANYTHING
