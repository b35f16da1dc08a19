"""TRL015: the trials of a search are trained bit for bit alike although their parameters differ."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, saw
from assay.trial.reading import FULL_MODES, command_of, frames_of, is_same_trace, places, real, settled, text, whole
from assay.trial.record import Event, Step, TrialFrame

_FEWEST = 4
# parameters that act late, or after training: two short trials need not show them
_LATER = re.compile(
    r"warm|start|begin|after|interval|every|period|freq|epoch|delay|burn|milestone|steps?$|patience|temperature|beam|"
    r"top_[kp]|threshold|eval|infer|decod|generat|sampl|batch",
    re.IGNORECASE,
)
# parameters whose effect on a few steps may be none, or below what numbers hold: a bound that is not reached, a decay
_SLIGHT = re.compile(
    r"clip|clamp|norm|cap|bound|limit|max_|min_|tol|eps|decay|wd$|gamma|ema|anneal|final|end|margin", re.IGNORECASE
)
_SEARCH = "def objective(trial, cfg):\n    rate = trial.suggest_float('lr', 1e-5, 1e-2)\n    return train({used})\n"


def _trial(number: int, rate: float, losses: tuple[float, ...], value: float) -> list[dict[str, Any]]:
    asked = {"kind": "optuna", "op": "suggest", "name": "lr", "value": rate, "trial": number,
             "frames": at("src/train.py", 2, "objective")}  # fmt: skip
    passes = [{"kind": "backward", "n": 4 * number + n, "loss": loss} for n, loss in enumerate(losses, 1)]
    ended = {"kind": "optuna", "op": "trial", "name": str(number), "value": value, "params": {"lr": rate}}
    return [asked, *passes, ended]


_FIRST, _SECOND = (0.9, 0.8, 0.7, 0.6123), (0.9, 0.75, 0.62, 0.5871)
_ALIKE = (*_trial(0, 0.001, _FIRST, 0.6123), *_trial(1, 0.008, _FIRST, 0.6123))
_DIFFERENT = (*_trial(0, 0.001, _FIRST, 0.6123), *_trial(1, 0.008, _SECOND, 0.5871))


class SearchWithoutEffect(Rule):
    """A search asked for parameters, and two of its trials with different values trained bit for bit alike: the same losses,
    over at least four backward passes, and the same result. The values that it suggests do not reach what is trained, so
    that it finds nothing, and reports a best value all the same.

    Trials are seen only where they train in one process, one after another. It blocks where the result is a number that
    is hardly equal by chance. Parameters that act late or after training, by their names, are not told.
    """

    code = "TRL015"
    name = "search-without-effect"
    requirements = ("E7.3", "X2")
    gate = "trial"
    consequence = Consequence.TRAINS_NOTHING
    message = "trials {first} and {second} of the search in {command} train alike, bit for bit, with different {names}"
    explanation = (
        "What the search suggests reaches nothing that is trained, so that its best values are as good as any."
    )
    repair = "Write each suggested value into the configuration that the objective trains with."

    VALID = (
        Example({"src/train.py": _SEARCH.format(used="cfg, rate")}, rehearsed=saw(*_DIFFERENT, mode="full")),
        # the same value twice
        Example(
            {"src/train.py": _SEARCH.format(used="cfg, rate")},
            rehearsed=saw(*_trial(0, 0.001, _FIRST, 0.6123), *_trial(1, 0.001, _FIRST, 0.6123), mode="full"),
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _SEARCH.format(used="cfg")},
            at=("src/train.py:2",),
            repaired={"src/train.py": _SEARCH.format(used="cfg, rate")},
            rehearsed=saw(*_ALIKE, mode="full"),
            rehearsed_after=saw(*_DIFFERENT, mode="full"),
        ),
        # gradients are below both bounds
        Example(
            {"src/train.py": _SEARCH.format(used="cfg")},
            at=("src/train.py:2",),
            rehearsed=saw(
                *({**event, "name": "grad_clip"} if event.get("op") == "suggest" else event for event in _ALIKE),
                mode="full",
            ),
        ),
        # nothing has moved yet
        Example(
            {"src/train.py": _SEARCH.format(used="cfg")},
            at=("src/train.py:2",),
            rehearsed=saw(
                *_ALIKE[:1],
                {"kind": "step", "optimizer": 1, "n": 1, "moved": 0, "lrs": [1e-12]},
                *_ALIKE[1:],
                mode="full",
            ),
        ),
        # a quarter of the answers is right by chance
        Example(
            {"src/train.py": _SEARCH.format(used="cfg")},
            at=("src/train.py:2",),
            rehearsed=saw(*_trial(0, 0.001, _FIRST, 0.25), *_trial(1, 0.008, _FIRST, 0.25), mode="full"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: set[TrialFrame | None] = set()
        for step in settled(project.rehearsal, *FULL_MODES):
            pair = _alike(_trials(step))
            if pair is None:
                continue
            one, other, names = pair
            place = one.frames[-1] if one.frames else None
            if place in told:
                continue
            told.add(place)
            yield self.finding(
                place.file if place else None,
                place.line if place else None,
                severity=Severity.BLOCKING if _is_certain(one, other, names) else Severity.WARNING,
                symbol=names[0],
                run=step.run or None,
                detail=f"losses {', '.join(f'{loss:.6g}' for loss in one.losses[:4])} ...; results {one.value}, {other.value}",
                frames=places(one.frames),
                first=one.number,
                second=other.number,
                command=command_of(step),
                names=", ".join(names[:5]),
            )


@dataclass(slots=True)
class _Trial:
    """One trial of a search: what was suggested, what it trained with, and its result."""

    number: int
    frames: tuple[TrialFrame, ...] = ()
    values: dict[str, object] = field(default_factory=dict)
    losses: tuple[float, ...] = ()
    value: float | None = None
    moved: tuple[int, ...] = ()


def _trials(step: Step) -> list[_Trial]:
    """The trials of a step that came to their end, each with the losses of its own process between its first suggestion
    and its end."""
    open_trials: dict[object, _Trial] = {}
    found: list[_Trial] = []
    for event in step.of("optuna", "backward", "step"):
        pid = event.get("pid")
        if event["kind"] == "step":
            if pid in open_trials and isinstance(event.get("moved"), int):
                open_trials[pid].moved = (*open_trials[pid].moved, whole(event, "moved"))
            continue
        if event["kind"] == "backward":
            current, loss = open_trials.get(pid), real(event, "loss")
            if current is not None and loss is not None:
                current.losses = (*current.losses, loss)
        elif text(event, "op") == "suggest":
            _suggested(event, open_trials, pid)
        elif text(event, "op") == "trial":
            current = open_trials.pop(pid, None)
            if current is not None and text(event, "name") == str(current.number) and not event.get("error"):
                current.value = real(event, "value")
                found.append(current)
    return found


def _suggested(event: Event, open_trials: dict[object, _Trial], pid: object) -> None:
    current = open_trials.get(pid)
    if current is None or current.number != whole(event, "trial"):
        current = open_trials[pid] = _Trial(whole(event, "trial"))
    current.frames = current.frames or frames_of(event)
    current.values[text(event, "name")] = event.get("value")


def _alike(trials: list[_Trial]) -> tuple[_Trial, _Trial, list[str]] | None:
    """The first two trials that trained alike with values that differ, and the names of these values."""
    for number, one in enumerate(trials):
        for other in trials[number + 1 :]:
            names = [name for name in one.values if name in other.values and one.values[name] != other.values[name]]
            if any(_LATER.search(name) for name in names) or not names or one.value != other.value:
                continue
            if len(one.losses) >= _FEWEST and is_same_trace(one.losses, other.losses):
                return one, other, names
    return None


def _is_certain(one: _Trial, other: _Trial, names: list[str]) -> bool:
    """Whether nothing but a value that reaches nothing explains that two trials are alike."""
    if any(trial.moved and not any(trial.moved) for trial in (one, other)):
        # no parameter changed yet: a learning rate next to zero
        return False
    return _is_telling(one.value) and not all(_SLIGHT.search(name) for name in names)


def _is_telling(value: float | None) -> bool:
    """Whether a result is hardly equal by chance, as a share of a few rows is."""
    if value is None or not math.isfinite(value):
        return False
    return all(abs(value * n - round(value * n)) > 1e-9 for n in range(1, 401))
