"""TRN015: the trial ends before gradient accumulation reaches an optimizer step."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.python_source import descend, string_value
from assay.analysis.run_scenarios import RunScenarios, Scenario, run_scenarios
from assay.analysis.tensor_values import Scope, TrainingCode, training_code
from assay.analysis.training_loops import (
    backwards,
    method_calls,
    receiver,
    stands_below,
    trains_through_library,
)
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_RUN = {"config/runs/a.yaml": "run_id: a\ntraining:\n  accumulation: 8\n", "config/config.yaml": "mode: full\n"}
_TRAIN = (
    "import torch\n\n\ndef train(cfg, model, loader):\n    opt = torch.optim.SGD(model.parameters(), lr=0.1)\n"
    "    accum = {accum}\n    for i, x in enumerate(loader):\n{early}        (model(x).sum() / accum).backward()\n"
    "        if (i + 1) % accum == 0{more}:\n            opt.step()\n            opt.zero_grad()\n{late}{end}\n\ntrain(1, 2, 3)\n"
)
_EARLY = "        if cfg.mode == 'trial' and i >= 2:\n            break\n"
_LATE = "        if cfg.mode == 'trial' and i >= 1:\n            break\n"
_PLAIN = {"accum": "cfg.training.accumulation", "early": "", "late": "", "more": "", "end": ""}


def _files(**parts: str) -> dict[str, str]:
    return {**_RUN, "src/train.py": _TRAIN.format(**{**_PLAIN, **parts})}


class TrialWithoutStep(Rule):
    """In trial mode the loop breaks after one or two batches, and the optimizer steps only at every n-th batch with a
    larger n, from the run file or the code. The trial then never steps, and shows nothing of what it is there to show.

    The rule reads loops over `enumerate`, a `break` under a test for trial mode, and a step under `(i + 1) % n == 0`.
    A trial that lowers the number, a step at the last batch or after the loop, and other counters are left alone.
    """

    code = "TRN015"
    name = "trial-without-step"
    requirements = ("E9.2",)
    consequence = Consequence.TRAINS_NOTHING
    message = "in trial mode the loop ends after {batches} batches, and the optimizer steps only once in {every}"
    explanation = "The trial never reaches an optimizer step, which the contract asks of it."
    repair = "Set the accumulation to 1 in trial mode, or step once more when the loop ends."

    VALID = (
        Example(_files(late=_LATE, accum="1 if cfg.mode == 'trial' else cfg.training.accumulation")),
        Example(_files(late=_LATE, more=" or i + 1 == len(loader)")),
        Example(_files(late=_LATE, end="    opt.step()\n")),
        Example(_files()),
        # another function takes the last step
        Example(_files(late=_LATE, end="    flush(opt)\n\n\ndef flush(opt):\n    opt.step()\n")),
        Example({**_files(late=_LATE), "config/runs/a.yaml": "run_id: a\ntraining:\n  accumulation: 2\n"}),
        # main lowers it for the trial
        Example({**_files(late=_LATE), "src/main.py": "args = ['training.accumulation=1']\n"}),
        Example(_files(late=_LATE, accum="min(2, cfg.training.accumulation)")),
    )
    INVALID = (
        Example(_files(late=_LATE), at=("src/train.py:9",), repaired=_files(late=_LATE, accum="1")),
        Example(_files(early=_EARLY, accum="4"), at=("src/train.py:11",), repaired=_files(early=_EARLY, accum="2")),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if trains_through_library(project):
            return
        code = training_code(project)
        uses = code.uses
        values = run_scenarios(project)
        trials = [item for item in values.scenarios if item.mode in ("trial", "")]
        for scope in code.scopes.values():
            for loop in scope.nodes:
                counter = _counter(loop)
                if not isinstance(loop, ast.For) or not counter or is_dead(scope.file, loop, uses):
                    continue
                every = _accumulation(code, scope, loop, counter)
                if every is None:
                    continue
                test, amount = every
                for scenario in trials:
                    batches = _batches(values, scope, loop, counter, scenario)
                    found = values.value(scope.file, amount, scenario)
                    wanted = found.value if found.known and isinstance(found.value, int) else 0
                    if batches is None or isinstance(wanted, bool) or wanted <= batches:
                        continue
                    lowered = not found.sure or _is_lowered(project, amount)
                    if lowered:
                        continue
                    yield self.finding(
                        scope.file.path,
                        test,
                        severity=None
                        if scenario.run or isinstance(amount, ast.Constant | ast.Name)
                        else Severity.WARNING,
                        symbol=scope.file.symbol_of(test) or None,
                        run=scenario.run or None,
                        batches=batches,
                        every=wanted,
                    )
                    break


def _counter(loop: ast.AST) -> str:
    """The counter of a loop over `enumerate(...)` that begins at 0."""
    if not isinstance(loop, ast.For) or not isinstance(loop.iter, ast.Call) or not isinstance(loop.iter.func, ast.Name):
        return ""
    target = loop.target
    plain = loop.iter.func.id == "enumerate" and len(loop.iter.args) == 1 and not loop.iter.keywords
    if not plain or not isinstance(target, ast.Tuple) or not isinstance(target.elts[0], ast.Name):
        return ""
    return target.elts[0].id


def _accumulation(code: TrainingCode, scope: Scope, loop: ast.For, counter: str) -> tuple[ast.If, ast.expr] | None:
    """The only test under which an optimizer steps in a function, and the number that it counts to."""
    if len(scope.bindings.get(counter, [])) != 1 or not any(
        stands_below(scope.file, b.call, loop) for b in backwards(scope)
    ):
        return None
    tests = [item for item in loop.body if isinstance(item, ast.If) and not item.orelse]
    steps = method_calls(scope, "step")
    for test in tests:
        if _steps_elsewhere(code, scope, test):
            continue
        amount = _modulus(test.test, counter)
        if amount is not None and steps and all(stands_below(scope.file, step, test) for step in steps):
            return test, amount
    return None


def _steps_elsewhere(code: TrainingCode, scope: Scope, test: ast.If) -> bool:
    """Whether a call outside a test may step: an own function that does, or one that is given what steps in the test."""
    held = {part.id for call in method_calls(scope, "step") if isinstance(part := receiver(call), ast.Name)}
    for call in scope.calls:
        if stands_below(scope.file, call, test):
            continue
        called = code.called_scope(scope, call)
        if called is not None:
            if called is not scope and method_calls(called, "step"):
                return True
            continue
        given = [*call.args, *(part.value for part in call.keywords)]
        known = scope.file.qualified(call.func).startswith(("torch.", "transformers."))
        if not known and any(isinstance(value, ast.Name) and value.id in held for value in given):
            return True
    return False


def _modulus(test: ast.expr, counter: str) -> ast.expr | None:
    """`n` of `(i + 1) % n == 0`."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return None
    left, right = test.left, test.comparators[0]
    if not isinstance(right, ast.Constant) or right.value != 0 or not isinstance(left, ast.BinOp):
        return None
    shifted = left.left
    plain = (
        isinstance(left.op, ast.Mod)
        and isinstance(shifted, ast.BinOp)
        and isinstance(shifted.op, ast.Add)
        and isinstance(shifted.left, ast.Name)
        and shifted.left.id == counter
        and isinstance(shifted.right, ast.Constant)
        and shifted.right.value == 1
    )
    return left.right if plain else None


def _batches(values: RunScenarios, scope: Scope, loop: ast.For, counter: str, scenario: Scenario) -> int | None:
    """How many batches a trial takes before it breaks; None where that cannot be told."""
    for number, statement in enumerate(loop.body):
        if not isinstance(statement, ast.If) or not any(isinstance(part, ast.Break) for part in statement.body):
            continue
        parts = statement.test.values if isinstance(statement.test, ast.BoolOp) else [statement.test]
        if isinstance(statement.test, ast.BoolOp) and not isinstance(statement.test.op, ast.And):
            continue
        bound: int | None = None
        for part in parts:
            limit = _limit(values, scope, part, counter, scenario)
            if limit is not None:
                bound = limit
                continue
            found = values.value(scope.file, part, scenario)
            if not found.known or not found.sure or not found.value or scenario.mode != "trial":
                bound = None
                break
        if bound is None or len(parts) < 2:
            continue
        trained = any(stands_below(scope.file, b.call, item) for item in loop.body[:number] for b in backwards(scope))
        return bound + 1 if trained else bound
    return None


def _limit(values: RunScenarios, scope: Scope, part: ast.expr, counter: str, scenario: Scenario) -> int | None:
    """The counter's value at which `i >= n`, `i + 1 >= n` or `i == n` first holds."""
    if not isinstance(part, ast.Compare) or len(part.ops) != 1:
        return None
    left, shift = part.left, 0
    if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add) and isinstance(left.right, ast.Constant):
        shift = left.right.value if isinstance(left.right.value, int) else 0
        left = left.left
    if not isinstance(left, ast.Name) or left.id != counter:
        return None
    found = values.value(scope.file, part.comparators[0], scenario)
    if (
        not found.known
        or not isinstance(found.value, int)
        or isinstance(found.value, bool)
        or not 0 <= found.value < 100
    ):
        return None
    if isinstance(part.ops[0], ast.GtE | ast.Eq):
        return found.value - shift
    return found.value + 1 - shift if isinstance(part.ops[0], ast.Gt) else None


def _is_lowered(project: Project, amount: ast.expr) -> bool:
    """Whether some file overrides the number by its name: in a text, an assignment, or an update."""
    name = amount.attr if isinstance(amount, ast.Attribute) else string_value(getattr(amount, "slice", None))
    names = {name} if name else set()
    if isinstance(amount, ast.Name):
        for file in project.python.values():
            for statement in file.nodes_of(ast.Assign):
                if any(isinstance(t, ast.Name) and t.id == amount.id for t in statement.targets):
                    parts = list(descend(statement.value))
                    names |= {part.attr for part in parts if isinstance(part, ast.Attribute)}
                    names |= {text for part in parts if (text := string_value(part))}
    for file in project.python.values():
        for node in file.nodes:
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and node.attr in names:
                return True
            text = string_value(node) or ""
            if any(one and one in text and "=" in text for one in names):
                return True
            if (
                isinstance(node, ast.Subscript)
                and not isinstance(node.ctx, ast.Load)
                and string_value(node.slice) in names
            ):
                return True
    return False
