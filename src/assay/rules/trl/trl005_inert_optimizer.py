"""TRL005: an optimizer steps, and none of its parameters ever has a gradient."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import (
    FULL_MODES,
    TRAINING_MODES,
    OptimizerRecord,
    command_of,
    configuration,
    cuts,
    is_blind,
    optimizers,
    places,
    settled,
)
from assay.trial.record import Step

_FEWEST = 2
# settings that say when a part of a method begins
_BEGINS = re.compile(r"(?:^|_)(?:start|begin|after|delay|unfreeze|freeze|switch|phase)(?:_|s?$)", re.IGNORECASE)
# epochs of a shortened run, beyond the first
_EPOCHS = 1
_OUTER = (
    "def outer(planner, validate):\n    optimizer = torch.optim.Adam(planner.parameters())\n"
    "    loss = validate({argument})\n    loss.backward()\n    optimizer.step()\n"
)


def _inert(steps: int, gradients: int = 0) -> tuple[dict[str, object], ...]:
    return (
        {"kind": "optimizer", "id": 2, "cls": "Adam", "parameters": 6, "frames": at("src/train.py", 2, "outer")},
        {"kind": "step", "optimizer": 2, "n": steps, "lrs": [0.01], "frames": at("src/train.py", 5, "outer")},
        {
            "kind": "optimizer-end",
            "optimizer": 2,
            "steps": steps,
            "parameters": 6,
            "never_gradient": ["planner.weight", "planner.bias"][: 6 - gradients],
            "never_gradient_count": 6 - gradients,
            "never_moved_count": 6 - gradients,
        },
    )


class InertOptimizer(Rule):
    """An optimizer steps over parameters that no backward pass reaches: an outer loop whose loss does not depend on what it
    is to learn, a policy that is only ever called under `no_grad`, a model that was made anew after the optimizer. Each
    step leaves every parameter as it was, and the part of the method that was to learn learns nothing.

    It blocks where a full mode that came to its end showed it, over at least two steps and without a gradient for a single
    parameter. In a trial, whose two batches may be too few for a later phase to begin, it is a warning; so it is where a
    setting says that something begins after more steps than were rehearsed. An optimizer that moves parameters without
    gradients, as those of zeroth order do, is not told.
    """

    code = "TRL005"
    name = "inert-optimizer"
    requirements = ("X2", "E1.3", "B1.1", "D1.3", "D2.5")
    gate = "trial"
    consequence = Consequence.TRAINS_NOTHING
    message = "{cls} steps {steps} times in {command}, and none of its {parameters} parameters ever has a gradient"
    explanation = "Every step leaves them as they were: {names} {verb} never trained."
    repair = "Let the loss depend on these parameters, through operations that keep the graph."

    VALID = (
        Example({"src/train.py": _OUTER.format(argument="planner(x)")}, rehearsed=saw(*trained(), mode="full")),
        Example({"src/train.py": _OUTER.format(argument="planner(x)")}, rehearsed=saw(*_inert(4, 6), mode="full")),
        # it looks for directions itself, without gradients
        Example(
            {"src/train.py": _OUTER.format(argument="x")},
            rehearsed=saw(*_inert(4)[:2], {**_inert(4)[2], "never_moved_count": 0}, mode="full"),
        ),
        # a step or none says nothing yet
        Example({"src/train.py": _OUTER.format(argument="x")}, rehearsed=saw(*_inert(1), mode="full")),
    )
    INVALID = (
        Example(
            {"src/train.py": _OUTER.format(argument="x")},
            at=("src/train.py:2",),
            repaired={"src/train.py": _OUTER.format(argument="planner(x)")},
            rehearsed=saw(*trained(), *_inert(4), mode="full"),
            rehearsed_after=saw(*trained(), *_inert(4, 6), mode="full"),
        ),
        Example({"src/train.py": _OUTER.format(argument="x")}, at=("src/train.py:2",), rehearsed=saw(*_inert(2))),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: set[tuple[str, int]] = set()
        steps = tuple(
            step for step in settled(project.rehearsal, *TRAINING_MODES) if not is_blind(step, "optimizers", "backward")
        )
        alive = {
            (one.frames[-1].file, one.frames[-1].line)
            for step in steps
            for one in optimizers(step)
            if one.frames and not _is_inert(one) and one.steps
        }
        for step in sorted(steps, key=lambda step: step.mode not in FULL_MODES):
            for one in optimizers(step):
                if one.steps < _FEWEST or not one.parameters or not _is_inert(one):
                    continue
                place = one.frames[-1] if one.frames else None
                key = (place.file, place.line) if place else ("", 0)
                # another run, or another call of the same line, trains what it makes
                if key in told or key in alive:
                    continue
                told.add(key)
                # what was cut may be where another phase begins
                certain = step.mode in FULL_MODES and (one.steps >= 2 * _FEWEST or not cuts(step, "pass", "phase"))
                certain = certain and not _begins_later(step, one)
                yield self.finding(
                    place.file if place else None,
                    place.line if place else None,
                    severity=Severity.BLOCKING if certain else Severity.WARNING,
                    symbol=place.function if place and not place.function.startswith("<") else None,
                    run=step.run or None,
                    detail=f"steps: {one.steps}, parameters: {one.parameters}, with a gradient: 0",
                    frames=places((*one.frames, *one.stepped_at)),
                    cls=one.cls,
                    steps=one.steps,
                    command=command_of(step),
                    parameters=one.parameters,
                    names=", ".join(one.names[:3]) or "they",
                    verb="is" if len(one.names) == 1 else "are",
                )


def _is_inert(one: OptimizerRecord) -> bool:
    """Whether no parameter ever had a gradient, nor moved in another way."""
    return one.never_gradient >= one.parameters and one.never_moved >= one.parameters


def _begins_later(step: Step, one: OptimizerRecord) -> bool:
    """Whether a setting says that something begins after more steps, or epochs, than the rehearsal takes."""
    for name, value in configuration(step).items():
        if isinstance(value, int) and not isinstance(value, bool) and _BEGINS.search(name.rpartition(".")[2]):
            most = _EPOCHS if "epoch" in name.lower() else one.steps
            if value >= most:
                return True
    return False
