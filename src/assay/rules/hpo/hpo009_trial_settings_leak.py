"""HPO009: what the objective sets for a trial stays set in the final run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import takewhile

from assay.analysis.name_origins import How
from assay.analysis.parameter_search import Objective, ParameterSearch, chain, outer_names, parameter_search
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_UPDATE = "omegaconf.OmegaConf.update"
_MERGES = frozenset({"update", "merge_with"})
# what is done with a configuration without training by it
_SHOWN = frozenset({_UPDATE, "print", "str", "repr", "omegaconf.OmegaConf.to_yaml", "omegaconf.OmegaConf.save"})
_LOGGERS = frozenset({"debug", "info", "warning", "pprint"})
_NESTED = (ast.If, ast.For, ast.While, ast.Try, ast.With)
_HEAD = "import copy\n\nimport optuna\n\n\n"
_TAIL = "\n\ndef main(cfg):\n    study = optuna.create_study()\n    study.optimize(lambda trial: objective(trial, cfg), n_trials=3)\n"


def _train(body: str, tail: str = "    fit(cfg)\n") -> dict[str, str]:
    return {"src/train.py": _HEAD + "def objective(trial, cfg):\n" + body + "    return fit(cfg)\n" + _TAIL + tail}


class TrialSettingsLeak(Rule):
    """An objective shortens its trials and turns tracking off in a copy of the configuration.

    Set in the configuration itself, all of that holds in the final run too: it trains as briefly as a trial, is not
    tracked, and starts from the values of the last trial. A configuration of Hydra is one object wherever it is passed.

    A constant that the objective sets, and that nothing sets back, blocks; values that were drawn are a warning, because
    the best ones may be set afterwards.
    """

    code = "HPO009"
    name = "trial-settings-leak"
    requirements = ("E9.3", "E6.4", "E7.3")
    message = "the objective sets {paths} in the configuration that the final run uses"
    explanation = "The final run then trains with the settings of a trial."
    repair = "Let the objective change a copy: trial_cfg = copy.deepcopy(cfg)."

    VALID = (
        Example(_train("    cfg = copy.deepcopy(cfg)\n    cfg.training.epochs = 1\n")),
        Example(_train("    cfg.training.epochs = 1\n", "")),
        # set back
        Example(_train("    cfg.training.epochs = 1\n", "    cfg.training.epochs = 3\n    fit(cfg)\n")),
        Example(_train("    kept = cfg.training.epochs\n    cfg.training.epochs = 1\n    fit(cfg)\n    cfg.training.epochs = kept\n")),
        Example(_train("    kept = copy.deepcopy(cfg.training)\n    cfg.training.epochs = 1\n    fit(cfg)\n    cfg.training = kept\n")),
        Example(_train("    cfg.training.epochs = 1\n", "    cfg.training.update(kept)\n    fit(cfg)\n")),
        Example(_train("    cfg.training.epochs = 1\n", "    cfg.training = kept\n    fit(cfg)\n")),
        # the final run has another configuration
        Example(_train("    cfg.training.epochs = 1\n", "    print(cfg)\n    fit(copy.deepcopy(original))\n")),
        Example(_train("    trial_cfg = dict(cfg)\n    trial_cfg['epochs'] = 1\n")),
        Example({"src/train.py": _HEAD + "def main(cfg):\n    def objective(trial):\n        result = {}\n        result['x'] = 1\n"
                 "        return fit(cfg, result)\n\n    optuna.create_study().optimize(objective)\n    fit(cfg)\n"}),
        Example(
            {
                "src/train.py": _HEAD + "def objective(trial, cfg):\n    cfg.training.epochs = 1\n    return fit(cfg)\n\n\ndef main(cfg):\n"
                "    study = optuna.create_study()\n    study.optimize(lambda trial: objective(trial, copy.deepcopy(cfg)), n_trials=3)\n    fit(cfg)\n"
            }
        ),
    )  # fmt: skip
    INVALID = (
        Example(
            _train("    cfg.training.epochs = 1\n    cfg.wandb.mode = 'disabled'\n"),
            at=("src/train.py:7",),
            repaired=_train("    cfg = copy.deepcopy(cfg)\n    cfg.training.epochs = 1\n"),
        ),
        Example(
            {
                "src/train.py": _HEAD + "def main(cfg):\n    def objective(trial):\n        cfg.training.max_steps = 10\n        return fit(cfg)\n\n"
                "    study = optuna.create_study()\n    study.optimize(objective, n_trials=3)\n    fit(cfg)\n"
            },
            at=("src/train.py:8",),
            repaired={
                "src/train.py": _HEAD + "def main(cfg):\n    def objective(trial):\n        return fit(cfg)\n\n"
                "    study = optuna.create_study()\n    study.optimize(objective, n_trials=3)\n    fit(cfg)\n"
            },
        ),
        # the best value may be set afterwards: a warning
        Example(_train("    cfg.training.lr = trial.suggest_float('lr', 0, 1)\n"), at=("src/train.py:7",)),
    )  # fmt: skip

    def check(self, project: Project) -> Iterator[Outcome]:
        search = parameter_search(project)
        told: set[ast.AST] = set()
        for objective in search.objectives:
            function = objective.function
            if function in told or not isinstance(function, FunctionNode):
                continue
            told.add(function)
            for name, shared in _shared(search, objective):
                stores = list(_stores(objective.file, function, name))
                used = _used_afterwards(objective, shared)
                if not stores or used is None:
                    continue
                back = _set_afterwards(objective, shared)
                # a whole section is put back in the objective itself: `cfg.training = kept`
                back |= set(_sections(objective.file, function, name))
                counts: dict[str, int] = {}
                for path, _, _ in stores:
                    counts[path] = counts.get(path, 0) + 1
                left = [item for item in stores if counts[item[0]] == 1 and not _is_set_back(item[0], back)]
                if not left:
                    continue
                certain = [item for item in left if item[2]]
                shown = certain or left
                yield self.finding(
                    objective.file.path,
                    shown[0][1],
                    severity=None if certain else Severity.WARNING,
                    symbol=function.name,
                    paths=", ".join(dict.fromkeys(f"`{path}`" for path, _, _ in shown[:4])),
                    frames=(
                        Frame(objective.caller.path, objective.call.lineno),
                        Frame(objective.caller.path, used.lineno),
                    ),
                )


def _shared(search: ParameterSearch, objective: Objective) -> Iterator[tuple[str, str]]:
    """The names under which an objective has something that its caller has too: its own name, and the caller's."""
    function = objective.function
    if not isinstance(function, FunctionNode):
        return
    own = search.origins[objective.file]
    around = objective.caller.function_of(objective.call)
    if around is not None and around in objective.file.ancestors(function):
        for name in sorted(outer_names(function)):
            if any(item.how in (How.PARAMETER, How.VALUE) for item in own.within(around, name)):
                yield name, name
    if around is None:
        return
    for parameter in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs):
        if len(own.within(function, parameter.arg)) != 1:
            continue
        given = search.calls.given(function, parameter.arg)
        if given and len(given) == 1 and isinstance(given[0][1], ast.Name):
            call_file, value = given[0]
            if call_file is objective.caller and around in call_file.ancestors(value):
                yield parameter.arg, given[0][1].id


def _stores(file: PythonFile, function: FunctionNode, name: str) -> Iterator[tuple[str, ast.AST, bool]]:
    """What a function sets below a name: the path, the place, and whether it certainly is a constant."""
    for node in descend(function):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            found = chain(node.targets[0]) if isinstance(node.targets[0], ast.Attribute | ast.Subscript) else None
            if found is None or found[0] != name or len(found[1]) < 2 or file.function_of(node) is not function:
                continue
            within = takewhile(lambda up: up is not function, file.ancestors(node))
            plain = not any(isinstance(up, _NESTED) for up in within)
            yield ".".join(found[1]), node, plain and isinstance(node.value, ast.Constant)
        elif isinstance(node, ast.Call) and file.qualified(node.func) == _UPDATE and len(node.args) > 1:
            first, path = node.args[0], string_value(node.args[1])
            if isinstance(first, ast.Name) and first.id == name:
                yield path or "the searched names", node, False


def _used_afterwards(objective: Objective, name: str) -> ast.Name | None:
    """Where the caller passes the same thing on once the search is over, without having bound the name anew."""
    file, call = objective.caller, objective.call
    around = file.function_of(call)
    end = call.end_lineno or call.lineno
    for node in descend(around) if around is not None else ():
        if not isinstance(node, ast.Name) or node.id != name or node.lineno <= end:
            continue
        if file.function_of(node) is not around:
            continue
        if not isinstance(node.ctx, ast.Load):
            return None
        above = file.parents.get(node)
        if isinstance(above, ast.Call) and node in above.args and not _only_shows(file, above):
            return node
    return None


def _only_shows(file: PythonFile, call: ast.Call) -> bool:
    """Whether a call prints or writes down what it is given, or is the one that sets the best values."""
    name = file.qualified(call.func)
    return name in _SHOWN or (isinstance(call.func, ast.Attribute) and call.func.attr in _LOGGERS)


def _is_set_back(path: str, back: set[str]) -> bool:
    """Whether a path, or a section that it is in, is set back."""
    keys = path.split(".")
    return "" in back or any(".".join(keys[:end]) in back for end in range(1, len(keys) + 1))


def _sections(file: PythonFile, function: FunctionNode, name: str) -> Iterator[str]:
    """The sections below a name that a function sets as a whole, or updates from something else."""
    for node in descend(function):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            path = chain(node)
            if path is not None and path[0] == name and len(path[1]) == 1:
                yield path[1][0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MERGES:
            path = (
                chain(node.func.value)
                if isinstance(node.func.value, ast.Attribute | ast.Subscript)
                else (node.func.value.id, ())
                if isinstance(node.func.value, ast.Name)
                else None
            )
            if path is not None and path[0] == name:
                yield ".".join(path[1])


def _set_afterwards(objective: Objective, name: str) -> set[str]:
    """The paths that the caller sets once the search is over."""
    file, call = objective.caller, objective.call
    found: set[str] = set()
    around = file.function_of(call)
    for node in descend(around) if around is not None else ():
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            path = chain(node)
            if path is not None and path[0] == name and node.lineno > call.lineno:
                found.add(".".join(path[1]))
        elif isinstance(node, ast.Call) and file.qualified(node.func) == _UPDATE and node.lineno > call.lineno:
            text = string_value(node.args[1]) if len(node.args) > 1 else None
            found.update([text] if text else ["the searched names"])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.lineno > call.lineno:
            holder = chain(node.func.value) if isinstance(node.func.value, ast.Attribute | ast.Subscript) else None
            held = node.func.value.id if isinstance(node.func.value, ast.Name) else holder[0] if holder else None
            if node.func.attr in _MERGES and held == name:
                found.add(".".join(holder[1]) if holder else "")
    return found
