"""Loaders, columns and calls that get data, with torch and datasets as they are."""

from __future__ import annotations

import pytest

from tests.trial.inside.watched_run import Stage

LOADERS = """\
import torch
from torch.utils.data import DataLoader, Dataset, random_split
class Rows(Dataset):
    def __len__(self):
        return 100
    def __getitem__(self, index):
        return {"labels": torch.tensor([1, -100, 2, 0]), "attention_mask": torch.tensor([1, 1, 1, 0])}
class Broken(Rows):
    def __getitem__(self, index):
        return {}["column"]
print([len(part) for part in random_split(Rows(), [45000, 5000])])
loader = DataLoader(Rows(), batch_size=64)
print(len(loader), sum(1 for batch in loader))
for batch in loader:
    break
next(iter(DataLoader(Broken(), batch_size=2, num_workers=4, persistent_workers=True, prefetch_factor=3)))
"""


def test_passes_batches_and_workers_are_told(stage: Stage) -> None:
    pytest.importorskip("torch")
    stage.write({"a.py": LOADERS})
    ran = stage.run("-m", "a", mode="full")
    assert ran.output.splitlines() == ["[90, 10]", "5 5"]
    passes = [(event["batches"], event["cut"], event["broken_off"]) for event in ran.of("pass")]
    assert passes[:2] == [(5, True, False), (1, False, True)]
    assert ran.of("batch")[0]["labels"]["ignored"] == 0.25
    assert ran.of("batch")[0]["labels"]["padding_in_loss"] == 1.0
    assert {event["what"]: (event["from"], event["to"]) for event in ran.of("shrunk")} == {
        "random_split": ([45000, 5000], [90, 10]),
        "batch size": (64, 8),
        "batches of a pass": (None, 5),
        "workers": (4, 1),
    }
    assert ran.stop["worker"]
    assert (ran.stop["type"], ran.stop["message"]) == ("KeyError", "'column'")
    assert ran.stop["frames"][-1] == ["a.py", 10, "__getitem__"]


COLUMNS = """\
from datasets import Dataset, load_dataset
def ragged(row):
    return {"long": [1] * row["x"]}
rows = Dataset.from_dict({"x": [1, 2], "t": ["a", "b"]})
rows = rows.map(ragged, remove_columns=["t"]).rename_column("x", "y")
try:
    load_dataset("./nowhere", split="train")
except Exception:
    print("caught")
rows.select(range(5))[4]
"""


def test_columns_are_told_with_the_function_that_makes_them(stage: Stage) -> None:
    pytest.importorskip("datasets")
    stage.write({"a.py": COLUMNS})
    ran = stage.run("-m", "a")
    (made,) = ran.of("column", column="long")
    assert (made["op"], made["function"], made["lines"]) == ("map", ["a.py", 2, "ragged"], [3])
    assert made["frames"] == [["a.py", 5, "<module>"]]
    assert ran.of("column", column="y")[0]["op"] == "rename"
    (raised,) = ran.of("raised")
    assert (raised["call"], raised["frames"]) == ("datasets.load_dataset", [["a.py", 7, "<module>"]])
    # rows of its own are no stand-in: what is beyond them is an error
    assert ran.stop["type"] == "IndexError"
