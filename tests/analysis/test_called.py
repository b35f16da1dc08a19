"""What reading tells of the arguments of library calls."""

from __future__ import annotations

import pytest

from assay.analysis.called import UNKNOWN, constant_value, read_call
from assay.analysis.python_source import PythonFile


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("load('a')\n", "a"),
        ("NAME = 'a'\nload(NAME)\n", "a"),
        ("NAME = 'a'\ndef f():\n    load(NAME)\n", "a"),
        ("def f():\n    name = 'a'\n    load(name)\n", "a"),
        ("def f(q):\n    if q:\n        name = 'a'\n    load(name)\n", "a"),
        ("def f():\n    if (name := 'a'):\n        load(name)\n", "a"),
        ("SIZES = [1, 2]\nload(SIZES)\n", [1, 2]),
        ("load(-3)\n", -3),
    ],
)
def test_a_name_that_is_bound_once_has_its_value(text, value):
    assert _first(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "load(name)\n",
        "def f(name):\n    load(name)\n",
        "def f(name='a'):\n    load(name)\n",
        "def f(q):\n    if q:\n        name = 'a'\n    else:\n        name = 'b'\n    load(name)\n",
        "def f():\n    name = 'a'\n    name += 'b'\n    load(name)\n",
        "def f():\n    for name in ('a',):\n        load(name)\n",
        "def f():\n    name = 'a'\n    def g():\n        nonlocal name\n        name = 'b'\n    g()\n    load(name)\n",
        "NAME = 'a'\ndef f():\n    global NAME\n    NAME = 'b'\ndef g():\n    load(NAME)\n",
        "class A:\n    name = 'a'\n    def f(self):\n        load(name)\n",
        "def f():\n    name, other = 'a', 'b'\n    load(name)\n",
        "def f():\n    name = g()\n    load(name)\n",
        "def f():\n    with g() as name:\n        load(name)\n",
        "def f():\n    import name\n    load(name)\n",
    ],
)
def test_what_may_be_something_else_is_unknown(text):
    assert _first(text) is UNKNOWN


def test_unpacked_arguments_leave_a_call_open():
    file = PythonFile("src/train.py", "load('a', *rest, key=1, **more)\n")
    called = read_call(file, file.path, *file.calls[0])
    assert called.open
    assert called.positional == ("a",)
    assert called.keywords == {"key": 1}


def _first(text):
    file = PythonFile("src/train.py", text)
    call = next(call for call, name in file.calls if name == "load")
    return constant_value(file, call.args[0])
