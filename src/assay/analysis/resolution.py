"""Environments that uv builds for a submission as of a day, kept in the user's cache.

Nothing of the submission is executed: uv reads a project file written from names and version ranges alone, and
neither builds nor runs anything. Distributions that exist as source alone are left out where their needs are known,
and otherwise leave the matter undecided.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from assay.analysis.environment import NOTES, Environment, open_environment
from assay.analysis.fact_table import read_table
from assay.analysis.libraries.distributions import canonical
from assay.analysis.tied_process import run_tied
from assay.analysis.wanted_packages import Wanted
from assay.errors import InputError

RESOLVE_SECONDS = 300
INSTALL_SECONDS = 3_600
# Change this when environments that were built before must be built again.
_FORM = 1

# What uv may know of the caller: where packages come from, how to get there, and where uv keeps its own things. The
# submission cannot choose a host, so that the caller's credentials go only where the caller's own settings send them.
_KEPT = re.compile(
    r"PATH|HOME|USER|LOGNAME|TMPDIR|LANG|LC_ALL|NETRC|XDG_(?:CACHE|DATA|BIN)_HOME|SSL_(?:CERT_FILE|CERT_DIR|CLIENT_CERT)"
    r"|(?:HTTPS?|ALL|NO)_PROXY|(?:https?|all|no)_proxy"
    r"|UV_(?:DEFAULT_INDEX|INDEX(?:_.*)?|EXTRA_INDEX_URL|FIND_LINKS|OFFLINE|NATIVE_TLS|SYSTEM_CERTS|INSECURE_HOST"
    r"|HTTP_.*|REQUEST_TIMEOUT|KEYRING_PROVIDER|CACHE_DIR|LINK_MODE|CONCURRENT_.*"
    r"|PYTHON_(?:DOWNLOADS|INSTALL_DIR|INSTALL_MIRROR|PREFERENCE|CACHE_DIR))"
)
# Those of them that decide what is found.
_DECISIVE = re.compile(r"UV_(?:DEFAULT_INDEX|INDEX(?:_URL|_STRATEGY)?|EXTRA_INDEX_URL|FIND_LINKS)")
# Where uv says one of these, its failure is not the submission's: no wheels, no network, no dates.
_NOT_TO_BLAME = re.compile(
    r"no usable wheels|no wheels? with a matching|building from source|building source|--no-build|source distribution"
    r"|network was disabled|not found in the cache|upload date|failed to fetch|error sending request|authentication"
    r"|could not be queried|metadata (?:could not|was|is)|invalid (?:metadata|package)|corrupt",
    re.IGNORECASE,
)
_OUT_OF_REACH = re.compile(
    r"network was disabled|not found in the cache|failed to fetch|error sending request|authentication"
    r"|could not be queried|dns error|tcp connect error|connection (?:refused|reset)|timed out",
    re.IGNORECASE,
)
_FULL_DISK = re.compile(r"No space left on device|os error 28|Disk quota exceeded|quota exceeded", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What came of building an environment: one of the three.

    Args:
        environment: The environment.
        refusal: uv's own words, where what the submission declares cannot be installed anywhere.
        undecided: Why there is no environment although the submission may be in order.
    """

    environment: Environment | None = None
    refusal: str = ""
    undecided: str = ""


@dataclass(frozen=True)
class _Answer:
    """What is written down of a resolution."""

    environment: str = ""
    refusal: str = ""
    undecided: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)


class UvError(Exception):
    """uv gave up; the text says why."""


@dataclass(frozen=True)
class Uv:
    """The uv program, called so that it sees what it may, and ends when its caller does.

    Args:
        program: Path to it.
        surroundings: Its environment variables.
    """

    program: str
    surroundings: Mapping[str, str]

    @classmethod
    def found(cls, option: str) -> Uv:
        """The one of this machine.

        Args:
            option: What needs it, for the complaint.

        Raises:
            InputError: where uv is not installed.
        """
        program = find_uv()
        if program is None:
            raise InputError(f"{option} needs the program uv: pip install 'assay[env]'")
        surroundings = {name: value for name, value in os.environ.items() if _KEPT.fullmatch(name)}
        return cls(program, {**surroundings, "NO_COLOR": "1"})

    @property
    def decisive(self) -> list[tuple[str, str]]:
        """The variables that decide what it finds."""
        return sorted((key, value) for key, value in self.surroundings.items() if _DECISIVE.fullmatch(key))

    def call(
        self, work: Path, seconds: float, *words: str, goes_too: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Call it.

        Args:
            work: Its working directory.
            seconds: How long it may take.
            words: Its arguments.
            goes_too: A folder that is removed where this process is killed meanwhile.
            more: Further environment variables.

        Raises:
            UvError: where it does not end or start.
            OSError: where the disk is full.
        """
        command = [self.program, *words, "--no-progress"]
        try:
            done = run_tied(
                command, folder=str(work), surroundings={**self.surroundings, **more}, seconds=seconds,
                goes_too=str(goes_too or ""),
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UvError(f"uv {words[0]} did not end within {seconds:g} s") from None
        except OSError as error:
            raise UvError(f"uv could not be started: {error.strerror or error}") from None
        if done.returncode and _FULL_DISK.search(done.stderr):
            raise OSError(errno.ENOSPC, "the disk is full")
        return done


def find_uv() -> str | None:
    """The uv program: the one installed beside this interpreter, else the one on the path."""
    beside = Path(sys.executable).parent / "uv"
    if os.access(beside, os.X_OK):
        return str(beside)
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        return shutil.which("uv")


def cache_folder() -> Path:
    """Where Assay keeps what it can make again: `$XDG_CACHE_HOME/assay`, else `~/.cache/assay`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "assay"


def resolve(
    wanted: Wanted, as_of: datetime.date, python_range: tuple[int | None, int | None], cache: Path | None = None
) -> Resolution:
    """The environment that a submission asks for, from the cache or newly built.

    Args:
        wanted: What is to be installed.
        as_of: The last day whose releases count.
        python_range: Lowest and highest minor version of Python 3 that it may run under.
        cache: Folder to keep environments in, instead of `cache_folder()`.

    Raises:
        InputError: where uv is not installed, or the cache cannot be written.
    """
    uv = Uv.found("--resolve")
    if wanted.refused:
        return Resolution(undecided=f"no environment was built: {wanted.refused}")
    folder = cache or cache_folder()
    try:
        return _Builder(uv, folder, wanted, as_of, _python(python_range)).resolution()
    except OSError as error:
        raise InputError(f"{folder}: the environment cannot be kept there ({error.strerror or error})") from None


class _Builder:
    """One resolution: its cache entry, and the calls of uv that make it."""

    def __init__(self, uv: Uv, folder: Path, wanted: Wanted, as_of: datetime.date, python: str) -> None:
        self.uv = uv
        self.folder = folder
        self.wanted = wanted
        self.python = python
        self.until = end_of(as_of)
        self.project_file = wanted.as_toml()
        self.settings = settings()
        self.key = digest(_FORM, self.project_file, self.settings, python, self.until, platform_name(), uv.decisive)

    def resolution(self) -> Resolution:
        """What is in the cache, or what is made and put there."""
        notes = self.folder / "resolutions" / f"{self.key}.json"
        answer = _read_answer(notes, self._environments)
        if answer is None:
            with locked(notes.with_suffix(".lock")):
                answer = _read_answer(notes, self._environments)
                if answer is None:
                    try:
                        answer = self._make()
                    except UvError as failure:
                        # a network may be back in a minute: nothing is written down
                        return Resolution(undecided=f"no environment was built: {failure}")
                    write_whole(notes, json.dumps(asdict(answer)))
        if not answer.environment:
            return Resolution(refusal=answer.refusal, undecided=answer.undecided)
        path = self._environments / answer.environment
        return Resolution(open_environment(path, declared=not self.wanted.inexact))

    @property
    def _environments(self) -> Path:
        return self.folder / "environments"

    def _make(self) -> _Answer:
        with tempfile.TemporaryDirectory(prefix="assay-resolve-") as made:
            work = Path(made)
            (work / "pyproject.toml").write_text(self.project_file, encoding="utf-8")
            (work / "resolve.toml").write_text(self.settings, encoding="utf-8")
            (work / "install.toml").write_text("no-build = true\n", encoding="utf-8")
            done = self._uv(work, RESOLVE_SECONDS, "lock", "--python", self.python)
            if done.returncode:
                return self._refused(done.stderr)
            lock = (work / "uv.lock").read_text(encoding="utf-8")
            name = digest(_FORM, lock, self.python, platform_name())
            with locked(self._environments / f"{name}.lock"):
                if not (self._environments / name / NOTES).is_file():
                    self._build(work, name, lock)
            return _Answer(name)

    def _refused(self, said: str) -> _Answer:
        text = clean(said)
        if "No solution found" not in text:
            raise UvError(text[:300] or "uv failed and said nothing")
        if _NOT_TO_BLAME.search(said):
            if is_out_of_reach(said):
                raise UvError(text[:300])
            return _Answer(undecided=f"no environment was built without running foreign code: {text[:300]}")
        if self.wanted.inexact:
            return _Answer(undecided=f"uv finds no solution, but {self.wanted.inexact}")
        return _Answer(refusal=text)

    def _build(self, work: Path, name: str, lock: str) -> None:
        """Install what was resolved in a folder of its own, and give it its name once it is complete."""
        for left in self._environments.glob(f".{name}-*"):
            shutil.rmtree(left, ignore_errors=True)
        building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self._environments))
        try:
            target = building / "environment"
            made = self._uv(
                work, RESOLVE_SECONDS, "venv", "--quiet", "--relocatable", "--python", self.python, str(target),
                building=building,
            )  # fmt: skip
            if made.returncode:
                raise UvError(clean(made.stderr)[:300])
            chosen = {package["name"] for package in tomllib.loads(lock).get("package", ())}
            left_out = [row["distribution"] for row in read_table("source_only") if row["distribution"] in chosen]
            skipped = [word for item in left_out for word in ("--no-install-package", item)]
            done = self._uv(
                work, INSTALL_SECONDS, "sync", "--frozen", "--no-install-project", "--compile-bytecode",
                "--python", self.python, *skipped, building=building, UV_PROJECT_ENVIRONMENT=str(target),
            )  # fmt: skip
            if done.returncode:
                raise UvError(clean(done.stderr)[:300])
            notes = {
                "left_out": dict.fromkeys(left_out, "it is published as source alone"),
                "doubtful": sorted(self._doubtful(work, target)),
            }
            write_whole(target / NOTES, json.dumps(notes))
            shutil.rmtree(self._environments / name, ignore_errors=True)
            target.rename(self._environments / name)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _doubtful(self, work: Path, target: Path) -> set[str]:
        """Distributions that are older than they would be if uv were allowed to build from source.

        A newer release than the one installed is held back either by another distribution, which is how it should
        be, or because it, or something that it needs, exists as source alone.
        """
        done = self._uv(work, RESOLVE_SECONDS, "pip", "list", "--outdated", "--format", "json", "--python", str(target))
        if done.returncode:
            raise UvError(clean(done.stderr)[:300])
        try:
            held_back = {
                canonical(row["name"]): (row["latest_version"], row["latest_filetype"])
                for row in json.loads(done.stdout)
            }
        except (ValueError, KeyError, TypeError):
            raise UvError("uv's list of older packages cannot be read") from None
        for name, (version, kind) in sorted(held_back.items()):
            if kind != "wheel":
                return set(held_back)
            (work / "one.txt").write_text(f"{name}=={version}\n", encoding="utf-8")
            alone = self._uv(
                work, RESOLVE_SECONDS, "pip", "compile", "--quiet", "--no-header", "--python", str(target), "one.txt"
            )
            if alone.returncode:
                return set(held_back)
        return set()

    def _uv(
        self, work: Path, seconds: int, *words: str, building: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        until = () if words[0] == "venv" else ("--exclude-newer", self.until)
        # what resolves may take source-only distributions, whose needs are written down; what installs may not
        file = work / ("resolve.toml" if words[0] in ("lock", "pip") else "install.toml")
        return self.uv.call(work, seconds, *words, *until, "--config-file", str(file), goes_too=building, **more)


def is_out_of_reach(said: str) -> bool:
    """Whether uv's complaint is that it did not reach what it needed."""
    return _OUT_OF_REACH.search(said) is not None


def end_of(day: datetime.date) -> str:
    """The moment at which a day ends, which counts to its end."""
    return f"{day + datetime.timedelta(days=1)}T00:00:00Z"


def settings() -> str:
    """uv's settings: nothing is built, and what is published as source alone has its needs written down."""
    rows = read_table("source_only")
    lines = ["no-build = true", f"no-binary-package = {json.dumps([row['distribution'] for row in rows])}"]
    for row in rows:
        lines += ["[[dependency-metadata]]", f'name = "{row["distribution"]}"']
        lines.append(f"requires-dist = {json.dumps(row['requires'].split())}")
    return "\n".join(lines) + "\n"


def _python(python_range: tuple[int | None, int | None]) -> str:
    """Which Python to ask uv for: this one where the submission admits it, else the newest that it names."""
    low, high = python_range
    own = sys.version_info.minor
    if (low is None or low <= own) and (high is None or own <= high):
        return sys.executable
    return f"3.{high if high is not None and own > high else low}"


def platform_name() -> str:
    """What this machine's wheels are for."""
    return f"{sysconfig.get_platform()} {sys.version_info.major}.{sys.version_info.minor}"


def digest(*parts: Any) -> str:
    """A name for what JSON can say."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _read_answer(path: Path, environments: Path) -> _Answer | None:
    """An earlier answer; None where there is none, it cannot be read, or its environment is gone."""
    try:
        answer = _Answer(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if answer.environment and not (environments / answer.environment / NOTES).is_file():
        return None
    return answer


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(path)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's lock; whoever comes second waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


def clean(said: str) -> str:
    """uv's complaint on one line: no hints, no drawing, no paths and hosts."""
    lines: list[str] = []
    for line in said.split("\n"):
        line = re.sub(r"[^\x20-\x7e]+", " ", line).strip(" |")
        line = re.sub(r"^(?:error|cause|x):\s*|^x\s+", "", line)
        if line.lower().startswith("hint"):
            break
        if not line or line.lower().startswith(("warning", "using ", "resolved ", "creating ", "downloading ")):
            continue
        lines.append(line)
    text = re.sub(r"\s+", " ", " ".join(lines))
    text = re.sub(r"\S*://\S+|(?<![\w.])/(?:[\w.@+-]+/)+[\w.@+-]*", "...", text)
    return text[:1_000]
