"""Which YAML files a program loads, and with which library."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword, string_value

# https://pyyaml.org/wiki/PyYAMLDocumentation, "The yaml package"
PYYAML_ONE = frozenset(f"yaml.{name}" for name in ("load", "safe_load", "full_load", "unsafe_load"))
PYYAML_MANY = frozenset(f"yaml.{name}" for name in ("load_all", "safe_load_all", "full_load_all", "unsafe_load_all"))
OMEGACONF_LOAD = "omegaconf.OmegaConf.load"
HYDRA_ENTRIES = frozenset(
    {
        "hydra.main",
        "hydra.compose",
        "hydra.initialize",
        "hydra.initialize_config_dir",
        "hydra.initialize_config_module",
        "hydra.experimental.compose",
        "hydra.experimental.initialize",
    }
)


def hydra_decorator(file: PythonFile | None) -> ast.Call | None:
    """The `@hydra.main(...)` of a file, or None."""
    if file is None:
        return None
    for function in file.functions:
        for decorator in function.decorator_list:
            if isinstance(decorator, ast.Call) and file.qualified(decorator.func) == "hydra.main":
                return decorator
    return None


def uses_hydra(file: PythonFile) -> bool:
    """Whether a file calls one of Hydra's entry points."""
    return any(name in HYDRA_ENTRIES for _, name in file.calls)


def certainly_loaded(project: Project, path: str) -> bool:
    """Whether the contract's commands certainly make the program load a YAML file."""
    main = project.role("main")
    if main is None or main.tree is None:
        return False
    if path == project.contract.role("config"):
        return _is_hydra_config(main, path)
    if project.contract.is_run_file(path):
        folder = PurePosixPath(path).parent.name
        readers = [file for file in (main, project.role("train")) if file is not None]
        if not any(uses_hydra(file) for file in readers):
            return False
        return any(names_folder(file, folder) for file in readers) or _is_config_group(project, folder)
    if path in project.contract.variation_files:
        name = PurePosixPath(path).name
        loads = [call for call, called in main.calls if called in PYYAML_ONE or called == OMEGACONF_LOAD]
        named = any(text.endswith(name) for text in string_constants(main))
        return bool(loads) and named and not any(_is_tried(main, call) for call in loads)
    return False


def loads_many(files: Iterable[PythonFile]) -> bool:
    """Whether a program reads YAML streams of several documents."""
    return any(
        name in PYYAML_MANY or (isinstance(call.func, ast.Attribute) and call.func.attr == "load_all")
        for file in files
        for call, name in file.calls
    )


def string_constants(file: PythonFile) -> list[str]:
    """Every string constant of a file, the parts of formatted strings included."""
    found = (string_value(node) for node in file.nodes_of(ast.Constant))
    return [text for text in found if text is not None]


def names_folder(file: PythonFile, folder: str) -> bool:
    """Whether a folder's name is a part of some path that a file spells out."""
    return any(folder in re.split(r"[/\\]", text) for text in string_constants(file) if len(text) < 300)


def _is_hydra_config(main: PythonFile, path: str) -> bool:
    decorator = hydra_decorator(main)
    if decorator is None:
        return False
    name = string_value(keyword(decorator, "config_name"))
    folder = string_value(keyword(decorator, "config_path"))
    wanted = PurePosixPath(path)
    if name is None or folder is None:
        return False
    return name.removesuffix(".yaml") == wanted.stem and PurePosixPath(folder).name == wanted.parent.name


def _is_config_group(project: Project, folder: str) -> bool:
    text = project.submission.text(project.contract.role("config") or "") or ""
    return re.search(rf"(?m)^\s*-\s*(?:override\s+|optional\s+)*/?{re.escape(folder)}\s*[:@]", text) is not None


def _is_tried(file: PythonFile, node: ast.AST) -> bool:
    return any(isinstance(up, ast.Try) for up in file.ancestors(node))
