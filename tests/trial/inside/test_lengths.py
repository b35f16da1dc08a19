"""A shortened run ends, and still does what happens only after many batches."""

from __future__ import annotations

import pytest

from tests.trial.inside.watched_run import LIMITS, Stage

TRAIN = """\
import itertools, torch
from torch.utils.data import DataLoader, TensorDataset
rows = TensorDataset(torch.randn(80, 3), torch.randint(0, 2, (80,)))
model = torch.nn.Linear(3, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(rows, batch_size=2)
def backward(batch):
    torch.nn.functional.cross_entropy(model(batch[0]), batch[1]).backward()
def until(most, every, flush=False):
    step = 0
    while step < most:
        for i, batch in enumerate(loader):
            backward(batch)
            if (i + 1) % every == 0 or (flush and i + 1 == len(loader)):
                optimizer.step()
                step += 1
                if step >= most:
                    break
    return step
@torch.no_grad()
def passed(batches):
    return sum(1 for batch in batches)
"""


def test_a_full_run_is_short_and_its_loops_end(stage: Stage) -> None:
    pytest.importorskip("torch")
    text = """\
held_out = DataLoader(rows, batch_size=2)
print(until(3, 7), until(3, 16, flush=True), until(6, 1), passed(held_out))
batches = iter(loader)
for step in range(30):
    try:
        batch = next(batches)
    except StopIteration:
        batches = iter(loader)
        batch = next(batches)
    backward(batch)
    optimizer.step()
print(step, [i for i, batch in zip(range(30), itertools.cycle(loader))][-1])
print(passed(held_out), len(loader), passed(DataLoader(rows, batch_size=2)), until(2, 3))
for batch in loader:
    backward(batch)
"""
    stage.write({"a.py": TRAIN + text})
    ran = stage.run("-m", "a", mode="full")
    assert ran.status == 0, ran.errors
    # the length stays after enough steps, since schedules are computed from it
    assert ran.output.splitlines() == ["3 3 6 5", "29 29", "1 5 1 2"]
    trained = [event["batches"] for event in ran.of("pass", training=True)]
    # gradients of seven batches are used, although a pass has five; after enough steps, a pass has one step
    assert trained[:3] == [7, 7, 7]
    # without a step of an optimizer, a pass goes on to the end of the rows
    assert trained[-3:] == [3, 3, 40]


def test_a_trial_keeps_its_own_length(stage: Stage) -> None:
    pytest.importorskip("torch")
    stage.write({"a.py": TRAIN + "print(passed(loader), len(loader), until(45, 1), passed(loader))\n"})
    assert stage.run("-m", "a", limits={**LIMITS, "trial_batches": 6}).output.split() == ["6", "40", "45", "6"]
