"""IMP004: a name imported from an own module that does not define it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cache

from assay.analysis.import_time import When, is_fallback, when
from assay.analysis.own_modules import OwnModules, attributes_set, open_names
from assay.analysis.project import Project
from assay.analysis.python_source import Import, PythonFile
from assay.finding import Consequence, Finding, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_SUGGESTIONS = 20
_MODEL = "class Net:\n    size = 1\n"


class MissingOwnName(Rule):
    """A file takes a name from another file of the submission that does not define it.

    `from src.model import Head` raises ImportError where `src/model.py` has no `Head`. It happens when one file is
    rewritten and the files that use it are not. A star import, a module `__getattr__` or a write to `globals()` in
    the other file may supply the name, so that nothing is said there.
    """

    code = "IMP004"
    name = "missing-own-name"
    requirements = ("E1.2", "D4.1", "B4.8")
    consequence = Consequence.CRASHES
    message = "`{name}` is imported from {other}, which does not define it"
    explanation = "{effect}."
    repair = "{remedy}."

    VALID = (
        Example({"src/main.py": "from src.model import Net, __doc__\n", "src/model.py": _MODEL}),
        Example({"src/main.py": "from src import model\n", "src/model.py": _MODEL}),
        Example({"src/main.py": "from src.model import relu\n", "src/model.py": "from torch import *\n"}),
        Example(
            {
                "src/main.py": "from src.model import Net\n",
                "src/model.py": "if True:\n    Net = 1\nelse:\n    Net = 2\n",
            }
        ),
        Example(
            {
                "src/main.py": "try:\n    from .model import Head\nexcept ImportError:\n    Head = None\n",
                "src/model.py": _MODEL,
            }
        ),
        Example({"src/main.py": "from .model import Net\n", "src/model.py": "globals()['Net'] = 1\n"}),
        Example(
            {
                "src/main.py": "import src.model\n\nsrc.model.Head = 1\nfrom src.model import Head, rest\n",
                "src/model.py": "match {'a': 1, 'b': 2}:\n    case {'a': first, **rest}:\n        print(first)\n",
            }
        ),
        Example(
            {
                "src/main.py": "from src.nets import Net\n",
                "src/nets/__init__.py": (
                    "import lazy_loader as lazy\n\n__getattr__, __dir__, __all__ = lazy.attach(__name__, ['a'])\n"
                ),
            }
        ),
    )
    INVALID = (
        Example(
            {"src/main.py": "from src.model import Net, Head\n", "src/model.py": _MODEL},
            at=("src/main.py:1",),
            repaired={"src/main.py": "from src.model import Net\n"},
        ),
        Example(
            {
                "src/evaluate.py": "def load():\n    from .model import build\n\n    return build()\n",
                "src/model.py": _MODEL,
            },
            at=("src/evaluate.py:2",),
            repaired={"src/model.py": "class Net:\n    size = 1\n\n\ndef build():\n    return Net()\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        modules = project.shared(OwnModules)
        unreadable: set[str] = set()
        opened = cache(open_names)
        set_elsewhere = cache(attributes_set)
        seen: set[tuple[str, str, str]] = set()
        for file in project.python.values():
            for item in file.imports:
                if item.name is None or item.name == "*" or item.guarded or is_fallback(file, item.node):
                    continue
                level = getattr(item.node, "level", 0)
                if level > file.path.count("/") or (not level and not modules.is_own(item.module)):
                    continue
                other = modules.file_of(item.module)
                if other is None or other is file or modules.holds(f"{item.module}.{item.name}"):
                    continue
                if item.name.startswith("__") and item.name.endswith("__"):
                    continue
                if other.tree is None:
                    unreadable.add(other.path)
                    continue
                key = (file.path, other.path, item.name)
                if item.name in other.defined or key in seen or opened(other):
                    continue
                if item.name not in set_elsewhere(project):
                    seen.add(key)
                    yield self._finding(modules, file, other, item, suggest=len(seen) <= _SUGGESTIONS)
        for path in sorted(unreadable):
            yield Undecided(f"the names of {path} are not known: it cannot be read")

    def _finding(
        self, modules: OwnModules, file: PythonFile, other: PythonFile, item: Import, *, suggest: bool
    ) -> Finding:
        moment = when(file, item.node)
        stops = moment is When.ON_IMPORT and file.path in modules.reached
        name = item.name or ""
        known = sorted(other.defined)[:500] if suggest else []
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        remedy = f"Define `{name}` in {other.path}" + (f", or import `{near[0]}`" if near else ", or drop the import")
        effect = "ImportError when this line runs"
        return self.finding(
            file.path,
            item.node,
            severity=Severity.WARNING if moment is When.PERHAPS else Severity.BLOCKING,
            consequence=Consequence.CRASHES if stops else Consequence.BREAKS_CONTRACT,
            symbol=name,
            name=name,
            other=other.path,
            effect=f"The program stops with ImportError as soon as it loads {file.path}" if stops else effect,
            remedy=remedy,
        )
