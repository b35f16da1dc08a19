"""The class of an object, where the text of a submission settles it: constants, constructors, and calls whose result is
known (`libraries/results.tsv`), followed through names and attributes that are assigned once."""

from __future__ import annotations

import ast
import pathlib
from functools import cache, cached_property

from packaging.version import Version

from assay.analysis.fact_table import read_table
from assay.analysis.library_interface import LibraryInterface, distribution_of
from assay.analysis.library_references import LibraryReferences, bound_otherwise
from assay.analysis.name_origins import How
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile

TRIAL = "optuna.trial.Trial"
STUDY = "optuna.study.Study"
_MAX_STEPS = 12
_DISPLAYS: tuple[tuple[type[ast.expr] | tuple[type[ast.expr], ...], str], ...] = (
    (ast.JoinedStr, "builtins.str"),
    ((ast.List, ast.ListComp), "builtins.list"),
    ((ast.Dict, ast.DictComp), "builtins.dict"),
    ((ast.Set, ast.SetComp), "builtins.set"),
    (ast.Tuple, "builtins.tuple"),
)
# Members that later releases of Python added to the classes below.
_LATER = {
    "float": frozenset({"from_number"}),
    "int": frozenset({"is_integer"}),
    "bool": frozenset({"is_integer"}),
    "bytes": frozenset({"from_buffer"}),
    "Path": frozenset(
        {"walk", "full_match", "from_uri", "copy", "copy_into", "move", "move_into", "info", "with_segments", "parser"}
    ),
}
_BUILTIN = {
    f"builtins.{kind.__name__}": frozenset(dir(kind)) | _LATER.get(kind.__name__, frozenset())
    for kind in (float, int, str, bytes, bool, list, dict, set, tuple)
}
_BUILTIN["pathlib.Path"] = frozenset(dir(pathlib.Path)) | frozenset(dir(pathlib.PosixPath)) | _LATER["Path"]


def builtin_members(kind: str) -> frozenset[str] | None:
    """The members of a class of Python itself; None where it is none of those that are known."""
    return _BUILTIN.get(kind)


class ObjectTypes:
    """The classes of the objects in one submission."""

    def __init__(self, project: Project) -> None:
        self._files = [file for file in project.python.values() if file.tree is not None]
        self._references = project.shared(LibraryReferences)
        self._interface = project.shared(LibraryInterface)
        self._known: dict[ast.AST, str] = {}
        self._bound: dict[str, frozenset[str]] = {}
        self._opened: dict[str, bool] = {}

    def of(self, file: PythonFile, node: ast.expr | None, steps: int = _MAX_STEPS) -> str:
        """The dotted name of the class of what an expression gives; empty where that is not settled."""
        if node is None or steps <= 0:
            return ""
        if node not in self._known:
            self._known[node] = ""
            self._known[node] = self._of(file, node, steps - 1)
        return self._known[node]

    def callee(self, file: PythonFile, call: ast.Call) -> str:
        """The full name of what a call calls: `optuna.trial.Trial.suggest_float` for `trial.suggest_float`."""
        return self._callee(file, call, _MAX_STEPS)

    def _of(self, file: PythonFile, node: ast.expr, steps: int) -> str:
        if isinstance(node, ast.Constant):
            return f"builtins.{type(node.value).__name__}" if isinstance(node.value, float | int | str | bytes) else ""
        for kinds, name in _DISPLAYS:
            if isinstance(node, kinds):
                return name
        if isinstance(node, ast.Call):
            return self._result(self._callee(file, node, steps))
        if isinstance(node, ast.Name):
            return self._of_name(file, node, steps)
        if isinstance(node, ast.Attribute):
            value = self._set_once(file, node)
            return self.of(file, value, steps) if value is not None else ""
        return ""

    def _callee(self, file: PythonFile, call: ast.Call, steps: int) -> str:
        path = self._references.path_of(file, call.func)
        if path:
            return path
        if isinstance(call.func, ast.Name):
            return f"builtins.{call.func.id}" if call.func.id not in self._names(file) else ""
        if isinstance(call.func, ast.Attribute):
            owner = self.of(file, call.func.value, steps)
            return f"{owner}.{call.func.attr}" if owner else ""
        return ""

    def _result(self, call: str) -> str:
        result, since = _results().get(call, ("", ""))
        if since:
            release = self._interface.release(distribution_of(call))
            return result if release is not None and release >= Version(since) else ""
        return result

    def _of_name(self, file: PythonFile, node: ast.Name, steps: int) -> str:
        origins = self._references.origins(file).of(node)
        if len(origins) != 1:
            return ""
        origin = origins[0]
        if file.function_of(origin.node) is None and (node.id in self._stores or self._is_open(file)):
            # another file may set a variable of this module: `settings.DEVICE = ...`
            return ""
        if origin.how is How.VALUE:
            return self.of(file, origin.expression, steps)
        if origin.how is How.PARAMETER and origin.function is not None and isinstance(origin.node, ast.arg):
            if (origin.function, origin.node.arg) in self._trials:
                return TRIAL
            annotation = origin.node.annotation
            path = self._references.path_of(file, annotation) if annotation is not None else ""
            return TRIAL if path in ("optuna.Trial", "optuna.trial.Trial") else ""
        return ""

    def _set_once(self, file: PythonFile, node: ast.Attribute) -> ast.expr | None:
        """The value of `self.x` where the whole submission sets `.x` once: there, when the object is made."""
        if not isinstance(node.value, ast.Name) or node.value.id != "self":
            return None
        stores = self._stores.get(node.attr, [])
        owner = next((up for up in file.ancestors(node) if isinstance(up, ast.ClassDef)), None)
        if len(stores) != 1 or owner is None or "__setattr__" in self._stores or self._may_convert(file, owner):
            return None
        where, store = stores[0]
        function = where.function_of(store)
        if function is None:
            return None
        made_here = where is file and function.name == "__init__"
        parent = where.parents.get(store)
        if not made_here or where.parents.get(function) is not owner or not isinstance(parent, ast.Assign):
            return None
        return parent.value if parent.targets == [store] else None

    def _may_convert(self, file: PythonFile, owner: ast.ClassDef) -> bool:
        """Whether a base of a class may turn what is assigned to an attribute into something else."""
        for base in owner.bases:
            path = self._references.path_of(file, base)
            own = any(
                isinstance(base, ast.Name) and base.id == item.name for where in self._files for item in where.classes
            )
            if not own and not path.startswith(("torch.", "abc.", "lightning.", "pytorch_lightning.", "transformers.")):
                return not (isinstance(base, ast.Name) and base.id == "object")
        return bool(owner.keywords or owner.decorator_list)

    def _is_open(self, file: PythonFile) -> bool:
        """Whether a file may set its variables by their names as text."""
        if file.path not in self._opened:
            self._opened[file.path] = any(name in ("globals", "exec") for _, name in file.calls)
        return self._opened[file.path]

    @cached_property
    def _stores(self) -> dict[str, list[tuple[PythonFile, ast.AST]]]:
        """Every place that gives an attribute a value, by its name; definitions in classes included."""
        found: dict[str, list[tuple[PythonFile, ast.AST]]] = {}
        for file in self._files:
            for node in file.nodes_of(ast.Attribute, ast.FunctionDef, ast.AsyncFunctionDef, ast.Name):
                if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                    found.setdefault(node.attr, []).append((file, node))
                elif isinstance(node, FunctionNode) and isinstance(file.parents.get(node), ast.ClassDef):
                    found.setdefault(node.name, []).append((file, node))
                elif (
                    isinstance(node, ast.Name)
                    and not isinstance(node.ctx, ast.Load)
                    and file.function_of(node) is None
                    and any(isinstance(up, ast.ClassDef) for up in file.ancestors(node))
                ):
                    found.setdefault(node.id, []).append((file, node))
        return found

    @cached_property
    def _trials(self) -> set[tuple[FunctionNode, str]]:
        """The parameters through which Optuna hands a trial to a function of the submission."""
        found: set[tuple[FunctionNode, str]] = set()
        for file in self._files:
            if not any(item.module.partition(".")[0] == "optuna" for item in file.imports):
                continue
            named: dict[str, list[FunctionNode]] = {}
            for function in file.functions:
                named.setdefault(function.name, []).append(function)
            for call, _ in file.calls:
                if not isinstance(call.func, ast.Attribute) or call.func.attr != "optimize" or not call.args:
                    continue
                given = {item.arg for item in call.keywords}
                if not given & {"n_trials", "timeout"} and self.of(file, call.func.value) != STUDY:
                    continue
                objective = call.args[0]
                for function in named.get(objective.id, []) if isinstance(objective, ast.Name) else []:
                    if len(named[function.name]) == 1 and function.args.args and not function.decorator_list:
                        found.add((function, function.args.args[0].arg))
        return found

    def _names(self, file: PythonFile) -> frozenset[str]:
        if file.path not in self._bound:
            imported = {item.bound for item in file.imports}
            opened = {"*"} if "*" in imported else set()
            names = bound_otherwise(file) | imported | opened
            self._bound[file.path] = (
                names if not opened else names | frozenset(kind.rpartition(".")[2] for kind in _BUILTIN)
            )
        return self._bound[file.path]


@cache
def _results() -> dict[str, tuple[str, str]]:
    return {row["call"]: (row["result"], row["since"]) for row in read_table("results")}
