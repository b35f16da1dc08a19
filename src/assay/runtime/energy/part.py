"""What a source of energy readings is to the meter: parts of the machine with their Joules, and what is missing."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Part(NamedTuple):
    """Energy of one part of the machine: `joules`, 0 or more, and `source`: "nvml", "rapl" or "modelled"."""

    joules: float
    source: str


class NotMeasurableError(Exception):
    """A source says nothing on this machine; the text says why, and what would help."""


class Readings(Protocol):
    """A source that is read when the stretch begins, in between and when it ends.

    Attributes:
        longest_gap: Seconds that may pass between two polls, None where none are needed.
        parts: Energy since `begin`, as of the last poll, by the part's name.
        missing: Parts that were to be measured and are not, and why.
        notes: What a reader of the numbers has to know.
        details: What identifies or scales the parts, for the record.
    """

    @property
    def longest_gap(self) -> float | None: ...

    @property
    def parts(self) -> dict[str, Part]: ...

    @property
    def missing(self) -> dict[str, str]: ...

    @property
    def notes(self) -> list[str]: ...

    @property
    def details(self) -> dict[str, object]: ...

    def begin(self) -> None:
        """Starts from zero; raises `NotMeasurableError` where there is nothing to read."""

    def poll(self) -> None:
        """Reads; a part that cannot be read any more goes to `missing`."""

    def end(self) -> None:
        """Gives back what `begin` took; what was read stays readable."""
