"""What the review knows of the library is what the library does."""

from __future__ import annotations

import inspect

import pytest

import assay.evaluation
import assay.runtime
from assay.analysis.hydra_entry import hydra_entry
from assay.analysis.own_library import (
    ADDED_KEYS,
    BEST_WEIGHTS,
    CONFIG_NAME,
    EVALUATE,
    EXPERIMENT,
    LAUNCH,
    LOOPS,
    METRIC,
    RUN,
    TRACKER,
    VERSION_BASE,
    is_hidden,
    member,
    misfit,
    run_words,
)  # fmt: skip
from assay.analysis.python_source import PythonFile
from assay.runtime import program
from assay.runtime.call import read_call
from assay.runtime.tracker import RESERVED

PROGRAM = "from assay.runtime import experiment\n\n\n@experiment\ndef main(cfg, run):\n    pass\n\n\n"


def test_the_names_are_there():
    for name in (EXPERIMENT, LAUNCH, EVALUATE, METRIC, *(loop.removesuffix("()") for loop in LOOPS)):
        assert member(name) not in (None, True)


def test_hydra_is_asked_as_the_library_asks_it():
    asked = inspect.getsource(program)
    assert f'version_base="{VERSION_BASE}"' in asked
    assert f'config_name="{CONFIG_NAME}"' in asked
    assert "config_path=str(root / " in asked
    assert frozenset(RESERVED) == ADDED_KEYS


@pytest.mark.parametrize("folder", ["runs", "run"])
def test_a_run_is_chosen_as_the_library_chooses_it(tmp_path, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "a.yaml").write_text("x: 1\n")
    (tmp_path / "config.yaml").write_text("mode: ???\n")
    words = ["results_dir=x", "run=a", "mode=full", "training.epochs=2"]
    asked = [word for word in read_call(words, tmp_path, "src.main").words if not word.startswith("hydra")]
    assert asked == run_words(words, folder)


@pytest.mark.parametrize(
    ("path", "positional", "names", "fits"),
    [
        (LAUNCH, 2, ("folder",), True),
        (LAUNCH, 1, ("args",), False),
        (LAUNCH, 0, (), False),
        (METRIC, 2, (), True),
        (METRIC, 1, (), False),
        (f"{RUN}.track", 1, ("series", "summary"), True),
        (f"{RUN}.track", 3, (), False),
        (f"{RUN}.epochs", 1, ("model", "optimizer"), True),
        (f"{RUN}.epochs", 0, ("model",), False),
        (f"{RUN}.is_trial", 0, (), True),
        (f"{TRACKER}.log", 1, (), True),
        (f"{TRACKER}.log", 2, (), False),
        # not a name of the library, so nothing is known
        ("torch.tensor", 9, (), True),
    ],
)
def test_a_call_fits_or_not(path, positional, names, fits):
    assert (misfit(path, positional, names) == "") is fits


@pytest.mark.parametrize(
    "path",
    [f"{RUN}.log", f"{TRACKER}.summary", f"{BEST_WEIGHTS}.load", "assay.runtime.Trainer", "assay.evaluation.plot"],
)
def test_names_that_are_not_there(path):
    assert member(path) is None


@pytest.mark.parametrize("path", [f"{RUN}.id", f"{RUN}.arguments", f"{RUN}.device", f"{BEST_WEIGHTS}.score", "os.path"])
def test_names_that_are_there_or_not_the_librarys(path):
    assert member(path) is not None


def test_every_public_name_is_one():
    for package in (assay.runtime, assay.evaluation):
        assert all(member(f"{package.__name__}.{name}") is not None for name in package.__all__)


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("assay.py", True),
        ("assay/runtime.py", True),
        ("src/assay/x.py", True),
        ("src/train.py", False),
        ("src/assays.py", False),
    ],
)
def test_a_file_of_the_name_hides_the_library(path, hidden):
    assert is_hidden(["src/main.py", path]) is hidden


@pytest.mark.parametrize(
    ("text", "certain"),
    [
        (PROGRAM + "main()\n", True),
        (PROGRAM + "if __name__ == '__main__':\n    main()\n", True),
        (PROGRAM.replace("import experiment", "import launch as experiment") + "main()\n", None),
        (PROGRAM.replace("import experiment", "import experiment as e").replace("@exp", "@e  # ") + "main()\n", True),
        (PROGRAM.replace("@experiment", "@experiment()") + "main()\n", False),
        (PROGRAM + "if ready:\n    main()\n", False),
        (PROGRAM, False),
        (PROGRAM + "main(None, None)\n", False),
    ],
)  # fmt: skip
def test_the_entry_of_a_program(text, certain):
    entry = hydra_entry(PythonFile("src/main.py", text))
    if certain is None:
        assert entry is None
        return
    assert entry is not None
    assert entry.by_library
    assert (entry.config_dir, entry.config_name) == ("config", "config")
    assert entry.certain is certain


def test_a_program_at_the_root_has_no_configuration_beside_its_package():
    entry = hydra_entry(PythonFile("main.py", PROGRAM + "main()\n"))
    assert entry is not None
    assert not entry.certain
