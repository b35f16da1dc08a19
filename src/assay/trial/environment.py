"""The environment that a submission is rehearsed in: one that is there already, or one that uv builds for it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from assay.analysis.environment import open_environment
from assay.analysis.libraries.distributions import canonical
from assay.errors import InputError

if TYPE_CHECKING:
    from assay.analysis.project import Project

# The oldest Python that `trial/inside` runs under.
OLDEST_MINOR = 9


@dataclass(frozen=True)
class TrialEnvironment:
    """An environment to rehearse in, or the reason why there is none. Nothing is ever written to it.

    Args:
        folder: Its root.
        python: The interpreter that it was made from, not the link to it.
        sites: The folders to hand to `site.addsitedir`, the first searched first.
        packages: Distributions by canonical name, with their versions.
        python_version: Major and minor version of the interpreter.
        notes: What was relaxed, guessed or left out, and why.
        refusal: uv's own words where what is declared cannot be installed in any way.
        undecided: Why there is no environment although the submission may be in order.
        left_out: Distributions that were asked for and are not there, with the reason: that they cannot be imported is
            no fault of the submission's code.
        declared_refusal: uv's own words where exactly what is declared cannot be installed, and something near it was.
        until: The moment up to which releases count (`2025-11-19T00:00:00Z`); empty where none is set.
    """

    folder: Path = Path()
    python: Path = Path()
    sites: tuple[Path, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    python_version: tuple[int, int] = (3, 0)
    notes: tuple[str, ...] = ()
    refusal: str = ""
    undecided: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict)
    declared_refusal: str = ""
    until: str = ""

    @property
    def exists(self) -> bool:
        """Whether there is an environment at all."""
        return not (self.refusal or self.undecided)

    @cached_property
    def readable(self) -> tuple[Path, ...]:
        """All folders that a process in it has to see, read-only, beside the system's own below `/usr`.

        Paths lie there under the names by which the environment calls them, and under their real names too.
        """
        if not self.exists:
            return ()
        found: dict[Path, None] = {}
        for path in (self.folder, *self.sites, self.python.parent.parent, *self._led_to):
            for name in (path.absolute(), path.resolve()):
                if name.is_dir() and not name.is_relative_to("/usr") and name != Path("/"):
                    found[name] = None
        return tuple(path for path in found if not any(path != other and path.is_relative_to(other) for other in found))

    @cached_property
    def _led_to(self) -> tuple[Path, ...]:
        """The folders that `.pth` files in the environment add: those of editable installations."""
        return open_environment(self.folder).site_packages[1:]

    def has(self, *distributions: str) -> bool:
        """Whether it holds all of some distributions, given by canonical name."""
        return all(name in self.packages for name in distributions)


def prepare(
    project: Project, *, env: Path | None = None, say: Callable[[str], None] = lambda _: None, cache: Path | None = None
) -> TrialEnvironment:
    """The environment to rehearse a submission in.

    Args:
        project: The submission.
        env: An environment that is there already, instead of one that uv builds as of the review's day.
        say: Is told, in a few words, what happens.
        cache: Folder to keep environments in, instead of the user's cache.

    Raises:
        InputError: where there is no such environment, uv is not installed, or the cache cannot be written.
    """
    if env is not None:
        return open_existing(env)
    from assay.trial.building import build

    return build(project, say, cache)


def add(environment: TrialEnvironment, names: tuple[str, ...], *, cache: Path | None = None) -> Path:
    """Install further distributions beside an environment, as of its day, in versions that fit what it holds.

    Args:
        environment: The environment, which is left as it is.
        names: Distributions, by name or as requirements.
        cache: Folder to keep them in, instead of the user's cache.

    Returns:
        A folder of packages for `lay_overlay`.

    Raises:
        CannotAddError: where uv finds nothing that fits, or does not reach the index.
        InputError: where uv is not installed, or the cache cannot be written.
    """
    from assay.trial.building import build_beside

    return build_beside(environment, names, cache)


class CannotAddError(Exception):
    """Distributions cannot be added to an environment; the text says why."""


def open_existing(path: Path) -> TrialEnvironment:
    """An environment that is there already; nothing in it is started, and nothing is written to it.

    Args:
        path: Its folder, or the Python program in it. The environment that this very process runs in will do.

    Raises:
        InputError: where that is no environment of a Python from 3.9 on.
    """
    opened = open_environment(path)
    program = next(filter(_runs, (opened.folder / "bin" / name for name in _names(opened.minor))), None)
    if program is None:
        raise InputError(f"{path}: the environment's Python is missing or cannot be run")
    if opened.minor is None or opened.minor < OLDEST_MINOR:
        raise InputError(f"{path}: a trial needs an environment of Python 3.{OLDEST_MINOR} or newer")
    python = program.resolve()
    sites = [opened.site_packages[0]]
    if _takes_from_the_system(opened.folder):
        system = python.parent.parent / "lib" / f"python3.{opened.minor}" / "site-packages"
        sites += [system] if system.is_dir() else []
    packages = {name: version for site in reversed(sites) for name, version in _packages_in(site)}
    return TrialEnvironment(opened.folder, python, tuple(sites), packages, (3, opened.minor))


def _names(minor: int | None) -> tuple[str, ...]:
    return ("python", "python3", f"python3.{minor}")


def _runs(program: Path) -> bool:
    return program.is_file() and os.access(program, os.X_OK)


def _takes_from_the_system(folder: Path) -> bool:
    try:
        text = (folder / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return re.search(r"(?im)^\s*include-system-site-packages\s*=\s*true\s*$", text) is not None


def _packages_in(site: Path) -> Iterator[tuple[str, str]]:
    """Canonical name and version of each distribution in a folder."""
    for path in sorted(site.glob("*.dist-info")):
        name, _, version = path.name.removesuffix(".dist-info").rpartition("-")
        yield canonical(name), version
