"""TRL001: a command of the contract stops in the rehearsal."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Proved, Rule, Undecided
from assay.rules.trl.rehearsals import one_step, rehearsal, saw, stopped, trained
from assay.rules.trl.stop_findings import ROWS, ROWS_OF_MODES, stop_outcomes
from assay.trial.reading import why_unfinished
from assay.trial.record import Stop, TrialFrame

_DETACHED = "def train(model, batch):\n    loss = model(batch)\n    torch.tensor(loss.item()).backward()\n"
_SAID = "element 0 of tensors does not require grad and does not have a grad_fn"
_PLACE = (TrialFrame("src/train.py", 3, "train"),)


class CommandStops(Rule):
    """The submission's own program was run in a sandbox, by the contract's own command line, with stand-ins for what would
    come over the network, and an exception ended it.

    Each stop is told at the innermost line that belongs to the submission, with the frames that lead there and the places
    that the cause names. It blocks only where a second run, with sizes as they are or without CUDA led to the CPU, stopped
    in the same way. What only a GPU, the real Hub or real data can tell stays undecided. After a stop the rehearsal goes on
    where a change in its own copy lets it, so that one review finds the next stop too.

    Where every command came to its end in an unchanged copy, the rows about the command lines are met.
    """

    code = "TRL001"
    name = "command-stops"
    requirements = ROWS
    gate = "trial"
    consequence = Consequence.CRASHES
    message = "{command} stops: {cause}"
    explanation = "The command ends with this error, here and wherever it is run.{too}{passed}"
    repair = "{mend}"

    VALID = (
        Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*trained())),
        # nobody confirmed it
        Example(
            {"src/train.py": _DETACHED}, rehearsed=stopped(Stop("RuntimeError", _SAID, _PLACE, doubt="time ran out"))
        ),
        # only a GPU can tell
        Example(
            {"src/train.py": "x = 1\n"},
            rehearsed=stopped(Stop("RuntimeError", "CUDA error: invalid device", _PLACE, confirmed=True)),
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _DETACHED},
            at=("src/train.py:3",),
            repaired={"src/train.py": _DETACHED.replace("torch.tensor(loss.item())", "loss")},
            rehearsed=stopped(Stop("RuntimeError", _SAID, _PLACE, confirmed=True)),
            rehearsed_after=saw(*trained()),
        ),
        Example(
            {
                "src/evaluate.py": "import json\n\n\ndef main(path, found):\n    json.dump({'significant': found}, path)\n",
            },
            at=("src/evaluate.py:5",),
            repaired={
                "src/evaluate.py": "import json\n\n\ndef main(path, found):\n    json.dump({'significant': bool(found)}, path)\n"
            },
            rehearsed=stopped(
                Stop(
                    "TypeError",
                    "Object of type bool_ is not JSON serializable",
                    (TrialFrame("src/evaluate.py", 5, "main"),),
                    confirmed=True,
                ),
                mode="evaluate",
            ),
            rehearsed_after=saw(mode="evaluate"),
        ),
        # no refusal of missing data, and no full run came to its end for the evaluation to be rehearsed on
        Example(
            {"src/evaluate.py": "import json\n\nROOT = Path('results')\n"},
            at=("src/evaluate.py:3",),
            repaired={"src/evaluate.py": "import json\nfrom pathlib import Path\n\nROOT = Path('results')\n"},
            rehearsed=rehearsal(
                one_step(
                    mode="refuse",
                    status=1,
                    stops=(
                        Stop(
                            "NameError",
                            "name 'Path' is not defined",
                            (TrialFrame("src/evaluate.py", 3, "<module>"),),
                        ),
                    ),
                ),
                one_step(mode="evaluate", status=None, skipped="no full run came to its end"),
            ),
            rehearsed_after=saw(mode="refuse", status=1, stops=(Stop("SystemExit", "no data of run proposed"),)),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        rehearsal = project.rehearsal
        if rehearsal is None:
            return
        why = rehearsal.undecided or rehearsal.refusal
        if why or not rehearsal.steps:
            yield Undecided(f"nothing could be rehearsed: {why or 'no command was planned'}")
            return
        yield from stop_outcomes(self, project, rehearsal, shimmed=False)
        for step in rehearsal.steps:
            if (why := why_unfinished(step)) and step.mode in ROWS_OF_MODES and (step.skipped or step.broke):
                yield Undecided(why, ROWS_OF_MODES[step.mode])
        for modes, rows in ((("trial", "full"), ("E2.3",)), (("evaluate",), ("E2.4",)), (("smoke",), ("B4.8",))):
            steps = rehearsal.steps_of(*modes)
            there = {step.mode for step in steps}
            if there == set(modes) and all(step.completed and not step.tampered for step in steps):
                yield Proved(rows)
