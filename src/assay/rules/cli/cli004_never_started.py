"""CLI004: a file is started as a program and does nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, string_value
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule

# Calls at module level that prepare something and start nothing; what ends in a dot stands for all that it holds.
_PREPARING = (
    "logging.", "warnings.", "matplotlib.use", "matplotlib.pyplot.switch_backend", "matplotlib.pyplot.style.",
    "seaborn.set", "seaborn.set_theme", "seaborn.set_style", "sys.path.", "os.environ.", "os.getenv", "os.makedirs",
    "os.path.", "pathlib.Path", "re.compile", "random.seed", "numpy.random.seed", "torch.manual_seed", "torch.cuda.",
    "torch.device", "torch.set_float32_matmul_precision", "typing.", "collections.", "dataclasses.",
    "dotenv.load_dotenv", "print",
)  # fmt: skip
# Decorators that only wrap what they decorate.
_WRAPPING = (
    "hydra.main", "torch.", "functools.", "contextlib.", "dataclasses.", "typing.", "click.", "abc.", "property",
    "staticmethod", "classmethod",
)  # fmt: skip
_HARMLESS = (ast.Import, ast.ImportFrom, ast.Pass, ast.Global, ast.Delete)

_MAIN = "import hydra\n\n\n@hydra.main(version_base=None, config_path='../config', config_name='config')\ndef main(cfg):\n    print(cfg)\n"
_GUARD = "\n\nif __name__ == '__main__':\n    main()\n"


def _program(text: str) -> dict[str, str]:
    return {"src/main.py": text}


class NeverStarted(Rule):
    """`python -m src.main` runs the statements of a module; this one only defines functions.

    Without `if __name__ == "__main__": main()` at its end the command returns at once, with success, and nothing
    has run. The rule looks at main, at evaluate where it is a program of its own, and at train where main starts it.
    """

    code = "CLI004"
    name = "program-that-does-nothing"
    requirements = ("E2.3", "E2.4", "B4.2", "B4.6", "D1.1")
    message = "{path} defines functions and calls none"
    explanation = "`python -m {module}` ends at once, with success, and nothing has run."
    repair = "End the file with `if __name__ == '__main__':` and a call of its main function."

    VALID = (
        Example(_program(_MAIN + _GUARD)),
        Example(_program("import logging\n\n\ndef main():\n    pass\n\n\nlogging.basicConfig()\nresult = main()\n")),
        Example(_program("import sys\n\n\ndef main():\n    return 0\n\n\nsys.exit(main())\n")),
        Example(
            _program("import typer\n\napp = typer.Typer()\n\n\n@app.command()\ndef main():\n    pass\n\n\napp()\n")
        ),
        # a library is handed the function, and what it gives back is kept
        Example(_program("import fire\n\n\ndef main():\n    pass\n\n\nresult = fire.Fire(main)\n")),
        # train is imported by its name, no program of its own
        Example(
            {
                "src/main.py": "import importlib\n\nimportlib.import_module('src.train').main()\n",
                "src/train.py": "def main():\n    pass\n",
            }
        ),
        # what it imports does the work
        Example(
            {
                "src/main.py": "import src.train\n\n\ndef note():\n    pass\n",
                "src/train.py": "for step in range(3):\n    print(step)\n",
            }
        ),
        # evaluate is no program of its own here: main imports it
        Example(
            {"src/main.py": "from src.evaluate import run\n\nrun()\n", "src/evaluate.py": "def run():\n    pass\n"},
            contract="base",
        ),
    )
    INVALID = (
        Example(_program(_MAIN), at=("src/main.py",), repaired=_program(_MAIN + _GUARD)),
        # this guard never holds
        Example(
            _program(_MAIN + _GUARD.replace("__main__", "main")),
            at=("src/main.py",),
            repaired=_program(_MAIN + _GUARD),
        ),
        Example(
            {
                "src/evaluate.py": "import logging\n\nlogging.basicConfig()\nlog = logging.getLogger()\n\n\ndef main():\n    pass\n"
            },
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": "def main():\n    pass\n" + _GUARD},
        ),
        Example(
            {
                "src/main.py": "import subprocess\nimport sys\n\nsubprocess.run([sys.executable, '-m', 'src.train'], check=True)\n",
                "src/train.py": "def main():\n    pass\n\n\nif __name__ == '__main__':\n    pass\n",
            },
            contract="derived",
            at=("src/train.py",),
            repaired={"src/train.py": "def main():\n    pass\n" + _GUARD},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        main = project.role("main")
        trains = (("E2.3", "B4.2", "D1.1"), Consequence.TRAINS_NOTHING)
        programs = [("main", *trains)]
        if _starts(main, "train"):
            programs.append(("train", *trains))
        if "evaluate" in project.contract.commands or _starts(main, "evaluate"):
            programs.append(("evaluate", ("E2.4", "B4.6", "D1.1"), Consequence.BREAKS_CONTRACT))
        for role, rows, consequence in programs:
            file = project.role(role)
            if file is None or not file.functions or _does_something(file, is_program=True):
                continue
            if not any(_does_something(other, is_program=False) for other in reached_files(project, file)):
                yield self.finding(
                    file.path, requirements=rows, consequence=consequence, path=file.path, module=file.module
                )


def _starts(main: PythonFile | None, role: str) -> bool:
    """Whether main spells out a command that starts a file, `[..., "-m", "src.train"]`, and does not import it as well."""
    if main is None or any(f"src.{role}" in (item.module, item.target) for item in main.imports):
        return False
    for node in main.nodes_of(ast.List, ast.Tuple):
        if isinstance(node, ast.List | ast.Tuple):
            words = [string_value(item) for item in node.elts]
            if f"src/{role}.py" in words[1:] or ("-m" in words and f"src.{role}" in words[words.index("-m") + 1 :]):
                return True
    return False


def _does_something(file: PythonFile, *, is_program: bool) -> bool:
    """Whether a module's own statements do more than define and prepare, when run or imported; in doubt, they do."""
    if file.tree is None:
        return True
    pending: list[ast.stmt] = list(file.tree.body)
    while pending:
        statement = pending.pop()
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not all(_only_wraps(file, decorator) for decorator in statement.decorator_list):
                return True
            pending.extend(statement.body if isinstance(statement, ast.ClassDef) else [])
        elif isinstance(statement, ast.If):
            guard = _guard(statement)
            if guard is None or (guard == "__main__") == is_program:
                pending.extend(statement.body)
            pending.extend(statement.orelse)
        elif isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Assert | ast.Raise):
            if not all(_only_prepares(file, node) for node in descend(statement) if isinstance(node, ast.Call)):
                return True
        elif not isinstance(statement, _HARMLESS):
            return True
    return False


def _only_wraps(file: PythonFile, decorator: ast.expr) -> bool:
    return _is_one_of(file, decorator.func if isinstance(decorator, ast.Call) else decorator, _WRAPPING)


def _only_prepares(file: PythonFile, call: ast.Call) -> bool:
    """Whether a call is a known one that starts nothing, or a method of what another call made, which is asked itself."""
    made = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Call)
    return made or _is_one_of(file, call.func, _PREPARING)


def _is_one_of(file: PythonFile, node: ast.expr, names: tuple[str, ...]) -> bool:
    name = file.qualified(node)
    return name in names or any(known.endswith(".") and name.startswith(known) for known in names)


def _guard(statement: ast.If) -> str | None:
    """The text that a test compares `__name__` with, or None where it is no such test."""
    test = statement.test
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return None
    named = isinstance(test.left, ast.Name) and test.left.id == "__name__"
    return string_value(test.comparators[0]) if named else None
