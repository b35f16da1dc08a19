"""What a gate says about a submission: findings, their weight and their evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a finding weighs. Only `BLOCKING` findings make a submission not ready."""

    BLOCKING = "blocking"
    WARNING = "warning"
    NOTE = "note"


class Consequence(StrEnum):
    """What follows from a blocking finding, as far as its evidence proves it."""

    CRASHES = "crashes"
    TRAINS_NOTHING = "trains-nothing"
    BREAKS_CONTRACT = "breaks-contract"


@dataclass(frozen=True, slots=True)
class Frame:
    """One place on the way to a finding, such as a frame of a traceback. Lines count from 1."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a finding is known.

    `kind` is the gate that saw it (`static`, `compose`, `trial`, `judge`), `detail` the observed fact in the
    words of whoever observed it (a parser's message, a composed value), `frames` the places it leads through.
    """

    kind: str = "static"
    detail: str = ""
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement about a submission that can be checked.

    Args:
        rule: Code of the rule that found it, such as `PKG002`.
        requirements: Ids of the contract's requirements that it bears on.
        severity: Its weight; see `Severity`.
        consequence: What follows, for blocking findings; None for the others.
        message: What is wrong, in one sentence.
        explanation: What happens because of it, in one sentence.
        repair: The smallest change that makes the finding fall silent.
        file: Path inside the submission, with forward slashes. None where no file is to blame.
        line: Line, from 1. None where the whole file is meant.
        column: Column, from 1.
        end_line: Last line of the place, from 1.
        end_column: Column after the last character of the place, from 1.
        symbol: Name of the definition, key or setting that is meant.
        run: Id of the run that shows it, where only some do.
        evidence: How it is known.
    """

    rule: str
    requirements: tuple[str, ...]
    severity: Severity
    consequence: Consequence | None
    message: str
    explanation: str
    repair: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None
    symbol: str | None = None
    run: str | None = None
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def place(self) -> str:
        """`file:line` as far as they are known; the word `submission` where no file is meant."""
        if self.file is None:
            return "submission"
        return self.file if self.line is None else f"{self.file}:{self.line}"

    def as_dict(self) -> dict[str, Any]:
        """The finding in the verdict's JSON form."""
        evidence: dict[str, Any] = {"kind": self.evidence.kind, "detail": self.evidence.detail}
        evidence["frames"] = [{"file": frame.file, "line": frame.line} for frame in self.evidence.frames]
        return {
            "rule": self.rule,
            "requirements": list(self.requirements),
            "severity": self.severity.value,
            "message": self.message,
            "consequence": self.consequence.value if self.consequence else None,
            "explanation": self.explanation,
            "repair": self.repair,
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "end_line": self.end_line,
            "end_column": self.end_column,
            "symbol": self.symbol,
            "run": self.run,
            "evidence": evidence,
        }
