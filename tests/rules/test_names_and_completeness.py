"""IMP001-004, CPL and LAY002: the cases that are too particular for a rule's own examples."""

from __future__ import annotations

import pytest

from assay.analysis.own_modules import OwnModules
from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.finding import Consequence, Severity
from assay.reviewer import run_rules
from assay.rules import all_rules
from assay.submission import SourceFile, Submission


def review(code, files, contract="experiment"):
    project = Project(
        Submission("test", {path: SourceFile.of_text(path, text) for path, text in sorted(files.items())}),
        load_contract(contract),
    )
    try:
        return run_rules(project, {code: all_rules()[code]})
    finally:
        project.close()


def findings(code, files, contract="experiment"):
    return review(code, files, contract)[0]


def asking(requires):
    return f"[project]\nname = 'study'\nversion = '1'\nrequires-python = '{requires}'\n"


NESTED_QUOTES = "rows = {'a': 1}\nprint(f'{rows['a']}')\n"


@pytest.mark.parametrize(
    ("requires", "severity"),
    [
        (">=3.12", None),
        (">=3.10", Severity.WARNING),
        (">=3.10,<3.13", Severity.WARNING),
        (">=3.10,<3.12", Severity.BLOCKING),
        ("==3.11.*", Severity.BLOCKING),
        ("<3.12", Severity.BLOCKING),
    ],
)
def test_syntax_is_judged_for_the_interpreters_that_are_admitted(requires, severity):
    found = findings("IMP001", {"src/main.py": NESTED_QUOTES, "pyproject.toml": asking(requires)})
    assert [one.severity for one in found] == ([severity] if severity else [])


def test_a_pinned_interpreter_wins_over_requires_python():
    files = {"src/main.py": NESTED_QUOTES, "pyproject.toml": asking(">=3.10")}
    assert findings("IMP001", files | {".python-version": "3.13\n"}) == []
    assert findings("IMP001", files | {".python-version": "3.11\n"})[0].severity is Severity.BLOCKING


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ("x = run(1,\n    2, [3, 4", "the brackets that line 2 opens"),
        ("text = '''abc\n", "a string that begins on line 1"),
        ("def run():", "a definition or block that has no body yet"),
        ("import os\nx = os.", "a statement"),
    ],
)
def test_a_truncated_file_is_said_to_end_in_the_middle(end, message):
    (found,) = findings("IMP001", {"src/train.py": end})
    assert found.message == f"src/train.py ends in the middle of {message}"


def test_a_fault_in_the_middle_is_no_truncation():
    (found,) = findings("IMP001", {"src/main.py": "x = run(1,\n\ndef f():\n    return 1\n"})
    assert found.message.startswith("syntax error")


def test_further_faults_of_a_file_are_counted():
    (found,) = findings("IMP001", {"src/main.py": "print 'a'\nprint 'b'\nprint 'c'\n"})
    assert found.line == 1
    assert "2 further" in found.evidence.detail


def test_a_fault_in_a_file_that_nothing_imports_stops_no_program():
    files = {"src/main.py": "x = 1\n", "src/model.py": "def\n"}
    assert findings("IMP001", files)[0].consequence is Consequence.BREAKS_CONTRACT
    files["src/main.py"] = "import src.model\n"
    assert findings("IMP001", files)[0].consequence is Consequence.CRASHES


def test_a_program_named_in_a_text_is_reached():
    main = "import subprocess\n\nsubprocess.run(['python', '-m', 'src.train'], check=True)\n"
    (found,) = findings("IMP002", {"src/main.py": main, "src/train.py": "x = missing\n"})
    assert found.consequence is Consequence.CRASHES


def test_a_name_is_reported_once_a_file_where_it_hurts_most():
    text = "def late():\n    return np.zeros(1)\n\n\nFIRST = np.ones(1)\n"
    (found,) = findings("IMP002", {"src/main.py": text, "src/train.py": "import numpy as np\n"})
    assert (found.line, found.consequence) == (5, Consequence.CRASHES)
    assert [frame.line for frame in found.evidence.frames] == [2]
    assert "import numpy as np" in found.repair


def test_names_in_functions_break_the_contract_and_do_not_stop_the_import():
    (found,) = findings("IMP002", {"src/main.py": "def run():\n    return missing\n"})
    assert found.consequence is Consequence.BREAKS_CONTRACT


@pytest.mark.parametrize(
    ("requires", "future", "severity", "consequence"),
    [
        (">=3.10,<3.14", "", Severity.BLOCKING, Consequence.CRASHES),
        (">=3.10", "", Severity.BLOCKING, Consequence.BREAKS_CONTRACT),
        (">=3.10", "from __future__ import annotations\n", Severity.WARNING, None),
    ],
)
def test_an_annotation_is_judged_by_when_it_is_evaluated(requires, future, severity, consequence):
    files = {"src/main.py": f"{future}def run(x: Tensor):\n    return x\n", "pyproject.toml": asking(requires)}
    (found,) = findings("IMP002", files)
    assert (found.severity, found.consequence) == (severity, consequence)


def test_a_name_in_a_quoted_annotation_or_after_letters_of_two_bytes_is_found():
    (found,) = findings("IMP002", {"src/main.py": "def run(x: 'Tensor'):\n    return x\n"})
    assert found.severity is Severity.WARNING
    (found,) = findings("IMP002", {"src/main.py": "x = 'äöü' + missing\n"})
    assert found.consequence is Consequence.CRASHES


@pytest.mark.parametrize(
    "text",
    [
        "from torch import *\nx = missing\n",
        "exec('missing = 1')\nx = missing\n",
        "globals()['missing'] = 1\nx = missing\n",
        "import sys\nsetattr(sys.modules[__name__], 'missing', 1)\nx = missing\n",
        "import builtins\nbuiltins.missing = 1\nx = missing\n",
    ],
)
def test_files_that_define_names_while_they_run_stay_undecided(text):
    found, coverage = review("IMP002", {"src/main.py": text})
    assert found == []
    assert "*" in text or any("src/main.py may define names" in reason for reason in coverage.open["E1.2"])


@pytest.mark.parametrize(
    "text",
    [
        "if __package__:\n    from .nets import Net\nelse:\n    from nets import Net\n",
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from src.nets import Net\n",
        "import contextlib\n\nwith contextlib.suppress(ImportError):\n    import src.nets\n",
        "from src.model import *\n",
        "import datasets\nimport evaluate\nimport wandb\n",
        "import nets_of_someone\n",
    ],
)
def test_imports_that_may_succeed_or_fail_safely_do_not_block(text):
    found = findings("IMP003", {"src/main.py": text, "src/model.py": "x = 1\n"})
    assert [one for one in found if one.severity is Severity.BLOCKING] == []


def test_a_usual_name_that_a_dependency_may_bring_stays_undecided():
    declared = "[project]\nname = 's'\nversion = '1'\ndependencies = ['a-distribution-nobody-knows']\n"
    found, coverage = review("IMP003", {"src/main.py": "import utils\n", "pyproject.toml": declared})
    assert found == []
    assert any("a-distribution-nobody-knows" in reason for reason in coverage.open["E5.2"])


def test_hostile_project_files_do_not_stop_the_search_for_modules():
    for text in ("project = 1\n", "[project]\ndependencies = {a = 1}\n", "[project]\ndependencies = [[1]]\ntool = 3\n"):
        project = Project(
            Submission(
                "test",
                {
                    "src/main.py": SourceFile.of_text("src/main.py", "import utils\n"),
                    "pyproject.toml": SourceFile.of_text("pyproject.toml", text),
                },
            ),
            load_contract("experiment"),
        )
        assert [miss.module for miss in OwnModules(project).misses] == ["utils"]


def test_a_missing_helper_and_a_wrongly_named_module_break_different_rows():
    (helper,) = findings("IMP003", {"src/main.py": "from .utils import seed\n"})
    (renamed,) = findings("IMP003", {"src/main.py": "import model\n", "src/model.py": "x = 1\n"})
    assert "E5.2" in helper.requirements
    assert "E5.2" not in renamed.requirements


def test_an_import_from_a_file_that_cannot_be_read_is_undecided():
    found, coverage = review("IMP004", {"src/main.py": "from .model import Net\n", "src/model.py": "def\n"})
    assert found == []
    assert any("src/model.py" in reason for reason in coverage.open["E1.2"])


def test_a_near_name_is_offered():
    (found,) = findings(
        "IMP004", {"src/main.py": "from .model import NetModel\n", "src/model.py": "class NetModels: ...\n"}
    )
    assert "NetModels" in found.repair


@pytest.mark.parametrize(
    ("comment", "severity"),
    [
        ("# TODO: add the penalty", Severity.BLOCKING),
        ("# FIXME later", Severity.BLOCKING),
        ("# todo: add the penalty", Severity.BLOCKING),
        ("# PLACEHOLDER: Will be replaced", Severity.BLOCKING),
        ("# ---- TODO ----", Severity.BLOCKING),
        ("# uses the placeholder of the template", Severity.WARNING),
        ("# no TODO: all is done", None),
        ("# replaces the placeholder", None),
        ("# XXX-large", None),
        ("# todos os dados", None),
    ],
)
def test_comments_block_only_where_they_are_marks(comment, severity):
    found = findings("CPL002", {"src/train.py": f"{comment}\nx = 1\n"})
    assert [one.severity for one in found] == ([severity] if severity else [])


@pytest.mark.parametrize("text", ["'# TODO: not a comment'", "'[...]'", "'<image>'", "'YOURS'", "'xxx'"])
def test_ordinary_texts_are_no_placeholders(text):
    assert findings("CPL002", {"src/train.py": f"x = {text}\n"}) == []


@pytest.mark.parametrize(
    "value", ["<your-entity>", "YOUR_ENTITY", "your-entity", "TBD", "<TODO>", "DATASET_PLACEHOLDER"]
)
def test_values_that_wait_for_an_answer_block(value):
    (found,) = findings("CPL002", {"config/config.yaml": f'entity: "{value}"\n'})
    assert found.severity is Severity.BLOCKING


def test_a_run_file_of_the_brief_is_not_blamed():
    laid = SourceFile.of_text("config/runs/a.yaml", "name: TODO\n", laid=True)
    project = Project(Submission("test", {laid.path: laid}), load_contract("experiment"))
    for code in ("CPL002", "CPL004", "LAY002"):
        assert run_rules(project, {code: all_rules()[code]})[0] == []


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("# the rest of the code is unchanged", Severity.BLOCKING),
        ("# ... rest of the training loop", Severity.BLOCKING),
        ("# (omitted for brevity)", Severity.BLOCKING),
        ("# your code here", Severity.BLOCKING),
        ("# same as before, with a mask", Severity.WARNING),
        ("# Training logic here", None),
        ("# code unchanged since the first version", Severity.WARNING),
        ("# the learning rate remains unchanged", None),
    ],
)
def test_marks_of_left_out_code_are_told_from_prose(text, severity):
    found = findings("CPL004", {"src/train.py": f"{text}\nx = 1\n"})
    assert [one.severity for one in found] == ([severity] if severity else [])


@pytest.mark.parametrize(
    "text",
    [
        "import typer\n\napp = typer.Typer()\n\n\n@app.callback()\ndef main():\n    pass\n",
        "class Base:\n    def __init__(self):\n        pass\n",
        "from abc import ABC\n\n\nclass Method(ABC):\n    def step(self):\n        raise NotImplementedError\n",
        "from functools import singledispatch\n\n\n@singledispatch\ndef size(x):\n    raise NotImplementedError\n",
        "class Method(metaclass=Kind):\n    def step(self): ...\n",
    ],
)
def test_empty_bodies_with_a_meaning_are_left_alone(text):
    assert findings("CPL003", {"src/model.py": text}) == []


@pytest.mark.parametrize(
    "text",
    [
        "def log_message(*args):\n    pass\n",
        "def outer():\n    def inner():\n        pass\n    return inner\n",
        "def step():\n    '''Does nothing, on purpose.'''\n",
        "class Method:\n    def close(self):\n        pass\n",
        "class BaseMethod:\n    def step(self):\n        raise NotImplementedError\n",
    ],
)
def test_empty_bodies_that_may_be_meant_are_warnings(text):
    assert [one.severity for one in findings("CPL003", {"src/model.py": text})] == [Severity.WARNING]


def test_no_comment_or_setting_of_a_submission_hides_a_name():
    hidden = "# ruff: noqa\n# flake8: noqa\nprint(lost)  # noqa: F821\n"
    settings = {"ruff.toml": "lint.ignore = ['F821']\n", "pyproject.toml": "[tool.ruff.lint]\nignore = ['F821']\n"}
    (found,) = findings("IMP002", {"src/main.py": hidden, **settings})
    assert found.line == 3
