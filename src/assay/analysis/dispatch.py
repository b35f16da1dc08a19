"""Where the value that a run configures meets a choice that has no branch for it.

The certain part of a program is walked for every run with its values: assignments, accesses to the configuration,
choices that these values decide, calls of the submission's own functions. What cannot be decided is not known, and
where it may leave a function early the walk ends. No loop body, no handler and no branch in doubt is walked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import PurePosixPath
from typing import NamedTuple

from assay import yaml_tree
from assay.analysis.called import UNKNOWN, Called
from assay.analysis.certain_calls import certain_calls
from assay.analysis.data_sources import data_sources
from assay.analysis.own_functions import OwnFunctions
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value
from assay.analysis.run_variations import run_list, texts
from assay.analysis.text_pattern import PatternReader

_STAND_IN = re.compile(r"dummy|placeholder|synthetic|fake|mock|smoke|(?:^|_)toy", re.IGNORECASE)
# Calls whose values are noted for each run.
_NOTED = frozenset({"datasets.load_dataset"})
# What programs call their whole configuration.
_WHOLE = frozenset({"cfg", "config", "conf"})
_MAX_FUNCTIONS = 20
_CONFIGURATION = re.compile(r"^(?:\w+_)?(?:cfg|conf|config|configuration)s?(?:_\w+)?$")
_MAX_RUNS = 40
_MAX_DEPTH = 8
# Statements that are walked for one run, and for all runs together.
_MAX_STATEMENTS = 4_000
_MAX_TOTAL = 20_000
_TEXT_METHODS = frozenset({"lower", "upper", "strip", "casefold"})
_TEXT_TESTS = frozenset({"startswith", "endswith"})
_LOADS_YAML = frozenset({"yaml.safe_load", "yaml.load", "yaml.full_load", "omegaconf.OmegaConf.load"})
_SAME_VALUE = frozenset(
    {"dict", "copy.copy", "copy.deepcopy", "omegaconf.OmegaConf.create", "omegaconf.OmegaConf.to_container", "str"}
)
_WHOLE_REGISTRY = frozenset({"keys", "values", "items", "get", "copy"})


class Value(NamedTuple):
    """A value that is known.

    Args:
        held: The value: text, number, None, or a set or list of such; a node for a part of a run's configuration.
        path: The keys that lead to it in the configuration; empty where it does not come from there.
        node: The node that it comes from.
    """

    held: object
    path: tuple[str, ...] = ()
    node: yaml_tree.Node | None = None


class Missed(NamedTuple):
    """A choice that ends in an exception for a value that a run configures.

    Args:
        file: Path of the file with the choice.
        function: Name of the function that chooses.
        place: The `raise`, or the index that is not there.
        raised: Name of the exception.
        path: Keys of the value in the run's configuration.
        value: The value.
        run: Id of the run.
        run_file: Path of the file that configures it.
        line: Line of the value there.
        implemented: Values for which there is a branch.
        calls: Places of the calls that lead to it, outermost first.
    """

    file: str
    function: str
    place: ast.AST
    raised: str
    path: tuple[str, ...]
    value: str
    run: str
    run_file: str
    line: int
    implemented: tuple[str, ...]
    calls: tuple[tuple[str, int], ...] = ()


class _Run(NamedTuple):
    name: str
    file: str
    node: yaml_tree.Mapping


class _WalkEnd(Exception):  # noqa: N818
    """The walk of a function ends: it returns, it raises, it misses a value, or it may have done one of these."""

    def __init__(self, kind: str, value: Value | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.value = value


@dataclass(slots=True)
class _Frame:
    """A function that is being walked."""

    file: PythonFile
    function: FunctionNode | None
    names: dict[str, Value] = field(default_factory=dict)
    tested: list[tuple[Value, tuple[str, ...]]] = field(default_factory=list)
    calls: tuple[tuple[str, int], ...] = ()


class StandInsOnly(NamedTuple):
    """A choice by name that has branches for stand-ins alone and refuses everything else."""

    file: str
    function: str
    place: ast.Raise
    options: tuple[str, ...]
    selector: str


def kind_of(path: tuple[str, ...], function: str, file: str) -> str:
    """What a choice chooses: `dataset`, `model`, or nothing that is known."""
    for text in (" ".join(path), function, PurePosixPath(file).stem):
        words = text.lower()
        model = any(word in words for word in ("model", "arch", "backbone", "network"))
        dataset = any(word in words for word in ("dataset", "data", "corpus", "preprocess"))
        if model != dataset:
            return "model" if model else "dataset"
    return ""


def missed_choices(project: Project) -> list[Missed]:
    """The choices that end in an exception for what a run configures."""
    return project.shared(_walk)[0]


def configured_calls(project: Project) -> list[Called]:
    """The calls that load a dataset, with the values that each run gives them.

    Those that are certainly made come with the values that reach them. Of the others, those in functions that get the
    whole configuration, by the name that is usual for it, come with what the run's file holds.
    """
    return project.shared(_walk)[1]


def stand_ins_only(project: Project, kind: str) -> Iterator[StandInsOnly]:
    """The functions that choose a `dataset` or `model`, have branches for the names of stand-ins and refuse the rest.

    Only functions that other code calls, whose name or selector says what they choose. Where the submission reads a
    dataset anywhere by itself, no choice of datasets counts.
    """
    if kind == "dataset" and any(data_sources(PatternReader(file)) for file in project.python.values()):
        return
    own: OwnFunctions | None = None
    for file in project.python.values():
        for function in file.functions:
            last = function.body[-1]
            found = _refused(function) if isinstance(last, ast.Raise) else None
            if found is None or not isinstance(last, ast.Raise):
                continue
            selector, options = found
            named = f"{selector} {function.name}" if selector in ("name", "key") else selector
            if kind not in named.lower() and f"{kind[:4]}load" not in named.lower():
                continue
            own = own or project.shared(OwnFunctions)
            if own.calls_of.get(function):
                yield StandInsOnly(file.path, function.name, last, options, selector)


def _refused(function: FunctionNode) -> tuple[str, tuple[str, ...]] | None:
    """The name that a function chooses by and the values it has branches for, where all of these are stand-ins."""
    options: list[str] = []
    selectors: set[str] = set()
    for statement in function.body[:-1]:
        if isinstance(statement, ast.For | ast.While | ast.With | ast.Try | ast.Match | ast.Return):
            return None
        if not isinstance(statement, ast.If) or not _leaves(statement):
            continue
        compared = _compared(statement.test) if isinstance(statement.test, ast.Compare) else None
        if compared is None or statement.orelse:
            return None
        selectors.add(compared[0])
        options.extend(compared[1])
    if len(selectors) != 1 or not all(_STAND_IN.search(option) for option in options):
        return None
    return selectors.pop(), tuple(options)


def _leaves(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Return | ast.Raise) for node in descend(statement))


def _compared(test: ast.Compare) -> tuple[str, tuple[str, ...]] | None:
    """The name that a test compares with texts, and the texts."""
    if not isinstance(test.left, ast.Name) or len(test.ops) != 1:
        return None
    right = test.comparators[0]
    if isinstance(test.ops[0], ast.Eq) and (text := string_value(right)) is not None:
        return test.left.id, (text,)
    if isinstance(test.ops[0], ast.In) and isinstance(right, ast.List | ast.Tuple | ast.Set) and right.elts:
        texts = [string_value(item) for item in right.elts]
        return (test.left.id, tuple(text for text in texts if text)) if all(texts) else None
    return None


def _walk(project: Project) -> tuple[list[Missed], list[Called]]:
    runs = list(_runs(project))
    starts = _starts(project) if runs else []
    if starts and _writes_any_key(project):
        # keys that are not spelled out may be those that a search varies, where it says which these are
        runs = [run for run in runs if yaml_tree.find(run.node, "optuna") is not None]
    if not starts or not runs:
        return [], []
    walker = _Walker(project)
    found: list[Missed] = []
    for run in runs[:_MAX_RUNS]:
        for file, function in starts:
            found.extend(walker.walk(run, file, function))
    noted = list(walker.noted)
    certain = {called.place for called in noted}
    for file, function, name in _loading_functions(project, walker.own):
        for run in runs[:_MAX_RUNS]:
            walker.noted = []
            walker.read(run, file, function, name)
            noted.extend(replace(called, certain=False) for called in walker.noted if called.place not in certain)
    return found, noted


def _loading_functions(project: Project, own: OwnFunctions) -> Iterator[tuple[PythonFile, FunctionNode, str]]:
    """The functions that load a dataset and get the whole configuration, with the name that they have for it."""
    seen: set[FunctionNode] = set()
    for file in project.python.values():
        for call, called in file.calls:
            function = file.function_of(call) if called in _NOTED else None
            if function is None or function in seen or len(seen) >= _MAX_FUNCTIONS:
                continue
            seen.add(function)
            parameters = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
            name = next((item for item in parameters if item in _WHOLE), None)
            calls = own.calls_of.get(function, [])
            if (
                name is not None
                and calls
                and all(_gives_whole(item, parameters.index(name), name) for _, item in calls)
            ):
                yield file, function, name


def _gives_whole(call: ast.Call, position: int, name: str) -> bool:
    """Whether a call gives the whole configuration by its usual name, for a parameter of the same meaning."""
    given = next((item.value for item in call.keywords if item.arg == name), None)
    if given is None and position < len(call.args):
        given = call.args[position]
    return isinstance(given, ast.Name) and given.id in _WHOLE


def _runs(project: Project) -> Iterator[_Run]:
    """The runs that a contract's files configure: entries of the variation files, or run files."""
    for path in project.contract.variation_files:
        file = project.yaml.get(path)
        runs = run_list(file.root) if file else None
        for name, entry in zip(runs.ids, runs.entries, strict=True) if runs else ():
            if isinstance(entry, yaml_tree.Mapping):
                yield _Run(name or "", path, entry)
    for path, file in project.run_files.items():
        if isinstance(file.root, yaml_tree.Mapping):
            named = yaml_tree.find(file.root, "run_id")
            name = named.text if isinstance(named, yaml_tree.Scalar) else PurePosixPath(path).stem
            yield _Run(name, path, file.root)


def _starts(project: Project) -> list[tuple[PythonFile, FunctionNode | None]]:
    """Where the configuration of one run enters: the module that trains, and functions that Hydra calls."""
    train = project.role("train")
    if train is None or train.tree is None:
        return []
    hydra = [node for node in train.functions if _is_hydra_main(train, node)]
    if hydra:
        return [(train, node) for node in hydra[:1]]
    main = project.role("main")
    if main is not None and main.tree is not None:
        hydra = [node for node in main.functions if _is_hydra_main(main, node)]
        if hydra:
            return [(main, node) for node in hydra[:1]]
    return [(train, None)]


def _is_hydra_main(file: PythonFile, node: FunctionNode) -> bool:
    return any(
        file.qualified(item.func if isinstance(item, ast.Call) else item) == "hydra.main"
        for item in node.decorator_list
    )


class _Walker:
    def __init__(self, project: Project) -> None:
        self.project = project
        self.own = project.shared(OwnFunctions)
        self.certain = certain_calls(project)
        self.registries: dict[tuple[str, str], tuple[str, ...] | None] = {}
        self.written = _written_keys(project)
        self.overridden = _overridden(project)
        self._stored_in = cache(_stored_in)
        self._yields = cache(_yields)
        # the names that a run's search may set anew
        self._searched = cache(lambda _file, _name: frozenset(texts(yaml_tree.find(self.run.node, "optuna"))))
        self.run = _Run("", "", yaml_tree.Mapping(0, 0))
        self.found: list[Missed] = []
        self.noted: list[Called] = []
        self.left = 0
        self.total = _MAX_TOTAL
        self.train = project.role("train")
        # where the file reads more than one YAML file, which of them configures the run cannot be told
        loads = [name for _, name in self.train.calls if name in _LOADS_YAML] if self.train else []
        self.loads_run = len(loads) == 1

    def walk(self, run: _Run, file: PythonFile, function: FunctionNode | None) -> list[Missed]:
        """What one run misses, from one start on."""
        self.run, self.found, self.left = run, [], _MAX_STATEMENTS
        frame = _Frame(file, function)
        if file.path not in self.certain.files:
            return []
        if function is not None:
            parameters = function.args.args
            if parameters:
                frame.names[parameters[0].arg] = Value(run.node, (), run.node)
            body = function.body
        else:
            body = file.tree.body if file.tree else []
        try:
            self._block(frame, body, 0)
        except _WalkEnd:
            pass
        except RecursionError:
            return []
        return self.found

    def read(self, run: _Run, file: PythonFile, function: FunctionNode, name: str) -> None:
        """Note the library calls of one function that gets the run's configuration under a name."""
        self.run, self.found, self.left = run, [], _MAX_STATEMENTS
        frame = _Frame(file, function, {name: Value(run.node, (), run.node)})
        try:
            self._block(frame, function.body, _MAX_DEPTH)
        except (_WalkEnd, RecursionError):
            return

    def _block(self, frame: _Frame, body: list[ast.stmt], depth: int) -> None:
        for statement in body:
            self.left -= 1
            self.total -= 1
            if self.left < 0 or self.total < 0:
                raise _WalkEnd("unknown")
            self._statement(frame, statement, depth)

    def _statement(self, frame: _Frame, statement: ast.stmt, depth: int) -> None:
        if isinstance(statement, FunctionNode | ast.ClassDef | ast.Import | ast.ImportFrom):
            return
        if isinstance(statement, ast.If):
            self._if(frame, statement, depth)
        elif isinstance(statement, ast.With | ast.AsyncWith) and not any(_suppresses(item) for item in statement.items):
            for item in statement.items:
                self._calls_in(frame, item.context_expr, depth)
            self._block(frame, statement.body, depth)
        elif isinstance(statement, ast.Try) and not statement.handlers:
            self._block(frame, statement.body, depth)
            self._block(frame, statement.finalbody, depth)
        elif isinstance(statement, ast.For | ast.AsyncFor | ast.While | ast.Try | ast.Match | ast.TryStar | ast.With):
            self._skip(frame, [statement])
        elif isinstance(statement, ast.Return):
            value = self._expression(frame, statement.value, depth) if statement.value is not None else Value(None)
            raise _WalkEnd("return", value)
        elif isinstance(statement, ast.Raise):
            missed = self._raised(frame, statement, _exception(frame.file, statement.exc))
            raise _WalkEnd("missed" if missed else "raise")
        elif isinstance(statement, ast.Assign):
            value = self._expression(frame, statement.value, depth)
            for target in statement.targets:
                self._bind(frame, target, value)
        elif isinstance(statement, ast.AnnAssign):
            value = self._expression(frame, statement.value, depth) if statement.value is not None else None
            self._bind(frame, statement.target, value)
        elif isinstance(statement, ast.AugAssign):
            self._expression(frame, statement.value, depth)
            self._bind(frame, statement.target, None)
        elif isinstance(statement, ast.Expr):
            self._expression(frame, statement.value, depth)
        elif isinstance(statement, ast.Break | ast.Continue):
            raise _WalkEnd("unknown")

    def _if(self, frame: _Frame, statement: ast.If, depth: int) -> None:
        if frame.function is None and _is_main_guard(statement.test):
            self._block(frame, statement.body, depth)
            return
        decided = self._test(frame, statement.test)
        if decided is None:
            self._calls_in(frame, statement.test, depth)
            self._skip(frame, [*statement.body, *statement.orelse])
        else:
            self._block(frame, statement.body if decided else statement.orelse, depth)

    def _skip(self, frame: _Frame, statements: list[ast.stmt]) -> None:
        """Pass statements that may run or not: what they bind is not known, and where they may leave, the walk ends."""
        leaves = False
        for statement in statements:
            for node in descend(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
                    frame.names.pop(node.id, None)
                leaves = leaves or isinstance(node, ast.Return | ast.Raise)
        if leaves:
            raise _WalkEnd("unknown")

    def _bind(self, frame: _Frame, target: ast.expr, value: Value | None) -> None:
        for node in descend(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                frame.names.pop(node.id, None)
        if isinstance(target, ast.Name) and value is not None:
            frame.names[target.id] = value

    def _raised(self, frame: _Frame, place: ast.AST, raised: str) -> bool:
        """Note an exception that is certain, where a configured value led to it; say whether one did."""
        chosen = [(value, options) for value, options in frame.tested if value.path and isinstance(value.held, str)]
        if not chosen or frame.function is None:
            return False
        value, _ = chosen[-1]
        options = [option for other, options in chosen if other.path == value.path for option in options]
        node = value.node
        if not isinstance(node, yaml_tree.Scalar) or self._is_set_anew(value):
            return False
        self.found.append(
            Missed(
                frame.file.path,
                frame.function.name,
                place,
                raised,
                value.path,
                node.text,
                self.run.name,
                self.run.file,
                node.line,
                tuple(dict.fromkeys(options)),
                frame.calls,
            )
        )
        return True

    # Values

    def _expression(self, frame: _Frame, node: ast.expr | None, depth: int) -> Value | None:
        """The value of an expression, and the calls that it certainly makes."""
        if node is None:
            return None
        value = self._value(frame, node)
        if value is None and isinstance(node, ast.Call):
            self._library_call(frame, node)
            own = self.own.called(frame.file, node.func)
            for part in [*node.args, *(item.value for item in node.keywords)]:
                self._calls_in(frame, part, depth)
            if own is not None:
                return self._enter(frame, node, own, depth)
            self._calls_in(frame, node.func, depth)
            return None
        if value is None:
            self._calls_in(frame, node, depth)
        return value

    def _calls_in(self, frame: _Frame, node: ast.expr, depth: int) -> None:
        """Follow the calls inside an expression that certainly happen."""
        pending: list[ast.AST] = [node]
        while pending:
            part = pending.pop()
            if isinstance(part, ast.Call):
                self._library_call(frame, part)
                own = self.own.called(frame.file, part.func)
                if own is not None:
                    for inner in [*part.args, *(item.value for item in part.keywords)]:
                        self._calls_in(frame, inner, depth)
                    self._enter(frame, part, own, depth)
                    continue
                self._index(frame, part)
            if isinstance(part, ast.Subscript):
                self._index(frame, part)
            if isinstance(part, ast.BoolOp):
                pending.append(part.values[0])
            elif isinstance(part, ast.IfExp):
                pending.append(part.test)
            elif not isinstance(
                part, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Compare
            ):
                pending.extend(reversed(list(ast.iter_child_nodes(part))))

    def _library_call(self, frame: _Frame, node: ast.Call) -> None:
        """Note a call of a library with the values that this run gives it."""
        name = frame.file.qualified(node.func)
        if name not in _NOTED:
            return
        is_open = any(isinstance(item, ast.Starred) for item in node.args) or any(
            item.arg is None for item in node.keywords
        )
        positional = tuple(self._argument(frame, item) for item in node.args if not isinstance(item, ast.Starred))
        keywords = {item.arg: self._argument(frame, item.value) for item in node.keywords if item.arg is not None}
        runs = (self.run.name,) if self.run.name else ()
        self.noted.append(Called(name, frame.file.path, node, positional, keywords, is_open, True, runs))

    def _is_set_anew(self, value: Value) -> bool:
        """Whether a command or the search may set another value in the place of a configured one."""
        dotted = ".".join(value.path)
        if not dotted:
            return False
        searched = self._searched(self.run.file, self.run.name)
        # lists of searched parameters say `name` themselves
        by_last = value.path[-1] != "name" and value.path[-1] in searched
        return dotted in self.overridden or dotted in searched or by_last

    def _argument(self, frame: _Frame, node: ast.expr) -> object:
        value = self._value(frame, node)
        if value is None or self._is_set_anew(value):
            return UNKNOWN
        return value.held if _is_plain(value.held) else UNKNOWN

    def _index(self, frame: _Frame, node: ast.AST) -> None:
        """Note an index into a registry that has no such key."""
        if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
            return
        options = self._registry(frame, node.value)
        value = self._value(frame, node.slice) if options is not None else None
        if options is None or value is None or not value.path or not isinstance(value.held, str):
            return
        if value.held not in options:
            frame.tested.append((value, options))
            raise _WalkEnd("missed" if self._raised(frame, node, "KeyError") else "raise")

    def _enter(self, frame: _Frame, call: ast.Call, own: tuple[PythonFile, FunctionNode], depth: int) -> Value | None:
        """Walk a function of the submission with what a call gives it."""
        file, function = own
        if depth >= _MAX_DEPTH or isinstance(function, ast.AsyncFunctionDef) or function.decorator_list:
            return None
        if self._yields(function):
            return None
        names = self._arguments(frame, call, function)
        inner = _Frame(file, function, names, calls=(*frame.calls, (frame.file.path, call.lineno)))
        try:
            self._block(inner, function.body, depth + 1)
        except _WalkEnd as end:
            if end.kind == "raise":
                raise
            # what misses a value is walked past: the next one may be missed too
            return end.value if end.kind == "return" else None
        return Value(None)

    def _arguments(self, frame: _Frame, call: ast.Call, function: FunctionNode) -> dict[str, Value]:
        parameters = [*function.args.posonlyargs, *function.args.args]
        if parameters and parameters[0].arg in ("self", "cls"):
            parameters = parameters[1:]
        given: dict[str, ast.expr] = {}
        if any(isinstance(item, ast.Starred) for item in call.args) or any(item.arg is None for item in call.keywords):
            return {}
        given.update(zip((item.arg for item in parameters), call.args, strict=False))
        given.update({item.arg: item.value for item in call.keywords if item.arg})
        names = {name: value for name, node in given.items() if (value := self._value(frame, node)) is not None}
        defaults = function.args.defaults
        with_default = [*function.args.posonlyargs, *function.args.args][len(parameters) - len(defaults) :]
        for parameter, default in zip(
            with_default if len(with_default) == len(defaults) else [], defaults, strict=False
        ):
            if parameter.arg not in given and isinstance(default, ast.Constant):
                names[parameter.arg] = Value(default.value)
        return names

    def _value(self, frame: _Frame, node: ast.expr) -> Value | None:
        """The value of an expression where it is known. Nothing is called."""
        steps: list[ast.expr] = []
        while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
            steps.append(node)
            if isinstance(node, ast.Call):
                known = self._known_call(frame, node)
                if known is not None:
                    steps.pop()
                    return self._follow(frame, known, steps)
                if not isinstance(node.func, ast.Attribute):
                    return None
                node = node.func
            else:
                node = node.value
        if isinstance(node, ast.Name):
            value = frame.names.get(node.id)
            if value is None and node.id not in self._stored_in(frame.function):
                constant = frame.file.constants.get(node.id)
                value = Value(constant.value) if isinstance(constant, ast.Constant) else None
        elif isinstance(node, ast.Constant):
            value = Value(node.value)
        elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and not steps:
            first = self._value(frame, node.values[0])
            value = first if first is not None and isinstance(first.held, str) and first.held else None
        else:
            value = None
        return self._follow(frame, value, steps) if value is not None else None

    def _known_call(self, frame: _Frame, node: ast.Call) -> Value | None:
        """The value of a call that gives the run's configuration, or passes a value on."""
        name = frame.file.qualified(node.func)
        if name in _LOADS_YAML and self.loads_run and frame.file is self.train and not _is_other_file(node):
            return Value(self.run.node, (), self.run.node)
        if name in _SAME_VALUE and node.args:
            value = self._value(frame, node.args[0])
            return value if value is not None and (name != "str" or isinstance(value.held, str)) else None
        if name == "omegaconf.OmegaConf.merge":
            parts = [self._value(frame, item) for item in node.args]
            whole = [part for part in parts if part is not None and part.held is self.run.node]
            return whole[0] if whole and all(part is None or part in whole for part in parts) else None
        if name in ("getattr", "omegaconf.OmegaConf.select") and len(node.args) >= 2:
            base, key = self._value(frame, node.args[0]), string_value(node.args[1])
            for part in (key or "").split(".") if key else ():
                base = self._child(base, part) if base is not None else None
            return base if key else None
        return None

    def _follow(self, frame: _Frame, value: Value, steps: list[ast.expr]) -> Value | None:
        """The value that accesses lead to, the innermost of which stands last."""
        current: Value | None = value
        position = len(steps) - 1
        while position >= 0 and current is not None:
            step = steps[position]
            after = steps[position - 1] if position else None
            if isinstance(step, ast.Attribute) and isinstance(after, ast.Call) and after.func is step:
                current = self._method(frame, current, step.attr, after)
                position -= 2
                continue
            if isinstance(step, ast.Attribute):
                current = self._child(current, step.attr)
            elif isinstance(step, ast.Subscript):
                key = string_value(step.slice)
                current = self._child(current, key) if key is not None else None
            else:
                current = None
            position -= 1
        return current

    def _child(self, value: Value, key: str) -> Value | None:
        if not isinstance(value.held, yaml_tree.Mapping) or key in self.written:
            return None
        child = value.held.get(key)
        if child is None:
            whole = value.held is self.run.node and key in ("run", "runs") and self.run.file not in self._variations
            return value if whole else None
        if isinstance(child, yaml_tree.Mapping):
            return Value(child, (*value.path, key), child)
        if not isinstance(child, yaml_tree.Scalar) or "${" in child.text:
            return None
        return Value(child.resolve(omegaconf=True), (*value.path, key), child)

    @property
    def _variations(self) -> tuple[str, ...]:
        return tuple(self.project.contract.variation_files)

    def _method(self, frame: _Frame, value: Value, method: str, call: ast.Call) -> Value | None:
        if method == "get" and isinstance(value.held, yaml_tree.Mapping) and call.args:
            key = string_value(call.args[0])
            return self._child(value, key) if key is not None else None
        if isinstance(value.held, str) and method in _TEXT_METHODS and not call.args and not call.keywords:
            return Value(getattr(value.held, method)(), value.path, value.node)
        if isinstance(value.held, str) and method == "replace" and len(call.args) == 2:
            old, new = (string_value(item) for item in call.args)
            if old and new is not None:
                return Value(value.held.replace(old, new), value.path, value.node)
        return None

    # Tests

    def _test(self, frame: _Frame, node: ast.expr) -> bool | None:
        """What a test comes to, where that is known."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            decided = self._test(frame, node.operand)
            return None if decided is None else not decided
        if isinstance(node, ast.BoolOp):
            decided_parts = [self._test(frame, part) for part in node.values]
            stop = isinstance(node.op, ast.Or)
            if stop in decided_parts:
                return stop
            return None if None in decided_parts else not stop
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return self._compare(frame, node.left, node.ops[0], node.comparators[0])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TEXT_TESTS:
            value = self._value(frame, node.func.value)
            options = self._options(frame, node.args[0]) if len(node.args) == 1 else None
            if value is None or options is None or not isinstance(value.held, str):
                return None
            frame.tested.append((value, tuple(f"{option}*" for option in options)))
            return bool(getattr(value.held, node.func.attr)(options))
        return None

    def _compare(self, frame: _Frame, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> bool | None:
        if isinstance(operator, ast.Eq | ast.NotEq):
            one, two = self._value(frame, left), self._value(frame, right)
            if one is None or two is None or not _is_plain(one.held) or not _is_plain(two.held):
                return None
            if one.path and isinstance(two.held, str):
                frame.tested.append((one, (two.held,)))
            elif two.path and isinstance(one.held, str):
                frame.tested.append((two, (one.held,)))
            return (one.held == two.held) is isinstance(operator, ast.Eq)
        if isinstance(operator, ast.In | ast.NotIn):
            value = self._value(frame, left)
            if value is None or not isinstance(value.held, str):
                return None
            whole = self._value(frame, right)
            if whole is not None and isinstance(whole.held, str):
                if whole.path:
                    frame.tested.append((whole, (f"*{value.held}*",)))
                return (value.held in whole.held) is isinstance(operator, ast.In)
            options = self._options(frame, right)
            if options is None:
                options = self._registry(frame, right)
            if options is None:
                return None
            frame.tested.append((value, options))
            return (value.held in options) is isinstance(operator, ast.In)
        return None

    def _options(self, frame: _Frame, node: ast.expr) -> tuple[str, ...] | None:
        """The texts of a tuple, list or set that is written out."""
        if isinstance(node, ast.Name) and node.id not in frame.names and node.id not in self._stored_in(frame.function):
            node = frame.file.constants.get(node.id, node)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return (node.value,)
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            texts = [string_value(item) for item in node.elts]
            return tuple(text for text in texts if text is not None) if None not in texts else None
        return None

    def _registry(self, frame: _Frame, node: ast.expr) -> tuple[str, ...] | None:
        """The keys of a dict of the module that nothing adds to."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys":
            node = node.func.value
        if not isinstance(node, ast.Name) or node.id in frame.names or node.id in self._stored_in(frame.function):
            return None
        place = (frame.file.path, node.id)
        if place not in self.registries:
            self.registries[place] = _closed_keys(self.project, frame.file, node.id)
        return self.registries[place]


def _closed_keys(project: Project, file: PythonFile, name: str) -> tuple[str, ...] | None:
    bound: list[ast.expr | None] = []
    for statement in file.tree.body if file.tree else ():
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(item, ast.Name) and item.id == name for item in targets):
                bound.append(statement.value)
    if len(bound) != 1 or not isinstance(bound[0], ast.Dict):
        return None
    keys = [string_value(key) for key in bound[0].keys]
    if None in keys:
        return None
    for other in project.python.values():
        if other.tree is None:
            return None
        stores = 0
        for node in other.nodes_of(ast.Attribute, ast.alias, ast.Name):
            if isinstance(node, ast.Attribute) and node.attr == name:
                return None
            if isinstance(node, ast.alias) and node.name == name:
                return None
            if not isinstance(node, ast.Name) or node.id != name or other is not file:
                continue
            if not isinstance(node.ctx, ast.Load):
                stores += 1
            elif not _only_looks(other, node):
                return None
        if stores > 1:
            return None
    return tuple(key for key in keys if key is not None)


def _only_looks(file: PythonFile, node: ast.Name) -> bool:
    """Whether a use of a dict leaves it as it is."""
    parent = file.parents.get(node)
    if isinstance(parent, ast.Subscript):
        return isinstance(parent.ctx, ast.Load)
    if isinstance(parent, ast.Attribute):
        return parent.attr in _WHOLE_REGISTRY
    if isinstance(parent, ast.Call):
        return isinstance(parent.func, ast.Name) and parent.func.id in ("list", "sorted", "len", "tuple", "set", "iter")
    return isinstance(parent, ast.Compare | ast.FormattedValue | ast.For | ast.comprehension)


def _stored_in(function: FunctionNode | None) -> set[str]:
    """The names that a function binds itself."""
    if function is None:
        return set()
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    names = {item.arg for item in arguments}
    names.update(
        node.id for node in descend(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    return names


def _yields(function: FunctionNode) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in descend(function))


def _overridden(project: Project) -> frozenset[str]:
    """The keys that a command of the program may override: texts that begin with `a.b=`."""
    found: set[str] = set()
    for file in project.python.values():
        for node in file.nodes_of(ast.Constant):
            text = string_value(node)
            if text is not None and "=" in text[:200]:
                found.add(text[:200].partition("=")[0].lstrip("+~"))
    return frozenset(found)


def _written_keys(project: Project) -> frozenset[str]:
    """The keys that the code itself writes into some mapping or object that is not `self`."""
    written: set[str] = set()
    for file in project.python.values():
        for node in file.nodes_of(ast.Subscript, ast.Attribute, ast.Call):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                key = string_value(node.slice)
                written.update([key] if key is not None else [])
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                base = node.value
                if not (isinstance(base, ast.Name) and base.id in ("self", "cls", "args")):
                    written.add(node.attr)
            elif isinstance(node, ast.Call) and file.qualified(node.func) == "omegaconf.OmegaConf.update":
                key = string_value(node.args[1]) if len(node.args) > 1 else None
                written.add(key.rpartition(".")[2] if key else "")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update":
                written.update(item.arg for item in node.keywords if item.arg)
                for part in node.args:
                    keys = part.keys if isinstance(part, ast.Dict) else []
                    written.update(text for item in keys if (text := string_value(item)) is not None)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setattr":
                key = string_value(node.args[1]) if len(node.args) > 1 else None
                written.update([key] if key is not None else [])
    return frozenset(written)


def _writes_any_key(project: Project) -> bool:
    """Whether the code writes a key that is not spelled out into something that is called a configuration."""
    for file in project.python.values():
        if file is project.role("main"):
            continue
        for node in file.nodes_of(ast.Subscript, ast.Call):
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
                base, key = node.value, node.slice
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setattr" and len(node.args) > 1:
                base, key = node.args[0], node.args[1]
            elif (
                isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("update", "merge_with") and node.args
            ):
                base = node.func.value if isinstance(node.func, ast.Attribute) else node.func
                key = ast.Constant("") if isinstance(node.args[0], ast.Dict) else node.args[0]
            else:
                continue
            if isinstance(base, ast.Name) and _CONFIGURATION.search(base.id) and string_value(key) is None:
                return True
    return False


def _is_other_file(call: ast.Call) -> bool:
    """Whether a call spells out a file: then it does not read the run that it was started for."""
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith((".yaml", ".yml"))
        for node in ast.walk(call)
    )


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _is_main_guard(test: ast.expr) -> bool:
    if not isinstance(test, ast.Compare) or len(test.comparators) != 1:
        return False
    sides = [test.left, test.comparators[0]]
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        string_value(side) == "__main__" for side in sides
    )


def _suppresses(item: ast.withitem) -> bool:
    call = item.context_expr
    function = call.func if isinstance(call, ast.Call) else None
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("suppress", "raises")


def _exception(file: PythonFile, node: ast.expr | None) -> str:
    return file.qualified(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2] or "an exception"
