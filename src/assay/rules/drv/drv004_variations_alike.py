"""DRV004: two run variations are the same run."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, descend, string_value
from assay.analysis.run_variations import ID_KEYS, RunList, run_list, texts
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_REMARKS = frozenset({*ID_KEYS, "description", "desc", "notes", "note", "comment", "title", "label", "tags"})
_MOST = 500
_RUNS = re.compile(r"run|variation|experiment|method|config|cfg", re.IGNORECASE)
_FULL = "config/full_experiment.yaml"


class VariationsAlike(Rule):
    """Run variations differ in what they do. Two entries that are equal in everything but their id can differ only if the
    code looks at the id.

    Where no text and no name in the code, and no other part of the configuration, knows the words in which the ids
    differ, the two runs train the same thing, and their comparison says nothing. Ids that differ in numbers only are a
    warning, since repetitions are often meant.
    """

    code = "DRV004"
    name = "variations-alike"
    requirements = ("D2.5", "X3")
    message = "run variations {first} and {second} are configured alike"
    explanation = (
        "In {path} they differ in nothing but their id, and neither the code nor the configuration speaks of it."
    )
    repair = "Give each variation the settings in which it differs, and read them in the code."

    VALID = (
        Example(
            {
                _FULL: "experiments:\n  - {run_id: baseline, lr: 1}\n  - {run_id: proposed, lr: 2}\n",
                "src/train.py": "x = 1\n",
            },
            contract="derived",
        ),
        Example(
            {
                _FULL: "experiments:\n  - {run_id: baseline, lr: 1}\n  - {run_id: proposed, lr: 1}\n",
                "src/train.py": "def main(run):\n    return 'proposed' in run['run_id']\n",
            },
            contract="derived",
        ),
        # another part of the file knows the id
        Example(
            {
                _FULL: "experiments:\n  - {run_id: plain, lr: 1}\n  - {run_id: tuned, lr: 1}\nextra:\n  tuned: {alpha: 2}\n",
                "src/train.py": "x = 1\n",
            },
            contract="derived",
        ),
    )
    INVALID = (
        Example(
            {
                _FULL: "experiments:\n  - run_id: baseline-a\n    lr: 1\n  - run_id: proposed-a\n    lr: 1\n",
                "src/train.py": "def main(run):\n    return run['lr']\n",
            },
            contract="derived",
            at=("config/full_experiment.yaml:4",),
            repaired={_FULL: "experiments:\n  - run_id: baseline-a\n    lr: 1\n  - run_id: proposed-a\n    lr: 2\n"},
        ),
        # what differs is given by the place in the list: a warning
        Example(
            {
                _FULL: "widths: [1, 2]\nexperiments:\n  - {run_id: narrow, lr: 1}\n  - {run_id: broad, lr: 1}\n",
                "src/main.py": "for size, run in zip(config['widths'], config['experiments']):\n    start(run, size)\n",
            },
            contract="derived",
            at=("config/full_experiment.yaml:4",),
        ),
        # the other file tells them apart, and the code may merge the two: a warning
        Example(
            {
                "config/smoke_test.yaml": "experiments:\n  - {run_id: plain, epochs: 1}\n  - {run_id: tuned, epochs: 1}\n",
                _FULL: "experiments:\n  - {run_id: plain, lr: 1}\n  - {run_id: tuned, lr: 2}\n",
                "src/train.py": "x = 1\n",
            },
            contract="derived",
            at=("config/smoke_test.yaml:3",),
        ),
        Example(
            {_FULL: "experiments:\n  - {run_id: a-1, lr: 1}\n  - {run_id: a-2, lr: 1}\n", "src/train.py": "x = 1\n"},
            contract="derived",
            at=("config/full_experiment.yaml:3",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        vocabulary: str | None = None
        settings_in = {
            path: _settings_of(run_list(file.root))
            for path in project.contract.variation_files
            if (file := project.yaml.get(path)) is not None
        }
        for path in project.contract.variation_files:
            file = project.yaml.get(path)
            runs = run_list(file.root) if file else None
            if file is None or runs is None or len(runs.entries) > _MOST:
                continue
            seen: dict[str, str] = {}
            for name, entry in zip(runs.ids, runs.entries, strict=True):
                if name is None or not isinstance(entry, yaml_tree.Mapping):
                    continue
                settings = _settings(entry)
                first = seen.setdefault(settings, name)
                if first == name:
                    continue
                if vocabulary is None:
                    vocabulary = _vocabulary(project)
                one, two = set(_words(first)), set(_words(name))
                different = one ^ two
                if any(word in vocabulary for word in different if not word.isdigit()):
                    continue
                numbers_only = all(word.isdigit() for word in different)
                # the program may merge in what another file sets
                elsewhere = any(
                    told.get(first) != told.get(name) for other, told in settings_in.items() if other != path
                )
                yield self.finding(
                    path,
                    entry,
                    severity=Severity.WARNING
                    if numbers_only or elsewhere or settings == "{}" or _tells_by_place(project)
                    else None,
                    symbol=name,
                    run=name,
                    first=first,
                    second=name,
                    path=path,
                )


def _tells_by_place(project: Project) -> bool:
    """Whether main or train may give a variation something by its place in the list: `zip(widths, runs)`, `widths[i]`."""
    for role in ("main", "train"):
        file = project.role(role)
        if file is None:
            continue
        counted: set[str] = set()
        for call, name in file.calls:
            words = {
                string_value(node) or getattr(node, "id", "") or getattr(node, "attr", "")
                for given in call.args
                for node in descend(given)
            }
            if name not in ("zip", "enumerate") or not any(_RUNS.search(word) for word in words):
                continue
            above = file.parents.get(call)
            target = above.target if isinstance(above, ast.For | ast.comprehension) else None
            if name == "zip" or target is None:
                return True
            counted |= {node.id for node in descend(target) if isinstance(node, ast.Name)}
        if any(
            isinstance(node, ast.Name) and node.id in counted
            for item in file.nodes_of(ast.Subscript)
            for node in descend(item.slice)
        ):
            return True
    return False


def _vocabulary(project: Project) -> str:
    """Every text and name of the code, and every text of the configuration outside of ids, in lower case."""
    found: set[str] = set()
    for file in project.python.values():
        if file.tree is None:
            found.add(file.text)
        for node in file.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, FunctionNode | ast.ClassDef | ast.alias):
                found.add(node.name)
            elif isinstance(node, ast.keyword | ast.arg) and node.arg:
                found.add(node.arg)
    for yaml_file in project.yaml.values():
        counted = Counter(text for document in yaml_file.documents for text in texts(document))
        runs = run_list(yaml_file.root)
        # what occurs besides as the id of a run
        counted -= Counter(name for name in runs.ids if name is not None) if runs else Counter()
        found.update(counted)
    return "\n".join(found).lower()


def _settings(entry: yaml_tree.Mapping) -> str:
    return repr({key: yaml_tree.to_python(value) for key, value in entry.items() if key not in _REMARKS})


def _settings_of(runs: RunList | None) -> dict[str, str]:
    """Run id to what a file sets for it."""
    if runs is None or len(runs.entries) > _MOST:
        return {}
    pairs = zip(runs.ids, runs.entries, strict=True)
    return {
        name: _settings(entry) for name, entry in pairs if name is not None and isinstance(entry, yaml_tree.Mapping)
    }


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z]+|[0-9]+", name.lower())
