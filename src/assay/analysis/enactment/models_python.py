"""What the rest of Python's own functions do: numbers, kinds and attributes."""

from __future__ import annotations

from collections.abc import Callable

from assay.analysis.enactment.configurations import RaisedError
from assay.analysis.enactment.describing import describe
from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.regions import REPEAT
from assay.analysis.enactment.registry import MODELS, Call, Model, model, pattern
from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    Class,
    External,
    FilePath,
    Function,
    Instance,
    Items,
    Method,
    Module,
    Node,
    Pairs,
    choice,
    is_constant,
    marks_of,
)


@model("print", open_too=True)
def _print(call: Call) -> object:
    return None


@model("sys.exit", "exit", "quit", "os._exit", "builtins.exit", "builtins.quit", open_too=True)
def _exit(call: Call) -> object:
    return call.machine.exit(ANYTHING if call.is_open else call.first(0, "status", None), call.node)


@model("exec", "eval", "globals", "locals", "__import__", "importlib.reload", open_too=True)
def _anything_goes(call: Call) -> object:
    # it may bind any name to anything, so nothing that follows is certain
    call.machine.doubt = True
    return ANYTHING


@model("str")
def _str(call: Call) -> object:
    if not call.positional:
        return "" if not call.keywords else ANYTHING
    text = call.machine.text_of(call.positional[0]) if len(call.values) == 1 else None
    return External("?", marks_of(call.positional[0])) if text is None else text


def _number_named(name: str) -> Model:
    functions: dict[str, Callable[..., object]] = {"int": int, "float": float, "abs": abs, "round": round}

    def carry(call: Call) -> object:
        if len(call.positional) != 1 or call.keywords:
            return External(f"{name}()", marks_of(*call.values)) if call.values else ANYTHING
        value = call.positional[0]
        if name == "bool":
            known = call.machine.truth(value)
            return External("?", marks_of(value)) if known is None else known
        if isinstance(value, str | int | float) and call.machine.text_of(value) is not None:
            if isinstance(value, str) and len(value) > 300:
                return ANYTHING
            try:
                return functions[name](value)
            except (ValueError, TypeError, OverflowError) as error:
                if name in ("int", "float") and isinstance(value, str) and not call.machine.is_made_up(value):
                    shown = f"{name}({value[:60]!r}) raises {type(error).__name__}"
                    names = (type(error).__name__, "Exception")
                    return call.machine.fault(RaisedError(names, shown), call.node, what="number")
                return ANYTHING
        if value is None and name in ("int", "float"):
            refused = ("TypeError", "Exception")
            return call.machine.fault(RaisedError(refused, f"{name}(None) raises TypeError"), call.node, what="number")
        return External(f"{name}()", marks_of(value))

    return carry


for _name in ("int", "float", "bool", "abs", "round"):
    MODELS[_name] = _number_named(_name)


@model("isinstance")
def _isinstance(call: Call) -> object:
    if len(call.positional) != 2:
        return ANYTHING
    value, kinds = call.positional
    wanted = kinds.items if isinstance(kinds, Items) else [kinds]
    found = [_is_of(value, one) for one in wanted]
    if True in found:
        return True
    return ANYTHING if None in found or not found else False


_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (float,), "bool": (bool,), "bytes": (bytes,),
}  # fmt: skip
_OTHER_KINDS = frozenset({"str", "int", "float", "bool", "bytes", "list", "tuple", "set", "dict"})
_LIBRARIES = ("torch", "numpy", "pandas", "pathlib", "transformers", "datasets")


def _is_of(value: object, kind: object) -> bool | None:
    if isinstance(kind, Class):
        if isinstance(value, Instance):
            return True if kind in value.cls.lineage() else (False if value.cls.closed and kind.closed else None)
        return False if is_constant(value) and kind.closed else None
    if not isinstance(kind, External):
        return None
    name = kind.path.removeprefix("omegaconf.")
    if isinstance(value, Node):
        if name in ("DictConfig", "ListConfig"):
            return type(value.config).__name__ == name
        return False if name in _OTHER_KINDS else None
    if is_constant(value):
        if name in _KINDS:
            return isinstance(value, _KINDS[name])
        if name.partition(".")[0] in _LIBRARIES and "." in name:
            return False
        return False if name in _OTHER_KINDS or name in ("DictConfig", "ListConfig") else None
    if isinstance(value, Pairs) and not value.attributes:
        return name == "dict" if name in _OTHER_KINDS or name in ("DictConfig", "ListConfig") else None
    if isinstance(value, Items) and value.kind in ("list", "tuple", "set"):
        return name == value.kind if name in _OTHER_KINDS or name in ("DictConfig", "ListConfig") else None
    return None


@model("getattr")
def _get_attribute(call: Call) -> object:
    machine = call.machine
    if len(call.positional) < 2:
        return ANYTHING
    receiver, name = call.positional[0], call.positional[1]
    if not isinstance(name, str):
        if isinstance(receiver, Node):
            machine.emit("read", call.node, path=None, by="getattr", found=None)
        return ANYTHING
    default = call.positional[2:3]
    if isinstance(receiver, Node):
        known = machine.configurations.has(receiver.config, name)
        if default and known is False and not machine.is_method(receiver, name):
            machine.emit(
                "read", call.node, path=machine.configurations.key_of(receiver.config, name), by="get", found=False,
                default=describe(machine, default[0], 1),
            )  # fmt: skip
            return default[0]
        value = machine.attribute(receiver, name, call.node)
        return choice([value, *default]) if known is None and not isinstance(value, Node) else value
    if default and is_constant(receiver) and not hasattr(type(receiver), name):
        return default[0]
    value = machine.attribute(receiver, name, call.node)
    return choice([value, *default]) if default and not isinstance(receiver, Module) else value


@model("hasattr")
def _has_attribute(call: Call) -> object:
    if len(call.positional) != 2 or not isinstance(call.positional[1], str):
        return ANYTHING
    machine = call.machine
    receiver, name = call.positional[0], call.positional[1]
    if isinstance(receiver, Node):
        if machine.is_method(receiver, name):
            return True
        known = machine.configurations.has(receiver.config, name)
        return ANYTHING if known is None or name.startswith("_") else known
    if isinstance(receiver, Instance):
        if receiver.cls.find(name) is not ABSENT and not isinstance(receiver.cls.find(name), Function):
            return True
        if name in receiver.attributes or receiver.cls.find(name) is not ABSENT:
            return ANYTHING if receiver.open or name in receiver.doubtful or _is_property(receiver, name) else True
        hooked = any(receiver.cls.find(one) is not ABSENT for one in ("__getattr__", "__getattribute__"))
        closed = receiver.cls.closed and not receiver.open and not hooked and not name.startswith("__")
        return False if closed and name not in machine.changing else ANYTHING
    if isinstance(receiver, Module):
        return name in receiver.scope.names or ANYTHING
    if isinstance(receiver, Pairs) and receiver.attributes and not receiver.open and name not in receiver.doubtful:
        return name in receiver.pairs or (ANYTHING if name.startswith("_") else False)
    return ANYTHING


def _is_property(receiver: Instance, name: str) -> bool:
    found = receiver.cls.method(name)
    return found is not None and bool(found.decorators)


@model("setattr")
def _setattr(call: Call) -> object:
    if len(call.positional) == 3:
        receiver, name, value = call.positional
        if isinstance(name, str):
            call.machine.set_attribute(receiver, name, value, call.node)
        elif isinstance(receiver, Node):
            call.machine.write(receiver, name, value, call.node)
        elif isinstance(receiver, Pairs):
            call.machine.set_item(receiver, name, value, call.node)
        elif isinstance(receiver, Class | Module) or _is_module(receiver):
            call.machine.doubt = True
        else:
            call.machine.havoc([receiver])
    return None


def _is_module(value: object) -> bool:
    return isinstance(value, External) and value.path != "?" and not {"(", "["}.intersection(value.path)


# https://docs.python.org/3/library/unittest.mock.html#the-patchers
@pattern(r"^(unittest\.)?mock\.patch(\.\w+)?$")
def _patch(call: Call) -> object:
    machine = call.machine
    machine.callbacks(call.values, call.node)
    target, name = call.first(0, "target", ANYTHING), call.first(1, "attribute", ANYTHING)
    value = call.first(2, "new", ANYTHING)
    if call.name.endswith(".patch"):
        value = call.first(1, "new", ANYTHING)
        dotted = target if isinstance(target, str) and "." in target else ""
        above, _, name = dotted.rpartition(".")
        target = _named(machine, above) if above else ANYTHING
    if call.name.endswith(".dict"):
        machine.havoc(call.values)
        known = isinstance(target, Pairs | Node)
    else:
        known = call.name.endswith((".patch", ".object")) and isinstance(name, str)
        known = known and isinstance(target, Class | Instance | Module | External)
        known = known and not (isinstance(target, External) and target.path == "?")
    if not known:
        machine.doubt = True
    elif isinstance(name, str) and not call.name.endswith(".dict"):
        with machine.within(REPEAT):
            machine.set_attribute(target, name, value, call.node)
    return External(f"{call.name}()")


def _named(machine: Machine, dotted: str) -> object:
    """What a dotted name leads to: a module, or a class in one."""
    found = machine.module(dotted)
    above, _, name = dotted.rpartition(".")
    if isinstance(found, External) and above and isinstance(outer := machine.module(above), Module):
        return outer.scope.names.get(name, ANYTHING)
    return found


@pattern(r"^(_pytest\.monkeypatch|pytest)\.MonkeyPatch\(\)\.\w+$")
def _monkeypatch(call: Call) -> object:
    if call.name.endswith(".setattr") and len(call.positional) == 3:
        receiver, name, value = call.positional
        if isinstance(name, str):
            with call.machine.within(REPEAT):
                call.machine.set_attribute(receiver, name, value, call.node)
            return None
    # it may change anything, and change it back
    call.machine.doubt = True
    return ANYTHING


@model("delattr")
def _delattr(call: Call) -> object:
    if len(call.positional) == 2:
        call.machine.remove(call.positional[0], call.positional[1])
    return None


@model("types.new_class", "dataclasses.make_dataclass", open_too=True)
def _new_class(call: Call) -> object:
    if len(call.values) > 2 or call.is_open or call.name == "types.new_class":
        # which hooks of own classes that calls is not followed
        call.machine.doubt = True
    call.machine.callbacks(call.values, call.node)
    return ANYTHING


@model("type")
def _type(call: Call) -> object:
    if len(call.positional) >= 3:
        call.machine.doubt = call.machine.doubt or any("__init_subclass__" in one.text or "metaclass" in one.text
                                                       for one in call.machine.files.values())  # fmt: skip
        call.machine.callbacks(call.values, call.node)
        call.machine.havoc(call.values)
        return ANYTHING
    value = call.positional[0] if len(call.positional) == 1 else ANYTHING
    return value.cls if isinstance(value, Instance) else ANYTHING


@model("functools.partial")
def _partial(call: Call) -> object:
    if call.positional and isinstance(call.positional[0], Function | Class | Method):
        return Method((call.positional[0], tuple(call.positional[1:]), dict(call.keywords)), "partial")
    return NotImplemented


@model("os.fspath")
def _fspath(call: Call) -> object:
    value = call.first(0, "path", ANYTHING)
    return value.text if isinstance(value, FilePath) else (value if isinstance(value, str) else ANYTHING)
