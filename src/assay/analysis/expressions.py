"""Taking expressions apart: whether two are the same, which words they hold, and what stands inside a wrapper."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.python_source import FunctionNode, PythonFile, children, descend

_MAX_NODES = 2_000
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# calls that hand on the number they are given
_SAME_NUMBER = frozenset(
    {"float", "int", "round", "abs", "numpy.round", "numpy.asarray", "numpy.array", "list", "tuple"}
)
_SAME_VALUES = frozenset(
    {"item", "tolist", "copy", "values", "to_numpy", "dropna", "astype", "flatten", "numpy", "cpu", "detach", "strip"}
)


def is_same(one: ast.AST, other: ast.AST) -> bool:
    """Whether two expressions are written with the same names, constants and operators."""
    pending: list[tuple[object, object]] = [(one, other)]
    for _ in range(_MAX_NODES):
        if not pending:
            return True
        left, right = pending.pop()
        if isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            pending += zip(left, right, strict=True)
        elif isinstance(left, ast.AST) and isinstance(right, ast.AST):
            if type(left) is not type(right):
                return False
            names = [name for name in left._fields if name != "ctx"]
            pending += [(getattr(left, name, None), getattr(right, name, None)) for name in names]
        elif type(left) is not type(right) or left != right:
            return False
    return False


def words(node: ast.AST) -> list[str]:
    """The words of all names, attributes and short texts in an expression, in lower case."""
    found: list[str] = []
    for count, part in enumerate(descend(node)):
        if count > _MAX_NODES:
            break
        text = ""
        if isinstance(part, ast.Name):
            text = part.id
        elif isinstance(part, ast.Attribute):
            text = part.attr
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            text = part.value[:100]
        found += words_of(text)
    return found


def words_of(text: str) -> list[str]:
    """The words of a name or text, in lower case: `valLoss_2` is val, loss, 2."""
    return [word.lower() for word in _WORD.findall(text)]


def bare(file: PythonFile, node: ast.expr) -> ast.expr:
    """What stands inside conversions that leave a value as it is: `float(x)`, `x.item()`, `x.dropna().values`."""
    for _ in range(20):
        if isinstance(node, ast.Call):
            if file.qualified(node.func) in _SAME_NUMBER and node.args:
                node = node.args[0]
                continue
            if isinstance(node.func, ast.Attribute) and node.func.attr in _SAME_VALUES:
                node = node.func.value
                continue
        elif isinstance(node, ast.Attribute) and node.attr in ("values", "T"):
            node = node.value
            continue
        break
    return node


def root_name(node: ast.AST | None) -> ast.Name | None:
    """The name that a chain of subscripts, attributes and calls begins with."""
    for _ in range(50):
        if isinstance(node, ast.Name):
            return node
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
            node = node.value
        elif isinstance(node, ast.Call):
            node = node.func if isinstance(node.func, ast.Attribute) else None
        else:
            return None
    return None


def last_part(node: ast.AST | None) -> str:
    """The last name of a chain: `mode` of `cfg.mode`, `cfg["mode"]` and `cfg.get("mode", ...)`; else empty."""
    if isinstance(node, ast.Call):
        called = node.func
        if isinstance(called, ast.Attribute) and called.attr == "get" and node.args:
            return _text(node.args[0])
        if isinstance(called, ast.Name) and called.id == "getattr" and len(node.args) > 1:
            return _text(node.args[1])
        if isinstance(called, ast.Attribute) and called.attr in ("lower", "strip"):
            return last_part(called.value)
        if isinstance(called, ast.Name) and called.id == "str" and node.args:
            return last_part(node.args[0])
        return ""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    return _text(node.slice) if isinstance(node, ast.Subscript) else ""


def number(node: ast.AST | None) -> float | None:
    """The value of a numeric constant, with or without a sign; None for all else, truth values included."""
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
        node = node.operand
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return sign * min(max(node.value, -1e300), 1e300)
    return None


def scope_nodes(function: FunctionNode | ast.Module) -> Iterator[ast.AST]:
    """The nodes of a function or module without those of the functions and classes in it."""
    pending: list[ast.AST] = list(reversed(function.body))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda):
            pending += reversed(children(node))


def tests_around(file: PythonFile, node: ast.AST) -> Iterator[ast.expr]:
    """The conditions between a node and the top of its function, innermost first: they decide whether it runs."""
    child = node
    for up in file.ancestors(node):
        if isinstance(up, FunctionNode | ast.Lambda):
            return
        if isinstance(up, ast.If | ast.While | ast.IfExp) and child is not up.test:
            yield up.test
        elif isinstance(up, ast.BoolOp) and child is not up.values[0]:
            yield up.values[0]
        elif isinstance(up, ast.Match) and child is not up.subject:
            yield up.subject
        child = up


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
