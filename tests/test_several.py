"""Reviewing several submissions: one that fails takes none of the others along."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from assay.several import Answer, review_several


class Deadly(str):
    """A path that ends the process which receives it, as running out of memory would."""

    __slots__ = ()

    def __reduce__(self):
        return os._exit, (9,)


@pytest.fixture
def paths(tmp_path):
    folders = []
    for number in range(4):
        (tmp_path / str(number) / "config").mkdir(parents=True)
        (tmp_path / str(number) / "config" / "config.yaml").write_text("run: ???\n")
        folders.append(str(tmp_path / str(number)))
    return folders


@pytest.mark.parametrize("jobs", [1, 3])
def test_answers_come_in_the_order_of_the_paths(paths, jobs):
    told: list[Answer] = []
    asked = [*paths, "absent"]
    answers = review_several(asked, jobs=jobs, report_progress=told.append, select=("LAY001",))
    assert [answer.path for answer in answers] == asked
    assert [answer.status for answer in answers] == [1, 1, 1, 1, 2]
    assert sorted(answer.path for answer in told) == sorted(asked)


def test_a_process_that_dies_takes_no_other_answer_along(paths):
    asked = [paths[0], Deadly("deadly"), *paths[1:]]
    answers = review_several(asked, jobs=2, select=("LAY001",))
    assert [answer.status for answer in answers] == [1, 2, 1, 1, 1]
    assert answers[1].error == "deadly: the reviewing process died"


@pytest.mark.parametrize("call", [["-m", "assay", "review", "."], ["-m", "assay", "review", ".", "src", "--jobs", "2"]])
def test_nothing_in_the_working_directory_is_imported(tmp_path, call):
    marker = tmp_path.parent / f"{tmp_path.name}-was-imported"
    trap = f"open({str(marker)!r}, 'a').write(__name__)\nraise SystemExit(0)\n"
    (tmp_path / "src").mkdir()
    for name in ("yaml", "typer", "packaging", "multiprocessing", "pickle", "ast", "json", "tomllib", "rich", "ruff"):
        (tmp_path / f"{name}.py").write_text(trap, encoding="utf-8")
    (tmp_path / "src" / "train.py").write_text("x = 1\n", encoding="utf-8")
    done = subprocess.run([sys.executable, *call], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert not marker.exists()
    assert done.returncode == 2
    assert "--contract" in done.stderr
