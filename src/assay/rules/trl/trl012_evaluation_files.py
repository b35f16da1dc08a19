"""TRL012: the evaluation came to its end and did not write what the contract asks for."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Proved, Rule
from assay.rules.trl.rehearsals import one_step, rehearsal, trained
from assay.trial.reading import command_of, settled
from assay.trial.record import Rehearsal

_AGGREGATED = "comparison/aggregated_metrics.json"
_PICTURES = (".pdf", ".png", ".svg", ".jpg")
_EVALUATE = "def main(results_dir, run_ids):\n    for run_id in run_ids:\n        save(results_dir / {where} / 'metrics.json')\n"


def _wrote(*names: str) -> Rehearsal:
    written = {**dict.fromkeys(names, 200), "proposed/proposed_loss.pdf": 900, _AGGREGATED: 300}
    return rehearsal(one_step(*trained(), mode="full"), one_step(mode="evaluate", written=written))


class MissingResults(Rule):
    """The evaluation was rehearsed on what the rehearsed runs had tracked and ended well. Then there must be, for each run,
    `metrics.json` in the run's folder, and the aggregated metrics in `comparison/`; an empty file is none.

    A run without a figure is a warning: a run made short may have too little to draw.
    """

    code = "TRL012"
    name = "missing-results"
    requirements = ("E8.3", "E8.4")
    gate = "trial"
    message = "{command} ends well and does not write {path}"
    explanation = "What reads the results afterwards finds {found} there."
    repair = "Write it for every run that the command names, below results_dir."

    VALID = (
        Example({"src/evaluate.py": _EVALUATE.format(where="run_id")}, rehearsed=_wrote("proposed/metrics.json")),
        # nothing was evaluated
        Example(
            {"src/evaluate.py": "x = 1\n"},
            rehearsed=rehearsal(
                one_step(*trained(), mode="full"), one_step(mode="evaluate", status=None, skipped="no run")
            ),
        ),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": _EVALUATE.format(where="'metrics'")},
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": _EVALUATE.format(where="run_id")},
            rehearsed=_wrote("metrics/metrics.json"),
            rehearsed_after=_wrote("proposed/metrics.json"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        path = project.contract.role("evaluate")
        file = path if path in project.submission.files else None
        runs = [step.run for step in settled(project.rehearsal, "full") if step.run]
        for step in settled(project.rehearsal, "evaluate"):
            wanted = [*((f"{run}/metrics.json", "E8.3") for run in runs), (_AGGREGATED, "E8.4")]
            missing = [(name, row) for name, row in wanted if not step.written.get(name)]
            for name, row in missing:
                yield self.finding(
                    file,
                    requirements=(row,),
                    symbol=name.rpartition("/")[2],
                    detail=f"written: {', '.join(sorted(step.written)[:20]) or 'nothing'}",
                    command=command_of(step),
                    path=f"{{results_dir}}/{name}",
                    found="an empty file" if name in step.written else "nothing",
                )
            bare = [run for run in runs if not any(_is_picture_of(run, name) for name in step.written)]
            for run in bare:
                yield self.finding(
                    file,
                    severity=Severity.WARNING,
                    requirements=("E8.3",),
                    symbol=run,
                    run=run,
                    command=command_of(step),
                    path=f"a figure of run {run}",
                    found="nothing",
                )
            if runs and not missing and not bare and len(runs) == len(project.rehearsal.steps_of("full")):
                yield Proved(("E8.3",))


def _is_picture_of(run: str, name: str) -> bool:
    return name.startswith(f"{run}/") and name.endswith(_PICTURES)
