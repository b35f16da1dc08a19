"""Functions, methods and classes of a submission, and how much two of them have in common."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from assay.analysis.python_source import FunctionNode, PythonFile, descend

_STAND_IN = re.compile(r"placeholder|dummy|synthetic|fake|toy|mock|stub|template|example", re.IGNORECASE)
_STAND_IN_TEXT = re.compile(r"placeholder|NotImplementedError|will be replaced|to be replaced", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_COMMON_WORDS = frozenset(
    {
        "get",
        "set",
        "make",
        "build",
        "create",
        "load",
        "save",
        "init",
        "run",
        "the",
        "from",
        "with",
        "main",
        "base",
        "model",
    }
)


@dataclass(frozen=True)
class Definition:
    """A function, method or class.

    Args:
        file: The file it stands in.
        node: Its syntax node.
        owner: Name of the class it is a method of; empty otherwise.
    """

    file: PythonFile
    node: FunctionNode | ast.ClassDef
    owner: str = ""

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def symbol(self) -> str:
        return f"{self.owner}.{self.name}" if self.owner else self.name

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """Its statements at every depth, without texts that stand alone."""
        return [
            node
            for node in descend(self.node)
            if isinstance(node, ast.stmt)
            and node is not self.node
            and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        ]

    @cached_property
    def shapes(self) -> Counter[str]:
        """What its statements do, with the names of variables left out."""
        return Counter(shape(statement) for statement in self.statements)

    @cached_property
    def is_stand_in(self) -> bool:
        """Whether it was made to be replaced: by its name, or by what its text says."""
        if _STAND_IN.search(self.symbol):
            return True
        lines = self.file.lines[self.node.lineno - 1 : self.node.end_lineno]
        return any(_STAND_IN_TEXT.search(line) for line in lines)

    @cached_property
    def stems(self) -> set[str]:
        """The beginnings of the words of its name that say something."""
        words = {word.lower() for word in _WORD.findall(self.name)} - _COMMON_WORDS
        return {word[:4] for word in words if len(word) > 2}


def definitions(files: Iterable[PythonFile]) -> list[Definition]:
    """The functions and classes of modules, and the methods of those classes; not what is nested in functions."""
    found = []
    for file in files:
        for node in file.tree.body if file.tree else []:
            for inner in _with_branches(node):
                if isinstance(inner, FunctionNode | ast.ClassDef):
                    found.append(Definition(file, inner))
                if isinstance(inner, ast.ClassDef):
                    found.extend(
                        Definition(file, item, inner.name) for item in inner.body if isinstance(item, FunctionNode)
                    )
    return found


def shape(statement: ast.stmt) -> str:
    """A statement without its nested statements: kinds of nodes, names of attributes and keywords."""
    parts: list[str] = []
    pending: list[ast.AST] = [statement]
    while pending and len(parts) < 200:
        node = pending.pop()
        parts.append(type(node).__name__)
        if isinstance(node, ast.Attribute):
            parts.append(node.attr)
        elif isinstance(node, ast.keyword) and node.arg:
            parts.append(node.arg)
        pending.extend(
            child
            for child in ast.iter_child_nodes(node)
            if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case | ast.expr_context)
        )
    return " ".join(parts)


def share(part: Counter[str], whole: Counter[str]) -> float:
    """How much of `part` occurs in `whole`, from 0 to 1; 1 where `part` is empty."""
    total = sum(part.values())
    return sum((part & whole).values()) / total if total else 1.0


def total_shapes(items: Iterable[Definition]) -> Counter[str]:
    """The shapes of all definitions together; those of methods are counted with their class."""
    total: Counter[str] = Counter()
    for item in items:
        if not item.owner:
            total.update(item.shapes)
    return total


def found_elsewhere(
    part: Counter[str], item: Definition, now: Definition | None, before: Counter[str], after: Counter[str]
) -> float:
    """How much of `part`, which `item` of the base did, other derived definitions do beyond what the base did there.

    Args:
        part: The shapes that are looked for.
        item: The base's definition.
        now: What became of it, if anything.
        before: The shapes of the whole base.
        after: The shapes of the whole derived code.
    """
    spare = Counter(
        {key: after[key] - (now.shapes[key] if now else 0) - max(before[key] - item.shapes[key], 0) for key in part}
    )
    return share(part, +spare)


def _with_branches(node: ast.stmt) -> list[ast.stmt]:
    """A statement of a module, and those that stand under its `if` or `try`."""
    if isinstance(node, ast.If):
        return [*node.body, *node.orelse]
    if isinstance(node, ast.Try):
        return [
            *node.body,
            *node.orelse,
            *node.finalbody,
            *(item for handler in node.handlers for item in handler.body),
        ]
    return [node]
