"""The overlay: what watches lies over an environment that stays as it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from assay.errors import InputError
from assay.trial.environment import open_existing
from assay.trial.overlay import PACKAGE, lay_overlay

BARE = {"PATH": "/usr/bin:/bin"}


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of an overlay over the very environment that runs the tests."""
    folder = tmp_path_factory.mktemp("step") / "overlay"
    added = folder.parent / "added"
    added.mkdir()
    (added / "only_here.py").write_text("WHERE = 'beside'\n")
    return lay_overlay(folder, open_existing(Path(sys.prefix)), {"step": "demo"}, (added,))


def says(python, *words, **surroundings):
    done = subprocess.run(
        list(map(str, words)), env={**BARE, "PATH": f"{python.parent}:{BARE['PATH']}", **surroundings},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def test_the_environment_of_the_tests_is_one_to_rehearse_in():
    environment = open_existing(Path(sys.prefix))
    assert environment.python.is_file()
    assert not environment.python.is_symlink()
    assert environment.python_version == sys.version_info[:2]
    assert environment.has("hydra-core", "pydantic")
    assert environment.exists
    assert any(Path(sys.prefix).is_relative_to(path) for path in environment.readable)
    # what an editable installation leads to has to be seen as well
    assert any(Path(__file__).parents[2].joinpath("src").is_relative_to(path) for path in environment.readable)
    assert open_existing(Path(sys.executable)).folder == environment.folder


def test_modules_of_the_environment_and_of_what_was_added_are_found(python):
    script = "import sys, hydra, only_here; print(sys.prefix, only_here.WHERE, hydra.__file__)"
    prefix, where, hydra = says(python, "python", "-c", script).split()
    assert Path(prefix) == python.parent.parent
    assert where == "beside"
    assert Path(hydra).is_relative_to(sys.prefix)
    # a folder is searched once, whatever Python reads twice
    paths = json.loads(says(python, "python", "-c", "import json, sys; print(json.dumps(sys.path))"))
    assert len(paths) == len(set(paths))


def test_settings_are_found_without_variables_and_with_a_python_path(python, tmp_path):
    (tmp_path / "site.cfg").write_text("")
    script = (
        f"import json, pathlib, {PACKAGE} as p; print((pathlib.Path(p.__file__).parent / 'settings.json').read_text())"
    )
    for surroundings in ({}, {"PYTHONPATH": str(tmp_path)}):
        assert json.loads(says(python, python, "-c", script, **surroundings)) == {"step": "demo"}
    child = (
        "import subprocess, sys; "
        f"print(subprocess.run([sys.executable, '-c', {script!r}], env={{}}, text=True, capture_output=True).stdout)"
    )
    assert json.loads(says(python, python, "-c", child)) == {"step": "demo"}


def test_what_watches_is_compiled(python):
    inside = next(python.parent.parent.glob(f"lib/python3.*/site-packages/{PACKAGE}"))
    assert {path.stem for path in inside.glob("*.py")} == {
        path.name.partition(".")[0] for path in (inside / "__pycache__").glob("*.pyc")
    }


@pytest.mark.parametrize(
    "words",
    [
        ["run", "python", "-u", "-c"], ["run", "--no-sync", "--frozen", "python3", "-c"], ["run", "--", "python", "-c"],
        ["run", "--with", "numpy", "--python", "3.12", "python", "-c"],
    ],
)  # fmt: skip
def test_uv_run_becomes_the_program(python, words):
    script = "import sys; print(sys.executable, sys.argv[1:])"
    assert says(python, "uv", *words, script, "a b", "x=$HOME") == f"{python} ['a b', 'x=$HOME']"


def test_uv_runs_files_modules_and_programs(python, tmp_path):
    (tmp_path / "one.py").write_text("import sys; print('one', sys.argv[1])\n")
    assert says(python, "uv", "run", tmp_path / "one.py", "x") == "one x"
    assert says(python, "uv", "run", "-m", "platform").startswith("Linux") or sys.platform != "linux"
    assert "usage" in says(python, "uv", "run", "pytest", "--help")
    assert says(python, "uv", "sync", "--all-extras") == ""
    done = subprocess.run([python.parent / "uv", "pip", "install", "x"], env=BARE, capture_output=True, check=False)
    assert done.returncode == 2


def test_programs_of_the_environment_run_under_the_overlay(python):
    text = (python.parent / "pytest").read_text()
    assert "$(dirname" in text
    assert (python.parent / "ruff").resolve() == (Path(sys.prefix) / "bin" / "ruff").resolve()


def test_the_environment_is_left_as_it_is(tmp_path):
    site = Path(sys.prefix)
    before = sorted(path.name for path in site.glob("lib/python3.*/site-packages/*"))
    lay_overlay(tmp_path / "overlay", open_existing(site), {})
    lay_overlay(tmp_path / "overlay", open_existing(site), {"again": True})
    assert sorted(path.name for path in site.glob("lib/python3.*/site-packages/*")) == before


def test_what_is_no_environment_is_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match="no virtual environment"):
        open_existing(tmp_path)
    (tmp_path / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    with pytest.raises(InputError, match="Python is missing"):
        open_existing(tmp_path)
    (tmp_path / "old" / "lib" / "python3.8" / "site-packages").mkdir(parents=True)
    (tmp_path / "old" / "bin").mkdir()
    (tmp_path / "old" / "bin" / "python").symlink_to(sys.executable)
    with pytest.raises(InputError, match=r"Python 3\.9 or newer"):
        open_existing(tmp_path / "old")
