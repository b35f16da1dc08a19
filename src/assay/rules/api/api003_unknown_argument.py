"""API003: a keyword argument that a library call does not take."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.library_interface import LibraryInterface
from assay.analysis.library_references import LibraryReferences
from assay.analysis.object_types import ObjectTypes
from assay.analysis.project import Project
from assay.analysis.replaced_interfaces import remedy
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule


def _project(*requirements: str) -> str:
    listed = ", ".join(f'"{text}"' for text in requirements)
    return f'[project]\nname = "a"\nversion = "0.1.0"\nrequires-python = ">=3.11"\ndependencies = [{listed}]\n'


_ARGUMENTS = "from transformers import TrainingArguments\n\narguments = TrainingArguments('out', {name}='epoch')\n"


class UnknownArgument(Rule):
    """A function or class of a library is called with a keyword argument that it does not take.

    `TrainingArguments(evaluation_strategy=...)` and `mean_squared_error(..., squared=False)` were right once and raise
    TypeError today. The signatures of calls that experiments use most were read from the wheels of many releases; the
    one that counts is the release which the submission gets, as in API001. Functions that take any keyword are left
    out, and so are calls that expect to fail.
    """

    code = "API003"
    name = "unknown-argument"
    requirements = ("E1.2", "D4.1", "B4.8")
    consequence = Consequence.CRASHES
    message = "`{call}` of {distribution} {release} takes no argument `{name}` ({history})"
    explanation = "This raises TypeError as soon as the call is made."
    repair = "{remedy}."

    VALID = (
        Example(
            {"pyproject.toml": _project("transformers"), "src/main.py": _ARGUMENTS.replace("{name}", "eval_strategy")}
        ),
        Example(
            {
                "pyproject.toml": _project("transformers<4.41"),
                "src/main.py": _ARGUMENTS.replace("{name}", "evaluation_strategy"),
            }
        ),
        Example({"src/main.py": _ARGUMENTS.replace("{name}", "evaluation_strategy")}),
        Example(
            {
                "pyproject.toml": _project("torch"),
                "src/main.py": "import torch\n\noptions = {'grad': True}\nx = torch.tensor([1.0], requires_grad=True, device='cpu')\ny = torch.zeros(2, **options)\n",
            }
        ),
        Example(
            {
                "pyproject.toml": _project("scikit-learn"),
                "src/main.py": "from sklearn.metrics import mean_squared_error\n\ntry:\n    rmse = mean_squared_error([1], [2], squared=False)\nexcept TypeError:\n    rmse = mean_squared_error([1], [2]) ** 0.5\n",
            }
        ),
    )
    INVALID = (
        Example(
            {
                "pyproject.toml": _project("transformers"),
                "src/main.py": _ARGUMENTS.replace("{name}", "evaluation_strategy"),
            },
            at=("src/main.py:3",),
            repaired={"src/main.py": _ARGUMENTS.replace("{name}", "eval_strategy")},
        ),
        Example(
            {
                "pyproject.toml": _project("torch"),
                "src/main.py": "import torch\n\nx = torch.tensor([1.0], grad=True)\n",
            },
            at=("src/main.py:3",),
            repaired={"src/main.py": "import torch\n\nx = torch.tensor([1.0], requires_grad=True)\n"},
        ),
        Example(
            {
                "pyproject.toml": _project("optuna"),
                "src/main.py": "import optuna\n\n\ndef objective(trial):\n    return trial.suggest_float('lr', low=1e-5, high=1e-1, logarithmic=True)\n\n\nstudy = optuna.create_study()\nstudy.optimize(objective, n_trials=2)\n",
            },
            at=("src/main.py:5",),
            repaired={
                "src/main.py": "import optuna\n\n\ndef objective(trial):\n    return trial.suggest_float('lr', low=1e-5, high=1e-1, log=True)\n\n\nstudy = optuna.create_study()\nstudy.optimize(objective, n_trials=2)\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        interface = project.shared(LibraryInterface)
        references = project.shared(LibraryReferences)
        types = project.shared(ObjectTypes)
        for file in project.python.values():
            for call, _ in file.calls:
                if not call.keywords:
                    continue
                name = types.callee(file, call)
                for item in call.keywords if name else ():
                    absence = interface.argument(name, item.arg) if item.arg else None
                    if absence is None or references.is_expected(file, call, absence.name):
                        continue
                    severity, consequence = references.weight(file, call, sure=absence.sure, always=absence.always)
                    yield self.finding(
                        file.path,
                        item,
                        severity=severity,
                        consequence=consequence,
                        symbol=absence.name,
                        call=name,
                        distribution=absence.distribution,
                        release=absence.release,
                        name=absence.name,
                        history=absence.history,
                        remedy=remedy(absence, argument=True),
                    )
