"""HPO007: runs have a search space that the code never looks at."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.parameter_search import SPACE, parameter_search
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, string_value
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_RUN = "optuna:\n  n_trials: 10\n  search_space:\n    training.lr: {type: uniform, low: 0, high: 1}\n"
_FIXED = "import optuna\n\n\ndef objective(trial):\n    return fit(trial.suggest_float('training.lr', 0, 1))\n"


class SearchSpaceNotUsed(Rule):
    """What a run searches stands in its `optuna.search_space`, and the code draws from there.

    Code that has ranges of its own searches the same thing for every run, whatever their files say. Nothing that is
    changed in a run file then changes the search. The rule speaks where no code names `search_space` and every use of
    the section `optuna` is spelled out. Names that the code draws by itself are a warning where they are the searched
    ones.
    """

    code = "HPO007"
    name = "search-space-not-used"
    requirements = ("E7.3",)
    message = "no code reads optuna.search_space of the runs"
    explanation = "{effect}"
    repair = "Draw each value from cfg.optuna.search_space."

    VALID = (
        Example({"src/train.py": "print(cfg.optuna.search_space)\n", "config/runs/a.yaml": _RUN}),
        Example(
            {"src/train.py": "for key, value in cfg.optuna.items():\n    print(key)\n", "config/runs/a.yaml": _RUN}
        ),
        Example({"src/train.py": "search(**cfg.optuna)\n", "config/runs/a.yaml": _RUN}),
        Example({"src/train.py": _FIXED, "config/runs/a.yaml": "optuna: {n_trials: 0}\n"}),
    )
    INVALID = (
        Example(
            {
                "src/train.py": _FIXED.replace("training.lr", "rate") + "n = cfg.optuna.n_trials\n",
                "config/runs/a.yaml": _RUN,
            },
            at=("src/train.py:5",),
            repaired={"src/train.py": "import optuna\nspace = cfg.optuna.search_space\n"},
        ),
        # no search at all
        Example(
            {"src/train.py": "fit(cfg.training.lr)\n", "config/runs/a.yaml": _RUN},
            at=("config/runs/a.yaml:3",),
            repaired={"config/runs/a.yaml": "optuna: {n_trials: 0}\n"},
        ),
        # the code draws the same names: a warning
        Example(
            {"src/train.py": _FIXED + "n = cfg.optuna.n_trials\n", "config/runs/a.yaml": _RUN}, at=("src/train.py:5",)
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        search = parameter_search(project)
        searched = [item for item in search.searched if item.active]
        if not searched:
            return
        evaluate = project.contract.role("evaluate")
        files = [file for path, file in project.python.items() if path != evaluate]
        if not files or any(file.tree is None for file in files):
            yield Undecided("part of the training code cannot be read")
            return
        if any(_may_read(file) for file in files):
            return
        drawn = [
            (file, call)
            for file in files
            for call, _ in file.calls
            if isinstance(call.func, ast.Attribute) and call.func.attr.startswith("suggest_") and call.args
        ]
        names = {string_value(call.args[0]) for _, call in drawn}
        wanted = {item.name for item in searched}
        effect = "The code draws other values than the runs ask for." if drawn else "Nothing is searched."
        held = searched[0].file
        place: ast.Call | int | None
        train = project.contract.role("train")
        if drawn:
            path = drawn[0][0].path
            place = drawn[0][1]
        elif project.submission.files[held].laid and train in project.python:
            # a run configuration that the brief gives is right by itself
            path, place = train, None
        else:
            path, place = held, _space_key(project, held)
        yield self.finding(
            path,
            place,
            severity=Severity.WARNING if None in names or wanted <= names else None,
            symbol="optuna.search_space",
            effect=effect,
            frames=tuple(Frame(item.file, item.key.line) for item in searched[:6]),
        )


def _space_key(project: Project, path: str) -> int | None:
    node = yaml_tree.find(project.yaml[path].root, "optuna")
    key = node.key(SPACE) if isinstance(node, yaml_tree.Mapping) else None
    return key.line if key is not None else None


def _may_read(file: PythonFile) -> bool:
    """Whether a file names the search space, or uses the section it stands in as a whole."""
    for node in file.nodes:
        text = string_value(node)
        if text is not None and (SPACE in text or text == "optuna" or "optuna." in text):
            return True
        if isinstance(node, ast.Attribute) and node.attr == SPACE:
            return True
        if isinstance(node, ast.Attribute) and node.attr == "optuna":
            above = file.parents.get(node)
            if not isinstance(above, ast.Attribute) or above.attr in ("items", "values", "keys", "get"):
                return True
        if isinstance(node, ast.keyword) and node.arg is None:
            return True
        if isinstance(node, ast.Call) and file.qualified(node.func).endswith(("instantiate", "OmegaConf.to_container")):
            # the configuration is handed on as a whole
            return True
    return any(item.module.partition(".")[0] == "assay" or item.name == "*" for item in file.imports)
