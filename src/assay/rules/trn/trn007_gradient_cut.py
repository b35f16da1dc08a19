"""TRN007: the loss that is differentiated carries no gradient, or one of its terms does not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.model_choices import possible_models
from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode
from assay.analysis.tensor_values import Cut, Frame, Scope, TrainingCode, training_code
from assay.analysis.training_loops import Backward, backwards, runs_whenever_called
from assay.finding import Consequence, Severity
from assay.finding import Frame as Place
from assay.rules.rule import Example, Outcome, Rule

_NUMBERS_OF_TENSORS = ("`.item()`", "`float()`", "`.tolist()`")
_HEAD = "import torch\nimport torch.nn.functional as F\n\n\n"
_SUM = (
    "def mean_loss(model, batches):\n    total = 0.0\n    for x, y in batches:\n"
    "        total += F.cross_entropy(model(x), y){cut}\n    return {end}, len(batches)\n\n\n"
    "def train(model, batches, opt):\n    loss, n = mean_loss(model, batches)\n    loss = loss / n\n"
    "    opt.zero_grad()\n    loss.backward()\n    opt.step()\n\n\ntrain(1, 2, 3)\n"
)


class GradientCut(Rule):
    """Every way on which the loss of a `backward()` comes to be leads through something that drops the graph: `.item()`,
    `.detach()`, `float(...)`, `torch.tensor(value)`, `.data`, a block without gradients.

    Such a loss has nothing to differentiate, and the call raises. Where only one term of a sum is turned into a number,
    the rest still trains and that term has no effect; this is a warning.
    """

    code = "TRN007"
    name = "gradient-cut"
    requirements = ("X2", "E1.3", "D1.3", "B1.1")
    consequence = Consequence.CRASHES
    message = "the loss of backward() at {origin} carries no gradient: {how}"
    explanation = "Nothing connects the loss with a parameter, so backward() raises: the value does not require grad."
    repair = "Keep the loss as the tensor that the model's outputs gave; take .item() of it for logging only."

    VALID = (
        Example({"src/train.py": _HEAD + _SUM.format(cut="", end="total")}),
        # numbers beside the loss
        Example(
            {
                "src/train.py": _HEAD
                + "def train(model, x, y):\n    loss = F.cross_entropy(model(x), y)\n    seen = loss.item()\n"
                "    scale = torch.tensor(2.0)\n    (loss * scale).backward()\n    return seen\n"
            }
        ),
        # a leaf that asks for gradients
        Example(
            {
                "src/train.py": _HEAD
                + "def train():\n    x = torch.tensor(1.0, requires_grad=True)\n    y = torch.zeros(2)\n"
                "    y.requires_grad_()\n    (x * 2).backward()\n    y.sum().backward()\n"
            }
        ),
        # filled in place
        Example(
            {
                "src/train.py": _HEAD
                + "def train(model, batches):\n    losses = torch.zeros(3)\n    total = torch.tensor(0.0)\n"
                "    for i, x in enumerate(batches):\n        losses[i] = model(x)\n        total += model(x)\n"
                "    losses.mean().backward()\n    total.backward()\n"
            }
        ),
        # a list, and a tensor, that another function fills
        Example(
            {
                "src/train.py": _HEAD
                + "def train(model, batches):\n    losses, total = [], torch.zeros(1)\n    terms = []\n"
                "    collect(model, batches, losses)\n    add_to(total, model)\n\n    def keep(value):\n        terms.append(value)\n\n"
                "    for x in batches:\n        keep(model(x))\n    sum(losses).backward()\n    total.sum().backward()\n    sum(terms).backward()\n"
            }
        ),
        # the teacher's answer comes first, and the student trains
        Example(
            {
                "src/train.py": _HEAD
                + "class Teacher(torch.nn.Module):\n    def forward(self, x):\n        return x.detach()\n\n\n"
                "def train(student: torch.nn.Module, x):\n    teacher = Teacher()\n    wanted = teacher(x)\n"
                "    loss = F.mse_loss(wanted, student(x))\n    loss.backward()\n\n\ntrain(1, 2)\n"
            }
        ),
        # filled through a name for its method
        Example(
            {
                "src/train.py": _HEAD
                + "def train(model, x):\n    losses = [torch.zeros(())]\n    add = losses.append\n    add(model(x).sum())\n"
                "    sum(losses).backward()\n"
            }
        ),
        # a straight-through estimator
        Example(
            {
                "src/train.py": _HEAD
                + "def train(model, x):\n    y = model(x)\n    (y + (y.round() - y).detach()).sum().backward()\n"
            }
        ),
        # detached inputs made into leaves
        Example(
            {
                "src/train.py": _HEAD
                + "def attack(model, x):\n    x = x.detach().requires_grad_(True)\n    model(x).sum().backward()\n"
                "    z = x.detach()\n    z.requires_grad = True\n    z.sum().backward()\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + _SUM.format(cut=".item()", end="torch.tensor(total)")},
            at=("src/train.py:9",),
            repaired={"src/train.py": _HEAD + _SUM.format(cut="", end="total")},
        ),
        Example(
            {
                "src/train.py": _HEAD + "def train(model, x, y, scaler):\n    with torch.no_grad():\n"
                "        loss = F.cross_entropy(model(x), y)\n    scaler.scale(loss / 4).backward()\n\n\ntrain(1, 2, 3, 4)\n"
            },
            at=("src/train.py:6",),
            repaired={
                "src/train.py": _HEAD + "def train(model, x, y, scaler):\n    loss = F.cross_entropy(model(x), y)\n"
                "    scaler.scale(loss / 4).backward()\n\n\ntrain(1, 2, 3, 4)\n"
            },
        ),
        # one term of two: a warning
        Example(
            {
                "src/train.py": _HEAD + "def train(model, x, y):\n    loss = F.cross_entropy(model(x), y)\n"
                "    total = loss + 0.1 * model.penalty().item()\n    total.backward()\n"
            },
            at=("src/train.py:7",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        uses = code.uses
        reported: set[tuple[str, int]] = set()
        for scope in code.scopes.values():
            for item in backwards(scope):
                if code.gradients_off_at(scope, item.call) is not None:
                    continue
                cut = code.cut(Frame(scope), item.loss)
                sure = True
                if cut is None:
                    cut, sure = _cut_by_model(project, code, item)
                if cut is None:
                    yield from self._lost_terms(code, item)
                    continue
                certain = sure and runs_whenever_called(scope, item.call) and not is_dead(scope.file, item.call, uses)
                line = getattr(item.call, "lineno", 1)
                place = (cut.file.path, getattr(cut.node, "lineno", 1))
                if place in reported:
                    continue
                reported.add(place)
                yield self.finding(
                    cut.file.path,
                    cut.node,
                    severity=None if certain else Severity.WARNING,
                    symbol=cut.file.symbol_of(cut.node) or None,
                    frames=(Place(scope.file.path, line),),
                    how=f"{cut.how} drops it" if cut.how else "it is made of plain numbers",
                    origin=f"{scope.file.path}:{line}",
                )

    def _lost_terms(self, code: TrainingCode, item: Backward) -> Iterator[Outcome]:
        for node in _terms(item):
            cut = code.cut(Frame(item.scope), node)
            if cut is not None and cut.how in _NUMBERS_OF_TENSORS and cut.file is item.scope.file:
                yield self.finding(
                    item.scope.file.path,
                    node,
                    severity=Severity.WARNING,
                    symbol=item.scope.file.symbol_of(node) or None,
                    message="a term of the loss is turned into a number by {how}",
                    explanation="The term changes the value of the loss and no gradient: it has no effect on training.",
                    how=cut.how,
                )


def _terms(item: Backward) -> Iterator[ast.expr]:
    """The terms that a loss is a sum of, names followed a little way up from the backward call."""
    scope = item.scope
    pending: list[tuple[ast.expr, int, bool]] = [(item.loss, 3, False)]
    seen: set[str] = set()
    for node, steps, is_term in pending:
        if len(pending) > 100:
            return
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            pending += [(node.left, steps, True), (node.right, steps, True)]
        elif isinstance(node, ast.BinOp):
            sides = [node.left, node.right] if isinstance(node.op, ast.Mult) else [node.left]
            plain = [part for part in sides if isinstance(part, ast.Call) and is_term]
            pending += [(part, steps, is_term) for part in (plain if len(plain) == 1 else sides[:1])]
        elif isinstance(node, ast.Name):
            if steps and node.id not in seen:
                seen.add(node.id)
                for one in scope.bindings.get(node.id, []):
                    if one.value is not None and one.item is None and stands_before(scope, one.node, item.call):
                        pending.append((one.value, steps - 1, is_term or one.augmented))
        elif is_term:
            yield node


def _cut_by_model(project: Project, code: TrainingCode, item: Backward) -> tuple[Cut | None, bool]:
    """The loss is a criterion of the output of an own module whose forward returns it without a graph."""
    scope = item.scope
    loss = item.loss
    bound = scope.bindings.get(loss.id, []) if isinstance(loss, ast.Name) else []
    training = [one.value for one in bound if stands_before(scope, one.node, item.call)]
    if len(training) != 1 or not isinstance(training[0], ast.Call) or not training[0].args:
        return None, False
    criterion = training[0]
    names = code.constructed(scope, criterion.func)
    library = scope.file.qualified(criterion.func).startswith("torch.nn.functional.")
    if not library and not (names and all(n.startswith("torch.nn.") and n.endswith("Loss") for n in names)):
        return None, False
    given = criterion.args[0]
    others = [*criterion.args[1:], *(part.value for part in criterion.keywords)]
    if any(not _is_plain(scope, value, 4) for value in others):
        # the target may be what trains: mse_loss(teacher(x), student(x))
        return None, False
    bound = scope.bindings.get(given.id, []) if isinstance(given, ast.Name) else []
    outputs = [one.value for one in bound if stands_before(scope, one.node, criterion)]
    if len(outputs) != 1 or not isinstance(outputs[0], ast.Call):
        return None, False
    for owner, certain in possible_models(project, code, scope, outputs[0].func):
        forward = code.method(owner, "forward")
        if forward is None or not forward.returns or not code.is_module(owner) or not certain:
            continue
        values = [part.value for part in forward.returns]
        cuts = [code.cut(Frame(forward), value) or _computed_off(code, forward, value) for value in values]
        if all(cut is not None for cut in cuts):
            return cuts[0], True
    return None, False


_KEEPS_PLAIN = frozenset({"to", "cuda", "cpu", "long", "float", "view", "view_as", "squeeze", "unsqueeze", "reshape"})


def _is_plain(scope: Scope, value: ast.expr | None, steps: int, seen: frozenset[str] = frozenset()) -> bool:
    """Whether an argument is an option, or comes from a batch as it is."""
    if value is None or steps <= 0:
        return False
    if isinstance(value, ast.Constant):
        return True
    if isinstance(value, ast.Subscript | ast.Attribute):
        return _is_plain(scope, value.value, steps, seen)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in _KEEPS_PLAIN:
        return _is_plain(scope, value.func.value, steps, seen)
    if isinstance(value, ast.Name):
        # `y = y.to(device)`
        if value.id in seen:
            return True
        bound = scope.bindings.get(value.id, [])
        seen |= {value.id}
        for one in bound:
            piece = one.value
            if one.item is not None and isinstance(piece, ast.Tuple | ast.List):
                piece = piece.elts[one.item] if one.item < len(piece.elts) else None
            if piece is None and one.value is None and isinstance(one.node, ast.For | ast.AsyncFor | FunctionNode):
                continue
            if one.augmented or not _is_plain(scope, piece, steps - 1, seen):
                return False
        return bool(bound)
    return False


def _computed_off(code: TrainingCode, scope: Scope, value: ast.expr | None) -> Cut | None:
    """A call of a submodule without gradients: what it returns has no graph, whatever it is."""
    if isinstance(value, ast.Name):
        bound = scope.bindings.get(value.id, [])
        if len(bound) != 1 or bound[0].item is not None or bound[0].augmented:
            return None
        value = bound[0].value
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
        return None
    if not isinstance(value.func.value, ast.Name) or value.func.value.id != "self" or "model" not in value.func.attr:
        return None
    off = code.gradients_off_at(scope, value)
    return Cut("`torch.no_grad()`", off, scope.file) if off is not None else None


def stands_before(scope: Scope, first: ast.AST, second: ast.AST) -> bool:
    """Whether a statement stands before another node in the same innermost loop."""
    around = next((up for up in scope.file.ancestors(first) if isinstance(up, ast.For | ast.While)), None)
    same = next((up for up in scope.file.ancestors(second) if isinstance(up, ast.For | ast.While)), None)
    return around is same and getattr(first, "lineno", 0) < getattr(second, "lineno", 0) + 1
