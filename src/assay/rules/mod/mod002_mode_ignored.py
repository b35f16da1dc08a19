"""MOD002: nothing in the program asks for the mode."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.run_mode import run_mode
from assay.analysis.run_variations import texts
from assay.rules.rule import Example, Outcome, Rule, Undecided


class ModeIgnored(Rule):
    """A trial is a run of minutes that shows whether the program works: one epoch, two batches, no search, no tracking. A
    program that never asks for the mode trains in full when it is only to be tried.

    The rule looks in all Python files for a question about `mode` or a flag such as `trial_mode`, and in the configuration
    for values and groups that depend on it. It blocks where there is neither.
    """

    code = "MOD002"
    name = "mode-ignored"
    requirements = ("E2.5", "E9.2")
    message = "trial mode changes nothing"
    explanation = "No code and no configuration asks for the mode, so a trial is a full run, with search and tracking."
    repair = "Where mode is trial, disable W&B, set optuna.n_trials to 0, and train one epoch of at most two batches."

    VALID = (
        Example(
            {"src/main.py": "print(cfg)\n", "src/train.py": "if cfg.mode == 'trial':\n    cfg.training.epochs = 1\n"}
        ),
        Example({"src/main.py": "epochs = 1 if cfg.mode != 'full' else cfg.training.epochs\n"}),
        Example({"src/main.py": "settings = load(f'config/mode/{cfg.mode}.yaml')\nstart(settings[cfg.mode])\n"}),
        Example({"src/main.py": "print(cfg)\n", "config/mode/trial.yaml": "training:\n  epochs: 1\n"}),
        Example({"src/main.py": "from assay.runtime import start\nstart()\n"}),
    )
    INVALID = (
        Example(
            {"src/main.py": "import subprocess\n\nsubprocess.run(['python', '-m', 'src.train', f'mode={cfg.mode}'])\n"},
            at=("src/main.py",),
            repaired={"src/main.py": "if cfg.mode == 'trial':\n    cfg.training.epochs = 1\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        main = project.role("main")
        mode = run_mode(project)
        if main is None or not main.nodes[1:] or any(file.tree is None for file in project.python.values()):
            yield Undecided("the program is missing or cannot be read")
            return
        if mode.questions:
            return
        values = {text for file in project.yaml.values() for document in file.documents for text in texts(document)}
        if any("/mode/" in f"/{path}" or "trial" in path for path in project.yaml) or any(
            "mode}" in text for text in values
        ):
            yield Undecided("the configuration may depend on the mode")
        elif mode.passed_on or any(item.module.partition(".")[0] == "assay" for f in mode.files for item in f.imports):
            yield Undecided("the mode is handed on to where it may be asked for")
        elif any(_names_trial(node) for file in mode.files for node in file.nodes):
            yield Undecided("the program speaks of a trial in another way")
        else:
            yield self.finding(main.path)


def _names_trial(node: ast.AST) -> bool:
    """Whether a text or a name may stand for trial mode; Optuna's `trial` does not count."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value in ("trial", "full", "mode") or "mode=trial" in node.value or "trial_mode" in node.value
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return any(part in name.lower() for part in ("trial_", "is_trial", "smoke", "debug", "dry_run"))
