"""TRK003: the W&B run is not created as the contract wants it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword, string_value
from assay.analysis.text_pattern import PatternReader
from assay.analysis.tracking_imports import files_besides_evaluate, logs_through_library, names_wandb
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_HEAD = "import wandb\nfrom omegaconf import OmegaConf\n"
_WHOLE = (
    _HEAD + "run = wandb.init(id=cfg.run_id, resume='allow', config=OmegaConf.to_container(cfg, resolve=True))\n"
    "print(run.url)\n"
)
_REFUSED = (None, False, "never")


class WandbRun(Rule):
    """A run in W&B is found again by its id. `wandb.init` in train takes the run id as `id`, allows `resume`, and records
    the resolved configuration; then train prints the run's address.

    Without the id, W&B invents one and evaluate finds nothing under the run's own. Without `resume`, a repeated command
    overwrites the run or fails. A configuration that is not resolved keeps `${...}` in place of values. Calls that take
    their arguments from a `**` mapping, and calls with `mode="disabled"`, are not judged.
    """

    code = "TRK003"
    name = "wandb-run"
    requirements = ("E6.8",)
    message = "the W&B run is created without {missing}"
    explanation = "Evaluate looks the run up by its run id and reads its recorded configuration."
    repair = "Call wandb.init with id=<run id>, resume='allow', config=OmegaConf.to_container(cfg, resolve=True), and print run.url."

    VALID = (
        Example({"src/train.py": _WHOLE}),
        Example({"src/train.py": _HEAD + "wandb.init(mode='disabled')\n"}),
        Example({"src/train.py": _HEAD + "wandb.init(**settings)\n"}),
        Example(
            {
                "src/train.py": "import os, wandb\nos.environ['WANDB_RUN_ID'] = cfg.run_id\nos.environ['WANDB_RESUME'] = 'allow'\n"
                "wandb.init(project='p')\nwandb.config.update(dict(a=1))\nprint(wandb.run.get_url())\n"
            }
        ),
        # the configuration is recorded after the run was created
        Example(
            {
                "src/train.py": _HEAD + "run = wandb.init(id=cfg.run_id, resume='allow')\n"
                "wandb.config = OmegaConf.to_container(cfg, resolve=True)\nprint(run.url)\n"
            }
        ),
        Example(
            {
                "src/train.py": "import os, wandb\nos.environ.update(WANDB_RUN_ID=cfg.run_id, WANDB_RESUME='allow')\n"
                "run = wandb.init(config=dict(a=1))\nrun.config['b'] = 2\nprint(run.url)\n"
            }
        ),
        Example(
            {"src/train.py": "from transformers import Trainer, TrainingArguments\nTrainer(args=TrainingArguments())\n"}
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": _HEAD + "run = wandb.init(project='p')\nprint(run.url)\n"},
            at=("src/train.py:3",),
            repaired={"src/train.py": _WHOLE},
        ),
        Example(
            {"src/train.py": _WHOLE.replace("'allow'", "False")},
            at=("src/train.py:3",),
            repaired={"src/train.py": _WHOLE},
        ),
        # it is created well, but where to look is not said: a warning
        Example({"src/train.py": _WHOLE.replace("print(run.url)\n", "")}, at=("src/train.py:3",)),
        Example({"src/train.py": _WHOLE.replace(", resolve=True", "")}, at=("src/train.py:3",)),
        # the run that counts is created well, another one is not: a warning
        Example({"src/train.py": _WHOLE + "wandb.init(group='search')\n"}, at=("src/train.py:5",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        files = files_besides_evaluate(project)
        uses = used_names(project.python.values())
        calls = [
            (file, call)
            for file in files
            for call, name in file.calls
            if name in ("wandb.init", "wandb.sdk.wandb_init.init")
        ]
        if not calls and any(file.tree is None or names_wandb(file) or logs_through_library(file) for file in files):
            yield Undecided("the W&B run is created by a library or in a way that reading cannot follow")
        texts = {node.value for file in files for node in file.nodes_of(ast.Constant)}
        # os.environ.update(WANDB_RUN_ID=...)
        texts |= {node.arg for file in files for node in file.nodes_of(ast.keyword)}
        attributes = {node.attr for file in files for node in file.nodes_of(ast.Attribute)}
        updated = any(_fills_configuration(file) for file in files)
        updates = {name for file in files for _, name in file.calls}
        judged: list[tuple[PythonFile, ast.Call, list[str], bool]] = []
        one_is_right = False
        for file, call in calls:
            if call.args or any(item.arg in (None, "settings") for item in call.keywords):
                yield Undecided("wandb.init takes its arguments from a mapping or from settings")
                continue
            reader = PatternReader(file)
            if string_value(reader.value_of(keyword(call, "mode"))) == "disabled":
                continue
            missing = []
            if "WANDB_RUN_ID" not in texts and _is_none(reader, keyword(call, "id")):
                missing.append("the run id as its id")
            if "WANDB_RESUME" not in texts:
                value = reader.value_of(keyword(call, "resume"))
                if value is None or (isinstance(value, ast.Constant) and value.value in _REFUSED):
                    missing.append("resume")
            if not updated and _is_none(reader, keyword(call, "config")):
                missing.append("a configuration")
            dead = is_dead(file, call, uses)
            plain = bool(missing) and not dead
            one_is_right |= not missing and not dead
            if keyword(call, "config") is not None and _stays_unresolved(reader, keyword(call, "config"), updates):
                missing.append("a resolved configuration")
            if not attributes & {"url", "get_url", "run_url", "project_url"}:
                missing.append("its address being printed")
            judged.append((file, call, missing, plain))
        # beside a call that is as it should be, another one may belong to a search
        for file, call, missing, plain in judged:
            if missing:
                yield self.finding(
                    file.path,
                    call,
                    severity=None if plain and not one_is_right else Severity.WARNING,
                    symbol=file.symbol_of(call) or None,
                    missing=_listed(missing),
                )


def _fills_configuration(file: PythonFile) -> bool:
    """Whether a file writes to the configuration of a run after the run was created."""
    for node in file.nodes_of(ast.Attribute):
        if not isinstance(node, ast.Attribute):
            continue
        if node.attr in ("update", "setdefaults") and file.qualified(node).endswith("config." + node.attr):
            return True
        # `wandb.config = ...`, `run.config.lr = ...`
        owner, held, below = file.qualified(node).partition(".config")
        if isinstance(node.ctx, ast.Store) and held and ("wandb" in owner or "run" in owner) and below.count(".") < 2:
            return True
        parent = file.parents.get(node)
        if node.attr == "config" and isinstance(parent, ast.Subscript) and isinstance(parent.ctx, ast.Store):
            return True
    return False


def _is_none(reader: PatternReader, node: ast.expr | None) -> bool:
    value = reader.value_of(node)
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _stays_unresolved(reader: PatternReader, node: ast.expr | None, called: set[str]) -> bool:
    """Whether a configuration is certainly given as OmegaConf holds it, interpolations included."""
    value = reader.value_of(node)
    if value is None or "omegaconf.OmegaConf.resolve" in called:
        return False
    for part in descend(value):
        if isinstance(part, ast.Call) and _qualified(reader.file, part).endswith("OmegaConf.to_container"):
            return keyword(part, "resolve") is None and len(part.args) == 1
    return False


def _qualified(file: PythonFile, call: ast.Call) -> str:
    return file.qualified(call.func)


def _listed(parts: list[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
