"""TRK006: evaluate reads a summary key that nothing writes."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.recorded_keys import recorded_keys
from assay.analysis.tracked_reads import SUMMARY, tracked_reads
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_TRAIN = "import wandb\n\nwandb.init(id=run_id)\nwandb.log({'train_loss': 1.0})\nwandb.summary['best_accuracy'] = 0.5\n"
_HEAD = "import wandb\n\nrun = wandb.Api().run(f'lab/study/{run_id}')\n"


class SummaryKeyNeverWritten(Rule):
    """Evaluate takes the final and best values of a run from its summary, by the keys that train wrote.

    The summary holds what train writes into it, and the last value of everything that train logs. A key that is neither
    raises KeyError, or gives the default in place of a result. With `.get` nothing fails, so that is a warning: the
    comparison then rests on the default.
    """

    code = "TRK006"
    name = "summary-key-never-written"
    requirements = ("E6.3",)
    message = "evaluate reads `{key}` from the summary, and train writes it nowhere"
    explanation = "The summary does not hold the key, so evaluate fails there or reports a default as a result."
    repair = "Write wandb.summary['{key}'] in train, or read a key that train writes."

    VALID = (
        Example({"src/train.py": _TRAIN, "src/evaluate.py": _HEAD + "print(run.summary['best_accuracy'])\n"}),
        # the last logged value
        Example({"src/train.py": _TRAIN, "src/evaluate.py": _HEAD + "print(dict(run.summary)['train_loss'])\n"}),
        Example(
            {
                "src/train.py": "import wandb\n\nresult = {f'best_{name}': 1.0 for name in ('f1', 'em')}\n"
                "wandb.log({'loss': 1})\nfor key, value in result.items():\n    wandb.summary[key] = value\n",
                "src/evaluate.py": _HEAD + "print(run.summary['best_f1'], run.summary['_runtime'])\n",
            }
        ),
        # what a library returns may hold any key
        Example(
            {
                "src/train.py": "import wandb\n\nwandb.log({'loss': 1})\nwandb.summary.update(trainer.evaluate())\n",
                "src/evaluate.py": _HEAD + "print(run.summary['eval_accuracy'])\n",
            }
        ),
        Example(
            {
                "src/train.py": "import wandb\n\nwandb.define_metric('acc', summary='max')\nwandb.log({'acc': 1})\n",
                "src/evaluate.py": _HEAD + "print(run.summary['acc']['max'], run.summary['acc.max'])\n",
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _TRAIN, "src/evaluate.py": _HEAD + "print(run.summary['final_score'])\n"},
            at=("src/evaluate.py:4",),
            repaired={"src/train.py": _TRAIN + "wandb.summary['final_score'] = 1.0\n"},
        ),
        # a default takes its place: a warning
        Example(
            {"src/train.py": _TRAIN, "src/evaluate.py": _HEAD + "total = run.summary.get('test_total', 100)\n"},
            at=("src/evaluate.py:4",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        evaluate = project.role("evaluate")
        if evaluate is None or evaluate.tree is None:
            yield Undecided("evaluate is missing or cannot be read")
            return
        recorded = recorded_keys(project)
        if recorded.unknown or not recorded.log_calls:
            yield Undecided(recorded.unknown or "no call is found that logs")
            return
        frames = tuple(Frame(file.path, call.lineno) for file, call in recorded.log_calls[:6])
        told: set[str] = set()
        reads = [read for read in tracked_reads(project, evaluate) if read.source == SUMMARY]
        reads = [read for read in reads if not recorded.may_summarise(read.key)]
        uses = used_names(project.python.values() if reads else ())
        certain = {read.key for read in reads if read.certain and not is_dead(evaluate, read.place, uses)}
        for read in reads:
            blocks = read.key in certain
            if read.key in told or (blocks and not read.certain):
                continue
            told.add(read.key)
            yield self.finding(
                evaluate.path,
                read.place,
                severity=None if blocks else Severity.WARNING,
                symbol=read.key,
                key=read.key,
                frames=frames,
            )
