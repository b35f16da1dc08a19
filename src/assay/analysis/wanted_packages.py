"""What a submission asks to be installed, in a form that can be handed to uv without trusting the submission.

uv never sees the submission's own files. It gets a project file written here, from requirements by name and version
alone: what comes from an address, a path or a repository is refused, and settings for uv itself are not obeyed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from assay.analysis.packaging_metadata import PyProject

_MOST_REQUIREMENTS = 500
_LONGEST = 500
# In a requirement, these stand for an address or a path.
_ADDRESS = re.compile(r"[@/\\]|://|^\s*[.~-]")
_PLAIN = re.compile(r"[\x20-\x7e]+")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
# Keys of [tool.uv] that change nothing about which versions are chosen, or that are followed here.
_UNIMPORTANT = frozenset({"package", "managed", "dev-dependencies", "sources", "cache-keys", "link-mode", "pip"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be installed.

    Args:
        name: The project's name.
        requires_python: Its `requires-python`; empty where it has none.
        dependencies: Its dependencies, by name and version.
        extras: Optional dependencies, which uv resolves along with the others and does not install.
        groups: Dependency groups, likewise, except that `dev` is installed.
        inexact: Why uv itself would perhaps choose otherwise; empty where it would not.
        refused: Why nothing can be resolved at all; empty where it can.
    """

    name: str = "submission"
    requires_python: str = ""
    dependencies: tuple[str, ...] = ()
    extras: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    inexact: str = ""
    refused: str = ""

    def as_toml(self) -> str:
        """A project file that asks for the same, and for nothing else."""
        lines = ["[project]", f"name = {_quoted(self.name)}", 'version = "0"']
        if self.requires_python:
            lines.append(f"requires-python = {_quoted(self.requires_python)}")
        lines.append(f"dependencies = {_listed(self.dependencies)}")
        if self.extras:
            lines.append("[project.optional-dependencies]")
            lines += [f"{_quoted(name)} = {_listed(held)}" for name, held in self.extras.items()]
        if self.groups:
            lines.append("[dependency-groups]")
            lines += [f"{_quoted(name)} = {_listed(held)}" for name, held in self.groups.items()]
        return "\n".join(lines) + "\n"


class _RefusedError(Exception):
    """Something that uv must not see."""


def wanted_packages(metadata: PyProject | None, *, has_uv_settings: bool = False) -> Wanted:
    """What a project file asks to be installed.

    Dependencies in Poetry's form (a table of names and versions) are taken for what was meant by them.

    Args:
        metadata: The submission's project file.
        has_uv_settings: Whether the submission also has a `uv.toml`.
    """
    if metadata is None:
        return Wanted(refused="there is no pyproject.toml")
    if metadata.error:
        return Wanted(refused="pyproject.toml is no TOML")
    try:
        return _wanted(metadata, has_uv_settings)
    except _RefusedError as reason:
        return Wanted(refused=str(reason))


@dataclass(frozen=True, slots=True)
class Meant:
    """What a project file means to be installed, as far as that can be told.

    Args:
        dependencies: By name and version, in the standard's form.
        notes: What was read otherwise than it stands there, and why.
    """

    dependencies: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def meant_packages(metadata: PyProject | None, requirements: str | None = None) -> Meant:
    """The dependencies of a submission read with good will, for trying what it would do once they are in order.

    Upper bounds that come from carets and tildes are dropped: they are seldom meant, and taken literally they pull
    versions that do not fit each other. What comes from an address or a path is taken from the index, by its name.

    Args:
        metadata: The submission's project file, which may be missing or broken.
        requirements: The text of its `requirements.txt`, where the project file names nothing.
    """
    notes: list[str] = []
    found: list[str] = []
    for held in _declarations(metadata):
        found += _read_list(held, notes) if isinstance(held, list) else _read_table(held, notes)
    if not found and requirements:
        found = _read_list([line.partition(" #")[0] for line in requirements.split("\n")[:_MOST_REQUIREMENTS]], notes)
        if found:
            notes.append("the dependencies were taken from requirements.txt")
    return Meant(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(notes)))


def _declarations(metadata: PyProject | None) -> Iterator[list[object] | dict[str, object]]:
    """Where a project file may hold dependencies, the standard's place first; nothing after the first that has any."""
    if metadata is None or metadata.error:
        return
    direct = metadata.get("project", "dependencies")
    if isinstance(direct, dict) and isinstance(direct.get("dependencies"), list):
        direct = direct["dependencies"]
    if isinstance(direct, list | dict) and direct:
        yield direct
    elif poetry := metadata.table("tool", "poetry", "dependencies"):
        yield poetry
    elif isinstance(stray := metadata.get("dependencies"), list | dict):
        yield stray
    for key in ("dev", "default", "main"):
        if isinstance(group := metadata.get("dependency-groups", key), list):
            yield group


def _read_list(held: Iterable[object], notes: list[str]) -> list[str]:
    found: list[str] = []
    for item in list(held)[:_MOST_REQUIREMENTS]:
        text = " ".join(item.split()) if isinstance(item, str) else ""
        if not text or text.startswith(("#", "-")) or len(text) > _LONGEST or not _PLAIN.fullmatch(text):
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            if read := _read_loosely(text):
                notes.append(f"{text[:80]!r} is no requirement and was read as {read!r}")
                found.append(read)
            else:
                notes.append(f"{text[:80]!r} cannot be read and was left out")
            continue
        if requirement.url:
            notes.append(f"{requirement.name} was taken from the package index, not from the address given")
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            text = f"{requirement.name}{extras}"
        found.append(text)
    return found


def _read_loosely(text: str) -> str:
    """A requirement that the standard does not know, such as `torch ^2.1`; empty where it names nothing."""
    match = re.match(rf"({_NAME.pattern})\s*(\[[\w, -]*\])?\s*(.*)$", text)
    if not match:
        return ""
    name, extras, rest = match.groups()
    wanted = _open_range(rest.strip(" ()=\"'") if re.match(r"=?\s*[\"'^~(]", rest) else rest)
    return f"{name}{extras or ''}{wanted or ''}"


def _read_table(held: dict[str, object], notes: list[str]) -> list[str]:
    found: list[str] = []
    carets: list[str] = []
    for name, value in list(held.items())[:_MOST_REQUIREMENTS]:
        if name.lower() == "python" or not _NAME.fullmatch(name):
            continue
        # Poetry takes a list of alternatives for several Pythons or systems
        if isinstance(value, list) and value:
            value = value[-1]
        version = value.get("version", "*") if isinstance(value, dict) else value
        if isinstance(value, dict):
            if value.get("optional") is True:
                continue
            if set(value) & {"git", "path", "url", "file"}:
                notes.append(f"{name} was taken from the package index, not from the address given")
        extras = value.get("extras") if isinstance(value, dict) else None
        brackets = ""
        if (
            isinstance(extras, list)
            and extras
            and all(isinstance(item, str) and _NAME.fullmatch(item) for item in extras)
        ):
            brackets = f"[{','.join(extras)}]"
        wanted = _open_range(version) if isinstance(version, str) else None
        if wanted is None:
            notes.append(f"the version of {name[:60]} cannot be read; any was taken")
        elif isinstance(version, str) and re.search(r"[\^~](?!=)", version):
            carets.append(f"{name} {version[:40]}")
        found.append(f"{name}{brackets}{wanted or ''}")
    if carets:
        notes.append(f"upper bounds of carets and tildes were dropped: {', '.join(carets[:20])}")
    return found


def _open_range(text: str) -> str | None:
    """A version range in Poetry's form without the upper bounds that carets and tildes imply."""
    clauses = [re.sub(r"^[\^~]\s*(?=\d)", ">=", clause.strip()) for clause in text.split(",")]
    return _poetry_range(",".join(clauses))


def without_upper_bounds(requirement: str) -> str:
    """A requirement with its lower bounds and exclusions alone; `==2.1` becomes `>=2.1`."""
    return _with_clauses(requirement, {">=": ">=", ">": ">", "!=": "!=", "==": ">=", "~=": ">=", "===": ">="})


def without_bounds(requirement: str) -> str:
    """A requirement for any version."""
    return _with_clauses(requirement, {})


def _with_clauses(text: str, kept: dict[str, str]) -> str:
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return text
    clauses = {
        f"{kept[clause.operator]}{clause.version.removesuffix('.*')}"
        for clause in requirement.specifier
        if clause.operator in kept
    }
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f" ; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}{','.join(sorted(clauses))}{marker}"


def _wanted(metadata: PyProject, has_uv_settings: bool) -> Wanted:
    inexact = "uv.toml holds settings that a review does not obey" if has_uv_settings else ""
    settings = [str(key) for key in metadata.table("tool", "uv") if key not in _UNIMPORTANT]
    if settings:
        inexact = f"[tool.uv] sets {', '.join(sorted(settings)[:3])[:80]}, which a review does not obey"
    if sources := metadata.get("tool", "uv", "sources"):
        names = ", ".join(sorted(str(name)[:40] for name in sources)[:3]) if isinstance(sources, dict) else "something"
        raise _RefusedError(f"[tool.uv.sources] takes {names} from a place of its own")
    direct = metadata.get("project", "dependencies")
    dynamic = metadata.get("project", "dynamic")
    poetry = metadata.table("tool", "poetry", "dependencies")
    if isinstance(direct, list):
        listed = tuple(_checked(direct))
    elif isinstance(direct, dict) or (direct is None and poetry):
        listed = tuple(_from_table(direct if isinstance(direct, dict) else poetry))
        inexact = inexact or "uv does not read a table of dependencies"
    elif direct is not None:
        raise _RefusedError("the dependencies in pyproject.toml are no list")
    elif isinstance(dynamic, list) and "dependencies" in dynamic:
        raise _RefusedError("the dependencies are left to the build, which would run the submission's code")
    else:
        listed = ()
    name = metadata.get("project", "name")
    requires = metadata.get("project", "requires-python")
    if requires is None and isinstance(poetry.get("python"), str):
        requires = _poetry_range(poetry["python"])
    elif isinstance(requires, str) and not _is_range(requires):
        requires, inexact = _poetry_range(requires), inexact or "requires-python is no version range"
    extras = {
        _checked_name(key): tuple(_checked(held))
        for key, held in metadata.table("project", "optional-dependencies").items()
        if isinstance(held, list)
    }
    groups, all_read = _groups(metadata)
    if not all_read:
        inexact = inexact or "not every dependency group can be read"
    return Wanted(
        name if isinstance(name, str) and _NAME.fullmatch(name) else "submission",
        requires if isinstance(requires, str) and _is_range(requires) else "",
        listed,
        extras,
        groups,
        inexact,
    )


def _groups(metadata: PyProject) -> tuple[dict[str, tuple[str, ...]], bool]:
    """The dependency groups, and whether all of them could be read. Those that include others are left out."""
    groups: dict[str, tuple[str, ...]] = {}
    all_read = True
    for key, held in metadata.table("dependency-groups").items():
        if isinstance(held, list) and all(isinstance(item, str) for item in held):
            groups[_checked_name(key)] = tuple(_checked(held))
        else:
            all_read = False
    dev = metadata.get("tool", "uv", "dev-dependencies")
    if isinstance(dev, list):
        groups["dev"] = (*groups.get("dev", ()), *_checked(dev))
    return groups, all_read


def _checked(held: list[object]) -> Iterator[str]:
    """The requirements of a list. Raises where one of them names more than a distribution and its versions."""
    if len(held) > _MOST_REQUIREMENTS:
        raise _RefusedError("pyproject.toml lists too many dependencies")
    for item in held:
        text = " ".join(item.split()) if isinstance(item, str) else ""
        if not text or len(text) > _LONGEST or not _PLAIN.fullmatch(text):
            raise _RefusedError("pyproject.toml lists a dependency that cannot be read")
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            # uv forgives more than the standard allows; it may try where no address can hide
            if _ADDRESS.search(text):
                raise _RefusedError(f"the dependency {text[:60]!r} cannot be read") from None
        else:
            if requirement.url:
                raise _RefusedError(f"{requirement.name} is to be taken from an address or a path")
        yield text


def _from_table(held: dict[str, object]) -> Iterator[str]:
    """Requirements from a table in Poetry's form."""
    if len(held) > _MOST_REQUIREMENTS:
        raise _RefusedError("pyproject.toml lists too many dependencies")
    for name, value in held.items():
        if name.lower() == "python":
            continue
        version = value.get("version", "*") if isinstance(value, dict) else value
        if isinstance(value, dict) and set(value) & {"git", "path", "url", "file"}:
            raise _RefusedError(f"{name[:60]} is to be taken from an address or a path")
        if isinstance(value, dict) and value.get("optional") is True:
            continue
        wanted = _poetry_range(version) if isinstance(version, str) else None
        if wanted is None or not _NAME.fullmatch(name):
            raise _RefusedError(f"the version of {name[:60]} cannot be read")
        extras = value.get("extras") if isinstance(value, dict) else None
        brackets = ""
        if isinstance(extras, list) and all(isinstance(item, str) and _NAME.fullmatch(item) for item in extras):
            brackets = f"[{','.join(extras)}]" if extras else ""
        yield f"{name}{brackets}{wanted}"


def _poetry_range(text: str) -> str | None:
    """A version range in Poetry's form as one that the standard knows; None where it cannot be told."""
    parts = []
    for clause in text.split(","):
        clause = clause.strip()
        match = re.fullmatch(r"([\^~])\s*(\d{1,6}(?:\.\d{1,6}){0,3})", clause)
        if clause in ("", "*"):
            continue
        if match:
            kind, digits = match.groups()
            numbers = [int(part) for part in digits.split(".")]
            if kind == "^":
                fixed = next((place for place, number in enumerate(numbers) if number), len(numbers) - 1)
            else:
                fixed = min(1, len(numbers) - 1)
            upper = ".".join(str(number) for number in [*numbers[:fixed], numbers[fixed] + 1])
            parts += [f">={digits}", f"<{upper}"]
        else:
            parts.append(f"=={clause}" if clause[0].isdigit() else clause)
    joined = ",".join(parts)
    return joined if _is_range(joined) else None


def _is_range(text: str) -> bool:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return False
    return len(text) <= _LONGEST and (not text or _PLAIN.fullmatch(text) is not None)


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise _RefusedError(f"the name {name[:40]!r} in pyproject.toml is none that uv takes")
    return name


def _quoted(text: str) -> str:
    return json.dumps(text)


def _listed(texts: tuple[str, ...]) -> str:
    return f"[{', '.join(_quoted(text) for text in texts)}]"
