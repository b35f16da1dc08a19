"""HPO004: a search that has no such direction, or the wrong one for what its objective returns."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.name_origins import returns_of
from assay.analysis.parameter_search import ParameterSearch, chain, parameter_search
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, keyword, string_value
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# https://optuna.readthedocs.io/en/stable/reference/generated/optuna.create_study.html
_DIRECTIONS = ("minimize", "maximize")
_WORD = re.compile(r"[a-z0-9]+")
_BETTER = {
    "maximize": frozenset(
        {"acc", "accuracy", "f1", "em", "auc", "auroc", "bleu", "rouge", "precision", "recall", "map", "miou", "reward", "r2", "mcc"}
    ),
    "minimize": frozenset(
        {"loss", "error", "err", "mse", "rmse", "mae", "perplexity", "ppl", "nll", "wer", "cer", "fid", "joules", "energy", "latency"}
    ),
}  # fmt: skip
_TRAIN = (
    "import optuna\n\n\ndef objective(trial):\n    metrics = fit(trial)\n    return metrics['val_accuracy']\n\n\n"
    "study = optuna.create_study(direction={})\nstudy.optimize(objective, n_trials=3)\n"
)


class SearchDirection(Rule):
    """A study looks for the highest or the lowest value: its direction is `maximize` or `minimize`, and fits what the
    objective returns.

    Optuna refuses any other word, so the run stops where the study is created. Without a direction it minimizes. A
    direction that goes against the name of what is returned (an accuracy that is minimized) finds the worst
    configuration; a name proves nothing, so that is a warning.
    """

    code = "HPO004"
    name = "search-direction"
    requirements = ("E7.3",)
    message = "the search direction `{direction}` {fault}"
    explanation = "{effect}"
    repair = "Write {change}."

    VALID = (
        Example({"src/train.py": _TRAIN.format("'maximize'")}),
        Example(
            {
                "src/train.py": _TRAIN.format("cfg.optuna.direction"),
                "config/runs/a.yaml": "optuna: {direction: maximize}\n",
            }
        ),
        # the code makes a direction of the word
        Example(
            {
                "src/train.py": _TRAIN.format("'maximize' if cfg.optuna.direction == 'max' else 'minimize'"),
                "config/runs/a.yaml": "optuna: {direction: max}\n",
            }
        ),
        Example({"src/train.py": _TRAIN.format("'minimize'").replace("return metrics", "return -metrics")}),
        Example({"src/train.py": _TRAIN.format("'minimize'").replace("return metrics", "return 1 - metrics")}),
        Example({"src/train.py": _TRAIN.format("'minimize'").replace("val_accuracy", "error_of_accuracy")}),
        Example({"src/train.py": _TRAIN.format("'maximise'.replace('s', 'z')")}),
    )
    INVALID = (
        Example(
            {"src/train.py": _TRAIN.format("'max'")},
            at=("src/train.py:9",),
            repaired={"src/train.py": _TRAIN.format("'maximize'")},
        ),
        Example(
            {
                "src/train.py": _TRAIN.format("cfg.optuna.direction"),
                "config/runs/a.yaml": "optuna:\n  direction: higher\n",
            },
            at=("config/runs/a.yaml:2",),
            repaired={"config/runs/a.yaml": "optuna:\n  direction: maximize\n"},
        ),
        # only the name says that it is the wrong way round: warnings
        Example({"src/train.py": _TRAIN.format("'minimize'")}, at=("src/train.py:9",)),
        Example(
            {
                "src/train.py": _TRAIN.format("cfg.optuna.direction"),
                "config/runs/a.yaml": "optuna:\n  direction: minimize\n",
            },
            at=("config/runs/a.yaml:2",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        search = parameter_search(project)
        told: set[tuple[str, int]] = set()
        for objective in search.objectives:
            study = _study_of(search, objective.caller, objective.call)
            if study is None or keyword(study, "directions") is not None or any(k.arg is None for k in study.keywords):
                continue
            returned = _returned(objective.file, objective.function)
            given = keyword(study, "direction")
            for path, place, direction in self._directions(search, objective.caller, study, given):
                fault = _fault(direction, returned)
                key = (path, getattr(place, "line", getattr(place, "lineno", 0)))
                if fault is None or key in told:
                    continue
                told.add(key)
                what, effect, change, certain = fault
                laid = project.submission.files[path].laid
                yield self.finding(
                    path,
                    place,
                    severity=None if certain and not laid else Severity.WARNING,
                    symbol="direction",
                    direction=direction[:40],
                    fault=what,
                    effect=effect,
                    change=change,
                )

    def _directions(
        self, search: ParameterSearch, file: PythonFile, study: ast.Call, given: ast.expr | None
    ) -> Iterator[tuple[str, ast.AST | yaml_tree.Node, str]]:
        """The directions that a study certainly gets, and where they are written."""
        if given is None:
            if len(study.args) < 5:
                yield file.path, study, "minimize"
            return
        text = string_value(given)
        if text is not None:
            yield file.path, study, text
            return
        path = chain(given)
        if path is None or path[1][-2:] != ("optuna", "direction"):
            return
        for run, run_file in search.project.run_files.items():
            node = yaml_tree.find(run_file.root, "optuna", "direction")
            if isinstance(node, yaml_tree.Scalar) and "${" not in node.text and isinstance(node.resolve(), str):
                yield run, node, node.text


def _study_of(search: ParameterSearch, file: PythonFile, call: ast.Call) -> ast.Call | None:
    """The call that creates the study which is optimized."""
    held = call.func.value if isinstance(call.func, ast.Attribute) else None
    if isinstance(held, ast.Name):
        origins = search.origins[file].of(held)
        held = origins[0].expression if len(origins) == 1 else None
    is_study = isinstance(held, ast.Call) and file.qualified(held.func) in (
        "optuna.create_study",
        "optuna.study.create_study",
    )
    return held if is_study and isinstance(held, ast.Call) else None


def _returned(file: PythonFile, function: FunctionNode | ast.Lambda) -> str:
    """The name of what every return of an objective gives; empty where it is anything but a plain name or key."""
    values = [function.body] if isinstance(function, ast.Lambda) else [item.value for item in returns_of(function)]
    names: set[str] = set()
    for value in values:
        if isinstance(value, ast.Call) and file.qualified(value.func) == "float" and len(value.args) == 1:
            value = value.args[0]
        if isinstance(value, ast.Subscript):
            names.add(string_value(value.slice) or "")
        else:
            names.add(value.id if isinstance(value, ast.Name) else "")
    return names.pop() if len(names) == 1 else ""


def _fault(direction: str, returned: str) -> tuple[str, str, str, bool] | None:
    if direction.lower() not in _DIRECTIONS:
        return "is unknown to Optuna", "optuna.create_study raises ValueError.", "`minimize` or `maximize`", True
    words = set(_WORD.findall(returned.lower().replace("_", " ")))
    meant = [name for name, better in _BETTER.items() if words & better]
    if len(meant) == 1 and meant[0] != direction.lower():
        effect = "The search then looks for the worst configuration."
        return (
            f"goes against `{returned}`, which the objective returns",
            effect,
            f"`{meant[0]}`, or return -{returned}",
            False,
        )
    return None
