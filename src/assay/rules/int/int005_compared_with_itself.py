"""INT005: something is compared with itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import islice

from assay.analysis.expressions import is_same, last_part, number, root_name, tests_around, words, words_of
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword
from assay.analysis.text_pattern import PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# of one file
_MAX_CALLS = 100
# functions that compare their first two arguments, by the names of these:
# https://scikit-learn.org/1.7/api/sklearn.metrics.html, https://docs.scipy.org/doc/scipy-1.16.0/reference/stats.html
_SCORES = frozenset(
    {
        "confusion_matrix", "accuracy_score", "balanced_accuracy_score", "f1_score", "precision_score", "recall_score",
        "classification_report", "matthews_corrcoef", "cohen_kappa_score", "roc_auc_score", "roc_curve",
        "precision_recall_curve", "average_precision_score", "mean_squared_error", "mean_absolute_error", "r2_score",
        "precision_recall_fscore_support", "log_loss", "jaccard_score", "crosstab",
    }
)  # fmt: skip
_TESTS = frozenset(
    {
        "ttest_ind", "ttest_rel", "wilcoxon", "mannwhitneyu", "ks_2samp", "ranksums", "mood", "ansari", "brunnermunzel",
        "f_oneway", "kruskal", "levene", "bartlett", "fligner", "permutation_test", "epps_singleton_2samp",
    }
)  # fmt: skip
_NAMES = (("y_true", "labels_true", "x", "a", "sample1"), ("y_pred", "y_score", "y", "b", "sample2"))
# words of names for the score of a perfect prediction
_CONTROLS = frozenset({"oracle", "perfect", "ceiling", "upper", "sanity", "ideal", "control", "self"})
_SAME_VALUES = frozenset({"copy", "tolist", "to_numpy", "numpy", "deepcopy"})
_COPIES = frozenset(
    {"list", "copy.copy", "copy.deepcopy", "numpy.array", "numpy.asarray", "numpy.copy", "pandas.Series"}
)
_CHANGES = frozenset(
    {"append", "extend", "insert", "sort", "reverse", "fill", "update", "put", "shuffle", "pop", "remove"}
)
_HEAD = "from scipy import stats\nfrom sklearn.metrics import accuracy_score, confusion_matrix\n\n"


class ComparedWithItself(Rule):
    """A comparison of a thing with itself always comes out the same: predictions that are also the labels are all right,
    a run that is its own baseline has no gap, a test of one sample against itself finds nothing.

    The rule blocks where a metric or a significance test gets the same values on both sides, through names and copies,
    and where a confusion matrix is counted on its diagonal alone. A baseline that is bound to the proposed run is a
    warning.
    """

    code = "INT005"
    name = "compared-with-itself"
    requirements = ("X4", "E8.6", "B1.2")
    message = "{what} compares {name} with itself"
    explanation = "The outcome is known beforehand, so it says nothing about the runs."
    repair = "Compare the {sides}."

    VALID = (
        Example({"src/evaluate.py": _HEAD + "confusion_matrix(labels, predictions)\nstats.ttest_rel(ours, theirs)\n"}),
        Example({"src/evaluate.py": _HEAD + "stats.permutation_test((ours, theirs), difference)\n"}),
        Example({"src/evaluate.py": _HEAD + "kept = predictions\nif kept:\n    confusion_matrix(labels, kept)\n"}),
        Example({"src/model.py": "for i in range(n):\n    kernel[i, i] += 1e-6\n"}),
        # the same expression, and another value each time
        Example({"src/evaluate.py": _HEAD + "stats.ttest_ind(sample(), sample())\n"}),
        Example(
            {
                "src/evaluate.py": "for truth, guess in pairs:\n    if truth == guess:\n        cm[truth, truth] += 1\n"
                "    else:\n        cm[truth, guess] += 1\n"
            }
        ),
        # two lists that begin empty
        Example(
            {
                "src/train.py": _HEAD + "labels, guesses = [], []\ntruth = []\nguess = []\nfor a, b in pairs:\n"
                "    truth.append(a)\n    guess.append(b)\nconfusion_matrix(truth, guess)\n"
            }
        ),
        # a copy that is changed
        Example({"src/evaluate.py": _HEAD + "guess = labels.copy()\nguess[0] = 1\nconfusion_matrix(labels, guess)\n"}),
        # read at two places, and set between them
        Example(
            {
                "src/evaluate.py": _HEAD + "state.kept = ours\na = state.kept\nstate.kept = theirs\nb = state.kept\n"
                "stats.ttest_ind(a, b)\n"
            }
        ),
        Example(
            {
                "src/evaluate.py": _HEAD
                + "for row in ours:\n    a = row['values']\nfor row in theirs:\n    b = row['values']\n"
                "stats.ttest_ind(a, b)\n"
            }
        ),
        # a control: the metric of a perfect prediction
        Example({"src/evaluate.py": _HEAD + "assert accuracy_score(labels, labels) == 1.0\n"}),
        Example(
            {"src/evaluate.py": _HEAD + "if accuracy_score(labels, labels) < 1.0:\n    raise RuntimeError('metric')\n"}
        ),
        Example({"src/evaluate.py": _HEAD + "ceiling = f1_score(labels, labels)\n"}),
        Example({"src/evaluate.py": "for i in range(n):\n    confusion[i, i] += 1e-9\n"}),
    )
    INVALID = (
        Example(
            {
                "src/evaluate.py": _HEAD
                + "right = [p == t for p, t in pairs]\nguess = right\nconfusion_matrix(right, guess)\n"
            },
            at=("src/evaluate.py:6",),
            repaired={"src/evaluate.py": _HEAD + "confusion_matrix(labels, predictions)\n"},
        ),
        Example(
            {"src/evaluate.py": _HEAD + "p = stats.ttest_ind(runs['a'], runs['a']).pvalue\n"},
            at=("src/evaluate.py:4",),
            repaired={"src/evaluate.py": _HEAD + "p = stats.ttest_ind(runs['a'], runs['b']).pvalue\n"},
        ),
        Example(
            {"src/evaluate.py": "for value in values:\n    cm[value, value] += 1\n"},
            at=("src/evaluate.py:2",),
            repaired={"src/evaluate.py": "for truth, guess in pairs:\n    cm[truth, guess] += 1\n"},
        ),
        Example({"src/evaluate.py": "baseline_runs = proposed_runs\n"}, at=("src/evaluate.py:1",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for file in project.python.values():
            reader = PatternReader(file)
            named = ((call, called.rpartition(".")[2]) for call, called in file.calls)
            for call, last in islice((item for item in named if item[1] in _SCORES | _TESTS), _MAX_CALLS):
                if not _is_control(file, call):
                    yield from self._compared(reader, call, last)
            for node in file.nodes_of(ast.AugAssign, ast.Assign):
                if isinstance(node, ast.AugAssign) and (name := _diagonal(file, node)):
                    yield self.finding(
                        file.path,
                        node,
                        requirements=("X4", "B1.2"),
                        symbol=file.symbol_of(node) or name,
                        what=f"The confusion matrix {name}",
                        name="each value",
                        sides="predictions with the labels",
                    )
                elif isinstance(node, ast.Assign) and project.contract.role("evaluate") == file.path:
                    yield from self._alias(file, node)

    def _compared(self, reader: PatternReader, call: ast.Call, last: str) -> Iterator[Outcome]:
        sides = [
            call.args[place] if len(call.args) > place else next((v for n in names if (v := keyword(call, n))), None)
            for place, names in enumerate(_NAMES)
        ]
        left, right = sides
        if left is None or right is None or isinstance(left, ast.Starred) or isinstance(right, ast.Starred):
            return
        one, other = _origin(reader, left), _origin(reader, right)
        # names that lead to one place in the program
        named = one is other
        # a call may give another value each time, and two lists written alike are two lists
        written = isinstance(one, ast.Name | ast.Attribute | ast.Subscript) and is_same(one, other)
        if isinstance(one, ast.Constant) or not (
            named or (written and not any(isinstance(node, ast.Call) for node in descend(one)))
        ):
            return
        if (
            not named
            and not is_same(_copied(reader.file, left), _copied(reader.file, right))
            and _may_change(reader, one)
        ):
            return
        test = last in _TESTS
        label = root_name(_copied(reader.file, left))
        yield self.finding(
            reader.file.path,
            call,
            requirements=("X4", "E8.6") if test else ("X4", "B1.2"),
            symbol=reader.file.symbol_of(call) or None,
            what=last,
            name=label.id if label else "a value",
            sides="runs that the test is about" if test else "predictions with the labels",
        )

    def _alias(self, file: PythonFile, node: ast.Assign) -> Iterator[Outcome]:
        if len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name) or not isinstance(node.value, ast.Name):
            return
        target, value = node.targets[0].id, node.value.id
        kinds = {"baseline": {"baseline", "base", "comparative"}, "proposed": {"proposed", "prop", "ours"}}
        held = [{kind for kind, names in kinds.items() if names & set(words_of(text))} for text in (target, value)]
        rest = [set(words_of(text)) - kinds["baseline"] - kinds["proposed"] for text in (target, value)]
        if {frozenset(kind) for kind in held} == {frozenset({"baseline"}), frozenset({"proposed"})} and rest[0] == rest[
            1
        ]:
            yield self.finding(
                file.path,
                node,
                severity=Severity.WARNING,
                requirements=("X4",),
                symbol=target,
                message="{target} is bound to {value}",
                repair="Take the {kind} from its own run, or stop with a message where it is missing.",
                target=target,
                value=value,
                kind="baseline" if "baseline" in held[0] else "proposed method",
            )


def _may_change(reader: PatternReader, value: ast.expr) -> bool:
    """Whether what is read at two places may have been set between them."""
    root = root_name(value)
    for node in reader.file.nodes_of(ast.Name, ast.Attribute, ast.Subscript):
        if isinstance(node.ctx, ast.Load):
            continue
        if isinstance(node, ast.Name):
            if root is not None and node.id == root.id and reader.value_of(root) is root:
                return True
        elif is_same(node, value):
            return True
    return False


def _is_control(file: PythonFile, call: ast.Call) -> bool:
    """Whether a comparison checks that a metric works, or gives its highest value."""
    for up in file.ancestors(call):
        if isinstance(up, ast.Assert | ast.Compare):
            return True
        if isinstance(up, ast.stmt):
            named = words(up) if isinstance(up, ast.Assign) else []
            return bool(_CONTROLS.intersection(named)) or (isinstance(up, ast.If) and call in descend(up.test))
    return False


def _diagonal(file: PythonFile, node: ast.AugAssign) -> str:
    """Name of a confusion matrix that is only ever counted with the same index twice, else empty."""
    target = node.target
    if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name):
        return ""
    index = target.slice
    if not isinstance(index, ast.Tuple) or len(index.elts) != 2 or not is_same(*index.elts):
        return ""
    name = target.value.id
    is_matrix = "cm" in words_of(name) or any(word.startswith("conf") for word in words_of(name))
    if not is_matrix or not isinstance(index.elts[0], ast.Name) or list(tests_around(file, node)):
        return ""
    added = number(node.value)
    if not isinstance(node.op, ast.Add) or (added is not None and added < 1):
        # something small on the diagonal counts nothing
        return ""
    others = [
        other for other in file.nodes_of(ast.Subscript) if other is not target and not isinstance(other.ctx, ast.Load)
    ]
    return "" if any(last_part(other.value) == name for other in others) else name


def _origin(reader: PatternReader, node: ast.expr) -> ast.expr:
    """Where a value comes from, through names and through copies that nothing changes."""
    for _ in range(10):
        inner = _copied(reader.file, node)
        if inner is node:
            # names are followed to the expression that certainly gave them their value
            inner = (reader.value_of(node) if isinstance(node, ast.Name) else None) or node
            if inner is node or (_copied(reader.file, inner) is not inner and _is_changed(reader.file, node)):
                break
        node = inner
    return node


def _is_changed(file: PythonFile, name: ast.expr) -> bool:
    """Whether something may change what a name holds after it was bound: an item set, or a method called for that."""
    for node in file.nodes_of(ast.Name):
        if isinstance(name, ast.Name) and node.id == name.id:
            up = file.parents.get(node)
            if isinstance(up, ast.AugAssign) or (isinstance(up, ast.Subscript) and not isinstance(up.ctx, ast.Load)):
                return True
            if isinstance(up, ast.Attribute) and (up.attr in _CHANGES or up.attr.endswith("_")):
                return True
    return False


def _copied(file: PythonFile, node: ast.expr) -> ast.expr:
    """What a copy is made of; all else as it is."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in _SAME_VALUES and not node.args:
            return node.func.value
        if file.qualified(node.func) in _COPIES and len(node.args) == 1:
            return node.args[0]
    return node
