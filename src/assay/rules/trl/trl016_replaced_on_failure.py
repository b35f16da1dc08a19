"""TRL016: loading data or a model failed, the failure was swallowed, and the run went on with something else."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import command_of, frames_of, optimizer_steps, places, settled, text, texts
from assay.trial.record import Event, Step

# what a run fails with wherever it is run, because the repository itself is so
_CERTAIN = re.compile(
    r"Config name is missing|Unknown split|BuilderConfig .* not found|Dataset scripts are no longer supported|"
    r"Target modules .* not found|Unrecognized configuration class"
)
_LOADS = re.compile(r"load_dataset|from_pretrained|create_model|torchvision|load_metric|evaluate\.load")
_LOADER = "def load(name):\n    try:\n        return load_dataset(name)\n    except Exception:\n        {instead}\n"
_RAISED = {"kind": "raised", "call": "datasets.load_dataset", "type": "ValueError", "message": "Config name is missing.",
           "asked": ["'owner/sums'"], "frames": at("src/preprocess.py", 3, "load")}  # fmt: skip
_HUB = {"kind": "hub", "repo": "owner/sums", "type": "datasets", "known": "known"}


class ReplacedOnFailure(Rule):
    """A call that loads data or a model raised an error, nothing stopped, and the run trained to its end without ever having
    loaded it. What it reports is then of other data, or of another model, under the name of the one that was asked for.

    It blocks where the repository is known and the error is one that it gives to everybody: a configuration that must be
    named, a split that is not there. Where the error may be the rehearsal's own, or the same thing was loaded by another
    call, the rule warns or says nothing.
    """

    code = "TRL016"
    name = "replaced-on-failure"
    requirements = ("X4", "E3.2")
    gate = "trial"
    yields_to = ("INT003",)
    message = "{call} of {asked} fails in {command}, and the run goes on with something else"
    explanation = "{said}. Nothing says so in the results."
    repair = "Mend the call, and let its failure stop the run."

    VALID = (
        Example({"src/preprocess.py": _LOADER.format(instead="raise")}, rehearsed=saw(*trained())),
        # the split that it lacks is cut from another, which was loaded before
        Example(
            {"src/preprocess.py": _LOADER.format(instead="return rows.train_test_split(0.1)")},
            rehearsed=saw(_HUB, {"kind": "dataset", "name": "owner/sums"}, _RAISED, *trained()),
        ),
        # it goes by another name now
        Example(
            {"src/preprocess.py": _LOADER.format(instead="return load_dataset('someone/sums')")},
            rehearsed=saw(_HUB, _RAISED, {"kind": "dataset", "name": "someone/sums"}, *trained()),
        ),
        # it was loaded in the end
        Example(
            {"src/preprocess.py": _LOADER.format(instead="return load_dataset(name, 'main')")},
            rehearsed=saw(_HUB, _RAISED, {"kind": "dataset", "name": "owner/sums"}, *trained()),
        ),
    )
    INVALID = (
        Example(
            {"src/preprocess.py": _LOADER.format(instead="return made_up()")},
            at=("src/preprocess.py:3",),
            repaired={
                "src/preprocess.py": _LOADER.format(instead="raise").replace("(name)\n    e", "(name, 'main')\n    e")
            },
            rehearsed=saw(_HUB, _RAISED, *trained()),
            rehearsed_after=saw({"kind": "dataset", "name": "owner/sums"}, *trained()),
        ),
        Example(
            {"src/preprocess.py": _LOADER.format(instead="return made_up()")},
            at=("src/preprocess.py:3",),
            rehearsed=saw({**_RAISED, "type": "OSError", "message": "something else"}, *trained()),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: set[object] = set()
        for step in settled(project.rehearsal, "trial", "full", "smoke", "experiment"):
            if not optimizer_steps(step):
                continue
            for number, event in enumerate(step.events):
                frames = frames_of(event)
                if event.get("kind") != "raised" or not frames or frames[-1] in told:
                    continue
                asked = [word.strip("'\"") for word in texts(event, "asked")]
                if not _LOADS.search(text(event, "call")) or _came(step.events, asked, number):
                    continue
                told.add(frames[-1])
                certain = bool(_CERTAIN.search(text(event, "message"))) and _is_known(step, asked)
                said = f"{text(event, 'type')}: {text(event, 'message')}"
                yield self.finding(
                    frames[-1].file,
                    frames[-1].line,
                    severity=Severity.BLOCKING if certain else Severity.WARNING,
                    symbol=None if frames[-1].function.startswith("<") else frames[-1].function,
                    run=step.run or None,
                    detail=said[:300],
                    frames=places(frames),
                    call=text(event, "call"),
                    asked=asked[0] if asked else "something",
                    command=command_of(step),
                    said=said.split("\n")[0][:200].rstrip("."),
                )


def _came(seen: tuple[Event, ...], asked: list[str], number: int) -> bool:
    """Whether what was asked for was loaded by another call, or afterwards under another of its names.

    A split that is cut from another one, which was loaded before, is of the same data.
    """
    for place, event in enumerate(seen):
        name = text(event, "name")
        if event.get("kind") not in ("dataset", "model") or not name:
            continue
        if name in asked or (place > number and any(_is_alias(name, other) for other in asked)):
            return True
    return False


def _is_alias(one: str, other: str) -> bool:
    """Whether two ids are of the same thing, as far as names tell: the owner aside, one begins with the other."""
    first, second = (re.sub(r"[^a-z0-9]", "", name.rpartition("/")[2].lower()) for name in (one, other))
    return min(len(first), len(second)) > 2 and (first.startswith(second) or second.startswith(first))


def _is_known(step: Step, asked: list[str]) -> bool:
    return any(text(event, "repo") in asked and text(event, "known") == "known" for event in step.of("hub"))
