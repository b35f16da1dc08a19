"""TRN012: the model is put into evaluation mode between epochs and never back."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.tensor_values import Scope, TrainingCode, training_code
from assay.analysis.training_loops import Loop, backwards, stands_below, trains_through_library
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_HEAD = "import torch\nimport torch.nn.functional as F\n\n\n"
_EVAL = "def evaluate(model, x):\n    model.eval()\n    with torch.no_grad():\n        return model(x)\n\n\n"
_TRAIN = (
    "def train(model, opt, x, y):\n{before}    for _ in range(3):\n{inside}        opt.zero_grad()\n"
    "        F.cross_entropy(model(x), y).backward()\n        opt.step()\n        evaluate(model, x)\n\n\ntrain(1, 2, 3, 4)\n"
)


class StaysInEval(Rule):
    """A loop that trains calls `model.eval()` for its evaluation, and nothing in the loop calls `model.train()`.

    From the second epoch on, dropout is off and batch normalisation uses its stored statistics while the model trains.
    Functions of the submission that the loop calls are read as well.
    """

    code = "TRN012"
    name = "stays-in-eval"
    requirements = ("X2", "B1.1", "B6.2", "E1.3")
    severity = Severity.WARNING
    message = "the training loop puts the model into evaluation mode and never back"
    explanation = "After the first evaluation the model trains without dropout and with frozen batch statistics."
    repair = "Call model.train() at the beginning of each epoch, or after each evaluation."

    VALID = (
        Example({"src/train.py": _HEAD + _EVAL + _TRAIN.format(before="", inside="        model.train()\n")}),
        Example(
            {
                "src/train.py": _HEAD
                + _EVAL.replace("        return", "        out").replace("out model(x)", "out = model(x)")
                + _TRAIN.format(before="", inside="").replace(
                    "evaluate(model, x)\n", "evaluate(model, x)\n        model.train(True)\n"
                )
            }
        ),
        # evaluation after training
        Example(
            {
                "src/train.py": _HEAD
                + _EVAL
                + _TRAIN.format(before="", inside="").replace("        evaluate", "    evaluate")
            }
        ),
        # nothing trains in the loop
        Example(
            {
                "src/train.py": _HEAD
                + _EVAL
                + "def test(model, x):\n    for _ in range(3):\n        evaluate(model, x)\n"
            }
        ),
        # another model is evaluated: a frozen teacher
        Example(
            {
                "src/train.py": _HEAD
                + "def train(model, teacher, opt, x):\n    for _ in range(3):\n        teacher.eval()\n"
                "        (model(x) - teacher(x)).sum().backward()\n        opt.step()\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + _EVAL + _TRAIN.format(before="    model.train()\n", inside="")},
            at=("src/train.py:6",),
        ),
        Example(
            {
                "src/train.py": _HEAD
                + "def train(model, opt, x, y):\n    for _ in range(3):\n        opt.zero_grad()\n"
                "        F.cross_entropy(model(x), y).backward()\n        opt.step()\n        model.eval()\n        print(model(x))\n\n\ntrain(1, 2, 3, 4)\n"
            },
            at=("src/train.py:10",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if trains_through_library(project):
            return
        code = training_code(project)
        uses = code.uses
        reported: set[ast.AST] = set()
        for scope in code.scopes.values():
            for loop in scope.nodes:
                if not isinstance(loop, Loop) or is_dead(scope.file, loop, uses):
                    continue
                calls = _calls_in(code, scope, loop)
                if any(_is_switch(call, "train") for _, call in calls):
                    continue
                if not any(stands_below(scope.file, item.call, loop) for item in backwards(scope, grad=False)):
                    continue
                for place, call in calls:
                    name = _model_name(call)
                    if not name or call in reported or not _trains_on(scope, loop, name):
                        continue
                    reported.add(call)
                    yield self.finding(place.file.path, call, symbol=place.file.symbol_of(call) or None)


def _calls_in(code: TrainingCode, scope: Scope, loop: ast.AST) -> list[tuple[Scope, ast.Call]]:
    """The calls of a loop, and of the own functions that they start."""
    found = [(scope, call) for call in scope.calls if stands_below(scope.file, call, loop)]
    entered = {scope}
    for place, call in found:
        if len(found) > 3_000:
            break
        called = code.called_scope(place, call)
        if called is not None and called not in entered:
            entered.add(called)
            found += [(called, inner) for inner in called.calls]
    return found


def _is_switch(call: ast.Call, name: str) -> bool:
    """Whether a call is `model.train()` or anything that may be it."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in (name, "set_mode", "training_mode")


def _model_name(call: ast.Call) -> str:
    """The name of the model that a call puts into evaluation mode."""
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr != "eval" or call.args:
        return ""
    return func.value.id if isinstance(func.value, ast.Name) else ""


def _trains_on(scope: Scope, loop: ast.AST, name: str) -> bool:
    """Whether the loop computes its loss with the model of that name."""
    losses = [item for item in backwards(scope, grad=False) if stands_below(scope.file, item.call, loop)]
    calls = [call for call in scope.calls if isinstance(call.func, ast.Name) and call.func.id == name]
    inner = [call for call in calls if stands_below(scope.file, call, loop)]
    return any(call.lineno <= item.call.lineno for call in inner for item in losses)
