"""TRL013: the evaluation does not refuse where nothing was tracked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Proved, Rule
from assay.rules.trl.rehearsals import saw
from assay.trial.record import Step, Stop

_EVALUATE = "def main(run_ids):\n    for run_id in run_ids:\n        try:\n            read(run_id)\n        except Exception:\n            {instead}\n"
_AGGREGATED = "comparison/aggregated_metrics.json"
# a command that was not understood is no refusal of missing data
_MISREAD = re.compile(r"(?m)^usage:|unrecognized arguments|is not in struct|Could not override")
_ABOUT = re.compile(r"no(?:t| tracked)? (?:data|run|history|found)|not? tracked|wandb|W&B|missing|trial", re.IGNORECASE)


class NoRefusal(Rule):
    """The evaluation was started where no run had tracked anything, as after trials. It ended well, although there is nothing
    that it could compare.

    It blocks where it also wrote aggregated metrics, which then come from no run. Where it only ended with status 0, that is
    a warning: it may have said so in words. A refusal is an exit status other than 0 with a message of the program's own.
    """

    code = "TRL013"
    name = "no-refusal"
    requirements = ("E8.9", "X4")
    gate = "trial"
    message = "the evaluation ends well where nothing was tracked{wrote}"
    explanation = "Whoever calls it takes that for a comparison of runs."
    repair = "End with a message and a status other than 0 where a run has no tracked data: `sys.exit(f'no data for {{run_id}}')`."

    VALID = (
        Example(
            {"src/evaluate.py": _EVALUATE.format(instead="sys.exit('no data')")},
            rehearsed=saw(mode="refuse", status=1, stops=(Stop("SystemExit", "no data"),)),
        ),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": _EVALUATE.format(instead="continue")},
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": _EVALUATE.format(instead="sys.exit('no data')")},
            rehearsed=saw(mode="refuse", written={_AGGREGATED: 80}),
            rehearsed_after=saw(mode="refuse", status=1, stops=(Stop("SystemExit", "no data"),)),
        ),
        Example(
            {"src/evaluate.py": _EVALUATE.format(instead="print('none')")},
            at=("src/evaluate.py",),
            rehearsed=saw(mode="refuse"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        path = project.contract.role("evaluate")
        file = path if path in project.submission.files else None
        for step in project.rehearsal.steps_of("refuse"):
            if step.completed and not step.tampered:
                made = bool(step.written.get(_AGGREGATED))
                yield self.finding(
                    file,
                    severity=Severity.BLOCKING if made else Severity.WARNING,
                    requirements=("E8.9", "X4") if made else ("E8.9",),
                    detail=(step.output or step.errors).strip()[-300:],
                    wrote=f", and writes {_AGGREGATED}" if made else "",
                )
            elif not step.tampered and _refuses(step):
                yield Proved(("E8.9",))


def _refuses(step: Step) -> bool:
    """Whether a program ended by itself with a message about a run, not by an error that nobody caught."""
    if not step.status or step.broke or _MISREAD.search(step.errors):
        return False
    by_itself = any(stop.type == "SystemExit" for stop in step.stops) or any(
        event.get("type") == "SystemExit" for event in step.of("passed-on")
    )
    said = "\n".join([step.output, step.errors, *(stop.message for stop in step.stops)])
    return by_itself and "Traceback (most recent call last)" not in step.errors and _ABOUT.search(said) is not None
