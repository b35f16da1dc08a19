"""The `@hydra.main` or `@experiment` of a file: what it loads, under which defaults, and whether it is reached."""

from __future__ import annotations

import ast
import posixpath
import re
from pathlib import PurePosixPath
from typing import NamedTuple

from assay.analysis.import_time import is_unconditional
from assay.analysis.own_library import CONFIG_FOLDER, CONFIG_NAME, EXPERIMENT, VERSION_BASE
from assay.analysis.python_source import FunctionNode, PythonFile

# https://hydra.cc/docs/1.3/upgrades/version_base/: without version_base, Hydra 1.2 and 1.3 act as 1.1 did
LEFT_OUT = "1.1"
_POSITIONS = ("config_path", "config_name", "version_base")
_JOINS = frozenset({"os.path.join", "posixpath.join"})
_SAME = frozenset(
    {"str", "pathlib.Path", "os.path.abspath", "os.path.realpath", "os.path.normpath", "os.fspath", "pathlib.PurePath"}
)


class HydraEntry(NamedTuple):
    """One use of `hydra.main`, or of `assay.runtime.experiment`, which makes one.

    Args:
        file: The file.
        place: The decorator, or the call that wraps a function.
        function: The function that it decorates, where that is defined in the file.
        config_dir: Folder of the configuration, relative to the root of the submission; None where none is named.
        config_name: Name of the primary configuration, or None.
        version_base: As given; `1.1` where it is left out.
        states_version: Whether `version_base` is given.
        unread: Why the arguments cannot be told; empty where they can.
        certain: Whether `python -m` on the file certainly comes here with the words of its command line.
        by_library: Whether it is `@experiment`.
    """

    file: PythonFile
    place: ast.expr
    function: FunctionNode | None
    config_dir: str | None
    config_name: str | None
    version_base: str | None
    states_version: bool
    unread: str
    certain: bool
    by_library: bool = False

    @property
    def acts_as_1_1(self) -> bool:
        """Whether Hydra takes the defaults of its version 1.1, and with them changes the working directory."""
        return self.version_base is not None and re.fullmatch(r"1\.1(\..*)?", self.version_base) is not None


def hydra_entry(file: PythonFile | None) -> HydraEntry | None:
    """The one use of `hydra.main` or `@experiment` in a file; None where there is none, or several."""
    return file.shared(_entry) if file is not None and file.tree is not None else None


def _entry(file: PythonFile) -> HydraEntry | None:
    uses = [node for node in file.nodes_of(ast.Attribute, ast.Name) if _is_main(file, node)]
    if len(uses) != 1:
        return None
    use = uses[0]
    around = file.parents.get(use)
    call = around if isinstance(around, ast.Call) and around.func is use else None
    place: ast.expr = call or use
    function = _decorated(file, place)
    if file.qualified(use) == EXPERIMENT:
        folder = config_folder(file, ast.Constant(CONFIG_FOLDER))
        unread = "it is not used as a decorator" if call is not None or function is None else ""
        unread = unread or ("" if folder is not None else "its package lies at the root")
        certain = not unread and _is_started(file, place, function)
        return HydraEntry(file, place, function, folder, CONFIG_NAME, VERSION_BASE, True, unread, certain, True)
    if call is None:
        # `@hydra.main` without parentheses takes the function for the path of the configuration
        return HydraEntry(file, place, function, None, None, LEFT_OUT, False, "it is not called", False)
    given, unread = _arguments(call)
    base, name, path = (given.get(key) for key in ("version_base", "config_name", "config_path"))
    version = LEFT_OUT if base is None else _text_or_none(base)
    config_name = None if name is None else _text_or_none(name)
    if not unread and any(value is _UNREAD for value in (version, config_name)):
        unread = "an argument is computed"
    folder = None
    if path is None:
        folder = PurePosixPath(file.path).parent.as_posix() if version == LEFT_OUT else None
    elif not (isinstance(path, ast.Constant) and path.value is None):
        folder = config_folder(file, path)
        unread = unread or ("" if folder is not None else "its config_path cannot be told")
    return HydraEntry(
        file,
        place,
        function,
        folder,
        config_name if isinstance(config_name, str) else None,
        version if isinstance(version, str) else None,
        base is not None,
        unread,
        not unread and _is_started(file, place, function),
    )


def config_folder(file: PythonFile, node: ast.expr) -> str | None:
    """The folder that a `config_path` means, relative to the root; None where that cannot be told.

    A relative path counts from the folder of the file. `Path(__file__).parent` and its like are followed.
    """
    home = PurePosixPath(file.path).parent.as_posix()
    path = _path(file, node, 0)
    if path is None or "://" in path:
        return path
    if not path.startswith("<file>"):
        if path.startswith("/"):
            return None
        path = posixpath.join(home, path)
    else:
        path = posixpath.join(file.path, path.removeprefix("<file>").lstrip("/"))
    path = posixpath.normpath(path)
    return None if path.startswith("..") else path


_UNREAD: object = object()


def _text_or_none(node: ast.expr) -> object:
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str)):
        return node.value
    return _UNREAD


def _is_main(file: PythonFile, node: ast.AST) -> bool:
    parent = file.parents.get(node)
    if isinstance(parent, ast.Attribute):
        return False
    return isinstance(getattr(node, "ctx", None), ast.Load) and file.qualified(node) in ("hydra.main", EXPERIMENT)


def _decorated(file: PythonFile, place: ast.expr) -> FunctionNode | None:
    parent = file.parents.get(place)
    if isinstance(parent, FunctionNode) and place in parent.decorator_list:
        return parent
    if isinstance(parent, ast.Call) and parent.func is place and len(parent.args) == 1:
        name = parent.args[0]
        if isinstance(name, ast.Name):
            return next((item for item in file.functions if item.name == name.id), None)
    return None


def _arguments(call: ast.Call) -> tuple[dict[str, ast.expr], str]:
    given: dict[str, ast.expr] = {}
    for name, value in zip(_POSITIONS, call.args, strict=False):
        if isinstance(value, ast.Starred):
            return given, "its arguments are unpacked"
        given[name] = value
    for item in call.keywords:
        if item.arg is None:
            return given, "its arguments are unpacked"
        given[item.arg] = item.value
    return given, ""


def _is_started(file: PythonFile, place: ast.expr, function: FunctionNode | None) -> bool:
    """Whether the program calls the decorated function, without arguments, whatever happens before."""
    if "argv" in file.text:
        return False
    if function is not None and place in function.decorator_list:
        others = [item for item in function.decorator_list if item is not place]
        if others or file.function_of(function) is not None or not is_unconditional(file, function, None):
            return False
        return any(
            isinstance(node.func, ast.Name)
            and node.func.id == function.name
            and not node.args
            and not node.keywords
            and file.function_of(node) is None
            and is_unconditional(file, node, None, program=True)
            for node, _ in file.calls
        )
    wrapped = file.parents.get(place)
    started = file.parents.get(wrapped) if wrapped is not None else None
    if not (isinstance(started, ast.Call) and started.func is wrapped and not started.args and not started.keywords):
        return False
    return file.function_of(started) is None and is_unconditional(file, started, None, program=True)


def _path(file: PythonFile, node: ast.expr, depth: int) -> str | None:
    """The text of a path expression, `<file>` standing for the file's own path; None where it is unknown."""
    if depth > 20:
        return None
    if isinstance(node, ast.Name):
        if node.id == "__file__":
            return "<file>"
        value = file.constants.get(node.id)
        return None if value is None else _path(file, value, depth + 1)
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        return _joined([_path(file, node.left, depth + 1), _path(file, node.right, depth + 1)])
    if isinstance(node, ast.Attribute) and node.attr == "parent":
        inner = _path(file, node.value, depth + 1)
        return None if inner is None else f"{inner}/.."
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute) and node.value.attr == "parents":
        inner = _path(file, node.value.value, depth + 1)
        count = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return f"{inner}{'/..' * (count + 1)}" if inner and isinstance(count, int) and 0 <= count < 10 else None
    if not isinstance(node, ast.Call) or node.keywords:
        return None
    name = file.qualified(node.func)
    parts = [_path(file, item, depth + 1) for item in node.args if not isinstance(item, ast.Starred)]
    if name in _SAME and len(parts) == 1:
        return parts[0]
    if name == "os.path.dirname" and len(parts) == 1:
        return None if parts[0] is None else f"{parts[0]}/.."
    if name in _JOINS and len(parts) == len(node.args):
        return _joined(parts)
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("resolve", "absolute", "as_posix") and not parts:
        return _path(file, node.func.value, depth + 1)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "joinpath":
        return _joined([_path(file, node.func.value, depth + 1), *parts])
    return None


def _joined(parts: list[str | None]) -> str | None:
    if not parts or any(part is None or "<file>" in part for part in parts[1:]) or parts[0] is None:
        return None
    return "/".join(str(part) for part in parts)
