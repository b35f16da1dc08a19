"""The imports of a submission that leave it: which distributions they need, and whether they certainly run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from typing import NamedTuple

from assay.analysis.import_time import When, is_fallback, when
from assay.analysis.libraries.distributions import provides
from assay.analysis.own_modules import IMPORT_SETTINGS, OwnModules
from assay.analysis.project import Project
from assay.analysis.python_source import Import, PythonFile, descend, string_value

# Modules of the standard library that some Python versions have and others do not.
_SOMETIMES_STANDARD = frozenset(
    {
        "asynchat", "asyncore", "binhex", "distutils", "formatter", "imp", "lib2to3", "parser", "smtpd", "symbol",
        "tomllib", "zoneinfo", "annotationlib", "compression",
    }
)  # fmt: skip


class ThirdPartyImport(NamedTuple):
    """An import of a module that is neither the submission's own nor Python's.

    Args:
        file: The file with the import.
        item: The import.
        module: The module, or its submodule where only that tells distributions apart.
        distributions: The distributions that provide it; empty where none is known to.
        certain: Whether it runs as soon as the submission's programs start.
    """

    file: PythonFile
    item: Import
    module: str
    distributions: frozenset[str]
    certain: bool

    @property
    def top(self) -> str:
        """The first part of the module's name."""
        return self.module.partition(".")[0]


def third_party_imports(project: Project) -> tuple[ThirdPartyImport, ...]:
    """Every import that leaves the submission, file by file, without those that are guarded or tried after another."""
    return project.shared(_all_third_party_imports)


def _all_third_party_imports(project: Project) -> tuple[ThirdPartyImport, ...]:
    return tuple(_third_party_imports(project))


def _third_party_imports(project: Project) -> Iterator[ThirdPartyImport]:
    own = project.shared(OwnModules)
    depth = None if own.path_changes else 1
    known = {part.partition(".")[0] for path in own.paths for part in path.split("/")[:depth]}
    known |= {"", "__main__", *sys.stdlib_module_names, *_SOMETIMES_STANDARD}
    for path, file in project.python.items():
        for item in file.imports:
            top = item.module.partition(".")[0]
            if (
                item.guarded
                or (isinstance(item.node, ast.ImportFrom) and item.node.level)
                or is_fallback(file, item.node)
            ):
                continue
            if top in known or own.is_own(item.module):
                continue
            certain = path in own.reached and _runs_on_import(file, item)
            distributions = provides(item.target) or provides(item.module)
            yield ThirdPartyImport(file, item, item.module, distributions, certain)


def installs_by_itself(project: Project) -> str:
    """Where a submission may bring modules in by itself (it calls pip, or changes what `import` finds); else empty."""
    for path, file in project.python.items():
        own_folders = _own_folders(file)
        for node in file.nodes_of(ast.Attribute, ast.Constant):
            setting = isinstance(node, ast.Attribute) and file.qualified(node) in IMPORT_SETTINGS
            if setting and not _adds_own_folder(file, node, own_folders):
                return f"{path} changes what imports find"
            words = (string_value(node) or "").split()
            installs = words == ["pip"] or ("pip" in words and "install" in words)
            if installs and not isinstance(file.parents.get(node), ast.Expr):
                return f"{path} may install packages by itself"
    return ""


def _adds_own_folder(file: PythonFile, node: ast.AST, own_folders: set[str]) -> bool:
    """Whether a use of `sys.path` only compares it, or gives a method of it a folder that is found from the file."""
    if file.qualified(node) != "sys.path":
        return False
    method = file.parents[node]
    call = file.parents[method]
    adds = isinstance(method, ast.Attribute) and method.attr in ("append", "insert") and isinstance(call, ast.Call)
    return (adds and bool(_names_in(call) & own_folders)) or isinstance(method, ast.Compare)


def _own_folders(file: PythonFile) -> set[str]:
    """The names that a file gives to folders found from `__file__`, and that name itself."""
    found = {"__file__"}
    for statement in file.tree.body if file.tree else ():
        if isinstance(statement, ast.Assign) and _names_in(statement.value) & found:
            found.update(target.id for target in statement.targets if isinstance(target, ast.Name))
    return found


def _names_in(value: ast.AST) -> set[str]:
    return {part.id for part in descend(value) if isinstance(part, ast.Name)}


def _runs_on_import(file: PythonFile, item: Import) -> bool:
    if when(file, item.node) is not When.ON_IMPORT:
        return False
    return not any(isinstance(up, ast.Try | ast.With | ast.While) for up in file.ancestors(item.node))
