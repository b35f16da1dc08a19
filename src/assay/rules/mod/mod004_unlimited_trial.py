"""MOD004: a trial trains as long as a full run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.expressions import number, words
from assay.analysis.project import Project
from assay.analysis.python_source import descend, keyword
from assay.analysis.run_mode import RunMode, run_mode
from assay.analysis.run_variations import texts
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_LIMITS = frozenset(
    {
        "epoch", "epochs", "step", "steps", "batch", "batches", "limit", "limits", "iter", "iters", "iteration",
        "iterations", "subset", "sample", "samples", "examples", "max", "budget", "minutes", "size", "select", "take",
        "overfit", "dev", "small", "quick", "range", "islice", "num", "count", "length", "len", "update", "merge", "load",
        "override", "overrides", "train", "training", "dataset", "data", "updates", "rounds", "generations",
    }
)  # fmt: skip
_ALLOWED = 2


class UnlimitedTrial(Rule):
    """A trial takes one epoch of at most two batches and a small evaluation, so that it can be had before every full run.

    The rule looks at everything that the program decides by the mode, and at the functions it calls there. It blocks
    where none of it has to do with epochs, steps, batches, data or training. A trial that ends its training loop only after
    more than two batches is a warning.
    """

    code = "MOD004"
    name = "unlimited-trial"
    requirements = ("E9.2",)
    message = "{fault}"
    explanation = "A trial is then as long as a run, or longer than the contract's two batches."
    repair = "Where mode is trial, train one epoch and stop after two batches, in training and in evaluation."

    VALID = (
        Example(
            {"src/train.py": "if cfg.mode == 'trial':\n    cfg.training.epochs = 1\n    cfg.training.max_batches = 2\n"}
        ),
        Example({"src/train.py": "for batch in loader:\n    if cfg.mode == 'trial':\n        break\n"}),
        Example({"src/main.py": "if cfg.mode == 'trial':\n    command += ['training.epochs=1']\n"}),
        Example(
            {
                "src/train.py": "def shorten(cfg):\n    cfg.training.epochs = 1\n\nif cfg.mode == 'trial':\n    shorten(cfg)\n",
            }
        ),
        Example(
            {"src/train.py": "if cfg.mode == 'trial':\n    cfg.wandb.mode = 'disabled'\nfit(cfg, kind=cfg.mode)\n"}
        ),
        # the settings of a trial are a constant, which a loop goes through
        Example(
            {
                "src/train.py": "SHORT = {'training.epochs': 1}\nfor key, value in (SHORT.items() if cfg.mode == 'trial' else ()):\n"
                "    put(cfg, key, value)\n"
            }
        ),
        # the answer is an argument
        Example(
            {
                "src/train.py": "if cfg.mode not in ('trial', 'full'):\n    raise ValueError(cfg.mode)\n"
                "fit(cfg, brief=cfg.mode == 'trial')\n"
            }
        ),
        Example(
            {
                "src/train.py": "brief = cfg.mode == 'trial'\nif brief:\n    print('trial')\nfit(cfg, brief)\n",
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": "if cfg.mode == 'trial':\n    cfg.wandb.mode = 'disabled'\nfit(cfg)\n"},
            at=("src/train.py:1",),
            repaired={
                "src/train.py": "if cfg.mode == 'trial':\n    cfg.wandb.mode = 'disabled'\n    cfg.training.epochs = 1\nfit(cfg)\n"
            },
        ),
        Example(
            {
                "src/train.py": "def fit(cfg):\n    for step, batch in enumerate(loader):\n        loss(batch).backward()\n"
                "        if cfg.mode == 'trial' and step >= 50:\n            break\n"
            },
            at=("src/train.py:4",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        mode = run_mode(project)
        if any(file.tree is None for file in project.python.values()) or not mode.questions:
            return
        yield from self._late(mode)
        regions = mode.regions()
        if regions is None:
            yield Undecided("the program asks for the mode too often to follow it")
            return
        if any(_limits(node) for node in regions):
            return
        values = {text for file in project.yaml.values() for document in file.documents for text in texts(document)}
        if (
            mode.passed_on
            or mode.answers
            or any("mode}" in text for text in values)
            or any("/mode/" in f"/{path}" for path in project.yaml)
        ):
            yield Undecided("the mode is handed on to where it may limit the training")
            return
        if any(item.module.partition(".")[0] in ("assay", "importlib") for f in mode.files for item in f.imports):
            yield Undecided("a library may limit the training")
            return
        file, question = mode.questions[0]
        yield self.finding(
            file.path,
            question,
            symbol=file.symbol_of(question) or None,
            fault="nothing that depends on the mode shortens the training",
        )

    def _late(self, mode: RunMode) -> Iterator[Outcome]:
        """Loops that a trial leaves only after more than two batches."""
        for file, question in mode.questions:
            if not isinstance(question, ast.If) or not isinstance(question.test, ast.BoolOp):
                continue
            function = file.function_of(question)
            trains = function is not None and any(
                isinstance(node, ast.Attribute) and node.attr == "backward" for node in descend(function)
            )
            if not trains or not any(isinstance(item, ast.Break | ast.Return) for item in question.body):
                continue
            for part in question.test.values if isinstance(question.test.op, ast.And) else []:
                after = _after(part)
                if after is not None and after > _ALLOWED:
                    yield self.finding(
                        file.path,
                        question,
                        severity=Severity.WARNING,
                        symbol=file.symbol_of(question) or None,
                        fault=f"a trial trains {after:g} steps or more, unless the data end before",
                    )


def _after(test: ast.expr) -> float | None:
    """The number of steps in `step >= 50`, where it is a step that is counted."""
    if (
        not isinstance(test, ast.Compare)
        or len(test.ops) != 1
        or not isinstance(test.ops[0], ast.Gt | ast.GtE | ast.Eq)
    ):
        return None
    counted = {"step", "steps", "batch", "idx", "iter", "iteration", "i"} & set(words(test.left))
    return number(test.comparators[0]) if counted else None


def _limits(node: ast.AST) -> bool:
    """Whether a node may have to do with how long the program trains."""
    if isinstance(node, ast.Break | ast.Return | ast.Continue | ast.Global | ast.Delete | ast.Yield):
        return True
    if isinstance(node, ast.Name | ast.Attribute):
        last = ast.Name(id=node.id if isinstance(node, ast.Name) else node.attr)
        return bool(_LIMITS & set(words(last)))
    if isinstance(node, ast.keyword):
        return node.arg is None or bool(_LIMITS & set(words(ast.Name(id=node.arg))))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(_LIMITS & set(words(node)))
    return isinstance(node, ast.Call) and keyword(node, "limit") is not None
