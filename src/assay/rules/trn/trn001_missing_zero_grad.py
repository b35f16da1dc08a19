"""TRN001: gradients are never reset between optimizer steps."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, string_value
from assay.analysis.tensor_values import Scope, TrainingCode, training_code
from assay.analysis.training_loops import (
    backwards,
    is_optimizer,
    leaves_early,
    library_calls,
    loops_around,
    method_calls,
    receiver,
    stands_below,
    trains_through_library,
)
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule

_HEAD = "import torch\nimport torch.nn.functional as F\n\n\n"
_LOOP = (
    "def train(model, batches):\n    opt = torch.optim.SGD(model.parameters(), lr=0.1)\n    for x, y in batches:\n{reset}"
    "        loss = F.cross_entropy(model(x), y)\n        loss.backward()\n        opt.step()\n\n\ntrain(1, 2)\n"
)
_CLEAR = "\n\ndef clear(model):\n    for p in model.parameters():\n        if p.grad is not None:\n            {}\n"


class MissingZeroGrad(Rule):
    """A loop calls `backward()` and steps an optimizer, and nothing in the submission resets gradients.

    Each step then follows the sum of all gradients since the first batch, which is another method than the one described.
    The rule is silent where a library may train (accelerate, Lightning, Trainer, ...), where any `zero_grad`, any
    assignment to `.grad` or any `zero_()` occurs, where the optimizer is made anew in the loop, and for closures.
    """

    code = "TRN001"
    name = "missing-zero-grad"
    requirements = ("X2", "B1.1", "B6.2", "E1.3", "D1.3")
    consequence = Consequence.BREAKS_CONTRACT
    message = "the loop steps {optimizer} and nothing in the submission resets gradients"
    explanation = "Gradients add up over all batches: each step follows their sum, not the gradient of its own batch."
    repair = "Call {optimizer}.zero_grad() once per step, before backward() or after step()."

    VALID = (
        Example({"src/train.py": _HEAD + _LOOP.format(reset="        opt.zero_grad(set_to_none=True)\n")}),
        Example({"src/train.py": _HEAD + _LOOP.format(reset="        model.zero_grad()\n")}),
        Example(
            {
                "src/train.py": _HEAD
                + _LOOP.format(reset="        for p in model.parameters():\n            p.grad = None\n")
            }
        ),
        # another function resets them
        Example(
            {
                "src/train.py": _HEAD
                + _LOOP.format(reset="        start(opt)\n")
                + "\n\ndef start(o):\n    o.zero_grad()\n"
            }
        ),
        # a new optimizer and model each time
        Example(
            {
                "src/train.py": _HEAD + "def train(make, batches):\n    for x, y in batches:\n        model = make()\n"
                "        opt = torch.optim.SGD(model.parameters(), lr=0.1)\n        F.cross_entropy(model(x), y).backward()\n"
                "        opt.step()\n"
            }
        ),
        # one step only
        Example(
            {
                "src/train.py": _HEAD
                + "def train(model, x, y):\n    opt = torch.optim.SGD(model.parameters(), lr=0.1)\n"
                "    F.cross_entropy(model(x), y).backward()\n    opt.step()\n"
            }
        ),
        Example({"src/train.py": "from accelerate import Accelerator\n" + _HEAD + _LOOP.format(reset="")}),
        Example(
            {"src/train.py": _HEAD + _LOOP.format(reset="        clear(model)\n") + _CLEAR.format("p.grad.mul_(0)")}
        ),
        # another library is given the optimizer
        Example(
            {
                "src/train.py": "from elsewhere import Steps\n"
                + _HEAD
                + _LOOP.format(reset="        Steps(opt).begin()\n")
            }
        ),
        # an optimizer of the submission's own may reset them in its step
        Example(
            {
                "src/train.py": _HEAD
                + "class Mine(torch.optim.SGD):\n    def step(self):\n        super().step()\n\n\n"
                + _LOOP.format(reset="").replace("torch.optim.SGD(model", "Mine(model")
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + _LOOP.format(reset="")},
            at=("src/train.py:10",),
            repaired={"src/train.py": _HEAD + _LOOP.format(reset="        opt.zero_grad()\n")},
        ),
        Example(
            {
                "src/train.py": _HEAD + "class Fit:\n    def __init__(self, model):\n        self.model = model\n"
                "        self.opt = torch.optim.Adam(model.parameters())\n\n    def run(self, batches):\n"
                "        for x, y in batches:\n            F.cross_entropy(self.model(x), y).backward()\n"
                "            self.opt.step()\n\n\nFit(1).run(2)\n"
            },
            at=("src/train.py:13",),
            repaired={"src/train.py": _HEAD + _LOOP.format(reset="        opt.zero_grad()\n")},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        if trains_through_library(project) or any(_resets(file) for file in code.files):
            return
        uses = code.uses
        for scope in code.scopes.values():
            for call in method_calls(scope, "step"):
                optimizer = receiver(call)
                if call.args or call.keywords or optimizer is None or is_dead(scope.file, call, uses):
                    continue
                if _accumulates(code, scope, call, optimizer):
                    yield self.finding(
                        scope.file.path,
                        call,
                        symbol=scope.file.symbol_of(call) or None,
                        optimizer=scope.file.qualified(optimizer) or "the optimizer",
                    )


def _accumulates(code: TrainingCode, scope: Scope, call: ast.Call, optimizer: ast.expr) -> bool:
    """Whether a step stands in a loop with a backward, and its optimizer outlives the turns of the loop."""
    if not is_optimizer(library_calls(code, scope, optimizer)):
        return False
    loops = loops_around(scope, call)
    if not loops or leaves_early(loops[0]):
        return False
    if not any(stands_below(scope.file, item.call, loops[0]) for item in backwards(scope, grad=False)):
        return False
    name = optimizer.id if isinstance(optimizer, ast.Name) else ""
    if name and _is_handed_on(code, scope, name):
        return False
    bound = [item.node for item in scope.bindings.get(name, ())]
    return not any(stands_below(scope.file, node, loop) for node in bound for loop in loops)


def _resets(file: PythonFile) -> bool:
    """Whether a file has anything that may reset gradients."""
    for node in file.nodes:
        if isinstance(node, ast.Attribute):
            if node.attr in (
                "zero_grad",
                "zero_",
                "_foreach_zero_",
                "backward_fn",
                "register_post_accumulate_grad_hook",
            ):
                return True
            if node.attr == "grad" and not _is_only_read(file, node):
                return True
        elif isinstance(node, ast.Name | ast.keyword):
            if "zero_grad" in ((node.id if isinstance(node, ast.Name) else node.arg) or ""):
                return True
        elif string_value(node) in ("zero_grad", "grad"):
            return True
    return False


def _is_only_read(file: PythonFile, node: ast.Attribute) -> bool:
    """Whether `p.grad` stands where nothing changes it: `p.grad.norm()`, `p.grad is None`, and not `p.grad.mul_(0)`."""
    parent = file.parents.get(node)
    if not isinstance(node.ctx, ast.Load):
        return False
    if isinstance(parent, ast.Attribute):
        return not parent.attr.endswith("_") and parent.attr not in ("data", "detach")
    return isinstance(parent, ast.Compare | ast.BoolOp | ast.If | ast.UnaryOp)


def _is_handed_on(code: TrainingCode, scope: Scope, name: str) -> bool:
    """Whether an optimizer is given to something of another library, which may reset gradients."""
    for node in scope.mentions.get(name, ()):
        call: ast.AST | None = scope.file.parents.get(node)
        if isinstance(call, ast.keyword | ast.Starred | ast.List | ast.Tuple):
            call = scope.file.parents.get(call)
        if not isinstance(call, ast.Call) or call.func is node:
            continue
        known = scope.file.qualified(call.func).startswith(("torch.", "transformers.", "print", "len"))
        own = code.called_scope(scope, call) is not None or code.own_class(scope, call.func) is not None
        if not known and not own:
            return True
    return False
