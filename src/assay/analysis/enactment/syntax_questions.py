"""Questions about syntax trees that the enactment asks again and again: what is bound, left, yielded or changed."""

from __future__ import annotations

import ast
from functools import lru_cache

from assay.analysis.python_source import FunctionNode, PythonFile, children

MAX_FILES = 256
MAX_SYNTAX = 8_192


@lru_cache(MAX_SYNTAX)
def stored_names(*body: ast.AST) -> frozenset[str]:
    """Names that statements or expressions bind, at any depth, functions left out."""
    found: set[str] = set()
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        if not isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda):
            pending += children(node)
    return frozenset(found)


def leaves(body: list[ast.stmt], *kinds: type[ast.stmt]) -> bool:
    """Whether there are statements of some kinds among others, at any depth, functions left out."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        if isinstance(node, kinds):
            return True
        if not isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda):
            pending += children(node)
    return False


@lru_cache(MAX_SYNTAX)
def yields(node: FunctionNode) -> bool:
    """Whether a function is a generator."""
    pending: list[ast.AST] = list(node.body)
    while pending:
        one = pending.pop()
        if isinstance(one, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(one, FunctionNode | ast.ClassDef | ast.Lambda):
            pending += children(one)
    return False


def captured(pattern: ast.pattern) -> list[str]:
    """The names that a pattern binds."""
    found: list[str] = []
    for node in ast.walk(pattern):
        if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
            found.append(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.append(node.rest)
    return found


def as_load(target: ast.expr) -> ast.expr:
    """A target as an expression that reads it."""
    made: ast.expr
    if isinstance(target, ast.Name):
        made = ast.Name(target.id, ast.Load())
    elif isinstance(target, ast.Attribute):
        made = ast.Attribute(target.value, target.attr, ast.Load())
    elif isinstance(target, ast.Subscript):
        made = ast.Subscript(target.value, target.slice, ast.Load())
    else:
        return target
    return ast.copy_location(made, target)


def changing(files: dict[str, PythonFile]) -> tuple[frozenset[str], frozenset[str]]:
    """Attributes that are assigned outside of constructors, and names that a function declares global or nonlocal."""
    found = [_changing_in(file) for file in files.values()]
    return frozenset().union(*(one for one, _ in found)), frozenset().union(*(one for _, one in found))


@lru_cache(MAX_FILES)
def _changing_in(file: PythonFile) -> tuple[frozenset[str], frozenset[str]]:
    attributes: set[str] = set()
    declared: set[str] = set()
    for node in file.nodes:
        if isinstance(node, ast.Global | ast.Nonlocal):
            declared.update(node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            function = file.function_of(node)
            if function is None or function.name not in ("__init__", "__post_init__"):
                attributes.add(node.attr)
    return frozenset(attributes), frozenset(declared)


def module_paths(files: dict[str, PythonFile]) -> dict[str, str]:
    """The dotted names under which a program started from the root imports the files."""
    return {file.module: path for path, file in files.items()}
