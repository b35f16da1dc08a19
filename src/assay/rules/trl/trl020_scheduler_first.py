"""TRL020: the learning-rate schedule steps before the optimizer does."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import TRAINING_MODES, command_of, frames_of, places, settled, text

_EVENT = {"kind": "scheduler", "op": "step", "n": 1, "before_optimizer": True, "frames": at("src/train.py", 2)}


class SchedulerFirst(Rule):
    """PyTorch's schedules are to step after the optimizer. Where one steps first, the first value of the schedule is never
    used, and PyTorch says so in a warning. With gradient accumulation, or where a GradScaler skipped the optimizer's step, the
    schedule also runs ahead of the optimizer.
    """

    code = "TRL020"
    name = "scheduler-first"
    requirements = ("B6.2", "X2")
    gate = "trial"
    severity = Severity.WARNING
    yields_to = ("TRN009",)
    message = "{cls} steps before the optimizer has, in {command}"
    explanation = "The first learning rate of the schedule is passed over."
    repair = "Call `scheduler.step()` after `optimizer.step()`, and only where that was called."

    VALID = (Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*trained(), {**_EVENT, "before_optimizer": False})),)
    INVALID = (
        Example(
            {"src/train.py": "def step(scheduler, optimizer):\n    scheduler.step()\n    optimizer.step()\n"},
            at=("src/train.py:2",),
            rehearsed=saw(_EVENT, *trained()),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: set[object] = set()
        for step in settled(project.rehearsal, *TRAINING_MODES):
            for event in step.of("scheduler"):
                frames = frames_of(event)
                if event.get("before_optimizer") is not True or not frames or frames[-1] in told:
                    continue
                told.add(frames[-1])
                yield self.finding(
                    frames[-1].file,
                    frames[-1].line,
                    symbol=None if frames[-1].function.startswith("<") else frames[-1].function,
                    run=step.run or None,
                    frames=places(frames),
                    cls=text(event, "cls") or "a schedule",
                    command=command_of(step),
                )
