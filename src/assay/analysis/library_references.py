"""Where a submission names something of a library: its imports, and the dotted names that begin with them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from assay.analysis.certain_calls import CertainCalls
from assay.analysis.import_time import catches, is_fallback
from assay.analysis.name_origins import Origins
from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.own_modules import OwnModules, attributes_set
from assay.analysis.project import Project
from assay.analysis.python_source import Import, PythonFile, string_value
from assay.finding import Consequence, Severity

# What a `try` catches where it expects a name to be missing, or a call to be refused.
_EXPECTED = frozenset(
    {"AttributeError", "ImportError", "ModuleNotFoundError", "TypeError", "Exception", "BaseException"}
)
_PROBES = frozenset(
    {"hasattr", "getattr", "find_spec", "signature", "version", "__version__", "parse", "Version", "dir"}
)


class Reference(NamedTuple):
    """One place that names something of a library.

    Args:
        file: The file.
        node: The import statement, or the dotted name.
        path: The full dotted name: `sklearn.metrics.f1_score`.
        imported: Whether it is an import.
    """

    file: PythonFile
    node: ast.expr | ast.stmt
    path: str
    imported: bool


class LibraryReferences:
    """The references of a submission, and how much a wrong one weighs."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._own = project.shared(OwnModules)
        self._names: dict[str, dict[str, str]] = {}

    def all(self) -> Iterator[Reference]:
        """The imports and dotted names of all files, those left out that expect to fail."""
        for file in self._project.python.values():
            for item in file.imports:
                if item.guarded or item.name == "*" or _is_relative(item) or self._own.is_own(item.module):
                    continue
                if not is_fallback(file, item.node):
                    yield Reference(file, item.node, item.target, True)
            names = self.imported_names(file)
            for node in file.nodes_of(ast.Attribute):
                if not isinstance(file.parents.get(node), ast.Attribute):
                    path = self.path_of(file, node, names)
                    if path and isinstance(node.ctx, ast.Load):
                        yield Reference(file, node, path, False)

    def origins(self, file: PythonFile) -> Origins:
        """The origins of the names of a file."""
        return file.shared(Origins)

    def path_of(self, file: PythonFile, node: ast.expr, names: dict[str, str] | None = None) -> str:
        """The full dotted name of an expression that begins with an imported name; empty for others."""
        known = self.imported_names(file) if names is None else names
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        start = known.get(node.id) if isinstance(node, ast.Name) else None
        return ".".join([start, *reversed(parts)]) if start else ""

    def imported_names(self, file: PythonFile) -> dict[str, str]:
        """The names that a file only ever gets from one import of a library, with what they stand for."""
        if file.path not in self._names:
            found: dict[str, set[str]] = {}
            for item in file.imports:
                plain = item.name is None and isinstance(item.node, ast.Import) and "." in item.module
                short = plain and item.bound == item.module.partition(".")[0]
                own = _is_relative(item) or self._own.is_own(item.module)
                target = "" if own or item.guarded or item.name == "*" else item.bound if short else item.target
                found.setdefault(item.bound, set()).add(target)
            rebound = bound_otherwise(file)
            self._names[file.path] = {
                name: next(iter(targets))
                for name, targets in found.items()
                if len(targets) == 1 and name not in rebound and "" not in targets
            }
        return self._names[file.path]

    def is_expected(self, file: PythonFile, node: ast.AST, name: str) -> bool:
        """Whether the code is prepared for a name to be missing: by `try`, by asking first, or by setting it."""
        if catches(file, node, _EXPECTED) or is_fallback(file, node):
            return True
        if name in self._set_elsewhere or name in self._asked_for:
            return True
        for up in file.ancestors(node):
            if isinstance(up, ast.If | ast.IfExp | ast.While | ast.BoolOp) and _asks(up):
                return True
        return False

    def weight(
        self, file: PythonFile, node: ast.AST, *, sure: bool = True, always: bool = True
    ) -> tuple[Severity, Consequence | None]:
        """How much something weighs that fails once it is reached.

        Args:
            file: The file.
            node: What fails.
            sure: Whether it fails with the releases that a resolution chooses.
            always: Whether it fails with every release that the project file admits.
        """
        if sure and always and self._certain.runs(file, node):
            return Severity.BLOCKING, Consequence.CRASHES
        if sure and not is_dead(file, node, self._uses):
            return Severity.BLOCKING, Consequence.BREAKS_CONTRACT
        return Severity.WARNING, None

    @cached_property
    def _certain(self) -> CertainCalls:
        return self._project.shared(CertainCalls)

    @cached_property
    def _uses(self) -> Counter[str]:
        return used_names(self._project.python.values())

    @cached_property
    def _set_elsewhere(self) -> frozenset[str]:
        return self._project.shared(attributes_set)

    @cached_property
    def _asked_for(self) -> frozenset[str]:
        """Names that some file asks for as text: `hasattr(np, "float")`."""
        found: set[str] = set()
        for file in self._project.python.values():
            for call, name in file.calls:
                if name in ("hasattr", "getattr", "setattr") and len(call.args) > 1:
                    found.add(string_value(call.args[1]) or "")
        return frozenset(found)


def _is_relative(item: Import) -> bool:
    return isinstance(item.node, ast.ImportFrom) and item.node.level > 0


def bound_otherwise(file: PythonFile) -> frozenset[str]:
    """The names that a file binds in another way than by an import."""
    return file.shared(_bound_otherwise)


def _bound_otherwise(file: PythonFile) -> frozenset[str]:
    found = {node.id for node in file.nodes_of(ast.Name) if not isinstance(node.ctx, ast.Load)}
    found.update(node.arg for node in file.nodes_of(ast.arg))
    found.update(node.name for node in (*file.functions, *file.classes))
    found.update(node.name or "" for node in file.nodes_of(ast.ExceptHandler, ast.MatchAs, ast.MatchStar))
    found.update(node.rest or "" for node in file.nodes_of(ast.MatchMapping))
    found.update(name for node in file.nodes_of(ast.Global) for name in node.names)
    return frozenset(found)


def _asks(branch: ast.If | ast.IfExp | ast.While | ast.BoolOp) -> bool:
    """Whether a branch looks at a version or asks whether something is there."""
    pending: list[ast.AST] = list(branch.values) if isinstance(branch, ast.BoolOp) else [branch.test]
    while pending:
        node = pending.pop()
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if name in _PROBES or "version" in name.lower() or name.startswith(("has_", "HAS_")):
            return True
        # `torch.cuda.is_available()` asks for a device, `is_peft_available()` for a library
        if "available" in name.lower() and name != "is_available":
            return True
        pending.extend(ast.iter_child_nodes(node))
    return False
