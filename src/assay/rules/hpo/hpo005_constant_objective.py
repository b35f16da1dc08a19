"""HPO005: an objective that returns nothing, or the same number for every trial."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_origins import How, is_generator, returns_of
from assay.analysis.parameter_search import Objective, ParameterSearch, parameter_search
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value
from assay.finding import Frame
from assay.rules.rule import Example, Outcome, Rule

_NUMBERS = {"math.inf": "inf", "math.nan": "nan", "numpy.inf": "inf", "numpy.nan": "nan", "torch.inf": "inf"}
_SAME = frozenset({"float", "int", "round", "abs"})
# https://omegaconf.readthedocs.io/en/2.3_branch/usage.html
_CONFIGURATIONS = ("OmegaConf.create", "OmegaConf.to_container", "OmegaConf.merge", "OmegaConf.load")
_MAX_DEPTH = 12
_MAX_TEXT = 100
_HEAD = "import optuna\n\nfrom omegaconf import DictConfig, OmegaConf\n\n\n"
_TAIL = "\n\nstudy = optuna.create_study()\nstudy.optimize({call}, n_trials=10)\n"
_FIT = "def fit(cfg):\n    return {'accuracy': 0.5}\n\n\n"


def _train(body: str, call: str = "lambda trial: objective(trial, cfg)") -> dict[str, str]:
    return {
        "src/train.py": _HEAD + _FIT + "def objective(trial, base: DictConfig):\n"
        "    cfg = OmegaConf.create(OmegaConf.to_container(base))\n    cfg.lr = trial.suggest_float('lr', 0, 1)\n"
        + body
        + _TAIL.format(call=call)
    }


class ConstantObjective(Rule):
    """A search compares trials by what the objective returns.

    An objective without a return value makes every trial fail, and `study.best_params` then raises ValueError. One that
    always returns the same number makes all trials equal: the first one is the best, whatever it drew. That happens
    where a result is looked for in the configuration, under a key that nothing sets, so that `.get` returns its default
    each time.

    The rule speaks where every return of the objective leads back to one and the same number, through names and
    defaults.
    """

    code = "HPO005"
    name = "constant-objective"
    requirements = ("E7.3",)
    message = "the objective returns {what}"
    explanation = "{effect}"
    repair = "Return the validation metric that the trial's training gives."

    VALID = (
        Example(_train("    return fit(cfg)['accuracy']\n")),
        # something sets the key
        Example(_train("    cfg.result = fit(cfg)['accuracy']\n    return cfg.get('result', 0.0)\n")),
        Example(
            _train(
                "    OmegaConf.update(cfg, 'result', fit(cfg)['accuracy'])\n    return float(cfg.get('result', 0.0))\n"
            )
        ),
        # a result that is no configuration
        Example(_train("    result = fit(cfg)\n    return result.get('f1', 0.0)\n")),
        # a failure counts as the worst value
        Example(
            _train(
                "    try:\n        value = fit(cfg)['accuracy']\n    except RuntimeError:\n        value = 0.0\n    return value\n"
            )
        ),
        Example(_train("    if cfg.lr > 0.5:\n        return 0.0\n    return 1.0\n")),
        Example(_train("    raise optuna.TrialPruned\n")),
        Example(
            _train("    best = 0.0\n    for _ in range(3):\n        best += fit(cfg)['accuracy']\n    return best\n")
        ),
    )
    INVALID = (
        Example(
            _train("    fit(cfg)\n    return float(cfg.get('last_accuracy', 0.0))\n"),
            at=("src/train.py:14",),
            repaired=_train("    return fit(cfg)['accuracy']\n"),
        ),
        Example(
            _train("    try:\n        fit(cfg)\n        loss = cfg.get('_last', float('inf'))\n    except Exception:\n"
                   "        loss = float('inf')\n    return loss\n"),
            at=("src/train.py:18",),
            repaired=_train("    return fit(cfg)['accuracy']\n"),
        ),
        Example(
            _train("    fit(cfg)\n"),
            at=("src/train.py:10",),
            repaired=_train("    return fit(cfg)['accuracy']\n"),
        ),
    )  # fmt: skip

    def check(self, project: Project) -> Iterator[Outcome]:
        search = parameter_search(project)
        told: set[ast.AST] = set()
        keys = _SetKeys(project)
        for objective in search.objectives:
            function = objective.function
            if function in told or not isinstance(function, FunctionNode):
                continue
            told.add(function)
            if function.decorator_list or is_generator(function) or isinstance(function, ast.AsyncFunctionDef):
                continue
            values = [item for item in returns_of(function) if item.value is not None]
            frames = (Frame(objective.caller.path, objective.call.lineno),)
            if not values:
                if not isinstance(function.body[-1], ast.Raise) and not _is_empty(function):
                    yield self.finding(
                        objective.file.path,
                        function.lineno,
                        symbol=function.name,
                        what="nothing",
                        effect="Optuna counts every trial as failed, and study.best_params raises ValueError.",
                        frames=frames,
                    )
                continue
            follower = _Numbers(search, objective, keys)
            found = {follower.number(item.value, 0) for item in values}
            if len(found) == 1 and (number := found.pop()) is not None:
                missing = f", because nothing sets `{follower.missing}`" if follower.missing else ""
                yield self.finding(
                    objective.file.path,
                    values[-1],
                    symbol=function.name,
                    what=f"{number} for every trial{missing}",
                    effect="All trials are equal, so the search chooses nothing and the first values drawn stay.",
                    frames=frames,
                )


class _SetKeys:
    """The keys that a configuration of the submission may hold."""

    def __init__(self, project: Project) -> None:
        self.names: set[str] = set()
        self.open = False
        for file in project.python.values():
            if file.tree is None:
                self.open = True
            for node in file.nodes_of(ast.Constant, ast.Attribute, ast.keyword, ast.Name):
                text = string_value(node)
                if text is not None and len(text) < 300 and not _only_read(file, node):
                    self.names.update({text, *text.replace("=", ".").split(".")})
                elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                    self.names.add(node.attr)
                elif isinstance(node, ast.keyword) and node.arg:
                    self.names.add(node.arg)
                elif isinstance(node, ast.Name) and node.id in ("setattr", "exec"):
                    self.open = True
        self._configured = [item.text for item in project.yaml.values()]

    def may_hold(self, key: str) -> bool:
        return self.open or key in self.names or any(key in text for text in self._configured)


class _Numbers:
    """Follows an expression of an objective to the one number that it certainly is."""

    def __init__(self, search: ParameterSearch, objective: Objective, keys: _SetKeys) -> None:
        self._search = search
        self._file = objective.file
        self._keys = keys
        self.missing = ""

    def number(self, node: ast.expr | None, depth: int) -> str | None:
        if node is None or depth > _MAX_DEPTH:
            return None
        if isinstance(node, ast.Constant):
            plain = isinstance(node.value, int | float) and not isinstance(node.value, bool)
            return str(float(node.value)) if plain and abs(node.value) < 1e300 else None  # type: ignore[arg-type]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self.number(node.operand, depth + 1)
            return None if inner is None else inner.removeprefix("-") if inner.startswith("-") else f"-{inner}"
        if isinstance(node, ast.Attribute):
            return _NUMBERS.get(self._file.qualified(node))
        if isinstance(node, ast.Call):
            return self._called(node, depth)
        if isinstance(node, ast.Name):
            origins = self._search.origins[self._file].of(node)
            found = {self.number(item.expression, depth + 1) if item.how is How.VALUE else None for item in origins}
            return found.pop() if len(found) == 1 else None
        return None

    def _called(self, node: ast.Call, depth: int) -> str | None:
        name = self._file.qualified(node.func)
        if name in _SAME and len(node.args) == 1:
            text = string_value(node.args[0])
            if text is not None and name == "float":
                return text.strip().lower().lstrip("+").replace("infinity", "inf")[:_MAX_TEXT]
            return self.number(node.args[0], depth + 1)
        if not (isinstance(node.func, ast.Attribute) and node.func.attr == "get" and len(node.args) == 2):
            return None
        key = string_value(node.args[0])
        if key is None or self._keys.may_hold(key) or not self._is_configuration(node.func.value, depth):
            return None
        number = self.number(node.args[1], depth + 1)
        if number is not None:
            self.missing = key
        return number

    def _is_configuration(self, node: ast.expr, depth: int) -> bool:
        if depth > _MAX_DEPTH:
            return False
        if isinstance(node, ast.Call):
            return self._file.qualified(node.func).endswith(_CONFIGURATIONS)
        if not isinstance(node, ast.Name):
            return False
        origins = self._search.origins[self._file].of(node)
        for item in origins:
            if item.how is How.VALUE and item.expression is not None:
                if not self._is_configuration(item.expression, depth + 1):
                    return False
            elif isinstance(item.node, ast.arg) and item.node.annotation is not None:
                if self._file.qualified(item.node.annotation) != "omegaconf.DictConfig":
                    return False
            else:
                return False
        return bool(origins)


def _only_read(file: PythonFile, node: ast.AST) -> bool:
    """Whether a text is only asked for, or is a key of W&B's summary, so that it sets nothing in a configuration."""
    parent = file.parents.get(node)
    if isinstance(parent, ast.Subscript):
        to_summary = isinstance(parent.value, ast.Attribute) and parent.value.attr == "summary"
        return to_summary or isinstance(parent.ctx, ast.Load)
    called = parent.func if isinstance(parent, ast.Call) else None
    return isinstance(called, ast.Attribute) and called.attr == "get" and node is parent.args[0]  # type: ignore[union-attr]


def _is_empty(function: FunctionNode) -> bool:
    """Whether a function has no body to speak of: that is said elsewhere."""
    return not any(isinstance(node, ast.Call) for item in function.body for node in descend(item))
