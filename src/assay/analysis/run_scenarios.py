"""What expressions are worth in each run, as far as the run files and the text of the program tell.

A scenario is a run file and a mode in which the contract's commands start it. `cfg.model.name` is then a value with the
line of the run file that it comes from, `cfg.mode == "trial"` is true or false, and an `if` is entered or not. Names
are followed to their only assignment, parameters to the calls of their function. Nothing is executed, the work is
bounded, and whatever is not certain is `UNKNOWN`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from assay import yaml_tree
from assay.analysis.called import MISSING, UNKNOWN
from assay.analysis.certain_calls import CertainCalls, certain_calls
from assay.analysis.import_time import is_main_guard, stands_in
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, string_value
from assay.analysis.run_variations import texts
from assay.finding import Frame

_MAX_DEPTH = 14
_MAX_STEPS = 3_000
# of all questions about a submission together
_MAX_WORK = 400_000
_MAX_RUNS = 40
_MAX_CALLS = 20
_MAX_TEXT = 2_000
_CONFIG_NAMES = frozenset({"cfg", "config", "conf", "configs", "hydra_cfg", "run_cfg", "trial_cfg", "full_cfg"})
# what hands a configuration on as it is, as far as its values go
_SAME_CONFIG = frozenset(
    {"copy.deepcopy", "copy.copy", "omegaconf.OmegaConf.to_container", "omegaconf.OmegaConf.create"}
)
_WHOLE_CONFIG = ("OmegaConf.merge", "OmegaConf.load", "OmegaConf.create", "hydra.compose", "copy.deepcopy")
_SAME_VALUE = {"str": str, "int": int, "float": float, "bool": bool}
_LISTS = frozenset({"list", "tuple", "set", "sorted"})
_TEXT_METHODS = frozenset({"lower", "upper", "strip", "startswith", "endswith", "casefold"})
_PLAIN = (str, int, float, bool, type(None))


class Scenario(NamedTuple):
    """A run as one of the contract's commands starts it.

    Args:
        path: Path of its run file; empty where there are no run files.
        run: Its id.
        root: The tree of its run file.
        mode: The value of `mode`; empty where it is not known.
    """

    path: str = ""
    run: str = ""
    root: yaml_tree.Node | None = None
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A value and where it comes from.

    Args:
        value: The value, or `UNKNOWN`, or `MISSING` for a key that the configuration lacks.
        file: The file that spells it out.
        place: Where in it.
        sure: Whether nothing else can give it another value.
        frames: Other places that it passes through.
    """

    value: Any = UNKNOWN
    file: str = ""
    place: ast.AST | yaml_tree.Node | int | None = None
    sure: bool = True
    frames: tuple[Frame, ...] = ()

    @property
    def known(self) -> bool:
        """Whether it is a value at all."""
        return self.value is not UNKNOWN and self.value is not MISSING

    @property
    def line(self) -> int | None:
        """The line on which it is spelled out."""
        if isinstance(self.place, int):
            return self.place
        return getattr(self.place, "line", getattr(self.place, "lineno", None))


NOTHING = Value()


@dataclass(slots=True)
class _Work:
    """What is left of the work for one question, and the statements that are being looked at."""

    left: int = _MAX_STEPS
    seen: set[int] = field(default_factory=set)


class RunScenarios:
    """The values of expressions in the runs of a submission."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._left = _MAX_WORK

    @cached_property
    def scenarios(self) -> tuple[Scenario, ...]:
        """Every run in both modes; one empty scenario where there are no run files."""
        found = []
        for path, file in list(self.project.run_files.items())[:_MAX_RUNS]:
            if not isinstance(file.root, yaml_tree.Mapping):
                continue
            given = file.root.get("run_id")
            run = given.text if isinstance(given, yaml_tree.Scalar) else path.rpartition("/")[2].rpartition(".")[0]
            found += [Scenario(path, run, file.root, mode) for mode in ("full", "trial")]
        return tuple(found) or (Scenario(),)

    def value(self, file: PythonFile, node: ast.expr | None, scenario: Scenario) -> Value:
        """What an expression is worth in a scenario."""
        work = self._work()
        found = self._value(file, node, scenario, 0, work)
        self._left -= _MAX_STEPS - work.left
        return found

    def passes(self, file: PythonFile, node: ast.AST, scenario: Scenario) -> bool | None:
        """Whether a node runs once its function does: True, False, or None where that cannot be told.

        What stands in the body of a `try` may fail unseen: None. Loops and `with` blocks count as entered.
        """
        work = self._work()
        found = self._passes(file, node, scenario, 0, work)
        self._left -= _MAX_STEPS - work.left
        return found

    def _work(self) -> _Work:
        return _Work() if self._left > 0 else _Work(0)

    def only_assignment(self, file: PythonFile, node: ast.expr | None) -> ast.expr | None:
        """What a name is bound to, where its function or module binds it exactly once; None for anything else."""
        if not isinstance(node, ast.Name):
            return None
        bound = self._bindings.get((file.path, file.function_of(node)), {}).get(node.id)
        if bound is None:
            return file.constants.get(node.id)
        return bound[0] if len(bound) == 1 else None

    def is_called(self, file: PythonFile, node: ast.AST) -> bool:
        """Whether the function around a node certainly runs, with no `try` on the way to it."""
        function = file.function_of(node)
        if function is None:
            return file.path in self._certain.files
        return self._certain.runs(file, function.body[0])

    def is_used(self, file: PythonFile, node: ast.AST) -> bool:
        """Whether the program names the function around a node, or its class where Python calls the method itself."""
        function = file.function_of(node)
        if function is None or function.name in self._used_names or self.is_called(file, node):
            return True
        owner = file.parents.get(function)
        special = function.name.startswith("__") and function.name.endswith("__")
        return special and isinstance(owner, ast.ClassDef) and owner.name in self._used_names

    @cached_property
    def _certain(self) -> CertainCalls:
        return certain_calls(self.project)

    @cached_property
    def _used_names(self) -> frozenset[str]:
        names: set[str] = set()
        for file in self.project.python.values():
            for node in file.nodes_of(ast.Name, ast.Attribute):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                    names.add(node.id)
                elif isinstance(node, ast.Attribute):
                    names.add(node.attr)
        return frozenset(names)

    @cached_property
    def _functions(self) -> dict[str, list[FunctionNode]]:
        found: dict[str, list[FunctionNode]] = {}
        for file in self.project.python.values():
            for node in file.functions:
                found.setdefault(node.name, []).append(node)
        return found

    @cached_property
    def _calls(self) -> dict[str, list[tuple[PythonFile, ast.Call]]]:
        """Name of a submission's function to the calls of it."""
        found: dict[str, list[tuple[PythonFile, ast.Call]]] = {}
        for file in self.project.python.values():
            for node, name in file.calls:
                last = name.rpartition(".")[2]
                if last in self._functions:
                    found.setdefault(last, []).append((file, node))
        return found

    @cached_property
    def _bindings(self) -> dict[tuple[str, FunctionNode | None], dict[str, list[ast.expr | None]]]:
        """File and function to the names bound there, each with what it is bound to (None: not by an assignment)."""
        found: dict[tuple[str, FunctionNode | None], dict[str, list[ast.expr | None]]] = {}
        for file in self.project.python.values():
            for node in file.nodes_of(ast.Name):
                if not isinstance(node.ctx, ast.Load):
                    up = file.parents.get(node)
                    plain = isinstance(up, ast.Assign) and len(up.targets) == 1 and up.targets[0] is node
                    plain = plain or (isinstance(up, ast.AnnAssign) and up.target is node)
                    value = up.value if plain and isinstance(up, ast.Assign | ast.AnnAssign) else None
                    scope = found.setdefault((file.path, file.function_of(node)), {})
                    scope.setdefault(node.id, []).append(value)
        return found

    @cached_property
    def _assigned(self) -> dict[str, list[tuple[PythonFile, ast.Assign, ast.Attribute | ast.Subscript]]]:
        """The assignments to an attribute or an item, by its name."""
        found: dict[str, list[tuple[PythonFile, ast.Assign, ast.Attribute | ast.Subscript]]] = {}
        for file in self.project.python.values():
            for node in file.nodes_of(ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Attribute | ast.Subscript):
                        last = target.attr if isinstance(target, ast.Attribute) else string_value(target.slice)
                        if last is not None:
                            found.setdefault(last, []).append((file, node, target))
        return found

    @cached_property
    def _updated(self) -> frozenset[str]:
        """The keys that `OmegaConf.update` sets; one that is not spelled out by what it begins with, and `*`."""
        return frozenset(
            _key_pattern(node.args[1]) if len(node.args) > 1 else "*"
            for file in self.project.python.values()
            for node, name in file.calls
            if name.endswith("OmegaConf.update")
        )

    @cached_property
    def _texts(self) -> frozenset[str]:
        """The texts in the program that may be the dotted name of a key."""
        return frozenset(
            text
            for file in self.project.python.values()
            for node in file.nodes_of(ast.Constant)
            if (text := string_value(node)) is not None and "." in text and len(text) < _MAX_TEXT
        )

    @cached_property
    def _overrides(self) -> frozenset[str]:
        """What stands up to and including the equals sign in the texts of the program: keys that an override sets.

        One that hands a value on as it is (`f"mode={cfg.mode}"`) sets nothing.
        """
        found: set[str] = set()
        for file in self.project.python.values():
            for node in file.nodes_of(ast.Constant):
                text = (string_value(node) or "")[:_MAX_TEXT]
                key, equals, _ = text.partition("=")
                if equals and not _hands_on(file.parents.get(node), node, key):
                    found.add(f"{key.lstrip('+~')}=")
        return frozenset(found)

    @cached_property
    def _set_by_name(self) -> frozenset[str]:
        """The names that `setattr` gives a value, as far as they are spelled out."""
        return frozenset(
            string_value(node.args[1]) or ""
            for file in self.project.python.values()
            for node, name in file.calls
            if name == "setattr" and len(node.args) > 1
        )

    @cached_property
    def _nested(self) -> frozenset[tuple[str, str]]:
        """The keys of dicts in the program with the keys of the dicts right below them, which a merge may lay over."""
        found: set[tuple[str, str]] = set()
        for file in self.project.python.values():
            for node in file.nodes_of(ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    outer = string_value(key)
                    for below in value.keys if outer is not None and isinstance(value, ast.Dict) else ():
                        inner = string_value(below)
                        if outer is not None and inner is not None:
                            found.add((outer, inner))
        return frozenset(found)

    @cached_property
    def _leaving(self) -> dict[FunctionNode, list[ast.stmt]]:
        """Function to the statements that end it."""
        found: dict[FunctionNode, list[ast.stmt]] = {}
        for file in self.project.python.values():
            for node in file.nodes_of(ast.Return, ast.Raise):
                if isinstance(node, ast.Return | ast.Raise):
                    function = file.function_of(node)
                    if function is not None:
                        found.setdefault(function, []).append(node)
        return found

    @cached_property
    def _base(self) -> tuple[str, yaml_tree.Node | None]:
        """Path and tree of the configuration that the run files are laid over."""
        path = self.project.contract.role("config") or ""
        file = self.project.yaml.get(path)
        return path, file.root if file is not None else None

    def _may_be_updated(self, path: tuple[str, ...], scenario: Scenario) -> bool:
        """Whether `OmegaConf.update`, a merge with a dict or an override may set a path.

        A key that is not spelled out is one that a search tries, or that the program names somewhere else.
        """
        name = ".".join(path)
        if (path[0], path[-1]) in self._nested or {f"{name}=", f"run.{name}="} & self._overrides:
            return True
        if path[-1] in self._set_by_name:
            return True
        for key in self._updated:
            if not key.endswith("*"):
                if name == key or name.startswith(f"{key}."):
                    return True
            elif name.startswith(key[:-1]) and (
                name in self._texts or path[-1] in self._searched.get(scenario.path, ())
            ):
                return True
        return False

    @cached_property
    def _searched(self) -> dict[str, frozenset[str]]:
        """Run file to the last parts of what its search section names."""
        return {
            one.path: frozenset(
                text[-_MAX_TEXT:].rpartition(".")[2] for text in texts(yaml_tree.find(one.root, "optuna"))
            )
            for one in self.scenarios
        }

    def _value(self, file: PythonFile, node: ast.expr | None, scenario: Scenario, depth: int, work: _Work) -> Value:
        work.left -= 1
        if node is None or depth > _MAX_DEPTH or work.left < 0:
            return NOTHING
        if isinstance(node, ast.Constant):
            return Value(node.value, file.path, node) if isinstance(node.value, _PLAIN) else NOTHING
        below = depth + 1
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            items = [self._value(file, item, scenario, below, work) for item in node.elts]
            if not all(item.known for item in items):
                return NOTHING
            return Value([item.value for item in items], file.path, node, all(item.sure for item in items))
        if isinstance(node, ast.BoolOp):
            return self._bool_op(file, node, scenario, below, work)
        if isinstance(node, ast.UnaryOp):
            return self._unary(file, node, scenario, below, work)
        if isinstance(node, ast.Compare):
            return self._compare(file, node, scenario, below, work)
        if isinstance(node, ast.IfExp):
            test = self._value(file, node.test, scenario, below, work)
            if not test.known or not test.sure:
                return NOTHING
            return self._value(file, node.body if test.value else node.orelse, scenario, below, work)
        if isinstance(node, ast.JoinedStr):
            return self._joined(file, node, scenario, below, work)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left = self._value(file, node.left, scenario, below, work)
            right = self._value(file, node.right, scenario, below, work)
            both = left.known and right.known and type(left.value) is type(right.value)
            if both and isinstance(left.value, str | list) and len(left.value) + len(right.value) <= _MAX_TEXT:
                return Value(left.value + right.value, file.path, node, left.sure and right.sure)
            return NOTHING
        if isinstance(node, ast.Call):
            return self._call(file, node, scenario, below, work)
        if isinstance(node, ast.Name):
            return self._name(file, node, scenario, below, work)
        if isinstance(node, ast.Attribute | ast.Subscript):
            path = self._path(file, node, scenario, below, work)
            return self._read(path, scenario, below, work) if path else NOTHING
        return NOTHING

    def _unary(self, file: PythonFile, node: ast.UnaryOp, scenario: Scenario, depth: int, work: _Work) -> Value:
        inner = self._value(file, node.operand, scenario, depth, work)
        if not inner.known:
            return NOTHING
        if isinstance(node.op, ast.Not):
            return Value(not inner.value, file.path, node, inner.sure)
        if isinstance(node.op, ast.USub) and isinstance(inner.value, int | float):
            return Value(-inner.value, file.path, node, inner.sure)
        return NOTHING

    def _bool_op(self, file: PythonFile, node: ast.BoolOp, scenario: Scenario, depth: int, work: _Work) -> Value:
        wants = isinstance(node.op, ast.Or)
        values = [self._value(file, item, scenario, depth, work) for item in node.values]
        for index, item in enumerate(values):
            if not item.known:
                # a later operand may decide whether the whole is true, though not its value
                if any(bool(other.value) is wants for other in values[index:] if other.known and other.sure):
                    return Value(wants, file.path, node)
                return NOTHING
            if bool(item.value) is wants or index == len(values) - 1:
                return item
        return NOTHING

    def _compare(self, file: PythonFile, node: ast.Compare, scenario: Scenario, depth: int, work: _Work) -> Value:
        if len(node.ops) != 1:
            return NOTHING
        left = self._value(file, node.left, scenario, depth, work)
        right = self._value(file, node.comparators[0], scenario, depth, work)
        if not left.known or not right.known:
            return NOTHING
        a, b, op = left.value, right.value, node.ops[0]
        try:
            if isinstance(op, ast.Eq | ast.Is):
                answer = a == b
            elif isinstance(op, ast.NotEq | ast.IsNot):
                answer = a != b
            elif isinstance(op, ast.In):
                answer = a in b
            elif isinstance(op, ast.NotIn):
                answer = a not in b
            elif isinstance(op, ast.Lt):
                answer = a < b
            elif isinstance(op, ast.LtE):
                answer = a <= b
            elif isinstance(op, ast.Gt):
                answer = a > b
            else:
                answer = a >= b
        except TypeError:
            return NOTHING
        return Value(bool(answer), file.path, node, left.sure and right.sure)

    def _joined(self, file: PythonFile, node: ast.JoinedStr, scenario: Scenario, depth: int, work: _Work) -> Value:
        parts: list[str] = []
        sure = True
        for item in node.values:
            plain = isinstance(item, ast.FormattedValue) and item.format_spec is None and item.conversion == -1
            held = item.value if plain and isinstance(item, ast.FormattedValue) else item
            part = self._value(file, held, scenario, depth, work)
            if not part.known or not isinstance(part.value, str | int):
                return NOTHING
            parts.append(str(part.value))
            sure = sure and part.sure
        text = "".join(parts)
        return Value(text, file.path, node, sure) if len(text) <= _MAX_TEXT else NOTHING

    def _call(self, file: PythonFile, node: ast.Call, scenario: Scenario, depth: int, work: _Work) -> Value:
        name = file.qualified(node.func)
        if any(isinstance(item, ast.Starred) for item in node.args) or any(item.arg is None for item in node.keywords):
            return NOTHING
        if len(node.args) == 1 and not node.keywords and (name in _SAME_VALUE or name in _LISTS):
            inner = self._value(file, node.args[0], scenario, depth, work)
            if name in _LISTS:
                return inner if isinstance(inner.value, list) else NOTHING
            if not inner.known:
                return inner
            try:
                return replace(inner, value=_SAME_VALUE[name](inner.value))
            except (TypeError, ValueError, OverflowError):
                return NOTHING
        if name in _SAME_CONFIG and node.args:
            return self._value(file, node.args[0], scenario, depth, work)
        if name == "getattr" and len(node.args) in (2, 3):
            path = self._path(file, node.args[0], scenario, depth, work)
            default = node.args[2] if len(node.args) == 3 else None
            return self._read_or(file, path, string_value(node.args[1]), default, scenario, depth, work)
        if name.endswith("OmegaConf.select") and len(node.args) >= 2:
            path, key = self._path(file, node.args[0], scenario, depth, work), string_value(node.args[1])
            given = node.args[2] if len(node.args) > 2 else None
            default = next((item.value for item in node.keywords if item.arg == "default"), given)
            return self._read_or(file, path, key, default, scenario, depth, work)
        if not isinstance(node.func, ast.Attribute):
            return NOTHING
        if node.func.attr == "get" and node.args:
            path = self._path(file, node.func.value, scenario, depth, work)
            default = node.args[1] if len(node.args) > 1 else ast.Constant(None)
            return self._read_or(file, path, string_value(node.args[0]), default, scenario, depth, work)
        if node.func.attr in _TEXT_METHODS:
            inner = self._value(file, node.func.value, scenario, depth, work)
            values = [self._value(file, item, scenario, depth, work).value for item in node.args]
            if isinstance(inner.value, str) and all(isinstance(item, str) for item in values):
                try:
                    return replace(inner, value=getattr(inner.value, node.func.attr)(*values))
                except TypeError:
                    return NOTHING
        return NOTHING

    def _read_or(
        self,
        file: PythonFile,
        base: tuple[str, ...] | None,
        key: str | None,
        default: ast.expr | None,
        scenario: Scenario,
        depth: int,
        work: _Work,
    ) -> Value:
        """The value of a key, or the default where the configuration lacks it."""
        if base is None or key is None:
            return NOTHING
        found = self._read((*base, *key.split(".")), scenario, depth, work)
        if found.value is not MISSING or default is None:
            return found
        return self._value(file, default, scenario, depth, work)

    def _name(self, file: PythonFile, node: ast.Name, scenario: Scenario, depth: int, work: _Work) -> Value:
        function = file.function_of(node)
        bound = self._bindings.get((file.path, function), {}).get(node.id)
        parameter = function is not None and node.id in _parameters(function)
        if bound is not None:
            if len(bound) == 1 and bound[0] is not None and not parameter:
                return self._value(file, bound[0], scenario, depth, work)
            return NOTHING
        if function is not None and parameter:
            given = list(self._given(file, function, node.id))
            values = [self._value(other, item, scenario, depth, work) for other, item in given]
            if values and all(item.known for item in values) and len({repr(item.value) for item in values}) == 1:
                return values[0]
            return NOTHING
        if node.id in file.constants:
            return self._value(file, file.constants[node.id], scenario, depth, work)
        if any(item.bound == node.id and self._is_installed(item.module, item.guarded) for item in file.imports):
            return Value(True, file.path, node)
        return NOTHING

    def _is_installed(self, module: str, guarded: bool) -> bool:
        """Whether an imported name certainly holds something: its import is not guarded, or its library is declared."""
        return not guarded or module.partition(".")[0] in (self.project.submission.text("pyproject.toml") or "")

    def _given(
        self, file: PythonFile, function: FunctionNode, name: str
    ) -> Iterator[tuple[PythonFile, ast.expr | None]]:
        """What the submission's calls of a function pass for one of its parameters."""
        if len(self._functions.get(function.name, ())) != 1:
            return
        places = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
        defaults = dict(zip(reversed(places), reversed(function.args.defaults), strict=False))
        method = bool(places) and places[0] in ("self", "cls")
        calls = self._calls.get(function.name, ())
        if len(calls) > _MAX_CALLS:
            return
        for other, call in calls:
            found = next((item.value for item in call.keywords if item.arg == name), None)
            position = places.index(name) - method if name in places else -1
            if found is None and 0 <= position < len(call.args):
                found = call.args[position]
            if isinstance(found, ast.Starred):
                found = None
            if found is None and name in defaults:
                yield file, defaults[name]
            else:
                yield other, found

    def _path(
        self, file: PythonFile, node: ast.expr, scenario: Scenario, depth: int, work: _Work
    ) -> tuple[str, ...] | None:
        """The path in the configuration that an expression reads; None where it reads none."""
        keys: list[str] = []
        while isinstance(node, ast.Attribute | ast.Subscript):
            if isinstance(node, ast.Attribute):
                keys.append(node.attr)
            else:
                key = self._value(file, node.slice, scenario, depth + 1, work)
                if not isinstance(key.value, str):
                    return None
                keys.append(key.value)
            node = node.value
            if len(keys) > _MAX_DEPTH:
                return None
        start = self._start(file, node, keys, scenario, depth + 1, work)
        return None if start is None else (*start, *reversed(keys))

    def _start(
        self, file: PythonFile, node: ast.expr, keys: list[str], scenario: Scenario, depth: int, work: _Work
    ) -> tuple[str, ...] | None:
        """The path of what a chain of keys starts from."""
        work.left -= 1
        if depth > _MAX_DEPTH or work.left < 0:
            return None
        if isinstance(node, ast.Call):
            if file.qualified(node.func) in _SAME_CONFIG and node.args:
                return self._path(file, node.args[0], scenario, depth, work)
            if isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
                base = self._path(file, node.func.value, scenario, depth, work)
                key = string_value(node.args[0])
                return None if base is None or key is None else (*base, key)
            return None
        if not isinstance(node, ast.Name):
            return None
        if node.id == "self" and keys and keys[-1].lstrip("_") in _CONFIG_NAMES:
            keys.pop()
            return ()
        function = file.function_of(node)
        bound = self._bindings.get((file.path, function), {}).get(node.id)
        like = node.id in _CONFIG_NAMES
        if function is not None and node.id in _parameters(function):
            given = [(other, item) for other, item in self._given(file, function, node.id) if item is not None]
            paths = {self._path(other, item, scenario, depth, work) for other, item in given}
            if len(paths) == 1 and None not in paths:
                return paths.pop()
            return () if like and (not paths or paths <= {None, ()}) else None
        if bound is not None:
            if len(bound) == 1 and bound[0] is not None:
                found = self._path(file, bound[0], scenario, depth, work)
                if found is not None:
                    return found
            return () if like and all(_is_config(file, value) for value in bound) else None
        around = (up for up in file.ancestors(function) if isinstance(up, FunctionNode)) if function else ()
        return () if like and any(node.id in _parameters(up) for up in around) else None

    def _read(self, path: tuple[str, ...], scenario: Scenario, depth: int, work: _Work) -> Value:
        """The value at a path of the configuration: what the program sets, else the run file's."""
        if path and path[0] == "run" and len(path) > 1:
            path = path[1:]
        found = self._written(path, scenario)
        if path and (self._may_be_updated(path, scenario) or self._above_is_set(path, scenario, depth, work)):
            found = replace(found, sure=False)
        for file, statement, target in self._assigned.get(path[-1] if path else "", ())[:_MAX_RUNS]:
            if id(statement) in work.seen:
                continue
            work.seen.add(id(statement))
            try:
                if self._path(file, target, scenario, depth + 1, work) != path:
                    continue
                passes = self._passes(file, statement, scenario, depth + 1, work)
                if passes is False:
                    continue
                value = self._value(file, statement.value, scenario, depth + 1, work)
                if passes is None or not value.known:
                    found = replace(found, sure=False)
                else:
                    found = Value(value.value, file.path, statement, value.sure, value.frames)
            finally:
                work.seen.discard(id(statement))
        return found

    def _above_is_set(self, path: tuple[str, ...], scenario: Scenario, depth: int, work: _Work) -> bool:
        """Whether the program may replace a section that holds a path."""
        for length in range(1, len(path)):
            for file, statement, target in self._assigned.get(path[length - 1], ())[:_MAX_RUNS]:
                if id(statement) in work.seen:
                    continue
                work.seen.add(id(statement))
                try:
                    same = self._path(file, target, scenario, depth + 1, work) == path[:length]
                    if same and self._passes(file, statement, scenario, depth + 1, work) is not False:
                        return True
                finally:
                    work.seen.discard(id(statement))
        return False

    def _written(self, path: tuple[str, ...], scenario: Scenario) -> Value:
        """The value at a path of the run file, or of the configuration that it is laid over."""
        if path == ("mode",):
            return Value(scenario.mode, scenario.path, 1) if scenario.mode else NOTHING
        if scenario.root is None or not path:
            return NOTHING
        base, tree = self._base
        for name, root in ((scenario.path, scenario.root), (base, tree)):
            node = yaml_tree.find(root, *path)
            if node is not None:
                return _held(name, node)
        return Value(MISSING, scenario.path, scenario.root)

    def _passes(self, file: PythonFile, node: ast.AST, scenario: Scenario, depth: int, work: _Work) -> bool | None:
        function = file.function_of(node)
        answer = self._entered(file, node, function, scenario, depth, work)
        if answer is False or function is None:
            return answer
        line = getattr(node, "lineno", 0)
        for leaving in self._leaving.get(function, ())[:_MAX_RUNS]:
            if leaving.lineno < line and not any(up is leaving for up in file.ancestors(node)):
                left = self._entered(file, leaving, function, scenario, depth, work)
                if left is True:
                    return False
                if left is None:
                    answer = None
        return answer

    def _entered(
        self,
        file: PythonFile,
        node: ast.AST,
        function: FunctionNode | None,
        scenario: Scenario,
        depth: int,
        work: _Work,
    ) -> bool | None:
        """Whether every branch around a node is taken."""
        answer: bool | None = True
        child = node
        for up in file.ancestors(node):
            if up is function:
                break
            if isinstance(up, ast.If | ast.IfExp) and child is not up.test:
                if not is_main_guard(up.test):
                    test = self._value(file, up.test, scenario, depth + 1, work)
                    inside = stands_in(up.body, child) if isinstance(up, ast.If) else child is up.body
                    if not test.known or not test.sure:
                        answer = None
                    elif bool(test.value) is not inside:
                        return False
            elif _may_be_left_out(up, child):
                answer = None
            child = up
        return answer


def _held(file: str, node: yaml_tree.Node) -> Value:
    """The value of a YAML node; `UNKNOWN` where it interpolates or is more than a list of plain values."""
    if isinstance(node, yaml_tree.Mapping):
        # true where it holds anything; its values are read by longer paths
        return Value(True, file, node) if node.pairs else NOTHING
    value = yaml_tree.to_python(node, omegaconf=True)
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, _PLAIN) and "${" not in str(item) and item != "???" for item in items):
        return NOTHING
    return Value(value, file, node)


def _key_pattern(node: ast.expr) -> str:
    """A key as text; what it begins with and `*` where only that is spelled out."""
    if isinstance(node, ast.JoinedStr) and node.values:
        return f"{string_value(node.values[0]) or ''}*"
    if isinstance(node, ast.BinOp):
        return f"{string_value(node.left) or ''}*"
    return string_value(node) or "*"


def _hands_on(around: ast.AST | None, node: ast.AST, key: str) -> bool:
    """Whether a formatted text gives a key the value that the configuration has under the same name."""
    if not isinstance(around, ast.JoinedStr) or len(around.values) < 2 or around.values[0] is not node:
        return False
    held = around.values[1].value if isinstance(around.values[1], ast.FormattedValue) else None
    if isinstance(held, ast.Name):
        return held.id == key == "mode"
    return isinstance(held, ast.Attribute) and held.attr == key.rpartition(".")[2]


def _may_be_left_out(up: ast.AST, child: ast.AST) -> bool:
    """Whether a part of a compound node may not run, or fail unseen."""
    if isinstance(up, ast.Try):
        return stands_in(up.body if up.handlers else [], child) or stands_in(up.orelse, child)
    if isinstance(up, ast.BoolOp):
        return child is not up.values[0]
    return isinstance(up, ast.ExceptHandler | ast.Match | ast.Lambda | ast.comprehension | ast.While)


def _parameters(function: FunctionNode) -> set[str]:
    spec = function.args
    return {item.arg for item in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)}


def _is_config(file: PythonFile, value: ast.expr | None) -> bool:
    """Whether an expression looks like a whole configuration: what OmegaConf or Hydra returns."""
    if isinstance(value, ast.Call):
        return file.qualified(value.func).endswith(_WHOLE_CONFIG)
    return isinstance(value, ast.Name) and value.id in _CONFIG_NAMES


def run_scenarios(project: Project) -> RunScenarios:
    """The scenarios of a submission, shared by all who ask."""
    return project.shared(RunScenarios)
