"""TRN014: a layer is built in a module and never used."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.python_source import string_value
from assay.analysis.tensor_values import OwnClass, TrainingCode, training_code
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_BY_TURNS = frozenset(
    {"children", "modules", "named_children", "named_modules", "_modules", "__dict__", "get_submodule", "__getattr__"}
)
_NO_LAYER = frozenset({"Parameter", "Module", "CrossEntropyLoss", "Identity"})
_HEAD = "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
_BODY = "        self.fc = nn.Linear(4, 4)\n        self.gate = nn.Linear(4, 4)\n\n    def forward(self, x):\n        return {end}\n\n\nNet()\n"


class ModuleNeverCalled(Rule):
    """A module's constructor makes a layer, and no line of the submission reads it.

    Its parameters are counted, stored and given to the optimizer, and have no effect on any output. Where the layer is
    the method's own, the method is not there. The rule looks at classes that derive from `torch.nn.Module` directly or
    through own classes; classes that go through their children, or read attributes by name, are left alone.
    """

    code = "TRN014"
    name = "module-never-called"
    requirements = ("E1.3", "E4.1", "D1.3", "D2.5", "B1.1")
    severity = Severity.WARNING
    message = "self.{name} is built and never used"
    explanation = "Its parameters take part in nothing: no output and no gradient depends on them."
    repair = "Use self.{name} in forward, or leave it out."

    VALID = (
        Example({"src/model.py": _HEAD + _BODY.format(end="self.gate(self.fc(x))")}),
        # another class or file uses it
        Example(
            {
                "src/model.py": _HEAD + _BODY.format(end="self.fc(x)"),
                "src/train.py": "from src.model import Net\n\nNet().gate(1)\n",
            }
        ),
        Example({"src/model.py": _HEAD + _BODY.format(end="getattr(self, 'gate')(self.fc(x))")}),
        Example({"src/model.py": _HEAD + _BODY.format(end="[m(x) for m in self.children()]")}),
        # named in another way
        Example({"src/model.py": _HEAD + _BODY.format(end="self.fc(x)") + "TARGETS = ['gate']\n"}),
        # a library's forward uses it
        Example(
            {
                "src/model.py": "import torchvision\n"
                + _HEAD.replace("nn.Module", "torchvision.models.ResNet")
                + _BODY.format(end="self.fc(x)")
            }
        ),
    )
    INVALID = (Example({"src/model.py": _HEAD + _BODY.format(end="self.fc(x)")}, at=("src/model.py:9",)),)

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        if any(file.tree is None for file in project.python.values()):
            return
        read: set[str] = set()
        for file in code.files:
            for node in file.nodes:
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                    read.add(node.attr)
                elif text := string_value(node):
                    read.update(text[:500].replace(".", " ").split())
        uses = code.uses
        for held in code.classes.values():
            for owner in held:
                if uses[owner.node.name] and _is_plain_module(code, owner):
                    yield from self._in_class(code, owner, read)

    def _in_class(self, code: TrainingCode, owner: OwnClass, read: set[str]) -> Iterator[Outcome]:
        start = code.methods(owner).get("__init__")
        if start is None:
            return
        for name, stores in code.attribute_stores(start).items():
            statement, value = stores[0]
            if name in read or len(stores) != 1 or not isinstance(value, ast.Call):
                continue
            made = start.file.qualified(value.func)
            layer = made.startswith("torch.nn.") and made.count(".") == 2 and made[9:] not in _NO_LAYER
            own = code.own_class(start, value.func)
            if (layer and not made.endswith("Loss")) or (own is not None and code.is_module(own)):
                yield self.finding(start.file.path, statement, symbol=start.file.symbol_of(statement), name=name)


def _is_plain_module(code: TrainingCode, owner: OwnClass) -> bool:
    """Whether all of a class's bases are known and none goes through its attributes by other means than their names."""
    for item in code.lineage(owner):
        for base in item.node.bases:
            own = code.own_class(code.scopes[item.file, None], base)
            if own is None and item.file.qualified(base) not in (
                "torch.nn.Module",
                "torch.nn.modules.Module",
                "abc.ABC",
            ):
                return False
        for scope in code.methods(item).values():
            for node in scope.nodes:
                if isinstance(node, ast.Attribute) and node.attr in _BY_TURNS:
                    return False
                if isinstance(node, ast.Call) and _reads_any_name(node):
                    return False
    return code.is_module(owner)


def _reads_any_name(call: ast.Call) -> bool:
    """`getattr(self, name)` with a name that is not spelled out, or `vars(self)`."""
    if not isinstance(call.func, ast.Name) or call.func.id not in ("getattr", "vars"):
        return False
    return len(call.args) < 2 or not isinstance(call.args[1], ast.Constant)
