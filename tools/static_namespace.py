"""What names the modules and classes of an unpacked library have, told from its text; nothing is imported.

A name counts as there where some branch of the text binds it: what is said of a name that is not there holds in every
branch. Where names come from a place that cannot be read, the module or class is open.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef

_ALL = re.compile(r"""^__all__ = \[((?:\s|["']\w+["'],?|#[^\n]*\n)*)\]""", re.MULTILINE)
# Bases that add no public member and take no argument of their own.
_HARMLESS = frozenset(
    {
        "object", "ABC", "Generic", "Protocol", "PushToHubMixin", "EmbeddingModelMixin", "Mapping", "str", "Enum",
        "NamedTuple", "TypedDict", "type", "_RequestMethods",
    }
)  # fmt: skip
# The call by which a package of transformers makes its names from its files, and its table of tokenizers' converters.
_LAZY = "define_import_structure"
_CONVERTERS = "SLOW_TO_FAST_CONVERTERS"
_META = frozenset({"ABCMeta", "EnumMeta", "Singleton"})
# Decorators after which a function still takes the arguments that its text names.
_TRANSPARENT = frozenset(
    {
        "staticmethod", "classmethod", "property", "overload", "validate_params", "_fit_context", "deprecated",
        "experimental_func", "deprecated_func", "deprecated_method", "abstractmethod", "set_module", "no_grad",
        "array_function_dispatch", "_copy_docstring_and_deprecators", "override", "wraps", "copy_docs", "cache",
        "lru_cache",
        "_use_grad_for_differentiable", "doc", "Substitution", "Appender", "_log_to_run", "_attach_finish", "requires",
        "_run_decorator", "_run_decorator._attach", "_run_decorator._noop_on_finish", "inherit_names", "exposed_in",
    }
)  # fmt: skip


@dataclass
class Names:
    """The names of a module or class.

    Args:
        found: Name to the module and name that it was taken from; None where it is bound here.
        open: Why there may be more; empty where there are no more.
    """

    found: dict[str, tuple[str, str | None] | None] = field(default_factory=dict)
    open: str = ""


class Library:
    """An unpacked wheel.

    Args:
        root: The folder that it was unpacked into.
        understood: Modules whose own trick to make names (a `__getattr__`, a write to `globals()`) leaves no name out
            that the rest of the text, its strings included, does not hold.
        refused: For such modules, the names that their strings hold only to refuse them.
    """

    def __init__(
        self, root: Path, understood: Iterable[str] = (), refused: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        self.root = root
        self.understood = frozenset(understood)
        self.refused = {module: frozenset(names) for module, names in (refused or {}).items()}
        self.names = cache(self._names)
        self.tree = cache(self._tree)
        self.exported = cache(self._exported)
        self._busy: set[str] = set()

    def texts(self, module: str) -> list[Path]:
        """The files that say what a module holds: its text, and the stub beside it."""
        base = self.root / module.replace(".", "/")
        places = [base / "__init__.py", base.with_name(f"{base.name}.py"), base / "__init__.pyi"]
        places.append(base.with_name(f"{base.name}.pyi"))
        return [place for place in places if place.is_file()]

    def has(self, module: str) -> bool:
        """Whether there is a module or package of this name."""
        return bool(self.texts(module)) or (self.root / module.replace(".", "/")).is_dir()

    def packages(self, top: str) -> list[str]:
        """A package and the public packages below it, tests left out."""
        found = []
        for place in sorted((self.root / top).rglob("__init__.py")):
            parts = place.parent.relative_to(self.root).parts
            if not any(part.startswith("_") or part in ("tests", "testing", "test", "externals") for part in parts):
                found.append(".".join(parts))
        return found

    def _tree(self, place: Path) -> ast.Module:
        return ast.parse(place.read_text(encoding="utf-8"))

    def _names(self, module: str) -> Names:
        names = Names()
        if module in self._busy:
            return names
        self._busy.add(module)
        places = self.texts(module)
        lazy = self.lazy_folder(module)
        folder = self.root / module.replace(".", "/")
        if folder.is_dir():
            for entry in folder.iterdir():
                stem = entry.name.partition(".")[0]
                if entry.is_dir() or entry.suffix in (".py", ".pyi", ".so"):
                    names.found.setdefault(stem, (f"{module}.{stem}", None))
        if not places:
            names.open = "no text" if not folder.is_dir() else ""
        for place in places:
            # what is imported for type checkers only is not there once a lazy module has taken the place of this one
            for statement in _statements(self.tree(place).body, checked=lazy is None):
                self._bind(module, place, statement, names)
        if lazy is not None:
            self._bind_lazily(module, lazy, names)
        for name in self._listed(module):
            names.found.setdefault(name, None)
        if module in self.understood:
            names.open = ""
        self._busy.discard(module)
        return names

    def lazy_folder(self, module: str) -> Path | None:
        """The folder from whose files a module makes its names as it is imported (`define_import_structure`, since
        transformers 4.47); None where it does not."""
        for place in self.texts(module):
            if place.name != "__init__.py" or _LAZY not in place.read_text(encoding="utf-8"):
                continue
            for node in ast.walk(self.tree(place)):
                if isinstance(node, ast.Call) and _dotted(node.func) == _LAZY and node.args:
                    return place.parent.joinpath(*(word for word in _words(node.args[0]) if word != "__file__"))
        return None

    def _bind_lazily(self, module: str, folder: Path, names: Names) -> None:
        """Bind what the files of a folder offer to a lazy module, whatever their backends.

        Each file offers what its `__all__` lists and what it decorates with `requires` or, earlier, `export`. Where a
        backend is missing, a file of dummies stands in, whose names `dir` lists. A name that the lazy module does not
        have may still be answered by its `__getattr__`, for the sake of names that went away.
        """
        for place in sorted(folder.rglob("*.py")):
            if place.name == "__init__.py" or place.name.startswith("convert_"):
                continue
            parts = place.relative_to(self.root).with_suffix("").parts
            names.found.update(dict.fromkeys(self._listed(".".join(parts))))
            text = place.read_text(encoding="utf-8")
            if "@requires" in text or "@export" in text:
                for statement in self.tree(place).body:
                    if isinstance(statement, Function | ast.ClassDef) and any(
                        _dotted(item.func if isinstance(item, ast.Call) else item) in ("requires", "export")
                        for item in statement.decorator_list
                    ):
                        names.found[statement.name] = None
        for place in self.texts(module):
            for node in ast.walk(self.tree(place)):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                if _dotted(node.func) == "dir" and (origin := names.found.get(_dotted(node.args[0]))) is not None:
                    listed = self.names(origin[0] if origin[1] is None else f"{origin[0]}.{origin[1]}")
                    names.found.update(dict.fromkeys(listed.found))
                elif isinstance(node.func, ast.Attribute) and node.func.attr == "rglob":
                    # transformers 5.4 to 5.20 sets an alias for each of these files: its name and `_fast`
                    pattern = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
                    names.found.update((f"{place.stem}_fast", None) for place in folder.rglob(str(pattern) or "-"))
        self._bind_fallbacks(module, names)

    def _bind_fallbacks(self, module: str, names: Names) -> None:
        """Bind the names that the `__getattr__` of a lazy module answers for by others: `...Fast` by the name without
        that ending, and a tokenizer by one that has the same converter."""
        found = self.definition(f"{module}.utils.import_utils", "_LazyModule")
        if found is None:
            return
        endings = {
            text
            for node in ast.walk(found[1])
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "endswith"
            for text in _words(node)
        }
        if any(isinstance(node, ast.alias) and node.name == _CONVERTERS for node in ast.walk(found[1])):
            for place in self.texts(f"{module}.convert_slow_tokenizer"):
                for statement in self.tree(place).body:
                    if isinstance(statement, ast.Assign) and _dotted(statement.targets[0]) == _CONVERTERS:
                        names.found.update(dict.fromkeys(_words(statement)))
        for ending in endings:
            if ending.endswith("Fast"):
                plain = ending.removesuffix("Fast")
                names.found.update(dict.fromkeys(f"{name}Fast" for name in [*names.found] if name.endswith(plain)))

    def _bind(self, module: str, place: Path, statement: ast.stmt, names: Names) -> None:
        if isinstance(statement, Function | ast.ClassDef):
            names.found[statement.name] = None
            if statement.name == "__getattr__":
                names.open = names.open or "a module __getattr__"
                for text in _words(self.tree(place) if module in self.understood else statement):
                    if text not in self.refused.get(module, ()):
                        names.found.setdefault(text, None)
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                top = alias.name.partition(".")[0]
                names.found[alias.asname or top] = (alias.name if alias.asname else top, None)
        elif isinstance(statement, ast.ImportFrom):
            self._bind_from(module, place, statement, names)
        else:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    alias_of = _dotted(statement.value) if isinstance(statement, ast.Assign) else ""
                    names.found.setdefault(node.id, (module, alias_of) if alias_of else None)
                elif isinstance(node, ast.Name) and node.id in ("globals", "vars", "setattr", "exec"):
                    names.open = names.open or node.id
                elif isinstance(node, ast.Attribute) and _dotted(node) == "sys.modules":
                    names.open = names.open or "sys.modules"
        if module in self.understood and isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr):
            for text in _words(statement):
                if text not in self.refused.get(module, ()):
                    names.found.setdefault(text, None)

    def _bind_from(self, module: str, place: Path, statement: ast.ImportFrom, names: Names) -> None:
        origin = self._absolute(module, place, statement)
        for alias in statement.names:
            if alias.name != "*":
                names.found[alias.asname or alias.name] = (origin, alias.name)
            elif not self.has(origin):
                names.open = names.open or f"everything of {origin}"
            else:
                for name in self.exported(origin):
                    names.found.setdefault(name, (origin, name))
                if not self.exported(origin) or (not self._listed(origin) and self.names(origin).open):
                    names.open = names.open or f"everything of {origin}"

    def _exported(self, module: str) -> list[str]:
        """What a star import takes: what a plain `__all__` lists; else all public names, and what is listed."""
        listed = self._listed(module)
        if module in self._busy or (listed and self._lists_plainly(module)):
            return listed
        return [*listed, *(name for name in self.names(module).found if not name.startswith("_"))]

    def _lists_plainly(self, module: str) -> bool:
        """Whether every statement about `__all__` consists of constants."""
        if all(_plain_list(place) is not None for place in self.texts(module)):
            return True
        about = [
            statement
            for place in self.texts(module)
            for statement in _statements(self.tree(place).body)
            if any(isinstance(node, ast.Name) and node.id == "__all__" for node in ast.walk(statement))
        ]
        names = (node for one in about for node in ast.walk(one) if isinstance(node, ast.Name | ast.comprehension))
        return all(isinstance(node, ast.Name) and node.id == "__all__" for node in names)

    def _listed(self, module: str) -> list[str]:
        found: list[str] = []
        for place in self.texts(module):
            plain = _plain_list(place)
            found += plain or []
            for statement in _statements(self.tree(place).body) if plain is None else ():
                if any(isinstance(node, ast.Name) and node.id == "__all__" for node in ast.walk(statement)):
                    found += list(_words(statement))
        return [name for name in found if name != "__all__"]

    def _absolute(self, module: str, place: Path, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ""
        parts = module.split(".")
        package = parts if place.stem == "__init__" else parts[:-1]
        base = package[: len(package) - (statement.level - 1)]
        return ".".join([*base, *([statement.module] if statement.module else [])])

    def definition(self, module: str, name: str) -> tuple[str, ast.ClassDef | Function] | None:
        """The class or function that a name of a module stands for, with the module that it is written in."""
        for _ in range(20):
            for place in self.texts(module):
                for statement in reversed(list(_statements(self.tree(place).body))):
                    named = isinstance(statement, ast.ClassDef | Function) and statement.name == name
                    stub = place.suffix == ".pyi" and isinstance(statement, ast.ClassDef)
                    if named and not stub and isinstance(statement, ast.ClassDef | Function):
                        return module, statement
            origin = self.names(module).found.get(name)
            if origin is None or origin[1] is None or origin == (module, name):
                return None
            module, name = origin[0], origin[1]
            if "." in name:
                outer, _, name = name.rpartition(".")
                taken = self.names(module).found.get(outer)
                if taken is None:
                    return None
                module = taken[0] if taken[1] is None else f"{taken[0]}.{taken[1]}"
        return None

    def bases(self, module: str, node: ast.ClassDef) -> tuple[list[tuple[str, ast.ClassDef]], str]:
        """A class and all its bases, nearest first, and why some are not known."""
        chain: list[tuple[str, ast.ClassDef]] = []
        why = ""
        pending = [(module, node)]
        while pending:
            module, node = pending.pop(0)
            if (module, node) in chain:
                continue
            chain.append((module, node))
            for item in node.keywords:
                if item.arg == "metaclass" and _dotted(item.value).rpartition(".")[2] not in (
                    "ABCMeta",
                    "EnumMeta",
                    "Singleton",
                ):
                    why = why or "a metaclass"
            for base in node.bases:
                name = _dotted(base.value if isinstance(base, ast.Subscript) else base)
                if name.rpartition(".")[2] in _HARMLESS:
                    continue
                found = self._definition_of(module, name)
                if found is None or not isinstance(found[1], ast.ClassDef):
                    why = why or f"the base {name}"
                else:
                    pending.append((found[0], found[1]))
        return chain, why

    def _definition_of(self, module: str, name: str) -> tuple[str, ast.ClassDef | Function] | None:
        outer, _, last = name.rpartition(".")
        if not outer:
            return self.definition(module, last)
        first, _, rest = outer.partition(".")
        taken = self.names(module).found.get(first)
        if taken is None:
            return None
        base = taken[0] if taken[1] is None else f"{taken[0]}.{taken[1]}"
        return self.definition(f"{base}.{rest}" if rest else base, last)

    def members(self, module: str, name: str) -> Names | None:
        """The members of a class and of its objects; None where there is no such class."""
        found = self.definition(module, name)
        if found is None or not isinstance(found[1], ast.ClassDef):
            return None
        chain, why = self.bases(found[0], found[1])
        names = Names(open=why)
        for _, node in chain:
            for statement in _statements(node.body):
                _class_names(statement, names)
        return names

    def parameters(self, module: str, name: str) -> Names | None:
        """The keyword arguments that a function, or the making of an object of a class, takes; None if unknown."""
        owner, _, method = name.rpartition(".")
        found = self.definition(module, owner or method)
        if found is None:
            return None
        if isinstance(found[1], Function):
            return self._overloads(found[0], found[1].name)
        chain, why = self.bases(found[0], found[1])
        if owner:
            return self._method(chain, why, method)
        if any(_is_dataclass(node) for _, node in chain[:1]) and not _has_method(found[1], "__init__"):
            names = Names(open=why)
            for _, node in chain:
                for statement in node.body:
                    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                        names.found[statement.target.id] = None
            return names
        if why or any(_has_method(node, "__new__") for _, node in chain):
            names = self._method(chain[:1], "", "__init__") or Names()
            if _has_method(found[1], "__init__") and not _has_method(found[1], "__new__"):
                return names
            return None
        return self._method(chain, "", "__init__")

    def _overloads(self, module: str, name: str) -> Names:
        """The arguments of a function, those of all its texts together."""
        names = Names()
        for place in self.texts(module):
            for statement in _statements(self.tree(place).body):
                if isinstance(statement, Function) and statement.name == name:
                    one = _parameters(statement, is_method=False)
                    names.found.update(one.found)
                    names.open = names.open or one.open
        return names

    def _method(self, chain: list[tuple[str, ast.ClassDef]], why: str, method: str) -> Names | None:
        for _, node in chain:
            for statement in reversed(list(_statements(node.body))):
                if isinstance(statement, Function) and statement.name == method:
                    static = any(_dotted(item) == "staticmethod" for item in statement.decorator_list)
                    return _parameters(statement, is_method=not static)
        return None


@cache
def _plain_list(place: Path) -> list[str] | None:
    """The names of an `__all__` that is one list of texts, without parsing; None where it is something else."""
    text = place.read_text(encoding="utf-8")
    found = _ALL.findall(text)
    return re.findall(r"""["'](\w+)["']""", found[0]) if len(found) == 1 and text.count("__all__") == 1 else None


def _parameters(node: Function, *, is_method: bool) -> Names:
    names = Names()
    plain = [item.arg for item in [*node.args.posonlyargs, *node.args.args]][1 if is_method else 0 :]
    for name in [*plain, *(item.arg for item in node.args.kwonlyargs)]:
        names.found[name] = None
    if node.args.kwarg is not None:
        names.open = "**"
    for decorator in node.decorator_list:
        made = decorator.func if isinstance(decorator, ast.Call) else decorator
        # a decorator that renames or drops arguments names the old ones in its own arguments
        for text in _words(decorator):
            names.found.setdefault(text, None)
        if _dotted(made).rpartition(".")[2] not in _TRANSPARENT and not _renames(_dotted(made)):
            names.open = names.open or f"the decorator {_dotted(made)}"
    return names


def _renames(decorator: str) -> bool:
    return "deprecate" in decorator.lower() or "renamed" in decorator or "make_keyword_only" in decorator


def _class_names(statement: ast.stmt, names: Names) -> None:
    if isinstance(statement, Function):
        names.found[statement.name] = None
        if statement.name in ("__getattr__", "__getattribute__"):
            names.open = names.open or statement.name
        first = statement.args.args[0].arg if statement.args.args else ""
        if statement.name in ("__setstate__", "__setattr__", "__deepcopy__", "__copy__"):
            return
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _dotted(node.value) == first:
                names.found[node.attr] = None
            elif isinstance(node, ast.Call) and _dotted(node.func) == "setattr" and _dotted(node.args[0]) == first:
                names.open = names.open or "setattr"
            elif _writes_dict(node):
                names.open = names.open or "__dict__"
    elif isinstance(statement, ast.ClassDef):
        names.found[statement.name] = None
    else:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.found[node.id] = None
            elif isinstance(node, ast.alias):
                names.found[node.asname or node.name] = None
            elif isinstance(node, ast.Name) and node.id in ("locals", "vars"):
                names.open = names.open or node.id
        if isinstance(statement, ast.Assign) and _dotted(statement.targets[0]) == "__slots__":
            for text in _words(statement):
                names.found[text] = None


def _writes_dict(node: ast.AST) -> bool:
    """Whether a node writes to the `__dict__` of something; that of an object that is being unpickled aside."""
    if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
        return _dotted(node.value if isinstance(node, ast.Subscript) else node).endswith(".__dict__")
    return isinstance(node, ast.Call) and _dotted(node.func).endswith(".__dict__.update")


def _has_method(node: ast.ClassDef, name: str) -> bool:
    return any(isinstance(item, Function) and item.name == name for item in _statements(node.body))


def _is_dataclass(node: ast.ClassDef) -> bool:
    made = (item.func if isinstance(item, ast.Call) else item for item in node.decorator_list)
    return any(_dotted(item).rpartition(".")[2] == "dataclass" for item in made)


def _statements(body: list[ast.stmt], *, checked: bool = True) -> Iterator[ast.stmt]:
    """The statements of a module or class, those under its branches included; what stands below `if TYPE_CHECKING`
    only where `checked` says so."""
    for statement in body:
        hidden = not checked and isinstance(statement, ast.If) and _dotted(statement.test) == "TYPE_CHECKING"
        if not hidden:
            yield statement
        if isinstance(statement, Function | ast.ClassDef):
            continue
        for name in ("orelse",) if hidden else ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, name, []), checked=checked)
        for handler in getattr(statement, "handlers", []):
            yield from _statements(handler.body, checked=checked)


def _words(node: ast.AST) -> Iterator[str]:
    """The strings below a node that could be names."""
    for item in ast.walk(node):
        if isinstance(item, ast.Constant) and isinstance(item.value, str) and item.value.isidentifier():
            yield item.value


def _dotted(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join(reversed([*parts, node.id]))
