"""MOD006: the hyper-parameter search runs in trial mode."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.expressions import words, words_of
from assay.analysis.project import Project
from assay.analysis.python_source import descend, keyword
from assay.analysis.run_mode import run_mode
from assay.analysis.run_settings import never_searches
from assay.rules.rule import Example, Outcome, Rule, Undecided

_SEARCHES = frozenset({"optuna", "study", "trials", "search", "tune", "sweep", "hpo"})
_ASKS = "import optuna\n\nif cfg.mode == 'trial':\n    cfg.training.epochs = 1\n"
_RUN = {"config/runs/proposed.yaml": "run_id: proposed\noptuna:\n  n_trials: 20\n"}


class SearchInTrial(Rule):
    """A trial makes no search: twenty short trainings are no longer a trial.

    The rule looks at what stands between the program's first line and `study.optimize`. It blocks where that is reached
    under no condition, or under one on `n_trials` alone that every run's configuration fulfils, and nothing in the program
    sets `n_trials` to 0 or ties the search to the mode.
    """

    code = "MOD006"
    name = "search-in-trial"
    requirements = ("E2.5", "E9.2")
    message = "the Optuna search runs in trial mode as well"
    explanation = "A trial then trains once for each trial of the search before it says whether the program works."
    repair = "Set optuna.n_trials to 0 where mode is trial, and search only where it is more than 0."

    VALID = (
        Example(
            {
                "src/train.py": _ASKS + "    cfg.optuna.n_trials = 0\nif cfg.optuna.n_trials > 0:\n"
                "    study.optimize(objective, n_trials=cfg.optuna.n_trials)\n",
                **_RUN,
            }
        ),
        Example({"src/train.py": _ASKS + "else:\n    study.optimize(objective, n_trials=9)\n"}),
        Example({"src/train.py": _ASKS + "if cfg.search:\n    study.optimize(objective, n_trials=9)\n", **_RUN}),
        Example(
            {
                "src/main.py": "if cfg.mode == 'trial':\n    command.append('optuna.n_trials=0')\n",
                "src/train.py": "import optuna\n\nif cfg.optuna.n_trials:\n    study.optimize(f, n_trials=cfg.optuna.n_trials)\n",
                **_RUN,
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _ASKS + "study.optimize(objective, n_trials=20)\n"},
            at=("src/train.py:5",),
            repaired={"src/train.py": _ASKS + "if cfg.mode == 'full':\n    study.optimize(objective, n_trials=20)\n"},
        ),
        Example(
            {
                "src/train.py": _ASKS + "if cfg.optuna.n_trials > 0:\n    study.optimize(objective, n_trials=20)\n",
                **_RUN,
            },
            at=("src/train.py:6",),
            repaired={
                "src/train.py": _ASKS + "    cfg.optuna.n_trials = 0\nif cfg.optuna.n_trials > 0:\n"
                "    study.optimize(objective, n_trials=20)\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        mode = run_mode(project)
        if any(file.tree is None for file in project.python.values()):
            return
        searches = list(mode.searches())
        if (
            not searches
            or never_searches(project)
            or any(_sets_trials(node) for file in mode.files for node in file.nodes)
        ):
            return
        regions = mode.regions()
        touched = {
            word for node in regions or () if isinstance(node, ast.Name | ast.Attribute) for word in _own_words(node)
        }
        if regions is None or touched & _SEARCHES or mode.passed_on:
            yield Undecided("the search may depend on the mode")
            return
        for file, call in searches:
            trials = keyword(call, "n_trials")
            conditions = mode.conditions(file, call)
            if conditions is None:
                yield Undecided("it cannot be told when the search runs")
            elif all(_is_about_trials(test) for _, test in conditions) and (
                not conditions or _always_searched(project)
            ):
                # the number may itself depend on the mode
                if trials is not None and any(mode.asks(file, part) for part in descend(trials)):
                    continue
                yield self.finding(file.path, call, symbol=file.symbol_of(call) or None)


def _own_words(node: ast.Name | ast.Attribute) -> list[str]:
    """The words of a name, or of the last part of a chain."""
    return words_of(node.id if isinstance(node, ast.Name) else node.attr)


def _sets_trials(node: ast.AST) -> bool:
    """Whether a node gives `n_trials` another value, or speaks of it as an override."""
    if isinstance(node, ast.Attribute | ast.Name) and not isinstance(node.ctx, ast.Load):
        return "trials" in words(node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return "n_trials" in node.value
    return False


def _is_about_trials(test: ast.expr) -> bool:
    """Whether a condition is on the number of trials and on nothing else: `cfg.optuna.n_trials > 0`."""
    held = set(words(test))
    return "trials" in held and not held - {"cfg", "config", "optuna", "n", "trials", "int", "args", "conf"}


def _always_searched(project: Project) -> bool:
    """Whether every run's configuration asks for trials."""
    roots = [file.root for file in project.run_files.values()]
    numbers = [yaml_tree.to_python(yaml_tree.find(root, "optuna", "n_trials")) for root in roots]
    return bool(numbers) and all(isinstance(number, int) and number > 0 for number in numbers)
