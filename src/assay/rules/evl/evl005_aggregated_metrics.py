"""EVL005: evaluate does not write the aggregated metrics that the contract names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_FILE = "aggregated_metrics.json"
_KEYS = ("primary_metric", "metrics", "best_proposed", "best_baseline", "gap")
_SEPARATORS = re.compile(r"[\s,;|]+")
_WHOLE = (
    "import json\nfrom pathlib import Path\ntable = {'primary_metric': 'acc', 'metrics': {}, 'best_proposed': None,\n"
    "         'best_baseline': None, 'gap': None}\nPath('r/comparison/aggregated_metrics.json').write_text(json.dumps(table))\n"
)


class AggregatedMetrics(Rule):
    """Evaluate sums the comparison up in `comparison/aggregated_metrics.json` with the keys `primary_metric`, `metrics`,
    `best_proposed`, `best_baseline` and `gap`.

    Whatever reads the comparison looks for this name and these keys. The rule looks for them as text anywhere in evaluate
    and in the files that it imports; where a key may be put together from parts, it only warns.
    """

    code = "EVL005"
    name = "aggregated-metrics"
    requirements = ("E8.4",)
    message = "evaluate never names {missing}"
    explanation = (
        "comparison/aggregated_metrics.json needs primary_metric, metrics, best_proposed, best_baseline and gap."
    )
    repair = "Write {missing} into comparison/aggregated_metrics.json."

    VALID = (
        Example({"src/evaluate.py": _WHOLE}),
        Example({"src/evaluate.py": "from assay.evaluation import write_comparison\nwrite_comparison()\n"}),
        Example(
            {
                "src/evaluate.py": "import json\ntable = dict(primary_metric='a', metrics={}, best_proposed=1, best_baseline=2)\n"
                "table['gap'] = 0\njson.dump(table, open(f'{out}/aggregated_metrics.json', 'w'))\n"
            }
        ),
        # keys that are attributes, or one text
        Example(
            {
                "src/evaluate.py": "import json\n\n\nclass Table:\n    def __init__(self):\n        self.primary_metric, self.metrics = 'acc', {}\n"
                "        self.best_proposed = self.best_baseline = self.gap = None\n\n\n"
                "json.dump(vars(Table()), open('comparison/aggregated_metrics.json', 'w'))\n"
            }
        ),
        Example(
            {
                "src/evaluate.py": "from collections import namedtuple\n\n"
                "Table = namedtuple('Table', 'primary_metric metrics best_proposed best_baseline gap')\n"
                "write('aggregated_metrics', Table(1, 2, 3, 4, 5)._asdict())\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": _WHOLE.replace("'gap': None", "")},
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": _WHOLE},
        ),
        # the key may be built: a warning
        Example(
            {"src/evaluate.py": _WHOLE.replace("'best_proposed': None,", "f'best_{kind}': None,")},
            at=("src/evaluate.py",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        evaluate = project.role("evaluate")
        if evaluate is None or not evaluate.nodes[1:]:
            yield Undecided("evaluate is missing or cannot be read")
            return
        files = [evaluate, *reached_files(project, evaluate)]
        if any(
            item.module.partition(".")[0] in ("assay", "importlib") or item.name == "*" for item in evaluate.imports
        ):
            yield Undecided("a library writes the comparison")
            return
        if any(file.tree is None for file in files):
            yield Undecided("part of what evaluate uses cannot be read")
            return
        words, pieces = _words(files)
        missing = [key for key in _KEYS if key not in words]
        if not any(_FILE.partition(".")[0] in word for word in words):
            missing.insert(0, _FILE)
        certain = [key for key in missing if not any(_may_be_part(piece, key) for piece in pieces)]
        if missing:
            yield self.finding(
                evaluate.path,
                severity=None if certain else Severity.WARNING,
                missing=", ".join(certain or missing),
                symbol=(certain or missing)[0],
            )


def _words(files: list[PythonFile]) -> tuple[set[str], set[str]]:
    """The texts and field names that a file spells out, and the pieces of texts that it puts together.

    A text that lists several of the keys, as for `namedtuple`, holds each of them.
    """
    words: set[str] = set()
    pieces: set[str] = set()
    for file in files:
        # with `locals()`, the name of a variable becomes a key
        bound = any(name == "locals" for _, name in file.calls)
        for node in file.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
                if len(node.value) < 500 and not isinstance(file.parents.get(node), ast.Expr):
                    names = set(_SEPARATORS.split(node.value))
                    words |= names if len(names & set(_KEYS)) > 2 else set()
                if isinstance(file.parents.get(node), ast.JoinedStr | ast.BinOp):
                    pieces.add(node.value)
            elif isinstance(node, ast.keyword) and node.arg:
                words.add(node.arg)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                words.add(node.attr)
            elif bound and isinstance(node, ast.arg):
                words.add(node.arg)
            elif bound and isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                words.add(node.id)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                words.add(node.target.id)
    return words, pieces


def _may_be_part(piece: str, key: str) -> bool:
    return len(piece) > 2 and piece in key
