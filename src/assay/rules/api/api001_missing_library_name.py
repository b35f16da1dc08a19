"""API001: a name that a library does not have."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.library_interface import Absence, LibraryInterface
from assay.analysis.library_references import LibraryReferences, Reference
from assay.analysis.project import Project
from assay.analysis.replaced_interfaces import remedy
from assay.finding import Consequence, Finding
from assay.rules.rule import Example, Outcome, Rule


def _project(*requirements: str) -> str:
    listed = ", ".join(f'"{text}"' for text in requirements)
    return f'[project]\nname = "a"\nversion = "0.1.0"\nrequires-python = ">=3.11"\ndependencies = [{listed}]\n'


class MissingLibraryName(Rule):
    """A library is asked for a name that it does not have.

    `from sklearn.metrics import ttest_ind` raises ImportError and `OmegaConf.deepcopy(cfg)` AttributeError: the one
    lives in another library, the other was never written. Other names were there once and went away, such as
    `datasets.load_metric`.

    The release that counts is the newest one that `pyproject.toml` admits on the day of the review, or the one in
    `uv.lock`. What each release has was read from its wheels. Modules that make names while they run are left out, and
    so is code that expects a name to be missing (`try`, `hasattr`, a look at the version). It blocks as a crash where
    the place is certainly reached and no release that `pyproject.toml` admits has the name. Elsewhere in living code, or
    where an older admitted release has it, the code is incomplete.
    """

    code = "API001"
    name = "missing-library-name"
    requirements = ("E1.2", "D4.1", "B4.8")
    consequence = Consequence.CRASHES
    message = "`{owner}` of {distribution} {release} has no `{name}` ({history})"
    explanation = "This raises {error} as soon as the line runs."
    repair = "{remedy}."

    VALID = (
        Example({"pyproject.toml": _project("scikit-learn"), "src/main.py": "from sklearn.metrics import f1_score\n"}),
        Example(
            {
                "pyproject.toml": _project("numpy"),
                "src/main.py": "import numpy as np\n\nINF = np.Inf if hasattr(np, 'Inf') else np.inf\n",
            }
        ),
        Example({"pyproject.toml": _project("numpy<2"), "src/main.py": "import numpy as np\n\nprint(np.Inf)\n"}),
        Example({"src/main.py": "import numpy as np\n\nprint(np.Inf)\n"}),
        Example(
            {
                "pyproject.toml": _project("datasets"),
                "src/main.py": "try:\n    from datasets import load_metric\nexcept ImportError:\n    from evaluate import load as load_metric\n",
            }
        ),
        Example(
            {
                "src/datasets.py": "def load_metric():\n    return 1\n",
                "src/main.py": "from .datasets import load_metric\n",
            }
        ),
        Example(
            {
                "pyproject.toml": _project("scipy"),
                "src/main.py": "from scipy import stats\n\n\ndef mean(stats):\n    return stats.average\n",
            }
        ),
        Example(
            {
                "pyproject.toml": _project("torch"),
                "src/main.py": "import torch\nimport torch.nn.functional as F\n\nx = torch.randn(2)\nprint(F.softmax(x, 0), torch.backends.mps)\n",
            }
        ),
        # it has no text of its own: the lazy module answers with the tokenizer of the same name without `Fast`
        Example(
            {
                "pyproject.toml": _project("transformers>=5"),
                "src/main.py": "from transformers import BertTokenizerFast\n",
            }
        ),
    )
    INVALID = (
        # transformers makes its names from the files of its models, which were read as well
        Example(
            {
                "pyproject.toml": _project("transformers"),
                "src/main.py": "from transformers import AutoModelForEverything\n",
            },
            at=("src/main.py:1",),
            repaired={"src/main.py": "from transformers import AutoModelForCausalLM\n"},
        ),
        Example(
            {"pyproject.toml": _project("scikit-learn"), "src/main.py": "from sklearn.metrics import ttest_ind\n"},
            at=("src/main.py:1",),
            repaired={"src/main.py": "from scipy.stats import ttest_ind\n"},
        ),
        Example(
            {
                "pyproject.toml": _project("omegaconf"),
                "src/main.py": "from omegaconf import OmegaConf\n\n\ndef search(cfg):\n    return OmegaConf.deepcopy(cfg)\n\n\nSEARCH = search\n",
            },
            at=("src/main.py:5",),
            repaired={
                "src/main.py": "import copy\n\n\ndef search(cfg):\n    return copy.deepcopy(cfg)\n\n\nSEARCH = search\n"
            },
        ),
        Example(
            {
                "pyproject.toml": _project("datasets>=2.15"),
                "src/evaluate.py": "import datasets\n\nrouge = datasets.load_metric('rouge')\n",
            },
            at=("src/evaluate.py:3",),
            repaired={"src/evaluate.py": "import evaluate\n\nrouge = evaluate.load('rouge')\n"},
        ),
        Example(
            {
                "pyproject.toml": _project("numpy"),
                "src/main.py": "import numpy as np\n\n\ndef best(values):\n    return min(values, default=np.Inf)\n",
            },
            at=("src/main.py:5",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        interface = project.shared(LibraryInterface)
        references = project.shared(LibraryReferences)
        seen: set[tuple[str, int, str]] = set()
        for item in references.all():
            absence = interface.missing_part(item.path)
            if absence is None or references.is_expected(item.file, item.node, absence.name):
                continue
            key = (item.file.path, getattr(item.node, "lineno", 0), f"{absence.owner}.{absence.name}")
            if key not in seen:
                seen.add(key)
                yield self._finding(references, item, absence)

    def _finding(self, references: LibraryReferences, item: Reference, absence: Absence) -> Finding:
        severity, consequence = references.weight(item.file, item.node, sure=absence.sure, always=absence.always)
        return self.finding(
            item.file.path,
            item.node,
            severity=severity,
            consequence=consequence,
            symbol=item.path,
            owner=absence.owner,
            distribution=absence.distribution,
            release=absence.release,
            name=absence.name,
            history=absence.history,
            error="ImportError" if item.imported else "AttributeError",
            remedy=remedy(absence),
        )
