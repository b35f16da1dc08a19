"""DAT001: a foundation loads a real dataset."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.data_sources import data_sources
from assay.analysis.project import Project
from assay.analysis.text_pattern import PatternReader
from assay.rules.rule import Example, Outcome, Rule


class RealDatasetInBase(Rule):
    """A foundation leaves the dataset open: a placeholder stands where loading goes, and synthetic data keep the program
    running.

    A call that reads a dataset of torchvision, scikit-learn, Keras or the Hugging Face Hub by name fixes what every
    derived experiment starts from. The rule looks at calls only: a comment, a text, a dataset read from the user's own
    folder, or a name that comes from the configuration is fine.
    """

    code = "DAT001"
    name = "real-dataset-in-base"
    requirements = ("B7.2", "B7.1", "B2.2")
    message = "{called} loads a real dataset{which}"
    explanation = "A foundation has placeholders for datasets; the derived experiment fills them in."
    repair = "Replace the call by a marked DATASET_PLACEHOLDER, and keep synthetic data for the smoke test."

    VALID = (
        Example(
            {"src/preprocess.py": "from torchvision import datasets\ndata = datasets.FakeData(size=10)\n"},
            contract="base",
        ),
        Example(
            {"src/preprocess.py": "# data = datasets.CIFAR10('.')\ntext = 'datasets.CIFAR10()'\n"}, contract="base"
        ),
        Example(
            {"src/preprocess.py": "from datasets import load_dataset\ndata = load_dataset(cfg['name'])\n"},
            contract="base",
        ),
        Example(
            {"src/preprocess.py": "from datasets import load_dataset\ndata = load_dataset('DATASET_PLACEHOLDER')\n"},
            contract="base",
        ),
        Example(
            {"src/preprocess.py": "from sklearn.datasets import make_classification\nx, y = make_classification()\n"},
            contract="base",
        ),
        Example({"src/preprocess.py": "from torchvision import datasets\ndata = datasets.CIFAR10('.cache')\n"}),
        Example(
            {"src/preprocess.py": "from torch_geometric.datasets import BAShapes\ndata = BAShapes()\n"}, contract="base"
        ),
    )
    INVALID = (
        Example(
            {"src/preprocess.py": "from torchvision import datasets\ndata = datasets.CIFAR10('./data')\n"},
            contract="base",
            at=("src/preprocess.py:2",),
            repaired={"src/preprocess.py": "# DATASET_PLACEHOLDER: the experiment's dataset\ndata = None\n"},
        ),
        Example(
            {"src/preprocess.py": "import datasets as hf\nname = 'ag_news'\ndata = hf.load_dataset(name)\n"},
            contract="base",
            at=("src/preprocess.py:3",),
            repaired={"src/preprocess.py": "import datasets as hf\ndata = hf.load_dataset(cfg['dataset'])\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for file in project.python.values():
            for source in data_sources(PatternReader(file)):
                if source.needs_name and source.name is None:
                    continue
                yield self.finding(
                    file.path,
                    source.call,
                    symbol=file.symbol_of(source.call) or None,
                    called=source.called,
                    which=f", {source.name}" if source.name else "",
                )
