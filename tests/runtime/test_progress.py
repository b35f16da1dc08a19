"""What is noted as finished is read back by the next start, and is never lost in silence."""

import os
import subprocess
import sys

import pytest

from assay.runtime.errors import ExperimentError
from assay.runtime.progress import FinishedPart, Progress


def test_nothing_is_finished_before_the_first_part(tmp_path):
    assert Progress(tmp_path / "progress.json").finished == {}
    assert list(tmp_path.iterdir()) == []


def test_finished_parts_are_read_back_in_order(tmp_path):
    path = tmp_path / "run" / "progress.json"
    progress = Progress(path)
    progress.finish(7, rows=120, seconds=3.25)
    progress.finish("3", rows=240, seconds=4)

    assert list(Progress(path).finished.items()) == [("7", FinishedPart(120, 3.25)), ("3", FinishedPart(240, 4.0))]
    assert progress.finished == Progress(path).finished
    assert [entry.name for entry in path.parent.iterdir()] == ["progress.json"]


def test_what_is_handed_out_cannot_change_what_is_noted(tmp_path):
    progress = Progress(tmp_path / "progress.json")
    progress.finish(1, rows=1, seconds=1)

    dict(progress.finished).clear()
    progress.finished.clear()  # type: ignore[attr-defined]

    assert list(progress.finished) == ["1"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"finished": []}',
        b'{"finished": {"1": {}}}',
        b'{"finished": {"1": 3}}',
        b'{"finished": {"1": {"rows": "3", "seconds": 1}}}',
        b'{"finished": {"1": {"rows": 3, "seconds": null}}}',
    ],
)
def test_a_damaged_file_is_a_fault_and_is_left_alone(tmp_path, content):
    path = tmp_path / "progress.json"
    path.write_bytes(content)

    with pytest.raises(ExperimentError, match=r"progress\.json"):
        Progress(path)

    assert path.read_bytes() == content


def test_a_full_disk_leaves_what_was_noted(tmp_path):
    path = tmp_path / "progress.json"
    Progress(path).finish(1, rows=5, seconds=1)
    before = path.read_bytes()
    program = (
        "import resource, sys; from pathlib import Path; from assay.runtime.progress import Progress\n"
        "progress = Progress(Path(sys.argv[1])); resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))\n"
        "progress.finish(2, rows=9, seconds=1)\n"
    )

    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, env=dict(os.environ))

    assert "ExperimentError" in done.stderr
    assert "cannot be written" in done.stderr
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["progress.json"]
