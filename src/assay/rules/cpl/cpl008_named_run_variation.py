"""CPL008: the foundation asks for a run variation by its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import string_value
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_VARIATION = frozenset({"run_id", "run_name", "variation", "run_variation", "variation_name", "variation_id"})
_NEUTRAL = re.compile(
    r"|.*placeholder.*|default|all|none|unknown|test|smoke.*|full.*|latest|comparison|.*[*?].*"
    # what lies beside the runs in the folder of the results
    r"|[^a-z0-9]+|[._].*|.*\.\w{2,5}|fig(ure)?s?|images?|plots?|eval(uation)?|compar\w*|aggregat\w*|summar(y|ies)|reports?|tables?|logs?"
    r"|checkpoints?|models?|caches?|configs?|results?|outputs?|tmp|temp|wandb|tensorboard|analysis|data",
    re.IGNORECASE,
)


class NamedRunVariation(Rule):
    """A foundation knows no run variation by name: those come with the experiment that is built on it.

    A comparison such as `run_id == "baseline"` works for one experiment and does nothing, or fails, in the next. The rule
    looks for comparisons of a run's id or name with a text. Names of placeholders, and words such as `default`, are no
    variation's name. Where the name decides nothing but what is shown, or is one of the experiment's methods, it only
    warns.
    """

    code = "CPL008"
    name = "named-run-variation"
    requirements = ("B7.3",)
    message = "the code asks for the run variation {name}"
    explanation = "The foundation then depends on the names of one experiment."
    repair = "Take what differs between variations from their configuration."

    VALID = (
        Example({"src/model.py": "if run_id == 'RUN_PLACEHOLDER':\n    pass\n"}, contract="base"),
        Example(
            {"src/main.py": "if run_id == '--' or config['run_id'] in seen:\n    raise SystemExit\n"}, contract="base"
        ),
        Example({"src/model.py": "if model_type == 'mlp':\n    pass\n"}, contract="base"),
        Example(
            {
                "src/evaluate.py": "import os\n\nfor run_id in os.listdir(folder):\n    if run_id not in ('figures', 'summary.json'):\n        load(run_id)\n"
            },
            contract="base",
        ),
        Example({"src/model.py": "if run_id == 'baseline':\n    pass\n"}, contract="derived"),
    )
    INVALID = (
        Example(
            {"src/model.py": "if run_id == 'baseline':\n    build()\n"},
            contract="base",
            at=("src/model.py:1",),
            repaired={"src/model.py": "if config['use_memory']:\n    build()\n"},
        ),
        Example(
            {"src/model.py": "if config['run_id'] in ('sam', 'sgd'):\n    build()\n"},
            contract="base",
            at=("src/model.py:1",),
            repaired={"src/model.py": "if config['optimizer'] == 'sam':\n    build()\n"},
        ),
        # a part of the name may stand for a kind of run: a warning
        Example(
            {"src/evaluate.py": "if 'baseline' in run_id:\n    draw()\n"}, contract="base", at=("src/evaluate.py:1",)
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        uses = used_names(project.python.values())
        for file in project.python.values():
            for node in file.nodes_of(ast.Compare):
                if len(node.ops) != 1:
                    continue
                left, right = node.left, node.comparators[0]
                whole = isinstance(node.ops[0], ast.Eq | ast.NotEq) or (
                    isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(right, ast.List | ast.Tuple | ast.Set)
                )
                if _is_variation(right) and string_value(left) is not None:
                    left, right = right, left
                    whole = isinstance(node.ops[0], ast.Eq | ast.NotEq)
                if not _is_variation(left):
                    continue
                items = right.elts if isinstance(right, ast.List | ast.Tuple | ast.Set) else [right]
                names = [text for item in items if (text := string_value(item)) is not None]
                named = [name for name in names if not _NEUTRAL.fullmatch(name)]
                if not named or len(names) != len(items):
                    continue
                yield self.finding(
                    file.path,
                    node,
                    severity=None if whole and not is_dead(file, node, uses) else Severity.WARNING,
                    symbol=file.symbol_of(node) or None,
                    name=", ".join(f"`{name}`" for name in named[:4]),
                )


def _is_variation(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "get" and node.args:
            return string_value(node.args[0]) in _VARIATION
        if node.func.attr in ("lower", "strip"):
            node = node.func.value
    if isinstance(node, ast.Subscript):
        return string_value(node.slice) in _VARIATION
    if isinstance(node, ast.Attribute):
        return node.attr in _VARIATION
    return isinstance(node, ast.Name) and node.id in _VARIATION
