"""IMP002: a name that nothing defines."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import NamedTuple

from assay.analysis.import_time import When, catches, when
from assay.analysis.own_modules import OwnModules, attributes_set, open_names
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend
from assay.analysis.ruff_check import Diagnostic
from assay.finding import Consequence, Finding, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

# Names that a notebook brings along; a program may hold them behind a test that cannot be read from here.
_NOTEBOOK_NAMES = frozenset({"display", "get_ipython", "__IPYTHON__"})
# From this minor version on annotations are evaluated only when someone asks for them (PEP 649).
_LAZY_ANNOTATIONS = 14
# Built-in names to the minor version of Python 3 that brought them (docs.python.org/3/whatsnew).
_NEWER_BUILTINS = {
    "EncodingWarning": 10, "aiter": 10, "anext": 10, "BaseExceptionGroup": 11, "ExceptionGroup": 11,
    "PythonFinalizationError": 13,
}  # fmt: skip
# Libraries that put names of axes into quotation marks within an annotation.
_AXIS_NAMES = frozenset({"jaxtyping", "nptyping", "torchtyping"})
# What a test asks that knows of names or interpreters which are not there.
_ASKED = re.compile(r"(?:dir|locals|globals|hasattr|(?:typing\.)?TYPE_CHECKING|sys\.version.*|(?:six|platform)\..+)")
_NAME_ERROR = frozenset({"NameError"})
_ANY_ERROR = frozenset({"NameError", "Exception", "BaseException"})
# What may leave out a part of it.
_CONDITIONS = (
    ast.If, ast.IfExp, ast.BoolOp, ast.Compare, ast.Try, ast.TryStar, ast.Match,
    ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
)  # fmt: skip
_MOST_USES = 200  # of one name in one file


class UndefinedName(Rule):
    """Code uses a name that is neither defined in the file, nor imported, nor built in.

    Python looks a name up when the line runs. In a function that may be hours into a run, on the one path that no
    trial takes; at the top of a module it stops every program that imports it.

    ruff resolves the names, scope by scope. Where a file can come to names in other ways (a star import, `exec`, a
    write to `globals()`), nothing is said of it. Names in annotations that are never evaluated are a warning.
    """

    code = "IMP002"
    name = "undefined-name"
    requirements = ("E1.2", "D4.1", "B4.8")
    message = "`{name}` is not defined"
    explanation = "{nothing}: {effect}."
    repair = "{remedy}."

    VALID = (
        Example({"src/train.py": "import torch\n\n\ndef loss(x):\n    return torch.relu(x)\n"}),
        Example({"src/train.py": "from torch.nn.functional import *\n\n\ndef loss(x):\n    return relu(x)\n"}),
        Example({"src/train.py": "globals().update(rate=0.1)\n\n\ndef loss(x):\n    return x * rate\n"}),
        # asked for
        Example(
            {
                "src/train.py": (
                    "import sys\n\ntry:\n    profile\nexcept NameError:\n    def profile(f):\n        return f\n"
                    "try:\n    basestring\nexcept Exception:\n    basestring = str\nif False:\n    reveal_type(1)\n"
                    "text = unicode if sys.version_info[0] < 3 else str\n"
                )
            }
        ),
        Example(
            {
                "src/train.py": (
                    "from jaxtyping import Float\nfrom torch import Tensor\n\n\n"
                    "def loss(x: Float[Tensor, 'batch']) -> Tensor:\n    return x\n"
                )
            }
        ),
        # set from another file
        Example(
            {
                "src/main.py": "import src.train\n\nsrc.train.settings = {}\nsrc.train.run()\n",
                "src/train.py": "def run():\n    return settings\n",
            }
        ),
        Example({"src/train.py": "def run():\n    global model\n    model = 1\n\n\nrun()\nprint(model)\n"}),
        # set in the round before
        Example(
            {
                "src/train.py": (
                    "def train(losses):\n    for epoch, loss in enumerate(losses):\n"
                    "        if epoch > 0 and before - loss < 0.1:\n            break\n"
                    "        before = loss\n"
                ),
            }
        ),
        Example(
            {
                "src/train.py": (
                    "def ahead(batches):\n    first = True\n    for following in batches:\n"
                    "        if first:\n            first = False\n        else:\n            yield batch\n"
                    "        batch = following\n    yield batch\n"
                ),
            }
        ),
        # the metaclass brings the names of the class body
        Example(
            {
                "src/model.py": (
                    "class Meta(type):\n    @classmethod\n    def __prepare__(mcs, name, bases):\n"
                    "        return {'width': 8}\n\n\n"
                    "class Net(metaclass=Meta):\n    hidden = 4 * width\n"
                ),
                "src/main.py": "from src.model import Net\n\nprint(Net.hidden)\n",
            }
        ),
    )
    INVALID = (
        Example(
            {"src/main.py": "import os\n\nROOT = Path(os.getcwd())\n"},
            at=("src/main.py:3",),
            repaired={"src/main.py": "import os\nfrom pathlib import Path\n\nROOT = Path(os.getcwd())\n"},
        ),
        Example(
            {"src/train.py": "def loss(x, y):\n    return F.mse_loss(x, y) + F.l1_loss(x, y)\n"},
            at=("src/train.py:2",),
            repaired={
                "src/train.py": (
                    "import torch.nn.functional as F\n\n\n"
                    "def loss(x, y):\n    return F.mse_loss(x, y) + F.l1_loss(x, y)\n"
                )
            },
        ),
        # evaluated when the function is defined
        Example(
            {
                "pyproject.toml": "[project]\nname = 's'\nversion = '1'\nrequires-python = '>=3.10,<3.13'\n",
                "src/main.py": "def run(rows: List) -> None:\n    print(rows)\n",
            },
            at=("src/main.py:1",),
            repaired={"src/main.py": "def run(rows: list) -> None:\n    print(rows)\n"},
        ),
        # built in for the newer ones of the admitted versions, defined further down: warnings
        Example(
            {
                "pyproject.toml": "[project]\nname = 's'\nversion = '1'\nrequires-python = '>=3.10'\n",
                "src/main.py": (
                    "class Node:\n    def child(self) -> Node:\n        return self\n\n\n"
                    "def stop():\n    raise ExceptionGroup('a', [ValueError()])\n"
                ),
            },
            at=("src/main.py:2", "src/main.py:7"),
        ),
        # the first round comes to it
        Example(
            {
                "src/train.py": "def train(losses):\n    for loss in losses:\n        print(before - loss)\n        before = loss\n"
            },
            at=("src/train.py:3",),
            repaired={
                "src/train.py": "def train(losses):\n    before = 0\n    for loss in losses:\n        print(before - loss)\n        before = loss\n"
            },
        ),
        # a function sees nothing of the class body
        Example(
            {
                "src/main.py": (
                    "class Meta(type):\n    @classmethod\n    def __prepare__(mcs, name, bases):\n"
                    "        return {'width': 8}\n\n\n"
                    "class Net(metaclass=Meta):\n    def size(self):\n        return width\n"
                )
            },
            at=("src/main.py:9",),
            repaired={
                "src/main.py": (
                    "class Meta(type):\n    @classmethod\n    def __prepare__(mcs, name, bases):\n"
                    "        return {'width': 8}\n\n\n"
                    "class Net(metaclass=Meta):\n    def size(self):\n        return self.width\n"
                )
            },
        ),
        Example(
            {"src/main.py": "print(rate)\nrate = 1\n"},
            at=("src/main.py:1",),
            repaired={"src/main.py": "rate = 1\nprint(rate)\n"},
        ),
        # never evaluated: a warning
        Example(
            {"src/main.py": "from __future__ import annotations\n\n\ndef run(rows: List) -> None:\n    print(rows)\n"},
            at=("src/main.py:4",),
        ),
        Example({"src/main.py": "def show(rows):\n    display(rows)\n"}, at=("src/main.py:2",)),
        Example({"src/model.py": "__all__ = ['Net', 'Head']\n\n\nclass Net:\n    size = 1\n"}, at=("src/model.py:1",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        reported: dict[str, dict[str, list[Diagnostic]]] = {}
        for diagnostic in project.ruff.diagnostics:
            if diagnostic.code in ("F821", "F822") and diagnostic.message.count("`") > 1:
                name = diagnostic.message.split("`")[1]
                reported.setdefault(diagnostic.file, {}).setdefault(name, []).append(diagnostic)
        if project.ruff.failure:
            yield Undecided(f"names were not resolved: {project.ruff.failure}")
            return
        modules = project.shared(OwnModules)
        remedies = _imported_elsewhere(project) if reported else {}
        set_elsewhere = project.shared(attributes_set) if reported else frozenset()
        prepared = bool(reported) and _prepares(project)
        for path, names in reported.items():
            file = project.python[path]
            if file.tree is None:
                yield Undecided(f"{path} cannot be read: {file.unreadable}")
                continue
            if how := open_names(file):
                yield Undecided(f"{path} may define names by {how}")
                continue
            places = _Places(file)
            for name in [name for name in names if name not in places.deleted | set_elsewhere]:
                diagnostics = names[name][:_MOST_USES]
                if prepared and any(_in_class_body(file, places.name_at(name, one)) for one in diagnostics):
                    yield Undecided(f"a metaclass may bring `{name}` to a class in {path}")
                    continue
                judged = (self._use(project, modules, places, name, one) for one in diagnostics)
                if uses := [use for use in judged if use is not None]:
                    yield self._finding(file, name, uses, remedies)

    def _use(
        self, project: Project, modules: OwnModules, places: _Places, name: str, diagnostic: Diagnostic
    ) -> _Use | None:
        """What one use of the name proves; None where it is nothing to report."""
        file = places.file
        _, high = project.python_range
        node = None if diagnostic.code == "F822" else places.name_at(name, diagnostic)
        if node is not None and (
            catches(file, node, _NAME_ERROR) or _is_asked_for(file, node) or places.set_in_an_earlier_round(node)
        ):
            return None
        kind = _annotation(file, node) if node is not None else "quoted"
        since = _NEWER_BUILTINS.get(name)
        consequence: Consequence | None = None
        if diagnostic.code == "F822":
            effect = "`__all__` offers it, and only a star import would ask for it"
        elif name in _NOTEBOOK_NAMES:
            effect = "only a notebook has it"
        elif kind == "quoted" and any(item.module.partition(".")[0] in _AXIS_NAMES for item in file.imports):
            return None
        elif kind in ("quoted", "local") or (kind == "definition" and places.postponed):
            effect = "it stands in an annotation that is never evaluated"
        elif since is not None and (high is None or high >= since):
            effect = f"it is built in from Python 3.{since} on, and older ones are admitted"
        elif kind == "definition" and (high is None or high >= _LAZY_ANNOTATIONS):
            consequence = None if name in file.defined else Consequence.BREAKS_CONTRACT
            effect = f"before Python 3.{_LAZY_ANNOTATIONS} the annotation raises NameError"
        elif file.path in modules.reached and _stops_import(file, node):
            consequence = Consequence.CRASHES
            effect = "NameError as soon as the file is run or imported"
        else:
            consequence = Consequence.BREAKS_CONTRACT
            effect = "NameError when this line runs"
        return _Use(diagnostic, node, consequence, effect)

    def _finding(self, file: PythonFile, name: str, uses: list[_Use], remedies: dict[str, str]) -> Finding:
        order = [Consequence.CRASHES, Consequence.BREAKS_CONTRACT, None]
        first = min(uses, key=lambda use: (order.index(use.consequence), use.diagnostic.line, use.diagnostic.column))
        others = [Frame(file.path, use.diagnostic.line) for use in uses if use is not first]
        later = name in file.defined
        return self.finding(
            file.path,
            first.node if first.node is not None else first.diagnostic.line,
            severity=Severity.BLOCKING if first.consequence else Severity.WARNING,
            consequence=first.consequence,
            symbol=name,
            detail=first.diagnostic.message,
            frames=tuple(others[:20]),
            message="`{name}` is used before it is defined" if later else None,
            name=name,
            nothing="The file defines it only later" if later else "Nothing in the file defines or imports it",
            effect=first.effect,
            remedy=_remedy(file, name, first, remedies),
        )


def _remedy(file: PythonFile, name: str, use: _Use, remedies: dict[str, str]) -> str:
    if name in _NEWER_BUILTINS and use.consequence is None:
        return f"Raise requires-python to >=3.{_NEWER_BUILTINS[name]}"
    if name in file.defined:
        quoted = ", or put the annotation into quotation marks" if use.node and _annotation(file, use.node) else ""
        return f"Define `{name}` above this line{quoted}"
    return remedies.get(name) or f"Define or import `{name}` in {file.path}"


class _Use(NamedTuple):
    """One use of an undefined name; `consequence` is None where it proves nothing."""

    diagnostic: Diagnostic
    node: ast.Name | None
    consequence: Consequence | None
    effect: str


class _Places:
    """Finding the syntax node that a diagnostic means."""

    def __init__(self, file: PythonFile) -> None:
        self.file = file
        self.postponed = any(item.module == "__future__" and item.name == "annotations" for item in file.imports)
        names = file.nodes_of(ast.Name)
        self.deleted = {node.id for node in names if isinstance(node.ctx, ast.Del)}
        self._exact = {(node.id, node.lineno, node.col_offset): node for node in names}
        self._formatted: dict[str, list[tuple[ast.JoinedStr, ast.Name]]] = {}
        for node in names:
            if around := next((up for up in file.ancestors(node) if isinstance(up, ast.JoinedStr)), None):
                self._formatted.setdefault(node.id, []).append((around, node))
        self._set: dict[str, list[int]] = {}
        for node in names:
            if isinstance(node.ctx, ast.Store):
                self._set.setdefault(node.id, []).append(node.lineno)
        for named in file.nodes_of(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.ExceptHandler, ast.MatchAs):
            if name := getattr(named, "name", None):
                self._set.setdefault(name, []).append(getattr(named, "lineno", 0))
        for item in file.imports:
            self._set.setdefault(item.bound, []).append(item.node.lineno)
        for lines in self._set.values():
            lines.sort()
        self._skips = sorted(node.lineno for node in file.nodes_of(ast.Continue))

    def name_at(self, name: str, diagnostic: Diagnostic) -> ast.Name | None:
        """The use of the name at a place, which is vague in an f-string; None within a quoted annotation."""
        line = diagnostic.line
        near = (node for up, node in self._formatted.get(name, ()) if up.lineno <= line <= (up.end_lineno or line))
        return self._exact.get((name, line, diagnostic.column - 1)) or next(near, None)

    def set_in_an_earlier_round(self, node: ast.Name) -> bool:
        """Whether a loop sets the name further down, and something may skip the use in the first round."""
        skipped = False
        for up in self.file.ancestors(node):
            if isinstance(up, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
                return False
            if isinstance(up, ast.For | ast.AsyncFor | ast.While):
                first, last = up.body[0].lineno, up.end_lineno or up.lineno
                may_skip = skipped or _any_between(self._skips, first, node.lineno)
                if may_skip and _any_between(self._set.get(node.id, []), first, last):
                    return True
                skipped = True
            skipped |= isinstance(up, _CONDITIONS)
        return False


def _any_between(lines: list[int], first: int, last: int) -> bool:
    at = bisect_left(lines, first)
    return at < len(lines) and lines[at] <= last


def _prepares(project: Project) -> bool:
    """Whether a metaclass of the submission brings names to the bodies of classes."""
    functions = (node for file in project.python.values() for node in file.nodes_of(ast.FunctionDef))
    return any(node.name == "__prepare__" for node in functions)


def _in_class_body(file: PythonFile, node: ast.AST | None) -> bool:
    """Whether a name is looked up in the body of a class that may have a metaclass."""
    child = node
    for up in file.ancestors(node) if node is not None else ():
        if isinstance(up, ast.ClassDef):
            return child in up.body and bool(up.bases or up.keywords)
        if isinstance(up, ast.FunctionDef | ast.AsyncFunctionDef) and child in up.body:
            return False
        child = up
    return False


def _stops_import(file: PythonFile, node: ast.AST | None) -> bool:
    """Whether the import of the file stops at a node."""
    return node is not None and when(file, node) is When.ON_IMPORT and not catches(file, node, _ANY_ERROR)


def _annotation(file: PythonFile, node: ast.AST) -> str:
    """`definition` in the annotation of a function or module variable, `local` in that of a local, else empty."""
    child = node
    for up in file.ancestors(node):
        if child in (getattr(up, "annotation", None), getattr(up, "returns", None)):
            return "local" if isinstance(up, ast.AnnAssign) and file.function_of(up) else "definition"
        if isinstance(up, ast.stmt):
            return ""
        child = up
    return ""


def _is_asked_for(file: PythonFile, node: ast.AST) -> bool:
    """Whether a test around a node asks for the interpreter or for names, or is a constant.

    A statement that is nothing but the name, with its failure caught, asks for it too.
    """
    if isinstance(file.parents.get(node), ast.Expr) and catches(file, node, _ANY_ERROR):
        return True
    tests = [up.test for up in file.ancestors(node) if isinstance(up, ast.If | ast.IfExp)]
    return any(
        isinstance(test, ast.Constant) or any(_ASKED.fullmatch(file.qualified(part)) for part in descend(test))
        for test in tests
    )


def _imported_elsewhere(project: Project) -> dict[str, str]:
    """Name to the repair that another file suggests: the import by which it has the name."""
    found: dict[str, str] = {}
    for other in project.python.values():
        for item in (item for item in other.imports if item.module != "__future__"):
            what = f"from {item.module} import {item.name}" if item.name else f"import {item.module}"
            if item.bound != (item.name or item.module.partition(".")[0]):
                what += f" as {item.bound}"
            found.setdefault(item.bound, f"Import it, as {other.path} does: `{what}`")
    return found
