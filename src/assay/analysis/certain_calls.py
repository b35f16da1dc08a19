"""What certainly runs once the submission's programs start: which files are loaded, which functions are called.

The programs are `main`, `evaluate` and the contract's files that they name in a command. A file is loaded where an
import that runs names it. A function counts where code that runs calls it. In both cases the statement has to stand
outside every branch and before anything that may leave its function early; loops and `with` blocks count as entered.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath

from assay.analysis.import_time import is_unconditional
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, Import, PythonFile, children, last_part_of_path, string_value

# A module that is loaded (with None), or a function that is called.
_Scope = tuple[PythonFile, FunctionNode | None]


class CertainCalls:
    """The files and functions of a submission that certainly run."""

    def __init__(self, project: Project) -> None:
        self._modules = {file.module: file for file in project.python.values()}
        contracted = [file for path, file in project.python.items() if path in project.contract.required]
        self._startable = {name: own for own in contracted for name in (own.module, PurePosixPath(own.path).name)}
        self._functions: dict[str, _Scope] = {}
        self._contents: dict[_Scope, list[tuple[Import | ast.Call, ast.AST]]] = {}
        for file in self._modules.values():
            for node in file.functions:
                self._functions.setdefault(f"{file.module}.{file.symbol_of(node)}", (file, node))
            items: list[Import | ast.Call] = [item for item in file.imports if not item.guarded]
            for item in items + [call for call, _ in file.calls]:
                place = item.node if isinstance(item, Import) else item
                self._contents.setdefault((file, file.function_of(place)), []).append((item, place))
        self._leaves_at = cache(_leaves_at)
        self._programs: set[PythonFile] = set()
        self._certain: set[_Scope] = set()
        self._follow([start for role in ("main", "evaluate") if (start := project.role(role))])
        loaded = {own for own, function in self._certain if function is None}
        if any(own.tree is None for own in loaded):
            # what an unreadable file imports is not known: the contract's own files count as imported
            loaded.update(contracted)
        self.files = frozenset(own.path for own in loaded)

    def runs(self, file: PythonFile, node: ast.AST) -> bool:
        """Whether a node is certainly reached, and no `try` around it catches what it raises."""
        function = file.function_of(node)
        known = file.path in self.files and (file, function) in self._certain
        return known and self._is_passed(file, node, function)

    def _is_passed(self, file: PythonFile, node: ast.AST, function: FunctionNode | None) -> bool:
        """Whether a node is executed for certain once its function or module is."""
        if function is None:
            return is_unconditional(file, node, None, program=file in self._programs)
        leaves_at = self._leaves_at(function)
        # a return of the value that the node is part of comes after it
        before = leaves_at is None or leaves_at >= getattr(node, "lineno", 0)
        return before and is_unconditional(file, node, function)

    def _follow(self, programs: list[PythonFile]) -> None:
        """Note what runs from the first line of some programs on."""
        pending: list[_Scope] = []
        while pending or programs:
            if not pending:
                program = programs.pop()
                if program in self._programs:
                    continue
                self._programs.add(program)
                self._certain.discard((program, None))
                pending.append((program, None))
            scope = pending.pop()
            if scope in self._certain:
                continue
            self._certain.add(scope)
            file, function = scope
            for item, node in self._contents.get(scope, ()):
                if self._is_passed(file, node, function):
                    pending.extend(self._loaded_by(item) if isinstance(item, Import) else self._called(file, item))
            if function is None:
                programs.extend(self._started_by(file))

    def _loaded_by(self, item: Import) -> Iterator[_Scope]:
        for module in (item.module, item.target):
            if module in self._modules:
                yield self._modules[module], None

    def _called(self, file: PythonFile, call: ast.Call) -> Iterator[_Scope]:
        """The submission's function that a call starts, or the `__init__` of its class."""
        name, scope = file.qualified(call.func), file.symbol_of(call)
        own = scope.partition(".")[0] + name.removeprefix("self") if name.startswith("self.") else name
        for full in (f"{file.module}.{scope}.{name}", f"{file.module}.{own}", name):
            started = [self._functions[item] for item in (full, f"{full}.__init__") if item in self._functions]
            if name and started:
                yield from started
                break

    def _started_by(self, file: PythonFile) -> Iterator[PythonFile]:
        """The contract's files that stand as module or script in a command: a text that is nothing else."""
        for node in file.nodes_of(ast.Constant):
            text = string_value(node) or ""
            started = self._startable.get(text) or self._startable.get(last_part_of_path(text[-200:]))
            if started is not None and not any(map(str.isspace, text)):
                yield started


def certain_calls(project: Project) -> CertainCalls:
    """The same for whoever asks about a submission."""
    return project.shared(CertainCalls)


def _leaves_at(function: FunctionNode) -> int | None:
    """The first line on which a function may return; 0 where it is a generator, which runs only as it is asked."""
    lines = []
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return 0
        if isinstance(node, ast.Return):
            lines.append(node.lineno)
        if not isinstance(node, FunctionNode | ast.Lambda):
            pending += children(node)
    return min(lines, default=None)
