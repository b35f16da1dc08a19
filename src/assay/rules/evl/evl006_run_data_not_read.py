"""EVL006: evaluate leaves out the history, the summary or the configuration of the runs."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.evaluation_side import evaluation_side
from assay.analysis.project import Project
from assay.rules.rule import Example, Outcome, Rule, Undecided

_PARTS = {
    "history": frozenset({"history", "scan_history", "beta_scan_history", "histories"}),
    "summary": frozenset({"summary", "summary_metrics", "lastHistoryStep"}),
    "configuration": frozenset({"config", "rawconfig", "json_config"}),
}
_WHOLE = "import wandb\n\nrun = wandb.Api().run(f'lab/study/{run_id}')\nprint(run.history(), run.summary, run.config)\n"


class RunDataNotRead(Rule):
    """Evaluate reads three things of every run from the W&B API: its history for the curves, its summary for the final and
    best values, and its configuration to know what was run.

    A program that never names one of them cannot use it. The rule looks for the attributes of a run in evaluate and in
    the files it imports, and says nothing where attributes are taken by a name that is not spelled out.
    """

    code = "EVL006"
    name = "run-data-not-read"
    requirements = ("E8.2",)
    message = "evaluate never reads the {missing} of a run"
    explanation = "What it reports cannot rest on the {missing} that W&B recorded."
    repair = "Read run.history(), run.summary and run.config of every run."

    VALID = (
        Example({"src/evaluate.py": _WHOLE}),
        Example({"src/evaluate.py": _WHOLE.replace("run.config", "getattr(run, name)")}),
        Example({"src/evaluate.py": "import json\nprint(json.load(open('results.json')))\n"}),
        Example(
            {
                "src/evaluate.py": "from src.model import read\nimport wandb\nread(wandb.Api())\n",
                "src/model.py": "def read(api):\n    run = api.run('x')\n    return list(run.scan_history()), run.summary, run.config\n",
            }
        ),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": _WHOLE.replace(", run.config", "")},
            at=("src/evaluate.py:3",),
            repaired={"src/evaluate.py": _WHOLE},
        ),
        Example(
            {"src/evaluate.py": _WHOLE.replace("run.history(), run.summary, ", "")},
            at=("src/evaluate.py:3",),
            repaired={"src/evaluate.py": _WHOLE},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        side = evaluation_side(project)
        if side.unknown:
            yield Undecided(side.unknown)
            return
        if not any(name.endswith(("wandb.Api", ".PublicApi")) or name == "Api" for name in side.called):
            # that the API is not used at all is said elsewhere
            return
        if {"getattr", "attrgetter", "operator.attrgetter", "vars"} & side.called or "graphql" in side.roots:
            yield Undecided("attributes of the runs are taken by names that are not spelled out")
            return
        attributes = {node for part in _PARTS.values() for node in part} & side.names
        missing = [part for part, names in _PARTS.items() if not names & attributes]
        place = side.call_named("run", "runs") or side.call_named("Api")
        if missing and place is not None:
            yield self.finding(place[0].path, place[1], missing=" and the ".join(missing))
