"""LCH002: main does not look at how its child ended."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.configuration_loading import string_constants
from assay.analysis.own_library import LAUNCH, is_hidden
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword, string_value
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_RUNS = frozenset({"subprocess.run", "subprocess.call", "os.system"})
# Each child costs a look at its whole function.
_MAX_CHILDREN = 20
_ENDINGS = ("returncode", "check_returncode", "poll")


def _main(call: str) -> dict[str, str]:
    return {
        "src/main.py": f"import os\nimport subprocess\nimport sys\n\ncmd = [sys.executable, '-m', 'src.train']\n{call}"
    }


def _library(given: str) -> dict[str, str]:
    head = "from assay.runtime import experiment, launch\n\n\n@experiment\ndef main(cfg, run):\n"
    return {"src/main.py": f'{head}    launch("src.train", {given})\n\n\nmain()\n'}


class IgnoredFailure(Rule):
    """main starts train as a process of its own and ignores its exit status.

    A run that crashed then looks like one that ended: main returns success, and evaluation starts on results that
    are not there, or on those of an earlier run.
    """

    code = "LCH002"
    name = "ignored-child-failure"
    requirements = ("E2.3", "B4.2", "D5.2")
    severity = Severity.WARNING
    message = "the exit status of this child is not looked at"
    explanation = "main ends with success although the run failed."
    repair = "Pass `check=True`, or stop where the return code is not 0."

    VALID = (
        Example(_library("run.arguments")),
        Example(_main("subprocess.run(cmd, check=True)\n")),
        Example(_main("subprocess.check_call(cmd)\n")),
        Example(_main("result = subprocess.run(cmd)\nif result.returncode:\n    sys.exit(result.returncode)\n")),
        Example(_main("proc = subprocess.Popen(cmd)\nproc.wait()\nif proc.returncode != 0:\n    sys.exit(1)\n")),
        Example(_main("sys.exit(subprocess.call(cmd))\n")),
        Example(_main("status = os.system(' '.join(cmd))\nassert status == 0\n")),
        # not the child that trains
        Example(_main("subprocess.run(['git', 'rev-parse', 'HEAD'])\nsubprocess.run(cmd, check=True)\n")),
        Example(_main("def launch():\n    return subprocess.run(cmd)\n\n\nlaunch().check_returncode()\n")),
    )
    INVALID = (
        Example(_library("run.arguments, check=False"), at=("src/main.py:6",)),
        Example(_main("subprocess.run(cmd)\n"), at=("src/main.py:6",)),
        Example(_main("proc = subprocess.Popen(cmd)\nproc.wait()\n"), contract="base", at=("src/main.py:6",)),
        Example(
            _main("result = subprocess.run(cmd, capture_output=True)\nprint(result.stdout)\n"), at=("src/main.py:6",)
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        main = project.role("main")
        if main is None or not any(text.endswith(("src.train", "train.py")) for text in string_constants(main)):
            return
        children = [(call, name) for call, name in main.calls if name in _RUNS or name == "subprocess.Popen"]
        for call, name in main.calls:
            check = keyword(call, "check") if name == LAUNCH else None
            is_unchecked = isinstance(check, ast.Constant) and not check.value
            if (
                is_unchecked
                and isinstance(main.parents.get(call), ast.Expr)
                and not is_hidden(project.submission.files)
            ):
                yield self.finding(main.path, call, symbol=main.symbol_of(call) or None)
        for call, name in children[:_MAX_CHILDREN]:
            if name in _RUNS:
                check = keyword(call, "check")
                unchecked = check is None or (isinstance(check, ast.Constant) and not check.value)
                ignored = unchecked and _is_dropped(main, call)
            else:
                ignored = _never_asked(main, call)
            if ignored and not _is_other_program(call) and not any(item.arg is None for item in call.keywords):
                yield self.finding(main.path, call, symbol=main.symbol_of(call) or None)


def _is_dropped(file: PythonFile, call: ast.Call) -> bool:
    """Whether nobody asks for the result of a call: it is not kept, or kept and its status never named."""
    parent = file.parents.get(call)
    if isinstance(parent, ast.Expr):
        return True
    name = _kept_as(parent)
    if not name:
        return False
    scope = file.function_of(call) or file.tree
    for node in descend(scope) if scope else ():
        if not (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)):
            continue
        above = file.parents.get(node)
        if not isinstance(above, ast.Attribute) or above.attr in _ENDINGS:
            return False
    return True


def _never_asked(file: PythonFile, call: ast.Call) -> bool:
    """Whether a child is kept in a plain name and neither its status nor the result of its `wait()` is used."""
    parent = file.parents.get(call)
    name = parent.optional_vars.id if _is_named_item(parent) else _kept_as(parent)  # type: ignore[union-attr]
    scope = file.function_of(call) or file.tree
    if not name or scope is None:
        return False
    for node in descend(scope):
        if not (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)):
            continue
        above = file.parents.get(node)
        if not isinstance(above, ast.Attribute) or above.attr in _ENDINGS:
            return False
        around = file.parents.get(above)
        if above.attr == "wait" and isinstance(around, ast.Call) and not isinstance(file.parents.get(around), ast.Expr):
            return False
    return True


def _is_named_item(node: ast.AST | None) -> bool:
    return isinstance(node, ast.withitem) and isinstance(node.optional_vars, ast.Name)


def _kept_as(node: ast.AST | None) -> str:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return ""


def _is_other_program(call: ast.Call) -> bool:
    """Whether the command is spelled out in the call and does not start train."""
    command = call.args[0] if call.args else keyword(call, "args")
    if not isinstance(command, ast.List | ast.Tuple | ast.Constant | ast.JoinedStr):
        return False
    return not any("train" in (string_value(node) or "") for node in descend(command))
