"""TRK007: train starts W&B and logs nothing with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.recorded_keys import recorded_keys
from assay.analysis.tracking_imports import files_besides_evaluate
from assay.rules.rule import Example, Outcome, Rule, Undecided

_INIT = "import wandb\n\nrun = wandb.init(id=run_id)\n"


class NothingLogged(Rule):
    """Train logs every time series with `wandb.log`, at each step or epoch.

    A program that creates the run and never logs leaves a run without a history: there is no curve to draw, and what
    happened on the way to the final value is lost. The rule speaks where the training code creates a run, hands it to
    nothing, and calls no method named `log`.
    """

    code = "TRK007"
    name = "nothing-logged"
    requirements = ("E6.1",)
    message = "train creates a W&B run and logs nothing to it"
    explanation = "The run has no history, so evaluate finds no series."
    repair = "Call wandb.log with the loss and the metrics at each step or epoch."

    VALID = (
        Example({"src/train.py": _INIT + "for step in range(3):\n    run.log({'loss': 1.0})\n"}),
        Example({"src/train.py": _INIT + "fit(track=wandb.log)\n"}),
        # a library may log to the run
        Example({"src/train.py": _INIT + "from transformers import Trainer\nTrainer(model=m).train()\n"}),
        Example({"src/train.py": _INIT + "fit(run)\n"}),
        Example(
            {
                "src/train.py": "import wandb\nfrom torch.utils.tensorboard import SummaryWriter\n\nwandb.init(sync_tensorboard=True)\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _INIT + "run.summary['accuracy'] = 0.5\nrun.finish()\n"},
            at=("src/train.py:3",),
            repaired={"src/train.py": _INIT + "run.log({'accuracy': 0.5})\nrun.finish()\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        files = files_besides_evaluate(project)
        recorded = recorded_keys(project)
        inits = [(file, call) for file in files for call, name in file.calls if name == "wandb.init"]
        if not inits or recorded.log_calls:
            return
        if recorded.unknown:
            yield Undecided(recorded.unknown)
            return
        kept = {
            parent.targets[0].id
            for file, call in inits
            if isinstance(parent := file.parents.get(call), ast.Assign) and isinstance(parent.targets[0], ast.Name)
        }
        for file in files:
            for node in file.nodes_of(ast.Name, ast.Attribute):
                if isinstance(node.ctx, ast.Load):
                    is_run = file.qualified(node) == "wandb.run" or (isinstance(node, ast.Name) and node.id in kept)
                    if is_run and not isinstance(
                        file.parents.get(node), ast.Attribute | ast.Compare | ast.If | ast.BoolOp
                    ):
                        yield Undecided("the W&B run is handed on")
                        return
        if any(
            isinstance(file.parents.get(call), ast.Return | ast.Call | ast.keyword | ast.withitem)
            for file, call in inits
        ):
            yield Undecided("the W&B run is handed on")
            return
        file, call = inits[0]
        yield self.finding(file.path, call, symbol=file.symbol_of(call) or None)
