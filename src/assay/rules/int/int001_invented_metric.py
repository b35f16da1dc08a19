"""INT001: a metric's value is a random number or a constant."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.expressions import number, words, words_of
from assay.analysis.metric_names import direction_of
from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, string_value
from assay.analysis.random_draws import holds_draw, is_draw
from assay.analysis.text_pattern import PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# calls after which a number is still the drawn one, in another form or range
_SAME_NUMBER = frozenset({"float", "int", "round", "abs", "min", "max", "numpy.clip", "numpy.round", "numpy.abs"})
_SAME_METHODS = frozenset({"item", "tolist", "clip", "round"})
# names of metrics that are also names of limits
_SETTINGS = frozenset({"precision", "recall", "iou", "sensitivity", "specificity", "dice", "error"})
_NO_VALUE = (0.0, 1.0, -1.0)


class InventedMetric(Rule):
    """A metric is measured. A value that is written in the program, or drawn at random, says nothing about the model,
    however well it is logged.

    The rule looks at what train and evaluate log with W&B, write to a summary, or put into a dict that they return or
    save, under the name of a metric (`val_accuracy`, `f1`, ...). It blocks where the value is a random draw, a value
    with a random draw added, or a number written out; 0, 1 and -1 are taken as marks for "nothing yet", and a number that
    may be a limit or a weight is a warning. A number that
    evaluate puts in place of a metric that a run did not record is a warning.
    """

    code = "INT001"
    name = "invented-metric"
    requirements = ("X4", "B1.2")
    message = "{key} is {what}, not a measured value"
    explanation = "The number is reported as a result although nothing was measured."
    repair = "Log what the model achieved, or leave {key} out."

    VALID = (
        Example({"src/train.py": "import wandb\n\nwandb.log({'accuracy': right / total, 'learning_rate': 0.1})\n"}),
        Example({"src/train.py": "best = {'accuracy': 0.0}\nlimits = {'target_accuracy': 0.9, 'loss_weight': 0.5}\n"}),
        # weights of the terms of a loss, and settings
        Example({"src/train.py": "WEIGHTS = {'cross_entropy': 0.7, 'mse': 0.3}\n"}),
        # a bootstrap draws from what was measured
        Example(
            {
                "src/evaluate.py": "import json\nimport numpy as np\n\nscore = np.random.choice(scores).mean()\n"
                "json.dump({'accuracy': score}, file)\n"
            }
        ),
        Example(
            {
                "src/train.py": "import wandb\n\ndef fit():\n    accuracy = 0.5\n    for batch in data:\n"
                "        accuracy = score(batch)\n    wandb.log({'accuracy': accuracy})\n\nfit()\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": "import random\nimport wandb\n\nwandb.log({'val_accuracy': random.uniform(0.8, 0.9)})\n"},
            at=("src/train.py:4",),
            repaired={"src/train.py": "import wandb\n\nwandb.log({'val_accuracy': right / total})\n"},
        ),
        Example(
            {
                "src/train.py": "import numpy as np\nimport wandb\n\n"
                "accuracy = base + np.random.normal(0, 0.01)\nwandb.summary['accuracy'] = float(accuracy)\n"
            },
            at=("src/train.py:4",),
            repaired={"src/train.py": "import wandb\n\nwandb.summary['accuracy'] = base\n"},
        ),
        Example(
            {"src/train.py": "def train(cfg):\n    return {'f1_score': 0.87, 'run_id': cfg.run_id}\n\ntrain(cfg)\n"},
            contract="base",
            at=("src/train.py:2",),
            repaired={"src/train.py": "def train(cfg):\n    return {'run_id': cfg.run_id}\n\ntrain(cfg)\n"},
        ),
        # may be the weights of the terms of a loss
        Example(
            {"src/train.py": "def terms(cfg):\n    return {'mse': 0.7, 'mae': 0.3}\n\nterms(cfg)\n"},
            at=("src/train.py:2",) * 2,
        ),
        Example({"src/evaluate.py": "value = float(run.summary.get('accuracy', 0.5))\n"}, at=("src/evaluate.py:1",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        uses = used_names(project.python.values())
        for role in ("train", "evaluate", "main", "model"):
            file = project.role(role)
            if file is None or file.tree is None:
                continue
            reader = PatternReader(file)
            for key, value, place in _reported(file):
                named = direction_of(key)
                found = _invented(reader, value) if named else None
                if found:
                    doubtful = is_dead(file, place, uses) or (
                        "constant" in found[0] and not _is_result(file, key, place)
                    )
                    yield self.finding(
                        file.path,
                        found[1],
                        severity=Severity.WARNING if doubtful else None,
                        symbol=file.symbol_of(place) or None,
                        key=key,
                        what=found[0],
                    )
            if role == "evaluate":
                yield from self._defaults(reader)

    def _defaults(self, reader: PatternReader) -> Iterator[Outcome]:
        """A number in place of a metric that is not there."""
        file = reader.file
        found = [
            (call, key)
            for call, _ in file.calls
            if isinstance(call.func, ast.Attribute)
            and call.func.attr == "get"
            and len(call.args) == 2
            and number(call.args[1]) is not None
            and (key := reader.fold(call.args[0]).constant) is not None
            and "summary" in words(call.func.value)
            and (direction_of(key) or not {"total", "count", "step", "steps", "epoch"} & set(words_of(key)))
        ]
        if found:
            call, key = found[0]
            yield self.finding(
                file.path,
                call,
                severity=Severity.WARNING,
                requirements=("X4",),
                symbol=file.symbol_of(call) or None,
                message="{what} stands in for {key} where a run did not record it{more}",
                explanation="A run without the metric then counts as one that achieved this number.",
                repair="Stop with a message, or leave the run out, where {key} is missing.",
                key=key,
                what=f"{number(call.args[1]):g}",
                more=f" (and {len(found) - 1} more such)" if len(found) > 1 else "",
            )


def _reported(file: PythonFile) -> Iterator[tuple[str, ast.expr, ast.AST]]:
    """Names, values and places of what a file logs, summarises, returns or saves."""
    for node in file.nodes_of(ast.Dict, ast.Assign):
        if isinstance(node, ast.Dict) and _is_reported(file, node):
            for name, value in zip(node.keys, node.values, strict=True):
                if (key := string_value(name)) is not None:
                    yield key, value, node
        elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Subscript):
            target = node.targets[0]
            key = string_value(target.slice)
            holder = target.value
            if key is not None and isinstance(holder, ast.Attribute) and holder.attr == "summary":
                yield key, node.value, node


def _is_result(file: PythonFile, key: str, place: ast.AST) -> bool:
    """Whether a number written out is certainly given as a result, and not as a limit or a weight."""
    if _SETTINGS & set(words_of(key)):
        return False
    if not isinstance(place, ast.Dict):
        return True
    up = file.parents.get(place)
    if isinstance(up, ast.Call) and isinstance(up.func, ast.Attribute) and up.func.attr in ("log", "update"):
        return True
    # beside the run's id, or beside something that is no number
    return any(string_value(name) in ("run_id", "run", "epoch", "seed") for name in place.keys)


def _is_reported(file: PythonFile, node: ast.Dict) -> bool:
    """Whether a dict is handed to a tracker, saved as JSON, or returned."""
    up = file.parents.get(node)
    if isinstance(up, ast.Return):
        return True
    if isinstance(up, ast.Call) and node in up.args:
        called = up.func
        if isinstance(called, ast.Attribute):
            holder = called.value
            summary = isinstance(holder, ast.Attribute) and holder.attr == "summary"
            if called.attr == "log" or (called.attr == "update" and summary):
                return True
        return file.qualified(called) in ("json.dump", "json.dumps")
    return False


def _invented(reader: PatternReader, node: ast.expr) -> tuple[str, ast.AST] | None:
    """What a value is instead of a measured one, and where it comes from."""
    file = reader.file
    place: ast.AST = node
    for _ in range(20):
        followed = reader.value_of(node) if isinstance(node, ast.Name) else node
        if followed is None or isinstance(followed, ast.Name):
            return None
        if followed is not node:
            place = followed
        node = followed
        if isinstance(node, ast.Call) and file.qualified(node.func) in _SAME_NUMBER and node.args:
            inner = next((item for item in node.args if holds_draw(file, item)), node.args[0])
            node = inner
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in _SAME_METHODS
            and not is_draw(file, node)
        ):
            node = node.func.value
        else:
            break
    if is_draw(file, node):
        return "a random number", place
    if isinstance(node, ast.BinOp):
        sides = _operands(node)
        if any(is_draw(file, side) for side in sides):
            constant = all(is_draw(file, side) or number(side) is not None for side in sides)
            return "a random number" if constant else "a value with a random number in it", place
        return None
    value = number(node)
    if (
        value is not None
        and value not in _NO_VALUE
        and isinstance(node, ast.Constant)
        and isinstance(node.value, float)
    ):
        return f"the constant {value:g}", place
    return None


def _operands(node: ast.BinOp) -> list[ast.expr]:
    """The operands of a chain of operators."""
    found: list[ast.expr] = []
    pending: list[ast.expr] = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, ast.BinOp):
            pending += [part.left, part.right]
        else:
            found.append(part)
    return found
