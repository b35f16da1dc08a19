"""Questions about the mode: which conditions count, and under which conditions code runs."""

from __future__ import annotations

import ast

import pytest

from assay.analysis.project import Project
from assay.analysis.run_mode import is_mode, run_mode
from assay.contracts import load_contract
from assay.submission import SourceFile, Submission


def mode_of(text: str, contract: str = "experiment"):
    made = {"src/train.py": SourceFile.of_text("src/train.py", text)}
    project = Project(Submission("example", made), load_contract(contract))
    return run_mode(project), project.python["src/train.py"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cfg.mode", True),
        ("cfg['mode']", True),
        ("cfg.get('mode', 'full')", True),
        ("str(cfg.mode).lower()", True),
        ("args.trial_mode", True),
        ("cfg.wandb.mode", False),
        ("trial", False),
    ],
)
def test_what_is_the_mode(text, expected):
    assert is_mode(ast.parse(text, mode="eval").body) is expected


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("if cfg.mode == 'trial':\n    pass", [1]),
        ("if cfg.mode in ('trial', 'full'):\n    pass", [1]),
        ("if cfg.wandb.mode == 'disabled':\n    pass", []),
        ("quick = cfg.mode != 'full'\nif quick:\n    pass", [2]),
        ("epochs = 1 if cfg.trial_mode else 3", [1]),
        ("if trial.number > 3:\n    pass", []),
    ],
)
def test_questions_about_the_mode(text, lines):
    mode, _ = mode_of(text)
    assert [node.lineno for _, node in mode.questions] == lines


def test_conditions_are_followed_through_the_only_call():
    text = "def main():\n    if a:\n        fit()\n\ndef fit():\n    if b:\n        use()\n\nmain()\n"
    mode, file = mode_of(text)
    call = next(node for node, name in file.calls if name == "use")
    assert [test.id for _, test in mode.conditions(file, call)] == ["b", "a"]


@pytest.mark.parametrize("early", ["    return\n", "    sys.exit()\n"])
def test_conditions_are_open_where_a_function_may_end_before(early):
    mode, file = mode_of(f"def main():\n    if a:\n    {early}    use()\n\nmain()\n")
    call = next(node for node, name in file.calls if name == "use")
    assert mode.conditions(file, call) is None


def test_the_dialect_of_october_has_a_flag():
    assert not mode_of("")[0].is_flag
    assert mode_of("", "experiment@2025-10")[0].is_flag
