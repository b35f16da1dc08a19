"""A Python file is its tree, its imports and what its names mean; no file can exhaust it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from assay.analysis.python_source import PythonFile, children, descend, keyword, string_value
from tests.bounded import ends

TEXT = """\
import os.path
import numpy as np
import torch.nn.functional as F
from torch import nn
from .model import Model as M
from . import preprocess

try:
    import wandb
except ImportError:
    wandb = None


class Net(nn.Module):
    def forward(self, x):
        def inner():
            import json
            return json.dumps(x)
        return F.relu(np.mean(x)), inner


def main():
    Net()(os.path.join("a", sep="b"))
"""


@pytest.fixture
def file():
    return PythonFile("src/train.py", TEXT)


def test_imports_are_absolute_and_know_whether_they_may_fail(file):
    found = {item.bound: (item.target, item.guarded, item.in_function) for item in file.imports}
    assert found == {
        "os": ("os.path", False, False),
        "np": ("numpy", False, False),
        "F": ("torch.nn.functional", False, False),
        "nn": ("torch.nn", False, False),
        "M": ("src.model.Model", False, False),
        "preprocess": ("src.preprocess", False, False),
        "wandb": ("wandb", True, False),
        "json": ("json", False, True),
    }


def test_names_of_calls_follow_the_imports(file):
    names = [name for _, name in file.calls]
    assert {"numpy.mean", "torch.nn.functional.relu", "os.path.join", "json.dumps", "Net"} <= set(names)
    call = next(node for node, name in file.calls if name == "os.path.join")
    assert string_value(call.args[0]) == "a"
    assert string_value(keyword(call, "sep")) == "b"
    assert keyword(call, "none") is None
    assert file.qualified(None) == ""
    assert file.qualified(call) == ""


def test_symbols_and_surroundings(file):
    inner = next(node for node in file.functions if node.name == "inner")
    assert file.symbol_of(inner) == "Net.forward.inner"
    assert file.symbol_of(inner.body[0]) == "Net.forward.inner"
    function = file.function_of(inner)
    assert function is not None
    assert function.name == "forward"
    assert [node.name for node in file.classes] == ["Net"]
    assert {"Net", "main", "np", "wandb", "M"} <= file.defined
    assert "inner" not in file.defined


def test_module_names():
    assert PythonFile("src/train.py", "").module == "src.train"
    assert PythonFile("src/__init__.py", "").module == "src"


def test_nodes_come_in_the_order_of_the_text(file):
    lines = [node.lineno for node in file.nodes if isinstance(node, ast.stmt)]
    assert lines == sorted(lines)
    assert file.nodes[0] is file.tree
    placed = {node for node in ast.walk(file.tree) if hasattr(node, "lineno")}
    assert placed <= set(file.nodes) == set(descend(file.tree))


@pytest.mark.parametrize(
    "text",
    [
        "def f(:\n",
        "x = '''\n",
        "\0",
        "x = 1\n\0",
        "\ud800 = 1\n",
        "'\ud800'",
        "if a:\nb\n",
        "x = " + "(" * 1000,
        "9" * 10_000,
        "x = " + "-" * 100_000 + "1",
        "x = " + "not " * 100_000 + "1",
        "a" + ".b" * 100_000,
        "a" + "()" * 100_000,
        "1" + "+1" * 100_000,
        "if a: pass\n" + "elif a: pass\n" * 20_000,
        "lambda: " * 100_000 + "1",
        "1 if 1 else " * 100_000 + "1",
        "await " * 100_000 + "x",
        "f'{" * 1000,
        "a[" * 150 + "0" + "]" * 150 + ".b" * 500,
        "x = " + "[" * 90 + "]" * 90 + "\n" + "a" + "[0]" * 5000,
    ],
    ids=range(21),
)
def test_a_file_without_a_usable_tree_says_why_and_stays_harmless(text):
    ends(lambda: PythonFile("a.py", text))
    file = PythonFile("a.py", text)
    assert file.tree is None
    assert file.unreadable
    assert (file.nodes, file.imports, file.calls, file.functions, file.classes) == ([], [], [], [], [])
    assert file.defined == set()


def test_warnings_of_the_parser_are_kept_to_itself(recwarn):
    PythonFile("a.py", "x = '\\d'\nassert (1, 'a')\n1 is 1\n")
    assert not recwarn.list


def test_a_long_flat_file_ends():
    def read():
        # two seconds; a look at all lines for each of them takes half an hour
        file = PythonFile("a.py", "value = call(first, second=[1, 2])\n" * 50_000)
        assert len(file.calls) == 50_000
        assert file.parents
        assert file.defined == {"value"}

    ends(read)


def test_the_interpreter_s_limits_stay_as_they_were():
    before = sys.getrecursionlimit()
    PythonFile("a.py", "a" + ".b" * 100_000)
    assert sys.getrecursionlimit() == before


def test_nodes_of_several_kinds_stand_in_the_order_of_the_text():
    file = PythonFile("a.py", TEXT)
    for kinds in (
        (ast.Name, ast.Attribute),
        (ast.stmt,),
        (ast.FunctionDef, ast.Call, ast.Constant),
        (ast.expr, ast.stmt),
    ):
        assert file.nodes_of(*kinds) == [node for node in file.nodes if isinstance(node, kinds)]


def test_no_child_of_a_node_is_left_out():
    marks = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
    for path in sorted(Path(ast.__file__).parent.glob("*.py"))[:40]:
        for node in ast.walk(ast.parse(path.read_bytes())):
            assert children(node) == [one for one in ast.iter_child_nodes(node) if not isinstance(one, marks)]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement came with Python 3.12")
def test_the_name_of_a_type_alias_is_a_child():
    (statement,) = ast.parse("type Number = int | float\n").body
    assert isinstance(children(statement)[0], ast.Name)
