"""LIB003: evaluate compares a key that a run does not track."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.enacted_runs import Program, Seen
from assay.analysis.library_use import library_use, names_evaluated
from assay.analysis.own_library import ADDED_KEYS
from assay.analysis.project import Project
from assay.analysis.python_source import string_value
from assay.finding import Consequence, Frame
from assay.rules.lib.lib002_key_not_registered import _files as _tracking
from assay.rules.rule import Example, Outcome, Proved, Rule

_EVALUATE = """from assay.evaluation import Metric, evaluate

if __name__ == "__main__":
    evaluate(Metric("test_accuracy", "maximize"), curves=("train_loss",))
"""


def _files(evaluate: str = _EVALUATE, *changes: tuple[str, str]) -> dict[str, str]:
    return {**_tracking(*changes), "src/evaluate.py": evaluate}


class MetricNeverTracked(Rule):
    """`evaluate(Metric(name, ...), curves=..., confusion=..., targets=...)` names keys that every run tracks.

    A metric may be a series or stand in the summary; curves, targets and the confusion matrix are series. A key that a run
    does not register makes the library refuse the whole comparison; one that it registers and never logs leaves nothing to
    compare. Every run is enacted, so a key that only one run lacks is found too.

    Where evaluate does nothing but call the library, the rows that this keeps by itself are met.
    """

    code = "LIB003"
    name = "metric-never-tracked"
    gate = "compose"
    requirements = ("E6.3", "E8.2")
    consequence = Consequence.BREAKS_CONTRACT
    message = "evaluate compares `{key}`, and run {which} {fault}"
    explanation = "{follows}."
    repair = "Track `{key}` in train, or name a key that train tracks."

    VALID = (
        Example(_files()),
        Example(_files(_EVALUATE.replace("train_loss", "seconds"))),
        # what is compared is not known
        Example(_files(_EVALUATE.replace('("train_loss",)', "open('curves').read().split()"))),
        # what is logged is not all known
        Example(
            _files(
                _EVALUATE.replace("train_loss", "val"),
                ('"train_loss": loss}', '**open("x")}'),
                ('"epoch", "train_loss")', '"epoch", "val")'),
            )
        ),
    )
    INVALID = (
        Example(
            _files(_EVALUATE.replace("test_accuracy", "test_acc")),
            at=("src/evaluate.py:4",),
            repaired=_files(),
        ),
        # registered, and never logged
        Example(
            _files(
                _EVALUATE.replace("train_loss", "val_loss"),
                ('"epoch", "train_loss")', '"epoch", "train_loss", "val_loss")'),
            ),
            at=("src/evaluate.py:4",),
            repaired={"src/evaluate.py": _EVALUATE},
        ),
        # a curve is no final value
        Example(
            _files(_EVALUATE.replace('"train_loss",', '"test_accuracy",')),
            at=("src/evaluate.py:4",),
            repaired=_files(),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for call in project.enactment.seen("evaluate"):
            if call.sure and not call.guarded:
                yield from self._missing(project, call)
        yield Proved(tuple(library_use(project).proved_of_evaluation()))

    def _missing(self, project: Project, call: Seen) -> Iterator[Outcome]:
        train = project.contract.role("train")
        told: set[str] = set()
        for program in project.enactment.of(train, "full"):
            if program.composed != "yes" or not project.enactment.follows(program):
                continue
            for key, kinds in (names_evaluated(call) or {}).items():
                fault = _fault(program, key, kinds, all_seen=library_use(project).sees_tracking)
                if fault is None or key in told:
                    continue
                told.add(key)
                yield self.finding(
                    call.file,
                    _written(project, call, key),
                    symbol=key,
                    run=program.run,
                    which=program.run,
                    key=key,
                    fault=fault[0],
                    follows=fault[1],
                    frames=tuple(
                        Frame(str(one["file"]), int(one["line"]))
                        for one in program.events
                        if one["kind"] in ("track", "tracked")
                    )[:6],
                )


def _fault(program: Program, key: str, kinds: tuple[str, ...], *, all_seen: bool) -> tuple[str, str] | None:
    """What a run lacks of a key that is compared, and what follows; None where it lacks nothing, or that is not known."""
    tracks = [one for one in program.events if one["kind"] == "track"]
    logs = [one for one in program.events if one["kind"] == "tracked"]
    if len(tracks) != 1 or tracks[0]["certain"] == "maybe":
        return None
    if key in ADDED_KEYS and kinds == ("series",):
        return None
    registered = [tracks[0][what] for what in kinds]
    if None in registered:
        return None
    if not any(key in names for names in registered):
        return "does not register it", "The library refuses to compare runs without it"
    if not all_seen or any(one["open"] for one in logs):
        return None
    if any(set(one["keys"]) - {*(one["registered"] or ()), *ADDED_KEYS} for one in logs):
        # what is logged under a key that the tracker refuses may be meant for this one
        return None
    if not any(key in one["keys"] for one in logs if one["what"] in kinds):
        return "registers it and never logs it", "There is nothing to compare"
    return None


def _written(project: Project, call: Seen, key: str) -> ast.AST:
    """Where evaluate spells a key out, or else the call."""
    file = project.python[call.file]
    named = [node for node in file.nodes_of(ast.Constant) if string_value(node) == key]
    place = next((node for node, name in file.calls if (node.lineno, node.col_offset) == call.place[:2]), file.nodes[0])
    return named[0] if named else place
