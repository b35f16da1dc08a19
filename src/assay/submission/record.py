"""A submission in memory: its files, its brief, and where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from assay.submission.brief import Brief


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a submission.

    Args:
        path: Relative path with forward slashes.
        text: Its content with `\\n` line ends, or None for a file that is listed but not read (not source text).
        size: Its size in bytes.
        laid: True for a run configuration that the brief holds and the submission does not; it was laid in place.
    """

    path: str
    text: str | None
    size: int
    laid: bool = False

    @classmethod
    def of_text(cls, path: str, text: str, *, laid: bool = False) -> SourceFile:
        """A file made from text that is already in memory."""
        return cls(path, text.replace("\r\n", "\n").replace("\r", "\n"), len(text.encode("utf-8", "replace")), laid)


@dataclass(frozen=True, slots=True)
class Submission:
    """The files under review, read-only and held in memory.

    Args:
        name: What reports call it: the path or revision as the reviewer gave it.
        files: Path to file, sorted by path.
        brief: What the experiment should do; empty where none was given.
        base: The foundation that a `derived` submission specialises, if it was given.
        stated_contract: The contract that the source itself names (a review transcript does), else None.
        kind: `folder`, `revision`, `bundle` or `transcript`.
    """

    name: str
    files: Mapping[str, SourceFile]
    brief: Brief = field(default_factory=Brief)
    base: Submission | None = None
    stated_contract: str | None = None
    kind: str = "folder"

    def text(self, path: str) -> str | None:
        """The text of one file, or None where it is absent or was not read."""
        file = self.files.get(path)
        return file.text if file else None

    def __contains__(self, path: object) -> bool:
        return path in self.files
