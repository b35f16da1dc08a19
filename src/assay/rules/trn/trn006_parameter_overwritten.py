"""TRN006: an `nn.Parameter` of a module is assigned a plain tensor."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.tensor_values import OwnClass, Scope, TrainingCode, is_fresh_leaf, training_code
from assay.analysis.training_loops import runs_whenever_called
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_PLAIN_METHODS = frozenset(
    {
        "abs", "add", "clamp", "clone", "cos", "detach", "div", "exp", "expand", "flatten", "float", "log", "matmul",
        "mean", "mul", "neg", "permute", "pow", "repeat", "sigmoid", "sin", "softmax", "sqrt", "square", "sub", "sum",
        "tanh", "transpose", "unsqueeze",
    }
)  # fmt: skip
# Classes of torch.nn whose forward returns something else than a tensor.
_NO_TENSOR = frozenset({"Identity", "Module", "ModuleList", "ModuleDict", "Sequential", "Parameter", "ParameterList"})
_HANDLERS = frozenset({"__setattr__", "__getattr__", "register_parameter", "_parameters", "delattr", "__delattr__"})
_HEAD = "import torch\nfrom torch import nn\n\n\nclass Planner(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
_STATE = _HEAD + "        self.state = nn.Parameter(torch.zeros(4))\n        self.cell = nn.Linear(4, 4)\n\n"
# the method that overwrites is used
_STEP = "\n\ndef run(planner):\n    planner.step(1)\n"


class ParameterOverwritten(Rule):
    """A module registers `self.x = nn.Parameter(...)` and later assigns a tensor to `self.x`.

    `nn.Module` refuses this: `cannot assign 'torch.FloatTensor' as parameter 'x' (torch.nn.Parameter or None
    expected)`. Recurrent state belongs in a buffer or a plain attribute; a manual update changes the parameter in place,
    under `torch.no_grad()`. Only values that are certainly tensors count: arithmetic, functions of torch, outputs of
    layers.
    """

    code = "TRN006"
    name = "parameter-overwritten"
    requirements = ("X2", "E1.3", "D2.5", "B1.1")
    consequence = Consequence.CRASHES
    message = "self.{name} is an nn.Parameter, and a plain tensor is assigned to it"
    explanation = "nn.Module raises TypeError: it takes only an nn.Parameter or None under a registered name."
    repair = "Keep the changing value under another name, or change the parameter in place under torch.no_grad()."

    VALID = (
        Example(
            {
                "src/model.py": _STATE
                + "    def step(self):\n        h = self.cell(self.state)\n        return h.mean()\n"
            }
        ),
        # in place, or as a parameter again
        Example(
            {
                "src/model.py": _STATE + "    @torch.no_grad()\n    def step(self, g):\n        self.state -= 0.1 * g\n"
                "        self.state.copy_(self.state - g)\n        self.state.data = self.state.data - g\n"
                "        self.state = nn.Parameter(self.state - g)\n        self.state = None\n"
            }
        ),
        # the name is freed first
        Example(
            {
                "src/model.py": _STATE + "    def bake(self):\n        w = self.state * 2\n        del self.state\n"
                "        self.state = w * 2\n"
            }
        ),
        # a parameter in one case, a tensor in the other
        Example(
            {
                "src/model.py": _HEAD + "        if learn:\n            self.state = nn.Parameter(torch.zeros(4))\n"
                "        else:\n            self.state = torch.zeros(4) * 2\n"
            }
        ),
        # what is assigned may be a parameter
        Example({"src/model.py": _STATE + "    def tie(self, other):\n        self.state = other.weight\n"}),
        # not a module
        Example(
            {
                "src/model.py": "import torch\nfrom torch import nn\n\n\nclass Bag:\n    def __init__(self):\n"
                "        self.w = nn.Parameter(torch.zeros(4))\n\n    def step(self):\n        self.w = self.w * 2\n"
            }
        ),
    )
    INVALID = (
        Example(
            {
                "src/model.py": _STATE
                + "    def step(self):\n        self.state = self.cell(self.state)\n        return 1\n"
                + _STEP
            },
            at=("src/model.py:12",),
            repaired={
                "src/model.py": _STATE
                + "    def step(self):\n        state = self.cell(self.state)\n        return 1\n"
                + _STEP
            },
        ),
        Example(
            {"src/model.py": _STATE + "    def step(self, g):\n        self.state = self.state - 0.1 * g\n" + _STEP},
            at=("src/model.py:12",),
            repaired={
                "src/model.py": _STATE + "    def step(self, g):\n        with torch.no_grad():\n"
                "            self.state.sub_(0.1 * g)\n" + _STEP
            },
        ),
        # only where a condition holds: a warning
        Example(
            {
                "src/model.py": _STATE + "    def forward(self, x):\n        if self.training:\n"
                "            self.state = torch.tanh(self.state)\n        return x\n"
            },
            at=("src/model.py:13",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        uses = code.uses
        for held in code.classes.values():
            for owner in held:
                if code.is_module(owner) and not _handles_names(code, owner):
                    yield from self._in_class(code, owner, uses)

    def _in_class(self, code: TrainingCode, owner: OwnClass, uses: dict[str, int]) -> Iterator[Outcome]:
        registered = _registered(code, owner)
        for name, scope in code.methods(owner).items():
            for attribute, stores in code.attribute_stores(scope).items():
                made = registered.get(attribute)
                if made is None:
                    continue
                for statement, value in stores:
                    if not isinstance(statement, ast.Assign | ast.AnnAssign) or not _is_tensor(code, scope, value):
                        continue
                    first = name == "__init__" and getattr(made, "lineno", 0) >= statement.lineno
                    if first and owner.file is scope.file:
                        continue
                    used = name.startswith("__") or name == "forward" or uses[name] > 0
                    certain = used and runs_whenever_called(scope, statement)
                    yield self.finding(
                        scope.file.path,
                        statement,
                        severity=None if certain else Severity.WARNING,
                        symbol=scope.file.symbol_of(statement),
                        name=attribute,
                    )


def _handles_names(code: TrainingCode, owner: OwnClass) -> bool:
    """Whether a class, or its bases, removes or registers attributes in ways of its own."""
    for item in code.lineage(owner):
        for scope in code.methods(item).values():
            if scope.function is not None and scope.function.name in _HANDLERS:
                return True
            for node in scope.nodes:
                name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
                if isinstance(node, ast.Delete) or name in _HANDLERS:
                    return True
                if isinstance(node, ast.Attribute) and "parametri" in node.attr:
                    return True
    return False


def _registered(code: TrainingCode, owner: OwnClass) -> dict[str, ast.AST]:
    """The attributes that the constructor certainly registers as parameters, with the statement."""
    found: dict[str, ast.AST] = {}
    start = code.methods(owner).get("__init__")
    if start is None:
        return found
    for name, stores in code.attribute_stores(start).items():
        made = [(node, is_fresh_leaf(start.file, value) and _is_parameter(start, value)) for node, value in stores]
        if made and made[0][1] and runs_whenever_called(start, made[0][0]):
            found[name] = made[0][0]
    return found


def _is_parameter(scope: Scope, value: ast.expr | None) -> bool:
    return isinstance(value, ast.Call) and scope.file.qualified(value.func).endswith("Parameter")


def _is_tensor(code: TrainingCode, scope: Scope, value: ast.expr | None, steps: int = 6) -> bool:
    """Whether a value is certainly a tensor and no parameter."""
    if value is None or steps <= 0:
        return False
    if isinstance(value, ast.BinOp):
        return _is_own_tensor(code, scope, value, steps)
    if not isinstance(value, ast.Call):
        return False
    func = value.func
    name = scope.file.qualified(func)
    if name.startswith("torch.nn.functional."):
        return True
    if name.startswith("torch.") and name.count(".") == 1:
        return name[6:7].islower() and name not in ("torch.load", "torch.compile", "torch.jit")
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name) and func.value.id == "self":
        return _is_layer(code, scope, func.attr, steps)
    if isinstance(func, ast.Attribute) and func.attr in _PLAIN_METHODS:
        return _is_own_tensor(code, scope, func.value, steps)
    return False


def _is_own_tensor(code: TrainingCode, scope: Scope, value: ast.expr, steps: int) -> bool:
    """Whether an expression has one of the class's own parameters, or a certain tensor, in it."""
    pending: list[ast.expr] = [value]
    owner = code.class_around(scope)
    registered = _registered(code, owner) if owner else {}
    for part in pending:
        if isinstance(part, ast.BinOp):
            pending += [part.left, part.right]
        elif isinstance(part, ast.UnaryOp):
            pending.append(part.operand)
        elif isinstance(part, ast.Attribute) and part.attr == "data":
            pending.append(part.value)
        elif isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self":
            if part.attr in registered:
                return True
        elif _is_tensor(code, scope, part, steps - 1):
            return True
    return False


def _is_layer(code: TrainingCode, scope: Scope, attribute: str, steps: int) -> bool:
    """Whether `self.<attribute>` is a layer that returns a tensor."""
    owner = code.class_around(scope)
    values = code.attribute_values(owner, attribute) if owner else []
    if not values:
        return False
    for place, value in values:
        names = code.constructed(place, value)
        if names:
            if not all(n.startswith("torch.nn.") and n.count(".") == 2 and n[9:] not in _NO_TENSOR for n in names):
                return False
            continue
        owners = code.classes_of(place, value) or []
        if not owners:
            return False
        for item in owners:
            forward = code.method(item, "forward")
            if forward is None or not forward.returns or not code.is_module(item):
                return False
            if not all(_returns_tensor(code, forward, part.value, steps - 1) for part in forward.returns):
                return False
    return True


def _returns_tensor(code: TrainingCode, scope: Scope, value: ast.expr | None, steps: int) -> bool:
    """Whether what a forward returns is certainly a tensor: itself, or the name of one."""
    if isinstance(value, ast.Name):
        bound = scope.bindings.get(value.id, [])
        return bool(bound) and all(
            item.item is None and not item.augmented and _is_tensor(code, scope, item.value, steps) for item in bound
        )
    return _is_tensor(code, scope, value, steps)
