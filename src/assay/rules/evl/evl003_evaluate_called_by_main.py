"""EVL003: main or train starts evaluate."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, string_value
from assay.analysis.text_pattern import PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_LAUNCHERS = frozenset(
    {
        "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen",
        "os.system", "os.popen", "os.execv", "os.execvp", "os.execl", "os.execlp", "runpy.run_module", "runpy.run_path",
        "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell",
    }
)  # fmt: skip
_EVALUATE = re.compile(r"(?:.*[\s/])?src[./]evaluate(?:\.py)?(?:\s.*)?", re.DOTALL)
_ENTRIES = frozenset({"main", "run", "cli", "evaluate", "run_evaluation", "evaluate_all"})


class EvaluateCalledByMain(Rule):
    """Evaluate is a program of its own: it is started once all runs are done, with the results folder and the run ids.

    Where main or train starts it after each run, it compares runs that do not exist yet, and a failure in drawing fails
    the training. Helpers imported from evaluate tie the two programs together; that is a warning.
    """

    code = "EVL003"
    name = "evaluate-called-by-main"
    requirements = ("E8.1",)
    message = "{path} starts evaluate"
    explanation = "Evaluate runs on its own, once every run is finished."
    repair = "Remove the call; evaluate is started with `python -m src.evaluate`."

    VALID = (
        Example({"src/main.py": "import subprocess\nsubprocess.run(['python', '-m', 'src.train'])\n"}),
        # the library of that name
        Example({"src/train.py": "import evaluate\nmetric = evaluate.load('accuracy')\n"}),
        Example({"src/main.py": "print('next: python -m src.evaluate results_dir=...')\n"}),
        Example(
            {"src/main.py": "import subprocess\nsubprocess.run(['python', '-m', 'src.evaluate'])\n"}, contract="base"
        ),
        # a function of the same name that train has itself
        Example({"src/train.py": "def evaluate(model):\n    return 1\n\n\nevaluate(2)\n"}),
    )
    INVALID = (
        Example(
            {
                "src/main.py": "import subprocess\nimport sys\ncmd = [sys.executable, '-m', 'src.evaluate']\nsubprocess.run(cmd)\n"
            },
            at=("src/main.py:4",),
            repaired={"src/main.py": "import subprocess\n"},
        ),
        Example(
            {"src/main.py": "from src.evaluate import main as evaluate_all\nevaluate_all()\n"},
            at=("src/main.py:2",),
            repaired={"src/main.py": "x = 1\n"},
        ),
        Example(
            {"src/main.py": "import os\nos.system('python -m src.evaluate results_dir=out')\n"},
            at=("src/main.py:2",),
            repaired={"src/main.py": "import os\n"},
        ),
        Example(
            {
                "src/main.py": "import subprocess\n\n\ndef start(module):\n    subprocess.run(['python', '-m', module])\n\n\n"
                "start('src.train')\nstart('src.evaluate')\n"
            },
            at=("src/main.py:9",),
            repaired={"src/main.py": "x = 1\n"},
        ),
        # a metric that stands in evaluate is no start of it: a warning
        Example(
            {
                "src/train.py": "from src.evaluate import evaluate\n\naccuracy = evaluate(model, loader)\n",
                "src/evaluate.py": "def evaluate(model, loader):\n    return 1\n\n\ndef main():\n    pass\n\n\nmain()\n",
            },
            at=("src/train.py:1",),
        ),
        Example({"src/train.py": "from .evaluate import accuracy\naccuracy()\n"}, at=("src/train.py:1",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        evaluate = project.contract.role("evaluate") or "src/evaluate.py"
        module = PythonFile(evaluate, "").module
        entries = _entries(project.role("evaluate"))
        uses = used_names(project.python.values())
        for role in ("main", "train"):
            file = project.role(role)
            if file is None:
                continue
            found = list(_starts(file, module, entries))
            for call in found:
                weight = Severity.WARNING if is_dead(file, call, uses) else None
                yield self.finding(
                    file.path, call, severity=weight, symbol=file.symbol_of(call) or None, path=file.path
                )
            taken = [item for item in file.imports if item.target == module or item.module == module]
            if taken and not found:
                yield self.finding(
                    file.path,
                    taken[0].node,
                    severity=Severity.WARNING,
                    message="{path} imports from evaluate",
                    repair="Keep what both need in another file of the contract.",
                    path=file.path,
                )


def _entries(evaluate: PythonFile | None) -> frozenset[str]:
    """The functions that evaluate itself starts with when it is run as a program; the usual names where it is absent."""
    if evaluate is None or evaluate.tree is None:
        return _ENTRIES
    started = {name for call, name in evaluate.calls if evaluate.function_of(call) is None}
    return frozenset(function.name for function in evaluate.functions if function.name in {"main", *started})


def _starts(file: PythonFile, module: str, entries: frozenset[str]) -> Iterator[ast.Call]:
    reader = PatternReader(file)
    # functions of this file that start whatever module they are given
    launching = {
        function.name
        for call, name in file.calls
        if name in _LAUNCHERS and (function := file.function_of(call)) is not None
    }
    for call, name in file.calls:
        given = call.args if name in _LAUNCHERS else ()
        if name.removeprefix("self.") in launching:
            # a command, or a module's name; not a sentence that mentions it
            given = [node for node in call.args if " " not in (string_value(reader.value_of(node)) or "")]
        started = any(_names_evaluate(reader, argument) for argument in given)
        if started or (name.startswith(f"{module}.") and name.removeprefix(f"{module}.") in entries):
            yield call


def _names_evaluate(reader: PatternReader, argument: ast.expr) -> bool:
    value = reader.value_of(argument)
    if value is None:
        return False
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and _EVALUATE.fullmatch(node.value)
        for node in descend(value)
    )
