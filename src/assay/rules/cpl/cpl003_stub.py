"""CPL003: a function without a body."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.import_time import is_fallback
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value
from assay.finding import Consequence, Finding, Severity
from assay.rules.rule import Example, Outcome, Rule

# Decorators that leave a function what it is. Any other may give an empty body a meaning.
_PLAIN_DECORATORS = frozenset(
    {"staticmethod", "classmethod", "property", "hydra.main", "torch.no_grad", "torch.inference_mode",
     "functools.cache", "functools.lru_cache"}
)  # fmt: skip
_HOOK = re.compile(
    r"on_|log|_log|close|reset|setup|teardown|flush|finish|start|stop|before|after|begin|end|register|extra_repr|noop|"
    r"no_op|null|dummy|__"
)
# A choice by whose name it does nothing: `augment_none`.
_NOTHING = re.compile(r"(?:^|_)(?:none|no|identity|skip|plain|vanilla|nothing|empty|keep|off|disabled|pass)(?:_|$)")
_MEANT = re.compile(
    r"\bno[- ]?ops?\b|\bnothing\b|\bintention|\bdeliberate|\bplease override|\bnot needed\b|\bnot used\b", re.I
)
# What an error says where the method is not meant to be called.
_REFUSES = re.compile(r"\b(?:call|use|instead|not? support\w*|unsupported|cannot|can't|only)\b", re.I)
# Classes that others are built on, and those that stand for the absence of something.
_OPEN_CLASS = re.compile(
    r"Abstract|Base|I[A-Z]|.*(?:Base|Interface|Mixin|Protocol)$|_*(?:Null|No[A-Z]|Noop|Dummy|Fake|Mock|Silent|Disabled)"
)
_WITHOUT_BODIES = frozenset({"Protocol", "ABC", "NamedTuple", "TypedDict"})
_CORE = {"main": "B1.1", "train": "B1.1", "evaluate": "B1.2"}


class StubbedFunction(Rule):
    """A function or method has no body: a docstring, `pass`, `...` or `raise NotImplementedError` is all there is.

    A call of it does nothing and returns None, or raises. A metric, a penalty or a model that stands only as a name
    cannot have an effect on the experiment.

    Left alone are abstract methods, protocols, overloads, methods that a class of the submission overrides, empty
    special methods such as `__init__`, functions under a condition or in an `except` block, and functions with a
    decorator that may give them a meaning. Methods that a library calls, methods of the same name that have a body in
    another class, methods of a null object (`NullWriter`), functions that are handed on as a value, bodies that are
    called a no-op and errors that name another way (`use encode instead`) are a warning: this may be what is meant.
    """

    code = "CPL003"
    name = "stub"
    requirements = ("E1.1", "D4.1", "D2.7", "B1.1", "B1.2")
    message = "`{name}` has no body: {body}"
    explanation = "{effect}."
    repair = "Write the body of `{name}`, or remove it with everything that calls it."

    VALID = (
        Example(
            {
                "src/model.py": (
                    "from abc import ABC, abstractmethod\nfrom typing import Protocol\n\n\n"
                    "class Method(ABC):\n    @abstractmethod\n    def step(self):\n        ...\n\n\n"
                    "class Batch(Protocol):\n    def size(self) -> int: ...\n\n\n"
                    "class DataError(Exception):\n    pass\n"
                )
            }
        ),
        # overridden in another file, and below a base with a parameter
        Example(
            {
                "src/model.py": (
                    "class Method:\n    def step(self):\n        raise NotImplementedError\n\n"
                    "    def __class_getitem__(cls, key):\n        return cls\n"
                ),
                "src/train.py": (
                    "from src.model import Method\n\n\n"
                    "class Slow(Method[int]):\n    def step(self):\n        return 1\n\n\n"
                    "class Slower(Slow):\n    size = 2\n"
                ),
            }
        ),
        # the last branch of a choice, functions under a condition
        Example(
            {
                "src/train.py": (
                    "import os\n\ntry:\n    from tqdm import tqdm\nexcept ImportError:\n    def tqdm(rows):\n        pass\n\n"
                    "if os.environ.get('QUIET'):\n    def show(text):\n        pass\nelse:\n    show = print\n\n\n"
                    "def build(name):\n    if name == 'mlp':\n        return 1\n    raise NotImplementedError(name)\n"
                )
            }
        ),
        # a class that is made by a call
        Example(
            {
                "src/model.py": (
                    "class Penalty:\n    def term(self):\n        raise NotImplementedError\n\n\n"
                    "L2 = type('L2', (Penalty,), {'term': lambda self: 1.0})\n"
                )
            }
        ),
        # a foundation leaves data and model open
        Example({"src/model.py": "def build(name):\n    raise NotImplementedError('model')\n"}, contract="base"),
    )
    INVALID = (
        Example(
            {"src/train.py": "def penalty(x):\n    '''Energy of x.'''\n    pass\n"},
            at=("src/train.py:1",),
            repaired={"src/train.py": "def penalty(x):\n    '''Energy of x.'''\n    return (x * x).sum()\n"},
        ),
        Example(
            {"src/model.py": "class Head:\n    def forward(self, x):\n        raise NotImplementedError\n"},
            contract="derived",
            at=("src/model.py:2",),
            repaired={"src/model.py": "class Head:\n    def forward(self, x):\n        return x\n"},
        ),
        Example(
            {"src/model.py": "import torch\n\n\nclass Net(torch.nn.Module):\n    def forward(self, x): ...\n"},
            at=("src/model.py:5",),
            repaired={
                "src/model.py": "import torch\n\n\nclass Net(torch.nn.Module):\n    def forward(self, x): return x\n"
            },
        ),
        Example(
            {"src/train.py": "def train(cfg):\n    raise NotImplementedError\n"},
            contract="base",
            at=("src/train.py:1",),
            repaired={"src/train.py": "def train(cfg):\n    return cfg\n"},
        ),
        # doing nothing may be meant: warnings
        Example(
            {
                "src/train.py": (
                    "def augment_none(x):\n    'As it is.'\n\n\ndef augment_noise(x):\n    x.mul_(0.9)\n\n\n"
                    "augment = globals()['augment_' + kind]\naugment(x)\n"
                )
            },
            at=("src/train.py:1",),
        ),
        Example(
            {"src/train.py": "class NullWriter:\n    def add_scalar(self, *values):\n        pass\n"},
            at=("src/train.py:2",),
        ),
        Example(
            {
                "src/model.py": (
                    "import torch\n\n\nclass Coder(torch.nn.Module):\n    def forward(self, x):\n"
                    "        raise NotImplementedError('call encode or decode')\n"
                )
            },
            at=("src/model.py:5",),
        ),
        Example(
            {
                "src/train.py": (
                    "from transformers import TrainerCallback\n\n\n"
                    "class Quiet(TrainerCallback):\n    def on_log(self, args, state, control):\n        pass\n"
                )
            },
            at=("src/train.py:5",),
        ),
        Example(
            {
                "src/train.py": (
                    "class Fixed:\n    def update(self, loss):\n        pass\n\n\n"
                    "class Adaptive:\n    def update(self, loss):\n        self.rate = loss\n"
                )
            },
            at=("src/train.py:2",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        classes = _Classes(project)
        base = project.contract.family == "base"
        roles = {project.contract.role(role): row for role, row in _CORE.items()}
        for path, file in project.python.items():
            if file.tree is None or (base and path not in roles):
                continue
            for function in file.functions:
                body = _stub_body(function)
                if body is None or _has_meaning(file, function):
                    continue
                certain = classes.judge(file, function, raises=body.startswith("raise"))
                if certain is None:
                    continue
                if base and not re.match(r"train|evaluate|main|run|fit|test", function.name):
                    certain = False
                yield self._finding(file, function, body, certain, roles.get(path))

    def _finding(self, file: PythonFile, function: FunctionNode, body: str, certain: bool, row: str | None) -> Finding:
        rows = ("E1.1", "D4.1", "D2.7", *([row] if row else []))
        raises = body.startswith("raise")
        effect = "A call of it raises NotImplementedError" if raises else "A call of it does nothing and returns None"
        return self.finding(
            file.path,
            function.lineno,
            severity=Severity.BLOCKING if certain else Severity.WARNING,
            consequence=Consequence.BREAKS_CONTRACT,
            requirements=rows,
            symbol=file.symbol_of(function),
            name=file.symbol_of(function),
            body=body,
            effect=effect if certain else f"{effect}, which may be meant",
        )


def _stub_body(function: FunctionNode) -> str | None:
    """What stands in place of a body, in words; None where there is one."""
    docstring = ast.get_docstring(function, clean=False) is not None
    rest = function.body[1:] if docstring else function.body
    if not rest:
        return "only a docstring"
    shown = ""
    for statement in rest:
        if isinstance(statement, ast.Pass):
            shown = shown or "`pass`"
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            shown = shown or ("`...`" if statement.value.value is Ellipsis else "a constant")
        elif isinstance(statement, ast.Raise) and _raises_not_implemented(statement):
            shown = "raise NotImplementedError"
        else:
            return None
    return shown


def _raises_not_implemented(statement: ast.Raise) -> bool:
    error = statement.exc.func if isinstance(statement.exc, ast.Call) else statement.exc
    return isinstance(error, ast.Name) and error.id == "NotImplementedError"


def _has_meaning(file: PythonFile, function: FunctionNode) -> bool:
    """Whether a decorator, a condition or the name gives an empty body a meaning."""
    for decorator in function.decorator_list:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        if file.qualified(called) not in _PLAIN_DECORATORS:
            return True
    if function.name.startswith("__") and function.name.endswith("__"):
        return True
    parent = file.parents.get(function)
    return not isinstance(parent, ast.Module | ast.ClassDef | FunctionNode) or is_fallback(file, function)


class _Classes:
    """What the classes of a submission say of a method without a body."""

    def __init__(self, project: Project) -> None:
        self.bodies: set[str] = set()  # methods that have a body in some class
        self.extended: set[str] = set()  # classes that another one is built on
        self.handed_on: set[str] = set()  # names that are used without being called
        for file in project.python.values():
            called = {call.func for call, _ in file.calls}
            for node in file.nodes_of(ast.Name, ast.Attribute):
                if node not in called:
                    self.handed_on.add(node.id if isinstance(node, ast.Name) else node.attr)
            # `type("Slow", (Method,), {...})`
            for call, name in file.calls:
                if name in ("type", "types.new_class") and len(call.args) > 1:
                    made = [node for node in descend(call) if isinstance(node, ast.Name | ast.Attribute)]
                    self.extended.update(file.qualified(node).rpartition(".")[2] for node in made)
                    self.bodies.update(text for node in descend(call) if (text := string_value(node)))
            for kind in file.classes:
                methods = [item for item in kind.body if isinstance(item, FunctionNode)]
                self.bodies.update(method.name for method in methods if _stub_body(method) is None)
                bases = [base.value if isinstance(base, ast.Subscript) else base for base in kind.bases]
                self.extended.update(file.qualified(base).rpartition(".")[2] for base in bases)

    def judge(self, file: PythonFile, function: FunctionNode, *, raises: bool) -> bool | None:
        """Whether a body is certainly missing (True), perhaps (False), or has no need to be there (None)."""
        around = file.parents.get(function)
        text = "\n".join(file.lines[function.lineno - 1 : min(function.end_lineno or 0, function.lineno + 30)])
        meant = bool(_MEANT.search(text) or _HOOK.match(function.name) or _NOTHING.search(function.name))
        if not isinstance(around, ast.ClassDef):
            nested = isinstance(around, FunctionNode)
            return raises or not (meant or nested or function.name in self.handed_on)
        bases = {file.qualified(base).rpartition(".")[2] for base in around.bases}
        overridden = around.name in self.extended and function.name in self.bodies
        if overridden or around.keywords or bases & {*_WITHOUT_BODIES, ""}:
            return None
        if _OPEN_CLASS.match(around.name) or (raises and _REFUSES.search(text.partition("NotImplementedError(")[2])):
            return False
        if function.name == "forward" and bases & {"Module", "LightningModule"}:
            return True
        return not bases and (raises or not (meant or function.name in self.bodies))
