"""MOD005: settings of a trial hold in the full run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from assay.analysis.configuration_loading import hydra_decorator
from assay.analysis.expressions import last_part, number, root_name, scope_nodes, tests_around
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, string_value
from assay.analysis.run_mode import RunMode, run_mode
from assay.rules.rule import Example, Outcome, Rule

_MAX_SETTINGS = 20
# what a trial, or a trial of the search, is made short with
_SHORT = frozenset(
    {
        "epochs", "num_epochs", "max_epochs", "num_train_epochs", "n_epochs", "max_steps", "total_steps", "num_steps",
        "max_batches", "batch_limit", "limit_train_batches",
    }
)  # fmt: skip
_TRIAL = "    if cfg.mode == 'trial':\n        cfg.training.epochs = 1\n"
_MAIN = "import hydra\n\n@hydra.main(version_base=None, config_path='../config')\ndef main(cfg):\n"


class _Set(NamedTuple):
    """A setting that is given a constant: `cfg.wandb.mode = "disabled"`."""

    node: ast.Assign
    path: str
    value: str


class TrialSettingsLeak(Rule):
    """A full run takes everything as it is configured. A line that shortens the run for a trial, and stands where it is
    executed in every run, makes each full run a trial without saying so.

    The rule blocks where a condition on the mode is always true (`mode == "trial" or "debug"`), and where the program's
    entry disables W&B, the search, or all but a few epochs without a condition.
    """

    code = "MOD005"
    name = "trial-settings-leak"
    requirements = ("E9.3", "E2.5")
    message = "{fault}"
    explanation = "The full run is made with the settings of a trial, and reports them as its results."
    repair = "{change}."

    VALID = (
        Example({"src/train.py": _MAIN + _TRIAL}),
        # the default, which full mode changes
        Example(
            {
                "src/train.py": _MAIN + "    cfg.wandb.mode = 'disabled'\n    if cfg.mode == 'full':\n"
                "        cfg.wandb.mode = 'online'\n"
            }
        ),
        Example(
            {
                "src/train.py": "import copy\n"
                + _MAIN
                + _TRIAL
                + "    def objective(trial):\n        own = copy.deepcopy(cfg)\n"
                "        own.training.epochs = 1\n        return fit(own)\n    study.optimize(objective)\n    fit(cfg)\n"
            }
        ),
        Example(
            {"src/train.py": _MAIN + "    if cfg.mode == 'trial' or cfg.debug:\n        cfg.training.epochs = 1\n"}
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _MAIN + "    if cfg.mode == 'trial' or 'debug':\n        cfg.training.epochs = 1\n"},
            at=("src/train.py:5",),
            repaired={"src/train.py": _MAIN + _TRIAL},
        ),
        Example(
            {"src/train.py": _MAIN + _TRIAL + "    cfg.wandb.mode = 'disabled'\n    fit(cfg)\n"},
            at=("src/train.py:7",),
            repaired={"src/train.py": _MAIN + _TRIAL + "    fit(cfg)\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        mode = run_mode(project)
        for file in mode.files:
            for node in file.nodes_of(ast.If):
                if _is_always(mode, file, node.test):
                    yield self.finding(
                        file.path, node, requirements=("E9.3",), symbol=file.symbol_of(node) or None,
                        fault="the condition for a trial is always true", change="Compare the mode on both sides of or",
                    )  # fmt: skip
        for role in ("main", "train"):
            program = project.role(role)
            entry = _entry(program)
            if program is None or entry is None:
                continue
            for item in islice(_settings(entry), _MAX_SETTINGS):
                if self._is_lasting(program, entry, item):
                    yield self.finding(
                        program.path, item.node, requirements=("E9.3", "E2.5"), symbol=item.path,
                        fault=f"{item.path} is set to {item.value} in every mode",
                        change=f"Set {item.path} only where mode is trial",
                    )  # fmt: skip

    def _is_lasting(self, file: PythonFile, entry: FunctionNode, item: _Set) -> bool:
        """Whether a setting is made in every mode, in the configuration itself, and nothing sets it again."""
        if list(tests_around(file, item.node)) or file.function_of(item.node) is not entry:
            return False
        if any(
            isinstance(up, ast.For | ast.AsyncFor | ast.Try | ast.ExceptHandler) for up in file.ancestors(item.node)
        ):
            return False
        name = root_name(item.node.targets[0])
        parameters = {argument.arg for argument in entry.args.args}
        if name is None or name.id not in parameters or any(isinstance(n, ast.Return) for n in scope_nodes(entry)):
            return False
        return not _set_elsewhere(file, item)


def _is_always(mode: RunMode, file: PythonFile, test: ast.expr) -> bool:
    """Whether a condition on the mode has a constant that makes it true."""
    if not isinstance(test, ast.BoolOp) or not isinstance(test.op, ast.Or) or not mode.asks(file, test):
        return False
    return any(isinstance(part, ast.Constant) and bool(part.value) for part in test.values)


def _entry(file: PythonFile | None) -> FunctionNode | None:
    """The function that Hydra starts."""
    decorator = hydra_decorator(file)
    if file is None or decorator is None:
        return None
    up = file.parents.get(decorator)
    return up if isinstance(up, FunctionNode) else None


def _settings(function: FunctionNode) -> Iterator[_Set]:
    """The settings of a configuration that a function gives a constant with which a trial is made short."""
    for node in scope_nodes(function):
        if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Attribute):
            continue
        target = node.targets[0]
        last, owner = target.attr, last_part(target.value)
        text, value = string_value(node.value), number(node.value)
        if last == "mode" and owner == "wandb" and text == "disabled":
            yield _Set(node, "wandb.mode", text)
        elif last == "n_trials" and value == 0:
            yield _Set(node, f"{owner}.n_trials", "0")
        elif last in _SHORT and value is not None and 0 < value <= 10 and owner:
            yield _Set(node, f"{owner}.{last}", f"{value:g}")


def _set_elsewhere(file: PythonFile, item: _Set) -> bool:
    """Whether anything else in the file may give the setting another value, or stands for it as a text."""
    last = item.path.rpartition(".")[2]
    for node in file.nodes:
        if node is item.node.targets[0]:
            continue
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and node.attr == last:
            later = node.lineno > item.node.lineno
            if later:
                return True
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and item.path in node.value:
            return True
        merges = isinstance(node, ast.Call) and last_part(node.func) in ("merge", "update", "setattr", "merge_with")
        if merges and getattr(node, "lineno", 0) > item.node.lineno:
            return True
    return False
