"""INT008: evaluate makes no significance test."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from assay.analysis.expressions import number, words_of
from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile
from assay.rules.rule import Example, Outcome, Rule, Undecided

_LIBRARIES = frozenset(
    {"scipy", "statsmodels", "pingouin", "scikit_posthocs", "arch", "mlxtend", "autorank", "baycomp", "rpy2"}
)
# words in names of functions, variables and keys of someone who tests, or bounds a difference in another way
_WORDS = frozenset(
    {
        "significance", "significant", "pvalue", "pval", "bootstrap", "bootstrapped", "permutation", "permute", "mcnemar",
        "ttest", "wilcoxon", "mannwhitney", "welch", "anova", "confidence", "credible", "posterior", "resample", "resampled",
        "jackknife", "binomial", "binomtest", "bayes", "bayesian", "erf", "erfc", "lgamma", "cohen",
    }
)  # fmt: skip
# words in what such a test, or an interval, can be worked out with by hand
_BY_HAND = frozenset(
    {
        "sem", "ddof", "stderr", "sqrt", "ci", "interval", "intervals", "effect", "combinations", "permutations", "product",
        "choice", "choices", "shuffle", "shuffled", "flip", "flips", "flipped", "resamples", "tstat", "chi2",
    }
)  # fmt: skip
_PAIRS = (("p", "value"), ("p", "val"), ("p", "values"), ("p", "vals"), ("t", "test"), ("t", "stat"), ("sign", "test"))


class NoSignificanceTest(Rule):
    """A difference between two runs is only worth reporting with a statement of how likely chance is to produce it. The
    contract asks evaluate for tests that are valid for the data.

    The rule looks for a call into a statistics library, and for names of tests, intervals and resampling that someone may
    have written by hand, in evaluate and in the files it imports. It blocks where there is neither. A statistics library
    that is imported and not used does not count.
    """

    code = "INT008"
    name = "no-significance-test"
    requirements = ("E8.6",)
    message = "evaluate makes no significance test"
    explanation = "Nothing says whether the difference between the runs is more than chance."
    repair = "Test the values of several seeds, for instance with scipy.stats.ttest_rel, and report the p-value."

    VALID = (
        Example({"src/evaluate.py": "from scipy import stats\n\np = stats.ttest_rel(ours, theirs).pvalue\n"}),
        Example({"src/evaluate.py": "def bootstrap(values):\n    return sorted(values)\n\nbootstrap(differences)\n"}),
        # written out by hand: all ways to turn the signs of the differences
        Example(
            {
                "src/evaluate.py": "import itertools\n\nmeans = [abs(sum(s * d for s, d in zip(signs, differences)))\n"
                "         for signs in itertools.product((-1, 1), repeat=len(differences))]\n"
                "share = sum(mean >= abs(sum(differences)) for mean in means) / len(means)\n"
            }
        ),
        Example({"src/evaluate.py": "ratio = mean / (spread / len(differences) ** 0.5)\n"}),
        Example({"src/evaluate.py": "from assay.evaluation import compare\n\ncompare(runs)\n"}),
        Example({"src/evaluate.py": "table = compare(runs)\n"}, contract="base"),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": "from scipy import stats\n\nbest = max(values)\nprint(best)\n"},
            at=("src/evaluate.py:1",),
            repaired={"src/evaluate.py": "from scipy import stats\n\np = stats.ttest_rel(ours, theirs).pvalue\n"},
        ),
        Example(
            {"src/evaluate.py": "best = max(values)\nprint(best)\n"},
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": "from scipy import stats\n\np = stats.ttest_rel(ours, theirs).pvalue\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        evaluate = project.role("evaluate")
        if evaluate is None or not evaluate.nodes[1:]:
            return
        files = [evaluate, *reached_files(project, evaluate)]
        if any(_tests(file) for file in files):
            return
        if any(_spreads(file) for file in files):
            yield Undecided("a test may be written out by hand")
            return
        if any(file.tree is None for file in files):
            yield Undecided("part of what evaluate uses cannot be read")
        elif any(
            item.module.partition(".")[0] in ("assay", "importlib") or item.name == "*"
            for file in files
            for item in file.imports
        ):
            yield Undecided("a library may make the tests")
        else:
            unused = next((item for item in evaluate.imports if item.module.partition(".")[0] in _LIBRARIES), None)
            yield self.finding(evaluate.path, unused.node if unused else None)


def _spreads(file: PythonFile) -> bool:
    """Whether a file works with standard errors, or draws samples anew, of which a test can be made without naming it."""
    for node in file.nodes:
        text = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        text = (node.arg or "") if isinstance(node, ast.keyword) else text
        if _BY_HAND & set(words_of(text)):
            return True
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and number(node.right) == 0.5:
            return True
    return False


def _tests(file: PythonFile) -> bool:
    """Whether anything in a file may be a significance test."""
    names = {item.bound for item in file.imports if item.module.partition(".")[0] in _LIBRARIES}
    for node in file.nodes:
        text = ""
        if isinstance(node, ast.Name):
            if node.id in names and isinstance(node.ctx, ast.Load):
                return True
            text = node.id
        elif isinstance(node, ast.Attribute):
            text = node.attr
        elif isinstance(node, FunctionNode | ast.ClassDef):
            text = node.name
        elif isinstance(node, ast.arg):
            text = node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 60:
            text = node.value
        parts = words_of(text)
        if _WORDS & set(parts) or any(pair in _PAIRS for pair in itertools.pairwise(parts)):
            return True
        if any(part.startswith(("ttest", "pval", "signif", "bootstr", "permut")) for part in parts):
            return True
    return False
