"""What the modules, classes and calls of libraries hold in the release that a submission gets.

The tables `members_*.tsv`, `keywords.tsv` and `releases.tsv` were read from wheels by `tools/library_members.py`. A
release between two that were read has a name where both have it, and lacks it where both lack it.
"""

from __future__ import annotations

import bisect
import difflib
import re
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from assay.analysis.declared_dependencies import Dependencies, dependencies_of
from assay.analysis.fact_table import read_table
from assay.analysis.libraries.distributions import canonical, possible, provides
from assay.analysis.project import Project

OPEN = "*"
# The Pythons that uv may take where the project file leaves the choice open.
_OLDEST_PYTHON, _NEWEST_PYTHON = 10, 13
_LOCKED = re.compile(r'^name = "([^"\n]+)"\nversion = "([^"\n]+)"$', re.MULTILINE)
_CLAUSE = re.compile(r"(\^|~=|~|===?|!=|<=|>=|<|>)?\s*(\d+(?:\.\d+)*(?:\.\*)?)\s*")


class Stretch(NamedTuple):
    """Names that stretch of releases has, by the places of its first release and of the first one after it."""

    first: int
    end: int
    names: frozenset[str]


class Release(NamedTuple):
    """A final release of a distribution.

    Args:
        version: Its version.
        date: The day it was published, as `2024-05-01`.
        python: The oldest minor version of Python 3 that it admits; 0 where it does not say.
        looked: Whether its wheel was read.
    """

    version: Version
    date: str
    python: int
    looked: bool


class Absence(NamedTuple):
    """A name that the release which a submission gets does not have.

    Args:
        distribution: The library.
        owner: The module, class or call that was asked.
        name: The name.
        release: The release that the submission gets.
        gone: The release from which on it is gone; empty where it never was.
        comes: The release that brings it, where that is a later one; empty otherwise.
        always: Whether no admitted release has it.
        sure: Whether the project file asks for the library, and no admitted release has the name or nothing holds the
            library back from the newest one.
        near: A name that is there and looks like it; empty where none does.
    """

    distribution: str
    owner: str
    name: str
    release: Version
    gone: str
    comes: str
    always: bool
    sure: bool
    near: str

    @property
    def history(self) -> str:
        """Since when it is gone, or that it never was, in a few words."""
        if self.gone:
            return f"gone since {self.distribution} {self.gone}"
        if self.comes:
            return f"there only since {self.distribution} {self.comes}"
        return f"in no release of {self.distribution} that was looked at"


class LibraryInterface:
    """Answers for one submission, whose project file and date decide which releases it gets."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._metadata = project.pyproject
        self._chosen: dict[str, _Choice] = {}
        self._told: dict[tuple[str, str, bool], Absence | None] = {}

    def missing_part(self, path: str) -> Absence | None:
        """The first part of a dotted name that its library lacks; None where all is there or cannot be told."""
        distribution = distribution_of(path)
        if not distribution:
            return None
        parts = path.split(".")
        owner = parts[0]
        for part in parts[1:]:
            if owner not in _member_rows(distribution):
                return None
            if (absence := self.absence(distribution, owner, part)) is not None:
                return absence
            owner = f"{owner}.{part}"
        return None

    def member(self, owner: str, name: str, *, lost: bool = False) -> Absence | None:
        """A member that a class lacks; None where it has it or that cannot be told.

        Args:
            owner: The class.
            name: The member.
            lost: Whether a member counts as lacking that the class once defined and no longer does, although its
                `__getattr__` answers for other names.
        """
        distribution = distribution_of(owner)
        known = members(distribution, owner) if distribution else ()
        absence = self._absence(distribution, owner, name, known)
        if absence is None and lost and any(name in stretch.names for stretch in known):
            defined = tuple(Stretch(one.first, one.end, one.names - {OPEN}) for one in known)
            absence = self._absence(distribution, owner, name, defined)
            # what only later releases define may be made while older ones run
            return absence if absence is not None and absence.gone else None
        return absence

    def argument(self, call: str, name: str) -> Absence | None:
        """A keyword argument that a call does not take; None where it does or that cannot be told."""
        distribution = distribution_of(call)
        known = _keywords(call)
        if not distribution or not known:
            return None
        return self._absence(distribution, call, name, known)

    def release(self, distribution: str) -> Version | None:
        """The release that the submission gets, where its project file asks for one."""
        choice = self._choice(distribution)
        return choice.candidates[0] if choice.candidates and choice.asked else None

    def absence(self, distribution: str, owner: str, name: str) -> Absence | None:
        """A public name that a module or class lacks; None where it has it or that cannot be told."""
        return self._absence(distribution, owner, name, members(distribution, owner))

    def _absence(self, distribution: str, owner: str, name: str, known: tuple[Stretch, ...]) -> Absence | None:
        if not known or name.startswith("_"):
            return None
        every = len(_texts_of_looked_at(distribution))
        if any(one.first == 0 and one.end == every and name in one.names for one in known):
            return None
        key = (owner, name, any(OPEN in stretch.names for stretch in known))
        if key not in self._told:
            self._told[key] = self._tell(distribution, owner, name, known)
        return self._told[key]

    def _tell(self, distribution: str, owner: str, name: str, known: tuple[Stretch, ...]) -> Absence | None:
        choice = self._choice(distribution)
        if not choice.candidates or any(
            holds(distribution, known, name, one) is not False for one in choice.candidates
        ):
            return None
        looked = looked_at(distribution)
        newest = choice.candidates[0]
        # where it is there only in releases that the project file does not admit, no resolution brings it
        elsewhere = [one for one in choice.admitted if holds(distribution, known, name, one) is not False]
        spans = [stretch for stretch in known if name in stretch.names]
        gone = [looked[span.end] for span in spans if span.end < len(looked) and looked[span.end] <= newest]
        comes = [looked[span.first] for span in spans if span.first and looked[span.first] > newest]
        if not choice.asked and (gone or comes):
            return None
        there = _names_in(distribution, known, newest)
        near = difflib.get_close_matches(name, sorted(there), n=1, cutoff=0.75) if len(there) < 8_000 else []
        return Absence(
            distribution,
            owner,
            name,
            newest,
            str(max(gone)) if gone else "",
            str(min(comes)) if comes and not gone else "",
            always=not elsewhere and choice.asked,
            sure=choice.asked and (not elsewhere or not self._capped(distribution)),
            near=near[0] if near else "",
        )

    def _choice(self, distribution: str) -> _Choice:
        if distribution not in self._chosen:
            self._chosen[distribution] = self._choose(distribution)
        return self._chosen[distribution]

    def _choose(self, distribution: str) -> _Choice:
        published = [one for one in releases(distribution) if one.date <= self._project.as_of.isoformat()]
        if distribution in self._locked:
            locked = self._locked[distribution]
            return _Choice((locked,), (locked,), True)
        asked = self._asked.get(distribution)
        if asked is None:
            # nothing says which release there is: it has to be missing in each one
            every = tuple(one.version for one in reversed(published) if one.looked)
            return _Choice(every, every, False)
        admitted = [one for one in published if asked.contains(one.version)]
        low, high = self._project.python_range
        newest_python = min(high if high is not None else _NEWEST_PYTHON, _NEWEST_PYTHON)
        oldest_python = min(max(low or _OLDEST_PYTHON, _OLDEST_PYTHON), newest_python)
        candidates = []
        for python in (newest_python, oldest_python):
            fit = [one.version for one in admitted if one.python <= python]
            if fit and fit[-1] not in candidates:
                candidates.append(fit[-1])
        return _Choice(tuple(candidates), tuple(one.version for one in reversed(admitted)), True)

    @cached_property
    def _locked(self) -> dict[str, Version]:
        """The releases that a lock file settles."""
        found: dict[str, Version] = {}
        for name, version in _LOCKED.findall(self._project.submission.text("uv.lock") or ""):
            try:
                found[canonical(name)] = Version(version)
            except InvalidVersion:
                continue
        return found

    @cached_property
    def _dependencies(self) -> Dependencies:
        return dependencies_of(self._metadata) if self._metadata is not None else Dependencies()

    @cached_property
    def _asked(self) -> dict[str, SpecifierSet]:
        """The version range of every distribution whose release follows from the project file."""
        if self._metadata is None or self._metadata.error:
            return {}
        asked: dict[str, SpecifierSet] = {}
        elsewhere = self._metadata.table("tool", "uv", "sources")
        sources = {canonical(name) for name in elsewhere}
        tabled = {
            canonical(name): value
            for table in (("project", "dependencies"), ("tool", "poetry", "dependencies"))
            for name, value in self._metadata.table(*table).items()
        }
        for item in self._dependencies.meant.declared:
            specifier: SpecifierSet | None = item.specifier
            if item.name in tabled:
                # no installer reads a table below `project`: what its carets would hold back is not held back
                specifier = poetry_range(tabled[item.name], capped=not self._metadata.table("project", "dependencies"))
            elif item.special and not str(item.specifier):
                specifier = None
            if specifier is not None and item.name not in sources:
                asked[item.name] = asked.get(item.name, SpecifierSet()) & specifier
        for name in self._dependencies.certain - set(self._dependencies.names):
            asked.setdefault(name, SpecifierSet())
        return asked

    def _capped(self, distribution: str) -> bool:
        """Whether another dependency may hold back the release of a distribution."""
        if self._dependencies.unknown:
            return True
        for item in self._dependencies.meant.declared:
            if item.name == distribution or distribution not in possible([item.name]):
                continue
            published = [one for one in releases(item.name) if one.date <= self._project.as_of.isoformat()]
            asked = self._asked.get(item.name)
            if asked is None or (str(asked) and (not published or not asked.contains(published[-1].version))):
                return True
        return False


class _Choice(NamedTuple):
    """The releases that a resolution may choose, the likeliest first; all that are admitted; whether any was asked."""

    candidates: tuple[Version, ...]
    admitted: tuple[Version, ...]
    asked: bool


def distribution_of(path: str) -> str:
    """The distribution that provides a dotted name and has a table of members; empty where there is none."""
    return _distribution_of(path.partition(".")[0])


@cache
def _distribution_of(module: str) -> str:
    found = provides(module) & _with_members()
    return next(iter(found)) if len(found) == 1 else ""


def holds(distribution: str, known: Iterable[Stretch], name: str, version: Version) -> bool | None:
    """Whether a release has a name; None where that cannot be told."""
    looked = looked_at(distribution)
    after = bisect.bisect_right(looked, version)
    if not after:
        return None
    places = {after - 1} if looked[after - 1] == version or after == len(looked) else {after - 1, after}
    answers = {_at(known, name, place) for place in places}
    answer = answers.pop() if len(answers) == 1 else None
    # a release that came after the last one that was read may have new names
    return answer if answer or version <= looked[-1] else None


def _at(known: Iterable[Stretch], name: str, place: int) -> bool | None:
    alive = [stretch for stretch in known if stretch.first <= place < stretch.end]
    if any(name in stretch.names for stretch in alive):
        return True
    # a module or call that is gone itself says nothing of its names
    return False if alive and not any(OPEN in stretch.names for stretch in alive) else None


def _names_in(distribution: str, known: Iterable[Stretch], version: Version) -> set[str]:
    place = bisect.bisect_right(looked_at(distribution), version) - 1
    return {name for one in known if one.first <= place < one.end for name in one.names}


@cache
def releases(distribution: str) -> tuple[Release, ...]:
    """The releases of a distribution, oldest first."""
    return tuple(
        Release(Version(row["version"]), row["date"], int(row["python"] or 0), bool(row["looked"]))
        for row in _release_rows().get(distribution, ())
    )


@cache
def looked_at(distribution: str) -> tuple[Version, ...]:
    """The releases whose wheels were read, oldest first."""
    return tuple(one.version for one in releases(distribution) if one.looked)


@cache
def _texts_of_looked_at(distribution: str) -> tuple[str, ...]:
    return tuple(row["version"] for row in _release_rows().get(distribution, ()) if row["looked"])


@cache
def _release_rows() -> dict[str, list[dict[str, str]]]:
    return _grouped("releases", "distribution")


def _grouped(table: str, column: str) -> dict[str, list[dict[str, str]]]:
    """The rows of a table by what a column says."""
    found: dict[str, list[dict[str, str]]] = {}
    for row in read_table(table):
        found.setdefault(row[column], []).append(row)
    return found


@cache
def _with_members() -> frozenset[str]:
    folder = Path(__file__).with_name("libraries")
    return frozenset(place.stem.removeprefix("members_") for place in folder.glob("members_*.tsv"))


def owners(distribution: str) -> dict[str, tuple[Stretch, ...]]:
    """The modules and classes of a distribution, with the names that they have in which releases."""
    return {owner: members(distribution, owner) for owner in _member_rows(distribution)}


@cache
def members(distribution: str, owner: str) -> tuple[Stretch, ...]:
    """The names of a module or class in which releases; none where it is not known."""
    return tuple(_stretch(distribution, row) for row in _member_rows(distribution).get(owner, ()))


@cache
def _keywords(call: str) -> tuple[Stretch, ...]:
    return tuple(_stretch(row["distribution"], row) for row in _keyword_rows().get(call, ()))


@cache
def _member_rows(distribution: str) -> dict[str, list[dict[str, str]]]:
    return _grouped(f"members_{distribution}", "owner")


@cache
def _keyword_rows() -> dict[str, list[dict[str, str]]]:
    return _grouped("keywords", "call")


def _stretch(distribution: str, row: dict[str, str]) -> Stretch:
    looked = _texts_of_looked_at(distribution)
    first = looked.index(row["since"]) if row["since"] else 0
    end = looked.index(row["gone"]) if row["gone"] else len(looked)
    return Stretch(first, end, frozenset(row["names"].split()))


def poetry_range(value: object, *, capped: bool = True) -> SpecifierSet | None:
    """A version range in Poetry's manner (`^1.2`, `~1.2`, `>=1,<2`, `*`); None where it is something else.

    Args:
        value: The range as text, or a table with it.
        capped: Whether `^` and `~` have an upper end.
    """
    text = value.get("version") if isinstance(value, dict) else value
    if not isinstance(text, str) or len(text) > 200:
        return None
    if text.strip() in ("*", ""):
        return SpecifierSet()
    clauses: list[str] = []
    for part in text.split(","):
        match = _CLAUSE.fullmatch(part.strip())
        if match is None:
            return None
        sign, version = match.group(1) or "==", match.group(2)
        if sign in ("^", "~"):
            if version.endswith("*"):
                return None
            clauses += [f">={version}", f"<{_bound(sign, version)}"] if capped else [f">={version}"]
        else:
            clauses.append(f"{sign}{version}")
    try:
        return SpecifierSet(",".join(clauses))
    except InvalidSpecifier:
        return None


def _bound(sign: str, version: str) -> str:
    """The first version that a caret or tilde range leaves out."""
    numbers = [int(part) for part in version.split(".")]
    if sign == "~":
        place = min(1, len(numbers) - 1)
    else:
        # the leftmost number that is not zero must not change
        place = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    return ".".join(str(number) for number in [*numbers[:place], numbers[place] + 1])
