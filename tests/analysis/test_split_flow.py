"""Following a split of a dataset: what is known of it, and what stays open."""

from __future__ import annotations

import pytest

from assay.analysis.project import Project
from assay.analysis.split_flow import SplitFlow
from assay.contracts import load_contract
from assay.submission import SourceFile, Submission

LOAD = "from datasets import load_dataset\nfrom torchvision import datasets\nfrom torch.utils.data import DataLoader\n"


def splits_of(files: dict[str, str]) -> set[str] | None:
    """The splits of the argument of the first call of `use` in src/train.py."""
    made = {path: SourceFile.of_text(path, text) for path, text in files.items()}
    project = Project(Submission("example", made), load_contract("experiment"))
    file = project.python["src/train.py"]
    node = next(call.args[0] for call, name in file.calls if name == "use")
    found = SplitFlow(project).splits(file, node)
    return None if found is None else set(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use(load_dataset('a', split='test'))", {"test"}),
        ("use(load_dataset('a', split='train[:5%]+test'))", {"train", "test"}),
        ("data = load_dataset('a')\nuse(DataLoader(data['validation'].map(f)))", {"validation"}),
        ("use(datasets.MNIST('.', False))", {"test"}),
        ("use(datasets.CIFAR10('.', train=full))", None),
        ("data = load_dataset('a', split='test')\ndata = data.select(range(3))\nuse(data)", {"test"}),
        (
            "data = load_dataset('a', split='test') if quick else load_dataset('a', split='train')\nuse(data)",
            {"train", "test"},
        ),
        ("parts = load_dataset('a', split='train').train_test_split(0.1)\nuse(parts['test'])", None),
        ("for data in load_dataset('a').values():\n    use(data)", None),
        ("use(load_dataset('a', split=name))", None),
    ],
)  # fmt: skip
def test_splits_within_a_file(text, expected):
    assert splits_of({"src/train.py": LOAD + text}) == expected


def test_a_tuple_is_followed_through_a_function_of_another_file():
    preprocess = LOAD + (
        "def loaders(cfg):\n    data = load_dataset('a')\n"
        "    held = DataLoader(data[cfg.dataset.held])\n    return data, held\n"
    )
    train = "from src.preprocess import loaders\n\ndef fit(cfg):\n    data, held = loaders(cfg)\n    use(held)\n"
    configuration = {
        "config/config.yaml": "dataset:\n  held: validation\n",
        "config/runs/a.yaml": "dataset:\n  held: test\n",
        "config/runs/b.yaml": "dataset:\n  held: test\n",
    }
    files = {"src/preprocess.py": preprocess, "src/train.py": train}
    assert splits_of(files | configuration) == {"test"}
    # one run takes what config.yaml says
    assert splits_of(files | configuration | {"config/runs/b.yaml": "seed: 1\n"}) is None


def test_a_parameter_is_what_all_calls_give_it():
    train = (
        LOAD
        + "def fit(data):\n    use(data)\n\nfit(load_dataset('a', split='{}'))\nfit(load_dataset('b', split='{}'))\n"
    )
    assert splits_of({"src/train.py": train.format("test", "test")}) == {"test"}
    assert splits_of({"src/train.py": train.format("test", "train")}) == {"test", "train"}


def test_functions_that_call_each_other_end():
    train = "def a():\n    return b()\n\ndef b():\n    return a()\n\nuse(a())\n"
    assert splits_of({"src/train.py": train}) is None
