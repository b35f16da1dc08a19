"""Findings and coverage become a verdict."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assay.contracts import Contract
from assay.excerpt import Excerpts
from assay.finding import Consequence, Finding, Severity

if TYPE_CHECKING:
    from assay.trial.record import Rehearsal

_SEVERITY_ORDER = {severity: number for number, severity in enumerate(Severity)}
_CONSEQUENCE_ORDER = {consequence: number for number, consequence in enumerate(Consequence)}


@dataclass(frozen=True, slots=True)
class RequirementStatus:
    """What is known of one requirement.

    Args:
        id: Its id.
        text: What must hold.
        status: `met`, `violated`, `undecided` or `not-applicable`.
        decided_by: The gate that decided it (`static`, `compose`, `trial`, `judge`), or None while undecided.
        reason: Why it is undecided or not applicable; empty otherwise.
        findings: Indices of the findings that bear on it.
    """

    id: str
    text: str
    status: str
    decided_by: str | None
    reason: str
    findings: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one review.

    Args:
        submission: What was reviewed, as the reviewer named it.
        contract: The contract it was reviewed against.
        contract_reason: How the contract was chosen.
        findings: The findings, most severe first.
        requirements: The contract's rows in order, each with its status.
        evidence: The gates that were heard.
        seconds: Gate to the seconds it took.
        require_decided: Whether rows that are undecided count as not ready.
        kind: What was reviewed: `folder`, `revision`, `bundle` or `transcript`.
        as_of: The day on which dependencies were looked at.
        excerpts: Path to line number to source line, for the lines around findings. Reports show them.
        rehearsal: What the trial saw; None where there was none.
    """

    submission: str
    contract: Contract
    contract_reason: str
    findings: tuple[Finding, ...]
    requirements: tuple[RequirementStatus, ...]
    evidence: tuple[str, ...] = ("static",)
    seconds: Mapping[str, float] = field(default_factory=dict)
    require_decided: bool = False
    kind: str = "folder"
    as_of: datetime.date = field(default_factory=datetime.date.today)
    excerpts: Excerpts = field(default_factory=dict)
    rehearsal: Rehearsal | None = None

    @property
    def is_guessed(self) -> bool:
        """Whether the contract was guessed from the files."""
        return self.contract_reason.startswith("guessed")

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that make the submission not ready."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.BLOCKING)

    def shown(self, severity: Severity) -> tuple[Finding, ...]:
        """The findings that weigh at least as much as `severity`; they are the first ones of `findings`."""
        limit = _SEVERITY_ORDER[severity]
        return tuple(finding for finding in self.findings if _SEVERITY_ORDER[finding.severity] <= limit)

    @property
    def undecided(self) -> tuple[RequirementStatus, ...]:
        """The rows that nothing decided."""
        return tuple(row for row in self.requirements if row.status == "undecided")

    @property
    def decided_count(self) -> int:
        """How many rows are decided."""
        return len(self.requirements) - len(self.undecided)

    @property
    def ready(self) -> bool:
        """Whether no finding blocks (and, where that is asked for, no row is undecided)."""
        return not self.blocking and not (self.require_decided and self.undecided)

    @property
    def issue(self) -> str:
        """What blocks, as one text that a code generator can act on; empty when ready."""
        lines = [f"{number}. {_sentence(finding)}" for number, finding in enumerate(self.blocking, 1)]
        if self.require_decided and self.undecided:
            rows = ", ".join(row.id for row in self.undecided)
            lines.append(f"{len(lines) + 1}. Undecided requirements count as not ready here: {rows}.")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The verdict in its JSON form; the first two keys are the contract's."""
        from assay import __version__

        told: dict[str, Any] = {}
        if self.rehearsal is not None:
            from assay.trial.reading import rehearsal_as_dict

            told["trial"] = rehearsal_as_dict(self.rehearsal)
        return {
            self.contract.ready_key: self.ready,
            self.contract.issue_key: self.issue,
            "submission": self.submission,
            "contract": self.contract.name,
            "contract_reason": self.contract_reason,
            "evidence": list(self.evidence),
            "tool": {"name": "assay", "version": __version__},
            "as_of": self.as_of.isoformat(),
            "requirements": [
                {
                    "id": row.id,
                    "status": row.status,
                    "decided_by": row.decided_by,
                    "reason": row.reason,
                    "findings": list(row.findings),
                }
                for row in self.requirements
            ],
            "findings": [finding.as_dict() for finding in self.findings],
            **told,
            "seconds": {gate: round(seconds, 3) for gate, seconds in self.seconds.items()},
        }


def _sentence(finding: Finding) -> str:
    """A finding on one line: place, what is wrong, what follows, the repair."""
    said = finding.message if finding.message.startswith(finding.place) else f"{finding.place} {finding.message}"
    return f"{said.rstrip('.')}. {finding.explanation} Repair: {finding.repair}"


@dataclass(slots=True)
class Coverage:
    """What the rules of a gate said about rows besides their findings.

    Args:
        silent: Rows that a deciding rule looked at and found nothing wrong with.
        composed: Those of them that take more than reading: a rule that composes decides them too.
        rehearsed: Rows that a rehearsal showed to be met. A warning of a rule that did not see it run yields to that.
        open: Row to the reasons why a rule could not decide it.
        not_applicable: Row to the reason why it does not concern the submission.
    """

    silent: set[str] = field(default_factory=set)
    composed: set[str] = field(default_factory=set)
    rehearsed: set[str] = field(default_factory=set)
    open: dict[str, list[str]] = field(default_factory=dict)
    not_applicable: dict[str, str] = field(default_factory=dict)


def ordered(findings: Iterable[Finding], contract: Contract) -> list[Finding]:
    """Findings, most severe first, then in the contract's order of files and by line."""
    files = {path: number for number, path in enumerate(contract.required)}

    def rank(finding: Finding) -> tuple[object, ...]:
        return (
            _SEVERITY_ORDER[finding.severity],
            _CONSEQUENCE_ORDER[finding.consequence] if finding.consequence else 9,
            files.get(finding.file or "", len(files)),
            finding.file or "",
            finding.line or 0,
            finding.column or 0,
            finding.rule,
            finding.message,
        )

    return sorted(findings, key=rank)


def requirement_statuses(
    contract: Contract, findings: Iterable[Finding], coverage: Coverage
) -> tuple[RequirementStatus, ...]:
    """The status of every row of a contract.

    A row is violated only by a blocking finding, and met only where the rules that decide it found nothing at
    all: a warning leaves it undecided.
    """
    listed = list(findings)
    rows = []
    for requirement in contract.requirements:
        concerned = [number for number, finding in enumerate(listed) if requirement.id in finding.requirements]
        blocking = [listed[number] for number in concerned if listed[number].severity is Severity.BLOCKING]
        warnings = [listed[number] for number in concerned if listed[number].severity is Severity.WARNING]
        ran = requirement.id in coverage.rehearsed
        warned = any(not ran or warning.evidence.kind == "trial" for warning in warnings)
        status, decided_by, reason = "undecided", None, ""
        if blocking:
            status, decided_by = "violated", blocking[0].evidence.kind
        elif warned:
            reason = "a warning, but no proof"
        elif ran:
            status, decided_by = "met", "trial"
        elif requirement.id in coverage.open:
            reason = "; ".join(dict.fromkeys(coverage.open[requirement.id]))
        elif requirement.id in coverage.not_applicable:
            status, decided_by, reason = "not-applicable", "static", coverage.not_applicable[requirement.id]
        elif requirement.id in coverage.silent:
            status, decided_by = "met", "compose" if requirement.id in coverage.composed else "static"
        else:
            reason = _needs(requirement.decided_by)
        rows.append(RequirementStatus(requirement.id, requirement.text, status, decided_by, reason, tuple(concerned)))
    return tuple(rows)


def _needs(gates: tuple[str, ...]) -> str:
    further = [gate for gate in gates if gate not in ("read", "compose")]
    if not further:
        return "no rule decides it yet"
    known = "no rule proves it by reading" if len(further) < len(gates) else "reading cannot decide it"
    return f"{known}; it needs the {' or the '.join(further)}"
