"""Calls that draw random numbers out of nothing, not from given data."""

from __future__ import annotations

import ast
from collections import Counter
from functools import lru_cache

from assay.analysis.python_source import FunctionNode, PythonFile, descend

# https://docs.python.org/3.11/library/random.html#real-valued-distributions,
# https://numpy.org/doc/2.3/reference/random/generator.html#distributions,
# https://docs.pytorch.org/docs/2.9/torch.html#random-sampling (those that take no data)
_STANDARD = frozenset(
    {"random", "uniform", "triangular", "gauss", "normalvariate", "betavariate", "expovariate", "randint", "randrange"}
)
_NUMPY = frozenset(
    {
        "rand", "randn", "randint", "random", "random_sample", "ranf", "sample", "random_integers", "integers",
        "uniform", "normal", "standard_normal", "beta", "binomial", "exponential", "gamma", "lognormal", "poisson",
        "triangular",
    }
)  # fmt: skip
_TORCH = frozenset({"torch.rand", "torch.randn", "torch.randint", "torch.normal"})
_GENERATORS = frozenset({"numpy.random.default_rng", "numpy.random.RandomState", "random.Random"})


def is_draw(file: PythonFile, node: ast.AST) -> bool:
    """Whether a node is a call that draws random numbers: `random.random()`, `np.random.normal(0, 1)`."""
    if not isinstance(node, ast.Call):
        return False
    name = file.qualified(node.func)
    module, _, last = name.rpartition(".")
    if name in _TORCH or (module == "numpy.random" and last in _NUMPY):
        return True
    if module == "random" and last in _STANDARD:
        return any(item.module == "random" for item in file.imports)
    if isinstance(node.func, ast.Attribute) and last in _NUMPY | _STANDARD | {""}:
        maker: ast.expr | None = node.func.value
        if isinstance(maker, ast.Name):
            function = file.function_of(maker)
            maker = file.constants.get(maker.id) or (_values(function).get(maker.id) if function else None)
        if isinstance(maker, ast.Call) and file.qualified(maker.func) in _GENERATORS:
            return node.func.attr in _NUMPY | _STANDARD
    return False


def holds_draw(file: PythonFile, node: ast.AST) -> ast.Call | None:
    """The first random draw in an expression."""
    return next((part for part in descend(node) if isinstance(part, ast.Call) and is_draw(file, part)), None)


@lru_cache(maxsize=64)
def _values(function: FunctionNode) -> dict[str, ast.expr]:
    """What a function binds its names to, of those that it binds once."""
    bound = Counter(
        node.id for node in descend(function) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    )
    return {
        target.id: node.value
        for node in descend(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and bound[target.id] == 1
    }
