"""API006: the result of an own function is unpacked into a wrong number of names."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.import_time import catches
from assay.analysis.library_references import LibraryReferences
from assay.analysis.name_origins import is_generator, returns_of
from assay.analysis.own_callables import OwnCallables
from assay.analysis.project import Project
from assay.finding import Consequence, Frame
from assay.rules.rule import Example, Outcome, Rule

_ERRORS = frozenset({"ValueError", "TypeError", "Exception", "BaseException"})


class UnpackedIntoWrongNumber(Rule):
    """A function of the submission returns a tuple of one length, and the caller takes it apart into another.

    `a, b = load()` raises ValueError where every `return` of `load` gives three values. Functions that are decorated or
    yield, and returns whose length is not written down, are left out.
    """

    code = "API006"
    name = "unpacked-into-wrong-number"
    requirements = ("E1.2", "D4.1", "B4.8")
    consequence = Consequence.CRASHES
    message = "`{name}` returns {given} values and {wanted} are taken"
    explanation = "This raises ValueError as soon as the line runs."
    repair = "Take {given} values, or let `{name}` in {where} return {wanted}."

    VALID = (
        Example({"src/main.py": "def load():\n    return 1, 2\n\n\na, b = load()\nfirst, *rest = load()\n"}),
        Example(
            {
                "src/main.py": "def load(full):\n    if full:\n        return 1, 2, 3\n    return 1, 2\n\n\na, b = load(False)\n"
            }
        ),
        Example({"src/main.py": "def load():\n    yield 1\n    yield 2\n    return 1, 2, 3\n\n\na, b = load()\n"}),
        Example({"src/main.py": "def load():\n    pair = (1, 2)\n    return (*pair, 3)\n\n\na, b, c = load()\n"}),
    )
    INVALID = (
        Example(
            {
                "src/main.py": "from src.preprocess import load\n\na, b = load()\n",
                "src/preprocess.py": "def load():\n    return 1, 2, 3\n",
            },
            at=("src/main.py:3",),
            repaired={"src/main.py": "from src.preprocess import load\n\na, b, c = load()\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        own = project.shared(OwnCallables)
        references = project.shared(LibraryReferences)
        for file in project.python.values():
            for node in file.nodes_of(ast.Assign):
                if not isinstance(node.value, ast.Call) or len(node.targets) != 1:
                    continue
                target = node.targets[0]
                if not isinstance(target, ast.Tuple | ast.List) or any(isinstance(i, ast.Starred) for i in target.elts):
                    continue
                callee = own.callee(file, node.value)
                if callee is None or callee.node is None or callee.node.name == "__init__":
                    continue
                function, wanted = callee.node, len(target.elts)
                if isinstance(function, ast.AsyncFunctionDef) or is_generator(function) or catches(file, node, _ERRORS):
                    continue
                values = [item.value for item in returns_of(function)]
                lengths = {_length(value) for value in values}
                if not values or None in lengths or wanted in lengths:
                    continue
                severity, consequence = references.weight(file, node)
                yield self.finding(
                    file.path,
                    node,
                    severity=severity,
                    consequence=consequence,
                    symbol=callee.name,
                    name=callee.name,
                    given=" or ".join(str(length) for length in sorted(length for length in lengths if length)),
                    wanted=wanted,
                    where=callee.file.path,
                    frames=(Frame(callee.file.path, function.lineno),),
                )


def _length(value: ast.expr | None) -> int | None:
    """The number of values that a return gives, where it is written down."""
    if isinstance(value, ast.Tuple) and not any(isinstance(item, ast.Starred) for item in value.elts):
        return len(value.elts)
    return None
