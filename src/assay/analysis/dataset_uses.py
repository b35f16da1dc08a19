"""What a function does with a dataset that it has just loaded: the splits it takes and the columns it names.

A value is followed only where nothing else can stand in its place: through a name up to its next binding, through
indexing, and through the methods that keep columns as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from assay.analysis.dataset_knowledge import Facts
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value

_SAME_COLUMNS = frozenset(
    {"select", "shuffle", "take", "skip", "filter", "shard", "sort", "flatten_indices", "with_format"}
)
_NAMES_COLUMNS = frozenset({"remove_columns", "select_columns", "sort", "class_encode_column"})
_CHANGES_DICT = frozenset({"pop", "popitem", "update", "setdefault", "clear", "__setitem__"})
_MAX_STEPS = 2_000


class Use(NamedTuple):
    """A split or column that is named on a dataset.

    Args:
        place: The constant that names it.
        name: The split or column.
        kind: `split` or `column`.
    """

    place: ast.AST
    name: str
    kind: str


class _Held(NamedTuple):
    """An expression and what it holds: `splits` (a DatasetDict), `table` (a Dataset) or `row`."""

    node: ast.expr
    kind: str
    splits: tuple[str, ...]


def uses_of(file: PythonFile, call: ast.Call, facts: Facts, *, one_split: bool) -> list[Use]:
    """The splits and columns that the code around a call names on what it loads.

    Args:
        file: The file of the call.
        call: A call of `load_dataset`.
        facts: What the loaded dataset has. Uses of a dataset without known splits are still followed.
        one_split: Whether the call asks for a split, so that it gives a Dataset and no DatasetDict.
    """
    found: list[Use] = []
    mapped: dict[str, list[ast.expr]] = {}
    pending = [_Held(call, "table" if one_split else "splits", facts.splits)]
    for _ in range(_MAX_STEPS):
        if not pending:
            break
        held = pending.pop()
        parent = file.parents.get(held.node)
        if isinstance(parent, ast.Subscript) and parent.value is held.node:
            pending.extend(_indexed(file, parent, held, found))
        elif isinstance(parent, ast.Attribute):
            method = file.parents.get(parent)
            if isinstance(method, ast.Call) and method.func is parent:
                pending.extend(_called(method, parent.attr, held, found, mapped))
        elif isinstance(parent, ast.For) and parent.iter is held.node and held.kind == "table":
            if isinstance(parent.target, ast.Name):
                loads = _loads_in_loop(parent, parent.target.id)
                if not any(_changes(file, load) for load in loads):
                    pending.extend(_Held(node, "row", ()) for node in loads)
        else:
            target = _bound_name(parent)
            if target is not None and isinstance(parent, ast.stmt):
                loads = _loads_after(file, parent, target)
                if held.kind in ("splits", "row") and any(_changes(file, load) for load in loads):
                    continue
                pending.extend(_Held(load, held.kind, held.splits) for load in loads)
    if "set_transform" in file.text:
        # the dataset's rows become what a function makes of them
        found = [use for use in found if use.kind == "split"]
        mapped = {}
    for name, nodes in mapped.items():
        found.extend(_columns_of_function(file, name, nodes))
    asked = _index_of(file).asked
    kept = []
    for use in found:
        function = file.function_of(use.place) or file.tree
        names, any_name = asked(function) if function is not None else (frozenset(), True)
        if not any_name and use.name not in names and not _is_asked_about(file, use.place):
            kept.append(use)
    return kept


def _indexed(file: PythonFile, node: ast.Subscript, held: _Held, found: list[Use]) -> Iterator[_Held]:
    if not isinstance(node.ctx, ast.Load):
        return
    key = string_value(node.slice)
    if held.kind == "splits":
        if key is None:
            return
        if held.splits and key not in held.splits:
            found.append(Use(node, key, "split"))
            return
        yield _Held(node, "table", ())
    elif key is not None:
        found.append(Use(node, key, "column"))
    elif held.kind == "table" and _is_number_or_slice(node.slice):
        yield _Held(node, "row", ())


def _called(
    call: ast.Call, method: str, held: _Held, found: list[Use], mapped: dict[str, list[ast.expr]]
) -> Iterator[_Held]:
    if held.kind == "row":
        return
    if (
        method in ("map", "filter")
        and call.args
        and not any(item.arg in ("input_columns", None) for item in call.keywords)
    ):
        function = call.args[0]
        if isinstance(function, ast.Lambda):
            found.extend(_columns_of_parameter(function))
        elif isinstance(function, ast.Name):
            mapped.setdefault(function.id, []).append(function)
    if held.kind == "table" or method != "sort":
        given = call.args[0] if call.args else None
        if method in _NAMES_COLUMNS and given is not None:
            parts = given.elts if isinstance(given, ast.List | ast.Tuple) else [given]
            found.extend(Use(part, text, "column") for part in parts if (text := string_value(part)) is not None)
        if method == "rename_column" and (text := string_value(given)) is not None:
            found.append(Use(call, text, "column"))
    if method in _SAME_COLUMNS:
        yield _Held(call, held.kind, held.splits)
    elif method == "train_test_split" and held.kind == "table":
        yield _Held(call, "splits", ("train", "test"))


def _columns_of_parameter(function: ast.Lambda) -> Iterator[Use]:
    parameters = [*function.args.posonlyargs, *function.args.args]
    if parameters:
        yield from _columns_in(function.body, parameters[0].arg)


def _columns_in(body: ast.AST, name: str) -> list[Use]:
    """The columns that a tree reads from a row; none where it may add to the row or ask what it has."""
    found: list[Use] = []
    for node in descend(body):
        if isinstance(node, ast.If | ast.IfExp | ast.Try | ast.BoolOp | ast.Compare) and _mentions(node, name):
            if not isinstance(node, ast.Compare) or any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
                return []
        elif isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
            return []
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == name:
            if not isinstance(node.ctx, ast.Load):
                return []
            if (text := string_value(node.slice)) is not None:
                found.append(Use(node, text, "column"))
    return found


def _columns_of_function(file: PythonFile, name: str, uses: list[ast.expr]) -> list[Use]:
    """The columns that a function reads which is mapped over this dataset and used for nothing else."""
    functions = [node for node in file.functions if node.name == name]
    loads = sum(isinstance(node, ast.Name) and node.id == name for node in file.nodes)
    if len(functions) != 1 or loads != len(uses):
        return []
    parameters = [*functions[0].args.posonlyargs, *functions[0].args.args]
    if not parameters or parameters[0].arg == "self":
        return []
    found: list[Use] = []
    for statement in functions[0].body:
        parts = _columns_in(statement, parameters[0].arg)
        if (
            not parts
            and _mentions(statement, parameters[0].arg)
            and not _only_reads(statement, parameters[0].arg, file)
        ):
            return []
        found.extend(parts)
    return found


def _only_reads(statement: ast.stmt, name: str, file: PythonFile) -> bool:
    """Whether a statement that names a row cannot change it: no call has the whole row as an argument."""
    for node in descend(statement):
        if isinstance(node, ast.Name) and node.id == name:
            parent = file.parents.get(node)
            if not isinstance(parent, ast.Subscript) or not isinstance(parent.ctx, ast.Load):
                return False
    return True


def _mentions(tree: ast.AST, name: str) -> bool:
    return any(isinstance(node, ast.Name) and node.id == name for node in descend(tree))


def _is_number_or_slice(node: ast.expr) -> bool:
    return isinstance(node, ast.Slice) or (isinstance(node, ast.Constant) and type(node.value) is int)


def _bound_name(statement: ast.AST | None) -> str | None:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.target.id
    return None


class _Index:
    """The names of a file by the scope they stand in, and what its functions ask for."""

    def __init__(self, file: PythonFile) -> None:
        self.names: dict[tuple[ast.AST | None, str], list[ast.Name]] = {}
        self.shared: set[str] = set()
        self.asked = cache(_asked_in)
        for node in file.nodes_of(ast.Name, ast.Global, ast.Nonlocal):
            if isinstance(node, ast.Name):
                self.names.setdefault((_scope(file, node), node.id), []).append(node)
            elif isinstance(node, ast.Global | ast.Nonlocal):
                self.shared.update(node.names)


def _index_of(file: PythonFile) -> _Index:
    return file.shared(_Index)


def _scope(file: PythonFile, node: ast.AST) -> ast.AST | None:
    return next((up for up in file.ancestors(node) if isinstance(up, FunctionNode | ast.Lambda | ast.ClassDef)), None)


def _loads_after(file: PythonFile, statement: ast.stmt, name: str) -> list[ast.Name]:
    """The uses of a name that see what a statement binds to it.

    Where other statements of the scope bind it too, only those up to the next one count, and none where the
    statement stands in a branch or a loop.
    """
    scope = _scope(file, statement)
    inside = scope if scope is not None else file.tree
    if inside is None or isinstance(scope, ast.ClassDef | ast.Lambda):
        return []
    end = (statement.end_lineno or statement.lineno, statement.end_col_offset or 0)
    index = _index_of(file)
    if name in index.shared:
        return []
    loads: list[ast.Name] = []
    stores: list[ast.stmt] = []
    for node in index.names.get((scope, name), ()):
        if isinstance(node.ctx, ast.Load):
            loads.append(node)
        else:
            up = next((up for up in file.ancestors(node) if isinstance(up, ast.stmt)), None)
            if up is None or isinstance(node.ctx, ast.Del):
                return []
            if up is not statement:
                stores.append(up)
    if isinstance(inside, FunctionNode) and any(item.arg == name for item in inside.args.args):
        stores.append(statement)
    after = [load for load in loads if (load.lineno, load.col_offset) >= end]
    if not stores:
        return after
    if file.parents.get(statement) is not inside:
        return []
    later = [store for store in stores if (store.lineno, store.col_offset) > (statement.lineno, statement.col_offset)]
    if not later:
        return after
    first = min(later, key=lambda store: (store.lineno, store.col_offset))
    if isinstance(first, ast.For | ast.AsyncFor | ast.With | ast.AsyncWith | ast.While):
        limit = (first.lineno, first.col_offset)
    else:
        limit = (first.end_lineno or first.lineno, first.end_col_offset or 0)
    if any(isinstance(up, ast.For | ast.While | ast.AsyncFor) for up in _up_to(file, first, inside)):
        limit = (statement.end_lineno or statement.lineno, 10**9)
    return [load for load in after if (load.lineno, load.col_offset) < limit]


def _up_to(file: PythonFile, node: ast.AST, stop: ast.AST) -> Iterator[ast.AST]:
    for up in file.ancestors(node):
        if up is stop:
            return
        yield up


def _loads_in_loop(loop: ast.For, name: str) -> list[ast.Name]:
    nodes = [node for part in loop.body for node in descend(part) if isinstance(node, ast.Name) and node.id == name]
    parts = [node for part in loop.body for node in descend(part)]
    if any(not isinstance(node.ctx, ast.Load) for node in nodes):
        return []
    if any(isinstance(node, ast.If | ast.Try | ast.IfExp) and _mentions(node, name) for node in parts):
        return []
    return nodes


def _changes(file: PythonFile, load: ast.Name) -> bool:
    """Whether a use may put another split into a DatasetDict: it stores one, or hands it on."""
    parent = file.parents.get(load)
    if isinstance(parent, ast.Subscript):
        return not isinstance(parent.ctx, ast.Load)
    if isinstance(parent, ast.Attribute):
        return parent.attr in _CHANGES_DICT
    if isinstance(parent, ast.Call):
        return not (isinstance(parent.func, ast.Name) and parent.func.id in ("print", "len", "list", "sorted", "type"))
    alias = _bound_name(parent)
    if alias is not None and isinstance(parent, ast.stmt) and alias != load.id:
        # another name for the same dict
        return any(_changes(file, other) for other in _loads_after(file, parent, alias) if other.id != load.id)
    return isinstance(parent, ast.keyword | ast.AugAssign | ast.Dict | ast.List | ast.Tuple)


def _is_asked_about(file: PythonFile, node: ast.AST) -> bool:
    """Whether a branch around looks at the dataset first: `if len(data) > 2: data["validation"]`."""
    root = node
    while isinstance(root, ast.Subscript | ast.Attribute | ast.Call):
        root = root.func if isinstance(root, ast.Call) else root.value
    name = root.id if isinstance(root, ast.Name) else ""
    return bool(name) and any(
        isinstance(up, ast.If | ast.IfExp | ast.While) and _mentions(up.test, name) for up in file.ancestors(node)
    )


def _asked_in(function: ast.AST) -> tuple[frozenset[str], bool]:
    """The names that a function asks for, and whether it asks for names that are not spelled out."""
    names: set[str] = set()
    any_name = False
    for node in descend(function):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            text = string_value(node.left)
            any_name = any_name or not isinstance(node.left, ast.Constant)
            names.update([text] if text is not None else [])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("keys", "get"):
            any_name = any_name or node.func.attr == "keys"
            names.update(text for arg in node.args if (text := string_value(arg)) is not None)
    return frozenset(names), any_name
