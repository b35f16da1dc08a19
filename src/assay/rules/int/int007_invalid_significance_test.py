"""INT007: a significance test is made over the steps of one run, or over single values."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import islice

from assay.analysis.expressions import number, root_name, scope_nodes, words, words_of
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, keyword
from assay.analysis.text_pattern import PatternReader
from assay.rules.rule import Example, Outcome, Rule, Undecided

# https://docs.scipy.org/doc/scipy-1.16.0/reference/stats.html#hypothesis-tests-and-related-functions
_TESTS = frozenset(
    {
        "ttest_ind", "ttest_rel", "ttest_1samp", "wilcoxon", "mannwhitneyu", "ranksums", "ks_2samp", "f_oneway", "kruskal",
        "brunnermunzel", "permutation_test", "friedmanchisquare", "alexandergovern", "tukey_hsd",
    }
)  # fmt: skip
_FROM_STATS = "ttest_ind_from_stats"
_MAX_CALLS = 50
_SPREADS = ("std1", "std2")
# what takes a column of a history, or another form of it
_COLUMN = frozenset(
    {
        "get",
        "dropna",
        "to_numpy",
        "tolist",
        "astype",
        "copy",
        "fillna",
        "values",
        "reset_index",
        "loc",
        "iloc",
        "tail",
        "head",
    }
)
# words of a column with a row for each example, each repetition or each task
_EACH = frozenset(
    {"example", "examples", "sample", "correct", "item", "instance", "question", "prompt", "per", "repeat", "rep", "trial",
     "subject", "task", "episode"}
)  # fmt: skip
_READS = frozenset({"history", "scan_history"})
_HEAD = "import wandb\nfrom scipy import stats\n\napi = wandb.Api()\n"


class InvalidSignificanceTest(Rule):
    """A significance test needs independent observations: the same measure from runs with different seeds. The steps of one
    run follow each other, so a test over them finds almost any difference significant. A test on one value for each side,
    or with spreads written into the program, is none.

    The rule blocks where the samples of a test of SciPy are columns of `run.history()`, lists of one element, or numbers
    written out. A history that holds several seeds is left undecided.
    """

    code = "INT007"
    name = "invalid-significance-test"
    requirements = ("E8.6",)
    message = "{test} {fault}"
    explanation = "The p-value does not say whether the difference would show again with another seed."
    repair = "Test the final values of several seeds, paired by seed."

    VALID = (
        # a row for each example
        Example(
            {
                "src/evaluate.py": "from scipy import stats\n\na = api.run('a').history()['example_correct']\n"
                "b = api.run('b').history()['example_correct']\nprint(stats.wilcoxon(a, b))\n"
            }
        ),
        Example(
            {
                "src/evaluate.py": _HEAD + "finals = [api.run(run).summary['accuracy'] for run in runs]\n"
                "stats.ttest_rel(finals, others)\n"
            }
        ),
        Example(
            {
                "src/evaluate.py": _HEAD
                + "def seeds(history):\n    return history.groupby('seed')['accuracy'].last()\n\n"
                "stats.ttest_rel(seeds(api.run(a).history()), seeds(api.run(b).history()))\n"
            }
        ),
        Example({"src/evaluate.py": _HEAD + "stats.ttest_ind_from_stats(m1, s1, 5, m2, s2, 5)\n"}),
    )
    INVALID = (
        Example(
            {
                "src/evaluate.py": _HEAD + "one = api.run(a).history()['accuracy'].dropna()\n"
                "two = api.run(b).history()['accuracy'].dropna()\np = stats.ttest_ind(one, two).pvalue\n"
            },
            at=("src/evaluate.py:7",),
            repaired={"src/evaluate.py": _HEAD + "p = stats.ttest_rel(finals, others).pvalue\n"},
        ),
        Example(
            {
                "src/evaluate.py": _HEAD + "kept = {}\nfor run in runs:\n    kept[run] = api.run(run).history()\n"
                "p = stats.mannwhitneyu(kept['a']['loss'].values, kept['b']['loss'].values).pvalue\n"
            },
            at=("src/evaluate.py:8",),
            repaired={"src/evaluate.py": _HEAD + "p = stats.ttest_rel(finals, others).pvalue\n"},
        ),
        Example(
            {"src/evaluate.py": _HEAD + "p = stats.ttest_ind([ours], [theirs]).pvalue\n"},
            at=("src/evaluate.py:5",),
            repaired={"src/evaluate.py": _HEAD + "p = stats.ttest_rel(finals, others).pvalue\n"},
        ),
        Example(
            {
                "src/evaluate.py": _HEAD
                + "p = stats.ttest_ind_from_stats(mean1=a, std1=1e-6, nobs1=1, mean2=b, std2=1e-6, "
                "nobs2=1)\n"
            },
            at=("src/evaluate.py:5",),
            repaired={"src/evaluate.py": _HEAD + "p = stats.ttest_rel(finals, others).pvalue\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        file = project.role("evaluate")
        if file is None or file.tree is None:
            return
        reader = PatternReader(file)
        seeds = any(_speaks_of_seeds(other) for other in (file, project.role("train")) if other is not None)
        tests = ((call, called.rpartition(".")[2]) for call, called in file.calls)
        for call, test in islice((item for item in tests if item[1] in _TESTS | {_FROM_STATS}), _MAX_CALLS):
            fault = ""
            if test == _FROM_STATS:
                if all(number(keyword(call, name)) is not None for name in _SPREADS):
                    fault = "gets its spreads as numbers written in the program"
            elif test in _TESTS and call.args:
                samples = call.args[:1] if test == "ttest_1samp" else call.args[:2]
                if all(_is_single(reader, item) for item in samples):
                    fault = "gets one value for each side"
                elif len(samples) > 1 and all(_is_history(reader, item) for item in samples):
                    if seeds or any(_EACH & set(words(reader.value_of(item) or item)) for item in samples):
                        yield Undecided("the history may hold several seeds, or one row for each example", ("E8.6",))
                        continue
                    fault = "is made over the steps of single runs"
            if fault:
                yield self.finding(file.path, call, symbol=file.symbol_of(call) or None, test=test, fault=fault)


def _speaks_of_seeds(file: PythonFile) -> bool:
    """Whether a program may hold several seeds or folds in one run: it has a list of them, or a column for them."""
    for node in file.nodes_of(ast.Name, ast.Attribute, ast.Constant):
        if isinstance(node, ast.Name | ast.Attribute):
            if {"seeds", "folds"} & set(words_of(node.id if isinstance(node, ast.Name) else node.attr)):
                return True
        elif isinstance(node, ast.Constant) and node.value in ("seed", "seeds", "Seed", "fold", "folds"):
            return True
    return False


def _is_single(reader: PatternReader, node: ast.expr) -> bool:
    """Whether a sample is a list of one element."""
    value = reader.value_of(node)
    return (
        isinstance(value, ast.List | ast.Tuple) and len(value.elts) == 1 and not isinstance(value.elts[0], ast.Starred)
    )


def _is_history(reader: PatternReader, node: ast.expr) -> bool:
    """Whether a sample is a column of a run's history."""
    file = reader.file
    for _ in range(12):
        if isinstance(node, ast.Name):
            value = reader.value_of(node)
            if value is None or value is node or isinstance(value, ast.Name):
                return _holds_histories(file, node)
            node = value
        elif isinstance(node, ast.Call):
            if not isinstance(node.func, ast.Attribute):
                return False
            if node.func.attr in _READS:
                return True
            if node.func.attr not in _COLUMN:
                return False
            node = node.func.value
        elif isinstance(node, ast.Subscript):
            root = root_name(node.value)
            if root is not None and _holds_histories(file, root):
                return True
            node = node.value
        elif isinstance(node, ast.Attribute) and node.attr in _COLUMN:
            node = node.value
        else:
            return False
    return False


def _holds_histories(file: PythonFile, name: ast.Name) -> bool:
    """Whether a name is a dict to which nothing but histories of runs is given: `kept[run_id] = run.history()`."""
    scope = file.function_of(name) or file.tree
    assert scope is not None
    given = [
        node.value
        for node in scope_nodes(scope)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and target.value.id == name.id
    ]
    if not given and isinstance(scope, FunctionNode):
        return False
    return bool(given) and all(_is_read(scope, value) for value in given)


def _is_read(scope: FunctionNode | ast.Module, value: ast.expr) -> bool:
    """Whether a value is the history of a run, or a name that is bound to nothing else in this scope."""
    root = value
    if isinstance(root, ast.Call) and isinstance(root.func, ast.Attribute) and root.func.attr == "copy":
        root = root.func.value
    if isinstance(root, ast.Name):
        bound = [
            node.value
            for node in scope_nodes(scope)
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == root.id for t in node.targets)
        ]
        annotated = [
            node.value
            for node in scope_nodes(scope)
            if isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == root.id
            and node.value is not None
        ]
        return bool(bound or annotated) and all(_calls_history(item) for item in [*bound, *annotated])
    return _calls_history(root)


def _calls_history(node: ast.AST) -> bool:
    """Whether an expression is a call of `history` on a run, with nothing but a copy or a table made of it."""
    return any(
        isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in _READS
        for part in descend(node)
    ) and not any(
        isinstance(part, ast.Attribute) and part.attr in ("groupby", "drop_duplicates") for part in descend(node)
    )
