"""Values of the enactment: what an expression of the submission may hold.

Plain constants stand for themselves: `str`, `int`, `float`, `bool`, `bytes` and `None`. Everything else is one of the
classes below. `External` stands for whatever a library makes; its path says how the program came by it, as in
`wandb.Api().run().history()`.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from assay.analysis.python_source import FunctionNode, PythonFile

MAX_PATH = 160
MAX_CHOICES = 6
MAX_MARKS = 40
MAX_LINEAGE = 50
TURN, CALL = 1, 2

Constant = str | int | float | bool | bytes | None
CONSTANTS = (str, int, float, bool, bytes, type(None))


# not frozen, because that makes each new one three times as slow; nothing changes one all the same
@dataclass(slots=True, unsafe_hash=True)
class External:
    """A value that comes out of a library, or of which nothing is known.

    Args:
        path: How the program came by it: names, `()` for a call, `[]` for a subscript; `?` where nothing is known.
        marks: Names of searched hyperparameters that went into it.
        keys: Keyword arguments and the first positional ones of the call that made it, where these are constants.
    """

    path: str = "?"
    marks: frozenset[str] = frozenset()
    keys: tuple[tuple[str, object], ...] = ()

    def then(self, step: str, marks: frozenset[str] = frozenset()) -> External:
        """What an attribute, call or subscript of it gives."""
        path = "?" if self.path == "?" or len(self.path) > MAX_PATH else self.path + step
        return External(path, self.marks | marks if marks else self.marks)


ANYTHING = External()


@dataclass(eq=False, slots=True)
class Items:
    """A list, tuple or set.

    Args:
        items: Its elements.
        kind: `list`, `tuple`, `set`, or `iterator` for what can be gone through once.
        open: Whether it may hold more or less, or its order is not known.
        region: The region in which it was made.
        path: Dotted key of the configuration that it is a copy of; None where it is none.
        hollow: Whether it may be empty although elements are known.
    """

    items: list[object] = field(default_factory=list)
    kind: str = "list"
    open: bool = False
    region: int = 0
    path: str | None = None
    hollow: bool = False


@dataclass(eq=False, slots=True)
class Pairs:
    """A dictionary, or an object that has nothing but attributes.

    Args:
        pairs: Its entries, by constant key.
        open: Whether it may hold more, or other values.
        region: The region in which it was made.
        path: Dotted key of the configuration that it is a copy of; None where it is none.
        attributes: Whether its entries are read as attributes (`argparse.Namespace`).
        doubtful: Keys of entries that may not be there.
    """

    pairs: dict[object, object] = field(default_factory=dict)
    open: bool = False
    region: int = 0
    path: str | None = None
    attributes: bool = False
    doubtful: set[object] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class Node:
    """A node of a configuration.

    Args:
        config: The OmegaConf container itself.
    """

    config: object


@dataclass(eq=False, slots=True)
class Scope:
    """The names of a module or of one call of a function.

    Args:
        file: The file that it stands in.
        outer: The scope around it.
        names: The names that are bound here.
        declared: Names that `global` or `nonlocal` declares, with the scope that is meant.
        doubt: Whether the turn of the loop (`TURN`) or the function (`CALL`) may have ended already.
        returns: What it has returned so far.
        loops: For each loop around the statement: the names at its `break` and at its `continue` statements so far.
        region: The region in which it was made.
        owner: The class whose body or method this is.
        this: The first argument of a method.
    """

    file: PythonFile
    outer: Scope | None = None
    names: dict[str, object] = field(default_factory=dict)
    declared: dict[str, Scope] = field(default_factory=dict)
    doubt: int = 0
    covered: int = 0
    returns: list[object] = field(default_factory=list)
    loops: list[tuple[list[dict[str, object]], list[dict[str, object]]]] = field(default_factory=list)
    region: int = 0
    managed: object = None
    yields: list[object] = field(default_factory=list)
    owner: Class | None = None
    this: object = None
    is_module: bool = False
    is_class: bool = False


@dataclass(eq=False, slots=True)
class Function:
    """A function or lambda of the submission.

    Args:
        node: Its definition.
        scope: Where it was defined.
        this: The object that it is bound to, if it is.
        bound: Whether it is bound.
        owner: The class that defines it.
        decorators: Values of its decorators, innermost last.
        defaults: Values of its parameters' defaults, by name.
        setter: What an assignment to it calls, where it is a property.
    """

    node: FunctionNode | ast.Lambda
    scope: Scope
    this: object = None
    bound: bool = False
    owner: Class | None = None
    decorators: list[object] = field(default_factory=list)
    defaults: dict[str, object] = field(default_factory=dict)
    setter: Function | None = None

    def bound_to(self, this: object) -> Function:
        """The method that it is on an object or class."""
        return Function(self.node, self.scope, this, True, self.owner, self.decorators, self.defaults)

    def has(self, *decorators: str) -> bool:
        """Whether it stands under one of these decorators of Python's."""
        return any(isinstance(one, External) and one.path in decorators for one in self.decorators)

    @property
    def name(self) -> str:
        return "<lambda>" if isinstance(self.node, ast.Lambda) else self.node.name


# Bases of Python's that bring no attributes into the objects of a class.
_PLAIN_BASES = frozenset({"object", "abc.ABC", "ABC", "typing.Protocol", "typing.Generic", "typing.Generic[]"})


@dataclass(eq=False, slots=True)
class Class:
    """A class of the submission.

    Args:
        vague: Whether something that is not followed has had a hand in it: a metaclass, a decorator of a library.
        metaclass: The class of the submission that makes it, where it names one.
    """

    node: ast.ClassDef
    scope: Scope
    bases: list[object] = field(default_factory=list)
    names: dict[str, object] = field(default_factory=dict)
    decorators: list[object] = field(default_factory=list)
    vague: bool = False
    region: int = 0
    metaclass: Class | None = None
    _lineage: list[Class] | None = None
    _closed: bool | None = None

    def lineage(self) -> list[Class]:
        """The class and its bases in the submission, in the order in which names are looked up."""
        if self._lineage is None:
            self._lineage = _linear(self) or _breadth_first(self)
        return self._lineage

    @property
    def closed(self) -> bool:
        """Whether every base is known."""
        if self._closed is None:
            self._closed = _linear(self) is not None and all(
                isinstance(base, Class) or (isinstance(base, External) and base.path in _PLAIN_BASES)
                for one in self.lineage()
                for base in one.bases
            )
        return self._closed and not any(one.vague for one in self.lineage())

    def find(self, name: str) -> object:
        """What the class or a base binds a name to; `ABSENT` where none does."""
        for one in self.lineage():
            if name in one.names:
                return one.names[name]
        return ABSENT

    def method(self, name: str) -> Function | None:
        """The method of a name, where the submission defines one."""
        found = self.find(name)
        return found if isinstance(found, Function) else None


def _breadth_first(cls: Class) -> list[Class]:
    found: list[Class] = []
    pending: list[object] = [cls]
    while pending and len(found) < MAX_LINEAGE:
        one = pending.pop(0)
        if isinstance(one, Class) and one not in found:
            found.append(one)
            pending += one.bases
    return found


def _linear(cls: Class) -> list[Class] | None:
    """Python's method resolution order (https://docs.python.org/3/howto/mro.html); None where there is none."""
    every = _breadth_first(cls)
    if len(every) >= MAX_LINEAGE:
        return None
    orders: dict[int, list[Class]] = {}
    pending = list(every)
    while pending:
        ready = [one for one in pending if all(id(base) in orders for base in one.bases if isinstance(base, Class))]
        if not ready:
            return None
        for one in ready:
            bases = [base for base in one.bases if isinstance(base, Class)]
            merged = _merged([list(orders[id(base)]) for base in bases] + [bases])
            if merged is None:
                return None
            orders[id(one)] = [one, *merged]
            pending.remove(one)
    return orders[id(cls)]


def _merged(sequences: list[list[Class]]) -> list[Class] | None:
    merged: list[Class] = []
    while sequences := [one for one in sequences if one]:
        heads = (one[0] for one in sequences)
        head = next((one for one in heads if not any(one in rest[1:] for rest in sequences)), None)
        if head is None:
            return None
        merged.append(head)
        sequences = [one[1:] if one[0] is head else one for one in sequences]
    return merged


@dataclass(eq=False, slots=True)
class Instance:
    """An object of a class of the submission.

    Args:
        attributes: What is assigned to it.
        doubtful: Attributes that may not be there.
        open: Whether it may have other attributes, or other values in them.
    """

    cls: Class
    attributes: dict[str, object] = field(default_factory=dict)
    region: int = 0
    doubtful: set[str] = field(default_factory=set)
    open: bool = False


@dataclass(frozen=True, slots=True)
class Managed:
    """A call of a generator function under `contextlib.contextmanager`, which `with` carries out."""

    function: Function
    positional: tuple[object, ...]
    keywords: tuple[tuple[str, object], ...]
    is_open: bool


@dataclass(eq=False, slots=True)
class Module:
    """A module of the submission."""

    name: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a value that the enactment knows itself."""

    receiver: object
    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values."""

    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """`enumerate(x)` where the elements of `x` are not known one by one.

    Args:
        inner: What an element of `x` is.
        batches: Whether `x` stands for work that cannot be nothing.
    """

    inner: object
    batches: bool


@dataclass(frozen=True, slots=True)
class FilePath:
    """A `pathlib.Path` with a known text."""

    text: str


@dataclass(eq=False, slots=True)
class Parser:
    """An `argparse.ArgumentParser`: its options and positionals, in order.

    Args:
        open: Whether it may have more of them.
        vague: Whether their values may come from elsewhere than the command line and the defaults.
    """

    options: list[dict[str, object]] = field(default_factory=list)
    open: bool = False
    vague: bool = False


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


def choice(values: list[object]) -> object:
    """One of several values as a single value."""
    flat: list[object] = []
    for value in values:
        for one in value.values if isinstance(value, Choice) else (value,):
            if not any(same(one, other) for other in flat):
                flat.append(one)
    if len(flat) == 1:
        return flat[0]
    if len(flat) > MAX_CHOICES or not flat:
        return External("?", marks_of(*flat))
    return Choice(tuple(flat))


def same(one: object, other: object) -> bool:
    """Whether two values are certainly the same."""
    if one is other:
        return True
    if isinstance(one, Node) and isinstance(other, Node):
        return one.config is other.config
    if type(one) is not type(other):
        return False
    if isinstance(one, CONSTANTS):
        return one == other
    if isinstance(one, External | FilePath):
        return one == other
    return False


def marks_of(*values: object) -> frozenset[str]:
    """The searched names that went into some values."""
    found: frozenset[str] = frozenset()
    for value in values:
        if isinstance(value, External):
            found |= value.marks
        elif isinstance(value, Choice):
            found |= marks_of(*value.values)
    return found if len(found) <= MAX_MARKS else frozenset(sorted(found)[:MAX_MARKS])


def is_constant(value: object) -> bool:
    """Whether a value is a plain constant."""
    return isinstance(value, CONSTANTS)
