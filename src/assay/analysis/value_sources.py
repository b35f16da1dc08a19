"""Which expressions a value may come from: names, calls of own functions, tuples and dicts followed to what ends them.

Nothing here looks at the order of statements: a name may have each value that its scope gives it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

from assay.analysis.name_origins import How, Origin, default_of, is_generator, origins_of, own_calls, returns_of
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile

_MAX_DEPTH = 24
# of one question, and of all of them
_MAX_STEPS = 600
_MAX_WORK = 60_000
_MAX_BINDINGS = 40

Path = tuple[int | str, ...]
Given = tuple[PythonFile, ast.expr]
# functions that are being followed into, each with what the call gives its parameters
Env = Mapping[FunctionNode, Mapping[str, Given]]
NOTHING: Env = {}


class Source(NamedTuple):
    """An expression that a value may come from, and that is not followed further.

    Args:
        file: Its file.
        node: The expression.
        path: Which part of its value is meant: places in tuples and keys of dicts, outermost first.
        env: The calls on the way to it.
        seen: The bindings on the way to it.
    """

    file: PythonFile
    node: ast.expr
    path: Path = ()
    env: Env = NOTHING
    seen: frozenset[tuple[ast.AST, Path]] = frozenset()

    def other(self, node: ast.expr, path: Path | None = None) -> Source:
        """Another expression of the same place."""
        return self._replace(node=node, path=self.path if path is None else path)


class ValueSources:
    """Follows values through a submission."""

    def __init__(self, project: Project) -> None:
        self._files = [file for file in project.python.values() if file.tree is not None]
        self._calls = own_calls(project)
        self._steps = 0
        self._work = 0

    @cached_property
    def _set_from_outside(self) -> frozenset[str]:
        """The attributes that are set on anything but `self`."""
        return frozenset(
            name
            for file in self._files
            for name, stores in file.shared(_stores).items()
            if any(not isinstance(store.value, ast.Name) or store.value.id != "self" for store in stores)
        )

    def of(self, source: Source) -> list[Source]:
        """Everything that a value may come from; a part that is not understood stands for itself.

        A binding that is on the way already adds nothing: `data = data.shuffle()` does not say where data comes from.
        """
        self._steps = 0
        return self._of(source, 0)

    def _of(self, source: Source, depth: int) -> list[Source]:
        self._steps += 1
        self._work += 1
        if depth > _MAX_DEPTH or self._steps > _MAX_STEPS or self._work > _MAX_WORK:
            return [source]
        node, path, below = source.node, source.path, depth + 1
        if isinstance(node, ast.Name):
            return self._named(source, node, below)
        if isinstance(node, ast.IfExp):
            return [found for side in (node.body, node.orelse) for found in self._of(source.other(side), below)]
        if isinstance(node, ast.BoolOp):
            return [found for side in node.values for found in self._of(source.other(side), below)]
        if path and (part := _part(node, path[0])) is not None:
            return self._of(source.other(part, path[1:]), below)
        if isinstance(node, ast.Subscript) and isinstance(key := _constant(node.slice), int | str):
            return self._of(source.other(node.value, (key, *path)), below)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            return self._attribute(source, node, below)
        if isinstance(node, ast.Call):
            return self._returned(source, node, below)
        return [source]

    def _named(self, source: Source, name: ast.Name, depth: int) -> list[Source]:
        found: list[Source] = []
        origins = origins_of(source.file).of(name)
        if len(origins) > _MAX_BINDINGS:
            return [source]
        for origin in origins:
            mark = (origin.node, source.path)
            if mark in source.seen:
                continue
            on = source._replace(seen=source.seen | {mark})
            if origin.how is How.VALUE and origin.expression is not None:
                found += self._of(on.other(origin.expression), depth)
            elif origin.how is How.PART and origin.expression is not None:
                found += self._of(on.other(origin.expression, (*origin.path, *source.path)), depth)
            elif origin.how is How.PARAMETER and origin.function is not None:
                found += self._parameter(on, name, origin, depth)
            else:
                found.append(source)
        return found if origins else [source]

    def _parameter(self, source: Source, name: ast.Name, origin: Origin, depth: int) -> list[Source]:
        function = origin.function
        assert function is not None  # for the type checker
        if function in source.env:
            given = source.env[function].get(name.id)
            if given is None:
                default = default_of(function, name.id)
                return self._of(source.other(default), depth) if default is not None else [source]
            return self._of(source._replace(file=given[0], node=given[1]), depth)
        known = self._calls.given(function, name.id)
        if not known:
            return [source]
        return [one for file, node in known for one in self._of(source._replace(file=file, node=node), depth)]

    def _attribute(self, source: Source, node: ast.Attribute, depth: int) -> list[Source]:
        """What the methods of its class store under an attribute of `self`."""
        owner = next((up for up in source.file.ancestors(node) if isinstance(up, ast.ClassDef)), None)
        found: list[Source] = []
        stores = source.file.shared(_stores).get(node.attr, ())
        if len(stores) > _MAX_BINDINGS:
            return [source]
        if owner is None or node.attr in self._set_from_outside:
            return [source]
        for other in stores:
            if owner is not next((up for up in source.file.ancestors(other) if isinstance(up, ast.ClassDef)), None):
                continue
            parent = source.file.parents.get(other)
            plain = (isinstance(parent, ast.Assign) and parent.targets == [other]) or isinstance(parent, ast.AnnAssign)
            value = parent.value if isinstance(parent, ast.Assign | ast.AnnAssign) and plain else None
            mark = (other, source.path)
            if value is None:
                return [source]
            if mark not in source.seen:
                found += self._of(source.other(value)._replace(seen=source.seen | {mark}), depth)
        return found or [source]

    def _returned(self, source: Source, call: ast.Call, depth: int) -> list[Source]:
        own = self._calls.called(source.file, call)
        if own is None:
            return [source]
        file, function = own
        filled = filled_by(function, call, source.file)
        returned = returns_of(function)
        if filled is None or function in source.env or not returned or is_generator(function):
            return [source]
        env = {**source.env, function: filled}
        found: list[Source] = []
        for item in returned:
            if item.value is None:
                return [source]
            found += self._of(source._replace(file=file, node=item.value, env=env), depth)
        return found


def _stores(file: PythonFile) -> dict[str, list[ast.Attribute]]:
    """Where attributes get a value or lose it, by their name."""
    found: dict[str, list[ast.Attribute]] = {}
    for node in file.nodes_of(ast.Attribute):
        if not isinstance(node.ctx, ast.Load):
            found.setdefault(node.attr, []).append(node)
    return found


def filled_by(function: FunctionNode, call: ast.Call, file: PythonFile) -> dict[str, Given] | None:
    """The parameters that a call fills, `self` left out; None where it unpacks arguments."""
    if any(isinstance(item, ast.Starred) for item in call.args) or any(item.arg is None for item in call.keywords):
        return None
    names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    if names and names[0] in ("self", "cls"):
        names = names[1:]
    given = dict(zip(names, call.args, strict=False))
    given.update({item.arg: item.value for item in call.keywords if item.arg is not None})
    return {name: (file, node) for name, node in given.items()}


def _part(node: ast.expr, key: int | str) -> ast.expr | None:
    """The part of a tuple, list or dict that is written out."""
    if isinstance(node, ast.Tuple | ast.List) and isinstance(key, int) and 0 <= key < len(node.elts):
        return None if any(isinstance(item, ast.Starred) for item in node.elts[: key + 1]) else node.elts[key]
    if isinstance(node, ast.Dict) and isinstance(key, str) and None not in node.keys:
        held = [value for name, value in zip(node.keys, node.values, strict=True) if _constant(name) == key]
        return held[0] if len(held) == 1 else None
    return None


def _constant(node: ast.AST | None) -> object:
    return node.value if isinstance(node, ast.Constant) and not isinstance(node.value, bool) else None
