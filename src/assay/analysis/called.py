"""Calls of library functions with the values of their arguments, as far as these are known."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assay.analysis.name_origins import How, origins_of
from assay.analysis.python_source import FunctionNode, PythonFile

if TYPE_CHECKING:
    from assay.analysis.project import Project


class _Unknown:
    """The value of an argument that reading does not tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        raise TypeError("whether an unknown value is true cannot be told; compare with `is UNKNOWN`")


UNKNOWN = _Unknown()


@dataclass(frozen=True, slots=True)
class Called:
    """One call of a library function.

    Args:
        name: Dotted name of what is called, imports followed: `datasets.load_dataset`.
        file: Path of the file that it stands in.
        place: The call, or its line.
        positional: Values of the positional arguments: a constant, a list, tuple or dict of such, or `UNKNOWN`.
        keywords: Values of the keyword arguments.
        open: Whether there are arguments that cannot be seen (`*args`, `**kwargs`).
        certain: Whether the program certainly comes here. Where it was only read and not enacted, it is not.
        runs: Ids of the runs in which it was seen with these values; empty where it was only read.
    """

    name: str
    file: str
    place: ast.Call | int
    positional: tuple[object, ...] = ()
    keywords: Mapping[str, object] = field(default_factory=dict)
    open: bool = False
    certain: bool = False
    runs: tuple[str, ...] = ()

    def argument(self, position: int | None, name: str | None) -> object:
        """Value of an argument by place or name: `UNKNOWN` where it cannot be told, `MISSING` where it is not there."""
        if name is not None and name in self.keywords:
            return self.keywords[name]
        if position is not None and position < len(self.positional):
            return self.positional[position]
        return UNKNOWN if self.open else MISSING


class _Missing:
    """There is no such argument."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


def calls_in(project: Project, *names: str) -> Iterator[Called]:
    """The calls of some functions in all files that could be parsed, in the order of the text.

    Args:
        project: The submission.
        names: Dotted names; `*` at the end stands for any ending (`transformers.*`).
    """
    for path, file in project.python.items():
        for node, name in file.calls:
            if name and _is_one(name, names):
                yield read_call(file, path, node, name)


def read_call(file: PythonFile, path: str, node: ast.Call, name: str) -> Called:
    """A call as its text shows it."""
    positional: list[object] = []
    is_open = False
    for item in node.args:
        if isinstance(item, ast.Starred):
            is_open = True
            break
        positional.append(constant_value(file, item))
    keywords = {item.arg: constant_value(file, item.value) for item in node.keywords if item.arg is not None}
    is_open = is_open or any(item.arg is None for item in node.keywords)
    return Called(name, path, node, tuple(positional), keywords, is_open)


def constant_value(file: PythonFile, node: ast.AST | None) -> object:
    """The value of an expression made of constants, and of names that are bound once, to a constant."""
    if isinstance(node, ast.Name):
        origins = origins_of(file).of(node)
        once = len(origins) == 1 and origins[0].how is How.VALUE and not _is_of_class(file, origins[0].node)
        node = origins[0].expression if once else None
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return -value if isinstance(value, int | float) else UNKNOWN
    if isinstance(node, ast.List | ast.Tuple) and all(isinstance(item, ast.Constant) for item in node.elts):
        values = [item.value for item in node.elts if isinstance(item, ast.Constant)]
        return values if isinstance(node, ast.List) else tuple(values)
    return UNKNOWN


def _is_of_class(file: PythonFile, node: ast.AST) -> bool:
    """Whether a name is bound in the body of a class, where its functions do not see it."""
    scope = next((up for up in file.ancestors(node) if isinstance(up, FunctionNode | ast.Lambda | ast.ClassDef)), None)
    return isinstance(scope, ast.ClassDef)


def _is_one(name: str, names: tuple[str, ...]) -> bool:
    return any(name.startswith(one[:-1]) if one.endswith("*") else name == one for one in names)
