"""TRK010: something is logged after the run was finished."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.import_time import catches
from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend
from assay.analysis.tracking_imports import files_besides_evaluate
from assay.finding import Frame
from assay.rules.rule import Example, Outcome, Rule

_ERRORS = frozenset({"Error", "UsageError", "AttributeError", "Exception", "BaseException"})
_MAX_CALLS = 50
_BLOCKS = ("body", "orelse", "finalbody")
_INIT = "import wandb\n\nrun = wandb.init(id=run_id)\n"


class LoggedAfterFinish(Rule):
    """`finish` closes a run. What is logged or written into its summary afterwards is not recorded: W&B raises an error, or
    says that it ignores the call.

    The rule looks at statements that follow `finish()` in the same block, without a new `wandb.init` or a call of the
    submission's own functions between them.
    """

    code = "TRK010"
    name = "logged-after-finish"
    requirements = ("E6.1", "E6.2")
    message = "{what} is used after the run was finished"
    explanation = "The value is not recorded, and W&B may end the program with an error."
    repair = "Call finish once everything is logged."

    VALID = (
        Example({"src/train.py": _INIT + "run.log({'loss': 1.0})\nrun.finish()\nprint(run.id)\n"}),
        Example({"src/train.py": _INIT + "wandb.finish()\nrun = wandb.init(id=other)\nrun.log({'loss': 1.0})\n"}),
        Example({"src/train.py": _INIT + "for seed in range(3):\n    run.log({'seed': seed})\nwandb.finish()\n"}),
        Example({"src/train.py": _INIT + "if done:\n    run.finish()\nrun.log({'loss': 1.0})\n"}),
        Example({"src/train.py": _INIT + "first.finish()\nrun.log({'loss': 1.0})\n"}),
        Example(
            {
                "src/train.py": _INIT
                + "wandb.finish()\nstart()\nwandb.log({'loss': 1.0})\n\n\ndef start():\n    wandb.init()\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _INIT + "run.finish()\nrun.summary['best'] = 1.0\n"},
            at=("src/train.py:5",),
            repaired={"src/train.py": _INIT + "run.summary['best'] = 1.0\nrun.finish()\n"},
        ),
        Example(
            {"src/train.py": _INIT + "wandb.finish()\nprint('done')\nwandb.log({'test': 1.0})\n"},
            at=("src/train.py:6",),
            repaired={"src/train.py": _INIT + "wandb.log({'test': 1.0})\nwandb.finish()\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        uses = used_names(project.python.values())
        own = {function.name for file in project.python.values() for function in file.functions}
        for file in files_besides_evaluate(project):
            finishing = [(call, name) for call, name in file.calls if name.endswith(".finish")]
            for call, name in finishing[:_MAX_CALLS]:
                if not name.endswith(".finish") or name.count(".") != 1 or call.args:
                    continue
                statement = file.parents.get(call)
                if not isinstance(statement, ast.Expr) or is_dead(file, call, uses):
                    continue
                holder = name.removesuffix(".finish")
                found = _used_afterwards(file, statement, holder, own)
                if found is not None and not catches(file, found, _ERRORS) and _is_run(file, holder):
                    yield self.finding(
                        file.path,
                        found,
                        symbol=file.symbol_of(found) or None,
                        what=file.qualified(found),
                        frames=(Frame(file.path, call.lineno),),
                    )


def _is_run(file: PythonFile, holder: str) -> bool:
    """Whether a name stands for W&B, or for a run that the file creates with it."""
    if holder == "wandb":
        return True
    for call, name in file.calls:
        parent = file.parents.get(call)
        if name == "wandb.init" and isinstance(parent, ast.Assign):
            return any(isinstance(target, ast.Name) and target.id == holder for target in parent.targets)
    return False


def _used_afterwards(file: PythonFile, statement: ast.stmt, holder: str, own: set[str]) -> ast.Attribute | None:
    """Where the statements after one in the same block log to the same run, before anything may have made a new one."""
    block = file.parents.get(statement)
    lists = (getattr(block, name, None) for name in _BLOCKS)
    for statements in lists:
        if not isinstance(statements, list) or statement not in statements:
            continue
        after = statements.index(statement) + 1
        for later in statements[after : after + _MAX_CALLS]:
            if not isinstance(later, ast.Expr | ast.Assign | ast.For | ast.AnnAssign):
                return None
            for node in descend(later):
                if isinstance(node, ast.Name) and node.id == holder and not isinstance(node.ctx, ast.Load):
                    return None
                if isinstance(node, ast.Call):
                    last = file.qualified(node.func).rpartition(".")[2]
                    if last in own or last in ("init", "") or "init" in last:
                        return None
            for node in descend(later):
                written = (
                    isinstance(node, ast.Attribute) and node.attr in ("log", "summary") and _is_written(file, node)
                )
                if isinstance(node, ast.Attribute) and written and file.qualified(node.value) == holder:
                    return node
    return None


def _is_written(file: PythonFile, node: ast.Attribute) -> bool:
    above = file.parents.get(node)
    if node.attr == "log":
        return isinstance(above, ast.Call) and above.func is node
    if isinstance(above, ast.Subscript):
        return isinstance(above.ctx, ast.Store)
    return isinstance(above, ast.Attribute) and above.attr == "update"
