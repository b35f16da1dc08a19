"""HPO008: the best values that a search found are not used."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.parameter_search import parameter_search
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# https://optuna.readthedocs.io/en/stable/reference/generated/optuna.study.Study.html
_FOUND = frozenset({"best_params", "best_trial", "best_trials", "trials", "get_trials", "trials_dataframe"})
_SHOWING = frozenset({"print", "json.dump", "json.dumps", "wandb.log", "pprint.pprint", "str", "repr", "len"})
_LOGGERS = frozenset({"debug", "info", "warning", "log", "write", "write_text", "update"})
_TRAIN = (
    "import optuna\n\n\ndef objective(trial):\n    return fit(trial.suggest_float('lr', 0, 1))\n\n\n"
    "study = optuna.create_study()\nstudy.optimize(objective, n_trials=3)\n"
)


class BestValuesNotUsed(Rule):
    """After a search, the final run trains with the best values that it found: they are read from the study and set.

    Where the study is never asked for them, or they are only shown, the final run trains with the values of the run
    file, and the search was for nothing. An objective may keep the best model by itself, so this is a warning.
    """

    code = "HPO008"
    name = "best-values-not-used"
    requirements = ("E7.3", "E6.4")
    severity = Severity.WARNING
    message = "the best values of the search are {how}"
    explanation = "The final run trains with the values that stand in the run file."
    repair = "Set each of study.best_params in the configuration before the final run."

    VALID = (
        Example({"src/train.py": _TRAIN + "fit(study.best_params['lr'])\n"}),
        Example({"src/train.py": _TRAIN + "best = study.best_trial\nprint(best.params)\n"}),
        Example({"src/train.py": _TRAIN + "print(study.best_params)\nfor k, v in study.best_params.items():\n    cfg[k] = v\n"}),
        Example({"src/train.py": "import optuna\n\n\ndef search():\n    study = optuna.create_study()\n"
                 "    study.optimize(objective)\n    return study\n"}),
        Example({"src/train.py": "import scipy\nscipy.optimize(f)\nsolver.optimize(f)\n"}),
    )  # fmt: skip
    INVALID = (
        Example({"src/train.py": _TRAIN + "fit(0.1)\n"}, at=("src/train.py:9",)),
        Example(
            {"src/train.py": _TRAIN + "print(f'best: {study.best_params} {study.best_value}')\nfit(0.1)\n"},
            at=("src/train.py:9",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        search = parameter_search(project)
        uses = used_names(project.python.values())
        told: set[ast.Call] = set()
        found = [(file, node) for file in search.files for node in file.nodes_of(ast.Attribute) if node.attr in _FOUND]
        if any(_is_used(file, node) for file, node in found):
            return
        for objective in search.objectives:
            file, call = objective.caller, objective.call
            held = call.func.value if isinstance(call.func, ast.Attribute) else None
            if call in told or not isinstance(held, ast.Name) or is_dead(file, call, uses):
                continue
            told.add(call)
            keeps = any(isinstance(node, ast.Global | ast.Nonlocal) for node in descend(objective.function))
            if not keeps and not _is_handed_on(file, held.id):
                how = "only shown" if found else "not read"
                yield self.finding(file.path, call, symbol=file.symbol_of(call) or None, how=how)


def _is_used(file: PythonFile, node: ast.AST) -> bool:
    """Whether something is done with a value besides showing it."""
    for up in file.ancestors(node):
        if isinstance(up, ast.Call):
            method = up.func.attr if isinstance(up.func, ast.Attribute) else ""
            if file.qualified(up.func) in _SHOWING or method in _LOGGERS:
                return False
        elif isinstance(up, ast.stmt):
            # a value that stands for itself is dropped; one that goes into the summary is only recorded
            target = up.targets[0] if isinstance(up, ast.Assign) else None
            holder = target.value if isinstance(target, ast.Subscript | ast.Attribute) else None
            recorded = isinstance(holder, ast.Attribute) and holder.attr in ("summary", "config")
            return not recorded and not (isinstance(up, ast.Expr) and not isinstance(up.value, ast.Call))
    return True


def _is_handed_on(file: PythonFile, name: str) -> bool:
    """Whether a study leaves the place where it is made: returned, passed, or kept in an object."""
    for node in file.nodes_of(ast.Name):
        if not (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)):
            continue
        above = file.parents.get(node)
        if not isinstance(above, ast.Attribute | FunctionNode):
            return True
    return False
