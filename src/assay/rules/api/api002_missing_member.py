"""API002: a member that an object does not have."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.library_interface import LibraryInterface
from assay.analysis.library_references import LibraryReferences
from assay.analysis.object_types import ObjectTypes, builtin_members
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend
from assay.analysis.replaced_interfaces import remedy
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule


def _project(*requirements: str) -> str:
    listed = ", ".join(f'"{text}"' for text in requirements)
    return f'[project]\nname = "a"\nversion = "0.1.0"\nrequires-python = ">=3.11"\ndependencies = [{listed}]\n'


_OBJECTIVE = """import optuna


def objective(trial):
    return trial.suggest_{kind}("lr", 1e-5, 1e-1, log=True)


study = optuna.create_study()
study.optimize(objective, n_trials=3)
print(study.best_value)
"""


class MissingMember(Rule):
    """An object is asked for a member that its class does not have.

    `float(x).atanh()` raises AttributeError: what tensors have, numbers have not. The class is known where the object
    is a constant, was made by a constructor, or came from a call whose result is known (`wandb.init`,
    `optuna.create_study`, the trial that Optuna hands to an objective), and where the name or attribute that holds it
    is assigned once. Members of library classes are looked up for the release that the submission gets, as in API001.
    """

    code = "API002"
    name = "missing-member"
    requirements = ("E1.2", "D4.1", "B4.8")
    consequence = Consequence.CRASHES
    message = "`{kind}` has no member `{name}`{history}"
    explanation = "This raises AttributeError as soon as the line runs."
    repair = "{remedy}."

    VALID = (
        Example(
            {"src/main.py": "import torch\n\nx = torch.tensor(float('1.5')).atanh()\ny = 'a'.join(['b']).strip()\n"}
        ),
        Example({"src/main.py": "values = []\nvalues = load()\nprint(values.size)\n"}),
        Example({"src/main.py": "def float(x):\n    return Number(x)\n\n\nprint(float(1).atanh())\n"}),
        # another file sets the variable
        Example(
            {
                "src/model.py": "DEVICE = 'cpu'\n\n\ndef kind():\n    return DEVICE.type\n",
                "src/main.py": "import torch\n\nfrom src import model\n\nmodel.DEVICE = torch.device('cpu')\nprint(model.kind())\n",
            }
        ),
        # an assignment turns it into something else
        Example(
            {
                "src/main.py": "class Options:\n    def __init__(self):\n        self.a = {}\n\n"
                "    def __setattr__(self, name, value):\n        self.__dict__[name] = Space(value)\n\n"
                "    def read(self):\n        return self.a.rate\n"
            }
        ),
        # a later Python
        Example({"src/main.py": "n = 3\nprint(n.is_integer())\n"}),
        Example({"src/main.py": "import torch\n\nx = 0.5\nif torch.is_tensor(x):\n    x = x.item()\n    print(x)\n"}),
        Example({"src/main.py": "x = 0.5\nif hasattr(x, 'item'):\n    x.item()\n"}),
        Example({"pyproject.toml": _project("optuna"), "src/main.py": _OBJECTIVE.replace("{kind}", "float")}),
        Example(
            {
                "pyproject.toml": _project("pandas"),
                "src/main.py": "import pandas as pd\n\ntable = pd.DataFrame()\nprint(table.accuracy)\n",
            }
        ),
    )
    INVALID = (
        Example(
            {"src/main.py": "limit = float('0.5').atanh()\n"},
            at=("src/main.py:1",),
            repaired={"src/main.py": "import math\n\nlimit = math.atanh(float('0.5'))\n"},
        ),
        Example(
            {
                "src/model.py": "class Gate:\n    def __init__(self):\n        self.history = []\n\n    def size(self):\n        return self.history.shape\n"
            },
            at=("src/model.py:6",),
            repaired={
                "src/model.py": "class Gate:\n    def __init__(self):\n        self.history = []\n\n    def size(self):\n        return len(self.history)\n"
            },
        ),
        Example(
            {"pyproject.toml": _project("optuna"), "src/main.py": _OBJECTIVE.replace("{kind}", "number")},
            at=("src/main.py:5",),
            repaired={"src/main.py": _OBJECTIVE.replace("{kind}", "float")},
        ),
        Example(
            {
                "pyproject.toml": _project("pandas>=2.0"),
                "src/main.py": "import pandas as pd\n\ntable = pd.DataFrame()\ntable = table.append({})\n",
            },
            at=(),
        ),
    )[:3]

    def check(self, project: Project) -> Iterator[Outcome]:
        interface = project.shared(LibraryInterface)
        references = project.shared(LibraryReferences)
        types = project.shared(ObjectTypes)
        stored = frozenset(
            node.attr
            for file in project.python.values()
            for node in file.nodes_of(ast.Attribute)
            if isinstance(node.ctx, ast.Store)
        )
        for file in project.python.values():
            for node in file.nodes_of(ast.Attribute):
                if not isinstance(node.ctx, ast.Load):
                    continue
                kind = types.of(file, node.value)
                if kind and not references.is_expected(file, node, node.attr) and not _is_asked_about(file, node):
                    yield from self._look_up(interface, references, file, node, kind, stored)

    def _look_up(
        self,
        interface: LibraryInterface,
        references: LibraryReferences,
        file: PythonFile,
        node: ast.Attribute,
        kind: str,
        stored: frozenset[str],
    ) -> Iterator[Outcome]:
        known = builtin_members(kind)
        if known is not None:
            if node.attr in known:
                return
            shown, history, sure, always = kind.removeprefix("builtins."), "", True, True
            repair = f"Use something that {shown} has, or an object that has `{node.attr}`"
        else:
            parent = file.parents.get(node)
            called = isinstance(parent, ast.Call) and parent.func is node
            absence = interface.member(kind, node.attr, lost=called)
            if absence is None or node.attr in stored:
                return
            shown, sure, always = kind, absence.sure, absence.always
            history = f" in {absence.distribution} {absence.release} ({absence.history})"
            repair = remedy(absence)
        severity, consequence = references.weight(file, node, sure=sure, always=always)
        yield self.finding(
            file.path,
            node,
            severity=severity,
            consequence=consequence,
            symbol=node.attr,
            kind=shown,
            name=node.attr,
            history=history,
            remedy=repair,
        )


def _is_asked_about(file: PythonFile, node: ast.Attribute) -> bool:
    """Whether a branch around asks what the object is: `if torch.is_tensor(x): x.item()`."""
    name = node.value.id if isinstance(node.value, ast.Name) else ""
    for up in file.ancestors(node):
        if name and isinstance(up, ast.If | ast.IfExp | ast.While | ast.BoolOp | ast.Match):
            tests = up.values if isinstance(up, ast.BoolOp) else [up.subject if isinstance(up, ast.Match) else up.test]
            for test in tests:
                if any(isinstance(part, ast.Name) and part.id == name for part in descend(test)):
                    return True
    return False
