"""LIB002: a key is tracked that `run.track` was not told of."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.enacted_runs import Seen
from assay.analysis.own_library import ADDED_KEYS
from assay.analysis.project import Project
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_TRAIN = """from assay.runtime import experiment

SERIES = ("epoch", "train_loss")


def report(tracker, epoch, loss):
    tracker.log({"epoch": epoch, "train_loss": loss})


@experiment
def main(cfg, run):
    with run.track(cfg, series=SERIES, summary=["test_accuracy"]) as tracker:
        for seed in run.seeds(cfg.training.seeds):
            for epoch in run.epochs(cfg.training.epochs):
                report(tracker, epoch, 0.5)
        tracker.summarize({"test_accuracy": 0.5})


if __name__ == "__main__":
    main()
"""
_MAIN = """from assay.runtime import experiment, launch


@experiment
def main(cfg, run):
    launch("src.train", run.arguments, folder=run.folder)


if __name__ == "__main__":
    main()
"""


def _files(*changes: tuple[str, str]) -> dict[str, str]:
    train = _TRAIN
    for old, new in changes:
        train = train.replace(old, new)
    return {
        "src/main.py": _MAIN,
        "src/train.py": train,
        "config/config.yaml": "run: ???\nresults_dir: ???\nmode: ???\n",
        "config/runs/a.yaml": "run_id: a\ntraining: {seeds: [1, 2], epochs: 2}\noptuna:\n  n_trials: 2\n  direction: maximize\n"
        "  search_space: {epochs: {type: int, low: 1, high: 2}}\n",
    }


class KeyNotRegistered(Rule):
    """A tracker takes the keys that `run.track(cfg, series=..., summary=...)` registered, and refuses every other.

    So a slip in a key ends the run where it is first logged, and not in evaluation, after all the training. `log` takes
    the keys of `series`, `summarize` those of `summary`. The keys are followed through constants, loops, functions and
    dictionaries, for each run.

    A search that logs its trials to the tracker mixes them with the rows of the final run.
    """

    code = "LIB002"
    name = "key-not-registered"
    gate = "compose"
    requirements = ("E6.1", "E6.2", "E6.3", "E6.4")
    consequence = Consequence.CRASHES
    message = "`{key}` is {act}, and {fault}"
    explanation = "The tracker refuses it, and the run ends there ({which})."
    repair = "{change}"

    VALID = (
        Example(_files()),
        # keys that are put together
        Example(
            _files(
                ('SERIES = ("epoch", "train_loss")', 'SERIES = ["epoch"] + [f"{s}_loss" for s in ("train", "val")]'),
                ('"train_loss": loss}', '**{f"{s}_loss": loss for s in ("train", "val")}}'),
            )
        ),
        # what is registered is not known
        Example(_files(('SERIES = ("epoch", "train_loss")', 'SERIES = open("names.txt").read().split()'))),
    )
    INVALID = (
        Example(_files(('"train_loss": loss}', '"loss": loss}')), at=("src/train.py:7",), repaired=_files()),
        Example(
            _files(('summarize({"test_accuracy"', 'summarize({"best_accuracy"')),
            at=("src/train.py:16",),
            repaired=_files(),
        ),
        # the library adds this one by itself
        Example(
            _files(('"train_loss": loss}', '"train_loss": loss, "seed": 1}')), at=("src/train.py:7",), repaired=_files()
        ),
        # a final value that is registered as one, and logged as a series
        Example(
            _files(("tracker.summarize(", "tracker.log(")),
            at=("src/train.py:16",),
            repaired=_files(),
        ),
        # a trial of the search is logged
        Example(
            _files(
                (
                    "        for seed in",
                    "        run.search(lambda candidate, ask: report(tracker, 0, 1.0))\n        for seed in",
                )
            ),
            at=("src/train.py:7",),
            repaired=_files(),
        ),
        # only if something happens that is not known: a warning
        Example(
            _files(
                (
                    "    report(",
                    '    if open("x").read():\n                    tracker.log({"odd": 1})\n                report(',
                )
            ),
            at=("src/train.py:16",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        told: set[tuple[str, int, str]] = set()
        for seen in sorted(project.enactment.seen("tracked"), key=lambda one: not one.sure):
            place = (seen.file, seen.line, "")
            if seen.data["searching"] and place not in told:
                told.add(place)
                yield self.finding(
                    seen.file,
                    seen.place,
                    severity=Severity.BLOCKING if seen.sure and not seen.guarded else Severity.WARNING,
                    consequence=Consequence.BREAKS_CONTRACT,
                    requirements=("E6.4",),
                    message="a trial of the search is logged",
                    explanation=f"Its rows stand among those of the final run ({seen.where()}).",
                    repair="Search before run.track, and give the objective no tracker.",
                    frames=tuple(Frame(frame.file, frame.line) for frame in seen.frames),
                )
            for key, fault in _faults(seen):
                place = (seen.file, seen.line, key)
                if place in told:
                    continue
                told.add(place)
                yield self.finding(
                    seen.file,
                    seen.place,
                    severity=Severity.WARNING
                    if not seen.sure or seen.guarded or key in seen.data["doubtful"]
                    else Severity.BLOCKING,
                    symbol=key,
                    run=seen.runs[0] if seen.runs else None,
                    detail=f"registered: {', '.join(seen.data['registered'] or ())}",
                    frames=tuple(Frame(frame.file, frame.line) for frame in seen.frames),
                    key=key,
                    act="logged" if seen.data["what"] == "series" else "summarized",
                    fault=fault,
                    which=seen.where(),
                    change=f"Name `{key}` in `{seen.data['what']}=` of run.track, or use a key that is there."
                    if key not in ADDED_KEYS
                    else "Leave it out.",
                )


def _faults(seen: Seen) -> Iterator[tuple[str, str]]:
    """The keys that the tracker refuses, and why."""
    registered = seen.data["registered"]
    if registered is None:
        return
    for key in seen.data["keys"]:
        if key in ADDED_KEYS and seen.data["what"] == "series":
            yield key, "the tracker adds it by itself"
        elif key not in registered:
            yield key, f"`{seen.data['what']}` of run.track does not name it"
