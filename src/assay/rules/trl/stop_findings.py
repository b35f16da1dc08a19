"""A stop as a finding: the innermost place of the submission, the plain cause, the way there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import TYPE_CHECKING

from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Outcome, Rule, Undecided
from assay.trial.reading import assumes, command_of, places, stops_of
from assay.trial.record import Rehearsal, Step, Stop

if TYPE_CHECKING:
    from assay.trial.causes.known import Cause

ROWS_OF_MODES: dict[str, tuple[str, ...]] = {
    "trial": ("E2.3", "E9.2"),
    "full": ("E2.3",),
    "evaluate": ("E2.4",),
    "refuse": ("E2.4",),
    "smoke": ("B4.2", "B4.8", "D2.6"),
    "experiment": ("B4.2", "B4.8"),
}
ROWS_OF_AREAS: dict[str, tuple[str, ...]] = {
    "configuration": ("E2.2", "D2.3"),
    "packaging": ("X1", "D4.2"),
    "data": ("E3.1", "D2.1", "D3.1"),
    "model": ("E4.1", "D2.2"),
    "training": ("X2", "B1.1"),
    "tracking": (),
    "evaluation": ("B1.2",),
    "launch": ("B4.2",),
}
ROWS = tuple(dict.fromkeys(row for rows in (*ROWS_OF_MODES.values(), *ROWS_OF_AREAS.values()) for row in rows))
# errors that another shape, column or layer than the real one brings about
_OF_FORMS = ("KeyError", "IndexError", "ValueError", "RuntimeError", "AttributeError", "TypeError", "AssertionError")
# what is said of repairs after which a program goes on in another way than its own
_CHANGES = ("passes over it", "counts as null", "are given all the same")
_DETACHED = "detached-loss"
_NOT_OF_DATA = ("configuration", "packaging", "tracking", "launch")
# causes that are the same whatever the data and the model look like
_WHATEVER_THE_FORM = (
    "unscale-of-half-gradients",
    "scaler-called-twice",
    "loss-without-graph",
    "graph-used-twice",
    "not-a-parameter",
    "parameter-not-a-tensor",
    "not-a-leaf",
    "numpy-of-graph",
    "missing-argument",
    "not-json",
    "text-as-number",
    "usage-refused",
)
_MOST_FRAMES = 40
_DETAIL = 400


def stop_outcomes(rule: Rule, project: Project, rehearsal: Rehearsal, *, shimmed: bool) -> Iterator[Outcome]:
    """What the stops of a rehearsal say: a finding each where a second run confirmed it, otherwise why not.

    Args:
        rule: The rule that says it.
        project: The submission.
        rehearsal: What was seen.
        shimmed: Whether those are meant that a shim passed over, or those that ended a process.
    """
    # hundreds of patterns, which only a rehearsal needs
    from assay.trial.causes import explain

    for step, stop, others in stops_of(rehearsal, shimmed=shimmed):
        cause = explain(stop, step, project)
        doubt = _doubt(stop, cause, step, project)
        rows = tuple(dict.fromkeys((*ROWS_OF_MODES.get(step.mode, ()), *ROWS_OF_AREAS.get(cause.area, ()))))
        if doubt:
            reason = f"{command_of(step)} stopped in the rehearsal ({cause.sentence}), but {doubt}"
            yield Undecided(reason, ROWS_OF_MODES.get(step.mode, ()))
            continue
        frames = (*stop.frames, *cause.places)
        place = stop.frames[-1] if stop.frames else None
        file, line = (place.file, place.line) if place else (_program(step, project), None)
        said = next((text.strip() for text in stop.message.splitlines() if text.strip()), "")
        yield rule.finding(
            file,
            line,
            consequence=Consequence.CRASHES,
            requirements=rows,
            symbol=place.function if place and not place.function.startswith("<") else None,
            run=step.run or None,
            detail=f"{stop.type}: {said}"[:_DETAIL],
            frames=places(frames)[-_MOST_FRAMES:],
            command=command_of(step),
            cause=cause.sentence,
            mend=cause.repair,
            too=f" The same stop was seen in {', '.join(others)}." if others else "",
            passed=f" The rehearsal went on with a change of its own: {stop.repair}." if stop.repair else "",
        )


def _doubt(stop: Stop, cause: Cause, step: Step, project: Project) -> str:
    """Why a stop proves nothing against the submission; empty where it does."""
    lines = [_line(project, frame.file, frame.line) for frame in stop.frames[-2:]]
    if "PLACEHOLDER" in stop.message or any("PLACEHOLDER" in line for line in lines):
        return "a placeholder stands there"
    if stop.doubt or cause.doubt:
        return stop.doubt or cause.doubt
    if cause.area == "data" and assumes(step):
        return "the form of its data is assumed"
    formed = stop.type.rpartition(".")[2] in _OF_FORMS and cause.area not in _NOT_OF_DATA
    if assumes(step) and formed and cause.name not in _WHATEVER_THE_FORM:
        return "the form of its data, or of its model, is assumed"
    from assay.trial.causes.cut_models import doubt_of_cut_model

    if cut := doubt_of_cut_model(stop, cause, step, project):
        return cut
    if after := _of_a_change(stop, cause, step, project):
        return after
    # a program that cannot be loaded is loaded no better with other sizes
    return "" if stop.confirmed or step.mode == "refuse" else "no second run confirmed it"


def _of_a_change(stop: Stop, cause: Cause, step: Step, project: Project) -> str:
    """Whether a stop may come from what the rehearsal did to pass another one; empty where it does not."""
    before = takewhile(lambda one: one is not stop, step.stops)
    passed = [one for one in before if one.shim or any(said in one.repair for said in _CHANGES)]
    if cause.name == "scaler-called-twice" and any(_DETACHED in f"{one.shim} {one.repair}" for one in passed):
        return "the rehearsal passed over the backward pass before it, so that there was no gradient"
    steps = project.rehearsal.steps if project.rehearsal is not None else (step,)
    # the same help, for the same kind of error, in another command or at another place
    proved = {_help(one) for other in steps for one in other.stops if one.confirmed and not one.doubt}
    if any(_help(one) not in proved for one in passed):
        return "it was seen after the rehearsal passed over another stop, of which nothing is proved"
    return ""


def _help(stop: Stop) -> tuple[str, str]:
    """The kind of a stop, and by which help the rehearsal passed it."""
    return stop.type, stop.shim or stop.repair.rpartition("(")[2].rstrip(")")


def _line(project: Project, file: str, number: int) -> str:
    lines = (project.submission.text(file) or "").split("\n")
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _program(step: Step, project: Project) -> str | None:
    """The file of the program that a step starts."""
    path = project.contract.role("evaluate" if step.mode == "evaluate" else "main")
    return path if path in project.submission.files else None
