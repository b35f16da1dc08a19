"""TRL009: a trial takes more batches, epochs or search trials than the contract allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.rules.rule import Example, Outcome, Proved, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import backward_passes, command_of, innermost, settled, text, whole
from assay.trial.record import Event, Step, TrialFrame

_MOST = 2
# batches of one pass of a small evaluation, at most
_MOST_LOOKED_AT = 10
_LOOP = "def train(cfg, model, loader):\n    for batch in loader:\n        model(batch).loss.backward()\n{end}"
_END = "        if cfg.mode == 'trial':\n            break\n"


def _pass(batches: int, n: int = 1) -> dict[str, object]:
    return {"kind": "pass", "loader": 1, "n": n, "batches": batches, "training": True}


class LargeTrial(Rule):
    """A trial is to show in a minute that a program works: at most two batches, one epoch, no search. One that trains longer
    costs what it was meant to save.

    What counts are passes over a loader during which losses were taken back through the model. One batch more than asked
    for may have been fetched ahead and is not counted.
    """

    code = "TRL009"
    name = "large-trial"
    requirements = ("E9.2", "E2.5")
    gate = "trial"
    message = "{command} {does}"
    explanation = "A trial is to take at most two batches of one epoch, and to search nothing."
    repair = (
        "Stop after two batches of the first epoch where the mode is `trial`, and set the number of search trials to 0."
    )

    VALID = (
        Example({"src/train.py": _LOOP.format(end=_END)}, rehearsed=saw(*trained(), _pass(2))),
        # each of two batches from an iterator of its own, with two losses each
        Example(
            {"src/train.py": _LOOP.format(end=_END)}, rehearsed=saw(*trained(2, (0.5,) * 4), _pass(1), _pass(1, 2))
        ),
        # an evaluation under attack takes gradients, and no step
        Example(
            {"src/train.py": _LOOP.format(end=_END)},
            rehearsed=saw(
                *trained(2, (0.5,) * 8),
                {**_pass(2), "stepped": True},
                {**_pass(6), "loader": 2, "stepped": False},
            ),
        ),
        # one was fetched ahead
        Example({"src/train.py": _LOOP.format(end=_END)}, rehearsed=saw(*trained(), _pass(3))),
    )
    INVALID = (
        Example(
            {"src/train.py": _LOOP.format(end="")},
            at=("src/train.py:3",),
            repaired={"src/train.py": _LOOP.format(end=_END)},
            rehearsed=saw(*trained(40, (0.5,) * 40, line=3), _pass(40)),
            rehearsed_after=saw(*trained(), _pass(2)),
        ),
        Example(
            {"src/train.py": "def search(objective):\n    create_study().optimize(objective, n_trials=5)\n"},
            at=("src/train.py:2",),
            repaired={"src/train.py": "def search(objective):\n    pass\n"},
            rehearsed=saw(
                *trained(),
                {"kind": "optuna", "op": "study", "frames": at("src/train.py", 2)},
                {"kind": "optuna", "op": "trial", "name": "0", "frames": []},
            ),
            rehearsed_after=saw(*trained()),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        trials = settled(project.rehearsal, "trial")
        told: set[tuple[object, str]] = set()
        for step in trials:
            for place, does in _excesses(step):
                if (place, does) not in told:
                    told.add((place, does))
                    yield self.finding(
                        place.file if place else None,
                        place.line if place else None,
                        symbol=place.function if place and not place.function.startswith("<") else None,
                        run=step.run or None,
                        detail=f"backward passes: {backward_passes(step)}",
                        frames=(place.place,) if place else (),
                        command=command_of(step),
                        does=does,
                    )
        known = project.rehearsal.steps_of("trial")
        if known and len(known) == len(trials) and not told and all(_is_small(step) for step in trials):
            yield Proved(("E9.2",))


def _excesses(step: Step) -> Iterator[tuple[TrialFrame | None, str]]:
    """What is too much in a trial, and where."""
    passes = [event for event in step.of("pass") if event.get("training") is True and whole(event, "batches")]
    # gradients of an evaluation, such as those of an attack, train nothing
    if any(event.get("stepped") is True for event in passes):
        passes = [event for event in passes if event.get("stepped") is not False]
    backward = list(step.of("backward"))
    place = innermost(backward[-1]) if backward else None
    longest = max((whole(event, "batches") for event in passes), default=0)
    if longest > _MOST + 1 and backward_passes(step) > _MOST:
        yield place, f"trains on {longest} batches"
    else:
        each = Counter((event.get("pid"), str(event.get("loader"))) for event in passes)
        most = max(each.values(), default=0)
        # an iterator that is begun anew for each of two batches is no epoch
        if most > 1 and sum(whole(event, "batches") for event in passes) > _MOST and backward_passes(step) > _MOST:
            yield place, f"trains for {most} epochs"
    searched = [event for event in step.of("optuna") if text(event, "op") == "trial"]
    if searched:
        studies: list[Event] = [event for event in step.of("optuna") if innermost(event) is not None]
        yield (innermost(studies[-1]) if studies else None), "searches"


def _is_small(step: Step) -> bool:
    """Whether a trial reached an optimizer step on at most two batches, and evaluated on a few."""
    stepped = any(step.of("step"))
    looked = [event for event in step.of("pass") if event.get("training") is not True]
    few = all(whole(event, "batches") <= _MOST_LOOKED_AT and event.get("cut") is not True for event in looked)
    return stepped and few and backward_passes(step) <= _MOST and not any(step.of("optuna"))
