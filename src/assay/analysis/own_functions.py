"""The functions of a submission, who calls them, and what they are called with."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cached_property

from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile

Own = tuple[PythonFile, FunctionNode]


class OwnFunctions:
    """Finds the function of the submission that a call starts."""

    def __init__(self, project: Project) -> None:
        self._files = [file for file in project.python.values() if file.tree is not None]
        self._functions: dict[str, Own | None] = {}
        for file in self._files:
            for node in file.functions:
                name = f"{file.module}.{file.symbol_of(node)}"
                # defined twice: which one is meant cannot be told
                self._functions[name] = None if name in self._functions else (file, node)

    def called(self, file: PythonFile, called: ast.AST) -> Own | None:
        """The function that an expression names, where it is one of the submission's."""
        name = file.qualified(called)
        if not name:
            return None
        scope = file.symbol_of(called)
        own = f"{scope.partition('.')[0]}{name.removeprefix('self')}" if name.startswith("self.") else name
        for full in (f"{file.module}.{scope}.{name}", f"{file.module}.{own}", name, f"src.{name}"):
            if full in self._functions:
                return self._functions[full]
        return None

    @cached_property
    def calls_of(self) -> dict[FunctionNode, list[tuple[PythonFile, ast.Call]]]:
        """The calls of each function."""
        found: dict[FunctionNode, list[tuple[PythonFile, ast.Call]]] = defaultdict(list)
        for file in self._files:
            for call, _ in file.calls:
                own = self.called(file, call.func)
                if own is not None:
                    found[own[1]].append((file, call))
        return found
