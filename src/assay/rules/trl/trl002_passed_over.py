"""TRL002: the program would have stopped, and the rehearsal passed over it to see what comes after."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import saw, stopped, trained
from assay.rules.trl.stop_findings import ROWS, stop_outcomes
from assay.trial.record import Stop, TrialFrame

_GROUPS = (
    "def groups(model):\n    norms = [p for n, p in model.named_parameters() if 'norm' in n]\n"
    "    heads = [p for n, p in model.named_parameters() if 'attn' in n]\n    return AdamW([{'params': norms}, {'params': heads}])\n"
)
_STOP = Stop(
    "ValueError",
    "some parameters appear in more than one parameter group",
    (TrialFrame("src/train.py", 4, "groups"),),
    shim="duplicate-groups",
    confirmed=True,
)


class PassedOver(Rule):
    """For a few kinds of stop the rehearsal goes on in place: duplicate parameters are left out of the second group, ragged
    labels are padded, a loss that is cut off from the model is passed over. What it reports is as much a stop as any other:
    the same error, at the same place, ended a run before, or a second one without that help.
    """

    code = "TRL002"
    name = "passed-over"
    requirements = ROWS
    gate = "trial"
    consequence = Consequence.CRASHES
    yields_to = ("TRL001",)
    message = "{command} would stop here: {cause}"
    explanation = "The rehearsal passed over this error to see what comes after it; the program itself does not.{too}"
    repair = "{mend}"

    VALID = (
        Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*trained())),
        Example({"src/train.py": _GROUPS}, rehearsed=saw(stops=(Stop("ValueError", "some", shim="duplicate-groups"),))),
    )
    INVALID = (
        Example(
            {"src/train.py": _GROUPS},
            at=("src/train.py:4",),
            repaired={"src/train.py": _GROUPS.replace("'attn' in n", "'attn' in n and 'norm' not in n")},
            rehearsed=saw(*trained(), stops=(_STOP,), tampered=True),
            rehearsed_after=saw(*trained()),
        ),
        Example(
            {"src/train.py": _GROUPS},
            at=("src/train.py:4",),
            repaired={"src/train.py": _GROUPS.replace("'attn' in n", "'attn' in n and 'norm' not in n")},
            rehearsed=stopped(_STOP, mode="full"),
            rehearsed_after=saw(*trained()),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is not None:
            yield from stop_outcomes(self, project, project.rehearsal, shimmed=True)
