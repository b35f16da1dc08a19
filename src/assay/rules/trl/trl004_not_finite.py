"""TRL004: a parameter, a learning rate or the loss stops being a finite number."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import TRAINING_MODES, assumes, command_of, frames_of, places, real, settled, text, whole
from assay.trial.record import Event, Step, TrialFrame

_WORDS = {"parameter": "a parameter", "lr": "a learning rate", "loss": "the loss"}
# what stays as it is once it is not finite, whatever the program guards its steps with
_LASTING = ("parameter", "lr")
_RATE = "def rate(blocks, base):\n    return base * torch.tensor([block.norm for block in blocks]).median()\n"
_GUARDED = _RATE.replace("    return", "    if not blocks:\n        return base\n    return")
_EVENT = {"kind": "nonfinite", "what": "lr", "name": "AdamW", "n": 1, "frames": at("src/train.py", 1, "rate")}
_AGAIN = {**_EVENT, "again": True}
_ORIGIN = {**_AGAIN, "what": "origin", "name": "median", "note": "empty input", "frames": at("src/train.py", 2, "rate")}
_MASK = {**_EVENT, "what": "parameter", "name": "Net.mask", "value": "inf"}
_LOSS = {**_EVENT, "what": "loss", "frames": at("src/train.py", 2, "rate")}


class NotFinite(Rule):
    """A number that has become NaN or infinite spreads: after the next optimizer step every parameter that it reaches is
    lost, and the run goes on to its end and logs what it logs.

    A second run, with sizes as they are, watches each operation for the first whose result is not finite although what it
    was given is, and that place is told. It blocks where a parameter or a learning rate was not finite in both runs, because
    these stay so. A loss alone may be that of a single batch, and stand-ins that were made by guess may have another form
    than the real data: then it is a warning. So it is where losses stay finite afterwards, and under mixed precision, whose
    reductions are less exact on a CPU.
    """

    code = "TRL004"
    name = "not-finite"
    requirements = ("X2", "E1.3", "B1.1", "D1.3")
    gate = "trial"
    consequence = Consequence.TRAINS_NOTHING
    message = "{what} becomes {value} in {command}, {when}{begins}"
    explanation = "What it reaches is lost: the run goes on, and trains nothing.{others}"
    repair = "{mend}"

    VALID = (
        Example({"src/train.py": _RATE}, rehearsed=saw(*trained())),
        # a metric of random weights may be anything
        Example({"src/train.py": _RATE}, rehearsed=saw({**_EVENT, "what": "logged"})),
        # a gradient that a scaler looks for its scale by, and steps over
        Example({"src/train.py": _RATE}, rehearsed=saw({**_EVENT, "what": "gradient"})),
    )
    INVALID = (
        Example(
            {"src/train.py": _RATE},
            at=("src/train.py:2",),
            repaired={"src/train.py": _GUARDED},
            rehearsed=saw(*trained(), _EVENT, _AGAIN, _ORIGIN, mode="full"),
            rehearsed_after=saw(*trained(), mode="full"),
        ),
        # a mask of minus infinity that is kept as a parameter: losses stay finite
        Example(
            {"src/train.py": _RATE}, at=("src/train.py:1",), rehearsed=saw(_MASK, *trained(), {**_MASK, "again": True})
        ),
        # half precision of a CPU
        Example(
            {"src/train.py": _RATE},
            at=("src/train.py:1",),
            rehearsed=saw({**_MASK, "amp": True}, {**_MASK, "amp": True, "again": True}),
        ),
        # a second run did not show it
        Example({"src/train.py": _RATE}, at=("src/train.py:1",), rehearsed=saw(_EVENT)),
        # the program may have stepped over it
        Example({"src/train.py": _RATE}, at=("src/train.py:2",), rehearsed=saw(_LOSS, {**_LOSS, "again": True})),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: dict[tuple[str, int], list[_Seen]] = {}
        for step in settled(project.rehearsal, *TRAINING_MODES):
            seen = _seen(step)
            if seen is not None:
                place = seen.frames[-1] if seen.frames else None
                told.setdefault((place.file, place.line) if place else ("", 0), []).append(seen)
        for (file, line), alike in told.items():
            seen = next((one for one in alike if one.certain), alike[0])
            what = text(seen.first, "what")
            yield self.finding(
                file or None,
                line or None,
                severity=Severity.BLOCKING if seen.certain else Severity.WARNING,
                symbol=seen.frames[-1].function if file and not seen.frames[-1].function.startswith("<") else None,
                run=seen.step.run or None,
                detail=" ".join(
                    filter(None, dict.fromkeys((what, text(seen.first, "name"), text(seen.first, "note"))))
                ),
                frames=places((*frames_of(seen.first), *seen.frames)),
                what=_WORDS[what],
                value=_value(seen.first),
                command=command_of(seen.step),
                when=f"at step {whole(seen.first, 'n')}" if whole(seen.first, "n") else "before the first step",
                begins=_beginning(seen.origin),
                others=f" It was seen in {len(alike)} commands." if len(alike) > 1 else "",
                mend=_mend(seen.origin),
            )


@dataclass(frozen=True, slots=True)
class _Seen:
    """Numbers of one command that were not finite: the first, where that began, and whether it lasts and was confirmed."""

    step: Step
    first: Event
    origin: Event
    frames: tuple[TrialFrame, ...]
    certain: bool


def _seen(step: Step) -> _Seen | None:
    events = list(step.of("nonfinite"))
    once = [event for event in events if event.get("again") is not True]
    again = [event for event in events if event.get("again") is True]
    first = next((event for event in once if text(event, "what") in _WORDS), None)
    if first is None:
        return None
    origin: Event = next((event for event in again if text(event, "what") == "origin"), {})
    lasting = {text(event, "what") for event in once} & {text(event, "what") for event in again}
    certain = not lasting.isdisjoint(_LASTING) and not assumes(step)
    # reductions in half precision overflow on a CPU where a GPU takes single precision for them
    certain = certain and not any(event.get("amp") is True for event in events) and not _is_without_effect(step, first)
    return _Seen(step, first, origin, frames_of(origin) or frames_of(first), certain)


def _is_without_effect(step: Step, first: Event) -> bool:
    """Whether losses stayed finite after a parameter was not: a mask of minus infinity, or one that nothing uses."""
    if text(first, "what") != "parameter":
        return False
    after = step.events[step.events.index(first) + 1 :]
    found = [
        real(event, "loss")
        for event in after
        if event.get("kind") == "backward" and event.get("pid") == first.get("pid") and event.get("again") is not True
    ]
    losses = [loss for loss in found if loss is not None]
    return bool(losses) and all(math.isfinite(loss) for loss in losses)


def _value(event: Event) -> str:
    number = real(event, "value")
    if number is None or math.isfinite(number):
        return "NaN or infinite"
    return "NaN" if math.isnan(number) else "infinite"


def _beginning(origin: Event) -> str:
    """Where it begins, in words; empty where that is not known."""
    name, note = text(origin, "name"), text(origin, "note")
    if not name:
        return ""
    return f": it begins in `{name}`, with {_NOTES.get(note, note)}" if note else f": it begins in `{name}`"


def _mend(origin: Event) -> str:
    if text(origin, "note") == "empty input":
        return "Let this place give a number where nothing is selected, or see to it that something is."
    return "Look at this place for an empty selection, a division by zero, or a kind of number that is too small."


_NOTES = {"empty input": "nothing to work on", "infinite input": "an infinite number"}
