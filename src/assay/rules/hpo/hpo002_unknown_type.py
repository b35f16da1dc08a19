"""HPO002: a search space has a type that the code does not know."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.import_time import catches
from assay.analysis.parameter_search import parameter_search
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_TRAIN = (
    "import optuna\n\n\ndef suggest(trial, name, spec):\n    if spec['type'] == 'loguniform':\n"
    "        return trial.suggest_float(name, spec['low'], spec['high'], log=True)\n"
    "    if spec['type'] in ('categorical', 'choice'):\n        return trial.suggest_categorical(name, spec['choices'])\n"
    "    raise ValueError(spec['type'])\n"
)
_RUN = "optuna:\n  n_trials: 10\n  search_space:\n"
_ANY = frozenset({"ValueError", "KeyError", "Exception", "BaseException"})


class UnknownType(Rule):
    """The code draws each value by the `type` of its entry in `optuna.search_space`, with a branch for every type it knows.

    A type without a branch ends the search with an error where the last branch raises one. Where nothing is raised, the
    name is passed over, which is a warning. The types are taken from the comparisons in the functions that call
    `trial.suggest_...`; code that finds its branch by a table is not judged.
    """

    code = "HPO002"
    name = "unknown-search-type"
    requirements = ("E7.3",)
    message = "the search space of `{name}` is of type `{kind}`, which {path} does not know"
    explanation = "{effect}"
    repair = "Use one of {known}, or add a branch for `{kind}`."

    VALID = (
        Example(
            {"src/train.py": _TRAIN, "config/runs/a.yaml": _RUN + "    lr: {type: loguniform, low: 1e-5, high: 1}\n"}
        ),
        Example({"src/train.py": _TRAIN, "config/runs/a.yaml": _RUN + "    lr: {low: 1e-5, high: 1}\n"}),
        # it asks for a part of the type
        Example(
            {
                "src/train.py": "import optuna\n\n\ndef suggest(trial, name, spec):\n    if spec.type.endswith('uniform'):\n"
                "        return trial.suggest_float(name, spec.low, spec.high, log='log' in spec.type)\n"
                "    if spec.type == 'categorical':\n        return trial.suggest_categorical(name, spec.choices)\n    raise ValueError\n",
                "config/runs/a.yaml": _RUN + "    lr: {type: loguniform, low: 1e-5, high: 1}\n",
            }
        ),
        # everything else is a float
        Example(
            {
                "src/train.py": "import optuna\n\n\ndef suggest(trial, name, spec):\n    if spec.type == 'categorical':\n"
                "        return trial.suggest_categorical(name, spec.choices)\n"
                "    return trial.suggest_float(name, spec.low, spec.high, log=spec.type == 'loguniform')\n",
                "config/runs/a.yaml": _RUN + "    lr: {type: uniform, low: 0, high: 1}\n",
            }
        ),
    )
    INVALID = (
        Example(
            {
                "src/train.py": _TRAIN,
                "config/runs/a.yaml": _RUN + "    training.wd: {type: uniform, low: 0, high: 1}\n",
            },
            at=("config/runs/a.yaml:4",),
            repaired={"config/runs/a.yaml": _RUN + "    training.wd: {type: loguniform, low: 0.01, high: 1}\n"},
        ),
        # it is passed over: a warning
        Example(
            {
                "src/train.py": _TRAIN.replace("    raise ValueError(spec['type'])\n", ""),
                "config/runs/a.yaml": _RUN + "    training.wd: {type: uniform, low: 0, high: 1}\n",
            },
            at=("config/runs/a.yaml:4",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        search = parameter_search(project)
        readers = [found for file in search.files for found in _readers(file)]
        if len(readers) != 1:
            # none, or several of which one may be meant for another kind of space
            return
        file, function, known, raises = readers[0]
        told: set[tuple[str, str]] = set()
        for item in search.searched:
            kind = yaml_tree.find(item.entry, "type")
            if not isinstance(kind, yaml_tree.Scalar) or "${" in kind.text or kind.text.lower() in known:
                continue
            if (item.file, item.name) in told:
                continue
            told.add((item.file, item.name))
            # a run configuration that the brief gives is right by itself
            laid = project.submission.files[item.file].laid
            yield self.finding(
                file.path if laid else item.file,
                function.lineno if laid else item.key,
                severity=None if raises and item.active else Severity.WARNING,
                symbol=item.name,
                name=item.name,
                kind=kind.text,
                path=file.path,
                known=", ".join(f"`{text}`" for text in sorted(known)),
                effect="The search stops with an error." if raises else "No value is drawn for it by its type.",
                frames=(Frame(file.path, function.lineno),),
            )


def _readers(file: PythonFile) -> Iterator[tuple[PythonFile, FunctionNode, set[str], bool]]:
    """The functions of a file that draw values by type, with the types they know, and whether they refuse others."""
    drawing = {
        file.function_of(call)
        for call, _ in file.calls
        if isinstance(call.func, ast.Attribute) and call.func.attr.startswith("suggest_")
    }
    for function in file.functions:
        if function not in drawing:
            continue
        nodes = [node for node in descend(function) if file.function_of(node) is function]
        suggests = [
            node
            for node in nodes
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr.startswith("suggest_")
        ]
        tests = [node.test for node in nodes if isinstance(node, ast.If)]
        if len(suggests) < 2 or not tests:
            continue
        known: set[str] = set()
        plain = True
        for test in tests:
            texts = _compared(test)
            plain &= texts is not None
            known |= texts or set()
        if not plain or not known:
            continue
        # a draw that stands under no test takes whatever type is left
        tested = [call for call in suggests if any(isinstance(up, ast.If) for up in _within(file, call, function))]
        last_else = any(
            isinstance(node, ast.If)
            and node.orelse
            and not isinstance(node.orelse[0], ast.If)
            and any(call in suggests for statement in node.orelse for call in descend(statement))
            for node in nodes
        )
        if len(tested) < len(suggests) or last_else:
            continue
        raises = any(
            isinstance(node, ast.Raise) and not catches(file, node, _ANY) and not _in_body_of_test(file, node)
            for node in nodes
        )
        yield file, function, known, raises


def _compared(test: ast.expr) -> set[str] | None:
    """The types that a test compares with, in lower case; None where it asks anything else."""
    found: set[str] = set()
    for part in test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) else [test]:
        if not isinstance(part, ast.Compare) or len(part.ops) != 1:
            return None
        right = part.comparators[0]
        items = right.elts if isinstance(right, ast.Tuple | ast.List | ast.Set) else [right]
        texts = [string_value(item) for item in items]
        if (
            not isinstance(part.ops[0], ast.Eq | ast.In)
            or None in texts
            or (isinstance(right, ast.Constant) and isinstance(part.ops[0], ast.In))
        ):
            return None
        found |= {text.lower() for text in texts if text is not None}
    return found


def _within(file: PythonFile, node: ast.AST, function: FunctionNode) -> Iterator[ast.AST]:
    for up in file.ancestors(node):
        if up is function:
            return
        yield up


def _in_body_of_test(file: PythonFile, node: ast.AST) -> bool:
    parent = file.parents.get(node)
    return isinstance(parent, ast.If) and node in parent.body
