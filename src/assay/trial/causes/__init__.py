"""Why a rehearsal stopped: known causes by library, in plain words, with their repair.

A cause is found by the exception's name and message, never by names of datasets or models; what is said of the place
comes from the probes' events and from the submission's files.
"""

from __future__ import annotations

import re

from assay.analysis.project import Project
from assay.trial.causes import (
    datasets_library,
    hardware,
    hydra_library,
    peft_library,
    python_itself,
    stand_ins,
    torch_library,
    tracking_library,
    transformers_library,
)
from assay.trial.causes.known import Cause, Known, Words
from assay.trial.record import Step, Stop

__all__ = ["Cause", "explain"]

# what only a machine with a GPU can tell comes first, what Python says of any program comes last
_CAUSES: tuple[Known, ...] = (
    *hardware.CAUSES,
    *hydra_library.CAUSES,
    *stand_ins.CAUSES,
    *peft_library.CAUSES,
    *transformers_library.CAUSES,
    *datasets_library.CAUSES,
    *tracking_library.CAUSES,
    *torch_library.CAUSES,
    *python_itself.CAUSES,
)
_LONGEST = 300


def explain(stop: Stop, step: Step, project: Project) -> Cause:
    """The cause of a stop, as far as it is known.

    Args:
        stop: What ended a process, or would have.
        step: The command that it happened in, with what the probes saw.
        project: The submission.
    """
    for cause in _CAUSES:
        words = _words(cause, stop, step, project)
        if words is None:
            continue
        places = tuple(cause.points(stop, step, project, words)) if cause.points else ()
        return Cause(
            cause.name,
            _filled(cause.sentence, words),
            _filled(cause.repair, words),
            _filled(cause.action, words),
            _filled(cause.doubt, words),
            cause.area or _area(stop, project),
            tuple(dict.fromkeys(place for place in places if place.file in project.submission.files)),
        )
    return Cause(sentence=told(stop), repair="Mend what the traceback names.", area=_area(stop, project))


def told(stop: Stop) -> str:
    """A stop in its own words: the exception and the first line of its message."""
    kind = stop.type.rpartition(".")[2]
    said = next((line.strip() for line in stop.message.splitlines() if line.strip()), "")
    if kind == "exit":
        return said or "it ends without a word"
    return f"{kind}: {said[:_LONGEST]}".rstrip(" :.")


def _words(cause: Known, stop: Stop, step: Step, project: Project) -> Words | None:
    """The words that a cause's texts are filled with; None where the stop is not of that kind."""
    said = [(stop.type, stop.message), *reversed(stop.chain)]
    for kind, message in said:
        if cause.types and kind.rpartition(".")[2] not in cause.types:
            continue
        match = cause.pattern.search(message)
        if match is None or not _is_inside(cause, stop):
            continue
        words = {name: " ".join((value or "").split())[:_LONGEST] for name, value in match.groupdict().items()}
        filled = cause.fill(stop, step, project, words) if cause.fill else words
        if filled is not None:
            return filled
    return None


def _is_inside(cause: Known, stop: Stop) -> bool:
    if cause.inside is None:
        return True
    return any(cause.inside.search(frame.module) for frame in stop.library) or bool(cause.inside.search(stop.text))


def _filled(template: str, words: Words) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: words.get(match.group(1), ""), template)


def _area(stop: Stop, project: Project) -> str:
    """What a stop is about, by the file of its innermost frame."""
    if not stop.frames:
        return ""
    file = stop.frames[-1].file
    for role, area in (
        ("preprocess", "data"),
        ("model", "model"),
        ("train", "training"),
        ("evaluate", "evaluation"),
        ("main", "launch"),
    ):
        if project.contract.role(role) == file:
            return area
    return ""
