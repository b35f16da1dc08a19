"""Whether train certainly makes no JSON: neither a file of results nor a printed line.

This is a proof: it takes only what it knows. A program that makes none in another way is not refuted by it.
"""

from __future__ import annotations

import ast
import re

from assay.analysis.own_imports import reached_files
from assay.analysis.own_library import LIBRARY, is_hidden
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword, string_value
from assay.analysis.run_variations import texts
from assay.analysis.text_pattern import PatternReader

# modules that write a file or a line only where they are told to, and the standard library's without any that starts
# programs, writes formats, or makes code
_MODULES = frozenset(
    {"torch", "torchvision", "numpy", "pandas", "hydra", "omegaconf", "optuna", "wandb", "datasets",
     "transformers", "peft", "tqdm", "sklearn", "scipy", "timm", "einops", "PIL", "tokenizers", "__future__",
     "abc", "argparse", "collections", "contextlib", "copy", "dataclasses", "datetime", "enum", "functools",
     "gc", "itertools", "logging", "math", "os", "pathlib", "random", "re", "statistics", "string", "sys",
     "time", "typing", "warnings"}
)  # fmt: skip
# names by which code, attributes or characters come about that the text does not show
_MAKES = frozenset(
    {"exec", "eval", "compile", "__import__", "globals", "locals", "vars", "chr", "bytes", "bytearray",
     "setattr", "delattr", "__builtins__", "breakpoint", "input"}
)  # fmt: skip
_HIDDEN = frozenset(
    {"__dict__", "__getattribute__", "__class__", "__globals__", "__builtins__", "modules", "system", "popen",
     "fromhex", "write_text", "write_bytes", "write", "writelines", "dump", "dumps", "to_csv", "to_string",
     "savetxt", "tofile", "fdopen", "dup2", "stdout", "stderr", "__stdout__", "__stderr__", "add_handler",
     "addHandler", "translate", "maketrans", "instantiate", "get_method", "get_object", "get_class", "locate",
     "setFormatter"}
)  # fmt: skip
_STARTS_PROGRAMS = re.compile(r"exec\w*|spawn\w*|posix_spawn\w*|fork\w*")
_PRINTS = frozenset({"debug", "info", "warning", "error", "critical", "exception", "warn", "fatal"})
_LETTERS = re.compile(r"[A-Za-z]{2}")


def unproved_absence_of_json(project: Project) -> str:
    """Why it is not proved that train makes no JSON; empty where it is."""
    train = project.role("train")
    if train is None or not train.nodes[1:]:
        return "train is missing or cannot be read"
    started = [train]
    main = project.role("main")
    if main is not None and train in reached_files(project, main):
        # main calls train within one process
        started.append(main)
    packages = [file for path, file in project.python.items() if path.endswith("__init__.py")]
    files = dict.fromkeys([*started, *(each for file in started for each in reached_files(project, file)), *packages])
    own = {file.module for file in project.python.values()} | {"src"}
    own |= {name.removeprefix("src.") for name in own}
    if not is_hidden(project.submission.files):
        # what it writes is the log of its tracker
        own |= {item.module for file in files for item in file.imports if item.module.partition(".")[0] == LIBRARY}
    for file in files:
        if file.tree is None:
            return f"{file.path} cannot be read"
        if fault := _unproved_names(file, own) or _unproved_calls(file):
            return f"{file.path} {fault}"
    for settings in project.yaml.values():
        if settings.error is not None or any(
            _is_telling(text) for document in settings.documents for text in texts(document)
        ):
            return f"{settings.path} speaks of JSON or cannot be read"
    return ""


def _unproved_names(file: PythonFile, own: set[str]) -> str:
    names = {node.id if isinstance(node, ast.Name) else node.attr for node in file.nodes_of(ast.Name, ast.Attribute)}
    names |= {node.arg or "" for node in file.nodes_of(ast.arg, ast.keyword)}
    names |= {node.name for node in [*file.functions, *file.classes]}
    for item in file.imports:
        if item.name == "*" or (item.module not in own and item.module.partition(".")[0] not in _MODULES):
            return f"imports {item.module}, which may write JSON"
        names |= {*item.module.split("."), item.name or "", item.bound}
    if any(
        "json" in name.lower() or "trainer" in name.lower() or "trainingarguments" in name.lower() for name in names
    ):
        return "names JSON, or a trainer that writes files of its own"
    plain = {node.id for node in file.nodes_of(ast.Name)}
    attributes = {node.attr for node in file.nodes_of(ast.Attribute)} | {item.name or "" for item in file.imports}
    if plain & _MAKES or attributes & (_HIDDEN | _MAKES - {"eval", "compile", "bytes"}):
        return "writes, or makes names and characters at run time"
    if any(_STARTS_PROGRAMS.fullmatch(name) for name in attributes):
        return "starts a program"
    reader = PatternReader(file)
    for node in file.nodes_of(ast.Constant, ast.BinOp, ast.JoinedStr):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, bytes) or (
                _is_telling(string_value(node) or "") and not _is_docstring(file, node)
            ):
                return "holds a text that speaks of JSON, or quotation marks of which JSON is made"
        elif _is_telling(reader.fold(node).text):
            return "puts together a text that speaks of JSON"
    return ""


def _unproved_calls(file: PythonFile) -> str:
    printers = {"print"}
    for node in file.nodes_of(ast.Name, ast.Attribute):
        # a printing function under another name is not followed
        parent = file.parents.get(node)
        called = isinstance(parent, ast.Call) and parent.func is node
        name = node.id if isinstance(node, ast.Name) else ""
        if not called and name in ("print", "open", "getattr"):
            return f"hands {name} on"
        if name in printers and not isinstance(node.ctx, ast.Load):
            return "gives print another meaning"
    for call, name in file.calls:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name == "getattr" and (len(call.args) < 2 or string_value(call.args[1]) is None):
            return "takes attributes by names that are worked out"
        if name == "open" or method == "open":
            place = 1 if name in ("open", "io.open") else 0
            mode = keyword(call, "mode") or (call.args[place] if len(call.args) > place else None)
            if mode is not None and string_value(mode) not in ("r", "rb", "rt"):
                return "opens a file for writing"
        logs = method == "log" and name != "wandb.log" and call.args and isinstance(call.args[0], ast.Constant)
        if (name == "print" or method in _PRINTS or logs) and not _is_prose(file, call):
            return "prints a value by itself"
    return ""


def _is_prose(file: PythonFile, call: ast.Call) -> bool:
    """Whether what a call prints has words in it that no JSON has."""
    if any(item.arg != "flush" for item in call.keywords) or not call.args:
        return not call.args and not call.keywords
    for given in call.args:
        parts = given.values if isinstance(given, ast.JoinedStr) else [given]
        if any(_LETTERS.search(string_value(part) or "") for part in parts):
            return True
        if isinstance(given, ast.Call) and file.qualified(given.func) == "omegaconf.OmegaConf.to_yaml":
            return True
    return False


def _is_telling(text: str) -> bool:
    return "json" in text.lower() or '"' in text or "%c" in text or text in ("c", ":c")


def _is_docstring(file: PythonFile, node: ast.AST) -> bool:
    return isinstance(file.parents.get(node), ast.Expr)
