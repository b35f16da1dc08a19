"""Whether W&B certainly learns its mode when it is started, and not earlier or later.

This is a proof: it takes only what it knows. A program that does the same in another way is not refuted by it.
"""

from __future__ import annotations

import ast
import sys

from assay import yaml_tree
from assay.analysis.expressions import last_part
from assay.analysis.hydra_entry import hydra_entry
from assay.analysis.name_origins import OwnCalls, own_calls
from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, keyword, string_value
from assay.analysis.text_pattern import PatternReader

MODES = frozenset({"online", "offline", "disabled"})
# libraries that start no tracking by themselves
_LIBRARIES = frozenset(
    {"torch", "torchvision", "numpy", "pandas", "hydra", "omegaconf", "optuna", "datasets", "transformers",
     "peft", "tqdm", "sklearn", "scipy", "timm", "einops", "PIL", "tokenizers", "matplotlib", "yaml"}
)  # fmt: skip
_CODE_AT_RUN_TIME = frozenset({"importlib", "runpy", "ctypes", "builtins", "code", "multiprocessing", "pkgutil"})
# of the module: what needs a run that was started, and what makes a value
_OF_A_RUN = frozenset(
    {"log", "finish", "summary", "run", "config", "define_metric", "save", "watch", "unwatch", "alert", "Table",
     "Histogram", "Image", "Html", "Artifact", "errors", "plot"}
)  # fmt: skip
_MAKES = frozenset({"exec", "eval", "__import__", "setattr", "globals", "locals", "vars", "instantiate", "get_class"})
_MAX_DEPTH = 4


def unproved_tracking_mode(project: Project) -> str:
    """Why it is not proved that the mode is set when W&B is started; empty where it is."""
    train, evaluate, main = project.role("train"), project.role("evaluate"), project.role("main")
    entry = hydra_entry(train)
    if train is None or entry is None or not entry.certain or entry.function is None:
        return "train does not certainly start with a configuration that Hydra composes"
    if main is not None and main is not train and train in reached_files(project, main):
        return "train is started by itself and from main"
    files = [file for file in project.python.values() if file is not evaluate]
    if evaluate is not None and any(evaluate in reached_files(project, file) for file in files):
        return "evaluate is a part of another program"
    own = {part for file in project.python.values() for part in file.module.split(".")}
    starts: list[tuple[PythonFile, ast.Call]] = []
    for file in files:
        if fault := _unproved_file(file, own):
            return f"{file.path} {fault}"
        starts += [(file, call) for call, name in file.calls if name == "wandb.init"]
    if len(starts) != 1:
        return "W&B is not started in exactly one place"
    place, call = starts[0]
    given = keyword(call, "mode")
    if given is None or any(item.arg is None for item in call.keywords):
        return "wandb.init is not given a mode"
    if _is_mode(given):
        return ""
    if not (last_part(given) == "mode" and last_part(getattr(given, "value", None)) == "wandb"):
        return "the mode that wandb.init is given is worked out"
    return _unproved_configuration(project) or _unproved_order(project, entry.function, place, call, files)


def _unproved_file(file: PythonFile, own: set[str]) -> str:
    if file.tree is None:
        return "cannot be read"
    for item in file.imports:
        root = item.module.partition(".")[0]
        known = root in _LIBRARIES or root in own or (root in sys.stdlib_module_names and root not in _CODE_AT_RUN_TIME)
        if item.name == "*" or not (known or (item.module == "wandb" and item.name is None)):
            return f"imports {item.module} in a way that is not followed"
        if any(
            word in (item.name or "").lower() for word in ("trainer", "trainingarguments", "callback", "integration")
        ):
            return f"imports {item.name}, which may track by itself"
    for node in file.nodes_of(ast.Name, ast.Attribute):
        name = node.id if isinstance(node, ast.Name) else node.attr
        if "Trainer" in name or "TrainingArguments" in name or (name in _MAKES and isinstance(node, ast.Name)):
            return f"names {name}"
        if file.qualified(node) != "wandb" or isinstance(file.parents.get(node), ast.alias):
            continue
        above = file.parents.get(node)
        if isinstance(above, ast.Attribute) and isinstance(node, ast.Attribute):
            return "reaches W&B through another module"
        if not isinstance(above, ast.Attribute) or not isinstance(above.ctx, ast.Load):
            return "hands W&B on"
        around = file.parents.get(above)
        is_start = above.attr == "init" and isinstance(around, ast.Call) and around.func is above
        if not is_start and above.attr not in _OF_A_RUN:
            return f"uses wandb.{above.attr}"
    if any(name == "getattr" and (len(call.args) < 2 or not string_value(call.args[1])) for call, name in file.calls):
        return "takes attributes by names that are worked out"
    reader = PatternReader(file)
    for part in file.nodes_of(ast.Constant, ast.BinOp, ast.JoinedStr):
        text = reader.fold(part).text
        if any(word in text for word in ("WANDB_", "wandb.mode", "wandb.sdk")):
            return "sets W&B's mode in another way"
    return "" if all(_is_read(file, node) for node in file.nodes) else "hands the settings of W&B on"


def _is_read(file: PythonFile, node: ast.AST) -> bool:
    """Whether a node does not mean the settings of W&B as a whole, or only to take or set one of them by its name."""
    if isinstance(node, ast.Call) and last_part(node) == "wandb":
        return False
    if isinstance(node, ast.Dict):
        return not any(string_value(key) == "wandb" for key in node.keys if key is not None)
    if not isinstance(node, ast.Attribute | ast.Subscript) or last_part(node) != "wandb":
        return not (isinstance(node, ast.keyword) and node.arg == "wandb")
    above = file.parents.get(node)
    if not isinstance(node.ctx, ast.Load) or not isinstance(above, ast.Attribute | ast.Subscript):
        return False
    called = file.parents.get(above)
    by_name = isinstance(above, ast.Attribute) or string_value(above.slice) is not None
    return by_name and (above.attr == "get" if isinstance(above, ast.Attribute) and _is_called(called, above) else True)


def _is_called(around: ast.AST | None, node: ast.AST) -> bool:
    return isinstance(around, ast.Call) and around.func is node


def _is_mode(node: ast.expr) -> bool:
    """Whether an expression is one of W&B's modes, whatever it depends on."""
    if isinstance(node, ast.IfExp):
        return string_value(node.body) in MODES and string_value(node.orelse) in MODES
    return string_value(node) in MODES


def _unproved_configuration(project: Project) -> str:
    config = project.yaml.get(project.contract.role("config") or "")
    mode = yaml_tree.find(config.root if config else None, "wandb", "mode")
    if not isinstance(mode, yaml_tree.Scalar) or mode.text not in MODES:
        return "config.yaml gives no mode of W&B"
    named = [key for file in project.yaml.values() for key in _keys(file.documents) if "wandb" in key]
    if named != ["wandb"] or any("/wandb/" in path for path in project.yaml):
        return "another part of the configuration may set W&B's mode"
    return ""


def _keys(documents: tuple[yaml_tree.Node, ...]) -> list[str]:
    """All keys of a YAML file, at any depth."""
    pending = list(documents)
    seen: set[int] = set()
    found: list[str] = []
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml_tree.Sequence):
            pending.extend(node.items)
        elif isinstance(node, yaml_tree.Mapping):
            found += [key.text for key, _ in node.pairs if isinstance(key, yaml_tree.Scalar)]
            pending.extend(value for _, value in node.pairs)
    return found


def _unproved_order(
    project: Project, entry: FunctionNode, place: PythonFile, call: ast.Call, files: list[PythonFile]
) -> str:
    """Why it is not proved that whatever sets the mode does it before W&B is started."""
    calls = own_calls(project)
    begun = _steps(calls, entry, place, call, 0)
    if not begun:
        return "it is not known when W&B is started"
    for file in files:
        for node in file.nodes_of(ast.Attribute, ast.Subscript):
            if isinstance(node.ctx, ast.Load) or last_part(node) != "mode" or last_part(node.value) != "wandb":
                continue
            statement = file.parents.get(node)
            if not isinstance(statement, ast.Assign) or not _is_mode(statement.value):
                return f"{file.path}:{node.lineno} sets W&B's mode to what is not known"
            steps = _steps(calls, entry, file, node, 0)
            if not steps or max(steps) >= min(begun):
                return f"{file.path}:{node.lineno} may set W&B's mode after it is started"
    return ""


def _steps(calls: OwnCalls, entry: FunctionNode, file: PythonFile, node: ast.AST, depth: int) -> set[int]:
    """The statements of the entry, by their number, during which a node may run; none where that is not known."""
    function = file.function_of(node)
    if function is entry:
        return {place for place, one in enumerate(entry.body) if one is node or one in file.ancestors(node)}
    if function is None or depth > _MAX_DEPTH or isinstance(file.parents.get(function), ast.ClassDef):
        # a method may be called by way of any object
        return set()
    found: set[int] = set()
    for other, call in calls.calls_of(function) or ():
        steps = _steps(calls, entry, other, call, depth + 1)
        if not steps:
            return set()
        found |= steps
    return found
