"""The functions, classes and methods of a submission that a call certainly reaches, and whether its arguments fit."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property

from assay.analysis.library_references import LibraryReferences
from assay.analysis.name_origins import How, Origins
from assay.analysis.own_modules import OwnModules, attributes_set
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend

MODULE = "torch.nn.Module"
# Bases of libraries that leave the making of an object to its `__init__`.
_PLAIN_BASES = frozenset(
    {
        "object", "abc.ABC", MODULE, "torch.utils.data.Dataset", "torch.utils.data.IterableDataset",
        "torch.utils.data.Sampler", "torch.optim.Optimizer", "torch.optim.lr_scheduler.LRScheduler",
        "torch.optim.lr_scheduler._LRScheduler", "Exception", "ValueError", "RuntimeError",
        "transformers.PreTrainedModel", "transformers.Trainer", "transformers.TrainerCallback",
    }
)  # fmt: skip
_SAME_ARGUMENTS = frozenset(
    {"torch.no_grad", "torch.inference_mode", "torch.enable_grad", "staticmethod", "classmethod"}
)
_GIVES_ITSELF = frozenset(
    {"to", "cuda", "cpu", "train", "eval", "half", "float", "double", "bfloat16", "requires_grad_"}
)
_MAX_STEPS = 8


@dataclass(frozen=True)
class OwnClass:
    """A class of the submission.

    Args:
        file: Its file.
        node: Its definition.
    """

    file: PythonFile
    node: ast.ClassDef


@dataclass(frozen=True)
class Callee:
    """What a call reaches.

    Args:
        file: The file of the definition.
        node: The function whose parameters are filled; None where the object is made without one.
        bound: Whether the first parameter is filled already.
        name: How people call it.
        fields: For a dataclass, its parameters in order and whether each has a default.
    """

    file: PythonFile
    node: FunctionNode | None
    bound: bool
    name: str
    fields: tuple[tuple[str, bool], ...] | None = None


class OwnCallables:
    """Resolution of calls within one submission."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._modules = project.shared(OwnModules)
        self._references = project.shared(LibraryReferences)
        self._chains: dict[OwnClass, tuple[list[OwnClass], frozenset[str], bool]] = {}
        self._bodies: dict[OwnClass, frozenset[str]] = {}
        self._patched = project.shared(attributes_set)
        self._files = [file for file in project.python.values() if file.tree is not None]

    def callee(self, file: PythonFile, call: ast.Call) -> Callee | None:
        """What a call certainly reaches, where it is the submission's own."""
        found = self.definition(file, call.func)
        if isinstance(found, OwnClass):
            return self._constructor(found)
        if found is not None:
            where, node = found
            if not self._keeps_arguments(where, node) or node.name in self._patched or node.name in self._stored:
                return None
            return Callee(where, node, False, node.name)
        if isinstance(call.func, ast.Attribute):
            owner = self._self_class(file, call.func.value) or self.class_of(file, call.func.value)
            return self._method(owner, call.func.attr) if owner is not None else None
        owner = self.class_of(file, call.func)
        # a hook may change the arguments
        if self._hooks:
            return None
        if owner is not None and MODULE in self.chain(owner)[1] and self._finds(owner, "__call__") is None:
            return self._method(owner, "forward")
        return None

    def definition(
        self, file: PythonFile, node: ast.expr, steps: int = _MAX_STEPS
    ) -> tuple[PythonFile, FunctionNode] | OwnClass | None:
        """The function or class that a name or `module.name` certainly stands for."""
        if steps <= 0:
            return None
        if isinstance(node, ast.Name):
            origins = self._of(file).of(node)
            return self._bound_to(file, node.id, origins[0].node, steps) if len(origins) == 1 else None
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            origins = self._of(file).of(node.value)
            if len(origins) != 1 or not isinstance(origins[0].node, ast.Import | ast.ImportFrom):
                return None
            module = next((item.target for item in file.imports if item.bound == node.value.id), "")
            other = self._modules.file_of(module)
            return self._in_module(other, node.attr, steps - 1) if other is not None else None
        return None

    def _bound_to(
        self, file: PythonFile, name: str, node: ast.AST, steps: int
    ) -> tuple[PythonFile, FunctionNode] | OwnClass | None:
        if not isinstance(file.parents.get(node), ast.Module | FunctionNode):
            return None
        if isinstance(node, FunctionNode):
            return file, node
        if isinstance(node, ast.ClassDef):
            return OwnClass(file, node)
        if isinstance(node, ast.ImportFrom):
            item = next((one for one in file.imports if one.node is node and one.bound == name), None)
            other = self._modules.file_of(item.module) if item is not None else None
            if item is None or other is None or other is file or item.name is None or item.guarded:
                return None
            return self._in_module(other, item.name, steps - 1)
        return None

    def _in_module(self, file: PythonFile, name: str, steps: int) -> tuple[PythonFile, FunctionNode] | OwnClass | None:
        if file.tree is None or steps <= 0 or name in self._patched:
            return None
        origins = self._of(file).within(file.tree, name)
        return self._bound_to(file, name, origins[0].node, steps) if len(origins) == 1 else None

    def _of(self, file: PythonFile) -> Origins:
        return self._references.origins(file)

    def class_of(self, file: PythonFile, node: ast.expr, steps: int = _MAX_STEPS) -> OwnClass | None:
        """The own class of which an expression certainly gives an object."""
        if steps <= 0:
            return None
        if isinstance(node, ast.Call):
            found = self.definition(file, node.func)
            if isinstance(found, OwnClass):
                return found if self.chain(found)[2] else None
            if isinstance(node.func, ast.Attribute) and node.func.attr in _GIVES_ITSELF:
                owner = self.class_of(file, node.func.value, steps - 1)
                known = owner is not None and MODULE in self.chain(owner)[1] and not self._finds(owner, node.func.attr)
                return owner if known else None
        elif isinstance(node, ast.Name):
            origins = self._of(file).of(node)
            if len(origins) == 1 and origins[0].how is How.VALUE and origins[0].expression is not None:
                return self.class_of(file, origins[0].expression, steps - 1)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            stores = self._stores.get(node.attr, [])
            owner_node = next((up for up in file.ancestors(node) if isinstance(up, ast.ClassDef)), None)
            if len(stores) == 1 and stores[0][0] is file and owner_node is not None:
                store = stores[0][1]
                function = file.function_of(store)
                parent = file.parents.get(store)
                made = function is not None and function.name == "__init__" and file.parents.get(function) is owner_node
                if made and isinstance(parent, ast.Assign) and parent.targets == [store]:
                    return self.class_of(file, parent.value, steps - 1)
        return None

    def _self_class(self, file: PythonFile, node: ast.expr) -> OwnClass | None:
        """The class that `self` is an object of, in a plain method that does not rebind it."""
        if not isinstance(node, ast.Name):
            return None
        method = file.function_of(node)
        while method is not None and not isinstance(file.parents.get(method), ast.ClassDef):
            method = file.function_of(method)
        if method is None or not method.args.args or method.args.args[0].arg != node.id:
            return None
        owner = file.parents[method]
        plain = not any(file.qualified(item) in ("staticmethod", "classmethod") for item in method.decorator_list)
        alone = len(self._of(file).of(node)) == 1
        return OwnClass(file, owner) if plain and alone and isinstance(owner, ast.ClassDef) else None

    def chain(self, owner: OwnClass) -> tuple[list[OwnClass], frozenset[str], bool]:
        """A class with its own bases, the library bases, and whether all of them are known and plain."""
        if owner not in self._chains:
            self._chains[owner] = self._chain(owner)
        return self._chains[owner]

    def _chain(self, owner: OwnClass) -> tuple[list[OwnClass], frozenset[str], bool]:
        found: list[OwnClass] = []
        libraries: set[str] = set()
        plain = True
        pending = [owner]
        while pending and len(found) < 30:
            one = pending.pop(0)
            if one in found:
                continue
            found.append(one)
            if one.node.keywords or one.node.decorator_list:
                plain = (
                    plain and not one.node.keywords and all(self._is_dataclass(one, d) for d in one.node.decorator_list)
                )
            for base in one.node.bases:
                target = self.definition(one.file, base)
                if isinstance(target, OwnClass):
                    pending.append(target)
                    continue
                name = self._references.path_of(one.file, base) or (base.id if isinstance(base, ast.Name) else "")
                libraries.add(name or "?")
                plain = plain and name in _PLAIN_BASES
        return found, frozenset(libraries), plain

    def _is_dataclass(self, owner: OwnClass, decorator: ast.expr) -> bool:
        return self._references.path_of(owner.file, decorator) == "dataclasses.dataclass"

    def _finds(self, owner: OwnClass, name: str) -> tuple[OwnClass, FunctionNode] | None:
        """The one definition of a method in a class or its own bases; None where there is none, or several in one."""
        for one in self.chain(owner)[0]:
            found = [item for item in one.node.body if isinstance(item, FunctionNode) and item.name == name]
            if found:
                return (one, found[0]) if len(found) == 1 else None
        return None

    def defines(self, owner: OwnClass, name: str) -> bool:
        """Whether a class or one of its own bases has something of this name in its body."""
        return any(name in self._body(one) for one in self.chain(owner)[0])

    def _body(self, owner: OwnClass) -> frozenset[str]:
        """The names that the body of a class binds, under branches too."""
        if owner not in self._bodies:
            self._bodies[owner] = frozenset(name for item in owner.node.body for name in _bound(item))
        return self._bodies[owner]

    def _constructor(self, owner: OwnClass) -> Callee | None:
        chain, libraries, plain = self.chain(owner)
        if not plain or self._finds(owner, "__new__") is not None:
            return None
        if owner.node.decorator_list:
            fields = _fields(owner.node) if len(chain) == 1 and not libraries else None
            return Callee(owner.file, None, True, owner.node.name, fields) if fields is not None else None
        if any(one.node.decorator_list for one in chain):
            return None
        made = self._finds(owner, "__init__")
        if made is not None:
            return Callee(made[0].file, made[1], True, owner.node.name) if not made[1].decorator_list else None
        if any(self.defines(owner, name) for name in ("__init__", "__new__")) or libraries - {"object", "abc.ABC"}:
            return None
        return Callee(owner.file, None, True, owner.node.name, ())

    def _method(self, owner: OwnClass, name: str) -> Callee | None:
        found = self._finds(owner, name)
        if found is None or name in self._stored or name in self._patched:
            return None
        where, node = found
        above = self.chain(owner)[0]
        # `self` may be an object of a class that is derived from this one
        if any(other not in above and self.defines(other, name) for other in self.derived(where)):
            return None
        again = any(item is not node and name in _bound(item) for item in where.node.body)
        if again or not self._keeps_arguments(where.file, node):
            return None
        static = any(where.file.qualified(item) == "staticmethod" for item in node.decorator_list)
        return Callee(where.file, node, not static, f"{owner.node.name}.{name}")

    def _keeps_arguments(self, file: PythonFile, node: FunctionNode) -> bool:
        made = (item.func if isinstance(item, ast.Call) else item for item in node.decorator_list)
        return all(file.qualified(item) in _SAME_ARGUMENTS for item in made)

    @cached_property
    def _hooks(self) -> bool:
        """Whether something is called before the `forward` of a module."""
        names = ("register_forward_pre_hook", "register_module_forward_pre_hook")
        return any(name.rpartition(".")[2] in names for file in self._files for _, name in file.calls)

    @cached_property
    def _classes(self) -> list[OwnClass]:
        return [OwnClass(file, node) for file in self._files for node in file.classes]

    @cached_property
    def _derived(self) -> dict[OwnClass, list[OwnClass]]:
        """The classes of the submission that are derived from each, at any distance."""
        found: dict[OwnClass, list[OwnClass]] = {}
        for one in self._classes:
            for base in self.chain(one)[0][1:]:
                found.setdefault(base, []).append(one)
        return found

    def derived(self, owner: OwnClass) -> list[OwnClass]:
        """The classes of the submission that are derived from one, at any distance."""
        return self._derived.get(owner, [])

    @property
    def classes(self) -> list[OwnClass]:
        """Every class of the submission."""
        return self._classes

    @cached_property
    def _stores(self) -> dict[str, list[tuple[PythonFile, ast.Attribute]]]:
        found: dict[str, list[tuple[PythonFile, ast.Attribute]]] = {}
        for file in self._files:
            for node in file.nodes_of(ast.Attribute):
                if not isinstance(node.ctx, ast.Load):
                    found.setdefault(node.attr, []).append((file, node))
        return found

    @cached_property
    def _stored(self) -> frozenset[str]:
        """Names that some place assigns as attributes, by `setattr` too."""
        names = set(self._stores)
        for file in self._files:
            for call, name in file.calls:
                if name == "setattr" and len(call.args) > 1 and isinstance(call.args[1], ast.Constant):
                    names.add(str(call.args[1].value))
        return frozenset(names)


def misfit(callee: Callee, call: ast.Call) -> str:
    """How the arguments of a call do not fit, in a few words; empty where they do or that cannot be told."""
    if any(isinstance(item, ast.Starred) for item in call.args) or any(item.arg is None for item in call.keywords):
        return ""
    named = [item.arg for item in call.keywords if item.arg is not None]
    if callee.node is None:
        fields = callee.fields or ()
        return _misfit(
            [name for name, _ in fields], [name for name, has in fields if not has], set(), len(call.args), named,
            many=False, any_name=False, only_placed=0,
        )  # fmt: skip
    arguments = callee.node.args
    placed = [item.arg for item in (*arguments.posonlyargs, *arguments.args)]
    needed = placed[: len(placed) - len(arguments.defaults)]
    skip = 1 if callee.bound else 0
    if len(placed) < skip:
        return ""
    by_name = {item.arg for item in arguments.kwonlyargs}
    needed_by_name = [
        item.arg for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None
    ]
    return _misfit(
        placed[skip:], [*needed[skip:], *needed_by_name], by_name, len(call.args), named,
        many=arguments.vararg is not None, any_name=arguments.kwarg is not None,
        only_placed=max(len(arguments.posonlyargs) - skip, 0),
    )  # fmt: skip


def _misfit(
    placed: list[str], needed: list[str], by_name: set[str], given: int, named: list[str], *, many: bool,
    any_name: bool, only_placed: int,
) -> str:  # fmt: skip
    if given > len(placed) and not many:
        return f"it takes {len(placed)} positional arguments and gets {given}"
    filled = placed[:given]
    for name in named:
        if name in filled[only_placed:]:
            return f"it gets `{name}` twice"
        if name not in placed[only_placed:] and name not in by_name and not any_name:
            return f"it takes no argument `{name}`"
    missing = [name for name in needed if name not in filled and name not in named]
    if missing:
        return "it does not get " + ", ".join(f"`{name}`" for name in missing[:4])
    return ""


def _fields(node: ast.ClassDef) -> tuple[tuple[str, bool], ...] | None:
    """The parameters of a plain dataclass; None where they are not plain."""
    if any(isinstance(item, ast.Call) for item in node.decorator_list):
        return None
    found: list[tuple[str, bool]] = []
    for item in node.body:
        if isinstance(item, FunctionNode) and item.name in ("__init__", "__new__"):
            return None
        if isinstance(item, ast.AnnAssign):
            words = {getattr(node, "id", getattr(node, "attr", "")) for node in descend(item.annotation)}
            if not isinstance(item.target, ast.Name) or words & {"ClassVar", "KW_ONLY"}:
                return None
            called = isinstance(item.value, ast.Call)
            if (
                called
                and isinstance(item.value, ast.Call)
                and any(k.arg in ("init", "kw_only") for k in item.value.keywords)
            ):
                return None
            found.append((item.target.id, item.value is not None))
    return tuple(found)


def _bound(item: ast.stmt) -> list[str]:
    """The names that a statement of a class body binds, under a branch too."""
    found: list[str] = []
    pending: list[ast.AST] = [item]
    while pending:
        node = pending.pop()
        if isinstance(node, FunctionNode | ast.ClassDef):
            found.append(node.name)
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append(node.id)
        elif isinstance(node, ast.alias):
            found.append(node.asname or node.name)
        pending.extend(ast.iter_child_nodes(node))
    return found
