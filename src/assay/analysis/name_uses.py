"""Which names the code of a submission uses, to tell live definitions from dead ones."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable

from assay.analysis.python_source import FunctionNode, PythonFile


def used_names(files: Iterable[PythonFile]) -> Counter[str]:
    """How often each name is read, taken as an attribute, or imported from a module."""
    uses: Counter[str] = Counter()
    for file in files:
        uses.update(file.shared(_used_in))
    return uses


def _used_in(file: PythonFile) -> Counter[str]:
    uses = Counter(node.id for node in file.nodes_of(ast.Name) if isinstance(node.ctx, ast.Load))
    uses.update(node.attr for node in file.nodes_of(ast.Attribute) if isinstance(node.ctx, ast.Load))
    uses.update(alias.name for node in file.nodes_of(ast.ImportFrom) for alias in node.names)
    return uses


def is_dead(file: PythonFile, node: ast.AST, uses: Counter[str]) -> bool:
    """Whether a node stands in a plain function that nothing in the submission names.

    Decorated functions and methods may be called by a library, so they count as used.
    """
    for up in file.ancestors(node):
        if not isinstance(up, FunctionNode):
            continue
        method = isinstance(file.parents.get(up), ast.ClassDef)
        if not up.decorator_list and not method and not uses[up.name]:
            return True
    return False
