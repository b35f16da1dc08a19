"""PKG008: a call needs a distribution that nothing declares."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import NamedTuple

from packaging.version import Version

from assay.analysis.certain_calls import CertainCalls
from assay.analysis.declared_dependencies import Dependencies, dependencies_of
from assay.analysis.fact_table import read_table
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword
from assay.analysis.third_party_imports import installs_by_itself
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided


def _declaring(*requirements: str) -> str:
    listed = "".join(f'  "{text}",\n' for text in requirements)
    return f'[project]\nname = "a"\nversion = "0.1.0"\nrequires-python = ">=3.10"\ndependencies = [\n{listed}]\n'


_LOAD = (
    "from transformers import AutoModelForCausalLM\n\n\ndef build(name):\n"
    '    return AutoModelForCausalLM.from_pretrained(name, device_map={value})\n\n\nbuild("gpt2")\n'
)
_ROUGE = 'import evaluate as metrics\n\nrouge = metrics.load("rouge")\n'


class ImplicitDependency(Rule):
    """A call needs a distribution that no import shows, and no declared dependency brings it along.

    Libraries keep part of what they can do behind optional dependencies: `from_pretrained(device_map="auto")` needs
    accelerate, `evaluate.load("rouge")` needs rouge-score, `optuna.visualization` needs plotly. The program starts
    as if all were well and stops at that call, often after the model was downloaded.

    It blocks where the call is certainly reached and the argument is a constant; otherwise it is a warning.
    """

    code = "PKG008"
    name = "implicit-dependency"
    requirements = ("X1", "D4.2")
    consequence = Consequence.CRASHES
    message = "{call} needs {needs}, which pyproject.toml does not declare"
    explanation = "No declared dependency brings that along, and the call raises an error{condition}."
    repair = "Add {needs} to the dependencies in pyproject.toml."

    VALID = (
        Example(
            {"pyproject.toml": _declaring("transformers", "accelerate"), "src/main.py": _LOAD.format(value='"auto"')}
        ),
        # peft brings accelerate along
        Example({"pyproject.toml": _declaring("transformers", "peft"), "src/main.py": _LOAD.format(value='"auto"')}),
        Example({"pyproject.toml": _declaring("transformers[torch]"), "src/main.py": _LOAD.format(value='"auto"')}),
        Example({"pyproject.toml": _declaring("transformers"), "src/main.py": _LOAD.format(value="None")}),
        Example(
            {
                "pyproject.toml": _declaring("transformers"),
                "src/main.py": 'from transformers import AutoTokenizer\nAutoTokenizer.from_pretrained("a", device_map="auto")\n',
            }
        ),
        Example(
            {"pyproject.toml": _declaring("evaluate", "rouge_score", "absl-py", "nltk", "six"), "src/main.py": _ROUGE}
        ),
        Example(
            {
                "pyproject.toml": _declaring("evaluate", "pandas", "datasets"),
                "src/main.py": (
                    "import pandas as pd\nfrom evaluate import load\n\n"
                    "pd.read_parquet('a.parquet')\nload('exact_match')\nload('bleu')\n"
                ),
            }
        ),
        # not the library's function
        Example(
            {"pyproject.toml": _declaring("numpy"), "src/main.py": 'from src.evaluate import load\nload("rouge")\n'}
        ),
    )
    INVALID = (
        Example(
            {"pyproject.toml": _declaring("torch", "transformers"), "src/main.py": _LOAD.format(value='"auto"')},
            at=("src/main.py:5",),
            repaired={"pyproject.toml": _declaring("torch", "transformers", "accelerate")},
        ),
        Example(
            {"pyproject.toml": _declaring("torch", "evaluate"), "src/main.py": _ROUGE},
            at=("src/main.py:3",),
            repaired={"pyproject.toml": _declaring("torch", "evaluate", "rouge-score", "absl-py", "nltk", "six")},
        ),
        Example(
            {
                "pyproject.toml": _declaring("torch"),
                "src/main.py": "from torch.utils.tensorboard import SummaryWriter\n",
            },
            at=("src/main.py:1",),
            repaired={"pyproject.toml": _declaring("torch", "tensorboard")},
        ),
        # only where there is a GPU
        Example(
            {
                "pyproject.toml": _declaring("torch", "transformers"),
                "src/main.py": "import torch\n" + _LOAD.format(value='"auto" if torch.cuda.is_available() else None'),
            },
            at=("src/main.py:6",),
        ),
        # only if the function is called
        Example(
            {
                "pyproject.toml": _declaring("optuna"),
                "src/main.py": "import optuna\n\n\ndef draw(study):\n    optuna.visualization.plot_slice(study)\n",
            },
            at=("src/main.py:5",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        metadata = project.pyproject
        if metadata is None or metadata.error:
            return
        wanted = dependencies_of(metadata).meant
        if not wanted.declared:
            return
        calls: CertainCalls | None = None
        seen: set[tuple[str, tuple[str, ...]]] = set()
        for file in project.python.values():
            for node, name, need, literal in _uses(file):
                missing = tuple(item for item in need.needs if not set(item.split("|")) & wanted.possible)
                if not missing or (file.path, missing) in seen:
                    continue
                seen.add((file.path, missing))
                calls = calls or project.shared(CertainCalls)
                reached = literal and need.holds_for(wanted) and calls.runs(file, node)
                yield self._judge(project, wanted, file, node, name, need, missing, reached)

    def _judge(
        self,
        project: Project,
        wanted: Dependencies,
        file: PythonFile,
        node: ast.AST,
        name: str,
        need: _Need,
        missing: tuple[str, ...],
        reached: bool,
    ) -> Outcome:
        shown = " and ".join(", ".join(item.partition("|")[0] for item in missing).rsplit(", ", 1))
        open_end = wanted.unread or installs_by_itself(project)
        if open_end:
            return Undecided(f"{name} needs {shown}, which is not declared, but {open_end}")
        blocks = reached and not wanted.doubt
        return self.finding(
            file.path,
            node,
            severity=Severity.BLOCKING if blocks else Severity.WARNING,
            symbol=file.symbol_of(node) or None,
            frames=(Frame("pyproject.toml", wanted.line),) if wanted.line else (),
            detail=f"source: {need.source}" + (f"; {wanted.doubt}" if wanted.doubt else ""),
            call=name + (f"({need.shown})" if need.shown else ""),
            needs=shown,
            condition="" if blocks else " where this line is reached with such a value",
        )


class _Need(NamedTuple):
    library: str
    pattern: str
    argument: str
    value: str
    needs: tuple[str, ...]
    sure: str
    source: str

    def holds_for(self, wanted: Dependencies) -> bool:
        """Whether every version of the library that may be installed needs it."""
        if self.sure in ("yes", "no"):
            return self.sure == "yes"
        clauses = [clause for item in wanted.declared if item.name == self.library for clause in item.specifier]
        upper = [clause for clause in clauses if clause.operator in ("==", "===", "<", "<=", "~=")]
        return all(clause.contains(Version(self.sure)) for clause in upper)

    @property
    def shown(self) -> str:
        """The argument as a reader would write it."""
        value = self.value if self.value in ("True", "False") else f'"{self.value}"'
        if self.argument.isdigit():
            return value
        return f"{self.argument}={'...' if self.value == '*' else value}" if self.argument else ""


@cache
def _needs() -> dict[str, list[_Need]]:
    """The first part of a call, or of `import ...`, to what it may need."""
    found: dict[str, list[_Need]] = {}
    for row in read_table("implicit_needs"):
        start = row["call"].partition(".")[0]
        needs = tuple(row["needs"].split())
        found.setdefault(start, []).append(
            _Need(
                start.removeprefix("import "),
                row["call"],
                row["argument"],
                row["value"],
                needs,
                row["sure"],
                row["source"],
            )
        )
    return found


def _uses(file: PythonFile) -> Iterator[tuple[ast.AST, str, _Need, bool]]:
    """Each use of something that needs more than it shows: the node, its name, the need, whether it is certain."""
    imported = set()
    for item in file.imports:
        top = item.module.partition(".")[0]
        imported.add(top)
        for need in _needs().get(f"import {top}", ()):
            if not item.guarded and any(
                fnmatchcase(f"import {name}", need.pattern) for name in (item.module, item.target)
            ):
                yield item.node, item.module, need, True
    for call, name in file.calls:
        top = name.partition(".")[0]
        for need in _needs().get(top, ()) if top in imported else ():
            if fnmatchcase(name, need.pattern) and (certain := _fits(call, need)) is not None:
                yield call, name, need, certain


def _fits(call: ast.Call, need: _Need) -> bool | None:
    """Whether a call has the argument that makes the need for certain (True), perhaps (False), or not (None)."""
    if not need.argument:
        return True
    held = keyword(call, need.argument)
    if need.argument.isdigit():
        before = call.args[: int(need.argument) + 1]
        if any(isinstance(item, ast.Starred) for item in before):
            return None
        held = before[-1] if len(before) > int(need.argument) else keyword(call, "path")
    values = [held.body, held.orelse] if isinstance(held, ast.IfExp) else [held]
    met = [_is_value(value, need.value) for value in values]
    return all(met) if any(met) else None


def _is_value(held: ast.expr | None, wanted: str) -> bool:
    """Whether an argument is the constant that a need speaks of; `*` stands for any but None."""
    if wanted == "*":
        return isinstance(held, ast.Dict) or (isinstance(held, ast.Constant) and held.value is not None)
    return isinstance(held, ast.Constant) and str(held.value) == wanted
