"""Which split of a dataset an expression holds: `load_dataset(..., split="test")` followed through the program."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache, cached_property

from assay.analysis.called import UNKNOWN, constant_value
from assay.analysis.expressions import is_same, scope_nodes, words
from assay.analysis.own_functions import OwnFunctions
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, keyword, string_value
from assay.analysis.run_settings import common_setting
from assay.analysis.text_pattern import arguments

_MAX_DEPTH = 16
_MAX_STEPS = 1_500
_MAX_CALLERS = 6
# methods of a dataset that give a part or another form of it:
# https://huggingface.co/docs/datasets/v4.4.0/package_reference/main_classes
_SAME_DATA = frozenset(
    {
        "map", "select", "filter", "shuffle", "with_format", "with_transform", "rename_column", "rename_columns",
        "take", "remove_columns", "cast_column", "cast", "skip", "to_iterable_dataset", "select_columns", "add_column",
        "flatten", "batch", "sort", "to", "shard",
    }
)  # fmt: skip
# those of them that take a part
_PARTS = frozenset({"select", "take", "skip", "shard"})
_LOADERS = frozenset(
    {
        "torch.utils.data.DataLoader", "torch.utils.data.Subset", "torch.utils.data.dataset.Subset",
        "torch.utils.data.dataloader.DataLoader", "list", "iter", "enumerate", "tqdm.tqdm", "tqdm", "tqdm.auto.tqdm",
        "itertools.islice", "torch_geometric.loader.DataLoader",
    }
)  # fmt: skip
# the position of `train` among the arguments: https://docs.pytorch.org/vision/0.24/datasets.html
_TRAIN_POSITION = {"MNIST": 1, "FashionMNIST": 1, "KMNIST": 1, "CIFAR10": 1, "CIFAR100": 1, "QMNIST": None, "USPS": 1}


@dataclass(frozen=True, slots=True)
class _Dict:
    """A dict of datasets by split, such as `load_dataset` gives without `split`."""


@dataclass(slots=True)
class _Work:
    """What is left to spend on one question, and the names that are being looked at."""

    steps: int = 0
    names: set[tuple[ast.AST, str, object]] = field(default_factory=set)


Splits = frozenset[str]
_Value = Splits | _Dict | None


class SplitFlow:
    """Answers which splits of a real dataset feed an expression."""

    def __init__(self, project: Project) -> None:
        self.own = project.shared(OwnFunctions)
        self._project = project
        self._bindings = cache(_bindings)
        self._setting = cache(lambda keys: common_setting(project, *keys))

    def splits(self, file: PythonFile, node: ast.expr) -> Splits | None:
        """The splits that an expression certainly consists of, or None where that cannot be told."""
        found = self._value(file, node, None, _Work(), 0)
        return None if isinstance(found, _Dict) else found

    def text(self, file: PythonFile, node: ast.expr | None) -> str | None:
        """A text written in the code, or one that every configuration gives a key."""
        if node is None:
            return None
        known = constant_value(file, node)
        if known is not UNKNOWN:
            return known if isinstance(known, str) else None
        parts: list[str] = []
        while isinstance(node, ast.Attribute | ast.Subscript):
            part = node.attr if isinstance(node, ast.Attribute) else string_value(node.slice)
            if part is None:
                return None
            parts.append(part)
            node = node.value
        if not isinstance(node, ast.Name) or len(parts) < 2:
            return None
        value = self._setting(tuple(reversed(parts)))
        return value if isinstance(value, str) else None

    def _value(self, file: PythonFile, node: ast.expr, index: int | None, work: _Work, depth: int) -> _Value:
        """The splits of an expression, or of one element of the tuple that it is."""
        work.steps += 1
        if depth > _MAX_DEPTH or work.steps > _MAX_STEPS:
            return None
        below = depth + 1
        if isinstance(node, ast.Tuple | ast.List) and index is not None:
            inner = node.elts[index] if index < len(node.elts) else None
            return self._value(file, inner, None, work, below) if inner is not None else None
        if isinstance(node, ast.Name):
            return self._named(file, node, index, work, below)
        if isinstance(node, ast.Call):
            return self._called(file, node, index, work, below)
        if isinstance(node, ast.IfExp):
            return _joined([self._value(file, side, index, work, below) for side in (node.body, node.orelse)])
        if isinstance(node, ast.Subscript):
            return self._item(file, node, work, below)
        return None

    def _named(self, file: PythonFile, name: ast.Name, index: int | None, work: _Work, depth: int) -> _Value:
        function = file.function_of(name)
        while True:
            scope = function or file.tree
            if scope is None:
                return None
            bound = self._bindings(scope).get(name.id)
            if bound is not None or function is None:
                break
            parameters = {item.arg for item in _parameters(function)}
            if name.id in parameters:
                return self._given(function, name.id, index, work, depth)
            function = file.function_of(function)
        if not bound or (mark := (scope, name.id, index)) in work.names or None in bound:
            return None
        if function is not None and name.id in {item.arg for item in _parameters(function)}:
            return None
        work.names.add(mark)
        values = []
        for value, place in bound:  # type: ignore[misc]
            # `data = data.map(...)` says nothing that its other bindings do not say
            if _begins_with(value, name.id):
                continue
            values.append(self._value(file, value, index if place is None else place, work, depth))
        work.names.discard(mark)
        return _joined(values)

    def _given(self, function: FunctionNode, name: str, index: int | None, work: _Work, depth: int) -> _Value:
        """What the calls of a function give a parameter, where all of them are known."""
        calls = self.own.calls_of.get(function, [])
        mark = (function, name, index)
        if not calls or len(calls) > _MAX_CALLERS or mark in work.names:
            return None
        work.names.add(mark)
        values = []
        for file, call in calls:
            given = arguments(function, call).get(name)
            values.append(self._value(file, given, index, work, depth) if given is not None else None)
        work.names.discard(mark)
        return _joined(values)

    def _called(self, file: PythonFile, call: ast.Call, index: int | None, work: _Work, depth: int) -> _Value:
        called = file.qualified(call.func)
        if called == "datasets.load_dataset":
            split = keyword(call, "split")
            if split is None:
                unpacked = any(item.arg is None for item in call.keywords)
                return None if unpacked or len(call.args) > 3 else _Dict()
            text = self.text(file, split)
            # `test[:50%]` and `test[50%:]` may be a split for validation and one for the end
            return _split_names(text) if text is not None and not ("[" in text and self._is_cut) else None
        if called.startswith("torchvision.datasets."):
            return _torchvision(file, call, called.rpartition(".")[2])
        first = call.args[0] if call.args else keyword(call, "dataset")
        if called in _LOADERS and first is not None and not isinstance(first, ast.Starred):
            if called.endswith("Subset") and self._takes_parts(file, first):
                return None
            return self._value(file, first, None, work, depth)
        if isinstance(call.func, ast.Attribute) and call.func.attr in _SAME_DATA:
            if call.func.attr in _PARTS and self._takes_parts(file, call.func.value):
                return None
            return self._value(file, call.func.value, None, work, depth)
        own = self.own.called(file, call.func)
        if own is not None:
            return self._returned(*own, index, work, depth)
        return self._wrapped(file, call, called, work, depth)

    @cached_property
    def _is_cut(self) -> bool:
        """Whether the program names several slices of the test split."""
        cuts = {
            text
            for file in self._project.python.values()
            for node in file.nodes_of(ast.Constant)
            if (text := string_value(node)) is not None and text[:100].startswith("test[")
        }
        return len(cuts) > 1

    def _takes_parts(self, file: PythonFile, node: ast.expr) -> bool:
        """Whether a dataset is taken apart in several places, each with a part of its own."""
        name = file.qualified(node)
        found: list[ast.expr] = []
        for call, called in file.calls if name else ():
            method = isinstance(call.func, ast.Attribute) and call.func.attr in _PARTS
            if isinstance(call.func, ast.Attribute) and method and file.qualified(call.func.value) == name:
                found += call.args[:1]
            elif called.endswith("Subset") and len(call.args) > 1 and file.qualified(call.args[0]) == name:
                found.append(call.args[1])
        return any(not is_same(found[0], other) for other in found[1:])

    def _wrapped(self, file: PythonFile, call: ast.Call, called: str, work: _Work, depth: int) -> _Value:
        """A dataset of the submission's own class, made of one dataset."""
        classes = [
            node
            for other in self._project.python.values()
            for node in other.classes
            if called in (f"{other.module}.{node.name}", node.name)
        ]
        data = any("dataset" in words(base) for node in classes for base in node.bases)
        first = call.args[0] if call.args else None
        return self._value(file, first, None, work, depth) if data and first is not None else None

    def _returned(self, file: PythonFile, function: FunctionNode, index: int | None, work: _Work, depth: int) -> _Value:
        """What a function of the submission returns, where every return says the same."""
        returned = [node.value for node in scope_nodes(function) if isinstance(node, ast.Return)]
        if not returned or any(isinstance(node, ast.Yield | ast.YieldFrom) for node in scope_nodes(function)):
            return None
        return _joined([self._value(file, item, index, work, depth) if item else None for item in returned])

    def _item(self, file: PythonFile, node: ast.Subscript, work: _Work, depth: int) -> _Value:
        key = self.text(file, node.slice)
        if key is None:
            place = node.slice.value if isinstance(node.slice, ast.Constant) else None
            return self._value(file, node.value, place, work, depth) if isinstance(place, int) and place >= 0 else None
        held = self._value(file, node.value, None, work, depth)
        if isinstance(held, _Dict):
            return None if _is_stored(file, node.value, key) else _split_names(key)
        entry = self._entry(file, node.value, key, work, depth)
        return entry

    def _entry(self, file: PythonFile, node: ast.expr, key: str, work: _Work, depth: int) -> _Value:
        """The value under a key of a dict that a function returns, or that a name is bound to."""
        for _ in range(4):
            if isinstance(node, ast.Dict):
                found = [v for k, v in zip(node.keys, node.values, strict=True) if string_value(k) == key]
                return self._value(file, found[0], None, work, depth) if len(found) == 1 else None
            if isinstance(node, ast.Name):
                bound = self._bindings(file.function_of(node) or file.tree).get(node.id) if file.tree else None
                if not bound or len(bound) != 1 or bound[0] is None or bound[0][1] is not None:
                    return None
                node = bound[0][0]
            elif isinstance(node, ast.Call) and (own := self.own.called(file, node.func)) is not None:
                file, function = own
                returned = [item.value for item in scope_nodes(function) if isinstance(item, ast.Return)]
                if len(returned) != 1 or returned[0] is None:
                    return None
                node = returned[0]
            else:
                return None
        return None


_Bound = list[tuple[ast.expr, int | None] | None]


def _bindings(scope: FunctionNode | ast.Module) -> dict[str, _Bound]:
    """What a scope binds its names to: expressions with the place in a tuple, None for what is no plain assignment."""
    found: dict[str, _Bound] = {}
    plain: set[ast.AST] = set()
    for node in scope_nodes(scope):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).append((node.value, None))
                    plain.add(target)
                elif isinstance(target, ast.Tuple | ast.List):
                    for place, item in enumerate(target.elts):
                        if isinstance(item, ast.Name):
                            found.setdefault(item.id, []).append((node.value, place))
                            plain.add(item)
                        if isinstance(item, ast.Starred):
                            break
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and node not in plain:
            found.setdefault(node.id, []).append(None)
    return found


def _is_stored(file: PythonFile, node: ast.expr, key: str) -> bool:
    """Whether the program puts something of its own under a key of a dict of splits."""
    name = file.qualified(node)
    return bool(name) and any(
        not isinstance(one.ctx, ast.Load)
        and file.qualified(one.value) == name
        and string_value(one.slice) in (key, None)
        for one in file.nodes_of(ast.Subscript)
    )


def _parameters(function: FunctionNode) -> list[ast.arg]:
    given = function.args
    return [*given.posonlyargs, *given.args, *given.kwonlyargs]


def _begins_with(node: ast.AST, name: str) -> bool:
    """Whether an expression is made of the name itself: `data.map(...)`, `Subset(data, ...)`."""
    while True:
        if isinstance(node, ast.Name):
            return node.id == name
        if isinstance(node, ast.Call):
            method = isinstance(node.func, ast.Attribute) and node.func.attr in _SAME_DATA
            node = node.func if method or not node.args else node.args[0]
        elif isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        else:
            return False


def _joined(values: list[_Value]) -> _Value:
    """What several ways may bring, where each is known."""
    if not values or any(value is None for value in values):
        return None
    if all(isinstance(value, _Dict) for value in values):
        return _Dict()
    known = [value for value in values if isinstance(value, frozenset)]
    return frozenset().union(*known) if len(known) == len(values) else None


def _split_names(text: str) -> Splits:
    """`train[:80%]+test` is train and test."""
    return frozenset(part.partition("[")[0].strip() for part in text.split("+"))


def _torchvision(file: PythonFile, call: ast.Call, name: str) -> Splits | None:
    if any(item.arg is None for item in call.keywords) or any(isinstance(item, ast.Starred) for item in call.args):
        return None
    given = keyword(call, "train")
    position = _TRAIN_POSITION.get(name)
    if given is None and position is not None and len(call.args) > position:
        given = call.args[position]
    if given is not None:
        value = constant_value(file, given)
        return None if not isinstance(value, bool) else frozenset({"train" if value else "test"})
    split = keyword(call, "split")
    if split is not None:
        value = constant_value(file, split)
        return _split_names(value) if isinstance(value, str) else None
    return frozenset({"train"}) if position is not None else None
