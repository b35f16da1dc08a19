"""Assay as a package for the environment of a submission that depends on it: a copy of the one that runs."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path

from packaging.requirements import Requirement

import assay
from assay.analysis.resolution import locked
from assay.analysis.tied_process import run_tied
from assay.errors import InputError

OWN_NAME = "assay"
_COMPILE_SECONDS = 120
_KEPT = ("METADATA", "WHEEL", "entry_points.txt", "RECORD", "INSTALLER")


def own_requirements(extras: Collection[str]) -> list[str]:
    """What this installation of Assay needs, with some of its extras.

    Raises:
        InputError: where it runs without being installed.
    """
    found: list[str] = []
    for text in _installed().requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            requirement.marker = None
            found.append(str(requirement))
    return found


def own_site(cache: Path, python: Path, python_version: tuple[int, int]) -> tuple[Path, str]:
    """A folder of packages that holds this installation of Assay and nothing else.

    Args:
        cache: The folder of all that is cached.
        python: The interpreter that will read it.
        python_version: Its major and minor version.

    Returns:
        The folder, and Assay's version.

    Raises:
        InputError: where it runs without being installed.
        OSError: where the cache cannot be written.
    """
    distribution = _installed()
    package = Path(assay.__file__).parent
    files = sorted(path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    content = hashlib.sha256(repr(python_version).encode())
    for path in files:
        content.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    folder = cache / "own" / content.hexdigest()[:24]
    if not folder.is_dir():
        with locked(folder.with_suffix(".lock")):
            if not folder.is_dir():
                _copy(package, distribution, folder, python)
    return folder, distribution.version


def _copy(package: Path, distribution: importlib.metadata.Distribution, folder: Path, python: Path) -> None:
    for left in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        target = building / "site"
        shutil.copytree(package, target / OWN_NAME, ignore=shutil.ignore_patterns("__pycache__"))
        metadata = target / f"{OWN_NAME}-{distribution.version}.dist-info"
        metadata.mkdir()
        for name in _KEPT:
            if (text := distribution.read_text(name)) is not None:
                (metadata / name).write_text(text, encoding="utf-8")
        run_tied(
            [str(python), "-I", "-S", "-m", "compileall", "-qq", str(target)], folder=str(building),
            surroundings={"PATH": "/usr/bin:/bin"}, seconds=_COMPILE_SECONDS, goes_too=str(building),
        )  # fmt: skip
        target.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _installed() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(OWN_NAME)
    except importlib.metadata.PackageNotFoundError:
        raise InputError(
            "a submission that depends on assay is rehearsed with this one, which is not installed"
        ) from None
