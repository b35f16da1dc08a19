"""The dependencies that a project file declares: what uv installs, and what its author seems to have meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import Version

from assay.analysis.libraries.distributions import canonical, certainly, oldest_known, possible, unknown_among
from assay.analysis.packaging_metadata import PyProject

# `uv run` and `uv sync` install these groups unless told otherwise (docs.astral.sh/uv/concepts/projects/dependencies).
_DEFAULT_GROUPS = ("dev",)


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared dependency.

    Args:
        name: The distribution, in canonical form.
        specifier: Its version range; empty where it has none or one that cannot be read.
        special: Whether more than its name and version decides what comes with it: extras, an address, a
            requirement that cannot be read.
        installed: Whether uv installs it when a program is run.
        meant: Whether its author meant it to be installed then; true of a table that uv does not read.
    """

    name: str
    specifier: SpecifierSet = field(default_factory=SpecifierSet)
    special: bool = False
    installed: bool = True
    meant: bool = True


@dataclass(frozen=True)
class Dependencies:
    """What a project file declares.

    Args:
        declared: The dependencies, including those in a table that uv does not read.
        unknown: Why there may be others; empty where there are none.
        line: The line on which a missing dependency would have to be added.
    """

    declared: tuple[Declared, ...] = ()
    unknown: str = ""
    line: int | None = None

    @cached_property
    def meant(self) -> Dependencies:
        """Those that were meant to be installed when a program is run: no optional ones."""
        return Dependencies(tuple(item for item in self.declared if item.meant), self.unknown, self.line)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of all declared dependencies."""
        return frozenset(item.name for item in self.declared)

    @cached_property
    def certain(self) -> frozenset[str]:
        """The declared distributions and those that they certainly bring along."""
        return certainly(self.names)

    @cached_property
    def possible(self) -> frozenset[str]:
        """The declared distributions and those that they may bring along."""
        return possible(self.names)

    def brings(self, name: str) -> str:
        """The first declared distribution that certainly brings another along; empty where none does."""
        return next((item.name for item in self.declared if name in certainly([item.name])), "")

    @cached_property
    def unread(self) -> str:
        """Why the list of what gets installed is open at its end; empty where it is not."""
        if self.unknown:
            return self.unknown
        special = next((item.name for item in self.declared if item.special), "")
        return f"what the declaration of {special} brings along is not known" if special else ""

    @cached_property
    def doubt(self) -> str:
        """Why a declared distribution may bring something that is not in the tables; empty where none can."""
        if names := unknown_among(self.names):
            return f"it is not known what {names[0]} brings along"
        old = next((item.name for item in self.declared if _older_than_known(item)), "")
        return f"it is not known what this version of {old} brings along" if old else ""


@lru_cache(maxsize=4)
def dependencies_of(metadata: PyProject) -> Dependencies:
    """What a project file declares, whichever table it uses for it."""
    found: list[Declared] = []
    unknown = ""
    direct = metadata.get("project", "dependencies")
    if isinstance(direct, list):
        found.extend(_listed(direct, True))
    elif isinstance(direct, dict):
        found.extend(_tabled(direct, True))
    elif direct is not None:
        unknown = "the dependencies are no list"
    dynamic = metadata.get("project", "dynamic")
    if not direct and isinstance(dynamic, list) and "dependencies" in dynamic:
        unknown = "the dependencies are left to the build"
    if not found:
        found.extend(_tabled(metadata.table("tool", "poetry", "dependencies"), backend_of(metadata) == "poetry-core"))
    for group, installed in _groups(metadata):
        found.extend(_listed(group, installed))
    for group in metadata.table("project", "optional-dependencies").values():
        found.extend(_listed(group, False))
    own = canonical(str(metadata.get("project", "name") or ""))
    if any(item.name == own for item in found):
        # a project may ask for its own extras; what they hold is then installed
        found = [Declared(item.name, item.specifier, item.special) for item in found if item.name != own]
    line = metadata.line("project", "dependencies") or metadata.line("tool", "poetry", "dependencies") or 1
    return Dependencies(tuple(found), unknown, line)


def backend_of(metadata: PyProject) -> str | None:
    """The build backend that uv calls for a project, by the name of its distribution; None where it builds nothing.

    uv builds a project that has a `[build-system]` table, or `tool.uv.package = true`, and never one with
    `tool.uv.package = false`. Where no backend is named, setuptools is used (PEP 517).
    """
    package = metadata.get("tool", "uv", "package")
    system = metadata.get("build-system")
    if package is False or not isinstance(metadata.get("project"), dict):
        return None
    if not isinstance(system, dict):
        return "setuptools" if package is True else None
    backend = system.get("build-backend")
    if backend is None:
        return "setuptools"
    return BACKENDS.get(str(backend).partition(":")[0], str(backend))


BACKENDS = {
    "setuptools.build_meta": "setuptools",
    "hatchling.build": "hatchling",
    "poetry.core.masonry.api": "poetry-core",
    "uv_build": "uv-build",
    "flit_core.buildapi": "flit-core",
    "pdm.backend": "pdm-backend",
}


def requirement_lists(metadata: PyProject) -> Iterator[tuple[tuple[str, ...], list[Any]]]:
    """Every list of requirements in a project file, with the path of its key."""
    direct = metadata.get("project", "dependencies")
    if isinstance(direct, list):
        yield ("project", "dependencies"), direct
    for table in (("project", "optional-dependencies"), ("dependency-groups",)):
        for name, group in metadata.table(*table).items():
            if isinstance(group, list):
                yield (*table, name), group
    dev = metadata.get("tool", "uv", "dev-dependencies")
    if isinstance(dev, list):
        yield ("tool", "uv", "dev-dependencies"), dev


def _groups(metadata: PyProject) -> Iterator[tuple[object, bool]]:
    """Each dependency group, and whether uv installs it by default."""
    groups = {canonical(name): group for name, group in metadata.table("dependency-groups").items()}
    chosen = metadata.get("tool", "uv", "default-groups")
    pending = list(groups) if chosen == "all" else [str(name) for name in chosen or () if isinstance(chosen, list)]
    pending = list(_DEFAULT_GROUPS) if chosen is None else [canonical(name) for name in pending]
    default: set[str] = set()
    while pending:
        name = pending.pop()
        group = groups.get(name)
        if name not in default and isinstance(group, list):
            default.add(name)
            included = (item.get("include-group") for item in group if isinstance(item, dict))
            pending.extend(canonical(other) for other in included if isinstance(other, str))
    for name, group in groups.items():
        yield group, name in default
    yield metadata.get("tool", "uv", "dev-dependencies"), True


def _listed(held: object, installed: bool) -> Iterator[Declared]:
    for text in held if isinstance(held, list) else ():
        if not isinstance(text, str):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            if name := re.match(r"\s*([A-Za-z0-9][\w.-]*)", text):
                yield Declared(canonical(name.group(1)), special=True, installed=installed, meant=installed)
            continue
        special = bool(requirement.extras or requirement.url)
        yield Declared(canonical(requirement.name), requirement.specifier, special, installed, installed)


def _tabled(held: dict[str, Any], installed: bool) -> Iterator[Declared]:
    """Dependencies in Poetry's manner: name to version, or to a table with more."""
    for name, value in held.items():
        if canonical(name) != "python":
            yield Declared(canonical(name), special=isinstance(value, dict), installed=installed)


def _older_than_known(item: Declared) -> bool:
    """Whether a version range ends below the oldest version whose needs are known."""
    oldest = oldest_known(item.name)
    return oldest is not None and any(_ends_before(clause, oldest) for clause in item.specifier)


def _ends_before(clause: Specifier, version: Version) -> bool:
    """Whether a clause of a version range admits older releases only, as far as major and minor number go."""
    if clause.operator == "===":
        return True
    bound = Version(clause.version.removesuffix(".*"))
    upper = clause.operator in ("==", "<=", "<", "~=")
    return upper and bound.release[:2] < version.release[:2] and not clause.contains(version)
