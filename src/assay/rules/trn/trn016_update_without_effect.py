"""TRN016: a parameter update rebinds the loop variable and changes no parameter."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.python_source import descend
from assay.analysis.tensor_values import Scope, training_code
from assay.analysis.training_loops import (
    method_calls,
    named_in_nested,
    runs_whenever_called,
    trains_through_library,
)
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_GIVES = ("parameters", "named_parameters")
_HEAD = "import torch\n\n\n"
_LOOP = "def train(model, x, lr):\n    model(x).sum().backward()\n    with torch.no_grad():\n        for p in model.parameters():\n{body}\n\ntrain(1, 2, 3)\n"


class UpdateWithoutEffect(Rule):
    """`for p in model.parameters(): p = p - lr * p.grad` makes a new tensor, calls it `p`, and drops it at the next turn.

    The parameter stays as it was. Only a name that comes from `parameters()` or `named_parameters()`, is bound again from
    itself and not read afterwards, counts; a new value that is collected or returned is left alone.
    """

    code = "TRN016"
    name = "update-without-effect"
    requirements = ("X2", "B1.1", "E1.3", "D1.3")
    consequence = Consequence.TRAINS_NOTHING
    message = "{name} = ... binds a name in the loop over parameters and changes no parameter"
    explanation = "The parameters keep their values: the update computes a new tensor and drops it."
    repair = "Change the parameter in place under torch.no_grad(): {name}.sub_(lr * grad), or {name} -= lr * grad."

    VALID = (
        Example({"src/train.py": _HEAD + _LOOP.format(body="            p -= lr * p.grad\n")}),
        Example({"src/train.py": _HEAD + _LOOP.format(body="            p.data = p.data - lr * p.grad\n")}),
        Example({"src/train.py": _HEAD + _LOOP.format(body="            p.copy_(p - lr * p.grad)\n")}),
        # the new values are kept
        Example(
            {"src/train.py": _HEAD + _LOOP.format(body="            p = p - lr * p.grad\n            new.append(p)\n")}
        ),
        # a hook keeps the new value
        Example(
            {
                "src/train.py": _HEAD
                + "def hooks(model, made):\n    for p in model.parameters():\n        p = p * 2\n\n"
                "        def hook(g, p=p):\n            return g * p\n\n        made.append(hook)\n\n\nhooks(1, [])\n"
            }
        ),
        # a measurement
        Example(
            {"src/train.py": _HEAD + _LOOP.format(body="            p = p.detach()\n            print(p.norm())\n")}
        ),
        # meta learning: the fast weights are another list
        Example(
            {
                "src/train.py": _HEAD
                + "def inner(model, grads, lr):\n    return [p - lr * g for p, g in zip(model.parameters(), grads)]\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + _LOOP.format(body="            p = p - lr * p.grad\n")},
            at=("src/train.py:8",),
            repaired={"src/train.py": _HEAD + _LOOP.format(body="            p -= lr * p.grad\n")},
        ),
        Example(
            {
                "src/train.py": _HEAD
                + "def step(model, grads, lr):\n    for (name, p), g in zip(model.named_parameters(), grads):\n"
                "        p = p - lr * g\n\n\nstep(1, 2, 3)\n"
            },
            at=("src/train.py:6",),
            repaired={"src/train.py": _HEAD},
        ),
        # an optimizer trains as well: a warning
        Example(
            {"src/train.py": _HEAD + _LOOP.format(body="            p = p * 0.99\n        opt.step()\n")},
            at=("src/train.py:8",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        uses = code.uses
        steps = bool(trains_through_library(project)) or any(
            method_calls(scope, "step") for scope in code.scopes.values()
        )
        for scope in code.scopes.values():
            for loop in scope.nodes:
                if not isinstance(loop, ast.For) or not _goes_over_parameters(loop.iter):
                    continue
                names = _parameter_names(loop)
                for statement in loop.body:
                    name = _rebinds(statement, names)
                    if name and not _is_read_after(scope, loop, statement, name):
                        certain = (
                            not steps and runs_whenever_called(scope, loop) and not is_dead(scope.file, loop, uses)
                        )
                        yield self.finding(
                            scope.file.path,
                            statement,
                            severity=None if certain else Severity.WARNING,
                            symbol=scope.file.symbol_of(statement) or None,
                            name=name,
                        )


def _goes_over_parameters(node: ast.expr) -> bool:
    """`model.parameters()`, or `zip(...)`, `enumerate(...)` and `list(...)` of it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("zip", "enumerate", "list"):
        return any(_goes_over_parameters(part) for part in node.args[:4])
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _GIVES


def _parameter_names(loop: ast.For) -> set[str]:
    """The loop variables that hold parameters, as far as the shape of the target shows."""
    named = any(isinstance(part, ast.Attribute) and part.attr == "named_parameters" for part in descend(loop.iter))
    target = loop.target
    if isinstance(target, ast.Name):
        return set() if named else {target.id}
    if not isinstance(target, ast.Tuple) or not target.elts:
        return set()
    if isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Attribute):
        last = target.elts[-1]
        return {last.id} if named and isinstance(last, ast.Name) and len(target.elts) == 2 else set()
    found: set[str] = set()
    sources = loop.iter.args if isinstance(loop.iter, ast.Call) else []
    is_zip = isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Name) and loop.iter.func.id == "zip"
    if not is_zip or len(sources) != len(target.elts):
        return found
    for source, part in zip(sources, target.elts, strict=True):
        if not _goes_over_parameters(source):
            continue
        if isinstance(part, ast.Tuple):
            part = part.elts[-1]
        if isinstance(part, ast.Name):
            found.add(part.id)
    return found


def _rebinds(statement: ast.stmt, names: set[str]) -> str:
    """The parameter name that a statement binds to arithmetic on itself; empty where it does not."""
    if (
        not isinstance(statement, ast.Assign)
        or len(statement.targets) != 1
        or not isinstance(statement.value, ast.BinOp)
    ):
        return ""
    target = statement.targets[0]
    if not isinstance(target, ast.Name) or target.id not in names:
        return ""
    inside = any(isinstance(part, ast.Name) and part.id == target.id for part in descend(statement.value))
    # p = p + 0 * (q := ...) and calls may do something of their own
    plain = not any(isinstance(part, ast.NamedExpr | ast.Await) for part in descend(statement.value))
    return target.id if inside and plain else ""


def _is_read_after(scope: Scope, loop: ast.For, statement: ast.stmt, name: str) -> bool:
    later = statement.end_lineno or statement.lineno
    if named_in_nested(scope, name):
        return True
    for node in scope.mentions.get(name, ()):
        inside = loop.lineno <= node.lineno <= (loop.end_lineno or loop.lineno)
        if node.lineno > later and (inside or not _is_bound_again(scope, name, loop, node)):
            return True
    return False


def _is_bound_again(scope: Scope, name: str, loop: ast.For, node: ast.Name) -> bool:
    """Whether the name gets a new value between the loop and a later reading of it."""
    end = loop.end_lineno or loop.lineno
    return any(end < getattr(item.node, "lineno", 0) <= node.lineno for item in scope.bindings.get(name, ())) or any(
        isinstance(up, ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp)
        for up in scope.file.ancestors(node)
    )
