"""Comments are found beside the strings of a text, as Python's tokenizer finds them."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

from assay.analysis.python_source import PythonFile
from assay.analysis.source_comments import hash_comments, python_comments

TEXTS = [
    "a = 1  # one\n# two\nb = '# none'\n",
    'a = """\n# none\n"""  # one\n',
    'a = """# none\nmore # none"""\n',
    "a = ('b'  # one\n     'c # none')  # two\n",
    "a = ('b'\n     # one\n     'c')\n",
    "a = f'{b}# none'  # one\n",
    'a = f"""{b}\n# none\n{c}"""  # one\n',
    "a = r'\\\\'  # one\n",
    "a = rb'# none'  # one\n",
    "a = '\\\n# none'  # one\n",
    "é = 'é#'  # ö\n",
    "def f():\n    '''# none\n    '''\n    # one\n",
    "a = 1 \\\n    + 2  # one\n",
    "x = 1\r\n# one\r\n",
    "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\nx = 1\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_each_comment_has_its_line(text):
    assert [(found.line, found.alone) for found in python_comments(PythonFile("a.py", text))] == tokenized(text)


def test_they_are_those_of_the_standard_library():
    for path in sorted(Path(ast.__file__).parent.glob("*.py"))[:40]:
        text = path.read_text(encoding="utf-8")
        assert [(found.line, found.alone) for found in python_comments(PythonFile("a.py", text))] == tokenized(text)


def test_a_broken_text_gives_those_before_the_break():
    assert [found.text for found in python_comments(PythonFile("a.py", "# one\nx = (\n"))] == ["one"]


def test_a_hash_in_quotes_begins_no_comment_of_yaml():
    assert [found.text for found in hash_comments("a: 1  # one\nb: '# none'\nc: d#none\n# two\n")] == ["one", "two"]


def tokenized(text):
    return [
        (token.start[0], not token.line[: token.start[1]].strip())
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
