"""Verdicts on commits of mirrored repositories, kept in a folder for as long as assay stays the same."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import assay
from assay.errors import InputError


class Mirror:
    """A folder with one bare git directory per repository: `owner+name/repo`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def git(self, repository: str, *arguments: str) -> bytes:
        """What git prints."""
        place = self.folder / repository.replace("/", "+") / "repo"
        return subprocess.run(["git", "--git-dir", str(place), *arguments], capture_output=True, check=True).stdout

    def has(self, repository: str) -> bool:
        """Whether the repository is there."""
        return (self.folder / repository.replace("/", "+") / "repo").is_dir()

    def names(self, repository: str, revision: str, *under: str) -> list[str]:
        """The paths of a revision."""
        listed = self.git(repository, "ls-tree", "-r", "-z", "--name-only", revision, "--", *under)
        return [name for name in listed.decode("utf-8", "replace").split("\0") if name]

    def show(self, repository: str, revision: str, path: str) -> bytes:
        """A file of a revision."""
        return self.git(repository, "show", f"{revision}:{path}")

    def date(self, repository: str, revision: str) -> str:
        """When a revision was committed, in ISO form."""
        return self.git(repository, "log", "-1", "--format=%cI", revision).decode().strip()

    def commit(self, repository: str, revision: str = "HEAD") -> str:
        """The full name of a revision."""
        return self.git(repository, "rev-parse", revision).decode().strip()

    def files(self, repository: str, revision: str) -> dict[str, bytes]:
        """What of a revision is a submission: `src`, `config` and `pyproject.toml`."""
        names = self.names(repository, revision, "src", "config", "pyproject.toml")
        return {name: self.show(repository, revision, name) for name in names}


class Reviews:
    """Reviews, each made once by this very assay."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.made = 0

    @cached_property
    def fingerprint(self) -> str:
        """A name for the state that assay itself is in."""
        package = Path(assay.__file__).parent
        digest = hashlib.sha256()
        for path in sorted(package.rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(path.relative_to(package).as_posix().encode())
                digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def kept(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What was made under this name before, or is made now."""
        place = self.cache / self.fingerprint / f"{name}.json"
        if place.exists():
            known: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
            return known
        made = make()
        self.made += 1
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(made), encoding="utf-8")
        return made

    def review(self, name: str, files: Callable[[], dict[str, bytes]], contract: str, date: str) -> dict[str, Any]:
        """The verdict on some files as of a day, as JSON has it, with the seconds that it took."""

        def make() -> dict[str, Any]:
            with tempfile.TemporaryDirectory() as folder:
                for path, content in files().items():
                    place = Path(folder).joinpath(*PurePosixPath(path).parts)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(content)
                begin = time.perf_counter()
                try:
                    day = datetime.date.fromisoformat(date[:10])
                    verdict = assay.review(folder, contract=contract, as_of=day).as_dict()
                except InputError as error:
                    print(f"{name}: {error}", file=sys.stderr)
                    verdict = {"findings": [], "error": str(error)}
                verdict["score_seconds"] = time.perf_counter() - begin
            return verdict

        return self.kept(name, make)


def blocking(verdict: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocking findings of a verdict."""
    return [finding for finding in verdict["findings"] if finding["severity"] == "blocking"]


def denies_that_it_runs(finding: dict[str, Any]) -> bool:
    """Whether a blocking finding claims a crash, or that nothing is trained."""
    return finding["severity"] == "blocking" and finding["consequence"] in ("crashes", "trains-nothing")


def general_place_of(finding: dict[str, Any]) -> str:
    """File and line, without the name of a run file, which would tell whose it is."""
    return re.sub(r"(config/runs?/)[^/]+(\.ya?ml)", r"\g<1>*\g<2>", place_of(finding))


def place_of(finding: dict[str, Any]) -> str:
    """File and line."""
    if finding["file"] is None:
        return "submission"
    return finding["file"] if finding["line"] is None else f"{finding['file']}:{finding['line']}"
