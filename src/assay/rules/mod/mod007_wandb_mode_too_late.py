"""MOD007: W&B's mode is set after W&B was started."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.expressions import last_part
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, string_value
from assay.analysis.tracking_mode import unproved_tracking_mode
from assay.finding import Frame
from assay.rules.rule import Example, Outcome, Rule, Undecided

_MAX_PLACES = 50
_VARIABLES = frozenset({"WANDB_MODE", "WANDB_DISABLED"})
_HEAD = "import os\nimport wandb\n\n"


class WandbModeTooLate(Rule):
    """`wandb.init` reads the mode when it is called. Set afterwards, `WANDB_MODE` or `wandb.mode` changes nothing: the run is
    already online.

    The rule blocks where a `wandb.init` is followed, in the same sequence of statements, by the only place in the program
    that disables W&B or says in which mode it works. The requirement is met where train starts W&B in one place, gives it
    its mode there, and provably sets that mode nowhere afterwards.
    """

    code = "MOD007"
    name = "wandb-mode-too-late"
    requirements = ("E6.5",)
    decides = ("E6.5",)
    message = "W&B's mode is set after wandb.init (line {line})"
    explanation = "wandb.init has read the mode already, so this has no effect on the run."
    repair = "Set the mode before wandb.init."

    VALID = (
        Example({"src/train.py": _HEAD + "os.environ['WANDB_MODE'] = 'disabled'\nwandb.init(project='a')\n"}),
        Example(
            {
                "src/train.py": _HEAD + "def track():\n    wandb.init(project='a')\n\n"
                "os.environ['WANDB_MODE'] = 'disabled'\ntrack()\n"
            }
        ),
        Example(
            {
                "src/train.py": _HEAD + "if cfg.wandb.mode != 'disabled':\n    wandb.init(project='a')\nelse:\n"
                "    os.environ['WANDB_MODE'] = 'disabled'\n"
            }
        ),
        # for the next run
        Example(
            {
                "src/train.py": _HEAD + "cfg.wandb.mode = 'online'\nwandb.init(mode=cfg.wandb.mode)\nwandb.finish()\n"
                "cfg.wandb.mode = 'disabled'\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + "wandb.init(project='a')\nos.environ['WANDB_MODE'] = 'disabled'\n"},
            at=("src/train.py:5",),
            repaired={"src/train.py": _HEAD + "os.environ['WANDB_MODE'] = 'disabled'\nwandb.init(project='a')\n"},
        ),
        Example(
            {
                "src/train.py": _HEAD + "wandb.init(project='a', mode=cfg.wandb.mode)\nif cfg.mode == 'trial':\n"
                "    cfg.wandb.mode = 'disabled'\n"
            },
            at=("src/train.py:6",),
            repaired={
                "src/train.py": _HEAD + "if cfg.mode == 'trial':\n    cfg.wandb.mode = 'disabled'\n"
                "wandb.init(project='a', mode=cfg.wandb.mode)\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if unproved := unproved_tracking_mode(project):
            yield Undecided(unproved)
        places = [(file, node) for file in project.python.values() for node in file.nodes if _sets_mode(node)]
        if len(places) > _MAX_PLACES:
            return
        late = [(file, node, begun) for file, node in places if (begun := _begun_before(file, node)) is not None]
        # another place may have set it in time
        if len(late) != len(places) or any(_speaks_of_mode(file) for file in project.python.values()):
            return
        for file, node, begun in late:
            yield self.finding(
                file.path, node, symbol=file.symbol_of(node) or None, frames=(Frame(file.path, begun),), line=begun
            )


def _sets_mode(node: ast.AST) -> bool:
    """Whether a node sets WANDB_MODE, or `cfg.wandb.mode`."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Subscript) and string_value(target.slice) in _VARIABLES:
                return True
            if isinstance(target, ast.Attribute | ast.Subscript) and last_part(target) == "mode":
                return last_part(target.value) == "wandb"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        return any(string_value(item) in (*_VARIABLES, "wandb.mode") for item in call.args)
    return False


def _begun_before(file: PythonFile, node: ast.AST) -> int | None:
    """The line of a `wandb.init` that certainly runs before a node of the same function, with no end of the run between."""
    child: ast.AST = node
    for up in file.ancestors(node):
        if isinstance(up, ast.ExceptHandler):
            # after an error, for a second try
            return None
        for _, block in ast.iter_fields(up):
            if not isinstance(block, list) or child not in block:
                continue
            line = None
            for statement in block[: block.index(child)]:
                for part in _certain(statement):
                    if isinstance(part, ast.Call):
                        name = file.qualified(part.func)
                        if name == "wandb.init":
                            line = part.lineno
                        elif last_part(part.func) == "finish":
                            line = None
            if line is not None:
                return line
        if isinstance(up, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return None
        child = up
    return None


def _certain(statement: ast.stmt) -> Iterator[ast.AST]:
    """The nodes of a plain statement; those of compound ones and of definitions may not run."""
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr):
        yield from descend(statement)
    elif isinstance(statement, ast.With):
        for inner in statement.body:
            if isinstance(inner, ast.Assign | ast.AnnAssign | ast.Expr):
                yield from descend(inner)


def _speaks_of_mode(file: PythonFile) -> bool:
    """Whether an override for another process sets the mode."""
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and "wandb.mode=" in node.value
        for node in file.nodes
    )
