"""Which calls count as reading a real dataset or model."""

from __future__ import annotations

import pytest

from assay.analysis.data_sources import data_sources, hub_model
from assay.analysis.fact_table import read_table
from assay.analysis.python_source import PythonFile
from assay.analysis.text_pattern import PatternReader


@pytest.mark.parametrize("name", ["real_data", "wandb_integrations"])
def test_tables_are_rectangular(name):
    rows = read_table(name)
    assert rows
    assert all(None not in row and all(value is not None for value in row.values()) for row in rows)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from torchvision.datasets import MNIST\nMNIST('.')\n", ["torchvision.datasets.MNIST"]),
        ("import torchvision\ntorchvision.datasets.ImageFolder('x')\n", []),
        ("from sklearn import datasets\ndatasets.load_iris()\ndatasets.make_moons()\n", ["sklearn.datasets.load_iris"]),
        (
            "from tensorflow.keras.datasets import mnist\nmnist.load_data()\n",
            ["tensorflow.keras.datasets.mnist.load_data"],
        ),
        (
            "from datasets import load_dataset\nload_dataset('csv', data_files='a.csv')\nload_dataset()\n",
            ["datasets.load_dataset"],
        ),
    ],
)
def test_calls_are_recognised_by_what_their_names_mean(text, found):
    assert [source.called for source in data_sources(PatternReader(PythonFile("a.py", text)))] == found


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("'google/vit-base-patch16-224'", "google/vit-base-patch16-224"),
        ("'gpt2'", "gpt2"),
        ("'./gpt2'", None),
        ("'checkpoints/step-100'", None),
        ("'best-model'", None),
        ("'MODEL_PLACEHOLDER'", None),
        ("cfg.name", None),
    ],
)
def test_names_of_hubs_are_told_from_folders(text, name):
    file = PythonFile("a.py", f"use({text})\n")
    assert hub_model(PatternReader(file), file.calls[0][0].args[0]) == name
