"""Rehearsals as the examples of rules give them: a step or two, with the events that matter."""

from __future__ import annotations

from typing import Any

from assay.trial.record import Rehearsal, Step, Stop


def one_step(*events: dict[str, Any], mode: str = "trial", run: str = "proposed", **fields: Any) -> Step:
    """A step that came to its end, with some events."""
    named = run if mode in ("trial", "full") else ""
    name = f"{mode}:{named}" if named else mode
    return Step(name=name, mode=mode, run=named, events=events, **fields)


def rehearsal(*steps: Step) -> Rehearsal:
    """A rehearsal of some steps."""
    return Rehearsal(steps=steps)


def saw(*events: dict[str, Any], mode: str = "trial", run: str = "proposed", **fields: Any) -> Rehearsal:
    """A rehearsal of one step that came to its end."""
    return rehearsal(one_step(*events, mode=mode, run=run, **fields))


def stopped(*stops: Stop, events: tuple[dict[str, Any], ...] = (), mode: str = "trial") -> Rehearsal:
    """A rehearsal of one step that did not."""
    return saw(*events, mode=mode, status=1, stops=stops)


def at(file: str, line: int, function: str = "main") -> list[list[Any]]:
    """The frames of an event: one place."""
    return [[file, line, function]]


def trained(steps: int = 2, losses: tuple[float, ...] = (0.9, 0.8), line: int = 1) -> tuple[dict[str, Any], ...]:
    """The events of a training loop that works."""
    frames = at("src/train.py", line)
    made = {"kind": "optimizer", "id": 1, "cls": "AdamW", "parameters": 4, "frames": frames}
    backward = [{"kind": "backward", "n": n, "loss": loss, "frames": frames} for n, loss in enumerate(losses, 1)]
    moves = [{"kind": "step", "optimizer": 1, "n": n, "lrs": [0.001], "frames": frames} for n in range(1, steps + 1)]
    end = {
        "kind": "optimizer-end", "optimizer": 1, "steps": steps, "parameters": 4, "never_gradient_count": 0,
        "never_moved_count": 0, "lr_max": 0.001,
    }  # fmt: skip
    return (made, *backward, *moves, end)
