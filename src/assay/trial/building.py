"""Building the environment that a submission is rehearsed in, near what it declares where that cannot be had.

A rehearsal shows what a program does once its packaging is in order, so that it does not stop at what the rules of
packaging speak of: what cannot be resolved is relaxed step by step, and each step is noted.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from assay.analysis.environment import NOTES
from assay.analysis.fact_table import read_table
from assay.analysis.libraries.distributions import canonical, provides
from assay.analysis.project import Project
from assay.analysis.resolution import (
    INSTALL_SECONDS,
    RESOLVE_SECONDS,
    Uv,
    UvError,
    cache_folder,
    clean,
    digest,
    end_of,
    is_out_of_reach,
    locked,
    platform_name,
    settings,
    write_whole,
)  # fmt: skip
from assay.analysis.ruff_check import python_range
from assay.analysis.wanted_packages import meant_packages, wanted_packages, without_bounds, without_upper_bounds
from assay.errors import InputError
from assay.trial import cached
from assay.trial.bytecode import compile_packages
from assay.trial.environment import OLDEST_MINOR, CannotAddError, TrialEnvironment, open_existing
from assay.trial.own_package import OWN_NAME, own_requirements, own_site

# Change this when environments that were built before must be built again.
_FORM = 1
_MOST_LEFT_OUT = 12
# Compiled parts that fit one build of PyTorch alone.
_BUILT_FOR_TORCH = frozenset({"torchvision", "torchaudio", "torchcodec", "torchtext", "torchao", "xformers", "triton"})
# Names in uv's refusals: what the index does not know, and what has no wheel that fits.
_MISSING = (
    re.compile(r"[Bb]ecause ([a-z0-9][a-z0-9.-]*) was not found in the package registry"),
    re.compile(r"([a-z0-9][a-z0-9.-]*?)(?:[=<>!,]\S*)? ha(?:s|ve) no usable wheels"),
    re.compile(r"[Bb]ecause there are no versions of ([a-z0-9][a-z0-9.-]*?) and"),
)
# Where several distributions provide a module: the one that runs without a display, or that is usual.
_PREFERRED = frozenset({"opencv-python-headless", "pillow", "scikit-learn", "pyyaml", "attrs", "python-dateutil"})


def build(project: Project, say: Callable[[str], None], cache: Path | None = None) -> TrialEnvironment:
    """The environment that a submission asks for, or one near it, from the cache or newly built.

    Args:
        project: The submission.
        say: Is told, in a few words, what happens.
        cache: Folder to keep environments in, instead of the user's cache.

    Raises:
        InputError: where uv is not installed, or the cache cannot be written.
    """
    uv = Uv.found("a trial without --env")
    folder = cache or cache_folder()
    try:
        try:
            made = _Building(uv, folder, project, say).environment()
        except UvError as failure:
            return TrialEnvironment(undecided=f"no environment was built: {failure}")
        cached.prune(cache=folder)
        return made
    except OSError as error:
        raise InputError(f"{folder}: the environment cannot be kept there ({error.strerror or error})") from None


@dataclass(frozen=True)
class _Attempt:
    """Something to ask uv for.

    Args:
        requirements: By name and version.
        notes: In what it departs from what is declared.
        exact: Whether that is just what is declared.
    """

    requirements: tuple[str, ...]
    notes: tuple[str, ...] = ()
    exact: bool = False


@dataclass(frozen=True)
class _Answer:
    """What is written down of a resolution."""

    environment: str = ""
    notes: tuple[str, ...] = ()
    refusal: str = ""
    declared_refusal: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    python: str = ""


class _RefusedError(Exception):
    """uv finds no solution; the text says why."""


class _Building:
    """One submission's environment: what to ask for, the answer that is kept, and the folder."""

    def __init__(self, uv: Uv, folder: Path, project: Project, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.say = say
        self.until = end_of(project.as_of)
        self.tool = _Tool(uv, folder / "environments", self.until)
        self.attempts, self.wants_own = _attempts(project)
        wanted = wanted_packages(project.pyproject)
        self.range = python_range(wanted.requires_python, project.submission.text(".python-version"))
        if self.wants_own:
            self.range = (max(self.range[0] or 0, 11), self.range[1])
        asked = [asdict(attempt) for attempt in self.attempts]
        self.key = digest(
            _FORM, asked, settings(), self.range, self.until, platform_name(), sys.executable, uv.decisive
        )

    def environment(self) -> TrialEnvironment:
        """What is in the cache, or what is made and put there."""
        for _ in range(3):
            answer = self._answer()
            if not answer.environment:
                return TrialEnvironment(refusal=answer.refusal, until=self.until)
            path = self.folder / "environments" / answer.environment
            # somebody may have given it up in between
            if cached.hold(path):
                return self._opened(path, answer)
        raise InputError(f"{self.folder}: environments are given up there faster than they are built")

    def _opened(self, path: Path, answer: _Answer) -> TrialEnvironment:
        opened = open_existing(path)
        made = replace(
            opened,
            notes=answer.notes,
            left_out=answer.left_out,
            declared_refusal=answer.declared_refusal,
            until=self.until,
        )
        if self.wants_own:
            site, version = own_site(self.folder, made.python, made.python_version)
            made = replace(made, sites=(*made.sites, site), packages={**made.packages, OWN_NAME: version})
        return made

    def _answer(self) -> _Answer:
        notes = self.folder / "resolutions" / f"trial-{self.key}.json"
        answer = _read(notes, self.folder / "environments")
        if answer is None:
            with locked(notes.with_suffix(".lock")):
                answer = _read(notes, self.folder / "environments")
                if answer is None:
                    answer = self._made()
                    write_whole(notes, json.dumps(asdict(answer)))
        return answer

    def _made(self) -> _Answer:
        self.say("resolving the dependencies")
        first, declared = "", ""
        for python, python_notes in self.tool.pythons(*self.range):
            for attempt in self.attempts:
                left_out: dict[str, str] = {}
                try:
                    pins = self.tool.resolved(attempt.requirements, python, left_out)
                except _RefusedError as refusal:
                    first = first or str(refusal)
                    if attempt.exact:
                        declared = declared or str(refusal)
                    continue
                if attempt.exact and left_out:
                    declared = declared or "; ".join(f"{name}: {why}" for name, why in left_out.items())
                name = self.tool.built(pins, python, self.say)
                lacking = [f"{item} was left out: {why}" for item, why in left_out.items()]
                return _Answer(
                    name,
                    (*python_notes, *attempt.notes, *lacking),
                    "",
                    declared,
                    left_out,
                    python,
                )
        return _Answer(refusal=first or "no Python that it may run under is on this machine")


def _read(path: Path, environments: Path) -> _Answer | None:
    """An earlier answer; None where there is none, it cannot be read, or its environment is gone."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        answer = _Answer(**{**held, "notes": tuple(held["notes"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    if answer.environment and not (environments / answer.environment / NOTES).is_file():
        return None
    return answer


def _attempts(project: Project) -> tuple[list[_Attempt], bool]:
    """What to ask for, the nearest to what is declared first; and whether Assay itself is among it."""
    metadata = project.pyproject
    found: list[_Attempt] = []
    wanted = wanted_packages(metadata, has_uv_settings="uv.toml" in project.submission)
    declared = metadata.get("project", "dependencies") if metadata is not None else None
    if not wanted.refused and isinstance(declared, list) and declared:
        found.append(_Attempt((*wanted.dependencies, *wanted.groups.get("dev", ())), exact=True))
    meant = meant_packages(metadata, project.submission.text("requirements.txt"))
    base = _Attempt(meant.dependencies, meant.notes)
    if not meant.dependencies:
        guessed, unknown = _guessed(project)
        said = "no dependencies can be read; they were guessed from what is imported"
        lacking = f" (nothing is known to provide {', '.join(unknown)})" if unknown else ""
        base = _Attempt(guessed, (*meant.notes, said + lacking))
    found.append(base)
    for change, said in (
        (without_upper_bounds, "upper bounds of versions were dropped, since uv found no solution with them"),
        (without_bounds, "all bounds of versions were dropped, since uv found no solution with them"),
    ):
        found.append(_Attempt(tuple(map(change, base.requirements)), (*base.notes, said)))
    own = any(_name_of(text) == OWN_NAME for attempt in found for text in attempt.requirements)
    distinct: dict[tuple[str, ...], _Attempt] = {}
    for attempt in found:
        requirements = tuple(_with_own_replaced(attempt.requirements))
        distinct.setdefault(requirements, replace(attempt, requirements=requirements))
    return list(distinct.values()), own


def _with_own_replaced(requirements: tuple[str, ...]) -> Iterator[str]:
    """Requirements in which Assay is replaced by what it needs: it comes from this installation, not from an index."""
    for text in requirements:
        if _name_of(text) == OWN_NAME:
            yield from own_requirements(Requirement(text).extras)
        else:
            yield text


def _name_of(text: str) -> str:
    try:
        return canonical(Requirement(text).name)
    except InvalidRequirement:
        return ""


def _guessed(project: Project) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Distributions for all that a submission's files import, and the modules that nothing is known to provide."""
    own = {part for path in project.submission.files for part in (path.partition("/")[0].removesuffix(".py"),)}
    own |= {Path(path).stem for path in project.python}
    modules: set[str] = set()
    for file in project.python.values():
        for node in ast.walk(file.tree) if file.tree is not None else ():
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module)
    found: set[str] = set()
    unknown: set[str] = set()
    for module in sorted(modules):
        top = module.partition(".")[0]
        if top in own or top in sys.stdlib_module_names:
            continue
        owners = provides(module)
        if owners:
            found.add(min(owners, key=lambda name: (name not in _PREFERRED, len(name), name)))
        else:
            unknown.add(top)
    # what the contract's own programs stand on
    return tuple(sorted(found)), tuple(sorted(unknown)[:10])


class _Tool:
    """uv, asked for pins and for folders of packages as of a day."""

    def __init__(self, uv: Uv, environments: Path, until: str) -> None:
        self.uv = uv
        self.environments = environments
        self.until = until

    def pythons(self, low: int | None, high: int | None) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Interpreters to try, with what is to be said of them; the one of this process first where it is allowed."""
        own = sys.version_info.minor

        def allowed(minor: int) -> bool:
            return (low is None or low <= minor) and (high is None or minor <= high) and minor >= OLDEST_MINOR

        if allowed(own):
            yield sys.executable, ()
        else:
            wanted = high if high is not None and own > high else low
            path = self._python(wanted, download=True) if wanted is not None and wanted >= OLDEST_MINOR else ""
            if path:
                yield path, ()
            elif high is not None and own > high:
                said = f"Python 3.{high} cannot be had here; it was rehearsed under 3.{own}"
                yield sys.executable, (said,)
        # releases of the day may have no wheels yet for a Python that is newer
        for minor in (12, 11, 13, 10):
            if minor != own and allowed(minor) and (path := self._python(minor, download=False)):
                said = f"rehearsed under Python 3.{minor}, since uv found no solution for 3.{own}"
                yield path, (said,) if allowed(own) else ()

    def _python(self, minor: int, *, download: bool) -> str:
        with tempfile.TemporaryDirectory(prefix="assay-resolve-") as made:
            find = ("python", "find", "--no-config", "--no-project", f"3.{minor}")
            done = self.uv.call(Path(made), RESOLVE_SECONDS, *find)
            if done.returncode and download:
                got = self.uv.call(Path(made), INSTALL_SECONDS, "python", "install", "--no-config", f"3.{minor}")
                done = done if got.returncode else self.uv.call(Path(made), RESOLVE_SECONDS, *find)
            return "" if done.returncode else done.stdout.strip()

    def resolved(
        self,
        requirements: tuple[str, ...],
        python: str,
        left_out: dict[str, str],
        known: Mapping[str, str] | None = None,
    ) -> list[str]:
        """Pinned requirements that satisfy some others on this machine.

        Args:
            requirements: What is wanted.
            python: The interpreter to resolve for.
            left_out: Gets the distributions that no index has, or that exist as source alone, with the reason.
            known: Distributions with their versions that are there already, whose own needs are taken as met.

        Raises:
            _RefusedError: where uv finds no solution.
            UvError: where it does not come to an answer.
        """
        wanted = list(requirements)
        while True:
            with tempfile.TemporaryDirectory(prefix="assay-resolve-") as made:
                work = Path(made)
                (work / "wanted.txt").write_text("\n".join(wanted) + "\n", encoding="utf-8")
                (work / "known.txt").write_text(
                    "".join(f"{name}=={version}\n" for name, version in (known or {}).items()), encoding="utf-8"
                )
                (work / "resolve.toml").write_text(settings() + _as_leaves(known or {}), encoding="utf-8")
                done = self.uv.call(
                    work, RESOLVE_SECONDS, "pip", "compile", "wanted.txt", "-c", "known.txt", "--quiet",
                    "--no-header", "--no-annotate", "--python", python, "--config-file", str(work / "resolve.toml"),
                    *self._until,
                )  # fmt: skip
            if not done.returncode:
                return [line.strip() for line in done.stdout.split("\n") if re.match(r"[A-Za-z0-9]", line)]
            said = clean(done.stderr)
            if "Couldn't parse requirement" in said:
                raise _RefusedError(re.sub(r" in `wanted.txt` at position \d+", "", said))
            if is_out_of_reach(done.stderr) or "No solution found" not in said:
                raise UvError(said[:300] or "uv failed and said nothing")
            culprits = self._culprits(said, wanted)
            if not culprits or len(left_out) + len(culprits) > _MOST_LEFT_OUT:
                raise _RefusedError(said)
            left_out |= culprits
            wanted = [text for text in wanted if _name_of(text) not in culprits]

    @staticmethod
    def _culprits(said: str, wanted: list[str]) -> dict[str, str]:
        """Which of the wanted distributions cannot be had in any version, and why."""
        names = {_name_of(text) for text in wanted}
        reasons = ("the package index does not have it", "it is published as source alone", "it has no versions")
        found: dict[str, str] = {}
        for pattern, reason in zip(_MISSING, reasons, strict=True):
            for match in pattern.finditer(said):
                if canonical(match[1]) in names:
                    found.setdefault(canonical(match[1]), reason)
        return found

    def built(self, pins: list[str], python: str, say: Callable[[str], None]) -> str:
        """An environment of pinned requirements: its folder's name below `environments`."""
        name = digest(_FORM, "trial", sorted(pins), python, platform_name())
        with locked(self.environments / f"{name}.lock"):
            if not (self.environments / name / NOTES).is_file():
                say(f"building an environment of {len(pins)} packages")
                self._build(name, lambda building, target: self._fill(pins, python, building, target))
        return name

    def built_beside(self, pins: list[str], python: str) -> Path:
        """A folder of packages alone."""
        name = digest(_FORM, "added", sorted(pins), python, platform_name())
        with locked(self.environments / f"{name}.lock"):
            if not (self.environments / name / NOTES).is_file():
                self._build(name, lambda building, target: self._fill(pins, python, building, target, alone=True))
        return self.environments / name

    def _build(self, name: str, fill: Callable[[Path, Path], None]) -> None:
        """Make something in a folder of its own, and give it its name once it is complete."""
        cached.sweep(self.environments.parent)
        for left in self.environments.glob(f".{name}-*"):
            shutil.rmtree(left, ignore_errors=True)
        building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.environments))
        try:
            target = building / "environment"
            fill(building, target)
            notes = {"left_out": {}, "doubtful": [], "bytes": cached.measured(target)}
            write_whole(target / NOTES, json.dumps(notes))
            shutil.rmtree(self.environments / name, ignore_errors=True)
            target.rename(self.environments / name)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _fill(self, pins: list[str], python: str, building: Path, target: Path, *, alone: bool = False) -> None:
        into = ("--target", str(target), "--python", python) if alone else ("--python", str(target))
        if not alone:
            self._must(building, "venv", "--quiet", "--no-config", "--relocatable", "--python", python, str(target))
        sources = {row["distribution"] for row in read_table("source_only")}
        built = [pin for pin in pins if _name_of(pin) in sources]
        wheels = [pin for pin in pins if pin not in built]
        common = ("--no-config", "--no-deps", "--quiet", *into, *self._until)
        (building / "wheels.txt").write_text("\n".join(wheels) + "\n", encoding="utf-8")
        (building / "sources.txt").write_text("\n".join(built) + "\n", encoding="utf-8")
        if wheels:
            self._must(building, "pip", "install", "--no-build", "-r", "wheels.txt", *common)
        if built:
            # known by name, pinned, and the same for everybody: these may be built
            self._must(building, "pip", "install", "-r", "sources.txt", *common)
        if not target.is_dir():
            target.mkdir()
        compile_packages(target, python if alone else str(target / "bin" / "python"), building, self.environments)

    def _must(self, building: Path, *words: str) -> None:
        done = self.uv.call(building, INSTALL_SECONDS, *words, goes_too=building)
        if done.returncode:
            raise UvError(clean(done.stderr)[:300] or f"uv {words[0]} failed and said nothing")

    @property
    def _until(self) -> tuple[str, ...]:
        return ("--exclude-newer", self.until) if self.until else ()


def _as_leaves(known: Mapping[str, str]) -> str:
    """uv's settings for distributions that are there already: they need nothing more."""
    return "".join(
        f'[[dependency-metadata]]\nname = "{name}"\nversion = "{version}"\nrequires-dist = []\n'
        for name, version in known.items()
    )


def build_beside(environment: TrialEnvironment, names: tuple[str, ...], cache: Path | None = None) -> Path:
    """Distributions in a folder of their own, in versions that fit an environment. See `environment.add`."""
    uv = Uv.found("adding a distribution")
    folder = cache or cache_folder()
    known = {name: public for name, version in environment.packages.items() if (public := _public(version))}
    known.pop(OWN_NAME, None)
    sources = {row["distribution"] for row in read_table("source_only")}
    known = {name: version for name, version in known.items() if name not in sources}
    tool = _Tool(uv, folder / "environments", environment.until)
    python = str(environment.python)
    left_out: dict[str, str] = {}
    try:
        for _ in range(3):
            pins = tool.resolved(names, python, left_out, known)
            if left_out:
                raise CannotAddError("; ".join(f"{name}: {why}" for name, why in left_out.items()))
            missing = [pin for pin in pins if _name_of(pin) not in environment.packages]
            torch = environment.packages.get("torch", "")
            if "+" in torch and (bound := sorted({_name_of(pin) for pin in missing} & _BUILT_FOR_TORCH)):
                raise CannotAddError(f"no index is known for {bound[0]} that fits torch {torch}")
            path = tool.built_beside(missing, python)
            if cached.hold(path):
                return path
        raise InputError(f"{folder}: environments are given up there faster than they are built")
    except (_RefusedError, UvError) as refusal:
        raise CannotAddError(str(refusal)[:300]) from None
    except OSError as error:
        raise InputError(f"{folder}: the environment cannot be kept there ({error.strerror or error})") from None


def _public(version: str) -> str:
    """A version without the part that only the index of a special build knows; empty where it is none."""
    try:
        return Version(version).public
    except InvalidVersion:
        return ""
