"""DAT011: where a dataset cannot be loaded, the code goes on with made-up data."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.data_sources import FILE_BUILDERS, data_sources
from assay.analysis.dataset_knowledge import known_datasets
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, string_value
from assay.analysis.random_draws import is_draw
from assay.analysis.text_pattern import PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# Calls that make data of nothing: https://docs.pytorch.org/docs/2.9/torch.html#creation-ops,
# https://docs.pytorch.org/vision/0.24/generated/torchvision.datasets.FakeData.html,
# https://scikit-learn.org/1.7/api/sklearn.datasets.html#sample-generators
_MAKES_DATA = frozenset(
    {"torch.rand", "torch.randn", "torch.randint", "torch.zeros", "torch.ones", "torchvision.datasets.FakeData"}
)
_MAKERS = ("sklearn.datasets.make_", "numpy.random.")
_IMPORT_ERRORS = frozenset({"ImportError", "ModuleNotFoundError", "KeyboardInterrupt", "StopIteration"})


def _preprocess(text: str) -> dict[str, str]:
    return {"src/preprocess.py": "import torch\nfrom datasets import load_dataset\n\n\n" + text}


_REPLACED = (
    "def load():\n    try:\n        data = load_dataset('stanfordnlp/imdb')\n    except Exception:\n"
    "        data = torch.randn(100, 10)\n    return data\n"
)


class SilentReplacement(Rule):
    """A `try` around the loading of a dataset whose handler puts random or invented data in its place. The program then
    trains and reports numbers of something else than it says.

    The rule blocks where the handler certainly binds the name, or returns in the place of, what would have been loaded,
    and the value is made of nothing (random numbers, `FakeData`, `make_classification`). Data of the submission's own
    making, data under a condition, or another dataset of the Hub instead of the one asked for are a warning. To raise
    again, to retry, or to load the same dataset from elsewhere is right.
    """

    code = "DAT011"
    name = "silent-data-replacement"
    requirements = ("E3.2", "X4", "D2.1")
    message = "where {loaded} fails, {made} takes its place"
    explanation = "The run goes on as if nothing had happened, and its results are those of other data."
    repair = "Let the error stop the program, or raise it again with a message that says what is missing."

    VALID = (
        Example(
            _preprocess(_REPLACED.replace("data = torch.randn(100, 10)", "raise RuntimeError('no data') from None"))
        ),
        Example(_preprocess(_REPLACED.replace("torch.randn(100, 10)", "load_dataset('imdb')"))),
        Example(
            _preprocess(
                "def load():\n    for _ in range(3):\n        try:\n            return load_dataset('stanfordnlp/imdb')\n"
                "        except OSError:\n            continue\n    raise RuntimeError('no data')\n"
            )
        ),
        # noise for something else
        Example(
            _preprocess(
                "def load():\n    try:\n        data = load_dataset('stanfordnlp/imdb')\n    except OSError:\n"
                "        wait = torch.rand(1)\n        data = load_dataset('imdb')\n    return data\n"
            )
        ),
        Example(_preprocess("def smoke():\n    return torch.randn(100, 10)\n")),
    )
    INVALID = (
        Example(
            _preprocess(_REPLACED),
            at=("src/preprocess.py:9",),
            repaired=_preprocess(_REPLACED.replace("data = torch.randn(100, 10)", "raise")),
        ),
        Example(
            _preprocess(
                "def load():\n    try:\n        return load_dataset('stanfordnlp/imdb')['train']\n    except Exception as error:\n"
                "        print(error)\n        x, y = torch.randn(8, 3), torch.zeros(8)\n"
                "        return torch.utils.data.TensorDataset(x, y)\n"
            ),
            at=("src/preprocess.py:11",),
            repaired=_preprocess("def load():\n    return load_dataset('stanfordnlp/imdb')['train']\n"),
        ),
        # of the submission's own making: a warning
        Example(
            _preprocess(_REPLACED.replace("torch.randn(100, 10)", "SyntheticReviews(100)")),
            at=("src/preprocess.py:9",),
        ),
        # another dataset: a warning
        Example(
            _preprocess(_REPLACED.replace("torch.randn(100, 10)", "load_dataset('fancyzhx/ag_news')")),
            at=("src/preprocess.py:9",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for file in project.python.values():
            tries = [node for node in file.nodes_of(ast.Try) if node.handlers]
            if not tries:
                continue
            sources = {source.call: source.called for source in data_sources(PatternReader(file))}
            for node in tries if sources else ():
                yield from self._of_try(file, node, sources)

    def _of_try(self, file: PythonFile, node: ast.Try, sources: dict[ast.Call, str]) -> Iterator[Outcome]:
        loads = [part for statement in node.body for part in descend(statement) if part in sources]
        if not loads:
            return
        names = {name for load in loads if (name := _bound_to(file, load, node)) is not None}
        returned = any(_is_returned(file, load, node) for load in loads)
        loaded = sources[loads[0]].rpartition(".")[2]
        for handler in node.handlers:
            if _is_about_imports(handler):
                continue
            made = _made_in(file, handler)
            for statement in handler.body:
                value = _replacement(statement, names, returned)
                if value is None:
                    continue
                what = _what_is(file, value, made, loads)
                if what is None:
                    continue
                text, sure = what
                yield self.finding(
                    file.path,
                    statement,
                    severity=None if sure else Severity.WARNING,
                    symbol=file.symbol_of(statement) or None,
                    loaded=loaded,
                    made=text,
                )


def _is_about_imports(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return all(isinstance(kind, ast.Name) and kind.id in _IMPORT_ERRORS for kind in kinds)


def _bound_to(file: PythonFile, load: ast.AST, stop: ast.Try) -> str | None:
    """The name that a `try` binds to what a call loads, be it through an index, a method or another call."""
    for up in file.ancestors(load):
        if isinstance(up, ast.Assign | ast.AnnAssign):
            targets = up.targets if isinstance(up, ast.Assign) else [up.target]
            return next((target.id for target in targets if isinstance(target, ast.Name)), None)
        if up is stop or isinstance(up, ast.stmt):
            return None
    return None


def _is_returned(file: PythonFile, load: ast.AST, stop: ast.Try) -> bool:
    """Whether a call stands in a `return` of the `try` itself."""
    return any(isinstance(up, ast.Return) and file.parents.get(up) is stop for up in file.ancestors(load))


def _replacement(statement: ast.stmt, names: set[str], returned: bool) -> ast.expr | None:
    """The value that a statement of a handler puts in the place of what was to be loaded."""
    if isinstance(statement, ast.Return):
        return statement.value if returned else None
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        return statement.value if isinstance(target, ast.Name) and target.id in names else None
    return None


def _made_in(file: PythonFile, handler: ast.ExceptHandler) -> set[str]:
    """The names that a handler binds to data that is made of nothing."""
    found: set[str] = set()
    for statement in handler.body:
        if isinstance(statement, ast.Assign) and any(_makes(file, node) for node in descend(statement.value)):
            found.update(
                node.id for target in statement.targets for node in descend(target) if isinstance(node, ast.Name)
            )
    return found


def _makes(file: PythonFile, node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = file.qualified(node.func)
    return name in _MAKES_DATA or is_draw(file, node) or name.startswith(_MAKERS)


def _what_is(file: PythonFile, value: ast.expr, made: set[str], loads: list[ast.Call]) -> tuple[str, bool] | None:
    """What a replacement is, in words, and whether it is certainly made of nothing; None where it may be right."""
    parts = list(descend(value))
    calls = [(node, file.qualified(node.func)) for node in parts if isinstance(node, ast.Call)]
    loaded = [node for node, name in calls if name.endswith(("load_dataset", "load_from_disk"))]
    if loaded:
        names = {_identity(node) for node in [*loads, *loaded] if isinstance(node, ast.Call)}
        return ("another dataset", False) if len(names) > 1 and None not in names else None
    maker = next((name for node, name in calls if _makes(file, node)), "")
    from_made = next((node.id for node in parts if isinstance(node, ast.Name) and node.id in made), "")
    if maker or from_made:
        return maker or from_made, True
    words = ("dummy", "synthetic", "random", "fake", "mock", "toy")
    named = next((name for _, name in calls if any(word in name.lower() for word in words)), "")
    return (named, False) if named else None


def _identity(call: ast.Call) -> str | None:
    """The dataset that a call names, whichever of its names it uses; None where that is not known."""
    name = string_value(call.args[0]) if call.args else None
    if name is None or name in FILE_BUILDERS or name not in known_datasets():
        return None
    return known_datasets()[name].id
