"""Mistakes in the use of installed libraries that are certain.

ty suspects, and the files of the environment confirm. What ty says of unions, of the submission's own classes, of
values whose type is only annotated, and of anything that is made at run time is dropped.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from assay.analysis.certain_calls import CertainCalls
from assay.analysis.environment import Environment
from assay.analysis.import_time import catches, is_fallback
from assay.analysis.installed_code import Answer, InstalledCode, Look
from assay.analysis.library_error_kinds import Kind
from assay.analysis.own_modules import OwnModules
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, Import, PythonFile
from assay.analysis.ty_check import TypeReport

_NO_MODULE = re.compile(r"Cannot resolve imported module `([\w.]+)`")
_NO_MEMBER = re.compile(r"Module `([\w.]+)` has no member `(\w+)`")
_NO_ATTRIBUTE = re.compile(r"(?:Class|Object of type) `([\w.]+)\*?` has no attribute `(\w+)`")
_UNKNOWN_ARGUMENT = re.compile(r"Argument `(\w+)` does not match any known parameter")
_MISSING_ARGUMENT = re.compile(r"No arguments? provided for required parameters? ")
_TOO_MANY = re.compile(r"Too many positional arguments to .*: expected \d+, got \d+")

_ANY = frozenset({"Exception", "BaseException"})
_ERRORS = {
    "module": _ANY | {"ImportError", "ModuleNotFoundError"},
    "member": _ANY | {"ImportError", "AttributeError"},
    "call": _ANY | {"TypeError"},
}
# Decorators that leave a function's parameters as they are written.
_TRANSPARENT = frozenset(
    {"staticmethod", "classmethod", "abstractmethod", "no_grad", "override", "final", "deprecated"}
)
_BUILT_IN: dict[str, type] = {kind.__name__: kind for kind in (float, int, str, list, dict, set, tuple)}
# A condition that asks what is installed.
_ASKS = re.compile(r"version|hasattr|find_spec|is_\w+_available|TYPE_CHECKING|platform|signature", re.IGNORECASE)


class LibraryError(NamedTuple):
    """One certain mistake.

    Args:
        kind: What is wrong.
        file: The file that holds it.
        node: The place.
        name: The module, the member with the dotted name of what should have it, or the function that is called.
        what: What is wrong, in a few words.
        certain: Whether the submission's programs certainly come here.
        said: ty's own words.
    """

    kind: Kind
    file: PythonFile
    node: ast.AST
    name: str
    what: str
    certain: bool
    said: str


class LibraryErrors:
    """The certain mistakes of a submission, found once and asked for by several rules."""

    def __init__(self, project: Project, environment: Environment) -> None:
        self.project = project
        self.environment = environment
        self.code = InstalledCode(environment)
        self._own = project.shared(OwnModules)

    @cached_property
    def found(self) -> tuple[LibraryError, ...]:
        """All of them, in ty's order, each place once."""
        assert self.project.ty is not None
        errors: dict[tuple[str, int, int, str], LibraryError] = {}
        for report in self.project.ty.reports:
            file = self.project.python.get(report.file)
            if file is None or file.tree is None:
                continue
            for error in self._confirmed(file, report):
                place = (file.path, getattr(error.node, "lineno", 0), getattr(error.node, "col_offset", 0), error.name)
                errors.setdefault(place, error)
        return tuple(errors.values())

    @cached_property
    def _certain(self) -> CertainCalls:
        return self.project.shared(CertainCalls)

    def _confirmed(self, file: PythonFile, report: TypeReport) -> Iterator[LibraryError]:
        if report.rule == "unresolved-import":
            yield from self._imports(file, report)
        elif report.rule == "unresolved-attribute":
            yield from self._attributes(file, report)
        else:
            yield from self._calls(file, report)

    def _imports(self, file: PythonFile, report: TypeReport) -> Iterator[LibraryError]:
        module = _NO_MODULE.match(report.message)
        member = _NO_MEMBER.match(report.message)
        for item in file.imports:
            node = item.node
            if item.guarded or not node.lineno <= report.line <= (node.end_lineno or node.lineno):
                continue
            if isinstance(node, ast.ImportFrom) and node.level:
                continue
            if self._is_own(item.module) or not self._counts(file, node, "module", item.module):
                continue
            if module and module.group(1) == item.module:
                yield from self._missing_module(file, item, report)
            elif member and member.groups() == (item.module, item.name):
                look = self.code.look_up(item.target)
                if look.answer is Answer.ABSENT:
                    yield self._error(Kind.MEMBER, file, node, item.target, f"{item.module} has no {item.name}", report)

    def _missing_module(self, file: PythonFile, item: Import, report: TypeReport) -> Iterator[LibraryError]:
        parts = item.module.split(".")
        found = 0
        while found < len(parts) and self.code.module(".".join(parts[: found + 1])) is not None:
            found += 1
        if found == len(parts):
            return
        if not found:
            # a hook may bring a module in; so may what was left out
            if not self.environment.may_bring(parts[0]):
                what = f"the environment has no module {parts[0]}"
                yield self._error(Kind.MODULE, file, item.node, item.module, what, report)
            return
        package = self.code.module(".".join(parts[:found]))
        if package is None or self.code.member(package, parts[found]).answer is not Answer.ABSENT:
            return
        # `import a.b` also finds what `a` puts into sys.modules under that name
        inner = ".".join(parts[: found + 1])
        if not self.code.is_written(inner):
            yield self._error(
                Kind.MODULE, file, item.node, item.module, f"{package.name} has no {parts[found]}", report
            )

    def _attributes(self, file: PythonFile, report: TypeReport) -> Iterator[LibraryError]:
        member = _NO_MEMBER.match(report.message)
        other = _NO_ATTRIBUTE.match(report.message)
        match = member or other
        if match is None:
            return
        name = match.group(2)
        for node in self._starting_at(file, report.line, report.column):
            if not isinstance(node, ast.Attribute) or node.attr != name or not isinstance(node.ctx, ast.Load):
                continue
            if not self._counts(file, node, "member", name):
                continue
            if dotted := self._imported(file, node):
                if self.code.look_up(dotted).answer is Answer.ABSENT:
                    what = f"{dotted.rpartition('.')[0]} has no {name}"
                    yield self._error(Kind.MEMBER, file, node, dotted, what, report)
            elif kind := self._built_in(file, node.value):
                if not hasattr(kind, name):
                    article = "an" if kind is int else "a"
                    what = f"{article} {kind.__name__} has no {name}"
                    yield self._error(Kind.MEMBER, file, node, f"{kind.__name__}.{name}", what, report)
            elif other and (made := self._made_by(file, node.value)):
                look = self.code.look_up(made)
                if (
                    isinstance(look.node, ast.ClassDef)
                    and look.module is not None
                    and look.node.name == other.group(1).rpartition(".")[2]
                    and not self._makes_others(look)
                    and self.code.class_member(look.module, look.node, name).answer is Answer.ABSENT
                ):
                    what = f"a {made} has no {name}"
                    yield self._error(Kind.MEMBER, file, node, f"{made}.{name}", what, report)

    def _calls(self, file: PythonFile, report: TypeReport) -> Iterator[LibraryError]:
        unknown = _UNKNOWN_ARGUMENT.match(report.message)
        for call in self._calls_at(file, report):
            if not self._counts(file, call, "call", unknown.group(1) if unknown else ""):
                continue
            dotted = self._imported(file, call.func)
            look = self.code.look_up(dotted) if dotted else None
            if look is None or look.answer is not Answer.PRESENT or look.module is None:
                continue
            what = ""
            if unknown and any(item.arg == unknown.group(1) for item in call.keywords):
                if self._takes(look, unknown.group(1)) is False:
                    what = f"{dotted} takes no argument {unknown.group(1)}"
            elif _MISSING_ARGUMENT.match(report.message) or _TOO_MANY.match(report.message):
                what = self._miscounted(look, call, dotted)
            if what:
                yield self._error(Kind.CALL, file, call, dotted, what, report)

    def _takes(self, look: Look, name: str) -> bool | None:
        """Whether what is called takes a keyword argument; None where that cannot be told."""
        if isinstance(look.node, ast.ClassDef) and look.module is not None:
            if self._makes_others(look):
                return None
            lineage = list(self.code.lineage(look.module, look.node))
            if any(part is None for _, part in lineage):
                return None
            for _, part in lineage:
                assert part is not None
                if len(part.bases) > 1 and not _has_init(part):
                    return None
                made = [item for item in part.body if isinstance(item, FunctionNode) and item.name == "__init__"]
                if made:
                    return _takes(made[0], name) if len(made) == 1 else None
                if part.decorator_list:
                    return self._is_field(look, lineage, name)
            return None
        return _takes(look.node, name) if isinstance(look.node, FunctionNode) else None

    def _is_field(self, look: Look, lineage: Sequence[tuple[object, ast.ClassDef | None]], name: str) -> bool | None:
        """Whether a dataclass has a field; None where one of its bases is no dataclass."""
        for _, part in lineage:
            if part is None or not any(_last_name(item) == "dataclass" for item in part.decorator_list):
                return None
            if any(isinstance(item, ast.Call) and item.keywords for item in part.decorator_list):
                return None
            for statement in part.body:
                target = getattr(statement, "target", None)
                if isinstance(target, ast.Name) and target.id == name:
                    return True
        return False

    def _miscounted(self, look: Look, call: ast.Call, dotted: str) -> str:
        """What is wrong with the number of a call's arguments; empty where nothing is for certain."""
        node, bound = look.node, 0
        if isinstance(node, ast.ClassDef) and look.module is not None:
            if self._makes_others(look):
                return ""
            if len(node.bases) > 1 and not _has_init(node):
                return ""
            made = self.code.class_member(look.module, node, "__init__")
            node, bound = (made.node, 1) if made.answer is Answer.PRESENT else (None, 0)
        elif look.owner is not None:
            kinds = {_last_name(item) for item in node.decorator_list} if isinstance(node, FunctionNode) else set()
            bound = 0 if "staticmethod" in kinds else 1
            if not kinds & {"staticmethod", "classmethod"}:
                return ""
        if not isinstance(node, FunctionNode) or not _is_transparent(node):
            return ""
        if any(isinstance(item, ast.Starred) for item in call.args) or any(item.arg is None for item in call.keywords):
            return ""
        arguments = node.args
        placed = [item.arg for item in (*arguments.posonlyargs, *arguments.args)][bound:]
        if len(call.args) > len(placed) and arguments.vararg is None:
            return f"{dotted} takes {len(placed)} positional arguments at most, {len(call.args)} are given"
        given = {item.arg for item in call.keywords} | set(placed[: len(call.args)])
        needed = placed[: len(placed) - len(arguments.defaults)] if arguments.defaults else placed
        needed += [
            item.arg
            for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
            if default is None
        ]
        missing = [name for name in needed if name not in given]
        return f"{dotted} needs the argument {missing[0]}" if missing else ""

    def _makes_others(self, look: Look) -> bool:
        """Whether calling a class may give something other than an instance of just this class."""
        assert look.module is not None
        assert isinstance(look.node, ast.ClassDef)
        for _, part in self.code.lineage(look.module, look.node):
            if part is None:
                return True
            if any(isinstance(item, FunctionNode) and item.name == "__new__" for item in part.body):
                return True
            if any(item.arg == "metaclass" for item in part.keywords):
                return True
        return False

    def _imported(self, file: PythonFile, node: ast.expr) -> str:
        """The dotted name of an expression that begins with a library's import; empty where it is none.

        The name must be bound by one import and by nothing else in the whole file.
        """
        head = node
        while isinstance(head, ast.Attribute):
            head = head.value
        if not isinstance(head, ast.Name):
            return ""
        imports = {item.target for item in file.imports if item.bound == head.id}
        tops = {target.partition(".")[0] for target in imports}
        if not imports or (len(imports) > 1 and (len(tops) > 1 or tops != {head.id})):
            return ""
        if any(item.guarded or is_fallback(file, item.node) for item in file.imports if item.bound == head.id):
            return ""
        if head.id in self._rebound(file):
            return ""
        dotted = file.qualified(node)
        return "" if self._is_own(dotted) or not dotted else dotted

    def _rebound(self, file: PythonFile) -> set[str]:
        """The names that a file binds otherwise than by an import."""
        if file not in self._rebinding:
            names: set[str] = set()
            for node in file.nodes:
                if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                    names.add(node.id)
                elif isinstance(node, ast.arg):
                    names.add(node.arg)
                elif isinstance(node, FunctionNode | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
                    names.add(node.name or "")
                elif isinstance(node, ast.MatchMapping) and node.rest:
                    names.add(node.rest)
            self._rebinding[file] = names
        return self._rebinding[file]

    @cached_property
    def _rebinding(self) -> dict[PythonFile, set[str]]:
        return {}

    def _built_in(self, file: PythonFile, value: ast.expr) -> type | None:
        """The built-in type that a call makes a value of for certain."""
        if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
            return None
        name = value.func.id
        if name in self._rebound(file) or any(item.bound in (name, "*") for item in file.imports):
            return None
        return _BUILT_IN.get(name)

    def _made_by(self, file: PythonFile, value: ast.expr) -> str:
        """The library class that a value is made of for certain; empty where that cannot be told.

        A call of the class itself, or a name that its function binds once, to such a call.
        """
        if isinstance(value, ast.Name):
            function = file.function_of(value)
            bindings = [
                node
                for node in file.nodes
                if (isinstance(node, ast.Name) and node.id == value.id and not isinstance(node.ctx, ast.Load))
                or (isinstance(node, ast.arg) and node.arg == value.id)
                or (isinstance(node, FunctionNode | ast.ClassDef) and node.name == value.id)
            ]
            if len(bindings) != 1 or any(item.bound == value.id for item in file.imports):
                return ""
            statement = file.parents.get(bindings[0])
            if file.function_of(bindings[0]) is not function or not isinstance(statement, ast.Assign):
                return ""
            if statement.targets != [bindings[0]]:
                return ""
            value = statement.value
        return self._imported(file, value.func) if isinstance(value, ast.Call) else ""

    def _counts(self, file: PythonFile, node: ast.AST, kind: str, name: str) -> bool:
        """Whether a mistake here would stop the program: nothing catches it, and nothing asks first."""
        if is_fallback(file, node) or catches(file, node, frozenset(_ERRORS[kind])):
            return False
        if any(isinstance(up, ast.With | ast.AsyncWith) and _suppresses(up) for up in file.ancestors(node)):
            return False
        child = node
        for up in file.ancestors(node):
            if isinstance(up, ast.If | ast.IfExp | ast.While | ast.BoolOp) and child is not getattr(up, "test", None):
                tests = up.values if isinstance(up, ast.BoolOp) else [up.test]
                source = " ".join(ast.get_source_segment(file.text, test) or "" for test in tests)
                if _ASKS.search(source) or (kind != "module" and f"'{name}'" in source) or f'"{name}"' in source:
                    return False
            child = up
        return True

    def _error(
        self, kind: Kind, file: PythonFile, node: ast.AST, name: str, what: str, report: TypeReport
    ) -> LibraryError:
        return LibraryError(kind, file, node, name, what, self._certain.runs(file, node), report.message)

    def _is_own(self, dotted: str) -> bool:
        top = dotted.partition(".")[0]
        return self._own.is_own(dotted) or top in self._own.folders or f"{top}.py" in self._own.paths

    def _starting_at(self, file: PythonFile, line: int, column: int) -> list[ast.AST]:
        return self._starts(file).get((line, column), [])

    def _starts(self, file: PythonFile) -> dict[tuple[int, int], list[ast.AST]]:
        if file not in self._started:
            found: dict[tuple[int, int], list[ast.AST]] = {}
            for node in file.nodes:
                if (line := getattr(node, "lineno", None)) is not None:
                    found.setdefault((line, getattr(node, "col_offset", 0) + 1), []).append(node)
            self._started[file] = found
        return self._started[file]

    @cached_property
    def _started(self) -> dict[PythonFile, dict[tuple[int, int], list[ast.AST]]]:
        return {}

    def _calls_at(self, file: PythonFile, report: TypeReport) -> Iterator[ast.Call]:
        """The calls that a report may mean: one that begins there, or one with an argument that does."""
        seen: set[ast.Call] = set()
        for node in self._starting_at(file, report.line, report.column):
            for call in (node, file.parents.get(node)):
                if not isinstance(call, ast.Call) or call in seen:
                    continue
                exact = (call.end_lineno, (call.end_col_offset or 0) + 1) == (report.end_line, report.end_column)
                if call is not node or exact:
                    seen.add(call)
                    yield call


def _takes(function: FunctionNode, name: str) -> bool | None:
    """Whether a function takes a keyword argument; None where its decorators may change that."""
    if not _is_transparent(function):
        return None
    arguments = function.args
    if arguments.kwarg is not None:
        return True
    return any(item.arg == name for item in (*arguments.args, *arguments.kwonlyargs))


def _has_init(node: ast.ClassDef) -> bool:
    return any(isinstance(item, FunctionNode) and item.name == "__init__" for item in node.body)


def _is_transparent(function: FunctionNode) -> bool:
    return all(_last_name(item) in _TRANSPARENT for item in function.decorator_list)


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _suppresses(node: ast.With | ast.AsyncWith) -> bool:
    """Whether a `with` block may swallow an error: `suppress`, `raises`."""
    return any(_last_name(item.context_expr) in ("suppress", "raises") for item in node.items)
