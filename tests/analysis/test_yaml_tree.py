"""YAML is read as a tree with places, with the values that its loaders give, and within bounds."""

from __future__ import annotations

import math

import pytest
import yaml

from assay import yaml_tree
from assay.errors import InputError
from tests.bounded import ends

TEXT = """\
run: ???
training: &t
  lr: 1e-4  # a comment
  betas: [0.9, 0.98]
  notes: |
    several
    lines
again: *t
lr: 1
lr: 2
"""


def tree(text):
    return yaml_tree.parse("a.yaml", text)[0]


def test_every_value_knows_its_place():
    root = tree(TEXT)
    lr = yaml_tree.find(root, "training", "lr")
    assert isinstance(lr, yaml_tree.Scalar)
    assert (lr.text, lr.line, lr.column, lr.end_line) == ("1e-4", 3, 7, 3)
    notes = yaml_tree.find(root, "training", "notes")
    assert isinstance(notes, yaml_tree.Scalar)
    assert (notes.text, notes.plain, notes.line) == ("several\nlines\n", False, 5)
    assert yaml_tree.find(root, "training", "lr", "deeper") is None
    assert yaml_tree.find(root, "none") is None


def test_lines_are_those_of_an_editor_whatever_yaml_takes_for_a_line_end():
    root = tree("a: 'x\x85\u2028y'\nb:\n  c: 1\n")
    assert isinstance(root, yaml_tree.Mapping)
    assert [(key.line, key.column) for key, _ in root.pairs] == [(1, 1), (2, 1)]
    inner = yaml_tree.find(root, "b", "c")
    assert inner is not None
    assert (inner.line, inner.column) == (3, 6)


@pytest.mark.parametrize(
    "text", ["a: 1\n---", "a:", "---", "- a\n-", "? a", "a: [b,\n]", "a: 1\n---\n", "\x85\n---\x85"]
)
def test_no_place_is_below_the_text(text):
    for document in yaml_tree.parse("a.yaml", text):
        nodes = [document]
        while nodes:
            node = nodes.pop()
            assert 1 <= node.line <= text.count("\n") + 1
            if isinstance(node, yaml_tree.Mapping):
                nodes += [part for pair in node.pairs for part in pair]
            elif isinstance(node, yaml_tree.Sequence):
                nodes += node.items


def test_a_repeated_key_stays_visible_and_the_last_one_counts():
    root = tree(TEXT)
    assert isinstance(root, yaml_tree.Mapping)
    assert [name for name, _ in root.items()].count("lr") == 2
    value = root.get("lr")
    assert isinstance(value, yaml_tree.Scalar)
    assert value.resolve() == 2
    key = root.key("training")
    assert key is not None
    assert (key.line, key.column) == (2, 1)


def test_an_alias_is_the_node_it_names():
    root = tree(TEXT)
    assert yaml_tree.find(root, "again") is yaml_tree.find(root, "training")


SCALARS = [
    "1",
    "-1",
    "+1",
    "0",
    "00",
    "012",
    "0b101",
    "0x1F",
    "-0x1f",
    "1_000",
    "1.",
    "1.5",
    "-1.5e+3",
    "1e-4",
    "1.5e-4",
    ".5",
    ".inf",
    "-.inf",
    ".nan",
    "yes",
    "No",
    "on",
    "OFF",
    "true",
    "True",
    "TRUE",
    "null",
    "~",
    "",
    "Null",
    "none",
    "a b",
    "1 2",
    "08",
    "y",
    "n",
    "1.2.3",
    "0o17",
    "'1'",
    '"1"',
    "!!str 1",
    "é",
    "1e5",
    "1e+5",
    "1.e5",
    "12e03",
    "0_",
    "0b2",
    "-",
    "!!float 1",
    "!!int '3'",
]


@pytest.mark.parametrize("text", [text for text in SCALARS if text != "-"])
def test_scalars_have_the_value_that_pyyaml_gives(text):
    expected = yaml.safe_load(f"a: {text}")["a"]
    given = yaml_tree.to_python(tree(f"a: {text}"))["a"]
    if isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(given)
    else:
        assert (given, type(given)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("text", "value"), [("1e-4", 1e-4), ("1e5", 1e5), ("12e03", 12e3), ("1.5", 1.5), ("a", "a"), ("1", 1)]
)
def test_omegaconf_reads_exponents_without_a_dot(text, value):
    assert yaml_tree.to_python(tree(f"a: {text}"), omegaconf=True) == {"a": value}


def test_documents_and_empty_texts():
    assert len(yaml_tree.parse("a.yaml", "a: 1\n---\nb: 2\n")) == 2
    assert yaml_tree.parse("a.yaml", "") == yaml_tree.parse("a.yaml", "# nothing\n") == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: b: c\n", 1),
        ("a: [\n", 2),
        ("a: 'b\n", 2),
        ("a: 1\n\tb: 2\n", 2),
        ("a: *b\n", 1),
        ("&a [*a]", 1),
        ("a: 1\nb\n", 3),
        ("a: 1\nb: \x07\n", 2),
        ("a: 1\n\ud800: 2\n", 2),
        ("%YAML 1.1\n%YAML 1.1\n", 2),
    ],
)
def test_what_is_no_yaml_says_where(text, line):
    with pytest.raises(yaml_tree.YamlSyntaxError) as caught:
        yaml_tree.parse("a.yaml", text)
    assert caught.value.line == line
    assert caught.value.problem


MANY = 1_000_000
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * MANY, "nested more than 100 deep"),
        ("{" * MANY, "nested more than 100 deep"),
        ("- " * MANY, "nested more than 100 deep"),
        ("? " * MANY, "nested more than 100 deep"),
        ("{a: " * MANY, "nested more than 100 deep"),
        ("a: it's [\n" + "[it's, " * MANY, "nested more than 100 deep"),
        ("".join(" " * n + "a:\n" for n in range(2000)), "nested more than 100 deep"),
        (LAUGHS, "grows to more than 100,000 values"),
        ("a: &a " + "x" * 1_000_000 + "\nb: [" + "*a, " * 1000 + "]", "grows to more than 100,000 values"),
        ("- a\n" * MANY, "grows to more than 100,000 values"),
        ("a\n---\n" * MANY, "more than 100,000 values"),
        ("%TAG ! x\n" * MANY, "more than 100 %TAG lines"),
        (
            "a: !!python/object/apply:os.system ['id']",
            "a.yaml:1: YAML tag 'tag:yaml.org,2002:python/object/apply:os.system'",
        ),
        ("a:\n  - !include /etc/passwd\n", "a.yaml:2: YAML tag '!include'"),
        ("!x [a]", "YAML tag"),
        ("!" + "x" * MANY + " a", "YAML tag"),
    ],
    ids=range(16),
)
def test_what_would_cost_or_construct_something_is_refused(text, says):
    ends(lambda: _refused(text))
    with pytest.raises((InputError, yaml_tree.YamlSyntaxError)) as caught:
        yaml_tree.parse("a.yaml", text)
    if isinstance(caught.value, InputError):
        assert says in str(caught.value)
        assert len(str(caught.value)) < 300


def _refused(text):
    with pytest.raises((InputError, yaml_tree.YamlSyntaxError)):
        yaml_tree.parse("a.yaml", text)


@pytest.mark.parametrize(
    "part", [" ", "\n", "#", "# \n", ":", "a ", '"', "'", "&a ", "*a ", "!!", "a: b\n", "-\n", "|\n a\n", "a,", "\\"]
)
def test_no_text_takes_long(part):
    def read():
        for before in ("", "a: ", "[", '"', "a: |\n  ", "? "):
            try:
                nodes = yaml_tree.parse("a.yaml", before + part * (MANY // len(part)))
            except (InputError, yaml_tree.YamlSyntaxError):
                continue
            for node in nodes:
                yaml_tree.to_python(node)

    ends(read)


def test_a_hundred_levels_are_fine():
    assert yaml_tree.to_python(tree("[" * 99 + "]" * 99)) is not None


@pytest.mark.parametrize(
    "digits", ["9" * 100_000, "0x" + "f" * 100_000, "0" + "7" * 100_000, "1e999999999", "1" * 5000 + ".5"]
)
def test_numbers_too_large_to_count_do_no_harm(digits):
    assert yaml_tree.to_python(tree(f"a: {digits}"), omegaconf=True)["a"] is not None
