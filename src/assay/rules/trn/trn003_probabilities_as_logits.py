"""TRN003: a loss that takes logits is given probabilities, or the other way round."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.model_choices import possible_models
from assay.analysis.project import Project
from assay.analysis.python_source import keyword
from assay.analysis.tensor_values import Scope, TrainingCode, training_code
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# Which losses take what, by their documentation (https://pytorch.org/docs/stable/nn.html#loss-functions).
_LOSSES = {
    "torch.nn.CrossEntropyLoss": "logits",
    "torch.nn.functional.cross_entropy": "logits",
    "torch.nn.BCEWithLogitsLoss": "logit",
    "torch.nn.functional.binary_cross_entropy_with_logits": "logit",
    "torch.nn.NLLLoss": "log-probabilities",
    "torch.nn.functional.nll_loss": "log-probabilities",
    "torch.nn.BCELoss": "probability",
    "torch.nn.functional.binary_cross_entropy": "probability",
}
_GIVES = {
    "softmax": "softmax", "Softmax": "softmax", "Softmax2d": "softmax", "log_softmax": "log_softmax",
    "LogSoftmax": "log_softmax", "sigmoid": "sigmoid", "Sigmoid": "sigmoid", "logsigmoid": "logsigmoid",
}  # fmt: skip
# log_softmax before cross entropy changes nothing: the second one has no effect.
_WRONG = {
    "logits": frozenset({"softmax", "sigmoid"}),
    "logit": frozenset({"softmax", "sigmoid", "log_softmax", "logsigmoid"}),
    "log-probabilities": frozenset({"softmax", "sigmoid"}),
    "probability": frozenset({"log_softmax", "logsigmoid"}),
}
_HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"
_NET = "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.fc = nn.Linear(4, 2)\n\n    def forward(self, x):\n        return {end}\n\n\n"
_TRAIN = "def train(x, y):\n    model = Net().to('cpu')\n    criterion = nn.CrossEntropyLoss()\n    out = model(x)\n    return criterion(out, y)\n"


class ProbabilitiesAsLogits(Rule):
    """Cross entropy applies softmax itself, and BCE-with-logits applies sigmoid. Given probabilities, the loss squashes
    them twice: gradients become small, and the loss can never come near zero. NLL loss, the other way round, needs
    log-probabilities.

    The rule follows the loss's first argument through a local name and through the end of an own module's `forward`.
    Targets may well be probabilities. Training still goes on, so this is a warning.
    """

    code = "TRN003"
    name = "probabilities-as-logits"
    requirements = ("X2", "B1.1", "B6.2", "E4.1", "D2.2")
    severity = Severity.WARNING
    message = "{loss} takes {wanted}, and is given the output of {given}"
    explanation = (
        "The output is normalised twice, or not at all: the loss is not the one its name says, and gradients shrink."
    )
    repair = "Give the loss what it takes ({wanted}), and use {given} only where probabilities are read."

    VALID = (
        Example({"src/train.py": _HEAD + _NET.format(end="self.fc(x)") + _TRAIN}),
        Example({"src/train.py": _HEAD + "def loss(z, y):\n    return F.nll_loss(F.log_softmax(z, 1), y)\n"}),
        # targets are probabilities
        Example({"src/train.py": _HEAD + "def distil(z, t):\n    return F.cross_entropy(z, F.softmax(t, 1))\n"}),
        Example({"src/train.py": _HEAD + "def loss(z, y):\n    return F.binary_cross_entropy(torch.sigmoid(z), y)\n"}),
        # log_softmax before cross entropy is superfluous, not wrong
        Example({"src/train.py": _HEAD + "def loss(z, y):\n    return F.cross_entropy(F.log_softmax(z, 1), y)\n"}),
        # probabilities for a metric
        Example(
            {
                "src/train.py": _HEAD
                + "def loss(z, y):\n    probs = F.softmax(z, 1)\n    acc = probs.argmax(1)\n    return F.cross_entropy(z, y), acc\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + "def loss(z, y):\n    return F.cross_entropy(F.softmax(z, dim=1), y)\n"},
            at=("src/train.py:7",),
        ),
        Example(
            {"src/train.py": _HEAD + _NET.format(end="F.softmax(self.fc(x), dim=1)") + _TRAIN}, at=("src/train.py:19",)
        ),
        Example(
            {
                "src/train.py": _HEAD
                + "def loss(z, y):\n    p = torch.sigmoid(z)\n    return nn.BCEWithLogitsLoss()(p, y)\n"
            },
            at=("src/train.py:8",),
        ),
        Example(
            {"src/train.py": _HEAD + "def loss(z, y):\n    return F.nll_loss(z.softmax(-1), y)\n"},
            at=("src/train.py:7",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        for scope in code.scopes.values():
            for call in scope.calls:
                loss = _loss_of(code, scope, call)
                value = (call.args[0] if call.args else keyword(call, "input")) if loss else None
                given = _normaliser(project, code, scope, value, 4)
                if loss and given in _WRONG[_LOSSES[loss]]:
                    yield self.finding(
                        scope.file.path,
                        call,
                        symbol=scope.file.symbol_of(call) or None,
                        loss=loss.rpartition(".")[2],
                        wanted=_LOSSES[loss] if _LOSSES[loss] != "logit" else "logits",
                        given=given,
                    )


def _loss_of(code: TrainingCode, scope: Scope, call: ast.Call) -> str:
    """The loss of torch that a call computes: a function, or an instance of a class."""
    name = scope.file.qualified(call.func)
    if name in _LOSSES and name.rpartition(".")[2][:1].islower():
        return name
    made = code.constructed(scope, call.func) if name not in _LOSSES else []
    return made[0] if len(set(made)) == 1 and made[0] in _LOSSES else ""


def _normaliser(project: Project, code: TrainingCode, scope: Scope, value: ast.expr | None, steps: int) -> str:
    """The function that normalised a value last; empty where none certainly did."""
    if value is None or steps <= 0:
        return ""
    if isinstance(value, ast.Name):
        bound = scope.bindings.get(value.id, [])
        if len(bound) != 1 or bound[0].item is not None or bound[0].augmented:
            return ""
        return _normaliser(project, code, scope, bound[0].value, steps - 1)
    if not isinstance(value, ast.Call):
        return ""
    name = scope.file.qualified(value.func)
    if name.startswith(("torch.nn.functional.", "torch.")) and name.rpartition(".")[2] in _GIVES:
        # torch.nn.Softmax(dim=1) makes a layer and normalises nothing yet
        return _GIVES[name.rpartition(".")[2]] if name.rpartition(".")[2].islower() else ""
    if isinstance(value.func, ast.Attribute) and value.func.attr in ("softmax", "log_softmax", "sigmoid"):
        own = isinstance(value.func.value, ast.Name) and value.func.value.id == "self"
        return "" if own or name.startswith("self.") else _GIVES[value.func.attr]
    made = code.constructed(scope, value.func)
    if made and all(one.startswith("torch.nn.") for one in made):
        given = {_GIVES.get(one.rpartition(".")[2], "") for one in made}
        return given.pop() if len(given) == 1 else ""
    given = set()
    for owner, _ in possible_models(project, code, scope, value.func):
        forward = code.method(owner, "forward")
        if forward is None or not forward.returns or not code.is_module(owner):
            return ""
        given |= {_normaliser(project, code, forward, part.value, steps - 1) for part in forward.returns}
    return given.pop() if len(given) == 1 else ""
