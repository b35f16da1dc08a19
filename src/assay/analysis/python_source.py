"""A Python file as rules see it: its tree, its imports, and what its names mean.

Nothing here is recursive: a hostile file may nest as deeply as its parser allows.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypeVar, cast, overload

MAX_TREE_DEPTH = 300
MAX_COUNTED_LINE = 2_000

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
# What gives a name a value or a meaning.
BINDERS = (
    ast.Name, ast.arg, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.FunctionDef, ast.AsyncFunctionDef,
    ast.ClassDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping,
)  # fmt: skip
T = TypeVar("T")
N = TypeVar("N", bound=ast.AST)
M = TypeVar("M", bound=ast.AST)
K = TypeVar("K", bound=ast.AST)
_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


class Import(NamedTuple):
    """One imported name.

    Args:
        module: The module that is imported, absolute (`src.model`, `torch.nn`).
        name: The name taken from it by `from`, `*` included; None for a plain `import`.
        bound: The name that the file then has for it.
        node: The statement.
        guarded: Whether its failure is caught, or it stands under `TYPE_CHECKING`.
        in_function: Whether it runs only when a function is called.
    """

    module: str
    name: str | None
    bound: str
    node: ast.Import | ast.ImportFrom
    guarded: bool
    in_function: bool

    @property
    def target(self) -> str:
        """The dotted name that the bound name stands for."""
        if self.name is not None:
            return f"{self.module}.{self.name}"
        return self.module


class PythonFile:
    """A Python file of a submission.

    Attributes:
        path: Its path in the submission.
        text: Its text.
        tree: Its syntax tree, or None where this interpreter cannot parse it or it is nested too deeply.
        nodes: Every node of the tree, parents before children, siblings in the order of the text.
        parents: Each node's parent.
        unreadable: Why there is no tree; empty where there is one.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.tree: ast.Module | None = None
        self.nodes: list[ast.AST] = []
        self.parents: dict[ast.AST, ast.AST] = {}
        self.unreadable = ""
        self._shared: dict[Callable[[PythonFile], object], object] = {}
        self._qualified: dict[ast.AST, str] = {}
        self._nodes_of: dict[tuple[type[ast.AST], ...], list[ast.AST]] = {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(text)
        except SyntaxError as error:
            self.unreadable = f"{error.msg} (line {error.lineno})"
        except (MemoryError, RecursionError):
            self.unreadable = "nested too deeply"
        except ValueError as error:
            self.unreadable = str(error)
        else:
            parents = _parents(tree)
            if parents is None:
                self.unreadable = "nested too deeply"
            else:
                self.tree, self.parents = tree, parents
                self.nodes = [tree, *parents]
                if not text.isascii():
                    _count_columns_in_characters(self.nodes, self.lines)

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the text, without line ends. Line 1 is at index 0."""
        return self.text.split("\n")

    @cached_property
    def module(self) -> str:
        """The dotted name under which the submission's root imports it: `src.train`."""
        parts = PurePosixPath(self.path).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def shared(self, make: Callable[[PythonFile], T]) -> T:
        """What a class or function makes of a file alone; made when a rule first asks for it."""
        if make not in self._shared:
            self._shared[make] = make(self)
        return cast(T, self._shared[make])

    @overload
    def nodes_of(self, kind: type[N], /) -> list[N]: ...
    @overload
    def nodes_of(self, kind: type[N], other: type[M], /) -> list[N | M]: ...
    @overload
    def nodes_of(self, kind: type[N], other: type[M], third: type[K], /) -> list[N | M | K]: ...
    @overload
    def nodes_of(self, *kinds: type[ast.AST]) -> list[ast.AST]: ...
    def nodes_of(self, *kinds: type[ast.AST]) -> list[Any]:
        """The nodes of some kinds, in the order of `nodes`. Most rules look for few kinds, and many for the same."""
        if kinds not in self._nodes_of:
            places = [self._places[kind] for kind in self._places if issubclass(kind, kinds)]
            merged = places[0] if len(places) == 1 else sorted(chain.from_iterable(places))
            self._nodes_of[kinds] = [self.nodes[place] for place in merged]
        return self._nodes_of[kinds]

    @cached_property
    def _places(self) -> dict[type[ast.AST], list[int]]:
        """Where in `nodes` those of each kind are."""
        places: dict[type[ast.AST], list[int]] = {}
        for place, node in enumerate(self.nodes):
            places.setdefault(type(node), []).append(place)
        return places

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around a node, innermost first."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def function_of(self, node: ast.AST) -> FunctionNode | None:
        """The innermost function that a node stands in (not the one it defines), or None at module level."""
        return self._functions_around.get(node)

    @cached_property
    def _functions_around(self) -> dict[ast.AST, FunctionNode]:
        """The innermost function around each node that stands in one."""
        around: dict[ast.AST, FunctionNode] = {}
        for node, parent in self.parents.items():
            function = parent if isinstance(parent, FunctionNode) else around.get(parent)
            if function is not None:
                around[node] = function
        return around

    def symbol_of(self, node: ast.AST) -> str:
        """Dotted name of the definition that a node stands in or is; empty at module level."""
        chain = [node, *self.ancestors(node)]
        names = [up.name for up in chain if isinstance(up, FunctionNode | ast.ClassDef)]
        return ".".join(reversed(names))

    @cached_property
    def functions(self) -> list[FunctionNode]:
        """Every function and method, nested ones included."""
        return self.nodes_of(ast.FunctionDef, ast.AsyncFunctionDef)

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        """Every class, nested ones included."""
        return self.nodes_of(ast.ClassDef)

    @cached_property
    def imports(self) -> list[Import]:
        """Every import, wherever it stands."""
        found: list[Import] = []
        for node in self.nodes_of(ast.Import, ast.ImportFrom):
            guarded = self._is_guarded(node)
            nested = self.function_of(node) is not None
            for alias in node.names:
                if isinstance(node, ast.Import):
                    bound = alias.asname or alias.name.partition(".")[0]
                    found.append(Import(alias.name, None, bound, node, guarded, nested))
                else:
                    bound = alias.asname or alias.name
                    found.append(Import(self._absolute(node), alias.name, bound, node, guarded, nested))
        return found

    @cached_property
    def _meanings(self) -> dict[str, str]:
        """Imported name to the dotted name it stands for."""
        meanings: dict[str, str] = {}
        for item in self.imports:
            plain = (
                item.name is None and isinstance(item.node, ast.Import) and item.bound == item.module.partition(".")[0]
            )
            meanings.setdefault(item.bound, item.bound if plain else item.target)
        return meanings

    def qualified(self, node: ast.AST | None) -> str:
        """The dotted name that an expression stands for, imports followed: `np.mean` is `numpy.mean`.

        Empty where the expression is no dotted name. A name that is not imported stands for itself; a call or
        subscript in the chain ends it (`hydra.utils.get_original_cwd()` is no dotted name).
        """
        if node is None:
            return ""
        known = self._qualified.get(node)
        if known is None:
            parts: list[str] = []
            last: ast.AST = node
            while isinstance(last, ast.Attribute):
                parts.append(last.attr)
                last = last.value
            if isinstance(last, ast.Name):
                parts.append(self._meanings.get(last.id, last.id))
                known = ".".join(reversed(parts))
            self._qualified[node] = known = known or ""
        return known

    @cached_property
    def calls(self) -> list[tuple[ast.Call, str]]:
        """Every call with the dotted name of what is called (empty where it has none)."""
        return [(node, self.qualified(node.func)) for node in self.nodes_of(ast.Call)]

    @cached_property
    def defined(self) -> set[str]:
        """The names that the module has once it is imported, as far as its text shows; `*` where one is open.

        Open means: a star import, a module `__getattr__`, or a write to `globals()`.
        """
        names: set[str] = set()
        for node in self.nodes:
            if isinstance(node, ast.Global):
                names.update(node.names)
            if isinstance(node, ast.Call) and self.qualified(node.func) in ("globals", "exec", "setattr", "vars"):
                names.add("*")
            if self.function_of(node) is not None or any(isinstance(up, ast.ClassDef) for up in self.ancestors(node)):
                continue
            if isinstance(node, FunctionNode | ast.ClassDef):
                names.add("*" if node.name == "__getattr__" else node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
                names.add(node.name)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                names.add(node.rest)
        return names

    @cached_property
    def constants(self) -> dict[str, ast.expr]:
        """The names that the module binds exactly once, at its top level, with what they are bound to."""
        bound: dict[str, int] = {}
        for node in self.nodes:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                bound[node.id] = bound.get(node.id, 0) + 1
            elif isinstance(node, ast.arg):
                bound[node.arg] = bound.get(node.arg, 0) + 1
        values: dict[str, ast.expr] = {}
        for statement in self.tree.body if self.tree else ():
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                target = statement.targets[0]
                if isinstance(target, ast.Name) and bound.get(target.id) == 1:
                    values[target.id] = statement.value
        return values

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = PurePosixPath(self.path).parts[:-1]
        base = package[: len(package) - (node.level - 1)] if node.level - 1 <= len(package) else ()
        return ".".join([*base, *([node.module] if node.module else [])])

    def _is_guarded(self, node: ast.AST) -> bool:
        child = node
        for up in self.ancestors(node):
            if isinstance(up, ast.Try) and child in up.body and any(_catches_import(h) for h in up.handlers):
                return True
            if isinstance(up, ast.With) and any(
                _last_name(item.context_expr.func) == "suppress"
                for item in up.items
                if isinstance(item.context_expr, ast.Call)
            ):
                return True
            if isinstance(up, ast.If) and _last_name(up.test) == "TYPE_CHECKING" and child in up.body:
                return True
            child = up
        return False


# Fields that hold texts, numbers, or nodes without a place, which the parser shares between parents (`Load`, `Add`).
_PLAIN_FIELDS = frozenset(
    {
        "arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "kwd_attrs", "level", "lineno",
        "module", "name", "op", "ops", "rest", "simple", "tag", "type_comment",
    }
)  # fmt: skip
_ODD_FIELDS = frozenset({("TypeAlias", "name")})


def descend(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node below and including `tree`, parents before children, siblings in order of the text.

    Like `ast.walk`, but depth first, and without the marks that stand for operators and contexts.
    """
    pending = [tree]
    while pending:
        node = pending.pop()
        yield node
        pending += reversed(children(node))


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly below a node. `ast.iter_child_nodes` does the same in four times the time."""
    kind = type(node)
    names = _HOLDING.get(kind)
    if names is None:
        names = _HOLDING[kind] = _holding_fields(kind)
    found: list[ast.AST] = []
    for name in names:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


_HOLDING: dict[type[ast.AST], tuple[str, ...]] = {}


def _holding_fields(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields of a kind of node that may hold nodes other than marks."""
    if issubclass(kind, ast.Constant | ast.MatchSingleton):
        return ()
    return tuple(name for name in kind._fields if name not in _PLAIN_FIELDS or (kind.__name__, name) in _ODD_FIELDS)


def _parents(tree: ast.Module) -> dict[ast.AST, ast.AST] | None:
    """Each node's parent, in the order of `descend`; None where the tree is deeper than `MAX_TREE_DEPTH`."""
    parents: dict[ast.AST, ast.AST] = {}
    pending: list[tuple[ast.AST, ast.AST | None, int]] = [(tree, None, 0)]
    while pending:
        node, parent, depth = pending.pop()
        if parent is not None:
            parents[node] = parent
        if depth > MAX_TREE_DEPTH:
            return None
        pending += [(child, node, depth + 1) for child in reversed(children(node))]
    return parents


def string_value(node: ast.AST | None) -> str | None:
    """The text of a plain string constant, else None."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def last_part_of_path(text: str) -> str:
    """The name at the end of a text that may be a path. `PurePosixPath` says the same in twenty times the time."""
    return next((part for part in reversed(text.split("/")) if part not in ("", ".")), "")


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument of a call, else None."""
    return next((item.value for item in call.keywords if item.arg == name), None)


def _count_columns_in_characters(nodes: list[ast.AST], lines: list[str]) -> None:
    """Turn the columns of nodes, which Python counts in bytes of UTF-8, into characters, as editors count them.

    Lines beyond `MAX_COUNTED_LINE` keep theirs: each node costs the length of its line.
    """
    encoded = {
        number: line.encode("utf-8", "replace")
        for number, line in enumerate(lines, 1)
        if not line.isascii() and len(line) <= MAX_COUNTED_LINE
    }
    for node in nodes:
        for row, column in (("lineno", "col_offset"), ("end_lineno", "end_col_offset")):
            line = encoded.get(getattr(node, row, None) or 0)
            if line is not None:
                setattr(node, column, len(line[: getattr(node, column)].decode("utf-8", "ignore")))


def _last_name(node: ast.AST) -> str:
    """The last part of a dotted name, imports not followed: they are what is being read when this is asked."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _catches_import(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in _IMPORT_ERRORS for kind in kinds)
