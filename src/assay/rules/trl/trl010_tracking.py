"""TRL010: a full run that came to its end tracked nothing, or not as the contract asks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Proved, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import command_of, cuts, frames_of, is_blind, places, settled, text, texts
from assay.trial.record import Event, Step

_ADDRESS = re.compile(r"https?://\S+/runs/\S+")
_TRAIN = "import wandb\n\n\ndef main(cfg):\n    run = wandb.init({more})\n    for loss in train(cfg):\n        wandb.log({{'loss': loss}})\n"
_INIT = {"kind": "wandb", "op": "init", "id": "proposed", "mode": "online", "resume": "allow", "config_keys": ["a"],
         "frames": at("src/train.py", 5)}  # fmt: skip
_LOG = {"kind": "wandb", "op": "log", "id": "proposed", "keys": ["loss"], "frames": at("src/train.py", 7)}
_SUMMARY = {"kind": "wandb", "op": "summary", "id": "proposed", "keys": ["best"], "frames": at("src/train.py", 8)}


class NotTracked(Rule):
    """The full mode of a run came to its end in the rehearsal, beside a stand-in for W&B that keeps what it is given. Where
    no run was opened, nothing was logged to it, or it was opened under another id than the run's, the evaluation finds
    nothing of it.

    A run without final values in its summary or without its configuration is a warning. No key is there in a rehearsal, and
    a run that is kept offline for want of one is as asked for.
    """

    code = "TRL010"
    name = "not-tracked"
    requirements = ("E6.1", "E6.2", "E6.8", "E8.2")
    gate = "trial"
    message = "{command} {does}"
    explanation = "The evaluation reads runs from W&B by their ids, and finds {finds}."
    repair = "Call `wandb.init(id=cfg.run_id, resume='allow', config=...)` in full mode, log at each step, and set the summary."

    VALID = (
        Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*trained(), _INIT, _LOG, _SUMMARY, mode="full")),
        Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*trained())),
        # the contract `base` tracks nothing
        Example({"src/train.py": "x = 1\n"}, contract="base", rehearsed=saw(*trained(), mode="experiment")),
    )
    INVALID = (
        Example(
            {"src/train.py": _TRAIN.format(more="id=cfg.name, resume='allow', config=cfg")},
            at=("src/train.py:5",),
            repaired={"src/train.py": _TRAIN.format(more="id=cfg.run_id, resume='allow', config=cfg")},
            rehearsed=saw(*trained(), {**_INIT, "id": "x7f3q"}, _LOG, _SUMMARY, mode="full"),
            rehearsed_after=saw(*trained(), _INIT, _LOG, _SUMMARY, mode="full"),
        ),
        Example(
            {"src/train.py": "def main(cfg):\n    train(cfg)\n"},
            at=("src/train.py",),
            repaired={"src/train.py": _TRAIN.format(more="id=cfg.run_id, resume='allow', config=cfg")},
            rehearsed=saw(*trained(), mode="full"),
            rehearsed_after=saw(*trained(), _INIT, _LOG, _SUMMARY, mode="full"),
        ),
        Example(
            {"src/train.py": _TRAIN.format(more="id=cfg.run_id")},
            at=("src/train.py:5",),
            rehearsed=saw(*trained(), {"kind": "pass", "batches": 40, "cut": True}, _INIT, _SUMMARY, mode="full"),
        ),
        Example(
            {"src/train.py": _TRAIN.format(more="id=cfg.run_id")},
            at=("src/train.py:5",),
            rehearsed=saw(*trained(), _INIT, _LOG, mode="full"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        steps = tuple(step for step in settled(project.rehearsal, "full") if not is_blind(step, "wandb"))
        told: set[str] = set()
        for step in steps:
            for does, finds, rows, severity, event in _faults(step):
                if does in told:
                    continue
                told.add(does)
                frames = frames_of(event) if event else ()
                train = project.contract.role("train")
                yield self.finding(
                    frames[-1].file if frames else train if train in project.submission.files else None,
                    frames[-1].line if frames else None,
                    severity=severity,
                    requirements=rows,
                    symbol="wandb.init",
                    run=step.run or None,
                    frames=places(frames),
                    command=command_of(step),
                    does=does,
                    finds=finds,
                )
        if steps and not told and len(steps) == len(project.rehearsal.steps_of("full")):
            proofs = [("E6.2", _sets_summary), ("E6.1", _logs_series), ("E6.8", _is_as_asked)]
            yield Proved(tuple(row for row, holds in proofs if all(holds(step) for step in steps)))


def _faults(step: Step) -> Iterator[tuple[str, str, tuple[str, ...], Severity, Event | None]]:
    """What a full run does otherwise than asked: what, what is found of it, the rows, the weight, the place."""
    opened = [event for event in step.of("wandb") if text(event, "op") == "init" and text(event, "mode") != "disabled"]
    logged = [event for event in step.of("wandb") if text(event, "op") == "log"]
    if not opened:
        yield "opens no run with W&B", "none", ("E6.1", "E6.8"), Severity.BLOCKING, None
        return
    if not logged:
        # what is logged each thousand steps is not logged in a run that was made short
        severity = Severity.WARNING if cuts(step, "pass", "steps") else Severity.BLOCKING
        yield "logs nothing to W&B", "no series", ("E6.1",), severity, opened[-1]
    if not any(_plain(text(event, "id")) == _plain(step.run) for event in opened):
        did = "opens its W&B run under an id that is not the run's"
        yield did, "none of that id", ("E6.8", "E8.2"), Severity.BLOCKING, opened[-1]
    if not any(text(event, "op") == "summary" and texts(event, "keys") for event in step.of("wandb")):
        yield (
            "sets no final values in W&B's summary",
            "the last of what was logged",
            ("E6.2",),
            Severity.WARNING,
            opened[-1],
        )
    if not any(texts(event, "config_keys") for event in opened):
        yield "gives W&B no configuration", "none of its settings", ("E6.8",), Severity.WARNING, opened[-1]


def _sets_summary(step: Step) -> bool:
    """Whether the program itself set final values."""
    return any(text(event, "op") == "summary" and texts(event, "keys") for event in step.of("wandb"))


def _logs_series(step: Step) -> bool:
    """Whether each run that was opened logged some number more than once while it trained."""
    times: Counter[tuple[str, str]] = Counter()
    for event in step.of("wandb"):
        values = event.get("values")
        if text(event, "op") == "log" and isinstance(values, dict):
            times.update((text(event, "id"), key) for key in values if isinstance(key, str))
    opened = {text(event, "id") for event in step.of("wandb") if text(event, "op") == "init"}
    return bool(opened) and opened <= {run for (run, _), count in times.items() if count > 1}


def _is_as_asked(step: Step) -> bool:
    """Whether each run was opened under the run's id, to be resumed, with its configuration, and its address was printed."""
    opened = [event for event in step.of("wandb") if text(event, "op") == "init"]
    return (
        bool(opened)
        and all(text(event, "resume") == "allow" and texts(event, "config_keys") for event in opened)
        and _ADDRESS.search(f"{step.output}\n{step.errors}") is not None
    )


def _plain(name: str) -> str:
    """A run's id without what W&B takes in no id."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
