"""Where a submission trains: backward calls, optimizer steps, and the loops and blocks they stand in."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from assay.analysis.import_time import is_unconditional
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, keyword
from assay.analysis.tensor_values import Scope, TrainingCode

Loop = ast.For | ast.AsyncFor | ast.While

# Libraries that train in their own code, or hand out optimizers and models of their own making.
_TRAINING_LIBRARIES = frozenset(
    {
        "accelerate", "apex", "avalanche", "catalyst", "colossalai", "composer", "deepspeed", "fairscale", "fastai",
        "flax", "higher", "horovod", "ignite", "jax", "keras", "learn2learn", "lightning", "lightning_fabric",
        "megatron", "optax", "pytorch_lightning", "ray", "setfit", "skorch", "stable_baselines3", "tensorflow",
        "torchmeta", "torchopt", "torchtnt", "trl",
    }
)  # fmt: skip
_SCHEDULERS = ("torch.optim.lr_scheduler.", "transformers.get_", "transformers.optimization.get_")


class Backward(NamedTuple):
    """A call that differentiates a loss.

    Args:
        scope: Where it stands.
        call: The call: `loss.backward()`, `scaler.scale(loss).backward()`, `torch.autograd.grad(loss, ...)`.
        loss: What is differentiated.
    """

    scope: Scope
    call: ast.Call
    loss: ast.expr


def backwards(scope: Scope, *, grad: bool = True) -> Iterator[Backward]:
    """The backward calls of a scope, and with `grad` its calls of `torch.autograd.grad`."""
    for call in scope.calls:
        func = call.func
        if grad and scope.file.qualified(func) in ("torch.autograd.grad", "torch.autograd.backward"):
            outputs = call.args[0] if call.args else None
            if outputs is not None and not isinstance(outputs, ast.Starred | ast.List | ast.Tuple):
                yield Backward(scope, call, outputs)
        elif isinstance(func, ast.Attribute) and func.attr == "backward":
            if scope.file.qualified(func) == "torch.autograd.backward":
                continue
            if call.args and _hands_over(func.value):
                # accelerator.backward(loss), fabric.backward(loss)
                if not isinstance(call.args[0], ast.Starred):
                    yield Backward(scope, call, call.args[0])
            else:
                yield Backward(scope, call, _unscaled(func.value))


def trains_through_library(project: Project) -> str:
    """A library that may train in place of the submission's own loop; empty where none is imported."""
    for file in project.python.values():
        for item in file.imports:
            top = item.module.partition(".")[0]
            if top in _TRAINING_LIBRARIES:
                return top
            if top in ("transformers", "sentence_transformers", "torchtune") and "Trainer" in (item.name or ""):
                return top
        if file.tree is None:
            return file.path
    return ""


def loops_around(scope: Scope, node: ast.AST) -> list[Loop]:
    """The loops of its own function that a node stands in the body of, innermost first."""
    found = []
    child = node
    for up in scope.file.ancestors(node):
        if isinstance(up, FunctionNode | ast.Lambda):
            break
        if isinstance(up, Loop) and child in up.body:
            found.append(up)
        child = up
    return found


def statement_of(file: PythonFile, node: ast.AST) -> ast.stmt | None:
    """The innermost statement around a node, or the node itself."""
    if isinstance(node, ast.stmt):
        return node
    return next((up for up in file.ancestors(node) if isinstance(up, ast.stmt)), None)


def block_of(file: PythonFile, statement: ast.stmt) -> list[ast.stmt]:
    """The list of statements that a statement stands in."""
    parent = file.parents.get(statement)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and statement in block:
            return block
    return [statement]


def always_follows(scope: Scope, first: ast.AST, second: ast.AST) -> bool:
    """Whether the second node stands after the first, in the first's block or below it."""
    statement = statement_of(scope.file, first)
    if statement is None:
        return False
    block = block_of(scope.file, statement)
    later = block[block.index(statement) + 1 :]
    around = [second, *scope.file.ancestors(second)]
    return any(item in later for item in around if isinstance(item, ast.stmt))


def runs_whenever_called(scope: Scope, node: ast.AST) -> bool:
    """Whether a node runs for certain once its function does (early returns left aside), and nothing catches it."""
    return is_unconditional(scope.file, node, scope.function, program=True)


def is_optimizer(names: list[str]) -> bool:
    """Whether a value was certainly made by an optimizer class of `torch.optim`."""
    return bool(names) and all(_is_optimizer_name(name) for name in names)


def is_scheduler(names: list[str]) -> bool:
    """Whether a value was certainly made by a scheduler class or function of torch or transformers."""
    return bool(names) and all(
        name.startswith(_SCHEDULERS) and ("schedule" in name.lower() or "LR" in name or "Cosine" in name)
        for name in names
    )


def is_scaler(names: list[str]) -> bool:
    """Whether a value was certainly made as a gradient scaler."""
    return bool(names) and all(name in SCALERS for name in names)


SCALERS = frozenset({"torch.cuda.amp.GradScaler", "torch.amp.GradScaler", "torch.cuda.amp.grad_scaler.GradScaler"})


def _is_optimizer_name(name: str) -> bool:
    module, _, last = name.rpartition(".")
    if module.startswith("torch.optim.lr_scheduler"):
        return False
    return last[:1].isupper() and (module == "torch.optim" or module.startswith("torch.optim."))


def is_optimizer_call(scope: Scope, call: ast.Call) -> bool:
    """Whether a call makes an optimizer of `torch.optim`."""
    return _is_optimizer_name(scope.file.qualified(call.func))


def method_calls(scope: Scope, name: str) -> list[ast.Call]:
    """The calls of a method of that name on anything."""
    return [call for call in scope.calls if isinstance(call.func, ast.Attribute) and call.func.attr == name]


def receiver(call: ast.Call) -> ast.expr | None:
    """What a method is called on."""
    return call.func.value if isinstance(call.func, ast.Attribute) else None


def _hands_over(value: ast.expr) -> bool:
    """Whether something named after a training helper is asked to run backward on its argument."""
    name = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else ""
    return any(part in name.lower() for part in ("accelerator", "fabric", "engine"))


def _unscaled(value: ast.expr) -> ast.expr:
    """`scaler.scale(loss)` is about the loss."""
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute) or value.func.attr != "scale":
        return value
    return value.args[0] if len(value.args) == 1 and not isinstance(value.args[0], ast.Starred) else value


def stands_below(file: PythonFile, node: ast.AST, top: ast.AST | None) -> bool:
    """Whether a node is another one or stands below it."""
    return top is not None and (node is top or any(up is top for up in file.ancestors(node)))


def reaches_a_graph(code: TrainingCode, scope: Scope, name: str, leave_out: list[ast.AST]) -> bool:
    """Whether the tensor that a local name holds may enter something that is differentiated.

    It cannot where every reading of the name stands below one of the nodes left out, in arithmetic without gradients,
    or goes through `.detach()`, `.item()` and their like.
    """
    if named_in_nested(scope, name):
        return True
    for node in scope.mentions.get(name, ()):
        if any(stands_below(scope.file, node, top) for top in leave_out):
            continue
        if not _is_read_without_graph(code, scope, node):
            return True
    return False


_WITHOUT_GRAPH = frozenset(
    {"detach", "item", "data", "tolist", "shape", "device", "dtype", "requires_grad", "numel", "size", "dim"}
)
_IN_PLACE = frozenset({"copy_", "clamp_", "fill_", "sub_", "add_", "mul_", "div_", "zero_"})


def _is_read_without_graph(code: TrainingCode, scope: Scope, node: ast.Name) -> bool:
    parent = scope.file.parents.get(node)
    if isinstance(parent, ast.Attribute) and parent.attr in _WITHOUT_GRAPH:
        return isinstance(parent.ctx, ast.Load)
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name):
        return parent.func.id in ("float", "int", "print", "round") and node in parent.args
    if isinstance(parent, ast.FormattedValue):
        return True
    if isinstance(parent, ast.Compare):
        return True
    off = code.gradients_off_at(scope, node) is not None
    if isinstance(parent, ast.Attribute) and parent.attr in _IN_PLACE:
        return off
    return off and isinstance(parent, ast.BinOp | ast.UnaryOp)


def callers(code: TrainingCode, called: Scope) -> list[tuple[Scope, ast.Call]] | None:
    """Every call of an own function; None where it is also passed around or called in ways that are not seen."""
    function = called.function
    if function is None or function.decorator_list or code.class_around(called) is not None:
        return None
    found: list[tuple[Scope, ast.Call]] = []
    seen: set[ast.AST] = set()
    for scope in code.scopes.values():
        for call in scope.calls:
            if _last_part(call.func) == function.name and code.called_scope(scope, call) is called:
                found.append((scope, call))
                seen.add(call.func)
    for file in code.files:
        for node in file.nodes_of(ast.Name, ast.Attribute):
            if _last_part(node) == function.name and node not in seen:
                return None
    return found


def _last_part(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def named_in_nested(scope: Scope, name: str) -> bool:
    """Whether a function or class inside a scope names one of its variables."""
    nested = [node for node in scope.nodes if isinstance(node, FunctionNode | ast.ClassDef | ast.Lambda)]
    return any(
        isinstance(part, ast.Name) and part.id == name
        for node in nested
        if node is not scope.function
        for part in descend(node)
    )


def library_calls(code: TrainingCode, scope: Scope, node: ast.expr | None) -> list[str]:
    """The library calls that may have made a value, a parameter followed to what every caller gives."""
    if isinstance(node, ast.Name) and node.id in scope.parameters and len(scope.bindings[node.id]) == 1:
        found: list[str] = []
        position = scope.parameters.index(node.id)
        for place, call in callers(code, scope) or []:
            if any(isinstance(part, ast.Starred) for part in call.args):
                return []
            given = call.args[position] if position < len(call.args) else keyword(call, node.id)
            part = code.constructed(place, given)
            if not part:
                return []
            found += part
        return found
    return code.constructed(scope, node)


def leaves_early(loop: Loop) -> bool:
    """Whether the body of a loop certainly ends it the first time."""
    return any(isinstance(node, ast.Break | ast.Return | ast.Raise) for node in loop.body)
