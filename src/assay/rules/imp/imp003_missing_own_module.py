"""IMP003: an import of a module that the submission does not hold."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.import_time import When, is_fallback, when
from assay.analysis.own_modules import ModuleMiss, OwnModules, as_written
from assay.analysis.project import Project
from assay.finding import Consequence, Finding, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_MODEL = "class Net:\n    size = 1\n"
_INSTALLED = "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
_PLAIN = "[project]\nname = 'study'\nversion = '1'\ndependencies = []\n"
_IMPORT_ROWS = ("E1.2", "D4.1", "B4.8")


class MissingOwnModule(Rule):
    """A file imports a module of the submission that is not there.

    The commands start programs as `python -m src.main`: modules are looked for from the submission's root, so that
    `src/model.py` is `src.model`, or `.model` beside it. `import model` finds it only where something puts `src` on
    the module path. Helper files that were never written (`.utils`, `src.helpers`) are the usual case; the contract
    wants their content in the files it names.

    A bare name such as `utils` is taken for a module of the submission where no known distribution and no declared
    dependency could bring it. Imports whose failure is caught are left alone.
    """

    code = "IMP003"
    name = "missing-own-module"
    requirements = (*_IMPORT_ROWS, "E5.2", "B3.2")
    decides = ("E5.2", "B3.2")
    consequence = Consequence.CRASHES
    message = "`{module}` is imported, and the submission holds no {path}"
    explanation = "{effect}."
    repair = "{remedy}."

    VALID = (
        Example(
            {
                "src/main.py": "from . import model\nfrom .model import Net\nfrom src import model\nimport src.model\n",
                "src/model.py": "import json\nimport torch\nfrom torch.utils import data\n",
            }
        ),
        Example({"src/main.py": "try:\n    from .fast import step\nexcept ImportError:\n    step = None\n"}),
        # two ways to start the same file
        Example(
            {
                "src/main.py": "try:\n    from .model import Net\nexcept ImportError:\n    from model import Net\n",
                "src/model.py": _MODEL,
            }
        ),
        Example(
            {
                "src/main.py": "import sys\n\nsys.path.insert(0, 'src')\nfrom model import Net\n",
                "src/model.py": _MODEL,
            }
        ),
        Example({"src/main.py": "from model import Net\n", "src/model.py": _MODEL, "pyproject.toml": _INSTALLED}),
        Example(
            {
                "src/main.py": "import sys\nimport src.model\n\nsys.modules['model'] = src.model\nfrom model import Net\n",
                "src/model.py": _MODEL,
            }
        ),
        Example(
            {
                "src/main.py": "import subprocess\n\nsubprocess.run(['python', 'src/train.py'], check=True)\n",
                "src/train.py": "from model import Net\n",
                "src/model.py": _MODEL,
            }
        ),
    )
    INVALID = (
        Example(
            {"src/main.py": "from .utils import set_seed\n\nset_seed(1)\n"},
            at=("src/main.py:1",),
            repaired={"src/main.py": "import random\n\nrandom.seed(1)\n"},
        ),
        Example(
            {"src/evaluate.py": "def draw():\n    from src.plots import bars\n\n    return bars()\n"},
            at=("src/evaluate.py:2",),
            repaired={"src/evaluate.py": "def draw():\n    return []\n"},
        ),
        Example(
            {"src/main.py": "from model import Net\n", "src/model.py": _MODEL, "pyproject.toml": _PLAIN},
            at=("src/main.py:1",),
            repaired={"src/main.py": "from src.model import Net\n"},
        ),
        Example(
            {"src/main.py": "from ..model import Net\n", "src/model.py": _MODEL},
            at=("src/main.py:1",),
            repaired={"src/main.py": "from .model import Net\n"},
        ),
        Example(
            {"src/main.py": "from utils import set_seed\n", "pyproject.toml": _PLAIN},
            at=("src/main.py:1",),
            repaired={"src/main.py": "from random import seed as set_seed\n"},
        ),
        # under a condition: a warning
        Example(
            {"src/main.py": "import os\n\nif os.environ.get('PLOTS'):\n    from .plots import bars\n"},
            at=("src/main.py:4",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        modules = project.shared(OwnModules)
        for path, file in project.python.items():
            if file.tree is None:
                yield Undecided(f"the imports of {path} cannot be read: {file.unreadable}")
        grouped: dict[tuple[str, str], list[ModuleMiss]] = {}
        for miss in modules.misses:
            if is_fallback(miss.file, miss.item.node):
                continue
            if miss.doubt:
                rows = _IMPORT_ROWS if miss.held_at else ()
                yield Undecided(f"`{miss.module}` in {miss.file.path} may be found: {miss.doubt}", rows)
            else:
                grouped.setdefault((miss.file.path, miss.module), []).append(miss)
        for misses in grouped.values():
            yield self._finding(modules, misses)

    def _finding(self, modules: OwnModules, misses: list[ModuleMiss]) -> Finding:
        order = [When.ON_IMPORT, When.IN_FUNCTION, When.PERHAPS]
        ranked = sorted(misses, key=lambda miss: order.index(when(miss.file, miss.item.node)))
        miss = ranked[0]
        moment = when(miss.file, miss.item.node)
        stops = moment is When.ON_IMPORT and miss.file.path in modules.reached
        beyond = miss.module.startswith(".")
        path = miss.module.replace(".", "/")
        error = "ImportError" if beyond else "ModuleNotFoundError"
        effect = f"The import raises {error} when this line runs, and the contract allows no file it could come from"
        if stops:
            effect = f"The program stops with {error} as soon as it loads {miss.file.path}"
        if miss.held_at:
            own = miss.held_at.removesuffix(".py").replace("/", ".")
            effect = f"{effect}; {miss.held_at} is `{own}` where programs start from the root"
            remedy = f"Import it as `{own}`"
        elif beyond:
            effect = f"{effect}: the relative import leaves the package"
            remedy = "Import it relative to the package it stands in, with fewer dots"
        else:
            remedy = f"Define {_list(misses)} in one of the files that the contract names, and import it from there"
        lines = {other.item.node.lineno for other in ranked} - {miss.item.node.lineno}
        return self.finding(
            miss.file.path,
            miss.item.node,
            severity=Severity.WARNING if moment is When.PERHAPS else Severity.BLOCKING,
            consequence=Consequence.CRASHES if stops else Consequence.BREAKS_CONTRACT,
            requirements=_IMPORT_ROWS if miss.held_at or beyond else self.requirements,
            message="`{module}` leads out of the package" if beyond else _ELSEWHERE if miss.held_at else None,
            symbol=miss.module,
            detail="" if beyond else f"no file or folder of the submission is {path}.py or {path}/",
            frames=tuple(Frame(miss.file.path, line) for line in sorted(lines)[:20]),
            module=as_written(miss.item) if getattr(miss.item.node, "level", 0) else miss.module,
            path=f"{path}.py",
            held_at=miss.held_at,
            effect=effect,
            remedy=remedy,
        )


_ELSEWHERE = "`{module}` is imported as if it stood in the root; it is {held_at}"


def _list(misses: list[ModuleMiss]) -> str:
    names = list(dict.fromkeys(f"`{miss.item.name}`" for miss in misses if miss.item.name not in (None, "*")))
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more if names else "what it is used for"
