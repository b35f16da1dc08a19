"""TRN005: an optimizer is given no parameters, or only frozen ones."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.python_source import descend
from assay.analysis.tensor_values import Scope, TrainingCode, names_in, training_code
from assay.analysis.training_loops import (
    block_of,
    is_optimizer_call,
    named_in_nested,
    runs_whenever_called,
    statement_of,
)
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

# What may be done to a frozen model without giving it parameters that train.
_HARMLESS = frozenset(
    {"parameters", "named_parameters", "to", "cuda", "cpu", "eval", "train", "state_dict", "modules", "children", "config", "zero_grad", "forward"}
)  # fmt: skip
_HEAD = "import torch\nfrom torch import nn\n\n\n"
_FREEZE = "    for p in model.parameters():\n        p.requires_grad = False\n"
_TRAIN = "def train(model, batches):\n{freeze}{between}    opt = torch.optim.SGD({given}, lr=0.1)\n    for x in batches:\n        opt.zero_grad()\n        model(x).sum().backward()\n        opt.step()\n\n\ntrain(1, 2)\n"
_ALL, _SOME = "model.parameters()", "[p for p in model.parameters() if p.requires_grad]"


class FrozenOptimizer(Rule):
    """Every parameter of a model is frozen, nothing new is added to it, and an optimizer is made from it.

    From a filtered list the optimizer gets nothing and raises `optimizer got an empty parameter list`. From the full list
    it gets tensors that never receive a gradient: nothing is trained. Anything between freezing and the optimizer that
    may unfreeze or extend the model (an assignment to one of its attributes, a call that takes it, `requires_grad = True`)
    makes the rule silent.
    """

    code = "TRN005"
    name = "frozen-optimizer"
    requirements = ("X2", "B1.1", "E1.3", "D1.3")
    consequence = Consequence.CRASHES
    message = "{what}"
    explanation = "{effect}"
    repair = "Unfreeze the parameters that should train before the optimizer is made, or leave the optimizer out."

    VALID = (
        Example({"src/train.py": _HEAD + _TRAIN.format(freeze="", between="", given=_SOME)}),
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(freeze=_FREEZE, between="    model.head = nn.Linear(2, 2)\n", given=_SOME)
            }
        ),
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(
                    freeze=_FREEZE,
                    between="    for p in model.head.parameters():\n        p.requires_grad = True\n",
                    given=_ALL,
                )
            }
        ),
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(freeze=_FREEZE, between="    model = add_adapters(model)\n", given=_SOME)
            }
        ),
        Example({"src/train.py": _HEAD + _TRAIN.format(freeze=_FREEZE, between="    insert(model)\n", given=_SOME)}),
        # a part of it is unfrozen through another name
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(freeze="    head = model.head\n" + _FREEZE, between="    thaw(head)\n", given=_SOME)
            }
        ),
        # its own train() unfreezes
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(freeze=_FREEZE, between="    model.train()\n", given=_SOME)
                + "\n\nclass Net(nn.Module):\n    def train(self, mode=True):\n        self.head.requires_grad_(mode)\n"
            }
        ),
        # unfrozen while it trains: the optimizer holds all parameters already
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(freeze=_FREEZE, between="", given=_ALL).replace(
                    "        opt.zero", "        model.head.requires_grad_(True)\n        opt.zero"
                )
            }
        ),
        # frozen under a condition
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(
                    freeze="    for n, p in model.named_parameters():\n        p.requires_grad = 'head' in n\n",
                    between="",
                    given=_SOME,
                )
            }
        ),
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(
                    freeze="    for p in model.parameters():\n        if p.ndim > 1:\n            p.requires_grad = False\n",
                    between="",
                    given=_SOME,
                )
            }
        ),
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(
                    freeze="    model.requires_grad_(False)\n", between="    model.requires_grad_(True)\n", given=_ALL
                )
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + _TRAIN.format(freeze=_FREEZE, between="", given=_SOME)},
            at=("src/train.py:8",),
            repaired={"src/train.py": _HEAD + _TRAIN.format(freeze="", between="", given=_SOME)},
        ),
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(freeze="    model.requires_grad_(False)\n", between="    model.to('cpu')\n", given=_ALL)
            },
            at=("src/train.py:8",),
            repaired={"src/train.py": _HEAD + _TRAIN.format(freeze="", between="", given=_ALL)},
        ),
        Example(
            {"src/train.py": _HEAD + "def train():\n    return torch.optim.Adam([], lr=0.1)\n\n\ntrain()\n"},
            at=("src/train.py:6",),
            repaired={"src/train.py": _HEAD},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        uses = code.uses
        for scope in code.scopes.values():
            for call in scope.calls:
                if not is_optimizer_call(scope, call) or not call.args or is_dead(scope.file, call, uses):
                    continue
                given = call.args[0]
                certain = runs_whenever_called(scope, call)
                if isinstance(given, ast.List) and not given.elts:
                    yield self.finding(
                        scope.file.path,
                        call,
                        severity=None if certain else Severity.WARNING,
                        symbol=scope.file.symbol_of(call) or None,
                        what="the optimizer is given an empty list",
                        effect="torch.optim raises ValueError: optimizer got an empty parameter list.",
                    )
                    continue
                model, filtered = _source(scope, given)
                if not model or named_in_nested(scope, model) or not _is_frozen(scope, model, call):
                    continue
                if _own_method_frees(code):
                    continue
                if not filtered and _is_freed_later(code):
                    continue
                yield self.finding(
                    scope.file.path,
                    call,
                    severity=None if certain else Severity.WARNING,
                    consequence=Consequence.CRASHES if filtered else Consequence.TRAINS_NOTHING,
                    symbol=scope.file.symbol_of(call) or None,
                    what=f"every parameter of {model} is frozen when the optimizer is made from it",
                    effect="torch.optim raises ValueError: optimizer got an empty parameter list."
                    if filtered
                    else "No parameter receives a gradient: the optimizer never changes one.",
                )


def _own_method_frees(code: TrainingCode) -> bool:
    """Whether a class of the submission unfreezes parameters in a method such as `train`, which looks harmless."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("requires_grad", "requires_grad_")
        for owners in code.classes.values()
        for owner in owners
        for name, method in code.methods(owner).items()
        if name in _HARMLESS - {"forward"}
        for node in method.nodes
    )


def _is_freed_later(code: TrainingCode) -> bool:
    """Whether some code may unfreeze parameters, which an optimizer that holds all of them would then train."""
    for file in code.files:
        for node in file.nodes:
            if not isinstance(node, ast.Attribute):
                if isinstance(node, ast.Constant) and node.value == "requires_grad":
                    return True
                continue
            if "unfreeze" in node.attr:
                return True
            parent = file.parents.get(node)
            if node.attr == "requires_grad_":
                given = parent.args if isinstance(parent, ast.Call) else []
                if not given or not isinstance(given[0], ast.Constant) or given[0].value is not False:
                    return True
            elif node.attr == "requires_grad" and not isinstance(node.ctx, ast.Load):
                value = parent.value if isinstance(parent, ast.Assign) else None
                if not isinstance(value, ast.Constant) or value.value is not False:
                    return True
    return False


def _source(scope: Scope, given: ast.expr) -> tuple[str, bool]:
    """The model whose parameters an optimizer is given, and whether they are filtered by `requires_grad`."""
    filtered = False
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Name) and given.func.id in ("list", "tuple"):
        given = given.args[0] if len(given.args) == 1 else given
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Name) and given.func.id == "filter":
        if len(given.args) != 2 or not _asks(given.args[0]):
            return "", False
        given, filtered = given.args[1], True
    elif isinstance(given, ast.ListComp | ast.GeneratorExp):
        first = given.generators[0]
        if len(given.generators) != 1 or not isinstance(given.elt, ast.Name) or any(not _asks(t) for t in first.ifs):
            return "", False
        given, filtered = first.iter, bool(first.ifs)
    if isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute) and given.func.attr == "parameters":
        held = given.func.value
        return (held.id, filtered) if isinstance(held, ast.Name) and held.id != "self" else ("", False)
    return "", False


def _asks(test: ast.expr) -> bool:
    """Whether a condition is `p.requires_grad`."""
    body = test.body if isinstance(test, ast.Lambda) else test
    return isinstance(body, ast.Attribute) and body.attr == "requires_grad"


def _is_frozen(scope: Scope, model: str, call: ast.Call) -> bool:
    """Whether all of a model is frozen earlier in the same block, and nothing since may have changed that."""
    statement = statement_of(scope.file, call)
    if statement is None:
        return False
    block = block_of(scope.file, statement)
    before = block[: block.index(statement)]
    starts = [number for number, item in enumerate(before) if _freezes(item, model)]
    if not starts:
        return False
    for item in before[starts[-1] + 1 :]:
        for node in descend(item):
            if isinstance(node, ast.Name) and node.id == model:
                parent = scope.file.parents.get(node)
                if not isinstance(node.ctx, ast.Load) or not isinstance(parent, ast.Attribute):
                    return False
                if parent.attr not in _HARMLESS or not isinstance(parent.ctx, ast.Load):
                    return False
            elif isinstance(node, ast.Attribute) and node.attr in ("requires_grad", "requires_grad_"):
                return False
    # a part of the model that another name holds may be freed or replaced through it
    parts = {
        name
        for name, bound in scope.bindings.items()
        for one in bound
        if name != model and one.value is not None and model in set(names_in(one.value))
    }
    between = (node for item in before[starts[-1] + 1 :] for node in descend(item) if isinstance(node, ast.Name))
    if any(node.id in parts for node in between):
        return False
    names = [item for item in scope.mentions.get(model, ()) if item.lineno <= call.lineno]
    for node in names:
        parent = scope.file.parents.get(node)
        if isinstance(parent, ast.Assign | ast.Tuple | ast.List | ast.Dict | ast.Return):
            return False
    return True


def _freezes(statement: ast.stmt, model: str) -> bool:
    """`for p in model.parameters(): p.requires_grad = False`, or `model.requires_grad_(False)`."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        return (
            isinstance(call.func, ast.Attribute)
            and call.func.attr == "requires_grad_"
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == model
            and len(call.args) == 1
            and isinstance(call.args[0], ast.Constant)
            and call.args[0].value is False
        )
    if not isinstance(statement, ast.For) or not isinstance(statement.target, ast.Name) or len(statement.body) != 1:
        return False
    source = statement.iter
    over = (
        isinstance(source, ast.Call)
        and isinstance(source.func, ast.Attribute)
        and source.func.attr == "parameters"
        and isinstance(source.func.value, ast.Name)
        and source.func.value.id == model
    )
    body, name = statement.body[0], statement.target.id
    if isinstance(body, ast.Assign) and len(body.targets) == 1:
        target = body.targets[0]
        return (
            over
            and isinstance(target, ast.Attribute)
            and target.attr == "requires_grad"
            and isinstance(target.value, ast.Name)
            and target.value.id == name
            and isinstance(body.value, ast.Constant)
            and body.value.value is False
        )
    return over and isinstance(body, ast.Expr) and _freezes(body, name)
