"""TRL007: two runs that are to differ trained bit for bit alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import one_step, rehearsal, trained
from assay.trial.reading import (
    command_of,
    configuration,
    innermost,
    is_same_trace,
    losses,
    moved,
    optimizer_steps,
    real,
    settled,
)
from assay.trial.record import Rehearsal, Step
from assay.trial.shortening import cut_numbers

_FEWEST = 4
# a stand-in of a dataset has at most so many rows
_ROWS = 400
_NEAR = 1e-9
# settings that put off when a method begins to act: beyond a shortened run, its silence proves nothing
_LATER = re.compile(
    r"warm|start|begin|after|interval|every|period|freq|epoch|delay|burn|milestone|steps?$", re.IGNORECASE
)
_BEGINS = re.compile(r"(?:^|_)(?:start|begin|after|delay|burn|switch|phase)(?:_|s?$)", re.IGNORECASE)
_NOT_THE_METHOD = re.compile(
    r"(?:^|\.)(?:run_id|run|method(?:\.\w*name)?|name|results_dir|notes|tags|description)$|wandb|hydra"
)
_FIRST, _SECOND = (0.9, 0.8, 0.7, 0.6), (0.9, 0.79, 0.66, 0.6)
_FILES = {
    "config/config.yaml": "run: ???\n",
    "config/runs/proposed.yaml": "run_id: proposed\n",
    "config/runs/comparative-1.yaml": "run_id: comparative-1\n",
    "src/model.py": "def build(cfg):\n    model = Net()\n    if cfg.method == 'ours':\n        Adapter(model)\n    return model\n",
}
_LOGGED = {"kind": "wandb", "op": "summary", "id": "x", "keys": ["loss"], "values": {"val_loss": 0.6931471}}


_ACCURACY = {**_LOGGED, "keys": ["accuracy"], "values": {"accuracy": 0.25}}


_STILL = {"kind": "step", "optimizer": 1, "n": 1, "moved": 0, "lrs": [1e-12]}


def _config(method: str, start: int) -> dict[str, object]:
    return {"kind": "config", "data": {"seed": 1, "method": {"name": method, "start_epoch": start}}}


def _two(
    one: tuple[float, ...],
    other: tuple[float, ...],
    logged: Mapping[str, object] = _LOGGED,
    *,
    start: int = 0,
    more: tuple[dict[str, Any], ...] = (),
) -> Rehearsal:
    return rehearsal(
        one_step(_config("ours", start), *trained(4, one), *more, dict(logged), mode="full"),
        one_step(_config("theirs", start), *trained(4, other), *more, dict(logged), mode="full", run="comparative-1"),
    )


class TrainedAlike(Rule):
    """The proposed run and a run that it is compared with were rehearsed in full mode with the same seed, on the same
    stand-ins. Where their losses are equal bit for bit, over at least four backward passes, and everything that they logged
    is equal too, what the proposed method adds has no effect: an adapter that nothing calls, a gate that is always open, a
    setting that nobody reads.

    A rehearsed run is short. It blocks only where no setting that one of the two has otherwise says when something begins,
    no number by which they differ was cut to the same, parameters moved at all, and where a number was logged that would show a method that acts after training, such as a validation loss. Otherwise it
    is a warning.
    """

    code = "TRL007"
    name = "trained-alike"
    requirements = ("X3", "E1.3", "D2.5")
    gate = "trial"
    consequence = Consequence.TRAINS_NOTHING
    message = "{run_id} and {other} train alike, bit for bit, over {count} losses"
    explanation = "What the proposed method adds has no effect, so that any difference between the two is noise."
    repair = "Let the method change the loss, the model or the data, and see by two short runs that it does."

    VALID = (
        Example(_FILES, rehearsed=_two(_FIRST, _SECOND)),
        # two losses prove nothing
        Example(_FILES, rehearsed=_two(_FIRST[:2], _FIRST[:2])),
    )
    INVALID = (
        Example(
            _FILES,
            at=("config/runs/proposed.yaml",),
            repaired={"src/model.py": _FILES["src/model.py"].replace("Adapter(model)", "model = Adapter(model)")},
            rehearsed=_two(_FIRST, _FIRST),
            rehearsed_after=_two(_FIRST, _SECOND),
        ),
        # the rehearsal made the numbers the same by which they differ
        Example(
            {**_FILES, "config/runs/comparative-1.yaml": "run_id: comparative-1\nmethod:\n  polish_steps: 8\n"},
            at=("config/runs/proposed.yaml",),
            rehearsed=_two(_FIRST, _FIRST),
        ),
        # nothing has moved yet, so that all methods are alike
        Example(_FILES, at=("config/runs/proposed.yaml",), rehearsed=_two(_FIRST, _FIRST, more=(_STILL,))),
        # the method acts after more epochs than were rehearsed, in both configurations
        Example(_FILES, at=("config/runs/proposed.yaml",), rehearsed=_two(_FIRST, _FIRST, start=5)),
        # the method may act when the model answers, and a quarter of the answers is right by chance
        Example(_FILES, at=("config/runs/proposed.yaml",), rehearsed=_two(_FIRST, _FIRST, _ACCURACY)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        full = settled(project.rehearsal, "full")
        for one in (step for step in full if "proposed" in step.run):
            for other in full:
                if other.run != one.run and "proposed" not in other.run and _are_comparable(one, other):
                    yield from self._alike(project, one, other)

    def _alike(self, project: Project, one: Step, other: Step) -> Iterator[Outcome]:
        first, second = losses(one), losses(other)
        if len(first) < _FEWEST or not is_same_trace(first, second):
            return
        logged, logged_too = _logged(one), _logged(other)
        if any(logged[key] != logged_too[key] for key in logged.keys() & logged_too.keys()):
            return
        same_keys = bool(logged) and logged.keys() == logged_too.keys()
        certain = same_keys and _can_tell_apart(logged) and not _acts_later(one, other)
        certain = certain and not _is_cut_alike(project, one, other) and not _stands_still(one, other)
        path = next((path for path in project.run_files if path.rpartition("/")[2].startswith(f"{one.run}.")), None)
        made = next((event for event in one.of("model")), {})
        place = innermost(made)
        yield self.finding(
            path,
            severity=Severity.BLOCKING if certain else Severity.WARNING,
            symbol=one.run,
            run=one.run,
            detail=f"{command_of(one)} and {command_of(other)}: losses {', '.join(f'{loss:.6g}' for loss in first[:4])} ...",
            frames=(place.place,) if place else (),
            run_id=one.run,
            other=other.run,
            count=len(first),
        )


def _are_comparable(one: Step, other: Step) -> bool:
    """Whether two runs differ only in the method: the same seed, and the same model and data by name."""
    first, second = configuration(one), configuration(other)
    for name in set(first) | set(second):
        last = name.rpartition(".")[2].lower()
        if last in ("seed", "random_seed") and first.get(name) != second.get(name):
            return False
        if name in ("model.name", "dataset.name") and first.get(name) != second.get(name):
            return False
    return True


def _acts_later(one: Step, other: Step) -> bool:
    """Whether a setting that only one of two runs has, or has otherwise, says when something begins.

    One that both have says so too, where that is after more steps, or epochs, than were rehearsed.
    """
    first, second = configuration(one), configuration(other)
    differing = [key for key in set(first) | set(second) if first.get(key) != second.get(key)]
    if not first or not second or any(_LATER.search(key) for key in differing if not _NOT_THE_METHOD.search(key)):
        return True
    for key, value in first.items():
        begins = isinstance(value, int) and not isinstance(value, bool) and _BEGINS.search(key.rpartition(".")[2])
        if begins and value >= (1 if "epoch" in key.lower() else optimizer_steps(one)):
            return True
    return False


def _is_cut_alike(project: Project, one: Step, other: Step) -> bool:
    """Whether the two have numbers otherwise that the rehearsal made the same: steps of a sampler, of an inner loop."""
    cut = [
        sorted(
            number for path, file in project.yaml.items() if _is_file_of(path, run) for number in cut_numbers(file.text)
        )
        for run in (one.run, other.run)
    ]
    return cut[0] != cut[1]


def _is_file_of(path: str, run: str) -> bool:
    return path.rpartition("/")[2].rpartition(".")[0] == run


def _stands_still(*steps: Step) -> bool:
    """Whether no parameter of a run changed, as under a learning rate that is still next to zero; then all are alike."""
    return any(moved(step) is False for step in steps)


def _can_tell_apart(logged: Mapping[str, float]) -> bool:
    """Whether something logged besides training would show a method that acts afterwards, as a loss to many digits does.

    A share of a few rows, such as an accuracy of 0.25, is often equal by chance.
    """
    for key, value in logged.items():
        if "train" not in key.lower() and all(abs(value * n - round(value * n)) > _NEAR for n in range(1, _ROWS + 1)):
            return True
    return False


def _logged(step: Step) -> Mapping[str, float]:
    """The last numbers that a run logged, by key; times and the like are left out."""
    found: dict[str, float] = {}
    for event in step.of("wandb"):
        values = event.get("values")
        if event.get("op") in ("log", "summary") and isinstance(values, dict):
            for key in values:
                number = real(values, key)
                if number is not None and not re.search(
                    r"time|second|latency|memory|energy|speed|_runtime|step|rate$", key
                ):
                    found[key] = number
    return found
