"""EVL012: the summary of a run is written as JSON the way W&B's client holds it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_origins import How, Origins, OwnCalls, origins_of, own_calls
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_MAX_DEPTH = 6
_MAX_FOUND = 3
_MAX_CALLS = 50
_HEAD = "import json\n\nimport wandb\n\nrun = wandb.Api().run('lab/study/a')\n"


class SummaryIsNoPlainJson(Rule):
    """`run.summary` of the W&B API is no dictionary: a value that is a dictionary itself comes as an object of W&B's client,
    and stays one in `dict(run.summary)`.

    `json.dump` raises TypeError for it. That takes one nested value, such as a table, an image, a histogram, or the
    record that W&B keeps under `_wandb`. Whether there is one shows only in the run, so this is a warning.

    References: https://docs.wandb.ai/ref/python/public-api/run (summary).
    """

    code = "EVL012"
    name = "summary-is-no-plain-json"
    requirements = ("E8.3",)
    severity = Severity.WARNING
    message = "the summary of a run is written as JSON without being made plain"
    explanation = "json raises TypeError where a value of the summary is a dictionary, such as a table or an image."
    repair = "Take run.summary._json_dict, keep the numbers alone, or give json.dump default=str."

    VALID = (
        Example({"src/evaluate.py": _HEAD + "print(json.dumps(run.summary._json_dict))\n"}),
        Example({"src/evaluate.py": _HEAD + "print(json.dumps(dict(run.summary), default=str))\n"}),
        Example(
            {
                "src/evaluate.py": _HEAD
                + "print(json.dumps({k: v for k, v in run.summary.items() if isinstance(v, float)}))\n"
            }
        ),
        Example({"src/evaluate.py": _HEAD + "print(json.dumps({'best': run.summary['best']}))\n"}),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": _HEAD + "summary = dict(run.summary)\nprint(json.dumps({'summary': summary}))\n"},
            at=("src/evaluate.py:7",),
        ),
        Example(
            {
                "src/evaluate.py": _HEAD
                + "\n\ndef save(thing, path):\n    json.dump(thing, open(path, 'w'))\n\n\nsave({'summary': dict(run.summary)}, 'a')\n"
            },
            at=("src/evaluate.py:12",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        file = project.role("evaluate")
        if file is None or file.tree is None:
            return
        calls = own_calls(project)
        origins = origins_of(file)
        writing = _writing_functions(file, calls)
        found = 0
        for call, name in file.calls:
            own = calls.called(file, call)
            given = call.args[0] if call.args else None
            dumps = name in ("json.dump", "json.dumps") and not _is_made_plain(call)
            if given is None or not (dumps or (own is not None and own[1] in writing)):
                continue
            if _holds_summary(file, origins, given, 0) and found < _MAX_FOUND:
                found += 1
                yield self.finding(file.path, call, symbol=file.symbol_of(call) or None)


def _is_made_plain(call: ast.Call) -> bool:
    return any(keyword(call, name) is not None for name in ("default", "cls")) or any(
        k.arg is None for k in call.keywords
    )


def _writing_functions(file: PythonFile, calls: OwnCalls) -> set[ast.AST]:
    """The functions of a file that write their first parameter as JSON, as it is."""
    found: set[ast.AST] = set()
    dumping = [(call, name) for call, name in file.calls if name in ("json.dump", "json.dumps")]
    for call, name in dumping[:_MAX_CALLS]:
        function = file.function_of(call)
        if name not in ("json.dump", "json.dumps") or function is None or not call.args or _is_made_plain(call):
            continue
        first = function.args.args[0].arg if function.args.args else ""
        if isinstance(call.args[0], ast.Name) and call.args[0].id == first:
            changed = any(
                isinstance(node, ast.Name) and node.id == first and not isinstance(node.ctx, ast.Load)
                for node in descend(function)
            )
            found.update(() if changed else (function,))
    return found


def _holds_summary(file: PythonFile, origins: Origins, node: ast.expr | None, depth: int) -> bool:
    """Whether a value is a summary as the client holds it, or a dictionary with one as a value."""
    if node is None or depth > _MAX_DEPTH:
        return False
    if isinstance(node, ast.Dict):
        return any(_holds_summary(file, origins, value, depth + 1) for value in node.values)
    if isinstance(node, ast.Call) and file.qualified(node.func) == "dict" and len(node.args) == 1:
        return isinstance(node.args[0], ast.Attribute) and node.args[0].attr == "summary"
    if isinstance(node, ast.Name):
        found = origins.of(node)
        return (
            len(found) == 1
            and found[0].how is How.VALUE
            and _holds_summary(file, origins, found[0].expression, depth + 1)
        )
    return False
