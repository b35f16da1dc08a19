"""TRL011: the evaluation asks for keys that no run has logged."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, one_step, rehearsal, trained
from assay.trial.reading import command_of, frames_of, places, settled, text, texts

_LOG = {"kind": "wandb", "op": "log", "id": "proposed", "keys": ["val/loss"], "frames": at("src/train.py", 1)}
_ASKS = {"kind": "wandb", "op": "api", "missing": ["val_loss"], "frames": at("src/evaluate.py", 2)}
_FILES = {
    "src/evaluate.py": "def read(run):\n    return run.history(keys=['val_loss'])\n",
    "src/train.py": "wandb.log({'val/loss': 1})\n",
}


class KeyNotLogged(Rule):
    """The evaluation was rehearsed on what the rehearsed runs had tracked, and asked for a key that none of them has: a
    slash in place of an underscore, a metric that was renamed. W&B gives no rows for it, or the program a default.

    It is a warning, because a run made short may not have come to where that key is logged.
    """

    code = "TRL011"
    name = "key-not-logged"
    requirements = ("E6.3", "E8.2")
    gate = "trial"
    severity = Severity.WARNING
    yields_to = ("TRK005",)
    message = "{command} asks W&B for `{key}`, which none of the rehearsed runs logged"
    explanation = "What is made of it stays empty, or takes a default. Logged were: {logged}."
    repair = "Log and read it under one name."

    VALID = (Example(_FILES, rehearsed=rehearsal(one_step(*trained(), _LOG, mode="full"), one_step(mode="evaluate"))),)
    INVALID = (
        Example(
            _FILES,
            at=("src/evaluate.py:2",),
            rehearsed=rehearsal(one_step(*trained(), _LOG, mode="full"), one_step(_ASKS, mode="evaluate")),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        logged = sorted(
            {
                key
                for step in project.rehearsal.steps_of("full")
                for event in step.of("wandb")
                if text(event, "op") in ("log", "summary")
                for key in texts(event, "keys")
            }
        )
        told: set[str] = set()
        for step in settled(project.rehearsal, "evaluate"):
            for event in step.of("wandb"):
                # keys that W&B itself adds, and runs by their paths
                missing = [key for key in texts(event, "missing") if key[:1] != "_" and key.count("/") < 2]
                for key in missing:
                    frames = frames_of(event)
                    if text(event, "op") != "api" or key in told or key in logged or not logged or not frames:
                        continue
                    told.add(key)
                    yield self.finding(
                        frames[-1].file,
                        frames[-1].line,
                        symbol=key,
                        frames=places(frames),
                        command=command_of(step),
                        key=key,
                        logged=", ".join(logged[:12]) + (" ..." if len(logged) > 12 else ""),
                    )
