"""The modules that a submission holds, and which of its imports find none.

The programs start as `python -m src.main`, so the submission's root is the first place where modules are looked
for. A folder without `__init__.py` is a package all the same (a namespace package).
"""

from __future__ import annotations

import ast
import sys
from functools import cached_property
from pathlib import PurePosixPath
from typing import NamedTuple

from assay.analysis.certain_calls import CertainCalls
from assay.analysis.declared_dependencies import Dependencies, dependencies_of
from assay.analysis.libraries.distributions import canonical, modules_of, provides
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, Import, PythonFile, last_part_of_path, string_value

# What people call the modules they write for themselves. A distribution may have such a name too, which is why
# a name from here counts only where no declared dependency could bring it.
_USUAL_NAMES = frozenset(
    {
        "args", "baselines", "callbacks", "common", "conf", "config", "configs", "constants", "data", "data_loader",
        "data_utils", "dataloader", "dataloaders", "dataset", "datamodule", "eval_utils", "evaluation", "experiment",
        "experiments", "helper", "helpers", "layers", "logger", "logging_utils", "loss", "losses", "metrics", "misc",
        "model", "model_utils", "models", "modules", "networks", "optimizers", "options", "plot_utils", "plotting",
        "preprocess", "preprocessing", "schedulers", "seed", "settings", "train", "train_utils", "trainer",
        "trainers", "training", "util", "utilities", "utils", "visualization",
    }
)  # fmt: skip
# What decides where imports look, and what they find.
IMPORT_SETTINGS = frozenset({"sys.path", "sys.modules", "sys.meta_path", "sys.path_hooks"})


class ModuleMiss(NamedTuple):
    """An import of a module that a submission of its own would have to hold, and does not.

    Args:
        file: The file with the import.
        item: The import.
        module: The dotted name of the module that is not there; for a relative import that leaves its package,
            the import as it is written.
        held_at: The file that was meant, where it is there under another name (`src/model.py` for `model`).
        doubt: Why it may be found all the same; empty where it cannot.
    """

    file: PythonFile
    item: Import
    module: str
    held_at: str | None = None
    doubt: str = ""


class OwnModules:
    """The modules of a submission, seen from its root."""

    def __init__(self, project: Project) -> None:
        self.project = project
        files = project.submission.files
        compiled = {f"{path.split('.')[0]}.py" for path in files if path.endswith((".so", ".pyd", ".pyc"))}
        self.paths = frozenset(files) | compiled

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds a file, at any depth."""
        return frozenset(str(parent) for path in self.paths for parent in PurePosixPath(path).parents)

    def holds(self, module: str) -> bool:
        """Whether a dotted name is a module or package of the submission."""
        path = module.replace(".", "/")
        return f"{path}.py" in self.paths or path in self.folders

    def file_of(self, module: str) -> PythonFile | None:
        """The file of a module, or of a package's `__init__`; None where there is none."""
        path = module.replace(".", "/")
        return self.project.python.get(f"{path}/__init__.py") or self.project.python.get(f"{path}.py")

    def is_own(self, module: str) -> bool:
        """Whether a dotted name begins in the submission, whatever is installed.

        A folder without `__init__.py` gives way to an installed package of its name; `src` is the contract's own.
        """
        top = module.partition(".")[0]
        return self._is_regular(top) or (top == "src" and "src" in self.folders)

    def _is_regular(self, module: str) -> bool:
        """Whether a dotted name is a file, or a folder with `__init__.py`."""
        path = module.replace(".", "/")
        return f"{path}.py" in self.paths or f"{path}/__init__.py" in self.paths

    def missing_part(self, module: str) -> str | None:
        """The shortest beginning of an own dotted name that is not there; None where all of it is."""
        parts = module.split(".")
        beginnings = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
        return next((name for name in beginnings if not self.holds(name)), None)

    @cached_property
    def misses(self) -> list[ModuleMiss]:
        """Every import of a module that the submission would have to hold, imports that are guarded left out.

        Relative imports, imports below `src`, and bare imports of a module that stands in `src` or has one of the
        names people give to their own modules, unless a distribution is known by that name.
        """
        imports = ((file, item) for file in self.project.python.values() for item in file.imports if not item.guarded)
        return [miss for file, item in imports if (miss := self._miss(file, item)) is not None]

    @cached_property
    def reached(self) -> frozenset[str]:
        """The files that its programs certainly load."""
        return self.project.shared(CertainCalls).files

    def _miss(self, file: PythonFile, item: Import) -> ModuleMiss | None:
        level = item.node.level if isinstance(item.node, ast.ImportFrom) else 0
        if level:
            package = PurePosixPath(file.path).parts[:-1]
            if level > len(package):
                return ModuleMiss(file, item, as_written(item))
        elif not self.is_own(item.module):
            return self._bare_miss(file, item)
        missing = self.missing_part(item.module)
        if missing is None and item.name not in (None, "*") and not self._is_regular(item.module):
            # a folder without `__init__.py` has no names but its modules
            missing = self.missing_part(item.target)
        return ModuleMiss(file, item, missing) if missing else None

    def _bare_miss(self, file: PythonFile, item: Import) -> ModuleMiss | None:
        """`import model` or `from utils import seed`: found only where something puts its folder on the path."""
        top = item.module.partition(".")[0]
        if top in self.folders or top in sys.stdlib_module_names or provides(item.target) or provides(top):
            return None
        beside = f"{PurePosixPath(file.path).parent / top}.py"
        held_at = next((path for path in (beside, f"src/{top}.py") if path in self.paths), None)
        if canonical(top) in self._declared.names or (held_at is None and top not in _USUAL_NAMES):
            return None
        doubt = self.path_changes
        if not doubt and held_at is None:
            unknown = next((name for name in sorted(self._declared.names) if not modules_of(name)), "")
            doubt = f"the dependency {unknown} may bring a module of this name" if unknown else self._declared.unknown
        return ModuleMiss(file, item, top, held_at, doubt)

    @cached_property
    def _declared(self) -> Dependencies:
        metadata = self.project.pyproject
        return dependencies_of(metadata) if metadata is not None else Dependencies()

    @cached_property
    def path_changes(self) -> str:
        """What may put other folders than the root on the module path, in words; empty where nothing does."""
        metadata = self.project.pyproject
        if metadata is not None and (
            metadata.error or "build-system" in metadata.data or metadata.get("tool", "uv", "package") is not None
        ):
            return "the project may be installed, and its modules with it"
        scripts = {PurePosixPath(path).name for path in self.paths if path.endswith(".py")}
        for file in self.project.python.values():
            if file.tree is None:
                return f"{file.path} cannot be read"
            for node in file.nodes_of(ast.Attribute, ast.keyword, ast.Constant):
                if isinstance(node, ast.Attribute) and (name := file.qualified(node)) in IMPORT_SETTINGS:
                    return f"{file.path} changes {name}"
                if isinstance(node, ast.keyword) and node.arg == "cwd":
                    return f"{file.path} starts a process in a folder of its own"
                text = string_value(node) or ""
                if isinstance(file.parents.get(node), ast.Expr):
                    continue
                if "PYTHONPATH" in text or last_part_of_path(text[-200:]) in scripts:
                    return f"{file.path} may start a program with another module path ({text[-200:]})"
            if any(item.module in ("runpy", "site") for item in file.imports):
                return f"{file.path} loads modules by itself"
        return ""


def as_written(item: Import) -> str:
    """The module of an import as its statement has it: `.model` for `from .model import Net`, `from . import model`."""
    if isinstance(item.node, ast.ImportFrom):
        module = "." * item.node.level + (item.node.module or "")
        return module + (item.name or "") if module.strip(".") == "" else module
    return item.module


def open_names(file: PythonFile) -> str:
    """What may define names of a module that its text does not show, in words; empty where nothing does."""
    for node in file.nodes:
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return "a star import"
        if isinstance(node, ast.Import) and any(alias.name == "builtins" for alias in node.names):
            return "the module `builtins`"
        name = node.name if isinstance(node, FunctionNode) else file.qualified(node)
        writes = name in ("globals", "vars", "locals") and not _only_reads(file, node)
        if writes or name in ("__builtins__", "sys.modules", "exec"):
            return f"`{name}`"
        if name == "__getattr__" and not isinstance(file.parents[node], ast.ClassDef):
            return "a module `__getattr__`"
    return ""


def attributes_set(project: Project) -> frozenset[str]:
    """Names that some file assigns as attributes of a module that it imports."""
    found: set[str] = set()
    for file in project.python.values():
        imported = {item.module.partition(".")[0] for item in file.imports}
        for node in file.nodes_of(ast.Attribute, ast.Call):
            name: str | None = None
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                owner, name = node.value, node.attr
            elif isinstance(node, ast.Call) and file.qualified(node.func) == "setattr" and len(node.args) > 1:
                owner, name = node.args[0], string_value(node.args[1])
            if name and file.qualified(owner).partition(".")[0] in imported:
                found.add(name)
    return frozenset(found)


def _only_reads(file: PythonFile, name: ast.AST) -> bool:
    """Whether a dictionary of names is only looked into, or it is that of another object."""
    call = file.parents.get(name)
    if not isinstance(call, ast.Call) or call.func is not name:
        return False
    parent = file.parents.get(call)
    if isinstance(parent, ast.Subscript):
        return isinstance(parent.ctx, ast.Load)
    reads = isinstance(parent, ast.Attribute) and parent.attr in ("get", "keys", "items", "values", "copy")
    return bool(call.args) or reads or isinstance(parent, ast.Compare)
