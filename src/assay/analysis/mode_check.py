"""Whether a program certainly asks for its mode, and certainly refuses every mode but trial and full.

This is a proof: it takes only what it knows. A program that does the same in another way is not refuted by it.
"""

from __future__ import annotations

import ast

from assay import yaml_tree
from assay.analysis.hydra_entry import HydraEntry, hydra_entry
from assay.analysis.import_time import When, when
from assay.analysis.own_imports import reached_files
from assay.analysis.own_library import EXPERIMENT, is_hidden
from assay.analysis.project import Project, YamlFile
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value

MODES = frozenset({"trial", "full"})
# what may be called before the mode is asked for: it starts nothing and changes no value of the configuration
_HARMLESS = frozenset(
    {"print", "str", "repr", "len", "sorted", "list", "tuple", "set", "frozenset", "dict", "pathlib.Path",
     "os.getcwd", "omegaconf.OmegaConf.to_yaml", "omegaconf.OmegaConf.set_struct",
     "omegaconf.OmegaConf.set_readonly", "omegaconf.OmegaConf.resolve", "hydra.utils.get_original_cwd",
     "logging.getLogger", "logging.basicConfig", "warnings.filterwarnings", "re.compile", "torch.device",
     "torch.cuda.is_available", "torch.no_grad", "matplotlib.use", "os.path.join", "os.path.dirname",
     "os.path.abspath", "os.environ.setdefault", "os.environ.get", "os.getenv", "dataclasses.dataclass",
     "dataclasses.field", "hydra.main"}
)  # fmt: skip
_PLAIN_METHODS = frozenset({"resolve", "absolute", "join", "format"})
_ERRORS = frozenset(
    {"ValueError", "SystemExit", "RuntimeError", "KeyError", "TypeError", "NotImplementedError",
     "AssertionError", "Exception"}
)  # fmt: skip
# settings of Hydra's own that cannot change what the command line says
_OWN_SETTINGS = frozenset({"run", "sweep", "output_subdir", "verbose", "job_logging", "hydra_logging"})
_DECORATORS = frozenset(
    {
        "staticmethod",
        "classmethod",
        "property",
        "dataclasses.dataclass",
        "abc.abstractmethod",
        "torch.no_grad",
        EXPERIMENT,
    }
)
# methods that Python calls by itself when a class is made, or a name is looked for
_HOOKS = frozenset({"__init_subclass__", "__set_name__", "__class_getitem__", "__getattr__", "__prepare__"})
_RELIED_ON = frozenset({name.partition(".")[0] for name in _HARMLESS} | {"Path", "OmegaConf"})


def unproved_mode_check(project: Project) -> str:
    """Why it is not proved that the mode is required and checked; empty where it is."""
    entry = hydra_entry(project.role("main"))
    if entry is None or not entry.certain or entry.function is None:
        return "main does not certainly start with a configuration that Hydra composes"
    if entry.by_library:
        # it asks for the mode, and refuses every other, before anything is composed
        is_group = any("/mode/" in f"/{path}" for path in project.yaml)
        return "the mode is a group of configurations" if is_group else unproved_start(project, entry)
    config = project.yaml.get(project.contract.role("config") or "")
    named = f"{entry.config_dir}/{entry.config_name}".removesuffix(".yaml")
    if config is None or named != config.path.removesuffix(".yaml"):
        return "main starts with another configuration than config.yaml"
    if fault := _unproved_configuration(project, config):
        return fault
    return unproved_start(project, entry) or _unproved_function(entry.file, entry.function)


def unproved_start(project: Project, entry: HydraEntry) -> str:
    """Why it is not proved that a program does nothing before its entry, and means by names what they say."""
    if entry.by_library and is_hidden(project.submission.files):
        return "the submission has a file or folder of the name of the library"
    packages = [file for path, file in project.python.items() if path.endswith("__init__.py")]
    for file in dict.fromkeys([entry.file, *reached_files(project, entry.file), *packages]):
        open_names = any(item.name == "*" for item in file.imports)
        if file.tree is None or open_names or _rebound(file) & (_RELIED_ON | _HOOKS):
            return f"{file.path} may change what main means by its names"
        if not _is_quiet_at_import(file, entry):
            return f"{file.path} does something when it is imported"
    if _RELIED_ON & {part for path in project.python for part in path.removesuffix(".py").split("/")}:
        return "a file of the submission may stand in for a library"
    return ""


def _unproved_configuration(project: Project, config: YamlFile) -> str:
    root = config.root
    mode = yaml_tree.find(root, "mode")
    if not isinstance(root, yaml_tree.Mapping) or not isinstance(mode, yaml_tree.Scalar) or mode.text != "???":
        return "config.yaml does not ask for the mode with ???"
    keys = [key.text for key, _ in root.pairs if isinstance(key, yaml_tree.Scalar)]
    if len(keys) != len(root.pairs) or "<<" in keys or keys.count("mode") > 1:
        return "config.yaml does not ask for the mode with ???"
    defaults = root.get("defaults")
    entries = defaults.items if isinstance(defaults, yaml_tree.Sequence) else [] if defaults is None else [defaults]
    for entry in entries:
        pairs = entry.pairs if isinstance(entry, yaml_tree.Mapping) else [(entry, entry)]
        names = [part.text for pair in pairs for part in pair if isinstance(part, yaml_tree.Scalar)]
        if any("mode" in name or "@" in name or "://" in name for name in names) or not names:
            return "the defaults list may set the mode"
    hydra = root.get("hydra")
    if hydra is not None and (
        not isinstance(hydra, yaml_tree.Mapping)
        or not all(isinstance(key, yaml_tree.Scalar) and key.text in _OWN_SETTINGS for key, _ in hydra.pairs)
    ):
        return "settings of Hydra may change the command line"
    for path, file in project.yaml.items():
        if file is config or file.root is None:
            continue
        pairs = file.root.pairs if isinstance(file.root, yaml_tree.Mapping) else []
        names = [key.text for key, _ in pairs if isinstance(key, yaml_tree.Scalar)]
        if not isinstance(file.root, yaml_tree.Mapping) or {"mode", "<<", "hydra", "defaults"} & set(names):
            return f"{path} may set the mode"
        if "/mode/" in path:
            return "the mode is a group of configurations"
    return ""


def _rebound(file: PythonFile) -> set[str]:
    """Names that a file gives a value by itself, other than by importing them."""
    names = {node.id for node in file.nodes_of(ast.Name) if not isinstance(node.ctx, ast.Load)}
    names |= {node.arg for node in file.nodes_of(ast.arg)}
    return names | {node.name for node in [*file.functions, *file.classes]}


def _is_quiet_at_import(file: PythonFile, entry: HydraEntry) -> bool:
    """Whether a file starts nothing, and changes nothing but itself, as long as none of its functions is called."""
    for node in file.nodes:
        changes = isinstance(node, ast.AugAssign | ast.Delete | ast.Await | ast.NamedExpr) or (
            isinstance(node, ast.Attribute | ast.Subscript)
            and not isinstance(node.ctx, ast.Load)
            and not (isinstance(node, ast.Subscript) and file.qualified(node.value) == "os.environ")
        )
        calls = isinstance(node, ast.Call) and not _is_harmless(file, node) and not _is_start(file, node, entry)
        decorates = isinstance(node, FunctionNode | ast.ClassDef) and not all(
            isinstance(one, ast.Call) or file.qualified(one) in _DECORATORS for one in node.decorator_list
        )
        if (changes or calls or decorates) and _runs_at_once(file, node, entry):
            return False
    return True


def _is_start(file: PythonFile, call: ast.Call, entry: HydraEntry) -> bool:
    """Whether a call hands the program over to Hydra."""
    named = isinstance(call.func, ast.Name) and entry.function is not None and call.func.id == entry.function.name
    return file is entry.file and named and not call.args and not call.keywords


def _runs_at_once(file: PythonFile, node: ast.AST, entry: HydraEntry) -> bool:
    """Whether a node may run without a call of the function that it stands in."""
    if when(file, node) is not When.IN_FUNCTION:
        return True
    return file is entry.file and not any(isinstance(up, FunctionNode | ast.Lambda) for up in file.ancestors(node))


def _is_harmless(file: PythonFile, call: ast.Call) -> bool:
    name = file.qualified(call.func)
    if name in _HARMLESS:
        return True
    # of a path or a text, and of no object that might be anything
    method = call.func if isinstance(call.func, ast.Attribute) else None
    return method is not None and method.attr in _PLAIN_METHODS and isinstance(method.value, ast.Call | ast.Constant)


def _starts_something(file: PythonFile, statement: ast.AST) -> bool:
    """Whether a statement calls anything that is not known to be harmless."""
    for node in descend(statement):
        if isinstance(node, ast.Call) and not _is_harmless(file, node):
            return True
        if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
            return True
    return False


def _unproved_function(file: PythonFile, function: FunctionNode) -> str:
    arguments = function.args
    if (
        not isinstance(function, ast.FunctionDef)
        or len(arguments.args) != 1
        or arguments.posonlyargs
        or arguments.vararg
    ):
        return "the function that Hydra calls takes more than the configuration"
    held = _Held(arguments.args[0].arg)
    for statement in function.body:
        if _refuses(file, statement, held):
            return ""
        if isinstance(statement, ast.Expr) and not _starts_something(file, statement):
            continue
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or _starts_something(file, statement):
            break
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if len(names) != len(targets) or held.configuration in names or statement.value is None:
            break
        held.names = (held.names | names) if held.is_mode(statement.value) else held.names - names
    return "the first thing that main does is not to refuse every mode but trial and full"


class _Held:
    """What holds the mode within a function."""

    def __init__(self, configuration: str) -> None:
        self.configuration = configuration
        self.names: set[str] = set()

    def is_mode(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self.names
        if isinstance(node, ast.Subscript):
            return self._is_configuration(node.value) and string_value(node.slice) == "mode"
        return isinstance(node, ast.Attribute) and node.attr == "mode" and self._is_configuration(node.value)

    def _is_configuration(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self.configuration


def _refuses(file: PythonFile, statement: ast.stmt, held: _Held) -> bool:
    """Whether a statement lets nothing pass but the two modes."""
    if not isinstance(statement, ast.If):
        return False
    test = statement.test
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.NotIn):
        words = test.comparators[0]
        items = words.elts if isinstance(words, ast.Tuple | ast.List | ast.Set) else []
        return (
            held.is_mode(test.left) and {string_value(item) for item in items} == MODES and _stops(file, statement.body)
        )
    asked: set[str | None] = set()
    step: ast.stmt = statement
    while isinstance(step, ast.If):
        test = step.test
        if not (
            isinstance(test, ast.Compare)
            and len(test.ops) == 1
            and isinstance(test.ops[0], ast.Eq)
            and held.is_mode(test.left)
        ):
            return False
        asked.add(string_value(test.comparators[0]))
        if len(step.orelse) == 1 and isinstance(step.orelse[0], ast.If):
            step = step.orelse[0]
            continue
        return asked == MODES and _stops(file, step.orelse)
    return False


def _stops(file: PythonFile, body: list[ast.stmt]) -> bool:
    """Whether statements do nothing but say something and raise an error."""
    *before, last = body or [ast.Pass()]
    if not all(isinstance(one, ast.Expr) and not _starts_something(file, one) for one in before):
        return False
    if not isinstance(last, ast.Raise) or not isinstance(last.exc, ast.Call) or not isinstance(last.exc.func, ast.Name):
        return False
    given = [*last.exc.args, *(item.value for item in last.exc.keywords), *([last.cause] if last.cause else [])]
    rebound = _rebound(file) | {item.bound for item in file.imports}
    is_error = last.exc.func.id in _ERRORS and last.exc.func.id not in rebound
    return is_error and bool(given) and not any(_starts_something(file, one) for one in given)
