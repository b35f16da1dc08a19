"""HPO010: an objective returns a result under a key that the training never gives it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_origins import How, is_generator, returns_of
from assay.analysis.parameter_search import ParameterSearch, parameter_search
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value
from assay.finding import Frame
from assay.rules.rule import Example, Outcome, Rule

_MAX_RETURNS = 20


def _train(returned: str, key: str = "val_acc") -> dict[str, str]:
    return {
        "src/train.py": f"import optuna\n\n\ndef fit(lr):\n    {returned}\n\n\ndef objective(trial):\n"
        f"    result = fit(trial.suggest_float('lr', 0, 1))\n    return result['{key}']\n\n\n"
        "study = optuna.create_study()\nstudy.optimize(objective, n_trials=3)\n"
    }


class ObjectiveKeyMissing(Rule):
    """The objective takes its value out of what the training function returns.

    Where that function returns dictionaries whose keys are all written out, and none of them has the key, the first
    trial raises KeyError and the search ends.
    """

    code = "HPO010"
    name = "objective-key-missing"
    requirements = ("E7.3",)
    message = "the objective returns `{key}`, which {function} does not give"
    explanation = "The first trial raises KeyError: {function} returns {known}."
    repair = "Return one of the keys that {function} gives, or let it give `{key}`."

    VALID = (
        Example(_train("return {'val_acc': 0.5, 'loss': 1.0}")),
        Example(_train("return {'loss': 1.0, **measure()}")),
        Example(_train("result = {}\n    result['val_acc'] = 0.5\n    return result")),
        Example(_train("result = {'loss': 1}\n    result.update(measure())\n    return result")),
        Example(_train("result = {'loss': 1}\n    for name in NAMES:\n        result[name] = 1\n    return result")),
        Example(_train("return measure()")),
        Example(_train("if lr:\n        return {'val_acc': 1}\n    return {'loss': 1}")),
    )
    INVALID = (
        Example(
            _train("return {'val_accuracy': 0.5, 'loss': 1.0}"),
            at=("src/train.py:10",),
            repaired=_train("return {'val_acc': 0.5, 'loss': 1.0}"),
        ),
        Example(
            _train("result = {'loss': 1.0}\n    result['val_accuracy'] = 0.5\n    return result"),
            at=("src/train.py:12",),
            repaired=_train("return {'val_acc': 0.5}"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        search = parameter_search(project)
        told: set[ast.AST] = set()
        for objective in search.objectives:
            function, file = objective.function, objective.file
            if function in told or not isinstance(function, FunctionNode):
                continue
            told.add(function)
            for item in returns_of(function)[:_MAX_RETURNS]:
                value = item.value
                if isinstance(value, ast.Call) and file.qualified(value.func) == "float" and len(value.args) == 1:
                    value = value.args[0]
                key = string_value(value.slice) if isinstance(value, ast.Subscript) else None
                if key is None or not isinstance(value, ast.Subscript) or _is_tried(file, item):
                    continue
                own = _made_by(search, file, function, value.value)
                known = _keys_returned(search, *own) if own is not None else None
                if own is not None and known is not None and key not in known:
                    listed = ", ".join(f"`{name}`" for name in sorted(known)[:8])
                    yield self.finding(
                        file.path,
                        item,
                        symbol=function.name,
                        key=key,
                        function=own[1].name,
                        known=listed or "an empty dictionary",
                        frames=(Frame(own[0].path, own[1].lineno), Frame(objective.caller.path, objective.call.lineno)),
                    )


def _made_by(
    search: ParameterSearch, file: PythonFile, function: FunctionNode, node: ast.expr
) -> tuple[PythonFile, FunctionNode] | None:
    """The function of the submission whose result an expression certainly is, unchanged."""
    if isinstance(node, ast.Name):
        origins = search.origins[file].of(node)
        if len(origins) != 1 or origins[0].how is not How.VALUE or _is_changed(file, function, node.id):
            return None
        node = origins[0].expression or node
    own = search.calls.called(file, node) if isinstance(node, ast.Call) else None
    if own is None or own[1].decorator_list or is_generator(own[1]) or isinstance(own[1], ast.AsyncFunctionDef):
        return None
    return own


def _is_changed(file: PythonFile, scope: ast.AST, name: str) -> bool:
    """Whether anything but plain reading is done with a name."""
    for node in descend(scope):
        if not (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)):
            continue
        above = file.parents.get(node)
        if not (isinstance(above, ast.Subscript) and isinstance(above.ctx, ast.Load)):
            return True
    return False


def _keys_returned(search: ParameterSearch, file: PythonFile, function: FunctionNode) -> set[str] | None:
    """The keys that some return of a function gives; None where they are not all written out."""
    found: set[str] = set()
    returns = returns_of(function)
    if len(returns) > _MAX_RETURNS:
        return None
    for item in returns:
        keys = _keys(search, file, function, item.value)
        if keys is None:
            return None
        found |= keys
    return found if returns else None


def _keys(search: ParameterSearch, file: PythonFile, function: FunctionNode, node: ast.expr | None) -> set[str] | None:
    if isinstance(node, ast.Dict):
        texts = [string_value(key) for key in node.keys]
        return {text for text in texts if text is not None} if None not in texts else None
    if not isinstance(node, ast.Name):
        return None
    origins = search.origins[file].of(node)
    if len(origins) != 1 or origins[0].how is not How.VALUE or not isinstance(origins[0].expression, ast.Dict):
        return None
    found = _keys(search, file, function, origins[0].expression)
    for use in descend(function):
        if found is None or not (isinstance(use, ast.Name) and use.id == node.id and isinstance(use.ctx, ast.Load)):
            continue
        above = file.parents.get(use)
        if isinstance(above, ast.Return):
            continue
        key = string_value(above.slice) if isinstance(above, ast.Subscript) else None
        if key is None:
            return None
        found.add(key)
    return found


def _is_tried(file: PythonFile, node: ast.AST) -> bool:
    return any(isinstance(up, ast.Try) for up in file.ancestors(node))
