"""Submissions laid out on disk, git repositories, and the one line that bad input is answered with."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from assay import open_submission, review
from assay.errors import InputError

SEVEN = {
    "config/config.yaml": "run: ???\nmode: full\nresults_dir: results\n",
    "pyproject.toml": "[project]\nname = 'seven'\nversion = '1'\n",
    "src/evaluate.py": "print('evaluate')\n",
    "src/main.py": "print('main')\n",
    "src/model.py": "class Model:\n    width = 8\n",
    "src/preprocess.py": "def load():\n    return [1, 2]\n",
    "src/train.py": "from src.model import Model\n\nmodel = Model()\n",
}
EIGHT = {path: text for path, text in SEVEN.items() if path != "config/config.yaml"} | {
    "config/smoke_test.yaml": "experiments: []\n",
    "config/full_experiment.yaml": "experiments: []\n",
}
# a guard against what does not end; everything here takes less than three
LONGEST_SECONDS = 60.0


def lay(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return folder


def git(folder: Path, *arguments: str, send: bytes = b"") -> str:
    """Run git as its own author, untouched by the settings of whoever runs the tests."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    done = subprocess.run(["git", "-C", str(folder), *arguments], input=send, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "replace").strip()


def commit(folder: Path, files: Mapping[str, str | bytes] | None = None) -> str:
    """Commit all that a folder holds, making a repository of it where it is none."""
    lay(folder, files or {})
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all", "--force")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=files")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that holds the seven files of a submission."""
    return lay(tmp_path / "submission", SEVEN)


@pytest.fixture
def refused() -> Callable[..., str]:
    """Open (or with `whole`, review) something that cannot be read; the answer is one line, and it comes soon."""

    def try_it(source: str | Path, *, whole: bool = False, **options: Any) -> str:
        begin = time.perf_counter()
        opener: Callable[..., object] = review if whole else open_submission
        with pytest.raises(InputError) as caught:
            opener(source, **options)
        assert time.perf_counter() - begin < LONGEST_SECONDS
        line = str(caught.value)
        assert len(line) < 6000
        return line

    return try_it
