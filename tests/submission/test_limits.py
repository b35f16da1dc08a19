"""Encodings, sizes and nesting are judged before any parser sees a file, in time that grows with the text alone."""

from __future__ import annotations

import pytest

from assay.errors import InputError
from assay.submission import limits
from tests.bounded import ends

A_MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x7fELF\0\0", "a.py:1: NUL byte; this is a binary file"),
        (b"x = 1\n\0", "a.py:2: NUL byte"),
        (b"x = 1\n\xff\n", "a.py:2: not valid utf-8; save the file as UTF-8"),
        (b"# coding: latin-2000\n", "a.py: unknown encoding 'latin-2000'"),
        (b"# coding: zlib\n", "a.py: 'zlib' is no encoding for source code"),
        (b"# coding: utf-7\n", "a.py: 'utf-7' is no encoding for source code"),
        (b"# coding: punycode\n" + b"a" * A_MEGABYTE, "a.py: 'punycode' is no encoding for source code"),
        (b"# coding: raw_unicode_escape\n'\\ud800'", "is no encoding for source code"),
        (b"# coding: undefined\n", "is no encoding for source code"),
        ("x = 1".encode("utf-16"), "a.py: UTF-16, which neither Python nor its tools read"),
        (b"#" * (limits.MAX_FILE_BYTES + 1), "more than the 10,485,760 that one file may have"),
    ],
)
def test_what_is_no_source_text_is_refused(data, says):
    with pytest.raises(InputError) as caught:
        limits.decode("a.py", data)
    assert says in str(caught.value)


@pytest.mark.parametrize("mark", ["# coding: cp1252", "#!/usr/bin/env python\n# vim: set fileencoding=cp1252 :"])
def test_the_coding_line_may_be_the_first_or_the_second(mark):
    assert limits.decode("a.py", f"{mark}\nx = '".encode() + b"\x80'\n").endswith("x = '€'\n")


def test_a_coding_line_counts_in_python_only_and_at_the_top_only():
    with pytest.raises(InputError):
        limits.decode("a.yaml", b"# coding: latin-1\nx: \xe9\n")
    with pytest.raises(InputError):
        limits.decode("a.py", b"x = 1\n# coding: latin-1\ny = '\xe9'\n")


@pytest.mark.parametrize("path", ["a.py", "pyproject.toml", "a.json"])
@pytest.mark.parametrize("bracket", ["[", "{"])
def test_brackets_nested_very_deep_are_refused_with_their_line(path, bracket):
    with pytest.raises(InputError, match="brackets nested more than 200 deep"):
        limits.check_nesting(path, "\n" + bracket * 900_000)


def test_brackets_in_strings_and_comments_do_not_count():
    for text in ("x = '" + "[" * 500 + "'", '"""\n' + "(\n" * 500 + '"""', "# " + "{" * 500, r"'\'" + "[" * 500 + "'"):
        limits.check_nesting("a.py", text)


def test_many_brackets_side_by_side_are_fine():
    limits.check_nesting("a.py", "x = [" + "(1, 2), " * 10_000 + "]")


@pytest.mark.parametrize(
    "part",
    ['"', "'", "'''a", '"""\n', '\\"', "\"\\'", "#", "#\n", "\\", "\"'[(])", "''", '"a\n', "'''\"\"\"\n", '"\\\n'],
)
def test_nothing_takes_more_than_linear_time(part):
    def check():
        for before in ("", '"', "'''", "(" * 150):
            text = before + "()[]" * 60 + part * (A_MEGABYTE // len(part))
            limits.check_nesting("a.py", text)
            limits.check_json_nesting("a.json", text)

    ends(check)


def test_a_dotted_key_of_many_parts_is_refused_before_the_toml_parser_meets_it():
    for text in ("a." * 1000 + "b = 1", "[" + "a . " * 1000 + "b]", "x = {" + '"a".' * 1000 + "b = 1}"):
        with pytest.raises(InputError, match="a dotted key of more than 50 parts"):
            limits.check_nesting("pyproject.toml", text)
    limits.check_nesting("pyproject.toml", "[tool.hatch.build.targets.wheel]\nversion = '1.2.3.4'\n")


def test_more_python_than_syntax_trees_leave_memory_for_is_refused():
    with pytest.raises(InputError, match="more than 500,000 words and signs of Python"):
        limits.check_amount_of_python("a", ["x\n" * 300_000, "y\n" * 300_000])
    limits.check_amount_of_python("a", ["# " + "word" * A_MEGABYTE])


def test_an_input_file_is_regular_and_of_bounded_size(tmp_path):
    with pytest.raises(InputError, match="not a regular file"):
        limits.read_input(tmp_path.joinpath("/dev/zero"))
    with pytest.raises(InputError, match="No such file"):
        limits.read_input(tmp_path / "none")
    with pytest.raises(InputError, match=r"Is a directory|not a regular file"):
        limits.read_input(tmp_path)
    large = tmp_path / "large"
    large.write_bytes(b"")
    with large.open("r+b") as stream:
        stream.truncate(10**10)
    with pytest.raises(InputError, match="more than the 10,485,760 bytes"):
        limits.read_input(large)
