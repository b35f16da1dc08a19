"""When a piece of code runs: for certain when its file is imported, perhaps, or only once a function is called."""

from __future__ import annotations

import ast
from enum import Enum

from assay.analysis.python_source import FunctionNode, PythonFile

_SELDOM = ast.If | ast.IfExp | ast.BoolOp | ast.Match | ast.ExceptHandler | ast.comprehension
_SOMETIMES = _SELDOM | ast.For | ast.AsyncFor | ast.While | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class When(Enum):
    """When a node of a file is executed."""

    ON_IMPORT = "on import"
    PERHAPS = "perhaps"
    IN_FUNCTION = "in a function"


def when(file: PythonFile, node: ast.AST) -> When:
    """When a node is executed.

    What a definition evaluates at once (decorators, defaults, annotations, bases, class bodies) counts as run on
    import. Code below `if __name__ == "__main__"` counts as a function: only whoever runs the file calls it.
    """
    answer = When.ON_IMPORT
    child = node
    for up in file.ancestors(node):
        if isinstance(up, FunctionNode | ast.Lambda):
            if isinstance(child, ast.stmt) or child is up.body:
                return When.IN_FUNCTION
        elif isinstance(up, ast.If) and is_main_guard(up.test) and stands_in(up.body, child):
            return When.IN_FUNCTION
        elif isinstance(up, _SOMETIMES) and not _runs_first(up, child):
            answer = When.PERHAPS
        child = up
    return answer


def is_unconditional(file: PythonFile, node: ast.AST, function: FunctionNode | None, *, program: bool = False) -> bool:
    """Whether a node runs whenever its function (None: the module) does, and no `try` catches what it raises.

    Loops and `with` blocks count as entered, `if __name__ == "__main__"` only in a program.
    """
    child = node
    for up in file.ancestors(node):
        if up is function:
            break
        if isinstance(up, ast.Try) and (
            stands_in(up.body if up.handlers else [], child) or stands_in(up.orelse, child)
        ):
            return False
        guard = program and isinstance(up, ast.If) and is_main_guard(up.test) and stands_in(up.body, child)
        if isinstance(up, _SELDOM | ast.Lambda) and not guard and not _runs_first(up, child):
            return False
        child = up
    return True


def stands_in(block: list[ast.stmt], child: ast.AST) -> bool:
    """Whether a child of a compound statement belongs to this block of it. No two blocks share a line."""
    return isinstance(child, ast.stmt) and bool(block) and block[0].lineno <= child.lineno <= block[-1].lineno


def is_main_guard(test: ast.expr) -> bool:
    """Whether a test is `__name__ == "__main__"`."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = [test.left, *test.comparators]
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )


def is_fallback(file: PythonFile, node: ast.AST) -> bool:
    """Whether a node runs only after something else failed: it stands in an `except` block."""
    return any(isinstance(up, ast.ExceptHandler) for up in file.ancestors(node))


def catches(file: PythonFile, node: ast.AST, errors: frozenset[str]) -> bool:
    """Whether a `try` around a node, in the same function, has a handler for one of these errors."""
    child = node
    for up in file.ancestors(node):
        if isinstance(up, FunctionNode | ast.Lambda):
            return False
        if isinstance(up, ast.Try) and stands_in(up.body, child):
            for handler in up.handlers:
                kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
                if any(kind is None or file.qualified(kind).rpartition(".")[2] in errors for kind in kinds):
                    return True
        child = up
    return False


def _runs_first(branch: ast.AST, child: ast.AST) -> bool:
    """Whether this part of a branching node is evaluated whatever it decides."""
    if isinstance(branch, ast.BoolOp):
        return child is branch.values[0]
    if isinstance(branch, ast.For | ast.AsyncFor):
        return child is branch.iter
    return child in (getattr(branch, "test", None), getattr(branch, "subject", None))
