"""TRN002: gradients are computed and no optimizer steps, or an optimizer steps without gradients."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.python_source import string_value
from assay.analysis.tensor_values import Scope, TrainingCode, training_code
from assay.analysis.training_loops import (
    backwards,
    is_optimizer,
    is_optimizer_call,
    is_scheduler,
    library_calls,
    loops_around,
    method_calls,
    named_in_nested,
    receiver,
    trains_through_library,
)
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_KEEPS = frozenset({"zero_grad", "param_groups", "state_dict", "load_state_dict", "add_param_group", "state"})
# Ways to change parameters without an optimizer.
_BY_HAND = frozenset(
    {
        "data", "sub_", "add_", "copy_", "addcdiv_", "addcmul_", "lerp_", "mul_", "load_state_dict", "set_",
        "_foreach_add_", "_foreach_sub_", "functional_call", "fused_step", "register_post_accumulate_grad_hook", "vector_to_parameters",
    }
)  # fmt: skip
_DIFFERENTIATES = frozenset(
    {"backward", "autograd", "grad", "func", "functional_call", "vjp", "jvp", "jacrev", "hessian", "manual_backward"}
)
# Libraries that differentiate nothing by themselves.
_CALCULATES_NOTHING = frozenset(
    {
        "torch", "torchvision", "torchaudio", "torchmetrics", "numpy", "pandas", "scipy", "sklearn", "transformers",
        "datasets", "tokenizers", "evaluate", "hydra", "omegaconf", "wandb", "optuna", "matplotlib", "seaborn", "tqdm",
        "yaml", "PIL", "huggingface_hub", "einops", "peft", "src",
    }
)  # fmt: skip
_HEAD = "import torch\nimport torch.nn.functional as F\n\n\n"
_LOOP = (
    "def train(model, batches):\n    opt = torch.optim.SGD(model.parameters(), lr=0.1)\n    for x, y in batches:\n"
    "        opt.zero_grad()\n        loss = F.cross_entropy(model(x), y)\n{rest}\n\ntrain(1, 2)\n"
)
_GOOD = "        loss.backward()\n        opt.step()\n"


class NeverSteps(Rule):
    """A function makes an optimizer, runs `backward()` in a loop, and never steps it; or an optimizer steps in a submission
    that computes no gradient anywhere.

    Either way the parameters keep their first values. The optimizer has to stay in its function: one that is returned,
    stored or passed on may step elsewhere. Parameters changed by hand, closures and training libraries are left alone.
    """

    code = "TRN002"
    name = "never-steps"
    requirements = ("X2", "B1.1", "E1.3", "D1.3")
    consequence = Consequence.TRAINS_NOTHING
    message = "{what}"
    explanation = "The parameters are never updated: the model stays as it was made."
    repair = "In each turn of the loop call loss.backward() and then step the optimizer."

    VALID = (
        Example({"src/train.py": _HEAD + _LOOP.format(rest=_GOOD)}),
        # passed on, returned, kept
        Example({"src/train.py": _HEAD + _LOOP.format(rest="        loss.backward()\n        advance(opt)\n")}),
        Example({"src/train.py": _HEAD + _LOOP.format(rest="        loss.backward()\n        scaler.step(opt)\n")}),
        Example({"src/train.py": _HEAD + _LOOP.format(rest="        loss.backward()\n    return opt\n")}),
        # changed by hand
        Example(
            {
                "src/train.py": _HEAD
                + _LOOP.format(
                    rest="        loss.backward()\n        for p in model.parameters():\n            p.data -= 0.1 * p.grad\n"
                )
            }
        ),
        # an evaluation that only wants gradients
        Example(
            {"src/train.py": _HEAD + "def saliency(model, x):\n    model(x).sum().backward()\n    return x.grad\n"}
        ),
        # the gradient comes from autograd.grad and is written
        Example(
            {
                "src/train.py": _HEAD + "def train(model, x):\n    opt = torch.optim.SGD(model.parameters(), lr=0.1)\n"
                "    for p in model.parameters():\n        p.grad = torch.ones_like(p)\n    opt.step()\n"
            }
        ),
        Example(
            {"src/train.py": "from transformers import Trainer\n" + _HEAD + _LOOP.format(rest="        opt.step()\n")}
        ),
        # the gradients are wanted for something else
        Example(
            {
                "src/train.py": _HEAD
                + _LOOP.format(
                    rest="        loss.backward()\n        found = [p.grad.pow(2) for p in model.parameters()]\n"
                )
            }
        ),
        # the function that differentiates is imported by its name
        Example(
            {
                "src/train.py": _HEAD
                + "from torch.autograd import grad\n"
                + _LOOP.format(
                    rest="        for p, g in zip(model.parameters(), grad(loss, model.parameters())):\n"
                    "            setattr(p, 'grad', g)\n        opt.step()\n"
                )
            }
        ),
        # the step may be called by name
        Example(
            {"src/train.py": _HEAD + _LOOP.format(rest="        loss.backward()\n        getattr(opt, 'step')()\n")}
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + _LOOP.format(rest="        loss.backward()\n")},
            at=("src/train.py:6",),
            repaired={"src/train.py": _HEAD + _LOOP.format(rest=_GOOD)},
        ),
        Example(
            {"src/train.py": _HEAD + _LOOP.format(rest="        opt.step()\n")},
            at=("src/train.py:10",),
            repaired={"src/train.py": _HEAD + _LOOP.format(rest=_GOOD)},
        ),
        # a second optimizer that is forgotten: a warning
        Example(
            {
                "src/train.py": _HEAD
                + _LOOP.format(rest=_GOOD)
                .replace("    for x", "    other = torch.optim.SGD(model.head.parameters(), lr=0.1)\n    for x")
                .replace("        opt.zero", "        other.zero_grad()\n        opt.zero")
            },
            at=("src/train.py:7",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if trains_through_library(project):
            return
        code = training_code(project)
        imported = [item for file in code.files for item in file.imports]
        names = code.attributes | {item.name for item in imported if item.name}
        tops = {item.module.partition(".")[0] for item in imported if not _is_relative(item.node)}
        known = tops <= _CALCULATES_NOTHING | sys.stdlib_module_names | {file.module for file in code.files}
        uses = code.uses
        for scope in code.scopes.values():
            for call in scope.calls:
                if is_optimizer_call(scope, call) and not is_dead(scope.file, call, uses):
                    yield from self._without_step(code, scope, call, names)
        if names & _DIFFERENTIATES:
            return
        for scope in code.scopes.values():
            for call in method_calls(scope, "step"):
                given = receiver(call)
                if call.args or call.keywords or is_dead(scope.file, call, uses) or not loops_around(scope, call):
                    continue
                if is_optimizer(library_calls(code, scope, given)):
                    yield self.finding(
                        scope.file.path,
                        call,
                        severity=None if known else Severity.WARNING,
                        symbol=scope.file.symbol_of(call) or None,
                        what="the optimizer steps, and nothing in the submission computes a gradient",
                    )

    def _without_step(
        self, code: TrainingCode, scope: Scope, call: ast.Call, names: frozenset[str]
    ) -> Iterator[Outcome]:
        statement = scope.file.parents.get(call)
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or scope.function is None:
            return
        target = statement.targets[0]
        if not isinstance(target, ast.Name) or not _stays_unstepped(scope, target.id):
            return
        if len(scope.bindings.get(target.id, [])) != 1 or not any(
            loops_around(scope, b.call) for b in backwards(scope)
        ):
            return
        if any(_reads_gradient(node) for node in scope.nodes):
            # it wants the gradients for something else: the Fisher information, an update by hand
            return
        others = [c for c in method_calls(scope, "step") if not is_scheduler(library_calls(code, scope, receiver(c)))]
        certain = not others and not names & _BY_HAND
        certain = certain and not any(string_value(node) == "step" for node in scope.file.nodes)
        if any(isinstance(node, ast.AugAssign) and code.gradients_off_at(scope, node) for node in scope.nodes):
            certain = False
        if not certain and not any(
            isinstance(scope.file.parents.get(m), ast.Attribute) for m in scope.mentions.get(target.id, ())
        ):
            return
        if not certain and names & _BY_HAND and not others:
            return
        yield self.finding(
            scope.file.path,
            call,
            severity=None if certain else Severity.WARNING,
            symbol=scope.file.symbol_of(call) or None,
            what=f"{target.id} is made and never steps, though the function runs backward() in a loop",
        )


def _is_relative(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.level > 0


def _reads_gradient(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return node.value == "grad"
    return isinstance(node, ast.Attribute) and node.attr == "grad"


def _stays_unstepped(scope: Scope, name: str) -> bool:
    """Whether an optimizer stays in its function, and nothing there makes it step."""
    if named_in_nested(scope, name):
        return False
    for node in scope.mentions.get(name, ()):
        parent = scope.file.parents.get(node)
        if isinstance(parent, ast.Attribute) and parent.attr in _KEEPS:
            continue
        if isinstance(parent, ast.keyword):
            parent = scope.file.parents.get(parent)
        if isinstance(parent, ast.Call) and is_scheduler([scope.file.qualified(parent.func) or "?"]):
            continue
        return False
    return True
