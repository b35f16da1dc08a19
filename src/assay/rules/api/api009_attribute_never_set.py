"""API009: an attribute of an own class that nothing sets."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.library_interface import distribution_of, members
from assay.analysis.library_references import LibraryReferences
from assay.analysis.own_callables import MODULE, OwnCallables, OwnClass
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, children, descend
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule

# Bases whose members are known, by the class that has them in the tables; empty where they add none.
_BASES = {
    "object": "", "abc.ABC": "", MODULE: MODULE, "torch.utils.data.Dataset": "torch.utils.data.Dataset",
    "torch.utils.data.IterableDataset": "torch.utils.data.Dataset",
}  # fmt: skip
_REGISTER = frozenset({"register_buffer", "register_parameter", "register_module", "add_module"})
# What `nn.Module` gives every object in its constructor (torch/nn/modules/module.py of torch 2.9).
_OF_MODULES = frozenset(
    {
        "training", "__class__", "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set",
        "_backward_pre_hooks", "_backward_hooks", "_is_full_backward_hook", "_forward_hooks",
        "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs", "_state_dict_hooks", "_state_dict_pre_hooks",
        "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
    }
)  # fmt: skip
_LOOKS = frozenset(
    {
        "super",
        "len",
        "print",
        "isinstance",
        "str",
        "repr",
        "type",
        "id",
        "hash",
        "iter",
        "hasattr",
        "getattr",
        "list",
        "next",
        "sum",
        "enumerate",
        "issubclass",
        "callable",
        "bool",
        "float",
        "int",
    }
)
_OPENERS = frozenset({"vars", "exec", "eval", "locals", "globals"})


class AttributeNeverSet(Rule):
    """A method reads `self.x`, and nothing in the submission ever sets an attribute of that name.

    Reading it raises AttributeError. It happens where `__init__` was shortened or an attribute was renamed in one place
    only. A class counts whose bases are its own, or `torch.nn.Module` and `Dataset`, whose members are known. Where an
    attribute may be set by its name as text (`setattr`, `register_buffer`, `__dict__`), nothing is said.
    """

    code = "API009"
    name = "attribute-never-set"
    requirements = ("E1.2", "D4.1", "B4.8")
    consequence = Consequence.CRASHES
    message = "`self.{name}` is read in class {owner}, and nothing sets `{name}`"
    explanation = "This raises AttributeError as soon as the line runs."
    repair = "Set `self.{name}` in `__init__`, or read the attribute that is meant."

    VALID = (
        Example(
            {
                "src/model.py": "class Meter:\n    def __init__(self):\n        self.total = 0\n\n    def read(self):\n        return self.total\n"
            }
        ),
        Example(
            {
                "src/model.py": "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.register_buffer('scale', None)\n\n    def forward(self, x):\n        return x * self.scale if self.training else x\n"
            }
        ),
        Example(
            {
                "src/model.py": "class Box:\n    def __init__(self, **items):\n        self.__dict__.update(items)\n\n    def read(self):\n        return self.total\n"
            }
        ),
        Example(
            {
                "src/model.py": "class Box:\n    def read(self):\n        return self.total\n",
                "src/main.py": "from src.model import Box\n\nbox = Box()\nbox.total = 1\nprint(box.read())\n",
            }
        ),
        Example(
            {
                "src/model.py": "class Loop:\n    def run(self):\n        return self.step()\n\n\nclass Short(Loop):\n    def step(self):\n        return 1\n"
            }
        ),
        # a library sets attributes of the object that it is given
        Example(
            {
                "src/model.py": "import argparse\n\n\nclass Options:\n    def __init__(self, arguments):\n"
                "        parser = argparse.ArgumentParser()\n        parser.add_argument('--batch-size')\n"
                "        parser.parse_args(arguments, namespace=self)\n\n    def read(self):\n        return self.batch_size\n"
            }
        ),
        Example(
            {
                "src/model.py": "class Frozen:\n    def __init__(self, **given):\n        for key, value in given.items():\n"
                "            object.__setattr__(self, key, value)\n\n    def read(self):\n        return self.total\n"
            }
        ),
        # what every module has
        Example(
            {
                "src/model.py": "from torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n"
                "        return x * len(self._parameters)\n"
            }
        ),
        Example(
            {
                "src/model.py": "from somewhere import Base\n\n\nclass Box(Base):\n    def read(self):\n        return self.total\n"
            }
        ),
    )
    INVALID = (
        Example(
            {
                "src/model.py": "class Meter:\n    def __init__(self):\n        self.total = 0\n\n    def read(self):\n        return self.sum\n"
            },
            at=("src/model.py:6",),
            repaired={
                "src/model.py": "class Meter:\n    def __init__(self):\n        self.total = 0\n\n    def read(self):\n        return self.total\n"
            },
        ),
        Example(
            {
                "src/model.py": "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.layer = nn.Linear(2, 2)\n\n    def forward(self, x):\n        return self.head(self.layer(x))\n"
            },
            at=("src/model.py:10",),
            repaired={
                "src/model.py": "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.layer = nn.Linear(2, 2)\n        self.head = nn.Linear(2, 2)\n\n    def forward(self, x):\n        return self.head(self.layer(x))\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        files = [file for file in project.python.values() if file.tree is not None]
        if len(files) < len(project.python) or any(_sets_by_name(file) for file in files):
            return
        known = frozenset(name for file in files for name in _names_given(file))
        own = project.shared(OwnCallables)
        references = project.shared(LibraryReferences)
        seen: set[tuple[str, str]] = set()
        for owner in own.classes:
            members = self._members(own, owner)
            if members is None:
                continue
            for node in _reads(owner):
                name = node.attr
                if name in known or name in members or name.startswith("__") or (owner.node.name, name) in seen:
                    continue
                if references.is_expected(owner.file, node, name):
                    continue
                seen.add((owner.node.name, name))
                severity, consequence = references.weight(owner.file, node)
                yield self.finding(
                    owner.file.path,
                    node,
                    severity=severity,
                    consequence=consequence,
                    symbol=f"{owner.node.name}.{name}",
                    name=name,
                    owner=owner.node.name,
                )

    def _members(self, own: OwnCallables, owner: OwnClass) -> frozenset[str] | None:
        """What the library bases of a class, and of the classes derived from it, bring; None where that is not known."""
        found: set[str] = set()
        related = [owner, *own.derived(owner)]
        for one in related:
            chain, libraries, plain = own.chain(one)
            if not plain or not libraries <= _BASES.keys():
                return None
            if any(own.defines(one, name) for name in ("__getattr__", "__getattribute__", "__slots__")):
                return None
            for base in libraries:
                place = _BASES[base]
                stretches = members(distribution_of(place), place) if place else ()
                if place and not stretches:
                    return None
                found.update(name for stretch in stretches for name in stretch.names)
            if any(item.node.decorator_list for item in chain) or any(_hands_itself_over(own, item) for item in chain):
                return None
        return frozenset(found) | _OF_MODULES


def _hands_itself_over(own: OwnCallables, owner: OwnClass) -> bool:
    """Whether a class gives `self` to something that is not the submission's own: it may set attributes.

    `parser.parse_args(namespace=self)` and `weight_norm(self)` do.
    """
    for node in descend(owner.node):
        if not isinstance(node, ast.Call):
            continue
        given = [*node.args, *(item.value for item in node.keywords)]
        if not any(isinstance(value, ast.Name) and value.id == "self" for value in given):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in _LOOKS:
            continue
        # `Base.__init__(self)`
        if isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
            continue
        if own.definition(owner.file, node.func) is None and own.callee(owner.file, node) is None:
            return True
    return False


def _reads(owner: OwnClass) -> Iterator[ast.Attribute]:
    """The attributes of `self` that the methods of a class read."""
    for method in owner.node.body:
        if not isinstance(method, FunctionNode) or not method.args.args or method.args.args[0].arg != "self":
            continue
        if any(owner.file.qualified(item) in ("staticmethod", "classmethod") for item in method.decorator_list):
            continue
        pending: list[ast.AST] = list(method.body)
        while pending:
            node = pending.pop()
            if isinstance(node, ast.ClassDef):
                continue
            if isinstance(node, FunctionNode | ast.Lambda) and any(item.arg == "self" for item in node.args.args):
                continue
            own = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
            if own and isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                yield node
            pending += children(node)


_NAMING = (
    ast.Attribute, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Name, ast.Constant, ast.alias
)  # fmt: skip


def _names_given(file: PythonFile) -> Iterator[str]:
    """Every name that a file may give to an attribute: stores, definitions in classes, and names written as text."""
    for node in file.nodes_of(*_NAMING):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            yield node.attr
        elif isinstance(node, FunctionNode | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            if any(isinstance(up, ast.ClassDef) for up in file.ancestors(node)):
                yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            yield node.value
        elif isinstance(node, ast.alias):
            yield node.asname or node.name


def _sets_by_name(file: PythonFile) -> bool:
    """Whether a file may set attributes whose names its text does not show."""
    for node in file.nodes_of(ast.Attribute, ast.Call):
        if isinstance(node, ast.Attribute) and node.attr == "__dict__":
            return True
        if isinstance(node, ast.Call):
            name = file.qualified(node.func)
            last = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if last == "__setattr__" and not (len(node.args) > 1 and isinstance(node.args[-2], ast.Constant)):
                return True
            if name == "type" and len(node.args) == 3:
                return True
            if name == "setattr" and (len(node.args) < 2 or not isinstance(node.args[1], ast.Constant)):
                return True
            if name.rpartition(".")[2] in _REGISTER and not (node.args and isinstance(node.args[0], ast.Constant)):
                return True
            if name in _OPENERS:
                return True
    return False
