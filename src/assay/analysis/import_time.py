"""When a piece of code runs: for certain when its file is imported, perhaps, or only once a function is called."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from enum import Enum

from assay.analysis.python_source import FunctionNode, PythonFile, descend

_SELDOM = ast.If | ast.IfExp | ast.BoolOp | ast.Match | ast.ExceptHandler | ast.comprehension
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
# Managers that swallow exceptions: of contextlib, and of libraries for tests.
_SUPPRESSING = frozenset({"suppress", "raises", "assertRaises", "assertRaisesRegex", "subTest", "ExitStack"})
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
    """Whether a node runs whenever its function (None: the module) does, and nothing catches what it raises.

    Loops and `with` blocks count as entered, `if __name__ == "__main__"` only in a program. The element of a
    comprehension does only where there is something to go through, and that of a generator expression does not.
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
        if isinstance(up, _SELDOM) and not guard and not _runs_first(up, child):
            return False
        if isinstance(up, ast.Lambda) and child is up.body:
            return False
        if isinstance(up, _COMPREHENSIONS) and not _is_element_made(up, child):
            return False
        if isinstance(up, ast.With | ast.AsyncWith) and stands_in(up.body, child) and _suppresses(file, up):
            return False
        child = up
    return True


def _is_element_made(made: ast.AST, child: ast.AST) -> bool:
    """Whether this part of a comprehension is evaluated at least once."""
    generators = getattr(made, "generators", [])
    if child is generators[0]:
        return True
    return not isinstance(made, ast.GeneratorExp) and all(
        not one.ifs and not one.is_async and _has_elements(one.iter) for one in generators
    )


def _has_elements(source: ast.expr) -> bool:
    """Whether an expression certainly gives something to go through."""
    if isinstance(source, ast.List | ast.Tuple | ast.Set):
        return any(not isinstance(one, ast.Starred) for one in source.elts)
    if isinstance(source, ast.Dict):
        return any(key is not None for key in source.keys)
    if isinstance(source, ast.Constant):
        return isinstance(source.value, str | bytes) and bool(source.value)
    if isinstance(source, ast.Call) and isinstance(source.func, ast.Name) and source.func.id == "range":
        stop = source.args[0] if len(source.args) == 1 else None
        return isinstance(stop, ast.Constant) and isinstance(stop.value, int) and stop.value > 0
    return False


def _suppresses(file: PythonFile, block: ast.With | ast.AsyncWith) -> bool:
    """Whether a `with` block swallows exceptions of some kind."""
    return any(True for _ in _suppressed(file, block)) or any(
        _is_own_suppressing(file, item.context_expr) for item in block.items
    )


def _is_own_suppressing(file: PythonFile, manager: ast.expr) -> bool:
    """Whether a manager is a function or class of the same file that catches exceptions, or may."""
    name = manager.func.id if isinstance(manager, ast.Call) and isinstance(manager.func, ast.Name) else ""
    for node in file.nodes_of(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef) if name else ():
        if getattr(node, "name", "") != name:
            continue
        inner = list(descend(node))
        if isinstance(node, ast.ClassDef):
            exits = [one for one in inner if isinstance(one, FunctionNode) and one.name in ("__exit__", "__aexit__")]
            returned = [one.value for end in exits for one in descend(end) if isinstance(one, ast.Return)]
            if not exits or any(
                one is not None and not (isinstance(one, ast.Constant) and not one.value) for one in returned
            ):
                return True
        elif any(isinstance(one, ast.Try) and one.handlers for one in inner):
            return True
    return False


def _suppressed(file: PythonFile, block: ast.With | ast.AsyncWith) -> Iterator[ast.Call]:
    """The managers of a `with` block that swallow exceptions."""
    for item in block.items:
        manager = item.context_expr
        if isinstance(manager, ast.Call) and file.qualified(manager.func).rpartition(".")[2] in _SUPPRESSING:
            yield manager


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
    """Whether a `try` or `suppress` around a node, in the same function, catches one of these errors."""
    child = node
    for up in file.ancestors(node):
        if isinstance(up, FunctionNode | ast.Lambda):
            return False
        if isinstance(up, ast.With | ast.AsyncWith) and stands_in(up.body, child):
            for manager in _suppressed(file, up):
                if any(file.qualified(kind).rpartition(".")[2] in errors for kind in manager.args):
                    return True
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
    if isinstance(branch, ast.comprehension):
        return child is branch.iter
    return child in (getattr(branch, "test", None), getattr(branch, "subject", None))
