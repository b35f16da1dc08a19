"""API004: a function or class of the submission is called with arguments that do not fit."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.import_time import catches
from assay.analysis.library_references import LibraryReferences
from assay.analysis.own_callables import OwnCallables, misfit
from assay.analysis.project import Project
from assay.finding import Consequence, Frame
from assay.rules.rule import Example, Outcome, Rule

_MODEL = "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, width, depth=2):\n        super().__init__()\n        self.layer = nn.Linear(width, depth)\n\n    def forward(self, x):\n        return self.layer(x)\n"
_TYPE_ERROR = frozenset({"TypeError", "Exception", "BaseException"})


class ArgumentsOfOwnCall(Rule):
    """A function, method or class of the submission is called with arguments that its definition does not take.

    A required argument is missing, there are too many, or a keyword has no parameter: the call raises TypeError. It
    happens when one file is rewritten and its callers are not. Only calls are looked at whose target the text settles:
    plain functions, methods called on `self` or on an object that was made by a constructor, `forward` of modules.
    Decorated, rebound and overridden definitions are left out, and so are calls with `*` or `**`.
    """

    code = "API004"
    name = "arguments-of-own-call"
    requirements = ("E1.2", "D4.1", "B4.8")
    consequence = Consequence.CRASHES
    message = "The call of `{callee}` does not fit its definition in {where}: {how}"
    explanation = "This raises TypeError as soon as the call is made."
    repair = "Make the call fit `{callee}`, or `{callee}` fit the call."

    VALID = (
        Example(
            {
                "src/model.py": _MODEL,
                "src/main.py": "from src.model import Net\n\nnet = Net(3, depth=4).to('cpu')\nprint(net([1]))\n",
            }
        ),
        Example(
            {
                "src/main.py": "def load(path, *more, sep=',', **rest):\n    return path\n\n\nload('a', 1, 2, sep=';', other=3)\n"
            }
        ),
        Example(
            {
                "src/main.py": "import hydra\n\n\n@hydra.main(version_base=None)\ndef main(cfg):\n    print(cfg)\n\n\nmain()\n"
            }
        ),
        Example(
            {
                "src/main.py": "def load(a):\n    return a\n\n\nif len('x') > 1:\n\n    def load(a, b):\n        return b\n\n\nload(1, 2)\n"
            }
        ),
        Example(
            {
                "src/main.py": "def run(step):\n    return step(1, 2)\n\n\ndef step(a):\n    return a\n\n\nrun(print)\nargs = (1,)\nstep(*args)\n"
            }
        ),
        Example(
            {
                "src/main.py": "class Base:\n    def go(self):\n        return self.step(1)\n\n    def step(self):\n        raise NotImplementedError\n\n\nclass Left(Base):\n    def step(self, by):\n        return by\n\n\nprint(Left().go())\n"
            }
        ),
        Example(
            {
                "src/main.py": "from dataclasses import dataclass, field\n\n\n@dataclass\nclass Setup:\n    name: str\n    sizes: list = field(default_factory=list)\n\n\nprint(Setup('a'), Setup(name='b', sizes=[1]))\n"
            }
        ),
        Example(
            {
                "src/main.py": "class Meta(type):\n    def __call__(cls, *args):\n        return 1\n\n\nclass A(metaclass=Meta):\n    def __init__(self):\n        self.x = 1\n\n\nA(1, 2)\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/model.py": _MODEL, "src/main.py": "from src.model import Net\n\nnet = Net(3, hidden=4)\n"},
            at=("src/main.py:3",),
            repaired={"src/main.py": "from src.model import Net\n\nnet = Net(3, depth=4)\n"},
        ),
        Example(
            {
                "src/model.py": _MODEL,
                "src/main.py": "from src.model import Net\n\nnet = Net(3).cpu()\nprint(net([1], [2]))\n",
            },
            at=("src/main.py:4",),
            repaired={"src/main.py": "from src.model import Net\n\nnet = Net(3).cpu()\nprint(net([1]))\n"},
        ),
        Example(
            {
                "src/main.py": "from src import preprocess\n\npreprocess.load('a')\n",
                "src/preprocess.py": "def load(name, split):\n    return name, split\n",
            },
            at=("src/main.py:3",),
            repaired={"src/main.py": "from src import preprocess\n\npreprocess.load('a', 'train')\n"},
        ),
        Example(
            {
                "src/main.py": "class Meter:\n    def add(self, value):\n        self.last = value\n\n    def twice(self, value):\n        self.add(value, value)\n\n\nMeter().twice(1)\n"
            },
            at=("src/main.py:6",),
            repaired={
                "src/main.py": "class Meter:\n    def add(self, value):\n        self.last = value\n\n    def twice(self, value):\n        self.add(value)\n\n\nMeter().twice(1)\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        own = project.shared(OwnCallables)
        references = project.shared(LibraryReferences)
        for file in project.python.values():
            for call, _ in file.calls:
                callee = own.callee(file, call)
                how = misfit(callee, call) if callee is not None else ""
                if callee is None or not how or catches(file, call, _TYPE_ERROR):
                    continue
                severity, consequence = references.weight(file, call)
                line = callee.node.lineno if callee.node is not None else 1
                yield self.finding(
                    file.path,
                    call,
                    severity=severity,
                    consequence=consequence,
                    symbol=callee.name,
                    callee=callee.name,
                    where=callee.file.path,
                    how=how,
                    frames=(Frame(callee.file.path, line),),
                )
