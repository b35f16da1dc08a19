"""TRL017: the test split is read between passes of training."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import FULL_MODES, command_of, frames_of, places, settled, text
from assay.trial.record import Event

_LOADER = {"kind": "loader", "id": 2, "split": "test", "frames": at("src/train.py", 2)}
_TEST = {"kind": "pass", "loader": 2, "n": 1, "batches": 4, "training": False, "split": "test"}
_TRAIN = {"kind": "pass", "loader": 1, "n": 2, "batches": 4, "training": True, "split": "train"}


class TestSplitWhileTraining(Rule):
    """Between two passes of training the program reads the test split. What it learns there can decide when to stop, which
    checkpoint to keep or which parameters to choose, and then the reported test value is no test.

    It is a warning: reading and reporting a curve, without choosing by it, does no harm.
    """

    code = "TRL017"
    name = "test-split-while-training"
    requirements = ("X5",)
    gate = "trial"
    severity = Severity.WARNING
    yields_to = ("INT004",)
    message = "{command} reads the test split between passes of training"
    explanation = "Whatever is chosen by it (an epoch, a checkpoint, a parameter) makes the test value no test."
    repair = "Choose on a validation split, and read the test split once, at the end."

    VALID = (
        Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*trained(), _LOADER, _TRAIN, _TEST, mode="full")),
        Example(
            {"src/train.py": "x = 1\n"},
            rehearsed=saw(*trained(), _LOADER, {**_TEST, "split": "validation"}, _TRAIN, mode="full"),
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": "def train(data):\n    loader = DataLoader(data['test'])\n"},
            at=("src/train.py:2",),
            rehearsed=saw(*trained(), _LOADER, {**_TRAIN, "n": 1}, _TEST, _TRAIN, mode="full"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: set[object] = set()
        for step in settled(project.rehearsal, *FULL_MODES):
            passes = list(step.of("pass"))
            for number, event in enumerate(passes):
                if not text(event, "split").startswith("test") or event.get("training") is True:
                    continue
                same = [other for other in passes[number + 1 :] if other.get("pid") == event.get("pid")]
                if not any(other.get("training") is True for other in same):
                    continue
                made: Event = next(
                    (
                        loader
                        for loader in step.of("loader")
                        if loader.get("id") == event.get("loader") and loader.get("pid") == event.get("pid")
                    ),
                    {},
                )
                frames = frames_of(made)
                if (frames[-1:], step.mode) in told or not frames:
                    continue
                told.add((frames[-1:], step.mode))
                yield self.finding(
                    frames[-1].file,
                    frames[-1].line,
                    symbol=None if frames[-1].function.startswith("<") else frames[-1].function,
                    run=step.run or None,
                    frames=places(frames),
                    command=command_of(step),
                )
