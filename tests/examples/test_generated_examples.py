"""Three of the examples are what `assay new` writes now, byte for byte."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from assay.contracts import load_contract

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = runpy.run_path(str(EXAMPLES / "regenerate.py"))
GENERATED = SCRIPT["GENERATED"]


def contents(root: Path, contract: str) -> dict[str, bytes]:
    """The files of a submission, and the two others that are written, without what running it leaves there."""
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
    exempt = load_contract(contract).is_exempt
    return {
        path: file.read_bytes()
        for path, file in files.items()
        if path in ("README.md", ".gitignore") or not (exempt(path) or "__pycache__" in path)
    }


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkout") / "examples"
    SCRIPT["regenerate"](folder)
    return folder


@pytest.mark.parametrize("name", GENERATED)
def test_an_example_is_what_its_template_gives(name, generated):
    contract, _ = GENERATED[name]
    now, committed = contents(generated / name, contract), contents(EXAMPLES / name, contract)
    assert len(now) > len(load_contract(contract).required)
    assert now.keys() == committed.keys(), "run `python examples/regenerate.py`"
    assert [path for path in now if now[path] != committed[path]] == [], "run `python examples/regenerate.py`"


def test_regenerating_removes_what_a_template_no_longer_has_and_keeps_results(tmp_path):
    SCRIPT["regenerate"](tmp_path / "examples")
    stale, result = tmp_path / "examples/digits/config/runs/old.yaml", tmp_path / "examples/digits/results/a/run.json"
    result.parent.mkdir(parents=True)
    stale.write_text("run_id: old\n")
    result.write_text("{}")
    (tmp_path / "examples/digits/src/main.py").write_text("changed\n")
    SCRIPT["regenerate"](tmp_path / "examples")
    assert not stale.exists()
    assert result.exists()
    assert "launch" in (tmp_path / "examples/digits/src/main.py").read_text()
