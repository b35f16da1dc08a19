"""What expressions are worth in a run: what the run file says, what the program sets, and which branches are taken."""

from __future__ import annotations

import ast

import pytest

from assay.analysis.called import MISSING, UNKNOWN
from assay.analysis.project import Project
from assay.analysis.run_scenarios import run_scenarios
from assay.contracts import load_contract
from assay.submission import SourceFile, Submission

_RUN = """run_id: a
method: proposed
model:
  name: b/c
  adapter: {type: lora, r: 8}
dataset:
  task: summarisation
training:
  epochs: 3
  lr: 1e-4
optuna:
  search_space:
    lr: {low: 1}
"""


def values(body: str, *, run: str = _RUN, base: str = "", mode: str = "full") -> dict[str, object]:
    """What the names that `show(...)` is called with are worth, in order, and whether the calls are reached."""
    text = "import peft\n\ndef main(cfg):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    files = {"src/main.py": text, "config/runs/a.yaml": run, "config/config.yaml": base}
    made = {path: SourceFile.of_text(path, text) for path, text in files.items()}
    project = Project(Submission("example", made), load_contract("experiment"))
    scenarios = run_scenarios(project)
    scenario = next(one for one in scenarios.scenarios if one.mode == mode)
    file = project.python["src/main.py"]
    found: dict[str, object] = {}
    for node, name in file.calls:
        if name == "show":
            for item in node.args:
                value = scenarios.value(file, item, scenario)
                found[ast.get_source_segment(text, item) or ""] = value.value if value.sure else UNKNOWN
            found["reached"] = scenarios.passes(file, node, scenario)
    return found


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("cfg.model.name", "b/c"),
        ("cfg.model.adapter.r", 8),
        ("cfg.training.lr", UNKNOWN),
        ("cfg.training.epochs", 3),
        ("cfg.method == 'proposed'", True),
        ("cfg.mode == 'trial'", False),
        ("cfg.model.get('missing', 5)", 5),
        ("cfg.model.missing", MISSING),
        ("cfg.wandb.project", "p"),
        ("'b' in cfg.model.name.lower() or cfg.dataset.task == 'x'", True),
        ("unknown and cfg.dataset.task == 'x'", False),
        ("unknown or cfg.dataset.task == 'x'", UNKNOWN),
        ("f'{cfg.method}-{cfg.training.epochs}'", "proposed-3"),
        ("['a', cfg.method]", ["a", "proposed"]),
        ("not cfg.model.adapter", False),
        ("peft", True),
        ("cfg.training.epochs > 2", True),
    ],
)
def test_an_expression_is_worth_what_the_run_says(written, value):
    body = f"OmegaConf.update(cfg, key, 1)\nshow({written})"
    assert values(body, base="wandb:\n  project: p\n")[written] == value


def test_the_mode_decides_what_the_program_sets():
    body = "if cfg.mode == 'trial':\n    cfg.training.epochs = 1\nshow(cfg.training.epochs)"
    assert values(body)["cfg.training.epochs"] == 3
    assert values(body, mode="trial")["cfg.training.epochs"] == 1


@pytest.mark.parametrize(
    ("body", "reached"),
    [
        ("if cfg.model.adapter.type == 'lora':\n    show(1)", True),
        ("if cfg.model.adapter.type != 'lora':\n    show(1)", False),
        ("if unknown:\n    show(1)", None),
        ("try:\n    show(1)\nexcept ValueError:\n    pass", None),
        ("if cfg.method == 'proposed':\n    return\nshow(1)", False),
        ("if cfg.method == 'baseline':\n    return\nshow(1)", True),
        ("if unknown:\n    return\nshow(1)", None),
        ("for item in items:\n    show(1)", True),
    ],
)
def test_a_branch_is_taken_or_not(body, reached):
    assert values(body)["reached"] is reached


@pytest.mark.parametrize(
    "body",
    [
        "cfg.model = other",
        "cfg['model'] = other",
        "OmegaConf.update(cfg, 'model.name', x)",
        "OmegaConf.update(cfg, f'model.{key}', 'model.name')",
        "cfg = OmegaConf.merge(cfg, {'model': {'name': x}})",
        "start(['model.name=' + x])",
        "start([f'model.name={x}'])",
        "cfg.model.name = x",
        "if x:\n    cfg.model.name = 'y'",
    ],
)
def test_what_the_program_may_set_is_not_known(body):
    assert values(f"{body}\nshow(cfg.model.name)")["cfg.model.name"] is UNKNOWN


def test_a_search_over_other_keys_leaves_a_value():
    body = "for key in params:\n    OmegaConf.update(cfg, key, 1)\nshow(cfg.model.name)"
    assert values(body)["cfg.model.name"] == "b/c"


def test_an_override_that_hands_a_value_on_changes_nothing():
    assert values("start([f'model.name={cfg.model.name}'])\nshow(cfg.model.name)")["cfg.model.name"] == "b/c"
