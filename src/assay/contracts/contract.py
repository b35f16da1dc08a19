"""A contract in memory: files, command lines and requirements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, slots=True)
class Requirement:
    """One row of a contract.

    Args:
        id: Its id, such as `E5.1`.
        text: What must hold.
        decided_by: The gates that can decide it: `read`, `compose`, `trial`, `judge`.
        rules: Codes of rules that decide it although they do not name its id (for a user's own ids).
    """

    id: str
    text: str
    decided_by: tuple[str, ...]
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """What a kind of submission must be.

    Args:
        name: Its name; a dialect is called `CONTRACT@VARIANT`.
        title: What it is about, in a few words.
        ready_key: Name of the verdict's yes-or-no.
        issue_key: Name of the verdict's text for a code generator.
        required: The files it must hold, and in `experiment` no others.
        exempt: Patterns of files that do not count. `*` stays within a folder, `**` does not; a pattern without
            a slash is looked for in every folder.
        roles: Role (`main`, `train`, `evaluate`, `preprocess`, `model`, `config`) to file.
        run_folders: Folders of run configurations, the preferred one first; empty where runs have no files.
        sections: Keys that the configuration of each run must have at its top level.
        variation_files: Files that list the run variations, where runs have no files of their own.
        commands: Purpose (`trial`, `full`, `evaluate`) to command line with `{run_id}`, `{results_dir}`, `{run_ids}`.
        requirements: The rows, in order.
    """

    name: str
    title: str
    ready_key: str
    issue_key: str
    required: tuple[str, ...]
    exempt: tuple[str, ...]
    roles: Mapping[str, str]
    run_folders: tuple[str, ...]
    sections: tuple[str, ...]
    variation_files: tuple[str, ...]
    commands: Mapping[str, str]
    requirements: tuple[Requirement, ...]

    @property
    def family(self) -> str:
        """The contract that this one is a dialect of; its own name where it is none."""
        return self.name.partition("@")[0]

    @cached_property
    def ids(self) -> frozenset[str]:
        """The ids of all its requirements."""
        return frozenset(requirement.id for requirement in self.requirements)

    def role(self, name: str) -> str | None:
        """The file that plays a role, or None where the contract has no such role."""
        return self.roles.get(name)

    def is_exempt(self, path: str) -> bool:
        """Whether a file does not count as part of a submission."""
        return any(pattern.fullmatch(path) for pattern in self._exempt_patterns)

    def is_run_file(self, path: str) -> bool:
        """Whether a file is the configuration of a run."""
        folder, _, name = path.rpartition("/")
        return folder in self.run_folders and name.endswith((".yaml", ".yml"))

    @cached_property
    def _exempt_patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(_regex(pattern)) for pattern in self.exempt)


def _regex(pattern: str) -> str:
    """The regular expression of a path pattern."""
    anywhere = "/" not in pattern
    parts = re.split(r"(\*\*/?|\*|\?)", pattern)
    meaning = {"**": ".*", "**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}
    return ("(?:.*/)?" if anywhere else "") + "".join(meaning.get(part, re.escape(part)) for part in parts)
