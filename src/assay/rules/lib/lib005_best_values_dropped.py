"""LIB005: the configuration that a search gives back is dropped."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.lib.lib002_key_not_registered import _files
from assay.rules.rule import Example, Outcome, Rule

_BEFORE = (
    "    with run.track(",
    "    {}run.search(lambda candidate, report: candidate.training.epochs)\n    with run.track(",
)


def _searching(kept: str) -> dict[str, str]:
    return _files((_BEFORE[0], _BEFORE[1].replace("{}", kept)))


class BestValuesDropped(Rule):
    """`run.search(objective)` leaves the configuration as it is and gives back another one, with the best values.

    Called as a statement of its own it has no effect: the final run trains with the values of the run file. An objective
    may keep the best model by itself, so this is a warning.
    """

    code = "LIB005"
    name = "best-values-dropped"
    gate = "compose"
    requirements = ("E7.3",)
    severity = Severity.WARNING
    consequence = None
    message = "the configuration with the best values is dropped"
    explanation = "The final run trains with the values that stand in the run file."
    repair = "Keep it: `cfg = run.search(...)`."

    VALID = (Example(_searching("cfg = ")),)
    INVALID = (Example(_searching(""), at=("src/train.py:12",)),)

    def check(self, project: Project) -> Iterator[Outcome]:
        told: set[tuple[str, int]] = set()
        for seen in project.enactment.seen("search"):
            if not seen.data.get("by_library") or (seen.file, seen.line) in told:
                continue
            told.add((seen.file, seen.line))
            file = project.python[seen.file]
            calls = (node for node, _ in file.calls if (node.lineno, node.col_offset) == seen.place[:2])
            if any(isinstance(file.parents.get(node), ast.Expr) for node in calls):
                yield self.finding(seen.file, seen.place)
