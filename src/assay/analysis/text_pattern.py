"""What text an expression can have: constants folded, and everything else kept as a hole.

`out_dir / f"{run_id}_curve.pdf"` becomes a hole, a slash, a hole, and `_curve.pdf`. Names are followed to the one
assignment that reaches them, and parameters to the calls of their function in the same file. The work is bounded: where
an expression is too large or too deep, the rest of it is a hole.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property, reduce
from itertools import groupby
from typing import NamedTuple

from assay.analysis.python_source import BINDERS, FunctionNode, PythonFile, descend, string_value

# of one expression: parts of it, names and calls within each other, calls of its function
_MAX_STEPS = 400
_MAX_DEPTH = 24
_MAX_CALLS = 20
# of one file: names that are bound more often stay open, and so does everything once so much was folded
_MAX_BINDINGS = 100
_MAX_WORK = 50_000

_PATHS = frozenset({"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath", "os.path.join"})
# calls that leave a path or a text as it is, as far as its last component goes
_SAME_TEXT = frozenset({"str", "os.fspath", "os.path.abspath", "os.path.realpath", "os.path.expanduser"})
_SAME_METHOD = frozenset({"resolve", "absolute", "expanduser", "as_posix", "__str__"})
_FORMAT_FIELD = re.compile(r"\{\{|\}\}|\{[^{}]*\}")
_PERCENT_FIELD = re.compile(r"%%|%(?:\([^)]*\))?[-+ #0]*[0-9]*(?:\.[0-9]+)?[a-zA-Z]")
_ESCAPES = {"{{": "{", "}}": "}", "%%": "%"}

_SCOPES = (FunctionNode, ast.Lambda, ast.Module)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Hole(NamedTuple):
    """A part of a text that is not known.

    Args:
        expression: What gives it its value; None where the value comes from a format field without a known argument.
        label: How reports name it: a dotted name, or three dots.
        parameter: The function whose parameter it is, where it is one.
    """

    expression: ast.expr | None
    label: str = "..."
    parameter: FunctionNode | None = None


class Pattern(NamedTuple):
    """A text with holes. Path components are separated by slashes."""

    parts: tuple[str | Hole, ...]

    @property
    def text(self) -> str:
        """The text, holes as `{label}`."""
        return "".join(part if isinstance(part, str) else f"{{{part.label}}}" for part in self.parts)

    @property
    def constant(self) -> str | None:
        """The text where it has no hole, else None."""
        return None if self.holes else self.text

    @property
    def holes(self) -> tuple[Hole, ...]:
        return tuple(part for part in self.parts if isinstance(part, Hole))

    @property
    def name(self) -> Pattern:
        """What stands after the last slash that is written out."""
        kept: list[str | Hole] = []
        for part in reversed(self.parts):
            if isinstance(part, str) and "/" in part:
                kept.append(part.rpartition("/")[2])
                break
            kept.append(part)
        return _pattern(reversed(kept))

    @property
    def suffix(self) -> str | None:
        """The extension with its dot, in lower case; empty for a name that certainly has none, None where unknown."""
        *before, last = self.name.parts or (None,)
        if not isinstance(last, str):
            return None
        stem, dot, extension = last.rpartition(".")
        if dot and (stem or before):
            return "." + extension.lower()
        return None if before else ""


class _Binding(NamedTuple):
    """A place where a scope gives a name a value; `value` is None where it is not one plain expression."""

    node: ast.AST
    value: ast.expr | None


class PatternReader:
    """Folds the expressions of one file."""

    def __init__(self, file: PythonFile) -> None:
        self.file = file
        self._steps = 0
        self._work = 0

    def fold(self, node: ast.expr | None) -> Pattern:
        """The pattern of an expression."""
        self._steps = 0
        return _pattern(self._fold(node, 0))

    def fold_at_calls(self, node: ast.expr | None) -> list[Pattern]:
        """The pattern of an expression, once for each call in this file of the function whose parameters it holds."""
        pattern = self.fold(node)
        function = next((hole.parameter for hole in pattern.holes if hole.parameter), None)
        calls = self._calls_of.get(function.name, []) if function else []
        if function is None or not calls or len(calls) > _MAX_CALLS:
            return [pattern]
        found = []
        for call in calls:
            given = arguments(function, call)
            self._steps = 0
            parts: list[str | Hole] = []
            for part in pattern.parts:
                value = given.get(part.label) if isinstance(part, Hole) and part.parameter is function else None
                parts.extend([part] if value is None else self._fold(value, 0))
            found.append(_pattern(parts))
        return found

    def value_of(self, node: ast.expr | None) -> ast.expr | None:
        """The expression that a name stands for, followed as far as one assignment reaches it; others as they are."""
        for _ in range(_MAX_DEPTH):
            binding = self._binding(node) if isinstance(node, ast.Name) else None
            if binding is None or binding.value is None:
                break
            node = binding.value
        return node

    def _binding(self, name: ast.Name) -> _Binding | None:
        """The binding that gives a name its value where it is read, or None where there may be several or none."""
        self._work += 1
        if self._work > _MAX_WORK:
            return None
        own = True
        for up in self.file.ancestors(name):
            if isinstance(up, _COMPREHENSIONS) and any(
                isinstance(node, ast.Name) and node.id == name.id
                for item in up.generators
                for node in descend(item.target)
            ):
                return None
            if isinstance(up, _SCOPES):
                bound = self.file.shared(_bindings_in).get((up, name.id))
                if bound is not None:
                    return self._reaching(name, bound) if own else bound[0] if len(bound) == 1 else None
                own = False
        return None

    @cached_property
    def _calls_of(self) -> dict[str, list[ast.Call]]:
        """Calls by the plain name they call, for functions that the module defines exactly once."""
        defined = Counter(function.name for function in self.file.functions)
        found: dict[str, list[ast.Call]] = {}
        for call, _ in self.file.calls:
            if isinstance(call.func, ast.Name) and defined[call.func.id] == 1:
                found.setdefault(call.func.id, []).append(call)
        return found

    def _reaching(self, use: ast.Name, bound: list[_Binding]) -> _Binding | None:
        """The binding of the use's own scope that certainly reaches it."""
        before = [item for item in bound if _position(item.node) < _position(use)]
        if not before or len(bound) > _MAX_BINDINGS:
            return None
        last = max(before, key=lambda item: _position(item.node))
        statement = next((up for up in (last.node, *self.file.ancestors(last.node)) if isinstance(up, ast.stmt)), None)
        parameter = isinstance(last.node, ast.arg)
        home = _scope_of(self.file, last.node) if parameter else self.file.parents.get(statement or last.node)
        child: ast.AST = use
        for up in self.file.ancestors(use):
            if up is home:
                return last if parameter or _follows(child, statement, home) else None
            # another turn of a loop may bring another value
            if isinstance(up, ast.For | ast.AsyncFor | ast.While) and any(
                item is not last and up in self.file.ancestors(item.node) for item in bound
            ):
                return None
            child = up
        return None

    def _fold(self, node: ast.expr | None, depth: int) -> list[str | Hole]:
        self._steps += 1
        self._work += 1
        if node is None or depth > _MAX_DEPTH or self._steps > _MAX_STEPS or self._work > _MAX_WORK:
            return [Hole(node)]
        further = depth + 1
        if isinstance(node, ast.Constant):
            return [str(node.value)] if isinstance(node.value, str | int) else [Hole(node)]
        if isinstance(node, ast.JoinedStr):
            return [part for value in node.values for part in self._fold(value, further)]
        if isinstance(node, ast.FormattedValue):
            plain = node.format_spec is None and node.conversion in (-1, ord("s"))
            return self._fold(node.value, further) if plain else [Hole(node.value, _label(node.value))]
        if isinstance(node, ast.BinOp):
            return self._fold_operation(node, further)
        if isinstance(node, ast.Call):
            return self._fold_call(node, further)
        if isinstance(node, ast.Name) and (binding := self._binding(node)) is not None:
            if binding.value is not None:
                return self._fold(binding.value, further)
            owner = _scope_of(self.file, binding.node)
            is_parameter = isinstance(binding.node, ast.arg)
            return [Hole(node, node.id, owner if is_parameter and isinstance(owner, FunctionNode) else None)]
        return [Hole(node, _label(node))]

    def _fold_operation(self, node: ast.BinOp, depth: int) -> list[str | Hole]:
        if isinstance(node.op, ast.Div):
            return _below(self._fold(node.left, depth), self._fold(node.right, depth))
        if isinstance(node.op, ast.Add):
            return [*self._fold(node.left, depth), *self._fold(node.right, depth)]
        template = string_value(node.left)
        if isinstance(node.op, ast.Mod) and template is not None:
            values = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            return self._fill(_PERCENT_FIELD, template, values, {}, depth)
        return [Hole(node)]

    def _fold_call(self, node: ast.Call, depth: int) -> list[str | Hole]:
        called = self.file.qualified(node.func)
        starred = any(isinstance(argument, ast.Starred) for argument in node.args)
        if starred or any(item.arg is None for item in node.keywords):
            return [Hole(node)]
        if called in _PATHS and node.args:
            return reduce(_below, [self._fold(argument, depth) for argument in node.args])
        if called in _SAME_TEXT and len(node.args) == 1 and not node.keywords:
            return self._fold(node.args[0], depth)
        if isinstance(node.func, ast.Attribute):
            method, receiver = node.func.attr, node.func.value
            template = string_value(receiver)
            if method == "format" and template is not None:
                named = {item.arg: item.value for item in node.keywords if item.arg}
                return self._fill(_FORMAT_FIELD, template, node.args, named, depth)
            if method == "joinpath":
                return reduce(_below, [self._fold(part, depth) for part in (receiver, *node.args)])
            if method in _SAME_METHOD and not node.args:
                return self._fold(receiver, depth)
            if method == "with_suffix" and len(node.args) == 1:
                suffix, below = string_value(node.args[0]), _pattern(self._fold(receiver, depth))
                if suffix is not None and below.suffix is not None and isinstance(last := below.parts[-1], str):
                    return [*below.parts[:-1], last[: len(last) - len(below.suffix)] + suffix]
        return [Hole(node, _label(node))]

    def _fill(
        self, field: re.Pattern[str], template: str, values: list[ast.expr], named: Mapping[str, ast.expr], depth: int
    ) -> list[str | Hole]:
        """A template with its fields filled in."""
        parts: list[str | Hole] = []
        left = iter(values)
        end = 0
        for match in field.finditer(template):
            parts.append(template[end : match.start()])
            end = match.end()
            found = match.group()
            if found in _ESCAPES:
                parts.append(_ESCAPES[found])
            elif found[1:-1] in named:
                parts.extend(self._fold(named[found[1:-1]], depth))
            else:
                value = next(left, None)
                # an index, an attribute or a format: some value of the call, which one is not followed
                plain = found in ("{}", "%s", "%d") and value is not None
                parts.extend(self._fold(value, depth) if plain else [Hole(value)])
        parts.append(template[end:])
        return parts


def arguments(function: FunctionNode, call: ast.Call) -> dict[str, ast.expr]:
    """The parameters of a function that a call certainly fills, with the expressions it gives them."""
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return {}
    names = [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)]
    known = {*names, *(parameter.arg for parameter in function.args.kwonlyargs)}
    given = dict(zip(names, call.args, strict=False))
    given.update({item.arg: item.value for item in call.keywords if item.arg in known})
    return given


def _label(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else "..."


def _bindings_in(file: PythonFile) -> dict[tuple[ast.AST, str], list[_Binding]]:
    """The bindings of a file by scope and name."""
    found: dict[tuple[ast.AST, str], list[_Binding]] = {}
    for node in file.nodes_of(*BINDERS):
        if not (names := _names_bound(node)):
            continue
        parent = file.parents.get(node)
        value = parent.value if isinstance(parent, ast.Assign | ast.AnnAssign | ast.NamedExpr) else None
        binding = _Binding(node, value)
        # a name that several scopes write is known in none of them
        shared = [file.nodes[0]] if isinstance(node, ast.Global | ast.Nonlocal) else []
        for scope in (_scope_of(file, node), *shared):
            for name in names:
                found.setdefault((scope, name), []).append(binding)
    return found


def _scope_of(file: PythonFile, node: ast.AST) -> ast.AST:
    return next(up for up in file.ancestors(node) if isinstance(up, _SCOPES))


def _names_bound(node: ast.AST) -> list[str]:
    """The names that a node itself, not one below it, gives a value or a meaning."""
    if isinstance(node, ast.Name):
        return [] if isinstance(node.ctx, ast.Load) else [node.id]
    if isinstance(node, ast.arg):
        return [node.arg]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, ast.Global | ast.Nonlocal):
        return node.names
    if isinstance(node, FunctionNode | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        return [node.name]
    return [node.rest] if isinstance(node, ast.MatchMapping) and node.rest else []


def _follows(child: ast.AST, statement: ast.stmt | None, parent: ast.AST) -> bool:
    """Whether a node stands in the same list of statements as another one, and is not that one itself."""
    lists = [value for _, value in ast.iter_fields(parent) if isinstance(value, list) and statement in value]
    return child is not statement and any(child in value for value in lists)


def _position(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)


def _below(left: list[str | Hole], right: list[str | Hole]) -> list[str | Hole]:
    """Two path parts joined; an absolute right side replaces the left one."""
    if right and isinstance(right[0], str) and right[0].startswith("/"):
        return right
    if left and isinstance(left[-1], str) and left[-1].endswith("/"):
        return [*left, *right]
    return [*left, "/", *right]


def _pattern(parts: Iterable[str | Hole]) -> Pattern:
    """Neighbouring texts made one, empty ones dropped."""
    joined: list[str | Hole] = []
    for is_text, group in groupby(parts, lambda part: isinstance(part, str)):
        pieces = list(group)
        text = "".join(piece for piece in pieces if isinstance(piece, str))
        joined += [text] if text else [] if is_text else pieces
    return Pattern(tuple(joined))
