"""EVL014: a program of the foundation prints no JSON."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_ROLES = {"train": ("B4.5",), "evaluate": ("B4.6",)}
_JSON = frozenset({"json", "orjson", "ujson", "simplejson", "rapidjson", "pandas", "pydantic", "polars"})
_OUT = frozenset({"print", "rich.print", "rich.print_json", "typer.echo", "click.echo", "pprint.pprint"})
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
            roots = {item.module.partition(".")[0] for each in files for item in each.imports}
            if "assay" in roots:
                continue
            what = "JSON metrics" if role == "train" else "JSON comparison"
            results = "metrics, with the run id" if role == "train" else "comparison"
            if not roots & _JSON or not any(_prints(each) for each in files):
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


def _prints(file: PythonFile) -> bool:
    for call, name in file.calls:
        if name in _OUT or name.startswith("sys.stdout"):
            return True
        if isinstance(call.func, ast.Attribute) and call.func.attr in _METHODS and "log" in name.lower():
            return True
    return any(isinstance(node, ast.Attribute) and file.qualified(node) == "sys.stdout" for node in file.nodes)
