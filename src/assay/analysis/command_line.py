"""How a program takes its command line: the parser it builds, as far as its text shows."""

from __future__ import annotations

import ast
import sys
from functools import cached_property
from typing import NamedTuple

from assay.analysis.configuration_loading import HYDRA_ENTRIES
from assay.analysis.import_time import is_unconditional
from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend, keyword, string_value

# Modules that read the command line themselves; argparse is looked at more closely.
_OTHER_PARSERS = frozenset(
    {
        "absl", "argh", "argparse_dataclass", "cappa", "chz", "cleo", "click", "clize", "configargparse", "cyclopts",
        "datargs", "defopt", "docopt", "draccus", "fileinput", "fire", "getopt", "gin", "hydra_zen", "invoke",
        "jsonargparse", "ml_collections", "optparse", "plac", "pydantic_argparse", "pydantic_settings", "pyrallis",
        "sacred", "simple_parsing", "tap", "typed_argparse", "typer", "tyro",
    }
)  # fmt: skip
_LIBRARY_PARSERS = ("HfArgumentParser", "LightningCLI", "OmegaConf.from_cli", "OmegaConf.from_dotlist")
# Imports beside the standard library that leave the command line alone, and the part of it that may not.
_LEAVE_IT_ALONE = frozenset(
    {
        "accelerate", "datasets", "dotenv", "evaluate", "joblib", "matplotlib", "numba", "numpy", "omegaconf", "optuna",
        "pandas", "PIL", "requests", "scipy", "seaborn", "sklearn", "src", "torch", "torchvision", "tqdm",
        "transformers", "wandb", "yaml",
    }
)  # fmt: skip
_MAY_RUN_OTHERS = frozenset({"argparse", "code", "importlib", "runpy", "unittest"})
_RUNNERS = frozenset({"__import__", "exec", "eval"})

_PARSING = frozenset({"parse_args", "parse_known_args", "parse_intermixed_args", "parse_known_intermixed_args"})
_GROUPS = frozenset({"add_argument_group", "add_mutually_exclusive_group"})
_TELLING = frozenset({"error", "exit", "print_help", "print_usage", "format_help", "format_usage"})
_USUAL_METHODS = _GROUPS | _TELLING | {"add_argument", "parse_args"}
_PLAIN_OPTIONS = frozenset({"prog", "description", "epilog", "usage", "formatter_class"})
_FLAG_ACTIONS = frozenset({"store_true", "store_false", "store_const", "append_const", "count"})
_VALUE_TYPES = frozenset({"str", "int", "float", "bool", "Path", "pathlib.Path", "json.loads"})
_SHOWING = (
    "print", ".info", ".warning", ".error", ".debug", "ArgumentParser", "add_argument", "exit", "Error",
)  # fmt: skip


class Argument(NamedTuple):
    """One `add_argument` call.

    Args:
        names: The names as written; a positional argument has one without a leading dash.
        call: The call.
    """

    names: tuple[str, ...]
    call: ast.Call

    @property
    def group(self) -> str:
        """The name of what it is added to, a parser or a group; empty where that has none."""
        return _last_part(getattr(self.call.func, "value", None))

    @property
    def positional(self) -> bool:
        return not self.names[0].startswith("-")

    @property
    def nargs(self) -> object:
        """How many values it takes, as written; None for one, and the expression where that is computed."""
        value = keyword(self.call, "nargs")
        return value.value if isinstance(value, ast.Constant) else value

    @property
    def required(self) -> bool:
        """Whether the parser certainly refuses a command line without it."""
        if self.positional:
            return self.nargs is None
        value = keyword(self.call, "required")
        return isinstance(value, ast.Constant) and value.value is True

    @property
    def takes_value(self) -> bool | None:
        """Whether a value has to follow an option; None where that cannot be told."""
        action = keyword(self.call, "action")
        if action is None:
            return True if self.nargs is None else None
        name = string_value(action)
        return None if name is None else name not in _FLAG_ACTIONS


class CommandLine:
    """The command line of one Python file.

    Attributes:
        file: The file.
        parsers: The argparse parsers that it builds.
        arguments: The arguments whose names are written out.
        reads_argv: The places that name `sys.argv`.
    """

    def __init__(self, file: PythonFile) -> None:
        self.file = file
        self.parsers = [call for call, name in file.calls if name.endswith("argparse.ArgumentParser")]
        self._methods = [(call, call.func) for call, _ in file.calls if isinstance(call.func, ast.Attribute)]
        self._adding = [call for call, method in self._methods if method.attr == "add_argument"]
        self._parsing = [call for call, method in self._methods if method.attr in _PARSING]
        named = [([string_value(node) for node in call.args], call) for call in self._adding]
        self.arguments = [
            Argument(tuple(name for name in names if name), call) for names, call in named if names and all(names)
        ]
        self.reads_argv = [node for node in file.nodes_of(ast.Attribute, ast.Name) if self._is_argv(node)]

    @cached_property
    def other_style(self) -> str:
        """Another way by which the command line is or may be taken; empty where none shows."""
        roots = (item.module.partition(".")[0] for item in self.file.imports)
        names = (name for _, name in self.file.calls if name in HYDRA_ENTRIES or name.endswith(_LIBRARY_PARSERS))
        return next((root for root in roots if root in _OTHER_PARSERS), "") or next(names, "")

    @property
    def takes_none(self) -> bool:
        """Whether nothing in the file reads a command line, and nothing that it imports is known to, or unknown."""
        known = (sys.stdlib_module_names | _LEAVE_IT_ALONE) - _MAY_RUN_OTHERS
        return (
            self.file.tree is not None
            and "argv" not in self.file.text
            and not self.other_style
            and all(item.module.partition(".")[0] in known for item in self.file.imports)
            and not any(name in _RUNNERS for _, name in self.file.calls)
        )

    @cached_property
    def dynamic(self) -> str:
        """Why the parser cannot be read off the text; empty where it can."""
        if len(self.parsers) != 1:
            return "not one argparse parser"
        if any(item.arg not in _PLAIN_OPTIONS for item in self.parsers[0].keywords):
            return "a parser with options of its own"
        if len(self.arguments) != len(self._adding):
            return "an argument whose name is computed"
        for argument in self.arguments:
            if any(item.arg is None for item in argument.call.keywords):
                return "an argument with computed options"
            if argument.positional and argument.nargs not in (None, "?"):
                return "a positional argument that takes several values"
        if len(self._parsing) != 1:
            return "not one place that parses"
        for call in (*self._adding, *self._parsing):
            if not is_unconditional(self.file, call, self.file.function_of(call), program=True):
                return "a parser that depends on a condition"
        homes = {self.file.function_of(call) for call in (*self.parsers, *self._adding, *self._parsing)}
        if len(homes) != 1 or self._is_passed_on(homes.pop() or self.file.nodes[0]):
            return "a parser that other code completes"
        if not all(self._are_plain_words(node) for node in _given(self._parsing[0])):
            return "a parser that is given other arguments"
        return "" if all(self._leaves_alone(node) for node in self.reads_argv) else "the list of arguments is changed"

    @cached_property
    def may_take_pairs(self) -> bool:
        """Whether something in the file could take the text `key=value` apart.

        Another style of command line could, a `type` or `action` of its own, a slice `text[8:]`, and any text with
        `=` or `[` in it, apart from rulers such as `"=" * 60`, docstrings, keys, parts of labels, and what is printed.
        """
        if self.other_style or any(self._is_converted(argument) for argument in self.arguments):
            return True
        return any(
            self._is_cut(node) or self._is_separator(node) for node in self.file.nodes_of(ast.Subscript, ast.Constant)
        )

    def _is_argv(self, node: ast.AST) -> bool:
        return self.file.qualified(node) == "sys.argv"

    def _is_converted(self, argument: Argument) -> bool:
        kind, action = keyword(argument.call, "type"), keyword(argument.call, "action")
        own_type = kind is not None and self.file.qualified(kind) not in _VALUE_TYPES
        return own_type or (action is not None and string_value(action) is None)

    def _is_cut(self, node: ast.AST) -> bool:
        """Whether a node is `text[8:]`, of anything but `sys.argv`."""
        cut = node.slice if isinstance(node, ast.Subscript) and not self._is_argv(node.value) else None
        return isinstance(cut, ast.Slice) and isinstance(cut.lower, ast.Constant) and cut.upper is None

    def _is_separator(self, node: ast.AST) -> bool:
        text = string_value(node)
        if text is None or not ("=" in text or "[" in text or text == '"'):
            return False
        parent = self.file.parents.get(node)
        if isinstance(parent, ast.JoinedStr):
            return parent.values[-1] is node and text.endswith("=")
        if isinstance(parent, ast.keyword):
            parent = self.file.parents.get(parent)
        shown = isinstance(parent, ast.Call) and self.file.qualified(parent.func).endswith(_SHOWING)
        repeated = isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult)
        ruler = repeated or (len(text) > 1 and not text.strip("="))
        return not (shown or ruler or isinstance(parent, ast.Expr | ast.Dict))

    def _is_passed_on(self, home: ast.AST) -> bool:
        """Whether its function uses the parser or a group for anything but a call of one of its usual methods."""
        parents = self.file.parents
        called = {method for _, method in self._methods}
        made = {*self.parsers, *(call for call, method in self._methods if method.attr in _GROUPS)}
        targets = [target for call in made for target in getattr(parents[call], "targets", [])]
        users = [method.value for method in called if method.attr in _USUAL_METHODS - _TELLING]
        names = {node.id for node in (*targets, *users) if isinstance(node, ast.Name)}
        for node in descend(home):
            if isinstance(node, ast.Global | ast.Nonlocal) and names & set(node.names):
                return True
            if node in made or (isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)):
                use = parents[node]
                asked = isinstance(use, ast.Attribute) and use in called and use.attr in _USUAL_METHODS
                given = use.targets if isinstance(use, ast.Assign) else [None]
                if not asked and not all(isinstance(target, ast.Name) and target.id in names for target in given):
                    return True
        return False

    def _are_plain_words(self, node: ast.expr) -> bool:
        """Whether a parser is given all arguments: by None, `sys.argv[1:]`, or a parameter that holds either."""
        function = self.file.function_of(node)
        if function is None or not isinstance(node, ast.Name):
            return self._are_all_words(node)
        parameters = {parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)}
        read = [inner for inner in descend(function) if isinstance(inner, ast.Name) and inner.id == node.id]
        if node.id not in parameters or read != [node] or function.decorator_list:
            return False
        for other in self.file.nodes:
            if _last_part(other) == function.name:
                called = self.file.parents[other]
                if not isinstance(called, ast.Call) or called.func is not other:
                    return False
                if not all(self._are_all_words(value) for value in _given(called)):
                    return False
        return all(self._are_all_words(value) for value in function.args.defaults)

    def _are_all_words(self, node: ast.AST) -> bool:
        """Whether an expression is None or `sys.argv[1:]`, a copy of all arguments."""
        if isinstance(node, ast.Constant):
            return node.value is None
        cut = node.slice if isinstance(node, ast.Subscript) and self._is_argv(node.value) else None
        start = cut.lower if isinstance(cut, ast.Slice) and cut.upper is cut.step is None else None
        return isinstance(start, ast.Constant) and start.value == 1

    def _leaves_alone(self, node: ast.AST) -> bool:
        """Whether a use of `sys.argv` copies all arguments, or only shows them."""
        around = self.file.parents[node]
        if isinstance(getattr(around, "ctx", None), ast.Load) and self._are_all_words(around):
            return True
        calls = [up.func for up in self.file.ancestors(node) if isinstance(up, ast.Call)]
        shown = all(_last_part(func) in ("print", "info", "debug", "join") for func in calls)
        return bool(calls) and shown and not isinstance(around, ast.Attribute)


def reads_no_arguments(project: Project, file: PythonFile) -> bool:
    """Whether neither a file that is a program nor anything of the submission that it imports reads a command line."""
    files = [file, *reached_files(project, file)]
    return len(file.nodes) > 1 and all(other.shared(CommandLine).takes_none for other in files)


def _given(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(item.value for item in call.keywords)]


def _last_part(node: ast.AST | None) -> str:
    """The last part of a dotted name; empty for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
