"""Which keys evaluation reads from the history and the summary of a run in W&B."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import NamedTuple

from assay.analysis.import_time import stands_in
from assay.analysis.name_origins import How, Origin, origins_of, own_calls, returns_of
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, keyword, string_value
from assay.analysis.text_pattern import PatternReader

HISTORY, SUMMARY = "history", "summary"
_MANY = " of many"
_MAX_DEPTH = 16
_MAX_WORK = 20_000
_MAX_READS = 1_000
# https://docs.wandb.ai/ref/python/public-api/run, "Run"
_HISTORIES = frozenset({"history", "scan_history", "beta_scan_history"})
_SAME = frozenset(
    {
        "dict", "list", "sorted", "copy.copy", "copy.deepcopy", "pandas.DataFrame", "pandas.DataFrame.from_records",
    }
)  # fmt: skip
# https://pandas.pydata.org/docs/reference/frame.html: methods that give back a frame with the same columns
_FRAMES = frozenset(
    {
        "copy", "dropna", "sort_values", "sort_index", "tail", "head", "drop_duplicates", "fillna", "ffill", "bfill",
        "query", "infer_objects", "convert_dtypes", "sample", "nlargest", "nsmallest",
    }
)  # fmt: skip
# their arguments that name columns: place, and keyword
_NAMING: dict[str, tuple[tuple[int | None, str], ...]] = {
    "dropna": ((None, "subset"),),
    "drop_duplicates": ((0, "subset"),),
    "sort_values": ((0, "by"),),
    "groupby": ((0, "by"),),
    "set_index": ((0, "keys"),),
    "plot": ((None, "x"), (None, "y")),
    "nlargest": ((1, "columns"),),
    "nsmallest": ((1, "columns"),),
    "get": ((0, "key"),),
}
_MAKING = frozenset(
    {"rename", "assign", "insert", "setdefault", "merge", "join", "reset_index", "set_axis", "update", "agg", "melt"}
)


class Read(NamedTuple):
    """One key that evaluation reads.

    Args:
        key: The key.
        source: `history` or `summary`.
        place: Where it is read.
        certain: Whether the reading fails, or finds nothing, where the key is not there: nothing asks before.
    """

    key: str
    source: str
    place: ast.expr
    certain: bool


@lru_cache(maxsize=2)
def tracked_reads(project: Project, file: PythonFile) -> list[Read]:
    """What a file reads, worked out once."""
    return TrackedReads(project, file).all


class TrackedReads:
    """Follows what the API of W&B returns through one file.

    Args:
        project: The submission.
        file: The file of it that evaluates.
    """

    def __init__(self, project: Project, file: PythonFile) -> None:
        self.file = file
        self._origins = origins_of(file)
        self._calls = own_calls(project)
        self._reader = PatternReader(file)
        self._kinds: dict[ast.AST, str] = {}
        self._open: set[ast.AST] = set()
        self._work = 0
        self._made = self._made_here()
        self._asked, self._asking = self._asked_for()

    @cached_property
    def all(self) -> list[Read]:
        """The reads, in the order of the text, without keys that the file makes by itself."""
        found: list[Read] = []
        for node in self.file.nodes_of(ast.Subscript, ast.Call):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                found += self._subscript(node)
            elif isinstance(node, ast.Call):
                found += self._call(node)
        kept = [read for read in found[:_MAX_READS] if read.key not in self._made]
        return sorted(kept, key=lambda read: (read.place.lineno, read.place.col_offset))

    def _subscript(self, node: ast.Subscript) -> Iterator[Read]:
        kind = self._kind(node.value, 0)
        if kind not in (HISTORY, SUMMARY):
            return
        inner = node.slice
        if isinstance(node.value, ast.Attribute) and node.value.attr in ("loc", "at"):
            if not isinstance(inner, ast.Tuple) or len(inner.elts) != 2:
                return
            inner = inner.elts[1]
        elif isinstance(node.value, ast.Attribute) and node.value.attr in ("iloc", "iat"):
            return
        for key, listed in self._keys_of(inner):
            yield Read(key, kind, node, self._is_certain(node, key, listed))

    def _call(self, node: ast.Call) -> Iterator[Read]:
        data = keyword(node, "data")
        if data is not None and self._kind(data, 0) == HISTORY:
            for axis in ("x", "y", "hue", "style"):
                yield from self._named(node, keyword(node, axis), HISTORY)
        if not isinstance(node.func, ast.Attribute):
            return
        if node.func.attr in _HISTORIES:
            yield from self._named(node, keyword(node, "keys"), HISTORY)
            return
        kind = self._kind(node.func.value, 0)
        if kind == HISTORY or (kind == SUMMARY and node.func.attr == "get"):
            for place, name in _NAMING.get(node.func.attr, ()):
                positional = node.args[place] if place is not None and place < len(node.args) else None
                yield from self._named(node, positional or keyword(node, name), kind)

    def _named(self, call: ast.Call, value: ast.expr | None, kind: str) -> Iterator[Read]:
        if value is None:
            return
        asks = isinstance(call.func, ast.Attribute) and call.func.attr == "get"
        above = self.file.parents.get(call)
        if asks and isinstance(above, ast.Call) and isinstance(above.func, ast.Attribute) and above.func.attr == "get":
            # what is read in place of another key
            return
        for key, listed in self._keys_of(value):
            yield Read(key, kind, call, not asks and self._is_certain(call, key, listed))

    def _keys_of(self, node: ast.expr) -> list[tuple[str, bool]]:
        """The keys that an expression certainly names, and whether it is one of several that a loop runs through."""
        value = self._reader.value_of(node) or node
        if isinstance(value, ast.List | ast.Tuple | ast.Set):
            texts = [self._text(item) for item in value.elts[:100]]
            return [(text, False) for text in texts if text is not None]
        text = self._text(value)
        if text is not None:
            return [(text, False)]
        if isinstance(value, ast.Name):
            origins = self._origins.of(value)
            if len(origins) == 1 and origins[0].how is How.ELEMENT and not origins[0].path:
                source = self._reader.value_of(origins[0].expression)
                items: list[ast.expr | None] = []
                if isinstance(source, ast.List | ast.Tuple | ast.Set):
                    items = list(source.elts)
                elif isinstance(source, ast.Dict):
                    items = list(source.keys)
                found = [self._text(item) for item in items[:100] if item is not None]
                return [(text, True) for text in found if text is not None]
        return []

    def _text(self, node: ast.expr) -> str | None:
        """The text that an expression certainly is; numbers are none."""
        if isinstance(node, ast.Constant):
            return string_value(node)
        return self._reader.fold(node).constant if isinstance(node, ast.JoinedStr | ast.BinOp | ast.Name) else None

    def _is_certain(self, node: ast.AST, key: str, listed: bool) -> bool:
        if key in self._asked:
            return False
        child: ast.AST = node
        for up in self.file.ancestors(node):
            if isinstance(up, ast.Try) and up.handlers and stands_in(up.body, child):
                return False
            if isinstance(up, FunctionNode | ast.Module):
                return not (listed and up in self._asking)
            if isinstance(up, ast.IfExp | ast.If) and _asks_for_membership(up.test):
                return False
            if isinstance(up, ast.comprehension) and any(_asks_for_membership(test) for test in up.ifs):
                return False
            if isinstance(up, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) and any(
                _asks_for_membership(test) for item in up.generators for test in item.ifs
            ):
                return False
            if isinstance(up, ast.BoolOp) and any(_asks_for_membership(value) for value in up.values):
                return False
            child = up
        return True

    def _made_here(self) -> set[str]:
        """Keys that the file adds to what it has read."""
        made: set[str] = {"index", "level_0"}
        for node in self.file.nodes_of(ast.Subscript, ast.Call, ast.Assign):
            if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
                made.update(part for item in descend(node.slice) if (part := string_value(item)) is not None)
                text = self._reader.fold(node.slice).constant
                made.update([text] if text else [])
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MAKING:
                made.update(text for item in descend(node) if (text := string_value(item)) is not None)
                made.update(item.arg for item in node.keywords if item.arg)
            elif isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Attribute) and target.attr == "columns" for target in node.targets
            ):
                made.update(text for item in descend(node.value) if (text := string_value(item)) is not None)
        return made

    def _asked_for(self) -> tuple[set[str], set[ast.AST]]:
        """Keys that the file tests for, and functions that test for keys which are not spelled out."""
        asked: set[str] = set()
        asking: set[ast.AST] = set()
        for node in self.file.nodes_of(ast.Compare, ast.Call):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
                keys = [key for key, _ in self._keys_of(node.left)]
                asked.update(keys)
                if not keys or isinstance(node.left, ast.Name):
                    asking.add(self.file.function_of(node) or self.file.nodes[0])
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("issubset", "intersection", "difference", "get") or node.func.attr == "filter":
                    asked.update(text for item in descend(node) if (text := string_value(item)) is not None)
        return asked, asking

    def _kind(self, node: ast.expr | None, depth: int) -> str:
        """`history`, `summary`, either of many, or nothing."""
        self._work += 1
        if node is None or depth > _MAX_DEPTH or self._work > _MAX_WORK or node in self._open:
            return ""
        if node in self._kinds:
            return self._kinds[node]
        self._open.add(node)
        kind = self._find_kind(node, depth + 1)
        self._open.discard(node)
        if depth == 0:
            self._kinds[node] = kind
        return kind

    def _find_kind(self, node: ast.expr, depth: int) -> str:
        if isinstance(node, ast.Attribute):
            if node.attr in (SUMMARY, "summary_metrics"):
                return "" if self.file.qualified(node.value) in ("wandb", "wandb.run", "self", "args") else SUMMARY
            kind = self._kind(node.value, depth)
            if kind == SUMMARY:
                return SUMMARY if node.attr == "_json_dict" else ""
            return kind if kind == HISTORY and node.attr in ("loc", "iloc", "at", "iat") else ""
        if isinstance(node, ast.Call):
            return self._kind_of_call(node, depth)
        if isinstance(node, ast.Subscript):
            return self._kind_of_part(node, depth)
        if isinstance(node, ast.IfExp):
            return _agreed([self._kind(node.body, depth), self._kind(node.orelse, depth)])
        if isinstance(node, ast.BoolOp):
            return _agreed([self._kind(value, depth) for value in node.values])
        if isinstance(node, ast.DictComp):
            kind = self._kind(node.value, depth)
            return kind + _MANY if kind in (HISTORY, SUMMARY) else ""
        if isinstance(node, ast.ListComp) and isinstance(node.elt, ast.Name):
            return self._kind(node.elt, depth)
        if isinstance(node, ast.Name):
            return self._kind_of_name(node, depth)
        return ""

    def _kind_of_call(self, node: ast.Call, depth: int) -> str:
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in _HISTORIES:
                # the other stream holds what W&B measures of the machine
                return HISTORY if keyword(node, "stream") is None else ""
            if node.func.attr in _FRAMES:
                kind = self._kind(node.func.value, depth)
                if kind == HISTORY or node.func.attr == "copy":
                    return kind
        if self.file.qualified(node.func) in _SAME and len(node.args) == 1:
            return self._kind(node.args[0], depth)
        return self._kind_returned(node, (), depth)

    def _kind_of_part(self, node: ast.Subscript, depth: int) -> str:
        kind = self._kind(node.value, depth)
        if kind.endswith(_MANY):
            return kind.removesuffix(_MANY)
        if kind == HISTORY and isinstance(node.slice, ast.Compare | ast.BinOp | ast.List | ast.UnaryOp | ast.Slice):
            return HISTORY
        return ""

    def _kind_returned(self, node: ast.expr, path: tuple[int, ...], depth: int) -> str:
        own = self._calls.called(self.file, node) if isinstance(node, ast.Call) else None
        if own is None or own[0] is not self.file:
            return ""
        kinds: list[str] = []
        for item in returns_of(own[1]):
            part = item.value
            for place in path:
                part = part.elts[place] if isinstance(part, ast.Tuple) and place < len(part.elts) else None
            if part is not None and not (isinstance(part, ast.Constant) and part.value is None):
                kinds.append(self._kind(part, depth))
        return _agreed(kinds)

    def _kind_of_name(self, node: ast.Name, depth: int) -> str:
        origins = self._origins.of(node)
        kinds = [self._kind_of_origin(node, origin, depth) for origin in origins]
        return _agreed([kind for kind in kinds if kind is not None])

    def _kind_of_origin(self, node: ast.Name, origin: Origin, depth: int) -> str | None:
        value = origin.expression
        if origin.how is How.VALUE:
            empty = isinstance(value, ast.Dict) and not value.keys
            if empty or (isinstance(value, ast.Call) and self.file.qualified(value.func) == "dict" and not value.args):
                return self._kind_kept_in(node, depth)
            return None if self._is_of_itself(value) else self._kind(value, depth)
        if origin.how is How.PART and value is not None:
            if isinstance(value, ast.Tuple) and len(origin.path) == 1 and origin.path[0] < len(value.elts):
                return self._kind(value.elts[origin.path[0]], depth)
            return self._kind_returned(value, origin.path, depth)
        if origin.how is How.ELEMENT and value is not None:
            return self._kind_of_element(value, origin.path, depth)
        if origin.how is How.PARAMETER and origin.function is not None and isinstance(origin.node, ast.arg):
            given = self._calls.given(origin.function, origin.node.arg)
            if not given or any(file is not self.file for file, _ in given):
                return ""
            return _agreed([self._kind(item, depth) for _, item in given])
        return ""

    def _is_of_itself(self, value: ast.expr | None) -> bool:
        """Whether an expression is made of what is being followed: `frame = frame.dropna()`."""
        parts = list(descend(value)) if value is not None else []
        self._work += len(parts) // 20
        return any(part in self._open for part in parts)

    def _kind_of_element(self, value: ast.expr, path: tuple[int, ...], depth: int) -> str:
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
            return ""
        method = value.func.attr
        if method in ("scan_history", "beta_scan_history") and not path:
            return HISTORY
        kind = self._kind(value.func.value, depth)
        if kind == HISTORY and method in ("groupby", "iterrows") and path == (1,):
            return HISTORY
        if kind.endswith(_MANY) and (method, path) in (("items", (1,)), ("values", ())):
            return kind.removesuffix(_MANY)
        return ""

    @cached_property
    def _kept(self) -> dict[tuple[ast.AST, str], list[ast.expr]]:
        """What is put under a key of a name, by the function around it and the name."""
        found: dict[tuple[ast.AST, str], list[ast.expr]] = {}
        for node in self.file.nodes_of(ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                    scope = self.file.function_of(node) or self.file.nodes[0]
                    found.setdefault((scope, target.value.id), []).append(node.value)
        return found

    def _kind_kept_in(self, node: ast.Name, depth: int) -> str:
        """What is put into an empty dictionary under keys of its own."""
        scope = self.file.function_of(node) or self.file.nodes[0]
        kinds = [self._kind(value, depth) for value in self._kept.get((scope, node.id), ())]
        kind = _agreed(kinds)
        return kind + _MANY if kind in (HISTORY, SUMMARY) else ""


def _agreed(kinds: list[str]) -> str:
    return kinds[0] if kinds and all(kind == kinds[0] for kind in kinds) else ""


def _asks_for_membership(test: ast.expr) -> bool:
    return any(
        isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops)
        for node in descend(test)
    )
