"""Reading what a rehearsal saw: its events as places, counts and traces, and itself as a part of a verdict.

Events come from processes of the submission, so nothing in them is taken on trust: what has another form than it should
is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from assay.finding import Frame
from assay.trial.record import Event, Rehearsal, Step, Stop, TrialFrame

FULL_MODES = ("full", "experiment")
TRIAL_MODES = ("trial", "smoke")
TRAINING_MODES = (*TRIAL_MODES, *FULL_MODES)
# errors of a program that cannot be loaded; no program refuses its input by one of these
_UNLOADABLE = ("ImportError", "ModuleNotFoundError", "NameError", "SyntaxError", "IndentationError", "AttributeError")


def frames_of(event: Event) -> tuple[TrialFrame, ...]:
    """The frames of the submission that an event names, outermost first."""
    held = event.get("frames")
    rows = held if isinstance(held, list | tuple) else ()
    return tuple(frame for row in rows if (frame := frame_of(row)) is not None)


def frame_of(row: object) -> TrialFrame | None:
    """`[file, line, function]` as a frame; None where it is no such thing."""
    if not isinstance(row, list | tuple) or len(row) < 2:
        return None
    file, line = row[0], row[1]
    function = row[2] if len(row) > 2 and isinstance(row[2], str) else ""
    if not isinstance(file, str) or not isinstance(line, int) or isinstance(line, bool) or line < 1:
        return None
    return TrialFrame(file, line, function)


def innermost(event: Event) -> TrialFrame | None:
    """The innermost frame of the submission that an event names."""
    return next(reversed(frames_of(event)), None)


def places(frames: Iterable[TrialFrame]) -> tuple[Frame, ...]:
    """Frames as findings hold them, each once."""
    return tuple(dict.fromkeys(frame.place for frame in frames))


def whole(event: Event, name: str) -> int:
    """A count in an event; 0 where there is none."""
    value = event.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def real(event: Event, name: str) -> float | None:
    """A number in an event; None where there is none. Events write what is not finite as text."""
    value = event.get(name)
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def text(event: Event, name: str) -> str:
    """A text in an event; empty where there is none."""
    value = event.get(name)
    return value if isinstance(value, str) else ""


def texts(event: Event, name: str) -> tuple[str, ...]:
    """A list of texts in an event, or the keys of a mapping."""
    value = event.get(name)
    listed = value if isinstance(value, list | tuple | dict) else ()
    return tuple(item for item in listed if isinstance(item, str))


def settled(rehearsal: Rehearsal, *modes: str) -> tuple[Step, ...]:
    """The steps of some modes that came to their end in a copy that nothing had been repaired in.

    Only these show what the submission itself does where nothing stops it.
    """
    return tuple(step for step in rehearsal.steps_of(*modes) if step.completed and not step.tampered)


def ended(rehearsal: Rehearsal, *modes: str) -> tuple[Step, ...]:
    """The steps of some modes that came to their end, in a repaired copy or not."""
    return tuple(step for step in rehearsal.steps_of(*modes) if step.completed)


@dataclass(frozen=True, slots=True)
class OptimizerRecord:
    """What was seen of one optimizer of one process.

    Args:
        cls: Name of its class.
        frames: Where it was made.
        parameters: How many parameters (tensors) it holds.
        steps: How often it stepped.
        never_gradient: How many of its parameters never had a gradient when it stepped.
        never_moved: How many never changed.
        names: Names of some that never had a gradient, where they are known.
        highest_rate: The highest learning rate that it stepped with; None where that is unknown.
        stepped_at: Where it last stepped.
    """

    cls: str
    frames: tuple[TrialFrame, ...]
    parameters: int
    steps: int
    never_gradient: int
    never_moved: int
    names: tuple[str, ...]
    highest_rate: float | None
    stepped_at: tuple[TrialFrame, ...]


def optimizers(step: Step) -> tuple[OptimizerRecord, ...]:
    """The optimizers of a step, in the order in which they were made."""
    made: dict[tuple[object, object], Event] = {}
    last: dict[tuple[object, object], Event] = {}
    counted: dict[tuple[object, object], int] = {}
    stepped: dict[tuple[object, object], Event] = {}
    for event in step.of("optimizer", "optimizer-end", "step"):
        which = event.get("id") if event["kind"] == "optimizer" else event.get("optimizer")
        key: tuple[object, object] = (event.get("pid"), which if isinstance(which, str | int) else None)
        if event["kind"] == "optimizer":
            made[key] = event
        elif event["kind"] == "optimizer-end":
            last[key] = event
        else:
            stepped[key] = event
            counted[key] = max(counted.get(key, 0), whole(event, "n"))
    found = []
    for made_as, event in made.items():
        end = last.get(made_as, {})
        found.append(
            OptimizerRecord(
                cls=text(event, "cls").rpartition(".")[2],
                frames=frames_of(event),
                parameters=whole(end, "parameters") or whole(event, "parameters"),
                steps=max(whole(end, "steps"), counted.get(made_as, 0)),
                never_gradient=whole(end, "never_gradient_count"),
                never_moved=whole(end, "never_moved_count"),
                names=texts(end, "never_gradient"),
                highest_rate=real(end, "lr_max"),
                stepped_at=frames_of(stepped.get(made_as, {})),
            )
        )
    return tuple(found)


def optimizer_steps(step: Step) -> int:
    """How many steps its optimizers took, all together.

    An optimizer that is handed to a child process, copied or loaded was not made where it steps, and counts too.
    """
    taken: dict[tuple[object, object], int] = {}
    for event in step.of("step", "optimizer-end"):
        which = event.get("optimizer")
        key: tuple[object, object] = (event.get("pid"), which if isinstance(which, str | int) else None)
        taken[key] = max(taken.get(key, 0), whole(event, "n"), whole(event, "steps"))
    return sum(taken.values())


def moved(step: Step) -> bool | None:
    """Whether some step of an optimizer changed a parameter; None where no step was looked at."""
    seen = [event.get("moved") for event in step.of("step")]
    known = [count for count in seen if isinstance(count, int)]
    return any(known) if known else None


def backward_passes(step: Step) -> int:
    """How many backward passes it made, over all its processes."""
    highest: dict[object, int] = {}
    for event in step.of("backward"):
        highest[event.get("pid")] = max(highest.get(event.get("pid"), 0), whole(event, "n"))
    return sum(highest.values())


def losses(step: Step) -> tuple[float, ...]:
    """The losses of its backward passes, in order, as far as they were written down."""
    return tuple(loss for event in step.of("backward") if (loss := real(event, "loss")) is not None)


def rates(step: Step) -> tuple[tuple[float, ...], ...]:
    """The learning rates of its optimizer steps, in order."""
    return tuple(
        tuple(float(rate) for rate in held if isinstance(rate, int | float))
        for event in step.of("step")
        if isinstance(held := event.get("lrs"), list | tuple)
    )


def cuts(step: Step, *words: str) -> bool:
    """Whether the rehearsal itself cut something that one of some words names: a pass, a batch, a text."""
    for event in step.of("shrunk"):
        if any(word in text(event, "what") for word in words):
            return True
    return "pass" in words and any(event.get("cut") is True for event in step.of("pass"))


def configuration(step: Step) -> dict[str, Any]:
    """The last configuration that its task function got, as one flat mapping of dotted keys; empty where unknown."""
    held: object = None
    for event in step.of("config"):
        held = event.get("data")
    flat: dict[str, Any] = {}
    for key, value in _flat(held, "", 0):
        flat[key] = value
    return flat


def _flat(held: object, prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(held, dict) and depth < 20:
        for key, value in held.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key), depth + 1)
    elif prefix:
        yield prefix, held


def stops_of(rehearsal: Rehearsal, *, shimmed: bool) -> list[tuple[Step, Stop, tuple[str, ...]]]:
    """Each different stop once: the step that showed it first, the stop, and the names of other steps that showed it.

    Args:
        rehearsal: The rehearsal.
        shimmed: Whether those are meant that a shim passed over, or those that ended a process.
    """
    first: dict[object, tuple[Step, Stop, list[str]]] = {}
    evaluated = any(not step.skipped for step in rehearsal.steps_of("evaluate"))
    for step in rehearsal.steps:
        for stop in step.stops:
            if bool(stop.shim) is not shimmed:
                continue
            if step.mode == "refuse" and (evaluated or not _is_unloadable(stop)):
                continue
            place = (stop.frames[-1].file, stop.frames[-1].line) if stop.frames else step.name
            known = first.get((stop.type, place))
            if known is None:
                first[stop.type, place] = (step, stop, [])
            elif step.name != known[0].name:
                if stop.confirmed and not stop.doubt and (known[1].doubt or not known[1].confirmed):
                    # the one that was confirmed speaks for both
                    first[stop.type, place] = (step, stop, [*known[2], known[0].name])
                elif step.name not in known[2]:
                    known[2].append(step.name)
    return [(step, stop, tuple(names)) for step, stop, names in first.values()]


def _is_unloadable(stop: Stop) -> bool:
    """Whether a program stopped while it was still being imported, by an error that is no refusal of its input."""
    name = stop.type.rpartition(".")[2]
    if name not in _UNLOADABLE or not stop.frames:
        return False
    return name in ("SyntaxError", "IndentationError") or stop.frames[-1].function == "<module>"


def assumes(step: Step) -> bool:
    """Whether data or models of a step were made by guess, so that their form may be another than the real one's."""
    return any(text(event, "basis") == "assumed" for event in step.of("standin"))


# loading functions of Datasets that read files of the submission's own
_OWN_FILES = ("csv", "json", "text", "parquet", "imagefolder", "audiofolder", "arrow")


def made_up_data(step: Step) -> bool:
    """Whether a step worked on rows that a rehearsal made up, few and of plain contents."""
    if any("dataset" in text(event, "type") for event in step.of("standin", "hub")):
        return True
    return any(text(event, "name") and text(event, "name") not in _OWN_FILES for event in step.of("dataset"))


def row_counts(step: Step) -> frozenset[int]:
    """How many rows the made-up data sets of a step have, by split, and what was cut to fit them."""
    found: set[int] = set()
    if not made_up_data(step):
        return frozenset()
    for event in step.of("dataset"):
        rows = event.get("rows")
        found.update(count for count in (rows.values() if isinstance(rows, dict) else ()) if isinstance(count, int))
    for event in step.of("shrunk"):
        to = event.get("to")
        found.update(count for count in (to if isinstance(to, list) else [to]) if isinstance(count, int))
    for event in step.of("loader"):
        size = text(event, "dataset").rpartition(" of ")[2]
        found.update([int(size)] if size.isdigit() else [])
    return frozenset(found - {0, 1})


def is_blind(step: Step, *probes: str) -> bool:
    """Whether one of some probes failed in a step, so that what it did not tell may have happened all the same.

    Args:
        step: The step.
        probes: Beginnings of their names, such as `wandb` or `optimizers`.
    """
    for event in step.of("inside-failed"):
        name = text(event, "where").rpartition("assay_trial_inside.")[2]
        # what failed while probes were laid is not named
        if name.startswith((*probes, "start")):
            return True
    return False


def command_of(step: Step) -> str:
    """A step in words: `the trial of run x`."""
    kinds = {
        "trial": "the trial",
        "full": "the full mode",
        "evaluate": "the evaluation",
        "refuse": "the evaluation without tracked data",
        "smoke": "the smoke test",
        "experiment": "the full experiment",
    }
    said = kinds.get(step.mode, f"`{step.name}`")
    return f"{said} of run {step.run}" if step.run else said


def why_unfinished(step: Step) -> str:
    """Why a step came to no end that says something; empty where it did."""
    if step.skipped:
        return f"{command_of(step)} was not rehearsed: {step.skipped}"
    if step.broke:
        return f"{command_of(step)} reached the limit of {step.broke}"
    if not step.completed:
        return f"{command_of(step)} did not come to its end"
    return ""


def outcome_of(step: Step) -> str:
    """How a step ended, in a few words."""
    if step.skipped:
        return f"not rehearsed: {step.skipped}"
    if step.broke:
        return f"ended from outside, at the limit of {step.broke}"
    if step.mode == "refuse":
        return "refuses" if step.status else "does not refuse"
    if not step.completed:
        return "stops"
    steps = optimizer_steps(step)
    return (
        f"ends well, {steps} optimizer step{'' if steps == 1 else 's'}" if step.mode in TRAINING_MODES else "ends well"
    )


def changes_of(rehearsal: Rehearsal) -> tuple[str, ...]:
    """What the rehearsal changed in its own copy of the submission so that it went on, in plain words."""
    return tuple(dict.fromkeys(stop.repair for step in rehearsal.steps for stop in step.stops if stop.repair))


def left_out(rehearsal: Rehearsal) -> tuple[str, ...]:
    """What was not rehearsed, or not to its end, and why, in plain words."""
    why = rehearsal.undecided or rehearsal.refusal
    said = [f"nothing could be rehearsed: {' '.join(why.split())[:300]}"] if why else []
    return (
        *said,
        *(text for step in rehearsal.steps if (step.skipped or step.broke) and (text := why_unfinished(step))),
    )


def notes_of(rehearsal: Rehearsal) -> tuple[str, ...]:
    """What was relaxed, left out or assumed, without the changes in the copy."""
    changes = changes_of(rehearsal)
    return tuple(note for note in rehearsal.notes if note not in changes)


def rehearsal_as_dict(rehearsal: Rehearsal) -> dict[str, Any]:
    """A rehearsal as a part of the JSON verdict."""
    return {
        "isolation": rehearsal.isolation,
        "gaps": list(rehearsal.gaps),
        "undecided": rehearsal.undecided or rehearsal.refusal,
        "changes": list(changes_of(rehearsal)),
        "not_rehearsed": list(left_out(rehearsal)),
        "notes": list(notes_of(rehearsal)),
        "packages": len(rehearsal.packages),
        "steps": [
            {
                "name": step.name,
                "mode": step.mode,
                "run": step.run or None,
                "command": step.command,
                "status": step.status,
                "broke": step.broke,
                "skipped": step.skipped,
                "seconds": round(step.seconds, 3),
                "peak_memory": step.peak_memory,
                "rounds": step.rounds,
                "repaired": [stop.repair for stop in step.stops if stop.repair],
                "changed": step.tampered,
                "optimizer_steps": optimizer_steps(step),
                "stops": [
                    {
                        "type": stop.type,
                        "message": stop.message,
                        "confirmed": stop.confirmed,
                        "doubt": stop.doubt,
                        "shim": stop.shim,
                        "frames": [
                            {"file": frame.file, "line": frame.line, "function": frame.function}
                            for frame in stop.frames
                        ],
                    }
                    for stop in step.stops
                ],
            }
            for step in rehearsal.steps
        ],
    }


def is_same_trace(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two traces of numbers are the same, bit for bit; a number that is not finite is like nothing."""
    return len(one) == len(other) and all(a == b and math.isfinite(a) for a, b in zip(one, other, strict=True))
