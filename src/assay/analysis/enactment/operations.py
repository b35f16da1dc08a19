"""What Python's own operations on values give and change, as far as it is known."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any

from omegaconf import DictConfig

from assay.analysis.enactment.configurations import CONTAINERS, DICT_METHODS, LIST_METHODS, Configurations, RaisedError
from assay.analysis.enactment.regions import BUILTINS, Ways, unsure
from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    Choice,
    Class,
    Counted,
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
from assay.analysis.own_library import LOOPS, OBJECTS

MAX_TURNS = 40
MAX_TEXT = 20_000
MAX_BITS = 256
MAX_SHAKEN = 2_000
MAX_ITEMS = 1_000
# Methods of containers that change nothing.
READING = frozenset({"get", "keys", "values", "items", "copy", "count", "index", "join", "format", "__contains__",
                     "__getitem__", "__len__", "__iter__"})  # fmt: skip
# The folder of the submission; it has another name where it runs.
ROOT = "/submission"

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
# Libraries in which what begins with a capital is a class.
_PLAIN_LIBRARIES = frozenset({"torch", "transformers", "datasets", "peft", "sklearn", "scipy", "numpy", "pandas"})


class Operations(Ways):
    """Operations that carry out no code of the submission, and are not recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.configurations = Configurations(lambda: self.region)

    # -- elements ------------------------------------------------------------------------------------------------------

    def turns(self, source: object, *, keep: bool = False) -> list[object] | None:
        """The elements of a value that can be gone through, in order; None where they are not known.

        Args:
            keep: Whether this is a look only: an iterator is not used up by it.
        """
        if isinstance(source, Items):
            if source.open:
                return None
            found = list(source.items)
            if source.kind == "iterator" and not keep:
                source.open = source.hollow = True
            return found
        if isinstance(source, str):
            return list(source) if len(source) <= MAX_TURNS else None
        if isinstance(source, Pairs) and not source.attributes:
            return None if source.open or source.doubtful else list(source.pairs)
        if isinstance(source, Node):
            config = source.config
            if not isinstance(config, CONTAINERS) or not self.configurations.is_sure(config):
                return None
            if config._is_none() or config._is_missing():
                return None
            if isinstance(config, DictConfig):
                return [self.configurations.abstract(key) for key in config]
            return [self._peek(config, index) for index in range(len(config))]
        return None

    def _peek(self, config: object, key: object) -> object:
        try:
            return self.configurations.item(config, key)
        except RaisedError:
            return ANYTHING

    def element(self, source: object) -> object:
        """An element of a value that is not known as a whole."""
        if isinstance(source, Items):
            return choice([*source.items, ANYTHING]) if source.items else ANYTHING
        if isinstance(source, Pairs):
            return ANYTHING
        if isinstance(source, External):
            return source.then("[*]")
        if isinstance(source, Counted):
            return Items([ANYTHING, source.inner], "tuple", region=self.region)
        if isinstance(source, Choice):
            return choice([self.element(one) for one in source.values])
        return ANYTHING

    def runs_for_batches(self, source: object) -> bool:
        """Whether a loop over this value stands for work that cannot be nothing: epochs, batches, samples."""
        if isinstance(source, External):
            path = source.path
            return path in LOOPS or any(
                word in path for word in ("DataLoader", "load_dataset", "range()", "trange()", "datasets.")
            )
        if isinstance(source, Instance):
            paths = [base.path for one in source.cls.lineage() for base in one.bases if isinstance(base, External)]
            return any("Data" in path or path.startswith("torch.") for path in paths)
        if isinstance(source, Counted):
            return source.batches
        if isinstance(source, Choice):
            return all(self.runs_for_batches(one) for one in source.values)
        return False

    # -- changes -------------------------------------------------------------------------------------------------------

    def extend(self, items: Items, value: object) -> None:
        """`items += value`."""
        is_weak = self.weak(items.region)
        turns = self.turns(value)
        if is_weak and not items.items:
            items.hollow = True
        if turns is not None and len(items.items) + len(turns) <= MAX_ITEMS:
            items.items += turns
            items.hollow = items.hollow and (is_weak or not turns)
            items.open = items.open or is_weak
        else:
            items.hollow = items.hollow or not items.items
            items.open = True

    def append(self, items: Items, value: object) -> None:
        """`items.append(value)`."""
        if self.weak(items.region):
            items.hollow = items.hollow or not items.items
            items.open = True
        else:
            items.hollow = False
        if len(items.items) < MAX_ITEMS:
            items.items.append(value)
        else:
            items.open = True

    def shake(self, items: Items) -> None:
        """Elements may have come, gone or changed places."""
        self.weak(items.region)
        items.open = items.hollow = True

    def havoc(self, values: Iterable[object]) -> None:
        """Something unknown may have changed these values, and what they hold."""
        pending, seen = list(values), set[int]()
        while pending and len(seen) < MAX_SHAKEN:
            value = pending.pop()
            if id(value) in seen:
                continue
            seen.add(id(value))
            if isinstance(value, Items):
                pending += value.items
                if value.kind != "tuple":
                    self.shake(value)
            elif isinstance(value, Pairs):
                pending += value.pairs.values()
                self.weak(value.region)
                value.open = True
                value.doubtful.update(value.pairs)
                for key, one in value.pairs.items():
                    value.pairs[key] = unsure(one)
            elif isinstance(value, Instance):
                pending += value.attributes.values()
                self.weak(value.region)
                value.open = True
                value.doubtful.update(value.attributes)
                for name, one in value.attributes.items():
                    value.attributes[name] = unsure(one)
            elif isinstance(value, Node):
                self.changes += 1
                self.configurations.shake(value.config)
            elif isinstance(value, Choice):
                pending += value.values
            elif isinstance(value, Function) and value.bound:
                pending.append(value.this)
            elif isinstance(value, Method) and value.name == "partial" and isinstance(value.receiver, tuple):
                function, given, named = value.receiver
                pending += [function, *given, *named.values()]
            elif isinstance(value, Method) and value.name not in READING:
                pending.append(value.receiver)

    def remove(self, receiver: object, key: object) -> None:
        """`del receiver[key]`, or `del receiver.key`."""
        if isinstance(receiver, Node):
            self.changes += 1
            if is_constant(key) and self.certainty() == "yes":
                self.configurations.remove(receiver.config, key)
            else:
                self.configurations.shake(receiver.config)
        elif isinstance(receiver, Pairs):
            is_weak = self.weak(receiver.region)
            if not is_constant(key):
                receiver.doubtful.update(receiver.pairs)
            elif is_weak and key in receiver.pairs:
                receiver.doubtful.add(key)
            else:
                receiver.pairs.pop(key, None)
                receiver.doubtful.discard(key)
        elif isinstance(receiver, Items):
            self.shake(receiver)
        elif isinstance(receiver, Instance) and isinstance(key, str):
            self.weak(receiver.region)
            receiver.attributes.pop(key, None)
            receiver.open = True
        elif isinstance(receiver, Choice):
            self.havoc(receiver.values)

    def is_sure(self, config: object) -> bool:
        """Whether a change to a configuration certainly happens, once."""
        return not self.weak(self.configurations.region_of(config)) and not self.doubt

    def shared_pairs(self, pairs: Pairs) -> Pairs:
        """The dictionary behind the attributes of a namespace."""
        made = Pairs(pairs.pairs, pairs.open, pairs.region, doubtful=pairs.doubtful)
        # what is put into it under a name that is not known, is not seen from the other side
        pairs.open = True
        return made

    # -- operators -----------------------------------------------------------------------------------------------------

    def binary(self, op: ast.operator, one: object, other: object) -> object:
        """An operation on two values."""
        if isinstance(one, FilePath) and isinstance(op, ast.Div):
            text = self.text_of(other)
            return ANYTHING if text is None else FilePath(join_path(one.text, text))
        if isinstance(other, FilePath) and isinstance(op, ast.Div) and isinstance(one, str):
            return FilePath(join_path(one, other.text))
        if isinstance(one, Items) and isinstance(other, Items) and isinstance(op, ast.Add):
            is_open, kinds = one.open or other.open, {one.kind, other.kind}
            if len(kinds) > 1 or not kinds <= {"list", "tuple"} or len(one.items) + len(other.items) > MAX_ITEMS:
                return ANYTHING
            return Items(
                [*one.items, *other.items], one.kind, is_open, self.region,
                hollow=(one.hollow or not one.items) and (other.hollow or not other.items),
            )  # fmt: skip
        if isinstance(one, Pairs) and isinstance(other, Pairs) and isinstance(op, ast.BitOr):
            both = {**one.pairs, **other.pairs}
            for key in other.doubtful & one.pairs.keys():
                both[key] = choice([one.pairs[key], other.pairs[key]])
            if other.open:
                both = {key: unsure(value) for key, value in both.items()}
            doubtful = (one.doubtful | other.doubtful) - (one.pairs.keys() - one.doubtful)
            doubtful -= other.pairs.keys() - other.doubtful
            return Pairs(both, one.open or other.open, self.region, doubtful=doubtful)
        how = _BINARY.get(type(op))
        if how and is_constant(one) and is_constant(other) and _is_small(op, one, other):
            try:
                return how(one, other)
            except (TypeError, ValueError, ArithmeticError):
                return ANYTHING
        return External("?", marks_of(one, other))

    def compare(self, op: ast.cmpop, one: object, other: object) -> bool | None:
        """A comparison; None where it is not known."""
        if isinstance(one, Choice) or isinstance(other, Choice):
            lefts = one.values if isinstance(one, Choice) else (one,)
            rights = other.values if isinstance(other, Choice) else (other,)
            found = {self.compare(op, left, right) for left in lefts for right in rights}
            return found.pop() if len(found) == 1 else None
        if isinstance(op, ast.In | ast.NotIn):
            known = self.contains(other, one)
            return known if known is None or isinstance(op, ast.In) else not known
        if isinstance(op, ast.Is | ast.IsNot):
            if other is None or one is None:
                left = other if one is None else one
                known = None if isinstance(left, External | Node) else (left is None)
                if isinstance(left, External) and _is_something(left):
                    known = False
                if isinstance(left, Node) and isinstance(left.config, CONTAINERS) and not left.config._is_none():
                    known = False
            elif isinstance(one, bool) and isinstance(other, bool):
                known = one is other
            else:
                known = None
            return known if known is None or isinstance(op, ast.Is) else not known
        if isinstance(op, ast.Eq | ast.NotEq):
            known = self._equal(one, other)
            return known if known is None or isinstance(op, ast.Eq) else not known
        how = _COMPARE.get(type(op))
        if how and is_constant(one) and is_constant(other) and not _names_root(one, other):
            try:
                return bool(how(one, other))
            except TypeError:
                return None
        return None

    def _equal(self, one: object, other: object, budget: list[int] | None = None) -> bool | None:
        if is_constant(one) and is_constant(other):
            return None if _names_root(one, other) else bool(one == other)
        if isinstance(one, Items) and isinstance(other, Items) and not one.open and not other.open:
            if one.kind != other.kind or one.kind not in ("list", "tuple"):
                return None
            if len(one.items) != len(other.items):
                return False
            budget = budget if budget is not None else [MAX_SHAKEN]
            result: bool | None = True
            for left, right in zip(one.items, other.items, strict=True):
                budget[0] -= 1
                known = self._equal(left, right, budget) if budget[0] > 0 else None
                if known is False:
                    return False
                result = None if known is None else result
            return result
        if (one is None or other is None) and isinstance(other if one is None else one, Items | Pairs | FilePath):
            return False
        return None

    def contains(self, container: object, key: object) -> bool | None:
        """`key in container`; None where it is not known."""
        if isinstance(key, Choice):
            found = {self.contains(container, one) for one in key.values}
            return found.pop() if len(found) == 1 else None
        if isinstance(container, Node) and is_constant(key):
            return self.configurations.has(container.config, key)
        if isinstance(container, Pairs) and is_constant(key):
            if key in container.pairs:
                return None if key in container.doubtful or container.attributes else True
            return None if container.open else False
        if isinstance(container, Items) and is_constant(key):
            if container.open or container.kind == "iterator":
                return None
            found_in = [self._equal(one, key) for one in container.items]
            if True in found_in:
                return True
            return None if None in found_in else False
        if isinstance(container, str) and isinstance(key, str):
            return None if _names_root(container, key) else key in container
        return None

    def truth(self, value: object) -> bool | None:
        """Whether a value is true; None where it is not known."""
        if is_constant(value):
            return bool(value)
        if isinstance(value, Items):
            if value.kind == "iterator":
                return True
            if value.items and not value.hollow:
                return True
            return None if value.open or value.hollow else False
        if isinstance(value, Pairs):
            if value.attributes or any(key not in value.doubtful for key in value.pairs):
                return True
            return None if value.open or value.doubtful else False
        if isinstance(value, Node):
            config = value.config
            if not isinstance(config, CONTAINERS) or not self.configurations.is_sure(config):
                return None
            return not (config._is_none() or config._is_missing()) and len(config) > 0
        if isinstance(value, Class):
            # a metaclass may say otherwise
            return None if any(one.vague for one in value.lineage()) else True
        if isinstance(value, Function | Module | FilePath | Method):
            return True
        if isinstance(value, Instance):
            plain = value.cls.find("__len__") is ABSENT and value.cls.find("__bool__") is ABSENT
            return True if plain and value.cls.closed else None
        if isinstance(value, Choice):
            found = {self.truth(one) for one in value.values}
            return found.pop() if len(found) == 1 else None
        if isinstance(value, External) and _is_something(value):
            return True
        return None

    # -- texts and names -----------------------------------------------------------------------------------------------

    def text_of(self, value: object) -> str | None:
        """`str(value)`, where it is known."""
        if isinstance(value, str | bool | int | float) or value is None:
            if isinstance(value, int) and value.bit_length() > MAX_BITS:
                return None
            text = str(value)
            return text if len(text) <= MAX_TEXT else None
        if isinstance(value, FilePath):
            return value.text
        return None

    def text_length(self, text: str) -> object:
        """`len(text)`."""
        return ANYTHING if ROOT in text else len(text)

    def is_made_up(self, text: str) -> bool:
        """Whether a text names the folder of the submission, which has another name where it runs."""
        return ROOT in text

    def is_method(self, receiver: Node, name: str) -> bool:
        """Whether a name after a dot is a method of a configuration, whatever keys it has."""
        return name in (DICT_METHODS if isinstance(receiver.config, DictConfig) else LIST_METHODS)

    @property
    def builtins(self) -> frozenset[str]:
        """Names of Python's own functions."""
        return BUILTINS


def join_path(one: str, other: str) -> str:
    """`one / other` for paths."""
    return str(PurePosixPath(one) / other)


def _names_root(*values: object) -> bool:
    """Whether a text names the folder of the submission, which has another name where it runs."""
    return any(isinstance(value, str) and ROOT in value for value in values)


def _is_small(op: ast.operator, one: Any, other: Any) -> bool:
    """Whether the result of an operation stays small."""
    size = sum(len(value) for value in (one, other) if isinstance(value, str | bytes))
    if isinstance(op, ast.Mult):
        if isinstance(one, str | bytes) or isinstance(other, str | bytes):
            count = other if isinstance(one, str | bytes) else one
            return isinstance(count, int) and size * max(count, 0) <= MAX_TEXT
        return all(not isinstance(value, int) or value.bit_length() <= 256 for value in (one, other))
    if isinstance(op, ast.Mod) and isinstance(one, str | bytes):
        # a width in the format may ask for any length
        return size <= 200 and not any(character.isdigit() for character in str(one)) and "*" not in str(one)
    return size <= MAX_TEXT


def _is_something(value: External) -> bool:
    """Whether a value is certainly neither None nor false: a module, class or function of a library."""
    if value.path in OBJECTS:
        return True
    return (
        value.path != "?"
        and "()" not in value.path
        and "[" not in value.path
        and "." in value.path
        and (value.path.split(".", 1)[0] in _PLAIN_LIBRARIES)
        and value.path.rpartition(".")[2][:1].isupper()
    )
