"""EVL010: evaluate does not say so where there is nothing to evaluate."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.evaluation_side import evaluation_side
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_LEAVING = ("exit", "error", "_exit", "abort", "fail")
_HEAD = "import wandb\n\nrun = wandb.Api().run('lab/study/a')\n"


class NoRefusal(Rule):
    """Runs in trial mode leave nothing in W&B. Evaluate then refuses, with a message that says why.

    Without that, whoever calls it sees a traceback out of W&B's client, or empty figures. The rule warns where evaluate
    neither raises an error, nor leaves, nor catches what the client raises.
    """

    code = "EVL010"
    name = "no-refusal"
    requirements = ("E8.9",)
    severity = Severity.WARNING
    message = "evaluate never refuses to go on"
    explanation = "Where nothing was tracked, as in trial mode, it ends in a traceback or reports nothing at all."
    repair = "Catch the error of a run that is not there, and stop with a message that names it."

    VALID = (
        Example(
            {"src/evaluate.py": _HEAD + "if run.history().empty:\n    raise SystemExit('a: nothing was tracked')\n"}
        ),
        Example({"src/evaluate.py": "import sys\n" + _HEAD + "if not run:\n    sys.exit(1)\n"}),
        Example({"src/evaluate.py": "import json\nprint(json.load(open('a.json')))\n"}),
    )
    INVALID = (Example({"src/evaluate.py": _HEAD + "print(run.history())\n"}, at=("src/evaluate.py:3",)),)

    def check(self, project: Project) -> Iterator[Outcome]:
        side = evaluation_side(project)
        if side.unknown:
            yield Undecided(side.unknown)
            return
        place = side.call_named("Api")
        refuses = any(isinstance(node, ast.Raise | ast.Try | ast.Assert) for file in side.files for node in file.nodes)
        if place is None or refuses or side.call_named(*_LEAVING) is not None:
            return
        yield self.finding(place[0].path, place[1])
