"""TRN004: the optimizer holds the parameters of a model that is replaced afterwards."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.tensor_values import Scope, TrainingCode, names_in, training_code
from assay.analysis.training_loops import (
    block_of,
    is_optimizer_call,
    method_calls,
    named_in_nested,
    statement_of,
)
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_HEAD = (
    "import copy\n\nimport torch\nfrom peft import get_peft_model\nfrom transformers import AutoModelForCausalLM\n\n\n"
)
_TRAIN = (
    "def train(name, batches, config):\n    model = AutoModelForCausalLM.from_pretrained(name)\n{first}{second}"
    "    for batch in batches:\n        opt.zero_grad()\n        loss = model(**batch).loss\n        loss.backward()\n        opt.step()\n\n\ntrain(1, 2, 3)\n"
)
_OPT = "    opt = torch.optim.AdamW(model.parameters(), lr=1e-4)\n"
_PEFT = "    model = get_peft_model(model, config)\n"


class ModelReplaced(Rule):
    """An optimizer is made from `model.parameters()`, and then `model` becomes another model: a new instance, a deep copy,
    or a PEFT model whose adapters did not exist yet.

    The loop trains the new model's parameters; the optimizer still holds the old ones, which get no gradients. Wrapping
    (`DataParallel`, `torch.compile`), `.to(device)` and `.half()` keep the parameters and are fine, as is an optimizer
    that is made again or takes the new parameters through `add_param_group`.
    """

    code = "TRN004"
    name = "model-replaced"
    requirements = ("X2", "B1.1", "E1.3", "D1.3", "E4.1")
    consequence = Consequence.TRAINS_NOTHING
    message = "{model} is replaced after {optimizer} was made from its parameters (line {line})"
    explanation = "{effect}"
    repair = "Make the optimizer after the last statement that replaces {model}."

    VALID = (
        Example({"src/train.py": _HEAD + _TRAIN.format(first=_PEFT, second=_OPT)}),
        Example({"src/train.py": _HEAD + _TRAIN.format(first=_OPT, second="    model = model.to('cuda')\n")}),
        Example({"src/train.py": _HEAD + _TRAIN.format(first=_OPT, second="    model = torch.compile(model)\n")}),
        Example(
            {"src/train.py": _HEAD + _TRAIN.format(first=_OPT, second="    model = torch.nn.DataParallel(model)\n")}
        ),
        # the new model is made of the old one
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(first="    body = model\n" + _OPT, second="    model = Wrap(body)\n")
                + "\n\nclass Wrap(torch.nn.Module):\n    x = 1\n"
            }
        ),
        # made again, or told of the new parameters
        Example({"src/train.py": _HEAD + _TRAIN.format(first=_OPT + _PEFT, second=_OPT)}),
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(first=_OPT, second=_PEFT + "    opt.add_param_group({'params': model.parameters()})\n")
            }
        ),
        # both come back from a library
        Example({"src/train.py": _HEAD + _TRAIN.format(first=_OPT, second="    model, opt = prepare(model, opt)\n")}),
        # the best model is loaded after training
        Example(
            {
                "src/train.py": _HEAD
                + _TRAIN.format(first=_OPT, second="").replace(
                    "\n\n\ntrain(",
                    "\n    model = AutoModelForCausalLM.from_pretrained('best')\n    return model\n\n\ntrain(",
                )
            }
        ),
        # a copy under another name
        Example({"src/train.py": _HEAD + _TRAIN.format(first=_OPT, second="    ema = copy.deepcopy(model)\n")}),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + _TRAIN.format(first=_OPT, second=_PEFT)},
            at=("src/train.py:11",),
            repaired={"src/train.py": _HEAD + _TRAIN.format(first=_PEFT, second=_OPT)},
        ),
        Example(
            {"src/train.py": _HEAD + _TRAIN.format(first=_OPT, second="    model = copy.deepcopy(model)\n")},
            at=("src/train.py:11",),
            repaired={"src/train.py": _HEAD + _TRAIN.format(first=_PEFT, second=_OPT)},
        ),
        Example(
            {
                "src/train.py": _HEAD
                + "class Net(torch.nn.Module):\n    pass\n\n\n"
                + _TRAIN.format(first=_OPT, second="    model = Net()\n")
            },
            at=("src/train.py:15",),
            repaired={"src/train.py": _HEAD + _TRAIN.format(first=_PEFT, second=_OPT)},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        uses = code.uses
        for scope in code.scopes.values():
            if scope.function is None:
                continue
            for call in scope.calls:
                if is_optimizer_call(scope, call) and not is_dead(scope.file, call, uses):
                    yield from self._replaced(code, scope, call)

    def _replaced(self, code: TrainingCode, scope: Scope, call: ast.Call) -> Iterator[Outcome]:
        statement = statement_of(scope.file, call)
        given = call.args[0] if call.args else None
        if not isinstance(statement, ast.Assign) or statement.value is not call or len(statement.targets) != 1:
            return
        target = statement.targets[0]
        is_plain = (
            isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute) and given.func.attr == "parameters"
        )
        if not is_plain or not isinstance(given, ast.Call) or not isinstance(given.func, ast.Attribute):
            return
        if not isinstance(target, ast.Name) or not isinstance(given.func.value, ast.Name):
            return
        model, optimizer = given.func.value.id, target.id
        block = block_of(scope.file, statement)
        later = block[block.index(statement) + 1 :]
        if named_in_nested(scope, model) or named_in_nested(scope, optimizer):
            return
        shared = _aliases(code, scope, model, statement)
        for number, other in enumerate(later):
            kind = _replacement(code, scope, other, model)
            if kind and any(node.lineno >= other.lineno for name in shared for node in scope.mentions.get(name, ())):
                # another name still holds the old model, or a part that the new one is made of
                return
            if not kind:
                if _binds(other, (model, optimizer)):
                    return
                continue
            rest = later[number + 1 :]
            if _stands_again(scope, optimizer, rest) or not _trains(rest, scope, model, optimizer):
                return
            sure = kind != "peft" or not _frees_parameters(scope)
            effect = (
                "PEFT freezes what the optimizer holds, and the new adapters are not among it: they are never updated."
                if kind == "peft"
                else "The optimizer steps the parameters of the old model, which is not the one that computes the loss."
            )
            yield self.finding(
                scope.file.path,
                other,
                severity=None if sure else Severity.WARNING,
                symbol=scope.file.symbol_of(other) or None,
                model=model,
                optimizer=optimizer,
                line=statement.lineno,
                effect=effect,
            )
            return


def _aliases(code: TrainingCode, scope: Scope, model: str, made: ast.stmt) -> set[str]:
    """Other names that hold the model, a part of it, or a module that it is made of."""
    found: set[str] = set()
    for name, bound in scope.bindings.items():
        for item in bound:
            value = item.value
            if value is None or item.node is made or name == model:
                continue
            parts = [value, *(value.args if isinstance(value, ast.Call) else ())]
            for part in parts:
                while isinstance(part, ast.Attribute | ast.Subscript):
                    part = part.value
                if isinstance(part, ast.Name) and part.id == model:
                    found.add(name)
    for item in scope.bindings.get(model, []):
        before = item.value is not None and getattr(item.node, "lineno", 0) <= made.lineno
        for name in set(names_in(item.value)) - {model} if item.value is not None and before else ():
            held = code.constructed(scope, ast.Name(name, ast.Load()))
            is_own = code.classes_of(scope, ast.Name(name, ast.Load())) is not None
            if is_own or any(one.startswith(("torch.nn.", "transformers.", "torchvision.", "timm.")) for one in held):
                found.add(name)
    return found


def _replacement(code: TrainingCode, scope: Scope, statement: ast.stmt, model: str) -> str:
    """How a statement makes a name hold another model: `new`, `copy` or `peft`; empty where it may keep parameters."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return ""
    target, value = statement.targets[0], statement.value
    if not isinstance(target, ast.Name) or target.id != model or not isinstance(value, ast.Call):
        return ""
    while isinstance(value.func, ast.Attribute) and value.func.attr in ("to", "cuda", "train", "eval"):
        if not isinstance(value.func.value, ast.Call):
            return ""
        value = value.func.value
    name = scope.file.qualified(value.func)
    if name in ("peft.get_peft_model", "peft.mapping.get_peft_model"):
        return "peft"
    if name == "copy.deepcopy":
        return "copy"
    if model in set(names_in(value)):
        return ""
    owner = code.own_class(scope, value.func)
    if owner is not None and code.is_module(owner):
        return "new"
    return "new" if name.startswith("transformers.") and name.endswith((".from_pretrained", ".from_config")) else ""


def _binds(statement: ast.stmt, names: tuple[str, ...]) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Store)
        for node in ast.walk(statement)
    )


def _stands_again(scope: Scope, optimizer: str, rest: list[ast.stmt]) -> bool:
    """Whether the optimizer is made again, given more parameters, or handed to something that may do so."""
    if any(_binds(statement, (optimizer,)) for statement in rest):
        return True
    for node in scope.mentions.get(optimizer, ()):
        parent = scope.file.parents.get(node)
        if isinstance(parent, ast.Attribute) and parent.attr in (
            "add_param_group",
            "param_groups",
            "params",
            "__dict__",
        ):
            return True
    return False


def _trains(rest: list[ast.stmt], scope: Scope, model: str, optimizer: str) -> bool:
    """Whether the statements after a replacement call the model, and step the optimizer."""
    lines = [(part.lineno, part.end_lineno or part.lineno) for part in rest]
    inside = [call for call in scope.calls if any(low <= call.lineno <= high for low, high in lines)]
    called = any(isinstance(call.func, ast.Name) and call.func.id == model for call in inside)
    steps = any(
        isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == optimizer
        for call in method_calls(scope, "step")
        if call in inside
    )
    return called and steps and any(isinstance(c.func, ast.Attribute) and c.func.attr == "backward" for c in inside)


def _frees_parameters(scope: Scope) -> bool:
    """Whether code switches gradients of parameters on by itself."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("requires_grad", "requires_grad_") for node in scope.nodes
    )
