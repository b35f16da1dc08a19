"""TRN009: a learning-rate scheduler steps too early, at the wrong rate, or never."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.python_source import keyword
from assay.analysis.tensor_values import Scope, TrainingCode, training_code
from assay.analysis.training_loops import (
    Loop,
    is_optimizer,
    is_scheduler,
    library_calls,
    loops_around,
    method_calls,
    named_in_nested,
    receiver,
    statement_of,
    trains_through_library,
)
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# Where a scheduler's constructor takes the number of its steps.
_LENGTHS = {
    "torch.optim.lr_scheduler.CosineAnnealingLR": (1, "T_max"),
    "torch.optim.lr_scheduler.LinearLR": (3, "total_iters"),
    "torch.optim.lr_scheduler.PolynomialLR": (1, "total_iters"),
    "transformers.get_linear_schedule_with_warmup": (2, "num_training_steps"),
    "transformers.get_cosine_schedule_with_warmup": (2, "num_training_steps"),
}
_HEAD = "import torch\n\n\n"
_TRAIN = (
    "def train(model, loader, epochs):\n    opt = torch.optim.SGD(model.parameters(), lr=0.1)\n"
    "    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max={length})\n    for _ in range(epochs):\n"
    "        for x in loader:\n            opt.zero_grad()\n            model(x).sum().backward()\n{batch}{epoch}\n\ntrain(1, 2, 3)\n"
)
_STEP, _EACH, _ONCE = "            opt.step()\n", "            sched.step()\n", "        sched.step()\n"


class SchedulerOrder(Rule):
    """Three mistakes with schedulers. `scheduler.step()` before `optimizer.step()` in the same block skips the first value
    of the schedule. A schedule as long as the number of epochs that steps once per batch runs through in the first
    epochs. A scheduler that is made, stays in its function and never steps changes nothing.
    """

    code = "TRN009"
    name = "scheduler-order"
    requirements = ("X2", "B6.2", "E1.3", "D1.3")
    severity = Severity.WARNING
    message = "{what}"
    explanation = "{effect}"
    repair = "Step the scheduler after the optimizer, as often as its length counts: per batch or per epoch."

    VALID = (
        Example({"src/train.py": _HEAD + _TRAIN.format(length="epochs", batch=_STEP, epoch=_ONCE)}),
        Example({"src/train.py": _HEAD + _TRAIN.format(length="epochs * len(loader)", batch=_STEP + _EACH, epoch="")}),
        Example(
            {"src/train.py": _HEAD + _TRAIN.format(length="epochs", batch=_STEP, epoch="        advance(sched)\n")}
        ),
        Example({"src/train.py": _HEAD + _TRAIN.format(length="epochs", batch=_STEP, epoch="    return sched\n")}),
        # at the start of an epoch
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(length="epochs", batch=_STEP, epoch="").replace(
                    "        for x", "        sched.step()\n        for x"
                )
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + _TRAIN.format(length="9", batch=_EACH + _STEP, epoch="")}, at=("src/train.py:11",)
        ),
        Example(
            {"src/train.py": _HEAD + _TRAIN.format(length="epochs", batch=_STEP + _EACH, epoch="")},
            at=("src/train.py:12",),
        ),
        Example(
            {"src/train.py": _HEAD + _TRAIN.format(length="epochs", batch=_STEP, epoch="")}, at=("src/train.py:6",)
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        uses = code.uses
        library = trains_through_library(project)
        for scope in code.scopes.values():
            for call in method_calls(scope, "step"):
                names = library_calls(code, scope, receiver(call))
                if not is_scheduler(names) or is_dead(scope.file, call, uses):
                    continue
                if self._is_early(code, scope, call):
                    yield self.finding(
                        scope.file.path,
                        call,
                        symbol=scope.file.symbol_of(call) or None,
                        what="the scheduler steps before the optimizer",
                        effect="The first value of the schedule is skipped; PyTorch warns of it.",
                    )
                elif _counts_epochs(scope, call):
                    yield self.finding(
                        scope.file.path,
                        call,
                        symbol=scope.file.symbol_of(call) or None,
                        what="the scheduler steps once per batch, and its length counts epochs",
                        effect="The schedule ends after as many batches as there are epochs.",
                    )
            if library or scope.function is None:
                continue
            for call in scope.calls:
                if is_scheduler([scope.file.qualified(call.func) or "?"]) and _never_steps(scope, call):
                    yield self.finding(
                        scope.file.path,
                        call,
                        symbol=scope.file.symbol_of(call) or None,
                        what="the scheduler is made and never steps",
                        effect="The learning rate stays where the schedule begins.",
                    )

    @staticmethod
    def _is_early(code: TrainingCode, scope: Scope, call: ast.Call) -> bool:
        """Whether an optimizer steps later in the very block, and none before."""
        statement = statement_of(scope.file, call)
        parent = scope.file.parents.get(statement) if statement else None
        block = getattr(parent, "body", None)
        if not isinstance(parent, Loop) or not isinstance(block, list) or statement not in block:
            return False
        later = block[block.index(statement) + 1 :]
        early = block[: block.index(statement)]
        steps = [c for c in method_calls(scope, "step") if is_optimizer(library_calls(code, scope, receiver(c)))]
        places = [statement_of(scope.file, step) for step in steps]
        inside = [step for step in steps if any(up in early for up in scope.file.ancestors(step))]
        return any(place in later for place in places) and not inside


def _counts_epochs(scope: Scope, call: ast.Call) -> bool:
    """Whether a scheduler is as long as the outer of two loops turns, and steps in the inner one."""
    held = receiver(call)
    loops = loops_around(scope, call)
    if (
        not isinstance(held, ast.Name)
        or len(loops) < 2
        or scope.file.parents.get(scope.file.parents[call]) is not loops[0]
    ):
        return False
    bound = scope.bindings.get(held.id, [])
    made = bound[0].value if len(bound) == 1 else None
    outer = loops[1]
    if not isinstance(made, ast.Call) or not isinstance(outer, ast.For) or not isinstance(outer.iter, ast.Call):
        return False
    name = scope.file.qualified(made.func)
    if name not in _LENGTHS or scope.file.qualified(outer.iter.func) not in ("range", "tqdm.trange"):
        return False
    position, word = _LENGTHS[name]
    length = keyword(made, word) or (made.args[position] if position < len(made.args) else None)
    turns = outer.iter.args[0] if len(outer.iter.args) == 1 else None
    return length is not None and turns is not None and _same(scope, length, turns)


def _same(scope: Scope, one: ast.expr, other: ast.expr) -> bool:
    """Whether two expressions are the same name or path, `int(...)` left aside."""
    parts = []
    for node in (one, other):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "int" and node.args:
            node = node.args[0]
        parts.append(scope.file.qualified(node))
    return bool(parts[0]) and parts[0] == parts[1]


def _never_steps(scope: Scope, call: ast.Call) -> bool:
    statement = scope.file.parents.get(call)
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    target = statement.targets[0]
    if not isinstance(target, ast.Name) or named_in_nested(scope, target.id):
        return False
    for node in scope.mentions.get(target.id, ()):
        parent = scope.file.parents.get(node)
        if not isinstance(parent, ast.Attribute) or parent.attr in ("step", "__dict__"):
            return False
    return bool(method_calls(scope, "step"))
