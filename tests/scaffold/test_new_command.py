"""`assay new` on the command line, and the programs that it writes, run as their contracts say."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay.cli import app
from assay.contracts import load_contract
from tests.scaffold.contract_commands import run_in

ROOT = Path(__file__).resolve().parents[2]


def command(*arguments, cwd):
    """The real command in a process of its own."""
    call = [sys.executable, "-m", "assay", *map(str, arguments)]
    return subprocess.run(call, cwd=cwd, capture_output=True, text=True, check=False)


def test_it_writes_says_what_and_what_comes_next(tmp_path):
    done = command("new", "work/study", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "work/study: a small submission of contract experiment"
    listed = {line.strip() for line in lines[1 : lines.index("Next:")]} - {""}
    root = tmp_path / "work/study"
    assert listed == {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert lines[lines.index("Next:") + 1 :][:2] == ["  assay review work/study", "  cd work/study"]


def test_the_review_it_names_finds_nothing(tmp_path):
    assert command("new", "foundation", "--contract", "base", cwd=tmp_path).returncode == 0
    done = command("new", "study", "--contract", "derived", "--base", "foundation", cwd=tmp_path)
    review = shlex.split(next(line for line in done.stdout.splitlines() if line.startswith("  assay review ")))
    reviewed = command(*review[1:], cwd=tmp_path)
    assert reviewed.returncode == 0
    assert "Ready: nothing found." in reviewed.stdout


def test_the_specialisation_that_a_foundation_names_works_from_its_folder(tmp_path):
    done = command("new", "foundation", "--contract", "base", cwd=tmp_path)
    words = shlex.split(done.stdout.splitlines()[-1].replace("NAME", "study"))
    assert command(*words[1:], cwd=tmp_path / "foundation").returncode == 0
    assert (tmp_path / "study/src/model.py").is_file()


def test_into_names_the_folder_above(tmp_path):
    assert command("new", "study", "--into", "studies", cwd=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["studies"]
    assert (tmp_path / "studies/study/pyproject.toml").is_file()


def test_it_takes_assay_from_the_checkout_it_runs_from(tmp_path):
    command("new", "study", cwd=tmp_path)
    text = (tmp_path / "study/pyproject.toml").read_text(encoding="utf-8")
    assert f'assay = {{ path = "{ROOT}", editable = true }}' in text


@pytest.mark.parametrize(
    "arguments",
    [["study", "--contract", "exp"], ["two words"], [""], ["taken"], ["study", "--contract", "derived"], ["."]],
    ids=" ".join,
)
def test_what_is_refused_ends_with_2_and_one_line_and_changes_nothing(arguments, tmp_path):
    folder = tmp_path / "here"
    (folder / "taken").mkdir(parents=True)
    (folder / "taken/notes.txt").write_text("mine")
    done = command("new", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("assay: ")
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in folder.rglob("*")) == ["notes.txt", "taken"]


def test_the_help_names_every_contract_that_has_a_template():
    said = CliRunner().invoke(app, ["new", "--help"]).output
    assert all(name in said for name in ("experiment", "base", "derived", "--into", "--base"))


def test_the_page_about_it_names_its_options_and_files():
    text = (ROOT / "docs/new.md").read_text(encoding="utf-8")
    for word in (
        "--contract",
        "--base",
        "--into",
        *load_contract("experiment").required,
        *load_contract("base").required,
    ):
        assert word in text, word


# The programs that it writes


@pytest.mark.parametrize(
    ("contract", "runs"),
    [("base", ["smoke-1", "smoke-2"]), ("derived", ["last-weights", "ema-weights", "tail-mean"])],
)
def test_the_smoke_test_runs_without_a_network(contract, runs, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    assert command("new", "foundation", "--contract", "base", cwd=tmp_path).returncode == 0
    folder = tmp_path / "foundation"
    if contract == "derived":
        folder = tmp_path / "study"
        assert command("new", "study", "--contract", "derived", "--base", "foundation", cwd=tmp_path).returncode == 0
    results = tmp_path / "some results"
    done = run_in(folder, load_contract(contract).commands["trial"].format(results_dir=shlex.quote(str(results))))
    assert done.returncode == 0, done.stderr
    comparison = json.loads(done.stdout.splitlines()[-1])
    assert list(comparison["runs"]) == runs
    # two seeds on a light form of the data: far above chance, which is 0.5 and 0.1
    assert all(min(run["test_accuracy"]) > 0.6 for run in comparison["runs"].values())
    for run in runs:
        assert (results / run / "stdout.log").read_text(encoding="utf-8").count(f'"run_id": "{run}"') == 2
        assert (results / run / "model_seed1.pt").is_file()
    assert all(path.read_bytes().startswith(b"%PDF") for path in (results / "figures").iterdir())
    assert len(list((results / "figures").iterdir())) == 2
