"""Folding of text: what is constant, what stays open."""

from __future__ import annotations

import ast

import pytest

from assay.analysis.python_source import PythonFile
from assay.analysis.text_pattern import Pattern, PatternReader


def read(text: str) -> tuple[PatternReader, ast.expr]:
    """A reader, and the first argument of the call of `use`."""
    file = PythonFile("src/a.py", text)
    return PatternReader(file), next(call.args[0] for call, name in file.calls if name == "use")


def folded(text: str) -> str:
    reader, node = read(text)
    return reader.fold(node).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use('a' + 'b')", "ab"),
        ("use(f'{run_id}_curve.pdf')", "{run_id}_curve.pdf"),
        ("use('{}_{n}.pdf'.format(a, n=3))", "{a}_3.pdf"),
        ("use('%s_%03d.pdf' % (a, b))", "{a}_{...}.pdf"),
        ("import os\nuse(os.path.join(d, 'x', 'y.pdf'))", "{d}/x/y.pdf"),
        ("from pathlib import Path\nuse(str(Path(d) / 'x' / f'{cfg.run_id}.pdf'))", "{d}/x/{cfg.run_id}.pdf"),
        ("from pathlib import Path\nuse(Path('a').joinpath('b.png').with_suffix('.pdf'))", "a/b.pdf"),
        ("name = 'x'\nuse(name + '.pdf')", "x.pdf"),
        ("use(a if b else c)", "{...}"),
    ],
)
def test_paths_and_texts_fold(text, expected):
    assert folded(text) == expected


def test_the_assignment_that_reaches_the_use_counts():
    assert folded("x = 'a'\nuse(x)\nx = 'b'\n") == "a"
    assert folded("x = 'a'\nx = 'b'\nuse(x)\n") == "b"


def test_a_name_that_a_branch_or_a_loop_may_change_stays_open():
    assert folded("x = 'a'\nif c:\n    x = 'b'\nuse(x)\n") == "{x}"
    assert folded("x = 'a'\nfor i in y:\n    use(x)\n    x = 'b'\n") == "{x}"
    assert folded("x = 'a'\nx += 'b'\nuse(x)\n") == "{x}"
    assert folded("if c:\n    x = 'a'\nelse:\n    use(x)\n") == "{x}"


def test_names_of_comprehensions_and_parameters_stay_open():
    assert folded("x = 'a'\ny = [use(x) for x in z]\n") == "{x}"
    assert folded("x = 'a'\ndef f(x):\n    use(x)\n") == "{x}"
    assert folded("x = 'a'\ndef f():\n    use(x)\n") == "a"
    assert folded("x = 'a'\ndef g():\n    global x\n    x = 'b'\ndef f():\n    use(x)\n") == "{x}"


def test_parameters_are_followed_to_each_call():
    reader, node = read("def f(d, path):\n    use(d / path)\n\nf(1, 'a.pdf')\nf(d=r, path=f'{k}.pdf')\n")
    assert [pattern.text for pattern in reader.fold_at_calls(node)] == ["1/a.pdf", "{r}/{k}.pdf"]


def test_name_and_suffix_of_a_pattern():
    reader, node = read("use(out / f'{a}_x.pdf')")
    pattern = reader.fold(node)
    assert pattern.name.text == "{a}_x.pdf"
    assert pattern.suffix == ".pdf"
    assert Pattern(("plain",)).suffix == ""
    assert Pattern(("a/",)).suffix is None


def test_size_is_bounded():
    reader, node = read("use(" + "+".join(["'a'"] * 200) + ")")
    assert reader.fold(node).holes
    text = "x0 = 'a'\n" + "".join(f"x{n + 1} = x{n} + x{n}\n" for n in range(60)) + "use(x60)\n"
    assert folded(text)
