"""TRL018: every label of every batch is ignored by the loss."""

from __future__ import annotations

import math
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import TRAINING_MODES, assumes, command_of, cuts, frames_of, losses, places, real, settled
from assay.trial.record import Event, Step

_FEWEST = 2
_LOADER = {"kind": "loader", "id": 1, "frames": at("src/preprocess.py", 2, "loader")}
_PASS = {"kind": "pass", "loader": 1, "n": 1, "batches": 2, "training": True}
_IGNORED = {
    "kind": "batch",
    "loader": 1,
    "keys": {"labels": [[8, 16], "int64"]},
    "labels": {"ignored": 1.0, "min": -100, "max": -100},
}
_KEPT = {**_IGNORED, "labels": {"ignored": 0.4, "min": -100, "max": 400}}
_OF_NOTHING = trained(losses=(math.nan, math.nan))
_CODE = "def loader(data):\n    return DataLoader(data.map(mask_{what}))\n"


class LabelsAllIgnored(Rule):
    """Labels of -100 take no part in the loss. Where those of every batch that was looked at are all -100, the prompt fills
    the whole length, or the mask covers the answer, the loss is that of nothing: NaN, or zero, and no gradient teaches
    anything.

    Where the rehearsal itself cut texts short, which can cut off the answers, it is a warning. So it is where losses are those
    of something: rows without labels have their use in training that is only partly supervised.
    """

    code = "TRL018"
    name = "labels-all-ignored"
    requirements = ("X2", "E3.1", "D3.1", "E1.3")
    gate = "trial"
    consequence = Consequence.TRAINS_NOTHING
    message = "all labels of {count} training batches in {command} are -100"
    explanation = "The loss is that of no token at all."
    repair = "Mask the prompt alone, and leave room for the answer within the greatest length."

    VALID = (
        Example(
            {"src/preprocess.py": _CODE.format(what="prompt")},
            rehearsed=saw(_LOADER, _KEPT, _IGNORED, *trained(), _PASS),
        ),
    )
    INVALID = (
        Example(
            {"src/preprocess.py": _CODE.format(what="all")},
            at=("src/preprocess.py:2",),
            repaired={"src/preprocess.py": _CODE.format(what="prompt")},
            rehearsed=saw(_LOADER, _IGNORED, _IGNORED, *_OF_NOTHING, _PASS),
            rehearsed_after=saw(_LOADER, _KEPT, _KEPT, *trained(), _PASS),
        ),
        Example(
            {"src/preprocess.py": _CODE.format(what="all")},
            at=("src/preprocess.py:2",),
            rehearsed=saw(_LOADER, {"kind": "shrunk", "what": "tokens"}, _IGNORED, _IGNORED, *_OF_NOTHING, _PASS),
        ),
        # rows without labels, which another loss is made of
        Example(
            {"src/preprocess.py": _CODE.format(what="all")},
            at=("src/preprocess.py:2",),
            rehearsed=saw(_LOADER, _IGNORED, _IGNORED, *trained(), _PASS),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: set[object] = set()
        for step in settled(project.rehearsal, *TRAINING_MODES):
            for loader in step.of("loader"):
                own: list[Event] = [event for event in step.of("batch", "pass") if _is_of(event, loader)]
                trains = any(event["kind"] == "pass" and event.get("training") is True for event in own)
                shares = [_ignored(event) for event in own if event["kind"] == "batch"]
                frames = frames_of(loader)
                if not trains or len(shares) < _FEWEST or any(share != 1.0 for share in shares) or frames in told:
                    continue
                told.add(frames)
                yield self.finding(
                    frames[-1].file if frames else None,
                    frames[-1].line if frames else None,
                    severity=Severity.WARNING
                    if cuts(step, "token", "length", "text") or assumes(step) or _has_another_loss(step)
                    else Severity.BLOCKING,
                    symbol=frames[-1].function if frames and not frames[-1].function.startswith("<") else None,
                    run=step.run or None,
                    frames=places(frames),
                    count=len(shares),
                    command=command_of(step),
                )


def _has_another_loss(step: Step) -> bool:
    """Whether some loss was that of something: with no label at all it is NaN, or zero."""
    return any(math.isfinite(loss) and loss != 0 for loss in losses(step))


def _is_of(event: Event, loader: Event) -> bool:
    return event.get("loader") == loader.get("id") and event.get("pid") == loader.get("pid")


def _ignored(event: Event) -> float | None:
    """The share of a batch's labels that the loss ignores; None where there are none."""
    labels = event.get("labels")
    return real(labels, "ignored") if isinstance(labels, dict) else None
