"""TRN013: gradients are asked for, or an optimizer steps, where no gradient can arrive."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, keyword
from assay.analysis.tensor_values import (
    Frame,
    OwnClass,
    Scope,
    TrainingCode,
    is_fresh_leaf,
    training_code,
)
from assay.analysis.training_loops import (
    block_of,
    callers,
    is_optimizer_call,
    loops_around,
    named_in_nested,
    reaches_a_graph,
    runs_whenever_called,
    stands_below,
)
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule

_OPTIMIZER_USES = frozenset({"step", "zero_grad", "param_groups", "state_dict", "load_state_dict"})
_MODULE_USES = frozenset({"parameters", "named_parameters", "to", "train", "eval", "zero_grad", "state_dict"})
_HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"
_GRAD = (
    "def warm(model, x, y):\n    decay = torch.tensor(0.1, requires_grad=True)\n"
    "    smooth = torch.tensor(0.1, requires_grad=True)\n    logp = F.log_softmax(model(x), 1)\n    with {context}:\n"
    "        target = (1 - smooth) * y + smooth / 10\n    loss = -(target * logp).sum() + decay * model.w.pow(2).sum()\n"
    "    g = torch.autograd.grad(loss, (decay, smooth){more})\n    return smooth.detach() - 0.1 * g[1]\n\n\nwarm(1, 2, 3)\n"
)
_ON, _OFF = "torch.enable_grad()", "torch.no_grad()"
_PLANNER = (
    "class Planner(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.net = nn.Linear(2, 1)\n\n"
    "    def plan(self, x):\n        return self.net(x).exp(){end}\n\n\n"
    "def train(model, batches):\n    planner = Planner()\n    outer = torch.optim.Adam(planner.parameters(), lr=0.1)\n"
    "    for x, y in batches:\n        factor = planner.plan(x)\n        loss = F.cross_entropy(model(x), y) * factor\n"
    "        outer.zero_grad()\n        loss.backward()\n        outer.step()\n\n\ntrain(1, 2)\n"
)
_HYPER = (
    "class Hyper(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.decay = nn.Parameter(torch.tensor(0.1))\n"
    "        self.rate = nn.Parameter(torch.tensor(0.1))\n\n\n"
    "def loss_of(model, x, y, hyper):\n    loss = F.cross_entropy(model(x), y)\n    return loss + hyper.decay * model.w.sum(){more}\n\n\n"
    "def warm(model, x, y):\n    hyper = Hyper()\n    loss = loss_of(model, x, y, hyper)\n"
    "    return torch.autograd.grad(loss, list(hyper.parameters()){unused})\n\n\nwarm(1, 2, 3)\n"
)


class NoGradientPath(Rule):
    """A tensor is differentiated for, or given to an optimizer, and nothing connects it with a loss.

    Three cases are followed. `torch.autograd.grad(loss, t)` where the new tensor `t` is used only without gradients (below
    `torch.no_grad()`, through `.detach()` or `.item()`). `torch.autograd.grad(loss, module.parameters())` of a module of
    which the loss reads only some parameters. An optimizer over a module, or over new tensors, of which everything else
    sees plain numbers only. With `allow_unused` the gradient is None and the hyper-parameter never moves; without it the
    call raises; an optimizer without gradients skips every parameter.
    """

    code = "TRN013"
    name = "no-gradient-path"
    requirements = ("X2", "E1.3", "D1.3", "D2.5", "B1.1")
    consequence = Consequence.TRAINS_NOTHING
    message = "{subject} has no gradient path to a loss: {reason}"
    explanation = "{effect}"
    repair = "Let the value enter the loss as a tensor, with gradients on; or leave out the optimizer and the gradient."

    VALID = (
        Example({"src/train.py": _HEAD + _GRAD.format(context=_ON, more="")}),
        Example({"src/train.py": _HEAD + _PLANNER.format(end="")}),
        Example({"src/train.py": _HEAD + _HYPER.format(more=" * hyper.rate", unused="")}),
        # a parameter of the model: the model holds a path to it
        Example(
            {
                "src/train.py": _HEAD
                + "def sharp(model, x):\n    w = model.weight\n    with torch.no_grad():\n        n = w * 2\n"
                "    loss = (model(x) * n).sum()\n    return torch.autograd.grad(loss, w)\n\n\nsharp(1, 2)\n"
            }
        ),
        # the gradient is written by hand
        Example(
            {
                "src/train.py": _HEAD
                + _PLANNER.format(end=".item()").replace(
                    "    def plan", "    def push(self, reward):\n        self.net.weight.grad = reward\n\n    def plan"
                )
            }
        ),
        Example(
            {
                "src/train.py": _HEAD
                + _PLANNER.format(end=".item()").replace(
                    "        outer.zero_grad()\n",
                    "        for p in planner.parameters():\n            p.grad = torch.randn_like(p) * factor\n",
                )
            }
        ),
        # a method of a method reads the parameter
        Example(
            {
                "src/train.py": _HEAD
                + _HYPER.format(more=" * hyper.rates()", unused="").replace(
                    "\n\n\ndef loss_of",
                    "\n\n    def rates(self):\n        return self.one() * 2\n\n    def one(self):\n        return self.rate.exp()"
                    "\n\n\ndef loss_of",
                )
            }
        ),
        # the module leaves the function
        Example(
            {
                "src/train.py": _HEAD
                + _PLANNER.format(end=".item()").replace("outer.zero", "meta(planner, x)\n        outer.zero")
            }
        ),
        # a value kept for the caller, which differentiates it
        Example(
            {
                "src/train.py": _HEAD
                + _PLANNER.format(end=".item()").replace("outer.zero_grad()", "planner.aux.backward()")
            }
        ),
        # a tensor that is optimized itself
        Example(
            {
                "src/train.py": _HEAD
                + "def fit(f):\n    t = torch.zeros(2, requires_grad=True)\n    opt = torch.optim.SGD([t], lr=0.1)\n"
                "    for _ in range(3):\n        opt.zero_grad()\n        f(t).backward()\n        opt.step()\n    return t.detach()\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + _GRAD.format(context=_OFF, more=", allow_unused=True")},
            at=("src/train.py:11",),
            repaired={"src/train.py": _HEAD + _GRAD.format(context=_ON, more=", allow_unused=True")},
        ),
        Example(
            {"src/train.py": _HEAD + _GRAD.format(context=_OFF, more="")},
            at=("src/train.py:11",),
            repaired={"src/train.py": _HEAD + _GRAD.format(context=_ON, more="")},
        ),
        Example(
            {"src/train.py": _HEAD + _PLANNER.format(end=".item()")},
            at=("src/train.py:17",),
            repaired={"src/train.py": _HEAD + _PLANNER.format(end="")},
        ),
        Example(
            {"src/train.py": _HEAD + _HYPER.format(more="", unused="")},
            at=("src/train.py:21",),
            repaired={"src/train.py": _HEAD + _HYPER.format(more=" * hyper.rate", unused="")},
        ),
        Example(
            {
                "src/train.py": _HEAD + "def fit(model, x):\n    rate = torch.tensor(0.1, requires_grad=True)\n"
                "    outer = torch.optim.SGD([rate], lr=0.1)\n    for _ in range(3):\n        outer.zero_grad()\n"
                "        loss = model(x, rate.item())\n        loss.backward()\n        outer.step()\n\n\nfit(1, 2)\n"
            },
            at=("src/train.py:8",),
            repaired={"src/train.py": _HEAD + "def fit(model, x):\n    model(x, 0.1).backward()\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        uses = code.uses
        for scope in code.scopes.values():
            if scope.function is None:
                continue
            for call in scope.calls:
                asks = scope.file.qualified(call.func) == "torch.autograd.grad"
                if not (asks or is_optimizer_call(scope, call)) or is_dead(scope.file, call, uses):
                    continue
                if not asks:
                    # it may be made in a branch: whenever it is made, this holds
                    yield from self._stepped(code, scope, call)
                elif runs_whenever_called(scope, call):
                    yield from self._asked_for(code, scope, call)

    def _asked_for(self, code: TrainingCode, scope: Scope, call: ast.Call) -> Iterator[Outcome]:
        inputs = call.args[1] if len(call.args) > 1 else keyword(call, "inputs")
        if inputs is None or any(part.arg is None for part in call.keywords):
            return
        unused = keyword(call, "allow_unused") or keyword(call, "materialize_grads")
        if unused is None or (isinstance(unused, ast.Constant) and unused.value is False):
            consequence = Consequence.CRASHES
            effect = "torch.autograd.grad raises: one of the tensors appears not to have been used in the graph."
        else:
            consequence = Consequence.TRAINS_NOTHING
            effect = "Its gradient is always None or zero, so it never changes."
        asked = inputs.elts if isinstance(inputs, ast.Tuple | ast.List) else [inputs]
        for node in asked:
            if not isinstance(node, ast.Name) or not _is_fresh(code, scope, node.id):
                continue
            if reaches_a_graph(code, scope, node.id, [inputs]):
                continue
            used = [item for item in scope.mentions.get(node.id, ()) if code.gradients_off_at(scope, item) is not None]
            place = code.gradients_off_at(scope, used[0]) if used else None
            yield self.finding(
                scope.file.path,
                used[0] if used else call,
                consequence=consequence,
                symbol=scope.file.symbol_of(call),
                subject=node.id,
                reason="it is used only while gradients are off" if place else "no loss is computed from it",
                effect=effect,
            )
        module = _module_of_parameters(inputs)
        if module is not None:
            missing = _unread_parameters(code, scope, module, call)
            if missing:
                yield self.finding(
                    scope.file.path,
                    call,
                    consequence=consequence,
                    symbol=scope.file.symbol_of(call),
                    subject=f"{module}.{missing[0]}",
                    reason="the loss reads other parameters of the module only",
                    effect=effect,
                )

    def _stepped(self, code: TrainingCode, scope: Scope, call: ast.Call) -> Iterator[Outcome]:
        statement = scope.file.parents.get(call)
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or not call.args:
            return
        target = statement.targets[0]
        if not isinstance(target, ast.Name) or not _only_steps(scope, target.id):
            return
        given = call.args[0]
        effect = "The optimizer steps without gradients, and what it should learn keeps its first value."
        module = _module_of_parameters(given)
        if module is not None:
            if not _gives_only_numbers(code, scope, module, statement):
                return
            subject, reason = f"the optimizer over {module}", "everything else sees only plain numbers of it"
        elif isinstance(given, ast.List) and given.elts and all(isinstance(part, ast.Name) for part in given.elts):
            names = [part.id for part in given.elts if isinstance(part, ast.Name)]
            if any(not _is_fresh(code, scope, name) or reaches_a_graph(code, scope, name, [given]) for name in names):
                return
            subject, reason = f"the optimizer over {', '.join(names)}", "the code reads plain numbers of it only"
        else:
            return
        yield self.finding(
            scope.file.path,
            call,
            symbol=scope.file.symbol_of(call),
            subject=subject,
            reason=reason,
            effect=effect,
        )


def _is_fresh(code: TrainingCode, scope: Scope, name: str) -> bool:
    """Whether a local name holds tensors that are made for it alone."""
    bound = scope.bindings.get(name, [])
    if not bound or name in _shared_names(scope):
        return False
    if name in scope.parameters:
        return len(bound) == 1 and _given_fresh(code, scope, name, None)
    return all(item.item is None and not item.augmented and _makes_fresh(code, scope, item.value) for item in bound)


def _makes_fresh(code: TrainingCode, scope: Scope, value: ast.expr | None) -> bool:
    if is_fresh_leaf(scope.file, value):
        return True
    # given.get("name", torch.tensor(..., requires_grad=True))
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute) or value.func.attr != "get":
        return False
    holder = value.func.value
    if not isinstance(holder, ast.Name) or len(value.args) != 2 or not isinstance(value.args[0], ast.Constant):
        return False
    key = value.args[0].value
    only = holder.id in scope.parameters and len(scope.bindings.get(holder.id, [])) == 1
    return (
        only
        and isinstance(key, str)
        and is_fresh_leaf(scope.file, value.args[1])
        and _given_fresh(code, scope, holder.id, key)
    )


def _given_fresh(code: TrainingCode, scope: Scope, name: str, key: str | None) -> bool:
    """Whether every caller makes the tensor in the call itself, as the argument or below a key of a dictionary."""
    found = callers(code, scope)
    if not found:
        return False
    position = scope.parameters.index(name)
    for place, call in found:
        if any(isinstance(part, ast.Starred) for part in call.args) or any(part.arg is None for part in call.keywords):
            return False
        value = call.args[position] if position < len(call.args) else keyword(call, name)
        if key is not None:
            if not isinstance(value, ast.Dict):
                return False
            pairs = zip(value.keys, value.values, strict=True)
            held = [item for one, item in pairs if isinstance(one, ast.Constant) and one.value == key]
            if None in value.keys or (held and not is_fresh_leaf(place.file, held[-1])):
                return False
        elif not is_fresh_leaf(place.file, value):
            return False
    return True


def _shared_names(scope: Scope) -> set[str]:
    return {name for node in scope.nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names}


def _module_of_parameters(node: ast.expr) -> str | None:
    """`planner` for `planner.parameters()` and `list(planner.parameters())`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("list", "tuple"):
        node = node.args[0] if len(node.args) == 1 else node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "parameters":
        held = node.func.value
        return held.id if isinstance(held, ast.Name) and held.id != "self" else None
    return None


def _only_steps(scope: Scope, name: str) -> bool:
    """Whether an optimizer stays in its function, and steps there."""
    steps = False
    if named_in_nested(scope, name):
        return False
    for node in scope.mentions.get(name, ()):
        parent = scope.file.parents.get(node)
        if not isinstance(parent, ast.Attribute) or parent.attr not in _OPTIMIZER_USES:
            return False
        call = scope.file.parents.get(parent)
        if parent.attr == "step":
            if not isinstance(call, ast.Call) or call.args or call.keywords:
                return False
            steps = True
    return steps


def _gives_only_numbers(code: TrainingCode, scope: Scope, module: str, statement: ast.Assign) -> bool:
    """Whether the own module made beside an optimizer hands out nothing that carries a gradient."""
    block = block_of(scope.file, statement)
    bound = [item for item in scope.bindings.get(module, []) if item.node in block]
    if len(bound) != 1 or module in scope.parameters or module in _shared_names(scope):
        return False
    value = bound[0].value
    owner = code.own_class(scope, value.func) if isinstance(value, ast.Call) else None
    if owner is None or not code.is_module(owner) or _trains_itself(code, owner):
        return False
    asked = 0
    if named_in_nested(scope, module):
        return False
    for node in scope.mentions.get(module, ()):
        parent = scope.file.parents.get(node)
        if not isinstance(parent, ast.Attribute) or not isinstance(parent.ctx, ast.Load):
            return False
        if parent.attr in _MODULE_USES:
            if parent.attr.endswith("parameters") and not _is_handed_to_torch(scope, parent):
                # a loop over them may write gradients, or the values themselves
                return False
            continue
        held = code.method(owner, parent.attr)
        call = scope.file.parents.get(parent)
        if held is None:
            # a method that only another branch's module has
            return False
        if not isinstance(call, ast.Call) or call.func is not parent or not _returns_numbers(code, held):
            return False
        asked += 1
    return asked > 0


def _is_handed_to_torch(scope: Scope, method: ast.Attribute) -> bool:
    """Whether `module.parameters()` is the argument of an optimizer or of a function such as `clip_grad_norm_`."""
    given: ast.AST | None = scope.file.parents.get(method)
    call = scope.file.parents.get(given) if given is not None else None
    return isinstance(call, ast.Call) and scope.file.qualified(call.func).startswith(
        ("torch.optim.", "torch.nn.utils.")
    )


def _trains_itself(code: TrainingCode, owner: OwnClass) -> bool:
    """Whether a class differentiates, writes gradients, registers hooks or hands itself out."""
    for item in code.lineage(owner):
        for scope in code.methods(item).values():
            for node in scope.nodes:
                if isinstance(node, ast.Attribute):
                    if node.attr in ("backward", "autograd", "grad") or node.attr.startswith("register_"):
                        return True
                elif isinstance(node, ast.Name) and node.id == "self" and isinstance(node.ctx, ast.Load):
                    if not isinstance(scope.file.parents.get(node), ast.Attribute):
                        return True
                elif isinstance(node, ast.Lambda | FunctionNode) and node is not scope.function:
                    return True
    return False


def _returns_numbers(code: TrainingCode, held: Scope) -> bool:
    """Whether a method returns only values without a graph, and changes nothing that it was given."""
    if held.function is None or held.function.decorator_list:
        return False
    given = set(held.parameters) - {"self"}
    for node in held.nodes:
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return False
        if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
            base: ast.AST = node
            while isinstance(base, ast.Subscript | ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name) and base.id in given:
                return False
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            holder = node.func.value
            changes = node.func.attr.endswith("_") or node.func.attr in ("append", "update", "extend", "add")
            if changes and isinstance(holder, ast.Name) and holder.id in given:
                return False
    return all(part.value is None or code.cut(Frame(held), part.value) is not None for part in held.returns)


def _unread_parameters(code: TrainingCode, scope: Scope, module: str, call: ast.Call) -> list[str]:
    """Parameters of an own module that nothing has read when its gradients are asked for."""
    bound = scope.bindings.get(module, [])
    if len(bound) != 1 or module in scope.parameters or loops_around(scope, call):
        return []
    owners = code.classes_of(scope, bound[0].value)
    if owners is None or len(owners) != 1 or not code.is_module(owners[0]) or len(code.lineage(owners[0])) != 1:
        return []
    start = code.methods(owners[0]).get("__init__")
    if start is None or _trains_itself(code, owners[0]):
        return []
    registered = [
        name
        for name, stores in code.attribute_stores(start).items()
        if len(stores) == 1 and is_fresh_leaf(start.file, stores[0][1]) and runs_whenever_called(start, stores[0][0])
    ]
    read: set[str] = set()
    if not _reads(code, scope, module, read, call, 3):
        return []
    pending = sorted(read)
    for name in pending:
        held = code.method(owners[0], name)
        inner = {node.attr for node in held.nodes if isinstance(node, ast.Attribute)} if held else set()
        pending += sorted(inner - read)
        read |= inner
    return [name for name in registered if name not in read]


def _reads(code: TrainingCode, scope: Scope, name: str, read: set[str], before: ast.Call | None, steps: int) -> bool:
    """Collect the attributes that are read of a module, also in own functions that it is given to; False where unclear."""
    if named_in_nested(scope, name):
        return False
    for node in scope.mentions.get(name, ()):
        if before is not None and (node.lineno > before.lineno or stands_below(scope.file, node, before)):
            continue
        parent = scope.file.parents.get(node)
        if isinstance(parent, ast.Attribute) and isinstance(parent.ctx, ast.Load):
            if parent.attr in ("parameters", "named_parameters", "children", "modules", "state_dict", "__dict__"):
                return False
            read.add(parent.attr)
        elif isinstance(parent, ast.Call) and node in parent.args and steps:
            called = code.called_scope(scope, parent)
            position = parent.args.index(node)
            starred = any(isinstance(part, ast.Starred) for part in parent.args)
            if called is None or starred or position >= len(called.parameters) or code.class_around(called) is not None:
                return False
            inner = called.parameters[position]
            if len(called.bindings.get(inner, [])) != 1 or not _reads(code, called, inner, read, None, steps - 1):
                return False
        else:
            return False
    return True
