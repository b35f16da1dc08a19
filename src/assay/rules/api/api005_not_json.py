"""API005: something is written as JSON that JSON cannot hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from assay.analysis.import_time import catches
from assay.analysis.library_references import LibraryReferences
from assay.analysis.name_origins import How, Origins, returns_of
from assay.analysis.own_callables import OwnCallables
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, keyword, string_value
from assay.finding import Consequence, Finding, Frame
from assay.rules.rule import Example, Outcome, Rule

_ERRORS = frozenset({"TypeError", "Exception", "BaseException"})
# Calls whose result `json` refuses, and what it is.
_REFUSED = {
    "torch.tensor": "a tensor", "torch.zeros": "a tensor", "torch.ones": "a tensor", "torch.rand": "a tensor",
    "torch.randn": "a tensor", "torch.arange": "a tensor", "torch.stack": "a tensor", "torch.cat": "a tensor",
    "torch.nn.Parameter": "a parameter", "numpy.array": "an array", "numpy.asarray": "an array",
    "numpy.zeros": "an array", "numpy.ones": "an array", "numpy.arange": "an array", "numpy.linspace": "an array",
    "numpy.concatenate": "an array", "numpy.stack": "an array", "numpy.float32": "a float32", "numpy.int64": "an int64",
    "pathlib.Path": "a path", "datetime.datetime.now": "a date and time", "datetime.date.today": "a date",
    "omegaconf.OmegaConf.create": "a DictConfig", "omegaconf.OmegaConf.load": "a DictConfig",
    "omegaconf.OmegaConf.merge": "a DictConfig", "pandas.DataFrame": "a table", "pandas.read_csv": "a table",
    "set": "a set", "frozenset": "a set", "complex": "a complex number",
}  # fmt: skip
_BUILTIN_CALLS = frozenset({"set", "frozenset", "complex"})
_READERS = frozenset(
    {
        "json.dump",
        "json.dumps",
        "print",
        "len",
        "sorted",
        "list",
        "dict",
        "str",
        "repr",
        "sum",
        "max",
        "min",
        "wandb.log",
    }
)
_MAX_VALUES = 200


class _Refused(NamedTuple):
    """Where something is put that JSON refuses, and what it is."""

    file: PythonFile
    node: ast.AST
    what: str
    is_key: bool


class _Pending(NamedTuple):
    """A value that is written as JSON, and what is known to happen to it before."""

    file: PythonFile
    value: ast.expr
    changed: bool = False
    replaced: frozenset[str] = frozenset()


class NotJson(Rule):
    """`json.dump` is given something that JSON has no form for.

    A dict whose keys are tuples, a tensor, an array, a set, a path or a DictConfig raises TypeError. The value is
    followed through names that are assigned once, through dicts and lists that hold it, and through functions of the
    submission that return it. `default=` and `cls=` may turn values into something else, so that values are then left
    out; keys are not given to `default`.
    """

    code = "API005"
    name = "not-json"
    requirements = ("E1.2", "D4.1", "B4.6")
    consequence = Consequence.CRASHES
    message = "{what} is written as JSON, which cannot hold it (put there in {where}, line {line})"
    explanation = "This raises TypeError as soon as the call is made."
    repair = "{remedy}."

    VALID = (
        Example(
            {
                "src/main.py": "import json\n\npairs = {}\npairs['a', 'b'] = 1\nprint(json.dumps({str(k): v for k, v in pairs.items()}))\n"
            }
        ),
        Example(
            {
                "src/main.py": "import json\nfrom pathlib import Path\n\nprint(json.dumps({'at': Path('a')}, default=str))\n"
            }
        ),
        Example({"src/main.py": "import json\n\npairs = {('a', 'b'): 1}\nprint(json.dumps(pairs, skipkeys=True))\n"}),
        Example(
            {
                "src/main.py": "import json\n\nimport torch\n\nprint(json.dumps({'a': torch.tensor(1.0).item(), 'b': [1, (2, 3)]}))\n"
            }
        ),
        # turned into numbers before
        Example(
            {
                "src/main.py": "import json\n\nimport torch\n\nfound = {'a': torch.tensor(1.0), 'b': {1}}\n"
                "found['a'] = found['a'].item()\nfound['b'] = sorted(found['b'])\nprint(json.dumps(found))\n"
            }
        ),
        Example(
            {
                "src/main.py": "import json\n\nimport torch\n\n\ndef run():\n    return {'a': torch.tensor(1.0)}\n\n\n"
                "found = run()\nfor key in found:\n    found[key] = float(found[key])\nprint(json.dumps(found))\n"
            }
        ),
        Example(
            {
                "src/main.py": "import json\n\nimport torch\n\nfound = {'a': 1, 'model': torch.tensor(1.0)}\n"
                "found.pop('model')\nprint(json.dumps(found))\n"
            }
        ),
        # JSON is taught to write them
        Example(
            {"src/main.py": "import json\n\njson.JSONEncoder.default = lambda _, x: str(x)\nprint(json.dumps({1}))\n"}
        ),
        Example(
            {"src/main.py": "import json\n\ntable = {('a', 'b'): 1}\ntable = {'a': 1}\nprint(json.dumps(table))\n"}
        ),
    )
    INVALID = (
        Example(
            {
                "src/evaluate.py": "import json\n\n\ndef compare(names):\n    found = {}\n    for one in names:\n        found[(one, 'base')] = 0.5\n    return found\n\n\nprint(json.dumps({'tests': compare(['a'])}))\n"
            },
            at=("src/evaluate.py:11",),
            repaired={
                "src/evaluate.py": "import json\n\n\ndef compare(names):\n    found = {}\n    for one in names:\n        found[f'{one} base'] = 0.5\n    return found\n\n\nprint(json.dumps({'tests': compare(['a'])}))\n"
            },
        ),
        Example(
            {
                "src/main.py": "import json\n\nimport numpy as np\n\nresult = {'curve': np.array([1.0])}\nprint(json.dumps(result))\n"
            },
            at=("src/main.py:6",),
            repaired={
                "src/main.py": "import json\n\nimport numpy as np\n\nresult = {'curve': np.array([1.0]).tolist()}\nprint(json.dumps(result))\n"
            },
        ),
        Example(
            {
                "src/main.py": "import json\n\nimport hydra\n\n\n@hydra.main(version_base=None)\ndef main(cfg):\n    print(json.dumps(cfg))\n\n\nmain()\n"
            },
            at=("src/main.py:8",),
            repaired={
                "src/main.py": "import json\n\nimport hydra\nfrom omegaconf import OmegaConf\n\n\n@hydra.main(version_base=None)\ndef main(cfg):\n    print(json.dumps(OmegaConf.to_container(cfg)))\n\n\nmain()\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        self._own = project.shared(OwnCallables)
        self._references = project.shared(LibraryReferences)
        if any(_changes_json(file) for file in project.python.values()):
            return
        for file in project.python.values():
            for call, _ in file.calls:
                if self._references.path_of(file, call.func) not in ("json.dump", "json.dumps") or not call.args:
                    continue
                if any(item.arg is None for item in call.keywords) or catches(file, call, _ERRORS):
                    continue
                refused = self._refused(file, call.args[0], keys_only=_turns_values(call))
                if refused is not None and not (refused.is_key and keyword(call, "skipkeys") is not None):
                    yield self._finding(file, call, refused)

    def _finding(self, file: PythonFile, call: ast.Call, refused: _Refused) -> Finding:
        severity, consequence = self._references.weight(file, call)
        line = getattr(refused.node, "lineno", 0)
        remedy = "Use texts as keys" if refused.is_key else "Turn it into numbers, texts, lists and dicts before"
        return self.finding(
            file.path,
            call,
            severity=severity,
            consequence=consequence,
            what="A dict with tuples as keys" if refused.is_key else refused.what[0].upper() + refused.what[1:],
            where=refused.file.path,
            line=line,
            remedy=remedy,
            frames=(Frame(refused.file.path, line),),
        )

    def _refused(self, file: PythonFile, node: ast.expr, *, keys_only: bool) -> _Refused | None:
        """The first thing below a value that JSON refuses for certain."""
        pending: list[_Pending] = [_Pending(file, node)]
        seen: set[ast.AST] = set()
        while pending and len(seen) < _MAX_VALUES:
            one = pending.pop(0)
            where, value = one.file, one.value
            if value in seen:
                continue
            seen.add(value)
            if isinstance(value, ast.Dict):
                for key, held in zip(value.keys, value.values, strict=True):
                    if isinstance(key, ast.Tuple):
                        return _Refused(where, key, "", True)
                    if not one.changed and string_value(key) not in one.replaced:
                        pending.append(_Pending(where, held))
            elif isinstance(value, ast.DictComp):
                if isinstance(value.key, ast.Tuple):
                    return _Refused(where, value.key, "", True)
                if not one.changed:
                    pending.append(_Pending(where, value.value))
            elif isinstance(value, ast.List | ast.Tuple):
                pending.extend(_Pending(where, item) for item in value.elts if not one.changed)
            elif isinstance(value, ast.Set | ast.SetComp) and not keys_only:
                return _Refused(where, value, "a set", False)
            elif isinstance(value, ast.Name):
                if not keys_only and self._is_configuration(where, value):
                    return _Refused(where, value, "a DictConfig", False)
                found = self._of_name(where, value, pending, one)
                if found is not None:
                    return found
            elif isinstance(value, ast.Call):
                name = self._references.path_of(where, value.func)
                if not name and isinstance(value.func, ast.Name) and value.func.id in _BUILTIN_CALLS:
                    name = "" if self._origin(where).of(value.func) else value.func.id
                if name in _REFUSED and not keys_only:
                    return _Refused(where, value, _REFUSED[name], False)
                callee = self._own.callee(where, value)
                if callee is not None and callee.node is not None and callee.node.name != "__init__":
                    results = [item.value for item in returns_of(callee.node)]
                    if len(results) == 1 and results[0] is not None and not callee.node.decorator_list:
                        pending.append(_Pending(callee.file, results[0], one.changed, one.replaced))
        return None

    def _of_name(self, file: PythonFile, name: ast.Name, pending: list[_Pending], one: _Pending) -> _Refused | None:
        """Follow a name that is assigned once; the keys that its scope puts into its dict count too."""
        origins = self._origin(file).of(name)
        if len(origins) != 1 or origins[0].how is not How.VALUE or origins[0].expression is None:
            return None
        value = origins[0].expression
        changed, replaced, removed = self._changes(file, name, origins[0].node)
        if removed:
            return None
        pending.append(_Pending(file, value, one.changed or changed, one.replaced | replaced))
        plain = isinstance(value, ast.Dict) or (isinstance(value, ast.Call) and file.qualified(value.func) == "dict")
        if not plain or isinstance(file.parents.get(origins[0].node), ast.For):
            return None
        function = file.function_of(origins[0].node)
        stored: _Refused | None = None
        for node in file.shared(_reads).get((function, name.id), ()):
            if file.function_of(node) is not function:
                continue
            parent = file.parents.get(node)
            if not isinstance(parent, ast.Subscript) or parent.value is not node:
                continue
            if isinstance(parent.ctx, ast.Store) and isinstance(parent.slice, ast.Tuple) and stored is None:
                stored = None if _is_under_branch(file, parent, function) else _Refused(file, parent, "", True)
        return stored

    def _changes(self, file: PythonFile, name: ast.Name, made: ast.AST) -> tuple[bool, frozenset[str], bool]:
        """Whether anything may change the values that a name holds, which keys are set anew, and whether keys go away."""
        replaced: set[str] = set()
        changed = False
        function = file.function_of(made)
        for node in file.shared(_reads).get((function, name.id), ()):
            parent = file.parents.get(node)
            if isinstance(parent, ast.Subscript) and parent.value is node:
                top: ast.AST = parent
                while isinstance(up := file.parents.get(top), ast.Subscript | ast.Attribute):
                    top = up
                if isinstance(parent.ctx, ast.Del):
                    return True, frozenset(), True
                used = file.parents.get(top)
                called = isinstance(used, ast.Call) and isinstance(top, ast.Attribute) and used.func is top
                if not isinstance(getattr(top, "ctx", None), ast.Load) or called or _is_given(file, top):
                    key = string_value(parent.slice)
                    changed = changed or key is None
                    replaced.add(key or "")
            elif isinstance(parent, ast.Attribute):
                if parent.attr in ("pop", "popitem", "clear", "remove"):
                    return True, frozenset(), True
                changed = changed or parent.attr not in ("items", "keys", "values", "get", "copy", "append", "extend")
                changed = changed or not isinstance(file.parents.get(parent), ast.Call)
                loop = file.parents.get(file.parents.get(parent) or parent)
                changed = changed or isinstance(loop, ast.For)
            elif isinstance(parent, ast.For | ast.AugAssign | ast.Return) or _is_given(file, node):
                # a function may turn the values into others, and a loop over them as well
                changed = changed or not isinstance(parent, ast.Return)
        return changed, frozenset(replaced), False

    def _is_configuration(self, file: PythonFile, name: ast.Name) -> bool:
        """Whether a name is the first parameter of a function that Hydra calls."""
        origins = self._origin(file).of(name)
        if len(origins) != 1 or origins[0].how is not How.PARAMETER or origins[0].function is None:
            return False
        function = origins[0].function
        made = [item.func for item in function.decorator_list if isinstance(item, ast.Call)]
        first = function.args.args[0].arg if function.args.args else ""
        return first == name.id and any(self._references.path_of(file, item) == "hydra.main" for item in made)

    def _origin(self, file: PythonFile) -> Origins:
        return self._references.origins(file)


def _turns_values(call: ast.Call) -> bool:
    return keyword(call, "default") is not None or keyword(call, "cls") is not None


def _is_given(file: PythonFile, node: ast.AST | None) -> bool:
    """Whether a value is the argument of something that may change it: anything but the writing and a few readers."""
    call = file.parents.get(node) if node is not None else None
    if isinstance(call, ast.keyword | ast.Starred):
        call = file.parents.get(call)
    if not isinstance(call, ast.Call) or call.func is node:
        return False
    return file.qualified(call.func) not in _READERS


def _changes_json(file: PythonFile) -> bool:
    """Whether a file puts functions of its own into the module json, such as `json.JSONEncoder.default = ...`."""
    return any(
        not isinstance(node.ctx, ast.Load) and file.qualified(node).startswith("json.")
        for node in file.nodes_of(ast.Attribute)
    )


def _is_under_branch(file: PythonFile, node: ast.AST, function: FunctionNode | None) -> bool:
    """Whether an `if` of the same function decides whether a node runs."""
    for up in file.ancestors(node):
        if up is function:
            return False
        if isinstance(up, ast.If | ast.IfExp | ast.Match | ast.While):
            return True
    return False


def _reads(file: PythonFile) -> dict[tuple[FunctionNode | None, str], list[ast.Name]]:
    """The places that read a name, by each function around them; None for those that stand in none."""
    found: dict[tuple[FunctionNode | None, str], list[ast.Name]] = {}
    for node in file.nodes_of(ast.Name):
        if isinstance(node.ctx, ast.Load):
            around = [up for up in file.ancestors(node) if isinstance(up, FunctionNode)]
            for function in around or (None,):
                found.setdefault((function, node.id), []).append(node)
    return found
