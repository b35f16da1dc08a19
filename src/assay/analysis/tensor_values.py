"""What the names of training code hold: optimizers, schedulers, scalers, modules, and tensors with or without a graph.

Everything here reads bindings by name, in all their places at once and without regard to order. An answer is given
only where every binding agrees; a name that a caller, a loop or a nested function may change has none. Walks follow
bindings and calls to a small depth, never a whole tree.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, TypeVar

from assay.analysis.name_uses import used_names
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, keyword

MAX_STEPS = 12
_T = TypeVar("_T")
_Seen = frozenset[tuple[int, str]]
_MOST_BINDINGS = 40

GRADIENT_OFF = frozenset(
    {
        "torch.no_grad",
        "torch.inference_mode",
        "torch.autograd.no_grad",
        "torch.autograd.inference_mode",
        "torch.autograd.grad_mode.no_grad",
        "torch.autograd.grad_mode.inference_mode",
    }
)
GRADIENT_ON = frozenset({"enable_grad", "set_grad_enabled"})

# Tensors made from sizes or from numbers: leaves without a graph (https://pytorch.org/docs/stable/torch.html,
# "Creation Ops").
_CREATIONS = frozenset(
    f"torch.{name}"
    for name in (
        "tensor", "zeros", "ones", "empty", "full", "arange", "linspace", "logspace", "eye", "rand", "randn",
        "randint", "randperm", "from_numpy", "zeros_like", "ones_like", "empty_like", "rand_like", "randn_like",
        "FloatTensor", "LongTensor",
    )
)  # fmt: skip
# Functions of torch and methods of tensors whose result depends on their arguments alone.
_OPERATIONS = frozenset(
    {
        "abs", "add", "amax", "amin", "argmax", "as_tensor", "asarray", "bmm", "cat", "clamp", "clone", "concat",
        "contiguous", "cosine_similarity", "cpu", "cross_entropy", "cuda", "div", "einsum", "exp", "expand",
        "flatten", "float", "double", "half", "bfloat16", "gather", "kl_div", "l1_loss", "log", "log_softmax",
        "logsumexp", "masked_fill", "matmul", "max", "maximum", "mean", "median", "min", "minimum", "mse_loss", "mul",
        "mv", "mm", "nll_loss", "norm", "permute", "pow", "prod", "relu", "reshape", "scatter", "sigmoid",
        "smooth_l1_loss", "softmax", "softplus", "sqrt", "square", "squeeze", "stack", "std", "sub", "sum", "tanh",
        "to", "transpose", "type", "unsqueeze", "var", "view", "where", "binary_cross_entropy",
        "binary_cross_entropy_with_logits", "clamp_min", "clamp_max", "neg", "dot", "item",
    }
)  # fmt: skip
# Those that may hand back the very tensor, or a view of it, which keeps asking for gradients.
_ALIASES = frozenset(
    {
        "as_tensor", "asarray", "bfloat16", "contiguous", "cpu", "cuda", "double", "expand", "flatten", "float", "half",
        "permute", "reshape", "squeeze", "to", "transpose", "type", "unsqueeze", "view",
    }
)  # fmt: skip
_NUMBERS = frozenset({"float", "int", "len", "round", "bool", "str"})
_CUTTING_METHODS = frozenset({"item", "tolist", "detach", "numpy"})
_PLACING = frozenset({"to", "cuda", "cpu", "train", "eval", "float", "half", "bfloat16", "double", "requires_grad_"})
_MODULE_BASES = ("torch.nn.", "transformers.PreTrainedModel", "lightning.", "pytorch_lightning.")


@dataclass(frozen=True, slots=True, eq=False)
class Binding:
    """One place that gives a name its value.

    Args:
        node: The statement.
        value: The expression; None where the value cannot be read (a loop variable, a parameter).
        item: Its place, where a sequence is unpacked.
        augmented: Whether it changes the value (`+=`) and does not replace it.
    """

    node: ast.AST
    value: ast.expr | None
    item: int | None = None
    augmented: bool = False


@dataclass(eq=False)
class Scope:
    """A function's own code, or a module's, without the functions and classes in it."""

    file: PythonFile
    function: FunctionNode | None
    nodes: list[ast.AST] = field(default_factory=list)

    @cached_property
    def bindings(self) -> dict[str, list[Binding]]:
        """Every binding of each local name; parameters count as unreadable ones."""
        found: dict[str, list[Binding]] = {}
        for name in self.parameters:
            found.setdefault(name, []).append(Binding(self.function or ast.Pass(), None))
        for node in self.nodes:
            for name, binding in _bindings_of(node):
                found.setdefault(name, []).append(binding)
        return found

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the function's parameters, in order."""
        return tuple(item.arg for item in arguments_of(self.function)) if self.function else ()

    @cached_property
    def calls(self) -> list[ast.Call]:
        """Its calls, in the order of the text."""
        return [node for node in self.nodes if isinstance(node, ast.Call)]

    @cached_property
    def returns(self) -> list[ast.Return]:
        """Its return statements."""
        return [node for node in self.nodes if isinstance(node, ast.Return)]

    @cached_property
    def attribute_stores(self) -> dict[str, list[tuple[ast.AST, ast.expr | None]]]:
        """The assignments to attributes of `self`, by name."""
        found: dict[str, list[tuple[ast.AST, ast.expr | None]]] = {}
        for node in self.nodes:
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign | ast.AugAssign):
                targets = [node.target]
            for target in targets:
                plain = isinstance(target, ast.Attribute)
                parts = [target] if not isinstance(target, ast.Tuple | ast.List) else target.elts
                for part in parts:
                    if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "self":
                        value = getattr(node, "value", None)
                        found.setdefault(part.attr, []).append((node, value if plain else None))
        return found

    @cached_property
    def switches_on(self) -> bool:
        """Whether it names something that switches gradients on."""
        nodes: list[ast.AST] = [*self.nodes]
        if self.function is not None:
            nodes += [part for item in self.function.decorator_list for part in descend(item)]
        names = (
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in nodes
            if isinstance(node, ast.Attribute | ast.Name)
        )
        return not GRADIENT_ON.isdisjoint(names)

    @cached_property
    def switches_by_hand(self) -> bool:
        """Whether it sets the gradient mode by a plain call, of which no block tells where it ends."""
        return any(
            _context_name(self.file, call).rpartition(".")[2] in GRADIENT_ON
            and not isinstance(self.file.parents.get(call), ast.withitem)
            for call in self.calls
        )

    @cached_property
    def changed_below(self) -> frozenset[str]:
        """Names that nested functions may rebind, and those that belong to an outer scope."""
        nested = [node for node in self.nodes if isinstance(node, FunctionNode) and node is not self.function]
        parts = [*self.nodes, *(part for item in nested for part in descend(item))]
        return frozenset(name for part in parts if isinstance(part, ast.Nonlocal | ast.Global) for name in part.names)

    @cached_property
    def mentions(self) -> dict[str, list[ast.Name]]:
        """Where each name is read."""
        found: dict[str, list[ast.Name]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.setdefault(node.id, []).append(node)
        return found


class OwnClass(NamedTuple):
    """A class of the submission."""

    file: PythonFile
    node: ast.ClassDef


class Cut(NamedTuple):
    """Why a value carries no gradient.

    Args:
        how: What removed it, as written: `.item()`, `torch.tensor(...)`; empty for a plain number.
        node: Where.
    """

    how: str
    node: ast.AST
    file: PythonFile


@dataclass(frozen=True, slots=True)
class Frame:
    """A scope as one call enters it.

    Args:
        scope: The code.
        arguments: What its parameters hold: an expression and the frame in which it is read.
        off: Whether the caller has switched gradients off.
    """

    scope: Scope
    arguments: Mapping[str, tuple[ast.expr, Frame]] = field(default_factory=dict)
    off: bool = False


class TrainingCode:
    """The scopes, functions and classes of a submission, and what their names hold."""

    def __init__(self, project: Project) -> None:
        self.files = [file for file in project.python.values() if file.tree is not None]
        self.scopes: dict[tuple[PythonFile, FunctionNode | None], Scope] = {}
        self.functions: dict[str, list[Scope]] = {}
        self.classes: dict[str, list[OwnClass]] = {}
        self._methods: dict[ast.ClassDef, dict[str, Scope]] = {}
        for file in self.files:
            self._read(file)

    @cached_property
    def uses(self) -> Counter[str]:
        """How often the submission uses each name."""
        return used_names(self.files)

    @cached_property
    def attributes(self) -> frozenset[str]:
        """Every attribute that the submission names."""
        return frozenset(node.attr for file in self.files for node in file.nodes_of(ast.Attribute))

    def _read(self, file: PythonFile) -> None:
        owners: dict[ast.AST, ast.AST | None] = {}
        self.scopes[file, None] = Scope(file, None)
        for node in file.nodes:
            parent = file.parents.get(node)
            inside = isinstance(parent, FunctionNode) and node not in parent.decorator_list
            owner = parent if inside or isinstance(parent, ast.ClassDef) else owners.get(parent) if parent else None
            owners[node] = owner
            if isinstance(node, FunctionNode):
                made = self.scopes.setdefault((file, node), Scope(file, node))
                self.functions.setdefault(f"{file.module}.{file.symbol_of(node)}", []).append(made)
                if isinstance(parent, ast.ClassDef):
                    self._methods.setdefault(parent, {})[node.name] = made
            elif isinstance(node, ast.ClassDef):
                self.classes.setdefault(f"{file.module}.{file.symbol_of(node)}", []).append(OwnClass(file, node))
            if owner is None or isinstance(owner, FunctionNode):
                self.scopes[file, owner].nodes.append(node)

    def scope_of(self, file: PythonFile, node: ast.AST) -> Scope:
        """The scope that a node stands in."""
        return self.scopes[file, file.function_of(node)]

    def called_scope(self, frame_or_scope: Scope, call: ast.Call) -> Scope | None:
        """The own function or method that a call starts; None where it starts none, or one cannot be told."""
        scope, func = frame_or_scope, call.func
        if isinstance(func, ast.Attribute):
            owners = self.classes_of(scope, func.value)
            if owners is not None and len(owners) == 1:
                return self.method(owners[0], func.attr)
        if isinstance(func, ast.Name):
            nested = self._nested(scope, func.id)
            if nested is not None:
                return nested
            if func.id in scope.bindings and scope.function is not None:
                return None
        found = self._named(scope, func, self.functions)
        return found[0] if len(found) == 1 else None

    def own_class(self, scope: Scope, func: ast.expr) -> OwnClass | None:
        """The own class that an expression names."""
        if isinstance(func, ast.Name) and scope.function is not None and func.id in scope.bindings:
            return None
        found = self._named(scope, func, self.classes)
        return found[0] if len(found) == 1 else None

    def _named(self, scope: Scope, func: ast.expr, table: Mapping[str, list[_T]]) -> list[_T]:
        name = scope.file.qualified(func)
        if not name or name.startswith("self."):
            return []
        for full in (f"{scope.file.module}.{name}", name, f"src.{name}"):
            if full in table:
                return table[full]
        return []

    def _nested(self, scope: Scope, name: str) -> Scope | None:
        """A function that is defined in this one, once."""
        bound = scope.bindings.get(name, [])
        if scope.function is not None and len(bound) == 1 and isinstance(bound[0].node, FunctionNode):
            return self.scopes.get((scope.file, bound[0].node)) if bound[0].node is not scope.function else None
        return None

    def methods(self, owner: OwnClass) -> dict[str, Scope]:
        """A class's own methods."""
        return self._methods.get(owner.node, {})

    def lineage(self, owner: OwnClass) -> list[OwnClass]:
        """A class and its own base classes."""
        found = [owner]
        for item in found:
            for base in item.node.bases:
                own = self.own_class(self.scopes[item.file, None], base)
                if own is not None and own not in found and len(found) < MAX_STEPS:
                    found.append(own)
        return found

    def method(self, owner: OwnClass, name: str) -> Scope | None:
        """A method of a class or of its own bases."""
        return next((held[name] for item in self.lineage(owner) if name in (held := self.methods(item))), None)

    def is_module(self, owner: OwnClass) -> bool:
        """Whether a class is certainly a `torch.nn.Module`."""
        for item in self.lineage(owner):
            for base in item.node.bases:
                if item.file.qualified(base).startswith(_MODULE_BASES):
                    return True
        return False

    def classes_of(self, scope: Scope, node: ast.expr | None, steps: int = MAX_STEPS) -> list[OwnClass] | None:
        """The own classes of which a value may be an instance; None where it may be something else."""
        if steps <= 0 or node is None:
            return None
        if isinstance(node, ast.Name):
            if node.id == "self":
                owner = self.class_around(scope)
                return [owner] if owner else None
            bound = scope.bindings.get(node.id)
            if bound is None or len(bound) > _MOST_BINDINGS:
                return None
            found: list[OwnClass] = []
            for item in bound:
                if item.item is not None or item.augmented:
                    return None
                if self.replaces_itself(item.value, node.id):
                    continue
                part = self.classes_of(scope, item.value, steps - 1)
                if part is None:
                    return None
                found += [one for one in part if one not in found]
            return found or None
        if isinstance(node, ast.Call):
            owner = self.own_class(scope, node.func)
            if owner is not None:
                return [owner]
            if isinstance(node.func, ast.Attribute) and node.func.attr in _PLACING:
                return self.classes_of(scope, node.func.value, steps - 1)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            owner = self.class_around(scope)
            values = self.attribute_values(owner, node.attr) if owner else []
            held = [self.classes_of(place, value, steps - 1) for place, value in values]
            merged = [one for part in held if part is not None for one in part]
            return merged if merged and all(part is not None for part in held) else None
        return None

    @staticmethod
    def replaces_itself(value: ast.expr | None, name: str) -> bool:
        """`model = model.to(device)` and its like."""
        return (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr in _PLACING
            and isinstance(value.func.value, ast.Name)
            and value.func.value.id == name
        )

    def class_around(self, scope: Scope) -> OwnClass | None:
        """The class whose method a scope is."""
        parent = scope.file.parents.get(scope.function) if scope.function else None
        return OwnClass(scope.file, parent) if isinstance(parent, ast.ClassDef) else None

    def attribute_values(self, owner: OwnClass, name: str) -> list[tuple[Scope, ast.expr | None]]:
        """What a class and its own bases assign to `self.<name>`; None for what cannot be read."""
        found: list[tuple[Scope, ast.expr | None]] = []
        for item in self.lineage(owner):
            for scope in self.methods(item).values():
                for node, value in self.attribute_stores(scope).get(name, ()):
                    found.append((scope, value if isinstance(node, ast.Assign | ast.AnnAssign) else None))
        return found

    def attribute_stores(self, scope: Scope) -> dict[str, list[tuple[ast.AST, ast.expr | None]]]:
        """The assignments to attributes of `self` in a method, by name."""
        return scope.attribute_stores

    # what library object a value is -----------------------------------------------------------------------------

    def constructed(self, scope: Scope, node: ast.expr | None, steps: int = MAX_STEPS) -> list[str]:
        """The dotted names of the library calls that may have made a value; empty where one of them is unknown."""
        if node is None or steps <= 0:
            return []
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in _PLACING:
                return self.constructed(scope, node.func.value, steps - 1)
            if self.own_class(scope, node.func) is not None or self.called_scope(scope, node) is not None:
                return []
            name = scope.file.qualified(node.func)
            return [name] if "." in name and not name.startswith("self.") else []
        if isinstance(node, ast.Name):
            found: list[str] = []
            for item in scope.bindings.get(node.id, [])[:_MOST_BINDINGS]:
                if item.item is not None or item.augmented:
                    return []
                if isinstance(item.value, ast.Constant) and item.value.value is None:
                    continue
                if self.replaces_itself(item.value, node.id):
                    continue
                part = self.constructed(scope, item.value, steps - 1)
                if not part:
                    return []
                found += part
            return found
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            owner = self.class_around(scope)
            found = []
            for place, value in self.attribute_values(owner, node.attr) if owner else []:
                if isinstance(value, ast.Constant) and value.value is None:
                    continue
                part = self.constructed(place, value, steps - 1)
                if not part:
                    return []
                found += part
            return found
        return []

    # gradients --------------------------------------------------------------------------------------------------

    def gradients_off_at(self, scope: Scope, node: ast.AST) -> ast.AST | None:
        """The `no_grad` block or decorator around a node of a scope; None where gradients may be on."""
        if scope.switches_by_hand:
            return None
        for up in scope.file.ancestors(node):
            if isinstance(up, ast.With | ast.AsyncWith):
                names = [_context_name(scope.file, item.context_expr) for item in up.items]
                if any(name.rpartition(".")[2] in GRADIENT_ON for name in names):
                    return None
                if any(_switches_off(scope.file, item.context_expr) for item in up.items):
                    return up if not isinstance(node, ast.withitem) else None
                if any(self._may_switch_on(scope, item.context_expr) for item in up.items):
                    return None
            if isinstance(up, FunctionNode | ast.Lambda):
                break
        return gradients_off_in(scope)

    def may_be_on(self, scope: Scope, node: ast.AST) -> bool:
        """Whether something between a node and its function may switch gradients on again."""
        if scope.switches_on or scope.switches_by_hand:
            return True
        for up in scope.file.ancestors(node):
            blocks = up.items if isinstance(up, ast.With | ast.AsyncWith) else []
            if any(self._may_switch_on(scope, item.context_expr) for item in blocks):
                return True
            if isinstance(up, FunctionNode | ast.Lambda):
                break
        return False

    def _may_switch_on(self, scope: Scope, node: ast.expr) -> bool:
        """Whether a context manager may switch gradients on: one of the submission's own, or one that is not known."""
        name = _context_name(scope.file, node)
        known = "." in name and not name.startswith("self.") and name.partition(".")[0] not in scope.bindings
        if name == "open" or (known and not isinstance(node, ast.Attribute)):
            func = node.func if isinstance(node, ast.Call) else node
            return bool(self._named(scope, func, self.functions) or self._named(scope, func, self.classes))
        return True

    def cut(self, frame: Frame, node: ast.expr | None, item: int | None = None) -> Cut | None:
        """Why a value certainly carries no gradient; None where it may carry one."""
        return _CutReader(self).read(frame, node, item, MAX_STEPS, frozenset())


class _CutReader:
    """Looks for proof that a value has no graph behind it."""

    def __init__(self, code: TrainingCode) -> None:
        self.code = code
        self.budget = 2_000

    def read(self, frame: Frame, node: ast.expr | None, item: int | None, steps: int, seen: _Seen) -> Cut | None:
        self.budget -= 1
        if node is None or steps <= 0 or self.budget <= 0:
            return None
        file = frame.scope.file
        if item is not None:
            if isinstance(node, ast.Tuple | ast.List):
                return self.read(frame, node.elts[item], None, steps - 1, seen) if item < len(node.elts) else None
            return self._call(frame, node, item, steps, seen) if isinstance(node, ast.Call) else None
        if isinstance(node, ast.Constant):
            return Cut("", node, file) if isinstance(node.value, int | float) else None
        if isinstance(node, ast.Name):
            return self._name(frame, node, steps, seen)
        if isinstance(node, ast.Attribute):
            if node.attr == "data":
                return Cut("`.data`", node, file)
            if node.attr == "loss":
                return self.read(frame, node.value, None, steps - 1, seen) if self._is_off(frame, node) else None
            return Cut("", node, file) if file.qualified(node) in ("math.pi", "math.e", "math.inf") else None
        if isinstance(node, ast.Call):
            return self._call(frame, node, None, steps, seen)
        if isinstance(node, ast.Compare):
            return Cut("", node, file)
        parts: list[ast.expr]
        if isinstance(node, ast.BinOp):
            parts = [node.left, node.right]
        elif isinstance(node, ast.UnaryOp):
            parts = [node.operand]
        elif isinstance(node, ast.IfExp):
            return self._all(frame, [node.body, node.orelse], steps, seen, node)
        elif isinstance(node, ast.List | ast.Tuple):
            return self._all(frame, node.elts, steps, seen, node) if node.elts else Cut("", node, file)
        elif isinstance(node, ast.Subscript):
            return self.read(frame, node.value, None, steps - 1, seen)
        else:
            return None
        off = self._is_off(frame, node)
        return off or self._all(frame, parts, steps, seen, node)

    def _is_off(self, frame: Frame, node: ast.AST) -> Cut | None:
        """Whether what a node computes is computed without gradients."""
        place = self.code.gradients_off_at(frame.scope, node)
        if place is None and frame.off and not self.code.may_be_on(frame.scope, node):
            place = node
        return Cut("`torch.no_grad()`", place, frame.scope.file) if place is not None else None

    def _all(self, frame: Frame, parts: list[ast.expr], steps: int, seen: _Seen, node: ast.AST) -> Cut | None:
        """All parts are cut: the first that says how stands for them."""
        cuts = []
        for part in parts:
            cut = self.read(frame, part, None, steps - 1, seen)
            if cut is None:
                return None
            cuts.append(cut)
        return next((cut for cut in cuts if cut.how), cuts[0] if cuts else Cut("", node, frame.scope.file))

    def _name(self, frame: Frame, node: ast.Name, steps: int, seen: _Seen) -> Cut | None:
        scope = frame.scope
        key = (id(frame), node.id)
        if key in seen:
            return Cut("", node, scope.file)
        bound = scope.bindings.get(node.id, [])
        if not bound or len(bound) > _MOST_BINDINGS or self._is_changed(scope, node.id):
            return None
        pieces = [_piece(item) for item in bound]
        fillable = any(isinstance(piece, ast.List) or _is_creation(scope.file, piece) for piece in pieces)
        if fillable and _may_be_filled(scope, node.id):
            return None
        seen |= {key}
        if node.id in scope.parameters:
            given = frame.arguments.get(node.id)
            return self.read(given[1], given[0], None, steps - 1, seen) if given and len(bound) == 1 else None
        cuts = []
        for item in bound:
            cut = self.read(frame, item.value, item.item, steps - 1, seen)
            if cut is None:
                return None
            cuts.append(cut)
        added = self._elements(frame, node.id, steps, seen)
        if added is None or not (added or any(not _is_empty(piece) for piece in pieces)):
            return None
        return next((cut for cut in [*added, *cuts] if cut.how), cuts[0])

    def _elements(self, frame: Frame, name: str, steps: int, seen: _Seen) -> list[Cut] | None:
        """What is appended to a list; None where something of it may carry a gradient."""
        found = []
        for call in frame.scope.calls:
            func = call.func
            if not isinstance(func, ast.Attribute) or not isinstance(func.value, ast.Name) or func.value.id != name:
                continue
            if func.attr in ("extend", "insert", "update"):
                return None
            if func.attr == "append":
                cut = self.read(frame, call.args[0] if call.args else None, None, steps - 1, seen)
                if cut is None:
                    return None
                found.append(cut)
        return found

    def _is_changed(self, scope: Scope, name: str) -> bool:
        """Whether something besides its bindings may give a name's value a gradient."""
        for node in scope.mentions.get(name, ()):
            parent = scope.file.parents.get(node)
            if isinstance(parent, ast.Attribute) and parent.value is node:
                if isinstance(parent.ctx, ast.Store) or parent.attr == "requires_grad":
                    return True
                if parent.attr.endswith("_") and not parent.attr.startswith("_"):
                    return True
                # `add = losses.append`
                call = scope.file.parents.get(parent)
                called = isinstance(call, ast.Call) and call.func is parent
                if parent.attr in ("append", "extend", "insert") and not called:
                    return True
            elif isinstance(parent, ast.Subscript) and parent.value is node:
                if not isinstance(parent.ctx, ast.Load):
                    return True
            elif isinstance(parent, ast.keyword) and parent.arg == "out":
                return True
        return name in scope.changed_below

    def _call(self, frame: Frame, node: ast.Call, item: int | None, steps: int, seen: _Seen) -> Cut | None:
        scope, file, func = frame.scope, frame.scope.file, node.func
        if any(part.arg is None for part in node.keywords) and not self._is_off(frame, node):
            return None
        name = file.qualified(func)
        asks = keyword(node, "requires_grad")
        if asks is not None and not (isinstance(asks, ast.Constant) and asks.value is False):
            return None
        if isinstance(func, ast.Attribute) and item is None:
            if func.attr in _CUTTING_METHODS and not node.args:
                return Cut(f"`.{func.attr}()`", node, file)
            if func.attr in _OPERATIONS and not name.startswith("torch."):
                off = self._is_off(frame, node) if func.attr not in _ALIASES else None
                return off or self.read(frame, func.value, None, steps - 1, seen)
        if item is None and name in _NUMBERS and node.args:
            cut = self._all(frame, node.args, steps, seen, node)
            return cut if cut is not None and cut.how else Cut(f"`{name}()`", node, file)
        if item is None and name in _CREATIONS:
            return Cut(f"`{name}(...)`" if name == "torch.tensor" else "", node, file)
        if item is None and name in ("sum", "max", "min", "abs", "numpy.mean", "numpy.sum", "numpy.array"):
            return self._all(frame, node.args, steps, seen, node) if node.args else None
        operation = name.rpartition(".")[2] in _OPERATIONS and name.rpartition(".")[0] in (
            "torch",
            "torch.nn.functional",
        )
        if operation and item is None:
            # weights of classes are not differentiated
            named = [part.value for part in node.keywords if part.arg not in ("weight", "pos_weight")]
            values = [*node.args, *(value for value in named if not _is_option(value))]
            off = self._is_off(frame, node) if name.rpartition(".")[2] not in _ALIASES else None
            return off or (self._all(frame, values, steps, seen, node) if values else None)
        called = self.code.called_scope(scope, node)
        if called is not None:
            return self._returned(frame, node, called, item, steps, seen)
        if item is None and self._is_off(frame, node) and self._is_model(frame.scope, func):
            return self._is_off(frame, node)
        return None

    def _returned(
        self,
        frame: Frame,
        node: ast.Call,
        called: Scope,
        item: int | None,
        steps: int,
        seen: _Seen,
    ) -> Cut | None:
        """What an own function returns is cut on each of its ways out."""
        function = called.function
        if function is None or isinstance(function, ast.AsyncFunctionDef) or not called.returns:
            return None
        if any(isinstance(part, ast.Yield | ast.YieldFrom) for part in called.nodes):
            return None
        if any(not _is_plain_decorator(called.file, part) for part in function.decorator_list):
            return None
        inner = enter(self.code, frame, node, called, bool(self._is_off(frame, node)))
        cuts = []
        for statement in called.returns:
            cut = self.read(inner, statement.value, item, steps - 1, seen)
            if cut is None:
                return None
            cuts.append(cut)
        return next((cut for cut in cuts if cut.how), cuts[0])

    def _is_model(self, scope: Scope, func: ast.expr) -> bool:
        """Whether what is called is a model that switches gradients on nowhere."""
        name = func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else ""
        if isinstance(func, ast.Attribute) and not (isinstance(func.value, ast.Name) and func.value.id == "self"):
            return False
        # a part of the model, or the caller, may switch gradients on
        if any(part.switches_on for part in self.code.scopes.values()):
            return False
        if self.code.classes_of(scope, func):
            return True
        return name in ("model", "net", "network", "student", "policy", "criterion", "loss_fn")


# Calls that leave their arguments as they are.
_READERS = frozenset({"float", "int", "len", "print", "str", "sum", "abs", "min", "max", "isinstance", "list", "tuple"})
_READING_METHODS = frozenset({"append", "scale", "log", "add_scalar", "write", "info", "debug", "update"})


def _is_option(node: ast.expr) -> bool:
    """Whether an argument is a plain negative number or a tuple of numbers, such as `dim=(1, -2)`."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
    return all(isinstance(part.operand if isinstance(part, ast.UnaryOp) else part, ast.Constant) for part in parts)


def _is_creation(file: PythonFile, node: ast.expr | None) -> bool:
    return isinstance(node, ast.Call) and file.qualified(node.func) in _CREATIONS


def _piece(binding: Binding) -> ast.expr | None:
    """What a name is bound to, its place in an unpacked tuple looked up."""
    value, item = binding.value, binding.item
    if item is not None and isinstance(value, ast.Tuple | ast.List):
        return value.elts[item] if item < len(value.elts) else None
    return value


def _is_empty(node: ast.expr | None) -> bool:
    return isinstance(node, ast.List) and not node.elts


def _may_be_filled(scope: Scope, name: str) -> bool:
    """Whether a list or a new tensor is given to something that may put values into it."""
    for node in scope.mentions.get(name, ()):
        parent = scope.file.parents.get(node)
        if not isinstance(parent, ast.Call | ast.keyword | ast.Starred):
            continue
        call = parent if isinstance(parent, ast.Call) else scope.file.parents.get(parent)
        if not isinstance(call, ast.Call):
            return True
        called = scope.file.qualified(call.func)
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        known = called in _READERS or called.startswith(("torch.", "numpy.", "math."))
        if not known and method not in _READING_METHODS:
            return True
    return any(
        isinstance(part, ast.Name) and part.id == name
        for item in scope.nodes
        if isinstance(item, FunctionNode | ast.Lambda | ast.ClassDef) and item is not scope.function
        for part in descend(item)
    )


def enter(code: TrainingCode, frame: Frame, call: ast.Call, called: Scope, off: bool) -> Frame:
    """The frame in which a call runs an own function."""
    names = list(called.parameters)
    if names and names[0] in ("self", "cls") and code.class_around(called) is not None:
        names = names[1:]
    given: dict[str, tuple[ast.expr, Frame]] = {}
    for name, value in zip(names, call.args, strict=False):
        if isinstance(value, ast.Starred):
            break
        given[name] = (value, frame)
    given |= {part.arg: (part.value, frame) for part in call.keywords if part.arg in names}
    return Frame(called, given, off)


def gradients_off_in(scope: Scope) -> ast.AST | None:
    """The decorator that switches gradients off for a whole function."""
    if scope.function is None:
        return None
    for part in scope.function.decorator_list:
        if _switches_off(scope.file, part):
            return part
    return None


def arguments_of(function: FunctionNode) -> list[ast.arg]:
    """All parameters of a function, `*args` and `**kwargs` included."""
    held = function.args
    extra = [item for item in (held.vararg, held.kwarg) if item is not None]
    return [*held.posonlyargs, *held.args, *held.kwonlyargs, *extra]


def training_code(project: Project) -> TrainingCode:
    """The training code of a submission, read once."""
    return project.shared(TrainingCode)


def is_fresh_leaf(file: PythonFile, node: ast.expr | None) -> bool:
    """Whether an expression makes a new tensor that asks for gradients, or a parameter."""
    if not isinstance(node, ast.Call):
        return False
    name = file.qualified(node.func)
    if name in ("torch.nn.Parameter", "torch.nn.parameter.Parameter"):
        return True
    asks = keyword(node, "requires_grad")
    return name in _CREATIONS and isinstance(asks, ast.Constant) and asks.value is True


def names_in(node: ast.AST) -> Iterator[str]:
    """The names that are read below a node."""
    for part in descend(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            yield part.id


def _context_name(file: PythonFile, node: ast.expr) -> str:
    """The dotted name of a context manager or decorator, called or not; empty for `set_grad_enabled(flag)`."""
    return file.qualified(node.func if isinstance(node, ast.Call) else node)


def _switches_off(file: PythonFile, node: ast.expr) -> bool:
    """Whether a context manager or decorator certainly switches gradients off: `inference_mode(flag)` may not."""
    if _context_name(file, node) not in GRADIENT_OFF:
        return False
    given = [*node.args, *(part.value for part in node.keywords)] if isinstance(node, ast.Call) else []
    return all(isinstance(value, ast.Constant) and value.value is True for value in given)


def _is_plain_decorator(file: PythonFile, node: ast.expr) -> bool:
    name = _context_name(file, node)
    return name in GRADIENT_OFF or name in ("staticmethod", "classmethod", "torch.enable_grad")


def _bindings_of(node: ast.AST) -> Iterator[tuple[str, Binding]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _targets(target, node, node.value)
    elif isinstance(node, ast.AnnAssign):
        if node.value is not None:
            yield from _targets(node.target, node, node.value)
    elif isinstance(node, ast.AugAssign):
        if isinstance(node.target, ast.Name):
            yield node.target.id, Binding(node, node.value, augmented=True)
    elif isinstance(node, ast.NamedExpr):
        yield from _targets(node.target, node, node.value)
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield from _targets(node.target, node, None)
    elif isinstance(node, ast.withitem):
        if node.optional_vars is not None:
            yield from _targets(node.optional_vars, node, None)
    elif isinstance(node, FunctionNode | ast.ClassDef):
        yield node.name, Binding(node, None)
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield (alias.asname or alias.name).partition(".")[0], Binding(node, None)
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        if node.name:
            yield node.name, Binding(node, None)
    elif isinstance(node, ast.Delete):
        pass


def _targets(target: ast.expr, node: ast.AST, value: ast.expr | None) -> Iterator[tuple[str, Binding]]:
    if isinstance(target, ast.Name):
        yield target.id, Binding(node, value)
    elif isinstance(target, ast.Tuple | ast.List):
        starred = any(isinstance(part, ast.Starred) for part in target.elts)
        for number, part in enumerate(target.elts):
            for inner in descend(part):
                if isinstance(inner, ast.Name):
                    readable = inner is part and not starred
                    yield inner.id, Binding(node, value if readable else None, number if readable else None)
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value, node, None)
