"""TRK011: values are logged with a step that lies before the one that was logged last."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, keyword
from assay.analysis.tracking_imports import files_besides_evaluate
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_MAX_CALLS = 200
_HEAD = "import wandb\n\nstep = 0\nfor epoch in range(3):\n    for batch in loader:\n        step += 1\n"


class StepGoesBack(Rule):
    """The `step` of `wandb.log` only ever grows. What is logged with a smaller one is dropped, with a warning on the console.

    That happens where batches are logged by their own counter, or without a step, and the epoch's values with
    `step=epoch`: after the first epoch, the counter of the batches is far ahead. Nothing fails, and the curves of the
    epochs are missing from the history. The rule warns where a loop logs with its own counter as step, and a loop within
    it logs otherwise.

    References: https://docs.wandb.ai/ref/python/run (log, `step`).
    """

    code = "TRK011"
    name = "step-goes-back"
    requirements = ("E6.1",)
    severity = Severity.WARNING
    message = "step={name} lies before the steps that the loop within has logged"
    explanation = "W&B drops values whose step is smaller than the last one, so these are missing from the history."
    repair = "Log everything with one counter, or log `{name}` as a value and choose it with wandb.define_metric."

    VALID = (
        Example(
            {
                "src/train.py": _HEAD
                + "        wandb.log({'loss': 1}, step=step)\n    wandb.log({'acc': 1}, step=step)\n"
            }
        ),
        Example({"src/train.py": _HEAD + "    wandb.log({'acc': 1}, step=epoch)\n"}),
        Example(
            {"src/train.py": _HEAD + "        wandb.log({'loss': 1})\n    wandb.log({'acc': 1, 'epoch': epoch})\n"}
        ),
        Example({"src/train.py": _HEAD + "        logger.log({'loss': 1})\n    wandb.log({'acc': 1}, step=epoch)\n"}),
        Example(
            {
                "src/train.py": _HEAD
                + "        wandb.log({'loss': 1}, commit=False)\n    wandb.log({'acc': 1}, step=epoch)\n"
            }
        ),
    )
    INVALID = (
        Example(
            {
                "src/train.py": _HEAD
                + "        wandb.log({'loss': 1}, step=step)\n    wandb.log({'acc': 1}, step=epoch)\n"
            },
            at=("src/train.py:8",),
        ),
        Example(
            {"src/train.py": _HEAD + "        wandb.log({'loss': 1})\n    wandb.log({'acc': 1}, step=epoch)\n"},
            at=("src/train.py:8",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for file in files_besides_evaluate(project):
            logs = [
                (call, file.qualified(call.func).rpartition(".")[0])
                for call, _ in file.calls
                if isinstance(call.func, ast.Attribute) and call.func.attr == "log"
            ]
            for call, run in logs[:_MAX_CALLS]:
                step = keyword(call, "step")
                loop = next(
                    (up for up in file.ancestors(call) if isinstance(up, ast.For | ast.While | FunctionNode)), None
                )
                if not isinstance(step, ast.Name) or not isinstance(loop, ast.For) or not run:
                    continue
                if not any(isinstance(node, ast.Name) and node.id == step.id for node in descend(loop.target)):
                    continue
                inner = next(
                    (
                        other
                        for other, name in logs[:_MAX_CALLS]
                        if name == run and _is_within(file, other, loop, step.id)
                    ),
                    None,
                )
                if inner is not None and inner.lineno < call.lineno:
                    yield self.finding(
                        file.path,
                        call,
                        symbol=file.symbol_of(call) or None,
                        name=step.id,
                        frames=(Frame(file.path, inner.lineno),),
                    )


def _is_within(file: PythonFile, call: ast.Call, loop: ast.For, name: str) -> bool:
    """Whether a loop within a loop logs, and not with the counter of the outer one."""
    nearest = next((up for up in file.ancestors(call) if isinstance(up, ast.For | ast.While | FunctionNode)), None)
    if not isinstance(nearest, ast.For | ast.While) or nearest is loop or loop not in file.ancestors(nearest):
        return False
    if keyword(call, "commit") is not None or any(item.arg is None for item in call.keywords):
        return False
    step = keyword(call, "step")
    counts = {node.id for node in descend(step) if isinstance(node, ast.Name)} if step is not None else set()
    return name not in counts
