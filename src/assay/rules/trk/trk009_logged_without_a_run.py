"""TRK009: something is logged where no run was created."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.certain_calls import CertainCalls
from assay.analysis.import_time import catches
from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value
from assay.analysis.tracking_imports import files_besides_evaluate, logs_through_library
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_ERRORS = frozenset({"Error", "AttributeError", "Exception", "BaseException"})
_GUARD = re.compile(r"wandb|track|log|trial|mode|disabled|enabled|\brun\b|_run\b|\bwb", re.IGNORECASE)
_MAX_CALLS = 100
_INIT = "if cfg.mode != 'trial':\n    wandb.init(id=cfg.run_id)\n"
_MAIN = "import src.train\n"


def _train(body: str) -> dict[str, str]:
    return {"src/main.py": _MAIN, "src/train.py": "import wandb\n\n" + body}


class LoggedWithoutARun(Rule):
    """`wandb.log`, `wandb.summary` and `wandb.run` need a run: without `wandb.init` before them, W&B raises an error.

    A program that leaves `wandb.init` out in trial mode has to leave these out as well. It is simpler to call
    `wandb.init(mode="disabled")` there: everything else then stays as it is. Setting WANDB_MODE does not help, as it
    only says how a run is created.

    The finding blocks where every `wandb.init` is left out in trial mode and the logging certainly happens. Where it
    happens on a condition that has nothing to do with tracking, it is a warning.
    """

    code = "TRK009"
    name = "logged-without-a-run"
    requirements = ("E6.5", "E2.5", "E9.2")
    consequence = Consequence.CRASHES
    message = "{what} is used although no run is created in trial mode"
    explanation = "W&B raises an error: wandb.init() has to be called before {what}."
    repair = "Call wandb.init(mode='disabled') in trial mode, or leave {what} out there too."

    VALID = (
        Example(_train(_INIT + "if wandb.run is not None:\n    wandb.log({'loss': 1.0})\n")),
        Example(_train(_INIT + "if cfg.mode != 'trial':\n    wandb.log({'loss': 1.0})\n")),
        Example(_train("wandb.init(mode='disabled' if cfg.mode == 'trial' else 'online')\nwandb.log({'loss': 1.0})\n")),
        Example(_train(_INIT + "else:\n    wandb.init(mode='disabled')\nwandb.log({'loss': 1.0})\n")),
        Example(_train(_INIT + "try:\n    wandb.log({'loss': 1.0})\nexcept Exception:\n    pass\n")),
        Example(_train(_INIT + "if cfg.mode == 'trial':\n    raise SystemExit\nwandb.log({'loss': 1.0})\n")),
        # the branch for a trial creates a run of its own and leaves
        Example(
            _train(
                "def start(cfg):\n    if cfg.mode == 'trial':\n        return wandb.init(mode='disabled')\n"
                "    return wandb.init(id=cfg.run_id)\n\n\nstart(cfg)\nwandb.log({'loss': 1.0})\n"
            )
        ),
        # a wrapper may create the run
        Example(_train(_INIT + "start_tracking()\nwandb.log({'loss': 1.0})\n")),
        Example(_train("if cfg.resume:\n    wandb.init(id=cfg.run_id)\nwandb.log({'loss': 1.0})\n")),
    )
    INVALID = (
        Example(
            _train(_INIT + "for step in range(3):\n    wandb.log({'loss': 1.0})\n"),
            at=("src/train.py:6",),
            repaired=_train("wandb.init(mode=cfg.wandb.mode)\nfor step in range(3):\n    wandb.log({'loss': 1.0})\n"),
        ),
        Example(
            _train(
                "def start(cfg):\n    if cfg.wandb.mode == 'disabled':\n        return None\n    return wandb.init(id=cfg.run_id)\n\n\n"
                "if cfg.mode == 'trial':\n    cfg.wandb.mode = 'disabled'\nstart(cfg)\nwandb.summary['best'] = 1.0\n"
            ),
            at=("src/train.py:12",),
            repaired=_train("wandb.init(mode=cfg.wandb.mode)\nwandb.summary['best'] = 1.0\n"),
        ),
        # it depends on something else: a warning
        Example(
            _train(_INIT + "if torch.cuda.is_available():\n    wandb.log({'power': 1.0})\n"), at=("src/train.py:6",)
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        files = files_besides_evaluate(project)
        if any(file.tree is None or logs_through_library(file) for file in files):
            return
        inits = [(file, call) for file in files for call, name in file.calls if _creates(name)]
        disables = any(_sets_disabled_in_trial(file) for file in files)
        if not inits or not all(_is_skipped(file, call, disables) for file, call in inits):
            return
        if any(
            item.module.partition(".")[0] in ("accelerate", "lightning", "pytorch_lightning", "assay")
            for file in files
            for item in file.imports
        ):
            return
        if any(
            "wandb" in name.lower() or "track" in name.lower() for file in files for name in _foreign(project, file)
        ):
            return
        logging = [(file, node, what) for file in files for node in file.nodes if (what := _needs_run(file, node))]
        uses = used_names(project.python.values() if logging else ())
        for file, node, what in logging[:_MAX_CALLS]:
            if catches(file, node, _ERRORS) or is_dead(file, node, uses):
                continue
            if _is_guarded(file, node) or _stops_in_trial(file, node):
                continue
            function = file.function_of(node)
            if function is not None and _calls_are_guarded(files, function):
                continue
            yield self.finding(
                file.path,
                node,
                severity=None if project.shared(CertainCalls).runs(file, node) else Severity.WARNING,
                symbol=file.symbol_of(node) or None,
                what=what,
                frames=tuple(Frame(other.path, call.lineno) for other, call in inits[:4]),
            )
            return


def _creates(name: str) -> bool:
    return name.rpartition(".")[2] in ("init", "setup_wandb", "init_trackers") and (
        name.startswith("wandb.") or "wandb" in name or name.endswith("init_trackers")
    )


def _needs_run(file: PythonFile, node: ast.AST) -> str | None:
    """What a node uses that is there only once a run was created."""
    if isinstance(node, ast.Call) and file.qualified(node.func) == "wandb.log":
        return "wandb.log"
    if isinstance(node, ast.Attribute) and file.qualified(node) == "wandb.summary":
        return "wandb.summary"
    return None


def _tests_around(file: PythonFile, node: ast.AST) -> Iterator[tuple[ast.expr, bool]]:
    """The tests that decide whether a node runs once its function does, and whether they have to hold."""
    child = node
    for up in file.ancestors(node):
        if isinstance(up, FunctionNode):
            return
        if isinstance(up, ast.If | ast.IfExp | ast.While) and child is not up.test:
            body = up.body if isinstance(up.body, list) else [up.body]
            yield up.test, child in body
        elif isinstance(up, ast.BoolOp) and child is not up.values[0]:
            yield up.values[0], isinstance(up.op, ast.And)
        child = up


def _is_skipped(file: PythonFile, call: ast.Call, disables: bool) -> bool:
    """Whether trial mode certainly passes a `wandb.init` by."""
    if any(
        _holds_in_trial(test, disables) is not holds
        for test, holds in _tests_around(file, call)
        if _known(test, disables)
    ):
        return True
    function = file.function_of(call)
    for statement in function.body if function is not None else ():
        if statement.lineno >= call.lineno:
            return False
        leaves = isinstance(statement, ast.If) and any(isinstance(item, ast.Return) for item in statement.body)
        if isinstance(statement, ast.If) and leaves and _holds_in_trial(statement.test, disables) is True:
            # the branch that leaves may be the one that creates a run
            return statement not in file.ancestors(call)
    return False


def _known(test: ast.expr, disables: bool) -> bool:
    return _holds_in_trial(test, disables) is not None


def _holds_in_trial(test: ast.expr, disables: bool) -> bool | None:
    """Whether a test holds in trial mode; None where that cannot be told."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _holds_in_trial(test.operand, disables)
        return None if inner is None else not inner
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    text = string_value(test.comparators[0])
    left = test.left
    if not isinstance(left, ast.Attribute) or left.attr != "mode" or text is None:
        return None
    of_wandb = isinstance(left.value, ast.Attribute) and left.value.attr == "wandb"
    if of_wandb and not disables:
        return None
    same = text == ("disabled" if of_wandb else "trial")
    if isinstance(test.ops[0], ast.Eq):
        return same
    return not same if isinstance(test.ops[0], ast.NotEq) else None


def _sets_disabled_in_trial(file: PythonFile) -> bool:
    """Whether a file sets the mode of W&B to `disabled` under a test for trial mode, and does so as a whole."""
    for node in file.nodes_of(ast.Assign):
        if string_value(node.value) == "disabled":
            target = node.targets[0]
            if isinstance(target, ast.Attribute) and target.attr == "mode" and isinstance(target.value, ast.Attribute):
                tests = list(_tests_around(file, node))
                if (
                    len(tests) == 1
                    and target.value.attr == "wandb"
                    and _holds_in_trial(tests[0][0], False) is tests[0][1]
                ):
                    return True
    return False


def _is_guarded(file: PythonFile, node: ast.AST) -> bool:
    """Whether anything that decides about a node has to do with tracking or the mode."""
    return any(_names_tracking(test) for test, _ in _tests_around(file, node))


def _names_tracking(test: ast.expr) -> bool:
    for part in descend(test):
        text = (
            part.id
            if isinstance(part, ast.Name)
            else part.attr
            if isinstance(part, ast.Attribute)
            else string_value(part)
        )
        if text and _GUARD.search(text):
            return True
    return False


def _stops_in_trial(file: PythonFile, node: ast.AST) -> bool:
    """Whether the function leaves before a node on a condition that has to do with tracking or the mode."""
    function = file.function_of(node)
    before = [
        other
        for other in descend(function or file.nodes[0])
        if isinstance(other, ast.If) and other.lineno < getattr(node, "lineno", 0)
    ]
    return any(
        file.function_of(other) is function
        and _names_tracking(other.test)
        and any(isinstance(item, ast.Return | ast.Raise | ast.Continue) for item in other.body)
        for other in before
    )


def _calls_are_guarded(files: list[PythonFile], function: FunctionNode) -> bool:
    """Whether some call of a function, or of what it stands in, is guarded."""
    for file in files:
        for call, name in file.calls:
            if name.rpartition(".")[2] == function.name and (_is_guarded(file, call) or _stops_in_trial(file, call)):
                return True
    return False


def _foreign(project: Project, file: PythonFile) -> Iterator[str]:
    """Names of functions that are called and that no file of the submission defines."""
    own = {function.name for other in project.python.values() for function in other.functions}
    for _, name in file.calls:
        last = name.rpartition(".")[2]
        if last and last not in own and not name.startswith("wandb."):
            yield last
