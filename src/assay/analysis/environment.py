"""A virtual environment as files: where its modules lie, and which distributions it holds. Nothing of it is run."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from assay.analysis.libraries.distributions import canonical, modules_of
from assay.errors import InputError

# `import` lines of these `.pth` files add no module: they come with virtualenv and setuptools.
_HARMLESS_HOOKS = frozenset({"_virtualenv.pth", "distutils-precedence.pth"})
_MAX_PTH_BYTES = 100_000


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Args:
        folder: Its root, where `pyvenv.cfg` is.
        site_packages: The folders in which its modules lie, in the order in which Python looks.
        minor: Minor version of its Python 3, where that can be told.
        declared: Whether it was made from exactly what the submission declares.
        left_out: Distributions that belong in it and are not there, with the reason.
        doubtful: Distributions that may be older here than in an environment that could be built from source.
        doubt: Why modules may be found that do not lie in `site_packages`; empty where they cannot.
        hooks: The code that runs when its Python starts, which may add modules; those that it does not name it
            does not add.
    """

    folder: Path
    site_packages: tuple[Path, ...]
    minor: int | None = None
    declared: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)
    doubtful: frozenset[str] = frozenset()
    doubt: str = ""
    hooks: str = ""

    @cached_property
    def _metadata(self) -> dict[str, Path]:
        """Distribution to its metadata folder."""
        found: dict[str, Path] = {}
        for folder in self.site_packages:
            for path in sorted(folder.glob("*.dist-info")):
                name = path.name.removesuffix(".dist-info").rpartition("-")[0]
                found.setdefault(canonical(name), path)
        return found

    def version(self, distribution: str) -> str:
        """The version of a distribution that it holds; empty where it holds none."""
        path = self._metadata.get(canonical(distribution))
        return path.name.removesuffix(".dist-info").rpartition("-")[2] if path else ""

    def version_text(self, module: str) -> str:
        """The distribution of a module with its version, in brackets; empty where there is not just one."""
        owners = sorted(self.distributions_of(module))
        return f" ({owners[0]} {self.version(owners[0])})" if len(owners) == 1 else ""

    @cached_property
    def _records(self) -> dict[str, str]:
        """Distribution to the list of its files, with a line end before each."""
        records: dict[str, str] = {}
        for name, path in self._metadata.items():
            with contextlib.suppress(OSError):
                records[name] = "\n" + (path / "RECORD").read_text(encoding="utf-8", errors="replace")
        return records

    def distributions_of(self, module: str) -> frozenset[str]:
        """The distributions whose files lie below the first part of a dotted name."""
        top = module.partition(".")[0]
        starts = (f"\n{top}/", f"\n{top}.")
        return frozenset(name for name, text in self._records.items() if any(start in text for start in starts))

    def may_bring(self, module: str) -> bool:
        """Whether a module that lies in none of its folders may be found all the same."""
        return bool(self.doubt) or module.partition(".")[0] in self.hooks

    def is_doubtful(self, module: str) -> bool:
        """Whether a module may be another one in an environment that could be built in full."""
        top = module.partition(".")[0]
        if any(top in {name.partition(".")[0] for name in modules_of(left)} for left in self.left_out):
            return True
        return bool(self.doubtful) and bool(self.distributions_of(module) & self.doubtful)


def open_environment(path: Path, *, declared: bool = False) -> Environment:
    """A virtual environment from its folder, or from the Python program in it.

    Args:
        path: Folder with `pyvenv.cfg` (or another installation's prefix), or its `bin/python`.
        declared: Whether it was made from exactly what the submission declares.

    Raises:
        InputError: where that is no environment.
    """
    folder = path
    if path.is_file():
        # not resolved: the program in a virtual environment is a link out of it
        folder = path.absolute().parent.parent
    if not folder.is_dir():
        raise InputError(f"{path}: there is no such environment")
    sites = sorted(folder.glob("lib/python3.*/site-packages")) or sorted(folder.glob("Lib/site-packages"))
    if not sites:
        raise InputError(f"{path}: no virtual environment (it has no lib/python3.*/site-packages)")
    if len(sites) > 1:
        raise InputError(f"{path}: holds packages of several Pythons ({', '.join(site.parent.name for site in sites)})")
    settings = _settings(folder / "pyvenv.cfg")
    match = re.search(r"python3\.(\d+)", sites[0].parent.name) or re.match(
        r"3\.(\d+)", settings.get("version_info", settings.get("version", ""))
    )
    doubt = ""
    if settings.get("include-system-site-packages", "false").lower() == "true":
        doubt = "the environment also takes modules from the system's Python"
    added, hooks, unread = _added_folders(sites[0])
    left_out, doubtful = _notes(folder)
    return Environment(
        folder.absolute(),
        (sites[0].absolute(), *added),
        int(match.group(1)) if match else None,
        declared,
        left_out,
        doubtful,
        doubt or unread,
        hooks,
    )


NOTES = "assay.json"


def _notes(folder: Path) -> tuple[dict[str, str], frozenset[str]]:
    """What was left out, and what is doubtful, as it was written down when Assay built the environment."""
    try:
        held = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        return dict(held["left_out"]), frozenset(held["doubtful"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}, frozenset()


def _settings(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _added_folders(site: Path) -> tuple[tuple[Path, ...], str, str]:
    """The folders that `.pth` files add, the code that they run, and which of it cannot be read."""
    folders: list[Path] = []
    hooks: list[str] = []
    unread = ""
    for path in sorted(site.glob("*.pth")):
        try:
            text = path.read_bytes()[:_MAX_PTH_BYTES].decode("utf-8", "replace")
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith(("import ", "import\t")):
                if path.name in _HARMLESS_HOOKS:
                    continue
                hooks.append(line)
                for name in re.findall(r"\bimport\s+(\w+)", line):
                    if name in sys.stdlib_module_names:
                        continue
                    try:
                        hooks.append((site / f"{name}.py").read_text(encoding="utf-8", errors="replace"))
                    except OSError:
                        unread = f"{path.name} in the environment runs code that may add modules"
            elif line.strip() and not line.startswith("#"):
                folder = site / line.strip()
                if folder.is_dir():
                    folders.append(folder)
    return tuple(folders), "\n".join(hooks), unread
