"""What the rules say of derived code beside its base."""

from __future__ import annotations

import pytest

from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.finding import Severity
from assay.reviewer import run_rules
from assay.rules.registry import find_rules
from assay.submission import SourceFile, Submission
from assay.submission.brief import Brief, Run

TRAIN = """
import torch


def step(model, batch, optimizer):
    loss = model(batch).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss)


def schedule(optimizer, epochs):
    half = epochs // 2
    for group in optimizer.param_groups:
        group['lr'] = group['lr'] * half
    torch.manual_seed(half)
    return half


class Meter:
    def __init__(self):
        self.values = []

    def add(self, value):
        self.values.append(value)

    def mean(self):
        return sum(self.values) / len(self.values)


def main(model, data, optimizer):
    meter = Meter()
    schedule(optimizer, 10)
    for batch in data:
        meter.add(step(model, batch, optimizer))
    print(meter.mean())
"""


def made(files, **more):
    return Submission("a", {path: SourceFile.of_text(path, text) for path, text in sorted(files.items())}, **more)


def findings(derived, base, *, brief=None, select=("DRV",)):
    submission = made(derived, base=made(base) if base else None, brief=brief or Brief())
    project = Project(submission, load_contract("derived"))
    try:
        found, coverage = run_rules(project, find_rules(select))
    finally:
        project.close()
    assert not [reason for reasons in coverage.open.values() for reason in reasons if "failed on" in reason]
    return found


def blocking(found):
    return [finding.symbol for finding in found if finding.severity is Severity.BLOCKING]


def test_code_that_is_kept_is_not_a_loss():
    assert findings({"src/train.py": TRAIN}, {"src/train.py": TRAIN}) == []
    assert findings({"src/model.py": TRAIN}, {"src/train.py": TRAIN}) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("schedule", "plan_rates"), ("Meter", "RunningAverage"), ("def mean", "def average"), ("half", "middle")],
)
def test_renaming_is_not_a_loss(old, new):
    assert (
        findings({"src/train.py": TRAIN.replace(old, new).replace(".mean())", ".average())")}, {"src/train.py": TRAIN})
        == []
    )


def test_a_function_that_the_base_used_and_nothing_replaces_blocks():
    without = TRAIN.partition("def schedule")[0] + "class Meter" + TRAIN.partition("class Meter")[2]
    found = findings({"src/train.py": without.replace("    schedule(optimizer, 10)\n", "")}, {"src/train.py": TRAIN})
    assert blocking(found) == ["schedule"]


def test_a_method_that_is_gone_blocks_where_it_was_used():
    without = TRAIN.replace("    def add(self, value):\n        self.values.append(value)\n", "").replace(
        "meter.add(step(model, batch, optimizer))", "step(model, batch, optimizer)"
    )
    assert blocking(findings({"src/train.py": without}, {"src/train.py": TRAIN})) == ["Meter.add"]


def test_a_class_that_is_gone_is_one_finding():
    without = (
        TRAIN.partition("class Meter")[0]
        + "def main(model, data, optimizer):\n    schedule(optimizer, 1)\n    step(model, data, optimizer)\n"
    )
    found = findings({"src/train.py": without}, {"src/train.py": TRAIN}, select=("DRV002",))
    assert [finding.symbol for finding in found] == ["Meter"]


def test_files_that_were_written_anew_only_warn():
    other = "import lightning\n\ndef entry():\n    lightning.Trainer().fit()\n"
    found = findings({"src/train.py": other}, {"src/train.py": TRAIN})
    assert found
    assert blocking(found) == []


def test_a_definition_that_a_library_now_gives_is_not_a_loss():
    without = (
        "from accelerate import schedule\n"
        + TRAIN.partition("def schedule")[0]
        + "class Meter"
        + TRAIN.partition("class Meter")[2]
    )
    assert findings({"src/train.py": without}, {"src/train.py": TRAIN}) == []


def test_the_ids_of_the_brief_are_looked_for_in_both_files():
    brief = Brief(runs=(Run("baseline"), Run("proposed")))
    files = {
        "config/smoke_test.yaml": "runs:\n  - {name: baseline}\n",
        "config/full_experiment.yaml": "runs:\n  - baseline\n  - proposed\n",
    }
    found = findings(files, None, brief=brief, select=("DRV001",))
    assert [(finding.place, finding.requirements) for finding in found] == [
        ("config/smoke_test.yaml:1", ("D2.4", "D2.6"))
    ]


@pytest.mark.parametrize(
    "text",
    ["", "- a\n- b\n", "runs: 3\n", "runs: {? [a] : b}\n", "runs: [[], {}, null, {run_id: [x]}]\n", "? {a: b}\n: c\n"],
)
def test_any_yaml_is_taken(text):
    brief = Brief(runs=(Run("baseline"),))
    findings({"config/smoke_test.yaml": text, "config/full_experiment.yaml": text}, None, brief=brief)
