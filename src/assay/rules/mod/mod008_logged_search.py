"""MOD008: the trials of the Optuna search are logged to W&B."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.expressions import last_part, scope_nodes, tests_around, words, words_of
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile
from assay.analysis.run_mode import RunMode, run_mode
from assay.analysis.run_settings import never_searches
from assay.finding import Frame
from assay.rules.rule import Example, Outcome, Rule, Undecided

_CALLBACKS = frozenset({"WeightsAndBiasesCallback"})
_LOGS = frozenset({"wandb.log", "wandb.summary.update"})
_HEAD = "import optuna\nimport wandb\n\n"
_FIT = "def fit(cfg):\n    wandb.init(project='a', id=cfg.run_id)\n    wandb.log({'loss': 1.0})\n    return 1.0\n\n"
_SEARCH = "def objective(trial):\n    return fit(draw(trial))\n\noptuna.create_study().optimize(objective, n_trials=9)\nfit(cfg)\n"


class LoggedSearch(Rule):
    """Only the final run is tracked. Trials of the search that log to the same run mix their values with its own: its history
    is then that of many models.

    The rule follows the objective into the functions it calls. It blocks where one of them starts or writes to a W&B run
    under no condition, with nothing in the objective that turns W&B off, and where Optuna's W&B callback is used.
    """

    code = "MOD008"
    name = "logged-search"
    requirements = ("E6.4",)
    message = "the trials of the search are logged to W&B ({called})"
    explanation = "Their values go into the history that evaluate reads as that of one run."
    repair = "Disable W&B in the objective, or log only where a flag says that this is the final run."

    VALID = (
        Example({"src/train.py": _HEAD + _FIT + _SEARCH.replace("fit(draw(trial))", "fit(draw(trial), track=False)")}),
        Example({"src/train.py": _HEAD + _FIT.replace("    wandb.log", "    if cfg.track:\n        wandb.log").replace(
            "    wandb.init", "    if cfg.track:\n        wandb.init") + _SEARCH}),
        Example(
            {
                "src/train.py": _HEAD + _FIT + _SEARCH.replace(
                    "    return fit", "    cfg.wandb.mode = 'disabled'\n    return fit"
                )
            }
        ),
        # no run asks for a search
        Example({"src/train.py": _HEAD + _FIT + _SEARCH, "config/runs/a.yaml": "optuna:\n  n_trials: 0\n"}),
        Example({"src/train.py": _HEAD + "import os\nos.environ['WANDB_MODE'] = 'disabled'\n" + _FIT + _SEARCH}),
    )  # fmt: skip
    INVALID = (
        # the run is begun before the search, and the objective comes from a function that makes it
        Example(
            {
                "src/train.py": _HEAD
                + "def fit(cfg):\n    if wandb.run is not None:\n        wandb.log({'loss': 1.0})\n"
                "    return 1.0\n\ndef make(cfg):\n    def objective(trial):\n        return fit(cfg)\n"
                "    return objective\n\ndef main(cfg):\n    wandb.init(project='a')\n"
                "    optuna.create_study().optimize(make(cfg), n_trials=9)\n"
            },
            at=("src/train.py:16",),
            repaired={
                "src/train.py": _HEAD
                + "def fit(cfg):\n    if wandb.run is not None:\n        wandb.log({'loss': 1.0})\n"
                "    return 1.0\n\ndef make(cfg):\n    def objective(trial):\n        return fit(cfg)\n"
                "    return objective\n\ndef main(cfg):\n"
                "    optuna.create_study().optimize(make(cfg), n_trials=9)\n    wandb.init(project='a')\n"
            },
        ),
        Example(
            {"src/train.py": _HEAD + _FIT + _SEARCH},
            at=("src/train.py:12",),
            repaired={
                "src/train.py": _HEAD
                + _FIT
                + _SEARCH.replace("    return fit", "    cfg.wandb.mode = 'disabled'\n    return fit")
            },
        ),
        Example(
            {
                "src/train.py": "import optuna\nfrom optuna.integration import WeightsAndBiasesCallback\n\n"
                "study.optimize(objective, callbacks=[WeightsAndBiasesCallback()])\n"
            },
            at=("src/train.py:4",),
            repaired={"src/train.py": "import optuna\n\nstudy.optimize(objective)\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        mode = run_mode(project)
        if never_searches(project):
            return
        switches = any(_switches(node) for file in mode.files for node in file.nodes_of(ast.Subscript))
        for file, call in mode.searches():
            given = [item for item in call.keywords if item.arg == "callbacks"]
            named = {part for item in given for part in _names(item.value)}
            if named & _CALLBACKS:
                yield self.finding(
                    file.path, call, symbol=file.symbol_of(call) or None, called=sorted(named & _CALLBACKS)[0]
                )
                continue
            objective = mode.objective(file, call)
            if objective is None:
                continue
            if switches:
                yield Undecided("W&B may be switched off around the search")
                continue
            logged = self._logged(mode, *objective, begun=_is_begun(file, call))
            if logged is not None:
                home, place, name = logged
                yield self.finding(
                    file.path,
                    call,
                    symbol=file.symbol_of(call) or None,
                    frames=(Frame(home.path, place.lineno),),
                    called=f"{name} in {home.path}:{place.lineno}",
                )

    def _logged(
        self, mode: RunMode, file: PythonFile, function: FunctionNode, *, begun: bool
    ) -> tuple[PythonFile, ast.Call, str] | None:
        """The first call that writes to W&B which the objective certainly reaches."""
        pending: list[tuple[PythonFile, FunctionNode, int]] = [(file, function, 0)]
        seen: set[FunctionNode] = set()
        while pending:
            home, node, depth = pending.pop()
            if node in seen or depth > 4:
                continue
            seen.add(node)
            inner = list(scope_nodes(node))
            if any(_switches(part) for part in inner):
                return None
            for part in inner:
                if not isinstance(part, ast.Call):
                    continue
                tests = list(tests_around(home, part))
                # `if wandb.run is not None:` holds where a run was begun before the search
                if not all(begun and _asks_for_run(home, test) for test in tests):
                    continue
                name = home.qualified(part.func)
                if name == "wandb.init" and not any(item.arg in ("mode", None) for item in part.keywords):
                    return home, part, name
                # without a run nothing can be written to
                if name in _LOGS and begun:
                    return home, part, name
                own = mode.own.called(home, part.func)
                if own is not None and not _passes_switch(part):
                    pending.append((*own, depth + 1))
        return None


def _is_begun(file: PythonFile, call: ast.Call) -> bool:
    """Whether the function that searches begins a W&B run before it does, and does not end it."""
    scope = file.function_of(call) or file.tree
    assert scope is not None
    before = [node for node in scope_nodes(scope) if isinstance(node, ast.Call) and node.lineno < call.lineno]
    names = [file.qualified(node.func) for node in before]
    return "wandb.init" in names and not any(last_part(node.func) == "finish" for node in before)


def _asks_for_run(file: PythonFile, test: ast.expr) -> bool:
    """Whether a condition is `wandb.run` or `wandb.run is not None`."""
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.IsNot):
        test = test.left
    return file.qualified(test) == "wandb.run"


def _names(node: ast.AST) -> set[str]:
    return {last_part(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)} | {
        last_part(part.func) for part in ast.iter_child_nodes(node) if isinstance(part, ast.Call)
    }


def _switches(node: ast.AST) -> bool:
    """Whether a node may switch W&B off: it sets a mode, an environment variable, or says `disabled`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return "disabled" in node.value or "WANDB_" in node.value
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and str(node.slice.value).startswith("WANDB_")
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return "wandb" in words(node) or "track" in words_of(node.attr)
    return False


def _passes_switch(call: ast.Call) -> bool:
    """Whether a call hands over something that may tell the function not to log."""
    given = [item.value for item in call.keywords] + list(call.args)
    named = {word for item in call.keywords for word in words_of(item.arg or "wandb")}
    return bool(named & {"wandb", "log", "track", "tracking", "logging", "logger", "run", "trial"}) or any(
        isinstance(item, ast.Constant) and (item.value is None or isinstance(item.value, bool)) for item in given
    )
