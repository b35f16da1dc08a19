"""EVL014: a program of the foundation prints no JSON."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, string_value
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_ROLES = {"train": ("B4.5",), "evaluate": ("B4.6",)}
_JSON = frozenset({"json", "orjson", "ujson", "simplejson", "rapidjson", "pandas", "pydantic", "polars"})
_OUT = frozenset({"print", "rich.print", "rich.print_json", "typer.echo", "click.echo", "pprint.pprint"})
_SHOWS = frozenset({"print", "print_json", "echo", "stdout", "__stdout__"})
_MAKERS = frozenset({"dump", "dumps", "to_json", "model_dump_json", "print_json", "write_json"})
_METHODS = frozenset({"write", "info", "print", "print_json", "echo", "writelines"})


class NothingPrinted(Rule):
    """Train prints its metrics as JSON, with the run id, and evaluate its comparison: whoever starts them reads both from
    standard output.

    A program that writes nothing to standard output, or that has no means to make JSON, prints none. One that does both
    is not judged further, except that train has to name `run_id`.
    """

    code = "EVL014"
    name = "nothing-printed"
    requirements = ("B4.5", "B4.6", "D1.1")
    message = "{path} prints no {what}"
    explanation = "Results are read from standard output, as JSON."
    repair = "Print json.dumps(...) of the {results}."

    VALID = (
        Example({"src/train.py": "import json\nprint(json.dumps({'run_id': 'a', 'loss': 1.0}))\n"}, contract="base"),
        Example({"src/evaluate.py": "import json, sys\njson.dump({'best': 1}, sys.stdout)\n"}, contract="base"),
        Example(
            {
                "src/train.py": "from src.model import report\nreport('a')\n",
                "src/model.py": "import json\n\n\ndef report(run_id):\n    print(json.dumps(dict(run_id=run_id)))\n",
            },
            contract="base",
        ),
        # in one process, main may print what evaluate returns
        Example(
            {
                "src/main.py": "import json\nfrom src.evaluate import compare\nprint(json.dumps(compare()))\n",
                "src/evaluate.py": "def compare():\n    return {'best': 1}\n",
            },
            contract="base",
        ),
        # functions and streams under another name
        Example(
            {
                "src/evaluate.py": "import json\nfrom functools import partial\n\necho = partial(print, flush=True)\necho(json.dumps(x))\n"
            },
            contract="base",
        ),
        Example({"src/evaluate.py": "import json, os\nos.write(1, json.dumps(x).encode())\n"}, contract="base"),
        Example({"src/evaluate.py": "print('{\"best\": %f}' % best)\n"}, contract="base"),
        Example(
            {"src/evaluate.py": "from rich.console import Console\nConsole().print_json(data=x)\n"}, contract="base"
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": "print('loss', 1.0)\n"},
            contract="base",
            at=("src/train.py",),
            repaired={"src/train.py": "import json\nprint(json.dumps({'run_id': 'a', 'loss': 1.0}))\n"},
        ),
        Example(
            {"src/evaluate.py": "import json\njson.dump({'best': 1}, open('a.json', 'w'))\n"},
            contract="base",
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": "import json\nprint(json.dumps({'best': 1}))\n"},
        ),
        # it may be called otherwise: a warning
        Example(
            {"src/train.py": "import json\nprint(json.dumps({'loss': 1.0}))\n"}, contract="base", at=("src/train.py",)
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for role, rows in _ROLES.items():
            file = project.role(role)
            if file is None or not file.nodes[1:]:
                continue
            files = [file, *reached_files(project, file)]
            if any(each.tree is None or any(item.name == "*" for item in each.imports) for each in files):
                continue
            if _is_printed_by(project.role("main"), file):
                continue
            roots = {item.module.partition(".")[0] for each in files for item in each.imports}
            if "assay" in roots:
                continue
            what = "JSON metrics" if role == "train" else "JSON comparison"
            results = "metrics, with the run id" if role == "train" else "comparison"
            makes_json = bool(roots & _JSON) or any(map(_makes_json, files))
            if not makes_json or not any(_prints(each) for each in files):
                yield self.finding(file.path, requirements=(*rows, "D1.1"), path=file.path, what=what, results=results)
            elif role == "train" and not any("run_id" in each.text for each in files):
                yield self.finding(
                    file.path,
                    requirements=rows,
                    severity=Severity.WARNING,
                    path=file.path,
                    what="run_id with its metrics",
                    results=results,
                )


def _is_printed_by(main: PythonFile | None, file: PythonFile) -> bool:
    """Whether main uses a program within its own process, and may print what it returns as JSON."""
    if main is None or main is file:
        return False
    inside = any(
        file.module in (name, f"src.{name}") or name in ("importlib", "runpy")
        for item in main.imports
        for name in (item.module, item.target)
    )
    return inside and any(name.rpartition(".")[2] in _MAKERS for _, name in main.calls) and _prints(main)


def _makes_json(file: PythonFile) -> bool:
    """Whether a text is written as JSON by hand, or a library is asked for it by name."""
    if any("json" in f"{item.module}.{item.name}".lower() for item in file.imports):
        return True
    return any("json" in node.attr.lower() for node in file.nodes_of(ast.Attribute)) or any(
        '"' in (string_value(node) or "") and not isinstance(file.parents.get(node), ast.Expr)
        for node in file.nodes_of(ast.Constant)
    )


def _prints(file: PythonFile) -> bool:
    for call, name in file.calls:
        if name in _OUT or name.startswith("sys.stdout") or name == "os.write":
            return True
        if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS and "log" in name.lower():
            return True
    # `console.print(...)`, and functions and streams that are handed on: `echo = partial(print, flush=True)`
    return any(
        (node.attr in _SHOWS) if isinstance(node, ast.Attribute) else (node.id == "print" or node.id == "stdout")
        for node in file.nodes_of(ast.Attribute, ast.Name)
    ) or any(
        string_value(node) in ("stdout", "__stdout__", "/dev/stdout", "print") for node in file.nodes_of(ast.Constant)
    )
