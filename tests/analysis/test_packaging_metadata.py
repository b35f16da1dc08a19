"""`pyproject.toml` gives its values and the lines they stand on, whatever it holds."""

from __future__ import annotations

import pytest

from assay.analysis.packaging_metadata import PyProject
from tests.bounded import ends

TEXT = """\
# a comment
[build-system]
requires = ["hatchling"]

[project]
name = "tiny"
dependencies = [
  "torch>=2",
  "hydra-core",
]
optional-dependencies.dev = ["pytest"]

[tool."odd.name".x]
y = 1

[[tool.uv.index]]
name = "first"
"""


def parse(text):
    return PyProject.parse("pyproject.toml", text)


def test_values_and_their_lines():
    project = parse(TEXT)
    assert project.error == ""
    assert project.get("project", "name") == "tiny"
    assert project.table("build-system") == {"requires": ["hatchling"]}
    assert project.line("project") == 5
    assert project.line("project", "dependencies") == 7
    assert project.line("project", "optional-dependencies", "dev") == 11
    assert project.line("tool", "uv", "index") == 16
    assert project.line("build-system", "requires") == 3
    assert project.line_of_text("hydra-core") == 9


def test_what_is_not_there():
    project = parse(TEXT)
    assert project.get("project", "name", "deeper") is None
    assert project.table("project", "dependencies") == {}
    assert project.table("none") == {}
    assert project.line("project", "none") == 5
    assert project.line("none") is None
    assert project.line_of_text("none") is None


@pytest.mark.parametrize(
    ("text", "line"),
    [("x =\n", 1), ("[a]\nb = 1\nb = 2\n", 3), ("[a\n", 1), ("a = 1979-99-99\n", 1), ("a = '\n", 1),
     ("a = 1" + "1" * 10_000, None), ("a = " + "[" * 5000, None), ("\ud800", 1)],
)  # fmt: skip
def test_broken_toml_is_recorded_with_its_line(text, line):
    project = parse(text)
    assert project.error
    assert project.data == {}
    assert project.error_line in (line, None)


@pytest.mark.parametrize(
    "part",
    ["[", "[ ", "]", " ", '"', "'", "a", "a.", '"a" . ', "=", "#", "\\", "a = 1\n", "[[a]]\n", "[a", '"""', "\t"],
)
def test_no_text_takes_long(part):
    def read():
        for before in ("", "[", "a = ", "a = '", "[a]\n", "a "):
            for after in ("", "]", " x"):
                if part != "a.":  # keys of many parts do not come so far: see assay.submission.limits
                    parse(before + part * (100_000 // len(part)) + after)

    ends(read)
