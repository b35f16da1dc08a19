"""TRL003: the rehearsal ran to its end and no optimizer ever stepped."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Proved, Rule, Undecided
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import (
    FULL_MODES,
    TRAINING_MODES,
    backward_passes,
    command_of,
    configuration,
    cuts,
    frames_of,
    is_blind,
    optimizer_steps,
    optimizers,
    places,
    settled,
)
from assay.trial.record import Step

# settings of how long is trained; 0 asks for a run without training
_LENGTH = re.compile(
    r"(?:^|[._])(?:epochs?|(?:max|train|training|total|num|n|update)_?(?:steps|iters|iterations)|steps)$"
)
_LOOP = (
    "def train(model, optimizer, loader, accumulate):\n    for number, batch in enumerate(loader, 1):\n"
    "        model(batch).loss.backward()\n        if number % accumulate == 0:\n            optimizer.step()\n{end}"
)
_SEEN = (
    {"kind": "optimizer", "id": 1, "cls": "AdamW", "parameters": 4, "frames": at("src/train.py", 1)},
    {"kind": "backward", "n": 1, "loss": 0.7, "frames": at("src/train.py", 3, "train")},
    {"kind": "backward", "n": 2, "loss": 0.7, "frames": at("src/train.py", 3, "train")},
)


class NothingTrained(Rule):
    """The command came to its end, an optimizer was made, losses were taken back through the model, and the optimizer never
    stepped. So every parameter is what it was.

    That happens where a trial takes two batches and gradients are accumulated over more, where a budget is used up before
    the first step, where a `break` comes too early. A trial that takes no step tells nothing of the program, and the
    contract asks for one. Where a GradScaler may have skipped steps, no optimizer was made and parameters may have been
    changed by hand, the rehearsal itself ended the pass, or the configuration asks for no training, the rule only warns.

    Where each run's optimizers stepped, and stepped with gradients, the row about the trial's size is not yet met, but the
    row about training is looked at by TRL004 and TRL005 as well.
    """

    code = "TRL003"
    name = "nothing-trained"
    requirements = ("X2", "E9.2", "B1.1", "E1.3", "D1.3")
    gate = "trial"
    consequence = Consequence.TRAINS_NOTHING
    message = "{command} makes {backward} backward passes and no optimizer step"
    explanation = "It ends well, and no parameter has changed."
    repair = "Step the optimizer after the last batch too, whatever is left over."

    VALID = (
        Example({"src/train.py": _LOOP.format(end="")}, rehearsed=saw(*trained())),
        # a run that repairs had changed proves nothing of the submission
        Example({"src/train.py": _LOOP.format(end="")}, rehearsed=saw(*_SEEN, tampered=True)),
        # made here, and handed to a child process, which steps
        Example(
            {"src/train.py": _LOOP.format(end="")},
            rehearsed=saw(*_SEEN, {"kind": "step", "pid": 7, "optimizer": 1, "n": 2, "frames": []}),
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _LOOP.format(end="")},
            at=("src/train.py:3",),
            repaired={"src/train.py": _LOOP.format(end="    optimizer.step()\n")},
            rehearsed=saw(*_SEEN),
            rehearsed_after=saw(*trained()),
        ),
        # the rehearsal ended the pass before the step
        Example(
            {"src/train.py": _LOOP.format(end="")},
            at=("src/train.py:3",),
            rehearsed=saw(*_SEEN, {"kind": "pass", "batches": 320, "cut": True}, mode="full"),
        ),
        # nothing was to be trained
        Example(
            {"src/train.py": _LOOP.format(end="")},
            at=("src/train.py:3",),
            rehearsed=saw(*_SEEN, {"kind": "config", "data": {"training": {"epochs": 0}}}, mode="full"),
        ),
        # parameters may have been changed by hand
        Example({"src/train.py": _LOOP.format(end="")}, at=("src/train.py:3",), rehearsed=saw(*_SEEN[1:])),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        steps = tuple(
            step for step in settled(project.rehearsal, *TRAINING_MODES) if not is_blind(step, "optimizers", "backward")
        )
        for step in steps:
            made, passes = optimizers(step), backward_passes(step)
            if passes and not optimizer_steps(step):
                yield self._said(step, passes, certain=bool(made) and not _is_excused(step))
        idle = [step for step in steps if not optimizer_steps(step) and not backward_passes(step)]
        for step in idle:
            yield Undecided(f"{command_of(step)} makes no backward pass and no optimizer step", ("X2", "E9.2", "B1.1"))
        full = [step for step in steps if step.mode in FULL_MODES]
        if full and len(steps) == len(project.rehearsal.steps_of(*TRAINING_MODES)) and all(map(_trains, steps)):
            yield Proved(("X2", "B1.1"))

    def _said(self, step: Step, passes: int, *, certain: bool) -> Outcome:
        last = [event for event in step.of("backward") if frames_of(event)]
        frames = frames_of(last[-1]) if last else ()
        return self.finding(
            frames[-1].file if frames else None,
            frames[-1].line if frames else None,
            severity=Severity.BLOCKING if certain else Severity.WARNING,
            requirements=("X2", "E9.2", "B1.1") if step.mode == "trial" else ("X2", "B1.1", "E1.3", "D1.3"),
            symbol=frames[-1].function if frames and not frames[-1].function.startswith("<") else None,
            run=step.run or None,
            detail=f"backward passes: {passes}, optimizer steps: 0",
            frames=places(frames),
            command=command_of(step),
            backward=passes,
        )


def _is_excused(step: Step) -> bool:
    """Whether a run without a step may be as it should be: one that is asked for no training, or whose passes over the data
    the rehearsal itself ended before the step."""
    for name, value in configuration(step).items():
        if value == 0 and not isinstance(value, bool) and _LENGTH.search(name):
            return True
    return _is_scaled(step) or cuts(step, "pass")


def _is_scaled(step: Step) -> bool:
    """Whether a GradScaler was at work, which skips steps by itself while it looks for its scale."""
    return any(event.get("scale") not in (None, 1, 1.0) for event in step.of("backward"))


def _trains(step: Step) -> bool:
    """Whether all optimizers of a step stepped with gradients that reached every one of them, on finite numbers."""
    made = optimizers(step)
    return (
        bool(made)
        and all(one.steps and one.never_gradient < one.parameters and one.never_moved < one.parameters for one in made)
        and not any(event.get("what") in ("loss", "parameter", "lr") for event in step.of("nonfinite"))
    )
