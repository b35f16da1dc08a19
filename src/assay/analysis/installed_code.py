"""A second look at installed libraries: what a dotted name stands for, read from the files of an environment.

It confirms what a type checker suspects. Nothing is imported. Whatever makes names at run time (a module that writes
to `globals()`, a class with `__getattr__`, compiled code) is answered with `UNKNOWN`.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from assay.analysis.environment import Environment
from assay.analysis.python_source import FunctionNode, descend

_MAX_HOPS = 25
_MAX_MODULES = 150  # that are read to find one name
_MAX_FILE_BYTES = 4_000_000
_MAX_PACKAGE_BYTES = 400_000_000
_COMPILED = (".so", ".pyd", ".pyc")
# What a module does that gives it names which its text does not show.
_DYNAMIC = (
    "globals()", "vars()", "locals()", "exec(", "setattr(", "sys.modules", "__getattr__", "__getattribute__",
    "__dict__", "__class__ =", "lazy_loader", "_LazyModule", "attach(",
)  # fmt: skip
# How such a module takes its names from another one, which may be of another package.
_DELEGATES = re.compile(
    r"__dict__\s*[\[.]|\b(?:dir|vars)\(\w|\bin\s+[\w.]+\.__all__\b"
    r"|\bgetattr\(\s*[\w.]+\s*,\s*_*(?:name|attr|item|key|symbol|k|n)\w*\s*\)"
)
# What stands after a name that is assigned to, and before one that is defined or begins a line.
_ASSIGNED = re.compile(rb"\s*(?::[^=\n]*)?=(?!=)|\s*:(?!=)")
_DEFINING = re.compile(rb"\b(?:def|class|as)\s+$")
_LINE_START = re.compile(rb"(?:^|\n)[ \t]*$")
# Bases that give their subclasses no attributes by name.
_PLAIN_BASES = frozenset({"object", "ABC", "Generic", "Protocol", "Exception", "ValueError", "RuntimeError"})
_PLAIN_METACLASSES = frozenset({"ABCMeta", "type"})
_PLAIN_CLASS_DECORATORS = frozenset({"dataclass", "total_ordering", "final", "runtime_checkable"})


class Answer(Enum):
    """What is known of a name."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Module:
    """A module of an environment.

    Args:
        name: Its dotted name.
        path: Its file, or its folder where it is a package without `__init__.py`.
        is_package: Whether it has submodules.
        text: Its text.
        has_text: Whether it is a file of Python that could be read.
    """

    name: str
    path: Path
    is_package: bool
    text: str = ""
    has_text: bool = False

    @cached_property
    def tree(self) -> ast.Module | None:
        """Its syntax tree; None where there is none to read."""
        if not self.has_text:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    @cached_property
    def bound(self) -> dict[str, list[ast.stmt]]:
        """Name to the statements of the module's own level that bind it; `*` for star imports."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in _level(self.tree.body if self.tree else []):
            for name in _bound_by(statement):
                found.setdefault(name, []).append(statement)
        return found

    @cached_property
    def mentioned(self) -> frozenset[str]:
        """Every name that its code uses or binds, at any depth."""
        found: set[str] = set()
        for node in descend(self.tree) if self.tree else ():
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Global):
                found.update(node.names)
            elif isinstance(node, ast.alias):
                found.add(node.asname or node.name)
        return frozenset(found)

    @cached_property
    def is_dynamic(self) -> bool:
        """Whether it may have names that its text does not show."""
        return any(word in self.text for word in _DYNAMIC)

    @cached_property
    def delegates(self) -> bool:
        """Whether it may have names that not even its package's text shows."""
        return self.is_dynamic and _DELEGATES.search(self.text) is not None

    def says_nothing_of(self, name: str) -> bool:
        """Whether its text alone shows that a name is not its member."""
        return self.has_text and name not in self.text and "import *" not in self.text and not self.is_dynamic


@dataclass(frozen=True)
class Look:
    """What a dotted name stands for.

    Args:
        answer: Whether it exists.
        module: The module that holds its definition, or that should hold it.
        node: Its definition, where that is a class or function and there is only one.
        owner: The class that it is a member of, where it is one.
    """

    answer: Answer
    module: Module | None = None
    node: ast.ClassDef | FunctionNode | None = None
    owner: ast.ClassDef | None = None


_UNKNOWN = Look(Answer.UNKNOWN)


class InstalledCode:
    """The modules of an environment, read as they are asked for."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._modules: dict[str, Module | None] = {}
        self._packages: dict[str, bytes | None] = {}
        self._members: dict[tuple[str, str], Look] = {}
        self._left = _MAX_MODULES

    def module(self, name: str) -> Module | None:
        """A module; None where the environment has none of this name."""
        if name not in self._modules:
            self._modules[name] = self._find(name)
        return self._modules[name]

    def look_up(self, dotted: str) -> Look:
        """What a dotted name stands for, beginning with a module."""
        parts = dotted.split(".")
        module: Module | None = None
        length = 0
        for number in range(1, len(parts) + 1):
            inner = self.module(".".join(parts[:number]))
            if inner is None:
                break
            module, length = inner, number
        if module is None:
            return _UNKNOWN
        self._left = _MAX_MODULES
        look = Look(Answer.PRESENT, module)
        for name in parts[length:]:
            if look.answer is not Answer.PRESENT or look.module is None:
                return look
            held = look.module
            if isinstance(look.node, ast.ClassDef):
                look = self.class_member(held, look.node, name)
            elif look.node is None and look.owner is None:
                look = self.member(held, name)
            else:
                return _UNKNOWN
        return look

    def member(self, module: Module, name: str, hops: int = 0) -> Look:
        """What a module's member stands for. A module that is a member answers with itself and no node."""
        asked = (module.name, name)
        if asked not in self._members:
            # a module that imports itself in the end says nothing new
            self._members[asked] = _UNKNOWN
            self._members[asked] = self._member(module, name, hops)
        return self._members[asked]

    def _member(self, module: Module, name: str, hops: int) -> Look:
        self._left -= 1
        if hops > _MAX_HOPS or self._left < 0:
            return _UNKNOWN
        if hops and module.says_nothing_of(name) and self.module(f"{module.name}.{name}") is None:
            return Look(Answer.ABSENT, module)
        statements = module.bound.get(name, [])
        if len(statements) == 1:
            return self._follow(module, name, statements[0], hops)
        if statements:
            return _UNKNOWN
        if (inner := self.module(f"{module.name}.{name}")) is not None:
            return Look(Answer.PRESENT, inner)
        if module.tree is None:
            return _UNKNOWN
        unknown = module.is_dynamic
        for statement in module.bound.get("*", []):
            assert isinstance(statement, ast.ImportFrom)
            source = self.module(_absolute(module, statement))
            look = self.member(source, name, hops + 1) if source is not None else _UNKNOWN
            if look.answer is Answer.PRESENT:
                return look
            unknown = unknown or look.answer is Answer.UNKNOWN
        if module.delegates:
            return _UNKNOWN
        if unknown and (self._holds_compiled_names(module) or self._is_mentioned(module.name, name)):
            return _UNKNOWN
        # another module may give this one a name, and functions may bind global ones
        if (name in module.text and name in module.mentioned) or self._is_mentioned(module.name, name, assigned=True):
            return _UNKNOWN
        return Look(Answer.ABSENT, module)

    def class_member(self, module: Module, node: ast.ClassDef, name: str) -> Look:
        """What a member of a class stands for, bases included."""
        unknown = False
        for home, part in self.lineage(module, node):
            if home is None or part is None:
                unknown = True
                continue
            for statement in _level(part.body):
                if name in _bound_by(statement):
                    if isinstance(statement, FunctionNode | ast.ClassDef):
                        return Look(Answer.PRESENT, home, statement, part)
                    return _UNKNOWN
            source = ast.get_source_segment(home.text, part) or home.text
            if any(word in source for word in _DYNAMIC) or re.search(rf"\b(?:self|cls)\.{re.escape(name)}\b", source):
                unknown = True
        if unknown:
            return _UNKNOWN
        # a member may be given to a class from outside it
        if self._is_mentioned(module.name, name, assigned=True):
            return _UNKNOWN
        return Look(Answer.ABSENT, module, None, node)

    def lineage(self, module: Module, node: ast.ClassDef) -> Iterator[tuple[Module | None, ast.ClassDef | None]]:
        """A class and its bases, depth first. A pair of None stands for what cannot be read."""
        pending: list[tuple[Module, ast.ClassDef]] = [(module, node)]
        seen: set[ast.ClassDef] = set()
        while pending:
            home, part = pending.pop(0)
            if part in seen:
                continue
            seen.add(part)
            if len(seen) > _MAX_HOPS:
                yield None, None
                return
            yield home, part
            if any(_last(item) not in _PLAIN_CLASS_DECORATORS for item in part.decorator_list):
                yield None, None
            if any(item.arg != "metaclass" or _last(item.value) not in _PLAIN_METACLASSES for item in part.keywords):
                yield None, None
            for base in part.bases:
                plain = base.value if isinstance(base, ast.Subscript) else base
                if _last(plain) in _PLAIN_BASES:
                    continue
                look = self.named(home, plain)
                if look.module is not None and isinstance(look.node, ast.ClassDef):
                    pending.append((look.module, look.node))
                else:
                    yield None, None

    def named(self, module: Module, node: ast.expr) -> Look:
        """What a dotted name in a module's text stands for."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return _UNKNOWN
        look = self.member(module, node.id)
        for name in reversed(parts):
            if look.answer is not Answer.PRESENT or look.module is None or look.node is not None:
                return _UNKNOWN
            look = self.member(look.module, name)
        return look

    def _follow(self, module: Module, name: str, statement: ast.stmt, hops: int) -> Look:
        if isinstance(statement, FunctionNode | ast.ClassDef):
            return Look(Answer.PRESENT, module, statement)
        if isinstance(statement, ast.ImportFrom):
            alias = next(item for item in statement.names if (item.asname or item.name) == name)
            source_name = _absolute(module, statement)
            source = self.module(source_name)
            if source is None or source.tree is None:
                inner = self.module(f"{source_name}.{alias.name}")
                return Look(Answer.PRESENT, inner) if inner is not None else _UNKNOWN
            if source is module:
                inner = self.module(f"{source_name}.{alias.name}")
                return Look(Answer.PRESENT, inner) if inner is not None else _UNKNOWN
            look = self.member(source, alias.name, hops + 1)
            # the import stands there: whatever it finds, the name is bound
            return look if look.answer is Answer.PRESENT else _UNKNOWN
        if isinstance(statement, ast.Import):
            alias = next(item for item in statement.names if (item.asname or item.name.partition(".")[0]) == name)
            inner = self.module(alias.name if alias.asname else name)
            return Look(Answer.PRESENT, inner) if inner is not None else _UNKNOWN
        return _UNKNOWN

    def _find(self, name: str) -> Module | None:
        if not all(part.isidentifier() for part in name.split(".")):
            return None
        path = name.replace(".", "/")
        folders: list[Path] = []
        for site in self.environment.site_packages:
            file = site / path
            if (package := file / "__init__.py").is_file():
                return _read(name, package, True)
            if (plain := file.with_name(f"{file.name}.py")).is_file():
                return _read(name, plain, False)
            if file.parent.is_dir() and any(_is_compiled(entry, file.name) for entry in file.parent.iterdir()):
                return Module(name, file, file.is_dir())
            if file.is_dir():
                folders.append(file)
        return Module(name, folders[0], True) if folders else None

    def _holds_compiled_names(self, module: Module) -> bool:
        """Whether a module takes all names of one that cannot be read."""
        for statement in module.bound.get("*", []):
            assert isinstance(statement, ast.ImportFrom)
            source = self.module(_absolute(module, statement))
            if source is None or not source.has_text:
                return True
        return False

    def _is_mentioned(self, module: str, name: str, *, assigned: bool = False) -> bool:
        """Whether a package defines a name anywhere, or writes it as a string; True where it cannot be read.

        With `assigned` only what gives the name to something else counts: a string, or `x.name = ...`.
        """
        text = self._package(module.partition(".")[0])
        if text is None:
            return True
        word = name.encode()
        place = text.find(word)
        while place >= 0:
            before, after = text[max(0, place - 40) : place], text[place + len(word) : place + len(word) + 80]
            quoted = before[-1:] in (b"'", b'"') and after[:1] in (b"'", b'"')
            if quoted or (before[-1:] == b"." and _ASSIGNED.match(after)):
                return True
            if not assigned and (_DEFINING.search(before) or (_LINE_START.search(before) and _ASSIGNED.match(after))):
                return True
            place = text.find(word, place + 1)
        return False

    def is_written(self, dotted: str) -> bool:
        """Whether a package's text holds a dotted name as it is; True where it cannot be read."""
        text = self._package(dotted.partition(".")[0])
        return text is None or dotted.encode() in text

    def _package(self, top: str) -> bytes | None:
        """All text of a package; None where it is too much."""
        if top not in self._packages:
            self._packages[top] = self._read_package(top)
        return self._packages[top]

    def _read_package(self, top: str) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        for site in self.environment.site_packages:
            files = [site / f"{top}.py", *(site / top).rglob("*.py"), *(site / top).rglob("*.pyi")]
            for path in files:
                try:
                    data = path.read_bytes()
                except OSError:
                    continue
                size += len(data)
                if size > _MAX_PACKAGE_BYTES:
                    return None
                parts.append(data)
        return b"\n".join(parts)


def _read(name: str, path: Path, is_package: bool) -> Module:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            return Module(name, path, is_package)
        return Module(name, path, is_package, path.read_text(encoding="utf-8", errors="replace"), True)
    except OSError:
        return Module(name, path, is_package)


def _is_compiled(path: Path, name: str) -> bool:
    return path.name.startswith(f"{name}.") and path.name.endswith(_COMPILED)


def _absolute(module: Module, statement: ast.ImportFrom) -> str:
    if not statement.level:
        return statement.module or ""
    parts = module.name.split(".")
    up = statement.level - (1 if module.is_package else 0)
    base = parts[: len(parts) - up] if up else parts
    return ".".join([*base, *([statement.module] if statement.module else [])])


def _level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of one level, those inside branches, loops and `with` blocks included."""
    pending = list(reversed(body))
    while pending:
        statement = pending.pop()
        yield statement
        if isinstance(statement, FunctionNode | ast.ClassDef):
            continue
        for field in ("body", "orelse", "finalbody"):
            pending += reversed(getattr(statement, field, None) or [])
        for handler in getattr(statement, "handlers", ()):
            pending += reversed(handler.body)
        for case in getattr(statement, "cases", ()):
            pending += reversed(case.body)


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """The names that one statement binds itself."""
    if isinstance(statement, FunctionNode | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Import):
        yield from (item.asname or item.name.partition(".")[0] for item in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        yield from (item.asname or item.name for item in statement.names)
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        if isinstance(statement.target, ast.Name):
            yield statement.target.id
    elif isinstance(statement, ast.Assign | ast.For | ast.AsyncFor | ast.With | ast.AsyncWith | ast.Delete):
        targets: list[ast.AST] = []
        if isinstance(statement, ast.Assign | ast.Delete):
            targets += statement.targets
        elif isinstance(statement, ast.For | ast.AsyncFor):
            targets.append(statement.target)
        else:
            targets += [item.optional_vars for item in statement.items if item.optional_vars is not None]
        for target in targets:
            yield from (part.id for part in descend(target) if isinstance(part, ast.Name))


def _last(node: ast.expr) -> str:
    """The last part of a dotted name, a call's or subscript's head included."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
