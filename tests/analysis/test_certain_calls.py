"""What certainly runs once the programs of a submission start."""

from __future__ import annotations

import pytest

from assay.analysis.certain_calls import CertainCalls
from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.submission import SourceFile, Submission

MAIN = "from src.model import fit\n\n\nif __name__ == '__main__':\n    fit()\n"
MODEL = "def fit():\n    mark()\n"


def certain_calls(main, model, **others):
    texts = {"src/main.py": main, "src/model.py": model, **{f"src/{name}.py": text for name, text in others.items()}}
    made = {path: SourceFile.of_text(path, text) for path, text in texts.items()}
    return CertainCalls(Project(Submission("it", made), load_contract("experiment")))


def certain(main, model=MODEL, **others):
    """Whether the call of `mark` in the model certainly happens."""
    calls = certain_calls(main, model, **others)
    file = calls._modules["src.model"]
    return calls.runs(file, next(call for call, name in file.calls if name == "mark"))


@pytest.mark.parametrize(
    ("main", "model"),
    [
        (MAIN, MODEL),
        (MAIN, "mark()\ndef fit():\n    pass\n"),
        (MAIN, "def fit():\n    return mark()\n"),
        (MAIN, "def fit():\n    with a():\n        step()\n\n\ndef step():\n    mark()\n"),
        (
            MAIN,
            "class T:\n    def __init__(self):\n        self.run()\n    def run(self):\n        mark()\n"
            "def fit():\n    T()\n",
        ),
        ("import src.model as model\nmodel.fit()\n", MODEL),
        ("from src import model\nmodel.fit()\n", MODEL),
        ("def main():\n    from src.model import fit\n    fit()\nmain()\n", MODEL),
    ],
)
def test_what_is_called_on_the_way_certainly_runs(main, model):
    assert certain(main, model)


@pytest.mark.parametrize(
    ("main", "model"),
    [
        ("import src.model\n", MODEL),
        (MAIN.replace("    fit()", "    if a:\n        fit()"), MODEL),
        (MAIN.replace("    fit()", "    try:\n        fit()\n    except E:\n        pass"), MODEL),
        ("if a:\n    import src.model\n", "mark()\n"),
        ("try:\n    import src.model\nexcept ImportError:\n    pass\n", "mark()\n"),
        ("def main():\n    from src.model import fit\n    fit()\n", MODEL),
        (MAIN, "def fit():\n    if a:\n        return\n    mark()\n"),
        (MAIN, "def fit():\n    yield\n    mark()\n"),
        (MAIN, "def fit():\n    def step():\n        mark()\n    return step\n"),
        (MAIN, "def fit():\n    return lambda: mark()\n"),
        # the guard of a file that is only imported is not passed
        (MAIN, "def fit():\n    pass\nif __name__ == '__main__':\n    mark()\n"),
    ],
)
def test_what_may_not_be_reached_does_not_certainly_run(main, model):
    assert not certain(main, model)


def test_a_child_that_main_starts_is_a_program_of_its_own():
    train = "from src.model import fit\nif __name__ == '__main__':\n    fit()\n"
    for word in ("'src.train'", "'src/train.py'"):
        assert certain(f"import subprocess, sys\nsubprocess.run([sys.executable, '-m', {word}])\n", train=train)
    assert not certain("import src.train\n", train=train)
    assert not certain("print('see src/train.py')\n", train=train)


@pytest.mark.parametrize("main", ["pass\n", "import src.model\n", "def (\n"])
def test_the_files_that_are_loaded(main):
    files = certain_calls(main, MODEL).files
    # what an unreadable program imports is not known: any file of the contract may be
    assert ("src/model.py" in files) is (main != "pass\n")
    assert "src/main.py" in files
