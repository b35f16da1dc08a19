"""Where the names of a submission get their values: assignments, loops, parameters, and the calls that fill those.

Nothing here looks at the order of statements: a name has all the origins that its scope gives it.
"""

from __future__ import annotations

import ast
from collections import Counter
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from assay.analysis.project import Project
from assay.analysis.python_source import BINDERS, FunctionNode, PythonFile, descend
from assay.analysis.text_pattern import arguments

_SCOPES = (FunctionNode, ast.Lambda, ast.Module)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_MAX_CALLS = 50


class How(Enum):
    """How a name comes by its value."""

    VALUE = "it is the value of an expression"
    PART = "it is a part of the value of an expression, which is unpacked"
    ELEMENT = "it is an element of what an expression runs through"
    PARAMETER = "it is a parameter"
    OTHER = "in a way that is not followed"


class Origin(NamedTuple):
    """One origin of a name.

    Args:
        how: How the value gets there.
        node: The node that binds the name.
        expression: The expression that is meant, where there is one.
        path: Which part of it, for a part or an element that is unpacked: places in tuples, outermost first.
        function: The function, for a parameter.
    """

    how: How
    node: ast.AST
    expression: ast.expr | None = None
    path: tuple[int, ...] = ()
    function: FunctionNode | None = None


class Origins:
    """The origins of the names of one file."""

    def __init__(self, file: PythonFile) -> None:
        self.file = file

    def of(self, name: ast.Name) -> list[Origin]:
        """All origins of a name where it stands; none where the file does not bind it."""
        for up in self.file.ancestors(name):
            if not isinstance(up, (*_SCOPES, *_COMPREHENSIONS)):
                continue
            found = self._bound.get((up, name.id))
            if found:
                return found
        return []

    def within(self, scope: ast.AST, name: str) -> list[Origin]:
        """The origins that one scope gives a name."""
        return self._bound.get((scope, name), [])

    @cached_property
    def _bound(self) -> dict[tuple[ast.AST, str], list[Origin]]:
        found: dict[tuple[ast.AST, str], list[Origin]] = {}
        for node in self.file.nodes_of(*BINDERS):
            if isinstance(node, ast.Name):
                if isinstance(node.ctx, ast.Load):
                    continue
                scope, origin = self._binding(node)
                found.setdefault((scope, node.id), []).append(origin)
            elif isinstance(node, ast.arg):
                owner = next((up for up in self.file.ancestors(node) if isinstance(up, _SCOPES)), None)
                if owner is not None:
                    function = owner if isinstance(owner, FunctionNode) else None
                    how = How.PARAMETER if function is not None else How.OTHER
                    found.setdefault((owner, node.arg), []).append(Origin(how, node, function=function))
            else:
                for name, scopes in self._other_bindings(node):
                    for scope in scopes:
                        found.setdefault((scope, name), []).append(Origin(How.OTHER, node))
        return found

    def _other_bindings(self, node: ast.AST) -> list[tuple[str, list[ast.AST]]]:
        if isinstance(node, ast.Global | ast.Nonlocal):
            outer = [up for up in self.file.ancestors(node) if isinstance(up, _SCOPES)]
            return [(name, list(outer)) for name in node.names]
        if isinstance(node, ast.Import | ast.ImportFrom):
            return [((alias.asname or alias.name).partition(".")[0], [self._scope_of(node)]) for alias in node.names]
        if (
            isinstance(node, FunctionNode | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar)
            and node.name
        ):
            return [(node.name, [self._scope_of(node)])]
        if isinstance(node, ast.MatchMapping) and node.rest:
            return [(node.rest, [self._scope_of(node)])]
        return []

    def _scope_of(self, node: ast.AST) -> ast.AST:
        return next((up for up in self.file.ancestors(node) if isinstance(up, _SCOPES)), self.file.nodes[0])

    def _binding(self, name: ast.Name) -> tuple[ast.AST, Origin]:
        """The scope that a stored name belongs to, and what it gets."""
        scope = self._scope_of(name)
        path: list[int] = []
        child: ast.AST = name
        for up in self.file.ancestors(name):
            if isinstance(up, ast.Tuple | ast.List) and child in up.elts:
                place = up.elts.index(child)
                starred = any(isinstance(item, ast.Starred) for item in up.elts[: place + 1])
                if starred:
                    return scope, Origin(How.OTHER, name)
                path.append(place)
                child = up
                continue
            where = tuple(reversed(path))
            if isinstance(up, ast.Assign) and child in up.targets:
                return scope, Origin(How.PART if where else How.VALUE, name, up.value, where)
            if isinstance(up, ast.AnnAssign | ast.NamedExpr) and child is up.target and up.value is not None:
                return scope, Origin(How.VALUE, name, up.value)
            if isinstance(up, ast.For | ast.AsyncFor) and child is up.target:
                return scope, Origin(How.ELEMENT, name, up.iter, where)
            if isinstance(up, ast.comprehension) and child is up.target:
                around = self.file.parents[up]
                return around, Origin(How.ELEMENT, name, up.iter, where)
            if isinstance(up, ast.AnnAssign) and child is up.target:
                # an annotation alone gives no value
                return up, Origin(How.OTHER, name)
            break
        return scope, Origin(How.OTHER, name)


def origins_of(file: PythonFile) -> Origins:
    """The origins of the names of a file, worked out once."""
    return file.shared(Origins)


def own_calls(project: Project) -> OwnCalls:
    """The calls of a submission's own functions, worked out once."""
    return project.shared(OwnCalls)


class OwnCalls:
    """Which of a submission's functions a call starts, and which calls start a function."""

    def __init__(self, project: Project) -> None:
        files = [file for file in project.python.values() if file.tree is not None]
        self._files = {file.module: file for file in files}
        self._plain: dict[tuple[str, str], list[FunctionNode]] = {}
        for file in files:
            for function in file.functions:
                if isinstance(file.parents.get(function), ast.ClassDef):
                    key = (file.module, file.symbol_of(function))
                else:
                    key = (file.module, function.name)
                self._plain.setdefault(key, []).append(function)

    def called(self, file: PythonFile, call: ast.Call) -> tuple[PythonFile, FunctionNode] | None:
        """The function that a call certainly starts, by a plain name, a module's name, or `self`; None for others."""
        return self.named(file, call.func)

    def named(self, file: PythonFile, node: ast.expr) -> tuple[PythonFile, FunctionNode] | None:
        """The function that an expression certainly names."""
        name = file.qualified(node)
        if not name:
            return None
        if name.startswith("self.") and name.count(".") == 1:
            owner = next((up for up in file.ancestors(node) if isinstance(up, ast.ClassDef)), None)
            key = (file.module, f"{file.symbol_of(owner)}.{name[5:]}") if owner is not None else ("", "")
            return self._only(file.module, key[1]) if owner is not None else None
        if "." not in name:
            return self._only(file.module, name)
        module, _, last = name.rpartition(".")
        for known in (module, f"src.{module}"):
            if known in self._files:
                return self._only(known, last)
        return None

    def _only(self, module: str, name: str) -> tuple[PythonFile, FunctionNode] | None:
        found = self._plain.get((module, name), [])
        return (self._files[module], found[0]) if len(found) == 1 and module in self._files else None

    @cached_property
    def _uses(self) -> tuple[dict[FunctionNode, list[tuple[PythonFile, ast.Call]]], Counter[str]]:
        calls: dict[FunctionNode, list[tuple[PythonFile, ast.Call]]] = {}
        handed_on: Counter[str] = Counter()
        for file in self._files.values():
            called = set()
            for call, _ in file.calls:
                called.add(call.func)
                if (own := self.called(file, call)) is not None:
                    calls.setdefault(own[1], []).append((file, call))
            for node in file.nodes_of(ast.Name, ast.Attribute):
                if isinstance(node.ctx, ast.Load) and node not in called:
                    handed_on[node.id if isinstance(node, ast.Name) else node.attr] += 1
        return calls, handed_on

    def calls_of(self, function: FunctionNode) -> list[tuple[PythonFile, ast.Call]] | None:
        """All calls of a function; None where it may be called from elsewhere, or too often to follow."""
        calls, handed_on = self._uses
        found = calls.get(function, [])
        if function.decorator_list or handed_on[function.name] or len(found) > _MAX_CALLS:
            return None
        return found

    def given(self, function: FunctionNode, parameter: str) -> list[tuple[PythonFile, ast.expr]] | None:
        """The expressions that calls give a parameter, its default among them; None where they are not all known."""
        calls = self.calls_of(function)
        if calls is None:
            return None
        found: list[tuple[PythonFile, ast.expr]] = []
        default = default_of(function, parameter)
        for file, call in calls:
            if any(isinstance(item, ast.Starred) for item in call.args) or any(k.arg is None for k in call.keywords):
                return None
            own_method = bool(function.args.args) and function.args.args[0].arg in ("self", "cls")
            bound = _bound_arguments(function, call) if own_method else arguments(function, call)
            value = bound.get(parameter, default)
            if value is None:
                return None
            found.append((file, value))
        return found


def default_of(function: FunctionNode, parameter: str) -> ast.expr | None:
    """The default of a parameter."""
    arguments_ = function.args
    names = [*arguments_.posonlyargs, *arguments_.args]
    with_default = names[len(names) - len(arguments_.defaults) :] if arguments_.defaults else []
    for argument, value in zip(with_default, arguments_.defaults, strict=True):
        if argument.arg == parameter:
            return value
    for argument, keyword_value in zip(arguments_.kwonlyargs, arguments_.kw_defaults, strict=True):
        if argument.arg == parameter:
            return keyword_value
    return None


def returns_of(function: FunctionNode) -> list[ast.Return]:
    """The returns of a function itself, not those of functions within it."""
    found: list[ast.Return] = []
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Return):
            found.append(node)
        if not isinstance(node, FunctionNode | ast.Lambda | ast.ClassDef):
            pending.extend(child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))
    return sorted(found, key=lambda node: node.lineno)


def is_generator(function: FunctionNode) -> bool:
    """Whether a function yields."""
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in descend(function))


def _bound_arguments(function: FunctionNode, call: ast.Call) -> dict[str, ast.expr]:
    """The parameters that a call of a method fills, without the one that is the object itself."""
    names = [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)][1:]
    known = {*names, *(parameter.arg for parameter in function.args.kwonlyargs)}
    given = dict(zip(names, call.args, strict=False))
    given.update({item.arg: item.value for item in call.keywords if item.arg in known})
    return given
