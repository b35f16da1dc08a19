"""Which version of the `datasets` library a project gets: one that runs loading scripts, or one that refuses them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from assay.analysis.declared_dependencies import Declared, dependencies_of
from assay.analysis.project import Project

_FIRST = Version("4.0.0")
_LOCKED = re.compile(r'^name = "datasets"\nversion = "([^"\n]{1,40})"', re.MULTILINE)
# a pin in a file beside pyproject.toml
_PINNED = re.compile(
    r"""^[ \t]*(?:-[ \t]*)?["']?datasets(?:\[[^\]\n]{0,40}\])?[ \t]*([<>=~!][^#;"'\n]{1,60})""", re.MULTILINE
)
_PIN_FILES = re.compile(r"requirements[\w.-]*\.(?:txt|in)|environment[\w.-]*\.ya?ml|setup\.(?:py|cfg)|Pipfile")


def library_version(project: Project) -> tuple[str, bool] | None:
    """The version of datasets that refuses scripts and that the project gets, and whether that is certain.

    None where it gets an older one, or where nothing tells.
    """
    locked, version = _locked(project)
    if locked:
        return (str(version), True) if version is not None and version >= _FIRST else None
    declared = [item for item in _declared(project) if item.meant]
    if project.pyproject is None or not declared:
        return None
    specifier = SpecifierSet(",".join(str(item.specifier) for item in declared if str(item.specifier)))
    # any version from the first one on, whatever the newest is
    if _is_below(specifier):
        return None
    if any(clause.operator in (">=", "==", "~=") and _major(clause.version) >= 4 for clause in specifier):
        return str(specifier), True
    # another dependency that holds its version may hold this one back
    dependencies = dependencies_of(project.pyproject)
    others = [item for item in dependencies.declared if item.name != "datasets"]
    held = any(clause.operator in ("<", "<=", "==", "~=", "===") for item in others for clause in item.specifier)
    return "4 or newer", not (held or dependencies.unread)


def holds_library_back(project: Project) -> bool:
    """Whether a lock file, a declared range or a file of pins keeps datasets 4.0 and newer out."""
    locked, version = _locked(project)
    if locked:
        return version is None or version < _FIRST
    declared = _declared(project)
    if declared:
        return any(_is_below(item.specifier) for item in declared)
    return any(_is_below(specifier) for specifier in _pinned(project))


def _locked(project: Project) -> tuple[bool, Version | None]:
    """Whether uv.lock names a version of datasets, and which."""
    found = _LOCKED.search((project.submission.text("uv.lock") or "").replace("\r\n", "\n"))
    if found is None:
        return False, None
    try:
        return True, Version(found.group(1))
    except InvalidVersion:
        return True, None


def _declared(project: Project) -> list[Declared]:
    if project.pyproject is None or project.pyproject.error:
        return []
    return [item for item in dependencies_of(project.pyproject).declared if item.name == "datasets"]


def _pinned(project: Project) -> Iterator[SpecifierSet]:
    for path in project.submission.files:
        if not _PIN_FILES.fullmatch(PurePosixPath(path).name):
            continue
        for match in _PINNED.finditer(project.submission.text(path) or ""):
            try:
                yield SpecifierSet(match.group(1).strip())
            except InvalidSpecifier:
                continue


def _is_below(specifier: SpecifierSet) -> bool:
    return any(_ends_below(clause.operator, clause.version) for clause in specifier)


def _ends_below(operator: str, version: str) -> bool:
    """Whether a clause of a version range keeps 4.0 and newer out."""
    if operator in ("==", "===", "~=", "<="):
        return _major(version) < 4
    return operator == "<" and (_major(version) < 4 or Version(version.removesuffix(".*")) <= _FIRST)


def _major(version: str) -> int:
    try:
        return Version(version.removesuffix(".*")).major
    except InvalidVersion:
        return 0
