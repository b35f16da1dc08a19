"""TRK005: evaluate reads a history key that train never logs."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.recorded_keys import recorded_keys
from assay.analysis.tracked_reads import HISTORY, tracked_reads
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_TRAIN = "import wandb\n\nwandb.init(id=run_id)\nfor epoch in range(3):\n    wandb.log({'train_loss': 1.0, 'val_accuracy': 0.5})\n"
_HEAD = "import wandb\n\nrun = wandb.Api().run(f'lab/study/{run_id}')\n"


class HistoryKeyNeverLogged(Rule):
    """Evaluate finds a series by the key under which train logged it.

    A key that train never logs gives an empty column at best. Asked for with `run.history(keys=[...])`, it leaves no row
    at all, because W&B returns only the rows that hold every key. The rule follows the history through assignments,
    frames and functions of evaluate, and every dictionary that train logs, back to where its keys are written. Where a
    key may come from a library, or from a part that cannot be read, it says nothing.

    A key that evaluate tests for first is a warning: nothing fails, but its figure or number never appears.
    """

    code = "TRK005"
    name = "history-key-never-logged"
    requirements = ("E6.3",)
    message = "evaluate reads `{key}` from the history, and train never logs it"
    explanation = "The column is not there, so whatever is made of it fails or stays empty."
    repair = "Log `{key}` in train, or read the key that train logs."

    VALID = (
        Example({"src/train.py": _TRAIN, "src/evaluate.py": _HEAD + "print(run.history()['val_accuracy'].max())\n"}),
        # W&B's own columns, and one that evaluate makes by itself
        Example(
            {
                "src/train.py": _TRAIN,
                "src/evaluate.py": _HEAD
                + "frame = run.history()\nframe['smooth'] = frame['train_loss'].ewm(3).mean()\nprint(frame['_step'], frame['smooth'])\n",
            }
        ),
        # what W&B records by itself
        Example(
            {
                "src/train.py": _TRAIN,
                "src/evaluate.py": _HEAD
                + "print(run.history(stream='system')['system.cpu'].mean())\nprint(run.history(keys=['gradients/fc.weight']))\n",
            }
        ),
        # the key is put together
        Example(
            {
                "src/train.py": "import wandb\n\n\ndef report(split, values):\n"
                "    wandb.log({f'{split}/{name}': value for name, value in values.items()})\n\n\n"
                "report('val', {'accuracy': 0.5})\n",
                "src/evaluate.py": _HEAD + "print(run.history()['val/accuracy'])\n",
            }
        ),
        # the keys come from a metric of a library
        Example(
            {
                "src/train.py": "import evaluate\nimport wandb\n\nmetric = evaluate.load('glue', 'mrpc')\n"
                "wandb.log({'step': 1, **metric.compute()})\n",
                "src/evaluate.py": _HEAD + "print(run.history()['f1'])\n",
            }
        ),
        Example(
            {
                "src/train.py": "import wandb\nfrom transformers import Trainer\n\nTrainer(model=m).train()\nwandb.log({'a': 1})\n",
                "src/evaluate.py": _HEAD + "print(run.history()['eval/loss'])\n",
            }
        ),
        # the logging function is handed on
        Example(
            {
                "src/train.py": "import wandb\n\n\ndef fit(track):\n    track({'val_accuracy': 0.5})\n\n\nfit(wandb.log)\nwandb.log({'test': 1})\n",
                "src/evaluate.py": _HEAD
                + "rows = [row for row in run.scan_history()]\nprint(run.history()['val_accuracy'])\n",
            }
        ),
    )
    INVALID = (
        Example(
            {
                "src/train.py": _TRAIN,
                "src/evaluate.py": _HEAD + "frame = run.history()\nprint(frame['val_exact_match'].max())\n",
            },
            at=("src/evaluate.py:5",),
            repaired={"src/evaluate.py": _HEAD + "frame = run.history()\nprint(frame['val_accuracy'].max())\n"},
        ),
        # through a function and a constant; the key stands in the summary alone
        Example(
            {
                "src/train.py": _TRAIN + "wandb.summary['energy'] = 3.0\n",
                "src/evaluate.py": "import wandb\n\nMETRIC = 'energy'\n\n\ndef read(path):\n    run = wandb.Api().run(path)\n"
                "    return run.history(keys=['train_loss', METRIC]), run.summary\n\n\nprint(read('lab/study/a'))\n",
            },
            at=("src/evaluate.py:8",),
            repaired={
                "src/evaluate.py": "import wandb\n\n\ndef read(path):\n    run = wandb.Api().run(path)\n"
                "    return run.history(keys=['train_loss']), run.summary\n\n\nprint(read('lab/study/a'))\n"
            },
        ),
        # it asks before it reads: a warning
        Example(
            {
                "src/train.py": _TRAIN,
                "src/evaluate.py": _HEAD
                + "frame = run.history()\nif 'val_em' in frame.columns:\n    print(frame['val_em'].max())\n",
            },
            at=("src/evaluate.py:6",),
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
        reads = [read for read in tracked_reads(project, evaluate) if read.source == HISTORY]
        reads = [read for read in reads if not recorded.may_log(read.key)]
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
