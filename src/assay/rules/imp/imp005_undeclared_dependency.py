"""IMP005: a module is imported that no declared dependency provides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assay.analysis.declared_dependencies import Dependencies, dependencies_of
from assay.analysis.libraries.distributions import canonical, is_known
from assay.analysis.project import Project
from assay.analysis.third_party_imports import ThirdPartyImport, installs_by_itself, third_party_imports
from assay.finding import Consequence, Finding, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided


def _declaring(*requirements: str, more: str = "") -> str:
    listed = ", ".join(f'"{text}"' for text in requirements)
    return f'[project]\nname = "a"\nversion = "0.1.0"\nrequires-python = ">=3.10"\ndependencies = [{listed}]\n{more}'


class UndeclaredDependency(Rule):
    """A third-party module is imported, and no declared dependency provides it.

    An environment made from `pyproject.toml` holds the declared dependencies and what they bring along, and nothing
    else. Whatever lay around on the author's machine besides is missing, and the import raises
    `ModuleNotFoundError`. Names differ: `sklearn` comes with `scikit-learn`, `yaml` with `PyYAML`, `cv2` with
    `opencv-python`.

    It blocks as a crash where the import runs as soon as the submission's programs start, and it is known of every
    declared dependency what it brings along. An import inside a function is a warning, except under a contract that
    asks for every dependency to be declared. Under such a contract a module that comes only along with a declared
    dependency is a warning too: it is there today, and leaves when that dependency drops it.
    """

    code = "IMP005"
    name = "undeclared-dependency"
    requirements = ("X1", "D4.2")
    consequence = Consequence.CRASHES
    message = "{module} is imported and no declared dependency provides it"
    explanation = "{what}."
    repair = "Add {distribution} to the dependencies in pyproject.toml."

    VALID = (
        # OmegaConf comes along with Hydra, in every version of it
        Example(
            {
                "pyproject.toml": _declaring(
                    "numpy", "scikit-learn", "PyYAML", "opencv-python-headless", "hydra-core", "protobuf"
                ),
                "src/main.py": (
                    "import os, numpy, sklearn.svm, yaml, cv2, hydra, omegaconf, tools\n"
                    "from google.protobuf import message\nfrom src import model\n"
                ),
                "tools.py": "x = 1\n",
            }
        ),
        # optional, and the failure is caught
        Example(
            {
                "pyproject.toml": _declaring("numpy"),
                "src/main.py": "try:\n    import wandb\nexcept ImportError:\n    wandb = None\n",
            }
        ),
        # tried after another
        Example(
            {
                "pyproject.toml": _declaring("lightning"),
                "src/main.py": "try:\n    import lightning\nexcept ImportError:\n    import pytorch_lightning\n",
            },
            contract="derived",
        ),
        # an extra may bring it
        Example({"pyproject.toml": _declaring("transformers[torch]"), "src/main.py": "import accelerate\n"}),
        # uv installs the group dev when a program is run
        Example(
            {
                "pyproject.toml": _declaring("numpy", more='[dependency-groups]\ndev = ["pandas"]\n'),
                "src/main.py": "import pandas\n",
            }
        ),
        # what some versions of a declared dependency bring along is left undecided
        Example({"pyproject.toml": _declaring("wandb"), "src/main.py": "import psutil\n"}),
    )
    INVALID = (
        Example(
            {"pyproject.toml": _declaring("torch"), "src/main.py": "import torch\nimport pandas as pd\n"},
            at=("src/main.py:2",),
            repaired={"pyproject.toml": _declaring("torch", "pandas")},
        ),
        Example(
            {
                "pyproject.toml": '[project]\nname = "a"\nversion = "0.1.0"\n[project.dependencies]\ntorch = "*"\n',
                "src/main.py": "from src import train\n",
                "src/train.py": "from sklearn.metrics import f1_score\n",
            },
            at=("src/train.py:1",),
            repaired={"pyproject.toml": _declaring("torch", "scikit-learn")},
        ),
        Example(
            {
                "pyproject.toml": _declaring("torch", more='[project.optional-dependencies]\nplots = ["seaborn"]\n'),
                "src/main.py": "import seaborn\n",
            },
            at=("src/main.py:1",),
            repaired={"pyproject.toml": _declaring("torch", "seaborn")},
        ),
        # a file that is loaded only where that succeeds, or once a function is called: warnings
        Example(
            {
                "pyproject.toml": _declaring("torch"),
                "src/main.py": "try:\n    from src.plots import draw\nexcept ImportError:\n    draw = None\n",
                "src/plots.py": "import seaborn\n\n\ndef draw():\n    seaborn.set_theme()\n",
            },
            at=("src/plots.py:1",),
        ),
        Example(
            {
                "pyproject.toml": _declaring("torch"),
                "src/main.py": "def plot():\n    from src.plots import draw\n\n    draw()\n\n\nprint('see src/plots.py')\n",
                "src/plots.py": "import seaborn\n\n\ndef draw():\n    seaborn.set_theme()\n",
            },
            at=("src/plots.py:1",),
        ),
        # it runs only when the function is called
        Example(
            {"pyproject.toml": _declaring("torch"), "src/main.py": "def plot():\n    import seaborn\n"},
            at=("src/main.py:2",),
        ),
        # a dependency of which nothing is known may bring it along
        Example(
            {"pyproject.toml": _declaring("our-lab-tools"), "src/main.py": "import pandas\n"},
            at=("src/main.py:1",),
        ),
        # the contract asks for every dependency to be declared, wherever it is imported
        Example(
            {"pyproject.toml": _declaring("torch"), "src/main.py": "def plot():\n    import seaborn\n"},
            contract="derived",
            at=("src/main.py:2",),
            repaired={"pyproject.toml": _declaring("torch", "seaborn")},
        ),
        Example(
            {"pyproject.toml": _declaring("seaborn"), "src/main.py": "import pandas\n"},
            contract="derived",
            at=("src/main.py:1",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        metadata = project.pyproject
        if metadata is None or metadata.error:
            yield Undecided("pyproject.toml does not say what is installed")
            return
        wanted = dependencies_of(metadata).meant
        if not wanted.declared:
            # PKG001 and PKG004 speak of a submission that declares nothing at all
            return
        if wanted.unknown:
            yield Undecided(wanted.unknown)
            return
        asked = "D4.2" in project.contract.ids
        unsure = wanted.unread or installs_by_itself(project)
        seen: set[str] = set()
        for item in sorted(third_party_imports(project), key=lambda item: not item.certain):
            if item.top in seen or (item.distributions | {canonical(item.top)}) & wanted.names:
                continue
            outcome: Outcome
            along = item.distributions & wanted.certain
            if not item.distributions:
                outcome = self._unknown(item, wanted)
            elif along and asked:
                outcome = self._brought_along(item, wanted, wanted.brings(min(along)))
            elif along:
                continue
            elif item.distributions & wanted.possible:
                outcome = Undecided(f"{item.module} is not declared, and some versions of a dependency bring it along")
            elif unsure:
                outcome = Undecided(f"{item.module} is not declared, but {unsure}")
            else:
                outcome = self._undeclared(item, wanted, asked)
            seen.add(item.top)
            yield outcome

    def _unknown(self, item: ThirdPartyImport, wanted: Dependencies) -> Outcome:
        """A module of which no distribution is known."""
        if wanted.unread or not all(is_known(name) for name in wanted.names):
            return Undecided(f"it is not known which distribution provides {item.top}")
        what = "None of the declared dependencies is known to hold such a module"
        return self._finding(item, wanted, what, Severity.WARNING, distribution="the distribution that holds it")

    def _brought_along(self, item: ThirdPartyImport, wanted: Dependencies, through: str) -> Finding:
        """A module that a declared dependency certainly needs."""
        return self._finding(
            item,
            wanted,
            f"It is there as long as {through} needs it",
            Severity.WARNING,
            requirements=("D4.2",),
            message="{module} is imported and not declared; it comes only along with {through}",
            through=through,
        )

    def _undeclared(self, item: ThirdPartyImport, wanted: Dependencies, asked: bool) -> Finding:
        """A module that no declared dependency can bring."""
        blocks = not wanted.doubt and (item.certain or asked)
        crash = "A new environment does not have it, and the import raises ModuleNotFoundError"
        return self._finding(
            item,
            wanted,
            crash if item.certain else f"{crash} when this line is reached",
            Severity.BLOCKING if blocks else Severity.WARNING,
            consequence=Consequence.CRASHES if item.certain else Consequence.BREAKS_CONTRACT,
            requirements=None if item.certain or not blocks else ("D4.2",),
            detail=wanted.doubt,
        )

    def _finding(
        self, item: ThirdPartyImport, wanted: Dependencies, what: str, severity: Severity, **more: Any
    ) -> Finding:
        names = sorted(item.distributions, key=lambda name: (name not in _USUAL, canonical(item.top) != name, name))
        return self.finding(
            item.file.path,
            item.item.node,
            severity=severity,
            symbol=item.top,
            frames=(Frame("pyproject.toml", wanted.line),) if wanted.line else (),
            **{"module": item.module, "what": what, "distribution": names[0] if names else "", **more},
        )


# Of several distributions that provide a module, the one to be named first.
_USUAL = frozenset(
    {
        "opencv-python-headless", "faiss-cpu", "pynvml", "lightning", "python-levenshtein", "onnxruntime", "cupy",
        "fasttext", "pytorch-lightning",
    }
)  # fmt: skip
