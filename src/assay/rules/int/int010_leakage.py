"""INT010: data for evaluation reaches training, or the other way round."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from assay.analysis.expressions import is_same, scope_nodes, words, words_of
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, keyword, string_value
from assay.analysis.text_pattern import PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_MAX_NAMES = 40
_HELD_OUT = frozenset({"val", "valid", "validation", "dev", "test", "eval", "evaluation", "holdout"})
_SEEN = frozenset({"train", "training"})
_FITS = frozenset({"fit", "fit_transform", "partial_fit"})
# what turns values by what it saw in fit: https://scikit-learn.org/1.7/api/sklearn.preprocessing.html
_TRANSFORMERS = ("sklearn.preprocessing.", "sklearn.decomposition.", "sklearn.feature_extraction.", "sklearn.impute.",
                 "sklearn.feature_selection.")  # fmt: skip
_HEAD = "from sklearn.preprocessing import StandardScaler\nfrom sklearn.model_selection import train_test_split\n\n"
_LOAD = "from datasets import load_dataset\n\n"


class Leakage(Rule):
    """A score counts only where the model has seen nothing of the data it is measured on: not the examples, and not their
    mean and spread either.

    The rule warns where a name for held-out data is bound to exactly what a name for training data is bound to, where
    a training set is read from a split called test, where a scaler or vectorizer of scikit-learn is fitted on test
    data, and where it is fitted before the data are split.
    """

    code = "INT010"
    name = "leakage"
    requirements = ("X5",)
    severity = Severity.WARNING
    message = "{what}"
    explanation = "The score is then measured on data that training has seen, and says too much."
    repair = "{change}."

    VALID = (
        Example(
            {
                "src/preprocess.py": _HEAD + "scaler = StandardScaler()\ntrain_x = scaler.fit_transform(train_x)\n"
                "test_x = scaler.transform(test_x)\n"
            }
        ),
        Example(
            {
                "src/preprocess.py": _LOAD + "train_data = load_dataset('a', split='train')\n"
                "val_data = load_dataset('a', split='validation')\n"
            }
        ),
        # parts of one split
        Example(
            {
                "src/preprocess.py": _LOAD + "train_data = load_dataset('a', split='train')\n"
                "val_data = load_dataset('a', split='train')\nval_data = val_data.select(range(100))\n"
            }
        ),
        Example(
            {
                "src/preprocess.py": _LOAD + "train_data = load_dataset('a', split='train')\n"
                "val_data = load_dataset('a', split='train')\ntrain_data, val_data = divide(train_data, val_data)\n"
            }
        ),
    )
    INVALID = (
        Example(
            {
                "src/preprocess.py": _LOAD + "train_data = load_dataset('a', split='train')\n"
                "val_data = load_dataset('a', split='train')\n"
            },
            at=("src/preprocess.py:4",),
        ),
        Example(
            {"src/preprocess.py": _LOAD + "train_data = load_dataset('a', split='test')\n"}, at=("src/preprocess.py:3",)
        ),
        Example(
            {"src/preprocess.py": _HEAD + "scaler = StandardScaler()\nscaler.fit(test_x)\n"},
            at=("src/preprocess.py:5",),
        ),
        Example(
            {
                "src/preprocess.py": _HEAD + "scaled = StandardScaler().fit_transform(values)\n"
                "train_x, test_x = train_test_split(scaled)\n"
            },
            at=("src/preprocess.py:5",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for file in project.python.values():
            if file.tree is None or not any(word in file.text for word in ("load_dataset", "sklearn", "train")):
                continue
            reader = PatternReader(file)
            for scope in (file.tree, *file.functions):
                yield from self._same_data(file, scope)
            for call, called in file.calls:
                yield from self._fitted(reader, call, called)

    def _same_data(self, file: PythonFile, scope: FunctionNode | ast.Module) -> Iterator[Outcome]:
        nodes = list(scope_nodes(scope))
        bound = Counter(node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store))
        seen: list[tuple[str, ast.expr]] = []
        held: list[tuple[str, ast.Assign]] = []
        for node in nodes:
            if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
                continue
            name = node.targets[0].id
            parts = set(words_of(name))
            if not _is_data(file, node.value):
                continue
            if parts & _SEEN and not parts & _HELD_OUT:
                split = keyword(node.value, "split") if isinstance(node.value, ast.Call) else None
                if string_value(split) == "test":
                    yield self.finding(
                        file.path, node, symbol=name, what=f"{name} is read from the split test",
                        change="Train on the split train",
                    )  # fmt: skip
                if bound[name] == 1 and len(seen) < _MAX_NAMES:
                    seen.append((name, node.value))
            elif parts & _HELD_OUT and not parts & _SEEN and bound[name] == 1:
                held.append((name, node))
        for name, node in held:
            other = next((item for item, value in seen if is_same(value, node.value)), None)
            if other is not None:
                yield self.finding(
                    file.path, node, symbol=name, what=f"{name} holds the same data as {other}",
                    change="Hold out a part that training does not see",
                )  # fmt: skip

    def _fitted(self, reader: PatternReader, call: ast.Call, called: str) -> Iterator[Outcome]:
        file = reader.file
        if called == "sklearn.model_selection.train_test_split":
            for item in call.args:
                value = reader.value_of(item)
                if isinstance(value, ast.Call) and _fits(reader, value) and _last(value) == "fit_transform":
                    yield self.finding(
                        file.path, call, symbol=file.symbol_of(call) or None,
                        what="the data are scaled by all of them, and split afterwards",
                        change="Split first, and fit on the training part",
                    )  # fmt: skip
                    return
        elif call.args and _fits(reader, call):
            held = set(words(call.args[0]))
            if held & {"test", "val", "validation", "dev"} and not held & _SEEN:
                yield self.finding(
                    file.path, call, symbol=file.symbol_of(call) or None,
                    what=f"{_last(call)} is called with held-out data",
                    change="Fit on the training data, and only transform the rest",
                )  # fmt: skip


def _last(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _fits(reader: PatternReader, call: ast.Call) -> bool:
    """Whether a call fits a transformer of scikit-learn."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _FITS:
        return False
    maker = reader.value_of(call.func.value)
    return isinstance(maker, ast.Call) and reader.file.qualified(maker.func).startswith(_TRANSFORMERS)


def _is_data(file: PythonFile, node: ast.expr) -> bool:
    """Whether an expression is a dataset that is read, or a named split of one."""
    if isinstance(node, ast.Call):
        return file.qualified(node.func) == "datasets.load_dataset" and keyword(node, "split") is not None
    return isinstance(node, ast.Subscript) and string_value(node.slice) in ("train", "test", "validation")
