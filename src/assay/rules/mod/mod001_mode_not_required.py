"""MOD001: a run starts without a mode, or with one that does not exist."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.expressions import last_part, words
from assay.analysis.library_use import starts_by_library
from assay.analysis.mode_check import unproved_mode_check
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword
from assay.analysis.run_mode import RunMode, is_mode, run_mode
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_ASKS = "if cfg.mode == 'trial':\n    cfg.training.epochs = 1\nelif cfg.mode == 'full':\n    pass\n"
_REFUSES = _ASKS + "else:\n    raise ValueError('mode is trial or full')\n"
_REQUIRED = "mode: ???\nwandb:\n  mode: online\n"


class ModeNotRequired(Rule):
    """Whoever starts a run says `mode=trial` or `mode=full`. A default makes a forgotten word a full run on the GPU, and a
    program that takes any word makes a misspelt one.

    The rule reads `mode` in config.yaml, where `???` makes Hydra ask for it, and looks for a check in the program: an
    `else` that raises, a comparison with both words, a group of configurations. It blocks where the program decides by the
    mode and lets every other word pass. A default in config.yaml is a warning. The requirement is met where config.yaml
    says `mode: ???` and the first thing that main does is to raise an error for every other word; what is as good but
    cannot be told from the text stays undecided.
    """

    code = "MOD001"
    name = "mode-not-required"
    requirements = ("E9.1",)
    decides = ("E9.1",)
    message = "{fault}"
    explanation = "{follows}."
    repair = "{change}."

    VALID = (
        Example({"src/main.py": _REFUSES, "config/config.yaml": _REQUIRED}),
        Example(
            {
                "src/main.py": "if cfg.mode not in ('trial', 'full'):\n    raise SystemExit('no such mode')\n" + _ASKS,
                "config/config.yaml": _REQUIRED,
            }
        ),
        Example({"src/main.py": "settings = {'trial': small, 'full': big}[cfg.mode]\n", "config/config.yaml": _REQUIRED}),
        Example({"src/main.py": "if cfg.trial_mode:\n    pass\n", "config/config.yaml": "trial_mode: false\n"},
                contract="experiment@2025-10"),
        # none is given, and the program refuses none
        Example({"src/main.py": _REFUSES, "config/config.yaml": "mode: null\n"}),
    )  # fmt: skip
    INVALID = (
        Example(
            {"src/main.py": _REFUSES, "config/config.yaml": "run: ???\nmode: full\n"}, at=("config/config.yaml:2",)
        ),
        Example(
            {"src/main.py": "if cfg.mode == 'trial':\n    cfg.training.epochs = 1\n", "config/config.yaml": _REQUIRED},
            at=("src/main.py:1",),
            repaired={"src/main.py": _REFUSES},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if unproved := unproved_mode_check(project):
            yield Undecided(unproved)
        mode = run_mode(project)
        if mode.is_flag or starts_by_library(project, "main"):
            return
        config = project.yaml.get(project.contract.role("config") or "")
        root = config.root if config else None
        node = yaml_tree.find(root, "mode")
        default = node.resolve() if isinstance(node, yaml_tree.Scalar) else None
        if (
            config is not None
            and isinstance(node, yaml_tree.Scalar)
            and isinstance(default, str)
            and _is_default(default)
        ):
            yield self.finding(
                config.path, node, severity=Severity.WARNING, symbol="mode", fault=f"mode is {default} where none is given",
                follows="The contract asks that mode is required", change="Write mode: ??? in config.yaml",
            )  # fmt: skip
        if any(file.tree is None for file in project.python.values()) or _is_group(project):
            yield Undecided("part of the program cannot be read, or the mode is a group of configurations")
            return
        if any(item.module.partition(".")[0] == "assay" for file in mode.files for item in file.imports):
            yield Undecided("a library may check the mode")
            return
        deciding = [(file, node) for file, node in mode.questions if isinstance(node, ast.If)]
        if not deciding or any(_refuses(mode, file) for file in mode.files):
            return
        if mode.passed_on:
            yield Undecided("the mode is handed on to where it may be checked")
            return
        file, first = next(((f, n) for f, n in deciding if f is project.role("main")), deciding[0])
        yield self.finding(
            file.path, first, symbol=file.symbol_of(first) or None, fault="a mode that is neither trial nor full is accepted",
            follows="A misspelt mode starts a run, which is then a full one or neither",
            change="Raise an error where mode is neither trial nor full",
        )  # fmt: skip


def _is_default(text: str) -> bool:
    return text not in ("???", "") and not text.startswith("${")


def _is_group(project: Project) -> bool:
    """Whether the mode chooses one of several files of configuration."""
    return any("/mode/" in f"/{path}" for path in project.yaml)


def _refuses(mode: RunMode, file: PythonFile) -> bool:
    """Whether anything in a file may refuse a mode."""
    for node in file.nodes:
        if isinstance(node, ast.Raise | ast.Assert) or _exits(file, node):
            if {"mode", "modes"} & set(words(node)):
                return True
            child: ast.AST = node
            for up in file.ancestors(node):
                if isinstance(up, ast.If) and child is not up.test and mode.asks(file, up.test):
                    return True
                if isinstance(up, ast.Match) and is_mode(up.subject):
                    return True
                child = up
        elif isinstance(node, ast.Compare) and any(isinstance(op, ast.In | ast.NotIn) for op in node.ops):
            if is_mode(node.left):
                return True
        elif (
            (isinstance(node, ast.Subscript) and is_mode(node.slice))
            or (isinstance(node, ast.Call) and keyword(node, "choices") is not None)
            or (
                isinstance(node, ast.Name | ast.Attribute)
                and last_part(node) in ("Enum", "StrEnum", "Literal", "ConfigStore")
            )
        ):
            return True
    return False


def _exits(file: PythonFile, node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and file.qualified(node.func) in ("sys.exit", "exit", "quit", "os._exit")
