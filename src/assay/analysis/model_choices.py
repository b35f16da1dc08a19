"""Which own module a name may hold, where a function chooses among several by a text of the configuration."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, string_value
from assay.analysis.tensor_values import OwnClass, Scope, TrainingCode
from assay.yaml_tree import Mapping, Node, Scalar, Sequence


def possible_models(
    project: Project, code: TrainingCode, scope: Scope, node: ast.expr
) -> Iterator[tuple[OwnClass, bool]]:
    """The own classes of which an expression may hold an instance, and whether some run certainly chooses each.

    A class that an own function returns under `if name == "text"` is chosen where the configuration holds that text.
    """
    owners = code.classes_of(scope, node)
    if owners is not None:
        for owner in owners:
            yield owner, len(owners) == 1
        return
    call = _made_by(code, scope, node)
    factory = code.called_scope(scope, call) if call is not None else None
    if factory is None or factory.function is None:
        return
    for statement in factory.returns:
        for owner in code.classes_of(factory, statement.value) or []:
            yield owner, _is_chosen(project, factory, statement)


def _made_by(code: TrainingCode, scope: Scope, node: ast.expr) -> ast.Call | None:
    """The one call whose value a name holds, `.to(...)` and its like left aside."""
    if not isinstance(node, ast.Name):
        return None
    values = [item.value for item in scope.bindings.get(node.id, ()) if item.item is None]
    values = [value for value in values if not TrainingCode.replaces_itself(value, node.id)]
    if len(values) != 1 or len(values) != len([*scope.bindings[node.id]]):
        return None
    value = values[0]
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in ("to", "cuda"):
        value = value.func.value
    return value if isinstance(value, ast.Call) else None


def _is_chosen(project: Project, factory: Scope, statement: ast.Return) -> bool:
    """Whether the only condition on the way to a return is a comparison with a text that the configuration holds."""
    for up in factory.file.ancestors(statement):
        if up is factory.function:
            return True
        if isinstance(up, ast.If) and statement in up.body and isinstance(up.test, ast.Compare):
            test = up.test
            text = string_value(test.comparators[0]) if len(test.comparators) == 1 else None
            if isinstance(test.ops[0], ast.Eq) and text and text.lower() in configured_texts(project):
                continue
        if isinstance(up, ast.With):
            continue
        if isinstance(up, FunctionNode):
            return False
        return False
    return False


def configured_texts(project: Project) -> frozenset[str]:
    """Every text that stands as a value in the submission's YAML, in lower case."""
    found: set[str] = set()
    pending: list[Node] = [document for file in project.yaml.values() for document in file.documents]
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Scalar):
            found.add(node.text.lower())
        elif isinstance(node, Sequence):
            pending += node.items
        elif isinstance(node, Mapping):
            pending += [value for _, value in node.pairs]
    return frozenset(found)
