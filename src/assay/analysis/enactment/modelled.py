"""What the enactment knows of Python's own functions and of the libraries that hold an experiment together.

Each model carries out a call on the values of the enactment (`models_*`). What is not modelled gives an `External`
and may call the functions that it was given.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from functools import lru_cache

from assay.analysis.enactment import (
    models_argparse,
    models_collections,
    models_files,
    models_methods,
    models_omegaconf,
    models_processes,
    models_python,
    models_runtime,
    models_search,
    models_text,
)
from assay.analysis.enactment.describing import describe
from assay.analysis.enactment.machine import Libraries, Machine
from assay.analysis.enactment.registry import MAX_NAMES, MODELS, Call, known_model
from assay.analysis.enactment.values import (
    ANYTHING,
    External,
    FilePath,
    Instance,
    Items,
    Method,
    Node,
    Pairs,
    Parser,
    is_constant,
    marks_of,
)
from assay.analysis.own_library import LIBRARY, MADE

__all__ = ["MODELS", "Modelled", "models_collections", "models_processes", "models_python"]

# Libraries whose calls are recorded.
RECORDED = frozenset(
    {
        "datasets", "transformers", "peft", "evaluate", "torch", "torchvision", "timm", "wandb", "optuna", "sklearn",
        "scipy", "statsmodels", "hydra", "omegaconf", "accelerate", "trl", "huggingface_hub", "sentence_transformers",
        "matplotlib", "seaborn", "numpy", "random", "pandas", "lightning", "pytorch_lightning", "diffusers",
        "subprocess", "os", "json", "yaml",
    }
)  # fmt: skip
# Calls that write a value down and do nothing else with it.
_WRITING = re.compile(
    r"^(print|str|repr|format|len|type|isinstance|json\.dumps?|yaml\.\w+|omegaconf\..*|logging\..*|wandb(\.|$).*"
    r"|os\..*|hasattr|id|pprint\..*|rich\..*|copy\..*|\?.*|.*\.(info|debug|warning|error|write|writerow|print))$"
)
# Functions of Python that change what they are given, and libraries that leave it as it is.
_CHANGING = re.compile(r"(^|\.)(shuffle|heap\w+|insort\w*|setitem|delitem|iadd|update_\w+)$|^(heapq|bisect|operator)\.")
_KEEPING = (
    RECORDED | sys.stdlib_module_names | {"builtins", "tqdm", "rich", "nltk", "PIL", "cv2", "einops", "jax", LIBRARY}
)


@lru_cache(MAX_NAMES)
def _changes(path: str) -> bool:
    return _CHANGING.search(path) is not None


@lru_cache(MAX_NAMES)
def _writes(path: str) -> bool:
    return _WRITING.match(path) is not None


class Modelled(Libraries):
    """The libraries as far as they are known."""

    def call(
        self,
        machine: Machine,
        callee: External,
        positional: list[object],
        keywords: dict[str, object],
        node: ast.AST,
        is_open: bool,
    ) -> object:
        path = callee.path
        if machine.is_replaced(path):
            return machine.call_replaced(path, positional, keywords, node, is_open)
        values = [*positional, *keywords.values()]
        marks = marks_of(*values)
        if marks and not _writes(path):
            machine.emit("use", node, marks=tuple(sorted(marks)), by=path)
        root = path.partition(".")[0]
        if root in RECORDED and (machine.heard is None or "call" in machine.heard):
            machine.emit(
                "call",
                node,
                name=path,
                positional=[describe(machine, value) for value in positional],
                keywords={name: describe(machine, value) for name, value in keywords.items()},
                open=is_open,
            )
        known = known_model(path, is_open)
        if root == LIBRARY:
            models_runtime.check_call(Call(machine, positional, keywords, node, is_open, path), path)
        if known is not None:
            found = known(Call(machine, positional, keywords, node, is_open, path))
            if found is not NotImplemented:
                return found
        if values:
            machine.callbacks(values, node)
            self.escape(machine, values, path)
        keys = [(str(place), value) for place, value in enumerate(positional[:3]) if is_constant(value)]
        keys += [(name, value) for name, value in list(keywords.items())[:12] if is_constant(value)]
        made = callee.then("()", marks)
        return External(made.path, made.marks, tuple(keys))

    def escape(self, machine: Machine, values: list[object], path: str) -> None:
        """Something unknown was given these values: it may read them all, and change what can be changed."""
        root = path.partition(".")[0]
        known = root in _KEEPING or root in machine.own_names
        known = known or path in machine.builtins or (root.endswith("()") and root[:-2] in machine.builtins)
        if not known or _changes(path):
            machine.havoc(values)
        if _writes(path) and not path.startswith("?"):
            return
        for value in values:
            if isinstance(value, Node):
                machine.emit("escape", None, path=machine.configurations.path_of(value.config), to=path)
            elif isinstance(value, Pairs | Items) and value.path is not None:
                machine.emit("escape", None, path=value.path, to=path)

    # -- attributes and items of libraries' values -----------------------------------------------------------------

    def attribute(self, machine: Machine, receiver: External, name: str, node: ast.AST) -> object:
        path = receiver.path
        if machine.is_replaced(f"{path}.{name}"):
            # called at once, it may still be followed
            return receiver.then(f".{name}")
        if path in MADE:
            return models_runtime.library_attribute(machine, receiver, name, node)
        if path == "sys" and name == "argv":
            return machine.argv
        if path == "sys" and name == "executable":
            return "python"
        if path == "os" and name == "environ":
            return machine.environment
        if path in ("os", "os.path") and name == "sep":
            return "/"
        if name in ("best_params", "params") and models_search.is_study(path):
            return models_search.suggested(machine)
        return receiver.then(f".{name}")

    def item(self, machine: Machine, receiver: External, key: object, node: ast.AST | None) -> object:
        if receiver.path.startswith(("wandb.", "pandas.")) and node is not None:
            machine.emit("item", node, of=receiver.path, key=key if isinstance(key, str) else None)
        if isinstance(key, str) and receiver.path.startswith(("wandb.", "datasets.", "transformers.")):
            return receiver.then(f"[{key}]" if len(key) < 40 and "." not in key else "[]")
        return receiver.then("[]")

    def set_item(self, machine: Machine, receiver: External, key: object, value: object, node: ast.AST) -> None:
        machine.emit(
            "set-item", node, of=receiver.path, key=key if isinstance(key, str) else None,
            value=describe(machine, value, 1),
        )  # fmt: skip
        if receiver.path == "sys.modules" or receiver.path.endswith(".__dict__"):
            if isinstance(key, str):
                above = receiver.path.removesuffix("__dict__") if receiver.path != "sys.modules" else ""
                machine.replace(f"{above}{key}", value, node)
            else:
                machine.doubt = True

    def set_attribute(self, machine: Machine, receiver: External, name: str, value: object, node: ast.AST) -> None:
        machine.emit("set-attribute", node, of=receiver.path, name=name, value=describe(machine, value, 1))
        if receiver.path == "sys" and name == "argv":
            machine.argv = value if machine.certainty() == "yes" else ANYTHING
            return
        machine.replace(f"{receiver.path}.{name}", value, node)

    def enter(self, machine: Machine, value: object) -> tuple[object, Callable[[], None] | None]:
        if isinstance(value, Method) and isinstance(value.receiver, Node):
            return value.receiver, models_omegaconf.flags_lifted(value.receiver, value.name)
        if isinstance(value, Instance):
            method = value.cls.method("__enter__")
            if method is not None:
                return machine.call(method.bound_to(value), [], {}, method.node), None
            return ANYTHING, None
        if isinstance(value, External | FilePath):
            return value, None
        return ANYTHING, None

    # -- methods ---------------------------------------------------------------------------------------------------

    def method(
        self,
        machine: Machine,
        callee: Method,
        positional: list[object],
        keywords: dict[str, object],
        node: ast.AST,
        is_open: bool,
    ) -> object:
        receiver, name = callee.receiver, callee.name
        call = Call(machine, positional, keywords, node, is_open, name)
        if isinstance(receiver, str):
            return models_text.text_method(call, receiver)
        if isinstance(receiver, Parser):
            return models_argparse.parser_method(call, receiver)
        if isinstance(receiver, External):
            return models_runtime.tracker_method(call, receiver)
        if name == "partial" and isinstance(receiver, tuple):
            function, given, named = receiver
            return machine.call(function, [*given, *positional], {**named, **keywords}, node, is_open=is_open)
        if is_open:
            machine.havoc([receiver, *positional, *keywords.values()])
            return ANYTHING
        if isinstance(receiver, Node):
            return models_methods.node_method(call, receiver)
        if isinstance(receiver, Pairs):
            return models_methods.pairs_method(call, receiver)
        if isinstance(receiver, Items):
            return models_methods.items_method(call, receiver)
        if isinstance(receiver, FilePath):
            return models_files.path_method(call, receiver)
        return ANYTHING

    def path_attribute(self, path: FilePath, name: str) -> object:
        return models_files.path_attribute(path, name)
