"""TRK008: final and best values are not written into the summary."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.python_source import descend, keyword
from assay.analysis.recorded_keys import recorded_keys
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_LOG = "import wandb\n\nwandb.init(id=run_id)\nfor step in range(3):\n    wandb.log({'val_loss': 1.0})\n"


class SummaryNotWritten(Rule):
    """Train writes the final and the best values of a run into `wandb.summary`, where evaluate finds them.

    By itself, W&B keeps the last logged value of each key there: the best epoch is lost, and a run that ended early
    looks like one that came to its end. The rule warns where the training code never names the summary, sets none by
    `define_metric(..., summary=...)`, and hands the run to no library.
    """

    code = "TRK008"
    name = "summary-not-written"
    requirements = ("E6.2",)
    severity = Severity.WARNING
    message = "train writes no final or best value into wandb.summary"
    explanation = "The summary then holds the last logged value of each key, whichever epoch was the best."
    repair = "Write the best and the final metrics with wandb.summary['best_...'] = value before wandb.finish()."

    VALID = (
        Example({"src/train.py": _LOG + "wandb.summary['best_val_loss'] = 1.0\n"}),
        Example({"src/train.py": _LOG + "wandb.define_metric('val_loss', summary='min')\n"}),
        Example({"src/train.py": _LOG + "wandb.log({'best_val_loss': 1.0})\n"}),
        Example({"src/train.py": _LOG + "from transformers import Trainer\nTrainer(model=m).train()\n"}),
    )
    INVALID = (Example({"src/train.py": _LOG}, at=("src/train.py:5",)),)

    def check(self, project: Project) -> Iterator[Outcome]:
        recorded = recorded_keys(project)
        if recorded.unknown or not recorded.log_calls or recorded.writes_summary:
            return
        for file in project.python.values():
            for call, name in file.calls:
                if name.rpartition(".")[2] == "define_metric" and keyword(call, "summary") is not None:
                    return
        for _, call in recorded.log_calls:
            texts = {
                node.value for node in descend(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
            if any(text.startswith(("best", "final", "test")) or "best_" in text or "final_" in text for text in texts):
                return
        file, call = recorded.log_calls[-1]
        yield self.finding(file.path, call, symbol=file.symbol_of(call) or None)
