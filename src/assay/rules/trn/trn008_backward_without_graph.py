"""TRN008: backward runs where gradients are switched off."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.model_choices import possible_models
from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.tensor_values import Frame, Scope, TrainingCode, enter, training_code
from assay.analysis.training_loops import backwards, runs_whenever_called
from assay.finding import Consequence, Severity
from assay.finding import Frame as Place
from assay.rules.rule import Example, Outcome, Rule

_DEPTH = 4
_PLAIN_DECORATORS = ("torch.", "staticmethod", "classmethod", "functools.")
_HEAD = "import torch\nimport torch.nn.functional as F\n\n\n"
_PROBE = "def probe(model: torch.nn.Module, x, y):\n    loss = F.cross_entropy(model(x), y)\n    loss.backward()\n"


class BackwardWithoutGraph(Rule):
    """A loss is computed and differentiated while gradients are off: in a function under `@torch.no_grad()`, in a
    `with torch.no_grad():` block, or in a function or a module's `forward` that such code calls.

    No graph is recorded there, so `backward()` and `torch.autograd.grad` raise `element 0 of tensors does not require
    grad`. A loss whose graph was built outside, and code that switches gradients on again, are fine.
    """

    code = "TRN008"
    name = "backward-without-graph"
    requirements = ("X2", "E1.3", "D1.3", "B1.1")
    consequence = Consequence.CRASHES
    message = "the loss is computed and differentiated while gradients are off ({where})"
    explanation = (
        "No graph is recorded under no_grad: the call raises RuntimeError, element 0 of tensors does not require grad."
    )
    repair = (
        "Compute the loss and its gradients with gradients on (torch.enable_grad()), and keep no_grad for the update."
    )

    VALID = (
        Example({"src/train.py": _HEAD + _PROBE}),
        Example(
            {
                "src/train.py": _HEAD + "@torch.no_grad()\ndef probe(model: torch.nn.Module, x, y):\n"
                "    with torch.enable_grad():\n        loss = F.cross_entropy(model(x), y)\n        loss.backward()\n"
            }
        ),
        # the graph was built before
        Example(
            {
                "src/train.py": _HEAD
                + "def probe(model: torch.nn.Module, x, y):\n    loss = F.cross_entropy(model(x), y)\n"
                "    with torch.no_grad():\n        loss.backward()\n"
            }
        ),
        # the block is told whether to switch off
        Example(
            {
                "src/train.py": _HEAD
                + "def probe(model: torch.nn.Module, x, y, train):\n    with torch.inference_mode(mode=not train):\n"
                "        loss = F.cross_entropy(model(x), y)\n        loss.backward()\n\n\nprobe(1, 2, 3, True)\n"
            }
        ),
        Example(
            {
                "src/train.py": _HEAD
                + "@torch.no_grad()\ndef probe(model: torch.nn.Module, x, y):\n    torch.set_grad_enabled(True)\n"
                "    loss = F.cross_entropy(model(x), y)\n    loss.backward()\n\n\nprobe(1, 2, 3)\n"
            }
        ),
        # a context manager of the submission's own switches gradients on
        Example(
            {
                "src/train.py": "from contextlib import contextmanager\n"
                + _HEAD
                + "@contextmanager\ndef gradients():\n    torch.set_grad_enabled(True)\n    yield\n\n\n"
                "@torch.no_grad()\ndef probe(model: torch.nn.Module, x, y):\n    with gradients():\n"
                "        loss = F.cross_entropy(model(x), y)\n        loss.backward()\n\n\nprobe(1, 2, 3)\n"
            }
        ),
        # so does a decorator
        Example(
            {
                "src/train.py": _HEAD
                + "def differentiable(function):\n    return torch.enable_grad()(function)\n\n\n@differentiable\n"
                + _PROBE
                + "\n\ndef run(model, x, y):\n    with torch.no_grad():\n        probe(model, x, y)\n\n\nrun(1, 2, 3)\n"
            }
        ),
        # a generator runs after the block
        Example(
            {
                "src/train.py": _HEAD
                + _PROBE
                + "    yield loss\n\n\ndef run(model, x, y):\n    with torch.no_grad():\n"
                "        steps = probe(model, x, y)\n    return list(steps)\n\n\nrun(1, 2, 3)\n"
            }
        ),
        # the update alone
        Example(
            {
                "src/train.py": _HEAD + _PROBE + "    with torch.no_grad():\n        for p in model.parameters():\n"
                "            p -= 0.1 * p.grad\n"
            }
        ),
        # an optimizer's step with a closure, as torch writes it
        Example(
            {
                "src/train.py": _HEAD + "class Sam(torch.optim.Optimizer):\n    @torch.no_grad()\n"
                "    def step(self, closure=None):\n        closure = torch.enable_grad()(closure)\n        loss = closure()\n"
                "        return loss\n"
            }
        ),
        # a view of a parameter keeps asking for gradients
        Example(
            {
                "src/train.py": _HEAD
                + "@torch.no_grad()\ndef penalty(model: torch.nn.Module):\n    loss = model.scale.float().view(1)\n"
                "    loss.backward()\n\n\npenalty(1)\n"
            }
        ),
        # it trains only where it is asked to
        Example(
            {
                "src/train.py": _HEAD + "def epoch(model, x, y, train):\n    loss = F.cross_entropy(model(x), y)\n"
                "    if train:\n        loss.backward()\n\n\ndef run(model, x, y):\n    with torch.no_grad():\n"
                "        epoch(model, x, y, False)\n\n\nrun(1, 2, 3)\n"
            }
        ),
        # the caller gives the loss
        Example({"src/train.py": _HEAD + "@torch.no_grad()\ndef push(loss):\n    loss.backward()\n"}),
        # a test-time adaptor that switches gradients on
        Example(
            {
                "src/model.py": _HEAD + "class Adaptor(torch.nn.Module):\n    def forward(self, x):\n"
                "        with torch.enable_grad():\n            loss = self.net(x).mean()\n            loss.backward()\n"
                "        return self.net(x)\n",
                "src/train.py": "import torch\nfrom src.model import Adaptor\n\n\ndef run(x):\n    model = Adaptor()\n"
                "    with torch.no_grad():\n        return model(x)\n",
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + "@torch.no_grad()\n" + _PROBE + "\n\nprobe(1, 2, 3)\n"},
            at=("src/train.py:8",),
            repaired={"src/train.py": _HEAD + _PROBE + "\n\nprobe(1, 2, 3)\n"},
        ),
        # the block is the caller's
        Example(
            {
                "src/train.py": _HEAD
                + _PROBE
                + "\n\ndef run(model, x, y):\n    with torch.no_grad():\n        probe(model, x, y)\n\n\nrun(1, 2, 3)\n"
            },
            at=("src/train.py:7",),
            repaired={
                "src/train.py": _HEAD + _PROBE + "\n\ndef run(model, x, y):\n    probe(model, x, y)\n\n\nrun(1, 2, 3)\n"
            },
        ),
        Example(
            {
                "src/train.py": _HEAD
                + "class Controller:\n    def __init__(self, model: torch.nn.Module):\n        self.model = model\n\n"
                "    @torch.no_grad()\n    def measure(self, batch):\n        loss = self.model(**batch).loss\n"
                "        loss.backward()\n\n\nController(1).measure({})\n"
            },
            at=("src/train.py:12",),
            repaired={"src/train.py": _HEAD + "class Controller:\n    pass\n"},
        ),
        # a module that adapts in its forward, and an evaluation without gradients
        Example(
            {
                "src/model.py": _HEAD
                + "class Adaptor(torch.nn.Module):\n    def __init__(self):\n        super().__init__()\n"
                "        self.net = torch.nn.Linear(2, 2)\n\n    def forward(self, x):\n        loss = self.net(x).mean()\n"
                "        loss.backward()\n        return self.net(x)\n",
                "src/train.py": "import torch\nfrom src.model import Adaptor\n\n\ndef run(x):\n    model = Adaptor().to('cpu')\n"
                "    with torch.no_grad():\n        return model(x)\n\n\nrun(1)\n",
            },
            at=("src/model.py:12",),
            repaired={
                "src/model.py": _HEAD + "class Adaptor(torch.nn.Module):\n    def forward(self, x):\n        return x\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        uses = code.uses
        reported: set[ast.Call] = set()
        for scope in list(code.scopes.values()):
            for call, frames, certain, where in _without_graph(project, code, scope):
                if call in reported:
                    continue
                reported.add(call)
                place = frames[-1].scope
                live = not is_dead(place.file, call, uses) and not is_dead(scope.file, frames[0].scope.nodes[0], uses)
                name = place.function.name if place.function else ""
                path, _, line = where.rpartition(":")
                live = live and (not name or name == "forward" or uses[name] > 0)
                yield self.finding(
                    place.file.path,
                    call,
                    severity=None if certain and live else Severity.WARNING,
                    symbol=place.file.symbol_of(call) or None,
                    frames=(
                        *(Place(item.scope.file.path, _line(item.scope)) for item in frames[:-1]),
                        *((Place(path, int(line)),) if line.isdigit() else ()),
                    ),
                    where=where,
                )


def _line(scope: Scope) -> int:
    return scope.function.lineno if scope.function is not None else 1


def _without_graph(
    project: Project, code: TrainingCode, scope: Scope
) -> Iterator[tuple[ast.Call, list[Frame], bool, str]]:
    """The backward calls that run without a graph, starting from one scope: the call, the way to it, certainty, where."""
    outer = Frame(scope)
    for item in backwards(scope):
        off = code.gradients_off_at(scope, item.call)
        if off is None:
            continue
        cut = code.cut(outer, item.loss)
        if cut is not None and "no_grad" in cut.how:
            yield item.call, [outer], runs_whenever_called(scope, item.call), f"{scope.file.path}:{_at(off)}"
    pending: list[tuple[list[Frame], bool, str]] = []
    for call in scope.calls:
        off = code.gradients_off_at(scope, call)
        if off is not None:
            where = f"{scope.file.path}:{_at(off)}"
            pending += [(way, sure, where) for way, sure in _entered(project, code, [outer], call)]
    for number, (way, sure, where) in enumerate(pending):
        if number > 200:
            return
        inner = way[-1].scope
        if inner.switches_on or inner.switches_by_hand:
            continue
        for item in backwards(inner):
            # a backward under a condition may be left out on purpose where gradients are off
            sees = runs_whenever_called(inner, item.call) and not code.may_be_on(inner, item.call)
            cut = code.cut(way[-1], item.loss) if sees else None
            if cut is not None and cut.how:
                yield item.call, way, sure, where
        if len(way) < _DEPTH:
            for call in inner.calls:
                if runs_whenever_called(inner, call):
                    pending += [(deep, sure and one, where) for deep, one in _entered(project, code, way, call)]


def _entered(
    project: Project, code: TrainingCode, way: list[Frame], call: ast.Call
) -> Iterator[tuple[list[Frame], bool]]:
    """The own functions that a call starts while gradients are off, and whether it certainly starts them."""
    scope = way[-1].scope
    called = code.called_scope(scope, call)
    if called is not None:
        # a generator runs later, and a decorator of the submission's own may switch gradients on
        later = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in called.nodes)
        decorated = called.function is not None and not all(
            called.file.qualified(part.func if isinstance(part, ast.Call) else part).startswith(_PLAIN_DECORATORS)
            for part in called.function.decorator_list
        )
        if later or decorated or isinstance(called.function, ast.AsyncFunctionDef):
            return
        if all(called is not item.scope for item in way):
            yield [*way, enter(code, way[-1], call, called, True)], True
        return
    for owner, certain in possible_models(project, code, scope, call.func):
        forward = code.method(owner, "forward")
        if forward is not None and code.is_module(owner) and all(forward is not item.scope for item in way):
            yield [*way, enter(code, way[-1], call, forward, True)], certain


def _at(node: ast.AST) -> int:
    return getattr(node, "lineno", 1)
