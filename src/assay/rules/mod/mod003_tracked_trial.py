"""MOD003: W&B is not disabled in trial mode."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.expressions import last_part, words
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword
from assay.analysis.run_mode import run_mode
from assay.rules.rule import Example, Outcome, Rule, Undecided

_TURNS_OFF = ("disabled", "dryrun", "offline", "WANDB_", "report_to", "wandb.mode")
_ASKS = "import wandb\n\nif cfg.mode == 'trial':\n    cfg.training.epochs = 1\n"


class TrackedTrial(Rule):
    """A trial is no experiment: the contract asks that W&B is disabled in it, so that neither a key is needed nor a run
    appears that evaluate could take for a real one.

    The rule blocks where `wandb.init` runs in every mode and nothing in the program or its configuration disables W&B, and
    where `wandb.mode` is set to `disabled` but nothing reads it.
    """

    code = "MOD003"
    name = "tracked-trial"
    requirements = ("E2.5",)
    message = "W&B is not disabled in trial mode{why}"
    explanation = "A trial then needs a key and leaves a run that looks like a result."
    repair = "Set wandb.mode to disabled where mode is trial, and give it to wandb.init(mode=...)."

    VALID = (
        Example(
            {
                "src/train.py": _ASKS
                + "    cfg.wandb.mode = 'disabled'\nwandb.init(project='a', mode=cfg.wandb.mode)\n",
            }
        ),
        Example({"src/train.py": _ASKS + "else:\n    wandb.init(project='a')\n"}),
        Example({"src/train.py": _ASKS + "    os.environ['WANDB_MODE'] = 'disabled'\nwandb.init(project='a')\n"}),
        Example({"src/train.py": _ASKS + "if track:\n    wandb.init(project='a')\n"}),
        Example({"src/train.py": _ASKS + "    cfg.wandb.mode = 'disabled'\nwandb.init(**cfg.wandb)\n"}),
    )
    INVALID = (
        Example(
            {"src/train.py": _ASKS + "wandb.init(project='a')\n"},
            at=("src/train.py:5",),
            repaired={
                "src/train.py": _ASKS
                + "    cfg.wandb.mode = 'disabled'\nwandb.init(project='a', mode=cfg.wandb.mode)\n"
            },
        ),
        Example(
            {"src/train.py": _ASKS + "    cfg.wandb.mode = 'disabled'\nwandb.init(project='a')\n"},
            at=("src/train.py:6",),
            repaired={
                "src/train.py": _ASKS
                + "    cfg.wandb.mode = 'disabled'\nwandb.init(project='a', mode=cfg.wandb.mode)\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        mode = run_mode(project)
        evaluate = project.role("evaluate")
        if any(file.tree is None for file in project.python.values()):
            return
        begun = [
            (file, call)
            for file in mode.files
            if file is not evaluate
            for call, name in file.calls
            if name == "wandb.init" and keyword(call, "mode") is None and all(item.arg for item in call.keywords)
        ]
        others = any(
            name in ("wandb.init", "wandb.setup") and (file, call) not in begun
            for file in mode.files
            for call, name in file.calls
        )
        if not begun or others or not mode.questions:
            return
        texts = [
            (file, node)
            for file in mode.files
            for node in file.nodes_of(ast.Constant)
            if isinstance(node.value, str) and not _is_doc(file, node)
        ]
        signs = [node for _, node in texts if any(sign in str(node.value) for sign in _TURNS_OFF)]
        set_only = bool(signs) and all(_only_sets_mode(file, node) for file, node in texts if node in signs)
        if (signs and not set_only) or any(_TURNS_OFF[0] in file.text for file in project.yaml.values()):
            return
        if set_only and any(_reads_wandb_mode(file) for file in mode.files):
            return
        if any(
            {"wandb", "environ", "putenv"} & set(words(k))
            for f in mode.files
            for n in f.nodes_of(ast.Call)
            if last_part(n.func) in ("update", "setdefault", "putenv")
            for k in n.args[:1]
        ):
            return  # fmt: skip
        for file, call in begun:
            conditions = mode.conditions(file, call)
            if conditions is None or conditions:
                yield Undecided("whether wandb.init runs in a trial depends on more than can be read")
                return
        file, call = begun[0]
        yield self.finding(
            file.path, call, symbol=file.symbol_of(call) or None,
            why=": wandb.mode is set, and nothing reads it" if set_only else "",
        )  # fmt: skip


def _is_doc(file: PythonFile, node: ast.AST) -> bool:
    return isinstance(file.parents.get(node), ast.Expr)


def _only_sets_mode(file: PythonFile, node: ast.AST) -> bool:
    """Whether a text is what `cfg.wandb.mode` is set to in this program."""
    up = file.parents.get(node)
    return (
        isinstance(up, ast.Assign)
        and len(up.targets) == 1
        and isinstance(up.targets[0], ast.Attribute)
        and up.targets[0].attr == "mode"
        and last_part(up.targets[0].value) == "wandb"
    )


def _reads_wandb_mode(file: PythonFile) -> bool:
    """Whether anything reads `wandb.mode`, or takes the section as a whole."""
    for node in file.nodes:
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Load):
            if last_part(node) == "mode" and last_part(node.value) == "wandb":
                return True
            whole = last_part(node) == "wandb" and not isinstance(file.parents.get(node), ast.Attribute | ast.Subscript)
            if whole:
                return True
        elif (isinstance(node, ast.Call) and last_part(node) == "mode") or (
            isinstance(node, ast.Constant) and node.value == "wandb.mode"
        ):
            return True
    return any(isinstance(node, ast.Call) and last_part(node.func) == "getattr" for node in descend(file.nodes[0]))
