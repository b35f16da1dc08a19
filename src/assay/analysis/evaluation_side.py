"""The files that evaluate is made of, and what they name."""

from __future__ import annotations

import ast

from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, string_value

_DRAWING = ("matplotlib", "seaborn", "plotly")


def evaluation_side(project: Project) -> EvaluationSide:
    """The files of evaluate and what they name, worked out once."""
    return project.shared(EvaluationSide)


class EvaluationSide:
    """Evaluate and the files of the submission that it imports.

    Attributes:
        evaluate: The program itself; None where it is missing or empty.
        files: It and the files it reaches.
        unknown: Why what it does is not all seen; empty where it is.
        texts: Every text in these files.
        names: Every attribute, plain name and keyword in them.
        called: The dotted names of everything they call.
        roots: The first parts of the modules they import.
    """

    def __init__(self, project: Project) -> None:
        self.unknown = ""
        self.evaluate = project.role("evaluate")
        self.files: list[PythonFile] = []
        self.texts: set[str] = set()
        self.names: set[str] = set()
        self.called: set[str] = set()
        self.roots: set[str] = set()
        if self.evaluate is None or not self.evaluate.nodes[1:]:
            self.evaluate = None
            self.unknown = "evaluate is missing or cannot be read"
            return
        self.files = [self.evaluate, *reached_files(project, self.evaluate)]
        for file in self.files:
            if file.tree is None:
                self.unknown = f"{file.path} cannot be read"
            self._read(file)
        if {"assay", "importlib", "runpy", "subprocess"} & self.roots or {"exec", "eval", "__import__"} & self.called:
            self.unknown = self.unknown or "part of its work is done elsewhere"

    def _read(self, file: PythonFile) -> None:
        for item in file.imports:
            self.roots.add(item.module.partition(".")[0])
            if item.name == "*":
                self.unknown = self.unknown or "it imports names that reading does not see"
        for node in file.nodes_of(ast.Constant, ast.Attribute, ast.Name, ast.keyword, ast.arg):
            text = string_value(node)
            if text is not None:
                self.texts.add(text)
            elif isinstance(node, ast.Attribute):
                self.names.add(node.attr)
            elif isinstance(node, ast.Name):
                self.names.add(node.id)
            elif isinstance(node, ast.keyword | ast.arg):
                self.names.add(node.arg or "")
        self.called.update(name for _, name in file.calls if name)

    @property
    def draws(self) -> bool:
        """Whether a drawing library is imported."""
        return bool(self.roots & set(_DRAWING))

    def call_named(self, *names: str) -> tuple[PythonFile, ast.Call] | None:
        """The first call of a function or method of one of these last names."""
        for file in self.files:
            for call, name in file.calls:
                method = call.func.attr if isinstance(call.func, ast.Attribute) else name.rpartition(".")[2]
                if method in names:
                    return file, call
        return None
