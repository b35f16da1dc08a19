"""What a rule is: one static check, with the examples that test and document it."""

from __future__ import annotations

import ast
import datetime
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from assay.analysis.enacted_runs import Position
from assay.analysis.project import Project
from assay.finding import Consequence, Evidence, Finding, Frame, Severity
from assay.submission.brief import Brief
from assay.trial.record import Rehearsal
from assay.yaml_tree import Node


class Undecided(NamedTuple):
    """A rule cannot prove its case either way.

    Args:
        reason: Why, in a few words ("no base was given").
        requirements: The rows it leaves open; all that the rule bears on where empty.
    """

    reason: str
    requirements: tuple[str, ...] = ()


class NotApplicable(NamedTuple):
    """The rows of a rule do not concern this submission.

    Args:
        reason: Why, in a few words ("the program searches nothing").
        requirements: The rows; all that the rule bears on where empty.
    """

    reason: str
    requirements: tuple[str, ...] = ()


class Proved(NamedTuple):
    """Rows are met, whatever other rules could not tell. A finding or a warning on one of them counts all the same.

    Args:
        requirements: The rows.
    """

    requirements: tuple[str, ...]


Outcome = Finding | Undecided | NotApplicable | Proved


class Example(NamedTuple):
    """A small submission, or the part of one that a rule looks at.

    Args:
        files: Path to text.
        contract: Name of the contract it is reviewed against.
        base: Path to text of the base, for `derived`.
        brief: Its brief.
        at: For an `INVALID` example, the places of the findings: `src/train.py:3`, or `src/train.py` where the
            whole file is meant.
        repaired: Path to text after the repair that the rule names; None removes a file. Every example that
            blocks has one, no other has, and with it the rule must fall silent.
        libraries: Path to text of the modules of the environment that it is reviewed with; None for no environment.
        as_of: The day on which its dependencies are looked at; today where none is given.
        uv_says: uv's refusal to resolve its dependencies, where it refuses; None where uv is not asked.
        rehearsed: What a rehearsal of it saw; None where it is not rehearsed.
        rehearsed_after: What a rehearsal of the repaired submission saw.
    """

    files: Mapping[str, str]
    contract: str = "experiment"
    base: Mapping[str, str] | None = None
    brief: Brief = Brief()
    at: tuple[str, ...] = ()
    repaired: Mapping[str, str | None] = MappingProxyType({})
    libraries: Mapping[str, str] | None = None
    as_of: datetime.date | None = None
    uv_says: str | None = None
    rehearsed: Rehearsal | None = None
    rehearsed_after: Rehearsal | None = None


Place = ast.AST | Node | Position | int | None


class Rule:
    """One check. A subclass is the rule; its docstring says what it looks for and why that matters.

    Attributes:
        code: Family and number, such as `PKG002`.
        name: The rule in a few words joined by hyphens.
        requirements: Ids of the requirements it bears on, of any contract. A rule that bears on none of a
            contract's requirements does not run there.
        decides: Those of them that are met where all rules that decide them stay silent. A rule that sees only
            some ways to break a requirement leaves it out.
        severity: Weight of its findings, where one does not say otherwise.
        consequence: What its blocking findings prove, where one does not say otherwise.
        gate: How it sees what it says: `static` by reading, `compose` by composing the configuration and enacting
            the programs, `trial` by a rehearsal. Rules of the second kind are heard late, because that takes longest;
            those of the third only where there was a rehearsal, and after all others.
        late: Whether another program works on what it asks for, so that it is heard when all others were.
        yields_to: Codes of rules that say the same with better evidence. Where one of them points at a place, by
            itself or by a frame, this rule's finding there is left out.
        message: What is wrong. A format string, filled with what `finding` is given.
        explanation: What follows from it. A format string.
        repair: The smallest change that makes it fall silent. A format string.
        VALID: Examples without a finding.
        INVALID: Examples with findings.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    requirements: ClassVar[tuple[str, ...]]
    decides: ClassVar[tuple[str, ...]] = ()
    severity: ClassVar[Severity] = Severity.BLOCKING
    consequence: ClassVar[Consequence | None] = Consequence.BREAKS_CONTRACT
    gate: ClassVar[str] = "static"
    late: ClassVar[bool] = False
    yields_to: ClassVar[tuple[str, ...]] = ()
    message: ClassVar[str]
    explanation: ClassVar[str]
    repair: ClassVar[str]
    VALID: ClassVar[tuple[Example, ...]] = ()
    INVALID: ClassVar[tuple[Example, ...]] = ()

    def check(self, project: Project) -> Iterator[Outcome]:
        """What the rule says of a submission. Nothing said means that nothing is wrong."""
        raise NotImplementedError

    def finding(
        self,
        file: str | None,
        place: Place = None,
        *,
        severity: Severity | None = None,
        consequence: Consequence | None = None,
        requirements: tuple[str, ...] | None = None,
        message: str | None = None,
        explanation: str | None = None,
        repair: str | None = None,
        symbol: str | None = None,
        run: str | None = None,
        detail: str = "",
        frames: tuple[Frame, ...] = (),
        **values: object,
    ) -> Finding:
        """A finding of this rule.

        Args:
            file: Path of the file that is to blame, if one is.
            place: Where in it: a syntax node, a YAML node, or a line.
            severity: Instead of the rule's own.
            consequence: Instead of the rule's own.
            requirements: Instead of all that the rule bears on.
            message: Instead of the rule's own format string; likewise `explanation` and `repair`.
            symbol: Name of the definition, key or setting that is meant.
            run: Id of the run that shows it.
            detail: The observed fact, in the words of whoever observed it.
            frames: The places that lead to it.
            values: What the format strings of message, explanation and repair name.
        """
        weight = severity or self.severity
        line, column, end_line, end_column = _span(place)
        return Finding(
            rule=self.code,
            requirements=requirements if requirements is not None else self.requirements,
            severity=weight,
            consequence=(consequence or self.consequence) if weight is Severity.BLOCKING else None,
            message=(message or self.message).format(**values),
            explanation=(explanation or self.explanation).format(**values),
            repair=(repair or self.repair).format(**values),
            file=file,
            line=line,
            column=column,
            end_line=end_line,
            end_column=end_column,
            symbol=symbol,
            run=run,
            evidence=Evidence(self.gate, detail, frames),
        )


def _span(place: Place) -> tuple[int | None, int | None, int | None, int | None]:
    if place is None:
        return None, None, None, None
    if isinstance(place, int):
        return place, None, None, None
    if isinstance(place, ast.AST | Position):
        line = getattr(place, "lineno", None)
        if line is None:
            return None, None, None, None
        end_column = getattr(place, "end_col_offset", None)
        end_line = getattr(place, "end_lineno", None)
        column = getattr(place, "col_offset", 0) + 1
        return line, column, end_line, None if end_column is None else end_column + 1
    return place.line, place.column, None, None
