"""Attributes and items of values: reading and writing them, and what is recorded of it for configurations."""

from __future__ import annotations

import ast
from argparse import ArgumentParser
from collections import OrderedDict
from collections.abc import Callable
from pathlib import PosixPath
from typing import TypeGuard

from omegaconf import DictConfig

from assay.analysis.enactment.configurations import DICT_METHODS, LIST_METHODS, RaisedError
from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.operations import ROOT
from assay.analysis.enactment.regions import BRANCH, unsure
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
    Method,
    Module,
    Node,
    Pairs,
    Parser,
    choice,
    is_constant,
    marks_of,
)

# Names that are methods of a value, by its kind.
_METHODS: dict[str, frozenset[str]] = {
    "str": frozenset(dir(str)),
    "list": frozenset(dir(list)),
    "tuple": frozenset(dir(tuple)),
    "set": frozenset(dir(set)),
    "iterator": frozenset(),
    "Pairs": frozenset(dir(OrderedDict)),
    "FilePath": frozenset(name for name in dir(PosixPath) if callable(getattr(PosixPath, name))),
    "Parser": frozenset(dir(ArgumentParser)),
}
# Base classes that leave the names of a class as its body binds them.
_KEEPING_BASES = (
    "object", "abc.", "typing.Generic", "typing.Protocol", "torch.", "Exception", "ValueError", "RuntimeError",
    "transformers.", "lightning.", "pytorch_lightning.",
)  # fmt: skip


class Objects(Machine):
    """The part of the interpreter that goes into objects, containers and configurations."""

    # -- attributes ----------------------------------------------------------------------------------------------------

    def attribute(self, receiver: object, name: str, node: ast.AST) -> object:
        """`receiver.name`."""
        if isinstance(receiver, External):
            if receiver.path.startswith("own:"):
                dotted = f"{receiver.path[4:]}.{name}"
                if dotted in self.module_paths:
                    return self.module(dotted)
                found = self.module(receiver.path[4:])
                if isinstance(found, Module):
                    return found.scope.names.get(name, ANYTHING)
                return External(f"own:{dotted}")
            return self.libraries.attribute(self, receiver, name, node)
        if isinstance(receiver, Node):
            return self._read_attribute(receiver, name, node)
        if isinstance(receiver, Instance):
            return self._instance_attribute(receiver, name, node)
        if isinstance(receiver, Class):
            return self._class_attribute(receiver, name)
        if isinstance(receiver, Function):
            plain = name == "__name__" and not receiver.decorators and not isinstance(receiver.node, ast.Lambda)
            return receiver.name if plain and "__name__" not in self.changing else ANYTHING
        if isinstance(receiver, Module):
            found = receiver.scope.names.get(name, ABSENT)
            if found is ABSENT:
                return ANYTHING if name.startswith("__") else self.module(f"{receiver.name}.{name}")
            return unsure(found) if name in self.changing or name in self.declared else found
        if isinstance(receiver, Pairs) and receiver.attributes:
            if name == "__dict__":
                return self.shared_pairs(receiver)
            if name in receiver.pairs:
                return unsure(receiver.pairs[name]) if receiver.open else receiver.pairs[name]
            if name.startswith("_"):
                self.havoc([receiver])
            return ANYTHING
        if isinstance(receiver, Choice):
            able = [one for one in receiver.values if not is_constant(one) or hasattr(type(one), name)]
            return choice([self.attribute(one, name, node) for one in able]) if able else ANYTHING
        if isinstance(receiver, Super):
            return receiver.attribute(name)
        if is_constant(receiver) and not name.startswith("__") and not hasattr(type(receiver), name):
            kind = type(receiver).__name__
            names = ("AttributeError", "Exception")
            shown = f"'{kind}' object has no attribute '{name}'"
            return self.fault(RaisedError(names, shown), node, what="attribute", of=kind)
        if isinstance(receiver, str | Items | Pairs | FilePath | Parser):
            if isinstance(receiver, FilePath):
                found_path = self.libraries.path_attribute(receiver, name)
                if found_path is not ABSENT:
                    return found_path
            return Method(receiver, name) if name in _METHODS[_kind_of(receiver)] else ANYTHING
        return ANYTHING

    def _read_attribute(self, receiver: Node, name: str, node: ast.AST) -> object:
        config = receiver.config
        is_mapping = isinstance(config, DictConfig)
        if name in (DICT_METHODS if is_mapping else LIST_METHODS):
            return Method(receiver, name)
        if name.startswith("_"):
            if name != "__class__" and callable(getattr(type(config), name, None)):
                return Method(receiver, name)
            if name in ("_content", "_metadata", "_parent", "__dict__"):
                # what becomes of that is not followed
                self.havoc([receiver])
            return ANYTHING
        return self.read(receiver, name, node, lambda: self.configurations.attribute(config, name), "attribute")

    def _class_attribute(self, receiver: Class, name: str) -> object:
        if name in ("__name__", "__qualname__") and receiver.find(name) is ABSENT and not receiver.vague:
            return receiver.node.name if name == "__name__" else ANYTHING
        found = receiver.find(name)
        if found is ABSENT or receiver.find("__getattribute__") is not ABSENT or isinstance(found, Instance):
            return ANYTHING
        if isinstance(found, Function):
            if found.has("property", "functools.cached_property"):
                return ANYTHING
            return found.bound_to(receiver) if found.has("classmethod") else found
        if name in self.changing or not _keeps_names(receiver):
            return unsure(found) if _keeps_names(receiver) else ANYTHING
        return found

    def _instance_attribute(self, receiver: Instance, name: str, node: ast.AST) -> object:
        if name == "__class__":
            return receiver.cls
        if name.startswith("__") and name.endswith("__") and not isinstance(receiver.cls.find(name), Function):
            self.havoc([receiver])
            return ANYTHING
        found = receiver.cls.find(name)
        if isinstance(found, Function) and found.has("property", "functools.cached_property", "abc.abstractproperty"):
            return self.call(found.bound_to(receiver), [], {}, node)
        if receiver.cls.find("__getattribute__") is not ABSENT:
            return ANYTHING
        if name in receiver.attributes:
            value = receiver.attributes[name]
            if receiver.open or (name in self.changing and self.regions):
                return unsure(value)
            return value
        if isinstance(found, Function):
            if found.has("staticmethod"):
                return found
            return found.bound_to(receiver.cls if found.has("classmethod") else receiver)
        if isinstance(found, Instance) or receiver.open:
            return ANYTHING
        if isinstance(found, Choice) and any(isinstance(one, Function) for one in found.values):
            # what the class binds the name to may have been changed
            return choice([one.bound_to(receiver) if _is_plain(one) else ANYTHING for one in found.values])
        if found is not ABSENT:
            if not _keeps_names(receiver.cls):
                return ANYTHING
            return unsure(found) if name in self.changing else found
        if receiver.cls.closed:
            return ANYTHING
        bases = (base for one in receiver.cls.lineage() for base in one.bases if isinstance(base, External))
        return next(bases, ANYTHING).then("()").then(f".{name}")

    def set_attribute(self, receiver: object, name: str, value: object, node: ast.AST) -> None:
        """`receiver.name = value`."""
        if isinstance(receiver, Node):
            self.write(receiver, name, value, node, attribute=True)
        elif isinstance(receiver, Instance):
            found = receiver.cls.find(name)
            if isinstance(found, Function) and found.setter is not None:
                self.call(found.setter.bound_to(receiver), [value], {}, node)
                return
            if receiver.cls.find("__setattr__") is not ABSENT or isinstance(found, Instance):
                self.havoc([receiver])
                value = ANYTHING
            old = receiver.attributes.get(name, ABSENT)
            if self.weak(receiver.region):
                if old is ABSENT:
                    receiver.doubtful.add(name)
                value = self.mixed(receiver.cls.find(name) if old is ABSENT else old, value)
            else:
                receiver.doubtful.discard(name)
            receiver.attributes[name] = value
        elif isinstance(receiver, Class):
            is_weak = self.weak(receiver.region)
            receiver.names[name] = self.mixed(receiver.names.get(name, ABSENT), value) if is_weak else value
        elif isinstance(receiver, Module):
            names = receiver.scope.names
            is_weak = self.weak(receiver.scope.region)
            names[name] = self.mixed(names.get(name, ABSENT), value) if is_weak else value
        elif isinstance(receiver, Pairs) and receiver.attributes:
            self.set_item(receiver, name, value, node)
        elif isinstance(receiver, Choice):
            for one in receiver.values:
                with self.within(BRANCH):
                    self.set_attribute(one, name, value, node)
        elif isinstance(receiver, External):
            if receiver.path.startswith("own:"):
                module = self.module(receiver.path[4:])
                if isinstance(module, Module):
                    self.set_attribute(module, name, value, node)
                return
            self.libraries.set_attribute(self, receiver, name, value, node)

    # -- items ---------------------------------------------------------------------------------------------------------

    def item(self, receiver: object, key: object, node: ast.AST | None) -> object:
        """`receiver[key]`."""
        if isinstance(receiver, Node):
            place = node or ast.Pass()
            if isinstance(key, Choice):
                return choice([self.item(receiver, one, node) for one in key.values])
            if not is_constant(key):
                self.emit("read", place, path=None, by="item", found=None)
                return ANYTHING
            return self.read(receiver, key, place, lambda: self.configurations.item(receiver.config, key), "item")
        if isinstance(receiver, Pairs):
            if is_constant(key) and key in receiver.pairs:
                if receiver.path is not None and node is not None:
                    path = f"{receiver.path}.{key}" if receiver.path else str(key)
                    self.emit("read", node, path=path, by="copy", found=True)
                return unsure(receiver.pairs[key]) if receiver.open else receiver.pairs[key]
            if receiver.open or not is_constant(key):
                return choice([*receiver.pairs.values(), ANYTHING]) if len(receiver.pairs) < 8 else ANYTHING
            if node is None:
                return ANYTHING
            path = f"{receiver.path}.{key}" if receiver.path else str(key)
            absent = ("KeyError", "LookupError", "Exception")
            kind = "copy" if receiver.path is not None else "dict"
            return self.fault(RaisedError(absent, f"KeyError: {key!r}", path), node, what="item", by=kind)
        if isinstance(receiver, Items):
            if isinstance(key, int) and not receiver.open and receiver.kind in ("list", "tuple"):
                if -len(receiver.items) <= key < len(receiver.items):
                    return receiver.items[key]
                return ANYTHING
            return self.element(receiver)
        if isinstance(receiver, str):
            if isinstance(key, int) and -len(receiver) <= key < len(receiver):
                return ANYTHING if ROOT in receiver else receiver[key]
            if isinstance(key, str) and node is not None:
                names = ("TypeError", "Exception")
                return self.fault(RaisedError(names, "string indices must be integers", key), node, what="text")
            return ANYTHING
        if isinstance(receiver, Choice):
            return choice([self.item(one, key, None) for one in receiver.values])
        if isinstance(receiver, External):
            return self.libraries.item(self, receiver, key, node)
        if isinstance(receiver, Class) and any(
            isinstance(base, External) and base.path == "typing.Generic[]"
            for one in receiver.lineage()
            for base in one.bases
        ):
            return receiver
        if isinstance(receiver, Instance):
            method = receiver.cls.method("__getitem__")
            if method is not None:
                return self.call(method.bound_to(receiver), [key], {}, node or ast.Pass())
        return ANYTHING

    def set_item(self, receiver: object, key: object, value: object, node: ast.AST) -> None:
        """`receiver[key] = value`."""
        if isinstance(receiver, Node):
            self.write(receiver, key, value, node)
        elif isinstance(receiver, Pairs):
            is_weak = self.weak(receiver.region)
            if not is_constant(key):
                receiver.open = True
                for name, one in receiver.pairs.items():
                    receiver.pairs[name] = choice([one, value, External("?", marks_of(value))])
            elif not is_weak:
                receiver.pairs[key] = value
                receiver.doubtful.discard(key)
            elif key in receiver.pairs:
                receiver.pairs[key] = self.mixed(receiver.pairs[key], value)
            else:
                receiver.pairs[key] = self.mixed(value, value)
                receiver.doubtful.add(key)
        elif isinstance(receiver, Items):
            is_weak = self.weak(receiver.region)
            if isinstance(key, int) and -len(receiver.items) <= key < len(receiver.items):
                receiver.items[key] = self.mixed(receiver.items[key], value) if is_weak else value
            else:
                receiver.items[:] = [choice([one, value, External("?", marks_of(value))]) for one in receiver.items]
                receiver.open = True
        elif isinstance(receiver, Instance):
            method = receiver.cls.method("__setitem__")
            if method is not None:
                self.call(method.bound_to(receiver), [key, value], {}, node)
            else:
                receiver.open = True
        elif isinstance(receiver, Choice):
            for one in receiver.values:
                with self.within(BRANCH):
                    self.set_item(one, key, value, node)
        elif isinstance(receiver, External):
            self.libraries.set_item(self, receiver, key, value, node)

    def update_pairs(self, pairs: Pairs, value: object, node: ast.AST) -> None:
        """`pairs.update(value)`."""
        if isinstance(value, Node):
            value = self.configurations.container(value.config, resolve=True)
        if isinstance(value, Pairs):
            for key, one in list(value.pairs.items()):
                if key in value.doubtful:
                    with self.within(BRANCH):
                        self.set_item(pairs, key, one, node)
                else:
                    self.set_item(pairs, key, one, node)
            if not value.open:
                return
        self.set_item(pairs, ANYTHING, ANYTHING, node)

    # -- entries of a configuration ------------------------------------------------------------------------------------

    def read(self, receiver: Node, key: object, node: ast.AST, how: Callable[[], object], by: str) -> object:
        """Read an entry of a configuration, and record it."""
        path = self.configurations.key_of(receiver.config, key)
        try:
            value = how()
        except RaisedError as fault:
            value = self.fault(fault, node, what="read", path=path, by=by)
            self.emit("read", node, path=path, by=by, found=False)
            return value
        self.emit("read", node, path=path, by=by, found=True, marks=tuple(sorted(marks_of(value))))
        return value

    def write(self, receiver: Node, key: object, value: object, node: ast.AST, *, attribute: bool = False) -> None:
        """Write into a configuration."""
        config = receiver.config
        keys = key.values if isinstance(key, Choice) else (key,)
        for one in keys:
            path = self.configurations.key_of(config, one) if is_constant(one) else None
            new = value
            sure = len(keys) == 1 and self.is_sure(config)
            if not sure:
                self.changes += 1
            if not sure and is_constant(one):
                if self.configurations.has(config, one) is False:
                    self.configurations.doubt(config, one)
                try:
                    new = self.mixed(self.configurations.item(config, one), value)
                except RaisedError:
                    new = self.mixed(value, value)
            if not is_constant(one):
                self.configurations.shake(config)
                self.emit("write", node, path=None, marks=tuple(sorted(marks_of(value, one))))
                continue
            try:
                if sure:
                    self.configurations.settle(config, one)
                self.configurations.write(config, one, new, attribute=attribute)
            except RaisedError as fault:
                self.fault(fault, node, what="write")
            self.emit("write", node, path=path, marks=tuple(sorted(marks_of(value))), constant=is_constant(value))


class Super:
    """`super()` inside a method."""

    def __init__(self, this: Instance | Class, owner: Class) -> None:
        self.this = this
        self.owner = owner

    def attribute(self, name: str) -> object:
        """What the classes after the owner bind a name to."""
        cls = self.this.cls if isinstance(self.this, Instance) else self.this
        lineage = cls.lineage()
        after = lineage[lineage.index(self.owner) + 1 :] if self.owner in lineage else []
        for one in after:
            found = one.names.get(name, ABSENT)
            if isinstance(found, Function):
                if found.has("property", "functools.cached_property"):
                    return ANYTHING
                if found.has("staticmethod"):
                    return found
                return found.bound_to(cls if found.has("classmethod") else self.this)
            if found is not ABSENT:
                return ANYTHING
        return External("super()").then(f".{name}")


def _keeps_names(cls: Class) -> bool:
    """Whether a name of a class's body is what an attribute of the class and its objects gives."""
    return not any(one.vague for one in cls.lineage()) and all(
        isinstance(base, Class) or (isinstance(base, External) and base.path.startswith(_KEEPING_BASES))
        for one in cls.lineage()
        for base in one.bases
    )


def _is_plain(value: object) -> TypeGuard[Function]:
    """Whether a value is a function that no decorator makes into something else."""
    return isinstance(value, Function) and not value.decorators and not value.bound


def _kind_of(receiver: object) -> str:
    if isinstance(receiver, Items):
        return receiver.kind
    return type(receiver).__name__
