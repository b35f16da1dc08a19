"""INT002: predictions, labels or a confusion matrix are made up where they are missing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.expressions import number, words, words_of
from assay.analysis.metric_names import direction_of
from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend
from assay.analysis.random_draws import holds_draw
from assay.analysis.text_pattern import PatternReader
from assay.rules.rule import Example, Outcome, Rule

# https://scikit-learn.org/1.7/api/sklearn.metrics.html, https://lightning.ai/docs/torchmetrics/v1.8.2/all-metrics.html
_MATRICES = frozenset({"confusion_matrix", "multilabel_confusion_matrix", "crosstab", "binary_confusion_matrix"})
# what runs record, and what is meant to be random
_RECORDED = frozenset(
    {
        "pred", "preds", "prediction", "predictions", "label", "labels", "target", "targets", "truth", "gold", "golds", "refs",
        "references", "score", "scores", "history", "hist", "summary", "correct", "success", "losses", "curve", "logits",
        "probs", "probabilities", "confusion", "cm", "metric", "metrics", "result", "results", "answers", "vals", "values",
    }
)  # fmt: skip
_DRAWN = frozenset(
    {
        "z", "noise", "latent", "latents", "eps", "epsilon", "seed", "idx", "index", "indices", "jitter", "perm", "order",
        "color", "colors", "colour", "colours", "init", "start", "offset", "offsets", "rng", "prior", "weights",
    }
)  # fmt: skip
_HEAD = "import numpy as np\nfrom sklearn.metrics import confusion_matrix\n\n"


class InventedPredictions(Rule):
    """Where predictions were not saved, there is nothing to draw: a table or figure that is filled with random values, or
    with counts worked out from the accuracy, shows something that nobody observed.

    The rule compares the two ways of a decision, or of a `try`, in evaluate and in what it imports. It blocks where one
    way takes recorded values and the other binds the same name to random draws, and where one way counts a confusion
    matrix from predictions and the other writes one down from products of a total and a rate.
    """

    code = "INT002"
    name = "invented-predictions"
    requirements = ("X4",)
    message = "{name} is {what} where {missing}"
    explanation = "The figure or number made of it shows observations that were never made."
    repair = "Leave the figure out, or stop with a message, where the recorded values are missing."

    VALID = (
        Example(
            {
                "src/evaluate.py": _HEAD + "if predictions:\n    matrix = confusion_matrix(labels, predictions)\n"
                "else:\n    matrix = None\n"
            }
        ),
        # counts that were recorded
        Example(
            {
                "src/evaluate.py": _HEAD + "if predictions:\n    matrix = confusion_matrix(labels, predictions)\n"
                "else:\n    tp, fp = summary['tp'], summary['fp']\n    matrix = np.array([[tp, fp], [0, 0]])\n"
            }
        ),
        # points are spread so that they can be told apart; a bootstrap
        Example(
            {
                "src/evaluate.py": _HEAD + "offset = np.random.normal(0, 0.04, size=len(values))\n"
                "rows = np.random.randint(0, len(values), size=len(values))\n"
            }
        ),
        # a generative model starts from noise
        Example(
            {
                "src/evaluate.py": _HEAD + "if saved is None:\n    latents = np.random.normal(size=(4, 8))\n"
                "else:\n    latents = saved['latents']\n"
            }
        ),
        Example(
            {
                "src/evaluate.py": _HEAD + "if cfg.bootstrap:\n    rows = np.random.randint(0, n, size=n)\n"
                "else:\n    rows = np.arange(n)\n"
            }
        ),
    )
    INVALID = (
        Example(
            {
                "src/evaluate.py": _HEAD + "if 'correct' not in history:\n    correct = np.random.randint(0, 2, 100)\n"
                "else:\n    correct = history['correct'].values\n"
            },
            at=("src/evaluate.py:5",),
            repaired={
                "src/evaluate.py": _HEAD
                + "if 'correct' not in history:\n    raise SystemExit('nothing was recorded')\n"
                "correct = history['correct'].values\n"
            },
        ),
        Example(
            {
                "src/evaluate.py": _HEAD + "if predictions:\n    matrix = confusion_matrix(labels, predictions)\n"
                "else:\n    right = int(total * accuracy)\n    matrix = np.array([[right, 0], [total - right, 0]])\n"
            },
            at=("src/evaluate.py:8",),
            repaired={
                "src/evaluate.py": _HEAD + "if predictions:\n    matrix = confusion_matrix(labels, predictions)\n"
            },
        ),
        Example(
            {
                "src/evaluate.py": "import random\n\ntry:\n    predictions = load(path)\nexcept OSError:\n"
                "    predictions = [random.randint(0, 9) for _ in labels]\n"
            },
            at=("src/evaluate.py:6",),
            repaired={"src/evaluate.py": "predictions = load(path)\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        evaluate = project.role("evaluate")
        if evaluate is None:
            return
        known = {project.contract.role(role) for role in ("train", "preprocess", "main")}
        for file in (evaluate, *(other for other in reached_files(project, evaluate) if other.path not in known)):
            if file.tree is None:
                continue
            reader = PatternReader(file)
            for missing, given, why in _ways(file):
                real = _bound(given)
                for name, value in _bound(missing).items():
                    what = _invented(reader, value, real[name]) if name in real and not _is_noise(name) else ""
                    if what and _is_recorded(name, real[name]):
                        yield self.finding(
                            file.path,
                            file.parents.get(value, value),
                            symbol=file.symbol_of(value) or name,
                            name=name,
                            what=what,
                            missing=why,
                        )


def _ways(file: PythonFile) -> Iterator[tuple[list[ast.stmt], list[ast.stmt], str]]:
    """Pairs of blocks of which the first runs where something is missing, and the second where it is there."""
    for node in file.nodes_of(ast.If, ast.Try):
        if isinstance(node, ast.If) and node.orelse and not isinstance(node.orelse[0], ast.If):
            absent = _says_missing(node.test)
            if absent is True:
                yield node.body, node.orelse, "values are missing"
            elif absent is False:
                yield node.orelse, node.body, "values are missing"
        elif isinstance(node, ast.Try):
            for handler in node.handlers:
                yield handler.body, node.body, "reading the recorded ones fails"


def _says_missing(test: ast.expr) -> bool | None:
    """Whether a test holds where something is missing (True), where it is there (False), or speaks of other things."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _says_missing(test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        parts = {_says_missing(part) for part in test.values} - {None}
        return parts.pop() if len(parts) == 1 else None
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        operator, right = test.ops[0], test.comparators[0]
        if isinstance(operator, ast.NotIn | ast.In):
            return isinstance(operator, ast.NotIn)
        if isinstance(operator, ast.Is | ast.IsNot) and isinstance(right, ast.Constant) and right.value is None:
            return isinstance(operator, ast.Is)
        if _is_length(test.left) and number(right) == 0:
            return isinstance(operator, ast.Eq | ast.LtE)
        return None
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Attribute) and test.func.attr in ("exists", "is_file"):
        return False
    if isinstance(test, ast.Attribute) and test.attr == "empty":
        return True
    return False if isinstance(test, ast.Name) or _is_length(test) else None


def _is_length(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def _is_noise(name: str) -> bool:
    """Whether a name stands for something that is meant to be drawn: a start, an order, a colour."""
    return bool(_DRAWN & set(words_of(name))) or len(name) == 1


def _is_recorded(name: str, real: ast.expr) -> bool:
    """Whether a name, or what it is bound to where nothing is missing, speaks of what runs record."""
    held = {*words_of(name), *words(real)}
    return bool(held & _RECORDED) or any(direction_of(word) for word in held)


def _bound(block: list[ast.stmt]) -> dict[str, ast.expr]:
    """The names that a block gives a value, with the last one."""
    found: dict[str, ast.expr] = {}
    for statement in block:
        for node in descend(statement):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = node.value
    return found


def _invented(reader: PatternReader, value: ast.expr, real: ast.expr) -> str:
    """What a value is made of, where it is made up and the other way's is not; empty otherwise."""
    file = reader.file
    if holds_draw(file, value):
        indices = any(
            isinstance(node, ast.Call) and file.qualified(node.func).endswith("arange") for node in descend(real)
        )
        return "" if holds_draw(file, real) or indices or isinstance(real, ast.Constant) else "drawn at random"
    if not any(
        isinstance(node, ast.Call) and file.qualified(node.func).rpartition(".")[2] in _MATRICES
        for node in descend(real)
    ):
        return ""
    rows = value.args[0] if isinstance(value, ast.Call) and value.args else value
    if not isinstance(rows, ast.List | ast.Tuple) or not all(
        isinstance(row, ast.List | ast.Tuple) for row in rows.elts
    ):
        return ""
    cells = [cell for row in rows.elts if isinstance(row, ast.List | ast.Tuple) for cell in row.elts]
    unseen = any(number(cell) is not None for cell in cells)
    computed = any(_is_product(reader, cell) for cell in cells)
    return "worked out from a rate" if unseen and computed else ""


def _is_product(reader: PatternReader, node: ast.expr) -> bool:
    """Whether a value is a product of two unknown numbers, or the rest that such a product leaves."""
    pending = [node]
    for _ in range(30):
        if not pending:
            return False
        part = pending.pop()
        followed = reader.value_of(part)
        if followed is None:
            continue
        if (
            isinstance(followed, ast.Call)
            and followed.args
            and reader.file.qualified(followed.func) in ("int", "round")
        ):
            pending.append(followed.args[0])
        elif isinstance(followed, ast.BinOp):
            if isinstance(followed.op, ast.Mult) and number(followed.left) is None and number(followed.right) is None:
                return True
            pending += [followed.left, followed.right]
    return False
