"""TRL014: a trial sends what it does to W&B."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import command_of, frames_of, places, settled, text

_INIT = {"kind": "wandb", "op": "init", "mode": "online", "id": "proposed", "frames": at("src/train.py", 2)}


class TrackedTrial(Rule):
    """A trial is not a result. Where it opens a run with W&B, online or in a local folder that is sent later, its numbers of
    two batches stand among those of real runs, under the id that the full run will have.
    """

    code = "TRL014"
    name = "tracked-trial"
    requirements = ("E2.5", "E6.5")
    gate = "trial"
    message = "{command} opens a run with W&B, {mode}"
    explanation = "The two batches of a trial are tracked under the id of the real run."
    repair = "Set the mode to `disabled` before W&B is used, where the mode is `trial`."

    VALID = (
        Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*trained(), {**_INIT, "mode": "disabled"})),
        Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*trained(), _INIT, mode="full")),
    )
    INVALID = (
        Example(
            {"src/train.py": "def main(cfg):\n    wandb.init(mode='online')\n"},
            at=("src/train.py:2",),
            repaired={
                "src/train.py": "def main(cfg):\n    wandb.init(mode='disabled' if cfg.mode == 'trial' else 'online')\n"
            },
            rehearsed=saw(*trained(), _INIT),
            rehearsed_after=saw(*trained(), {**_INIT, "mode": "disabled"}),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: set[object] = set()
        for step in settled(project.rehearsal, "trial"):
            for event in step.of("wandb"):
                frames, mode = frames_of(event), text(event, "mode")
                if text(event, "op") != "init" or mode not in ("online", "offline") or frames in told:
                    continue
                told.add(frames)
                yield self.finding(
                    frames[-1].file if frames else None,
                    frames[-1].line if frames else None,
                    symbol="wandb.init",
                    run=step.run or None,
                    frames=places(frames),
                    command=command_of(step),
                    mode=mode,
                )
