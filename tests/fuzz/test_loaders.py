"""No loader fails on any bytes: the only outcomes are what it reads and an InputError of one line."""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from assay import open_submission, review, yaml_tree
from assay.analysis.packaging_metadata import PyProject
from assay.analysis.python_source import PythonFile
from assay.analysis.ruff_check import python_range
from assay.contracts import load_contract
from assay.errors import InputError
from assay.submission import limits
from assay.submission.brief_file import read_brief
from tests.fuzz.mutation import PIECES, fragments
from tests.submission.conftest import EIGHT, SEVEN, lay
from tests.submission.test_brief_file import YAML as BRIEF
from tests.submission.test_transcript import BASE, DERIVED, EXPERIMENT, bundle

NAMES = st.sampled_from(
    [
        "src/train.py",
        "src/model.py",
        "config/config.yaml",
        "config/runs/a.yaml",
        "pyproject.toml",
        "a.json",
        "notes.md",
        "x.bin",
    ]
)
TRANSCRIPTS = (
    EXPERIMENT.format(code=bundle(SEVEN), trial="mode=trial"),
    DERIVED.format(base=bundle(EIGHT), code=bundle(EIGHT)),
    BASE.format(code=bundle(EIGHT)),
)
CONTRACT = (
    "name: a\nextends: base\nmore_requirements:\n  - {id: Z1, text: b, rules: [LAY001]}\nfiles: {required: [a.py]}\n"
)


def damaged(seed: int, text: str) -> bytes:
    """A text with some of it cut, doubled, exchanged or overwritten."""
    chance = random.Random(seed)
    data = text.encode("utf-8")
    for _ in range(chance.randint(1, 5)):
        begin = chance.randint(0, len(data))
        end = min(len(data), begin + chance.choice((0, 1, 5, 50, 500)))
        middle = chance.choice(
            (b"", data[begin:end] * 2, chance.randbytes(3), chance.choice(PIECES).encode(), data[end : end + 50])
        )
        data = data[:begin] + middle + data[end:]
    return data


texts = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
seeds = st.integers(0, 2**48)


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def read(function, *arguments, **options):
    """What a loader gives; None where it refuses."""
    try:
        return function(*arguments, **options)
    except InputError:
        return None


@given(NAMES, st.one_of(st.binary(max_size=300), texts.map(lambda text: text.encode("utf-8", "replace"))))
def test_decode(name, data):
    text = read(limits.decode, name, data)
    if text is not None:
        assert "\r" not in text
        text.encode("utf-8")
        read(limits.check_nesting, name, text)


@given(NAMES, st.sampled_from(["latin-1", "utf-8", "shift_jis", "utf_7", "hex", "x" * 30]), st.binary(max_size=100))
def test_decode_with_a_coding_line(name, encoding, data):
    text = read(limits.decode, name, f"# coding: {encoding}\n".encode() + data)
    if text is not None:
        text.encode("utf-8")


@given(
    st.dictionaries(NAMES, st.one_of(st.binary(max_size=100), texts.map(lambda text: text.encode("utf-8", "replace"))))
)
def test_folder(files):
    with tempfile.TemporaryDirectory() as folder:
        read(review, lay(Path(folder), SEVEN | files), contract="experiment")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["train_py", "a.py", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(json_values)
def test_bundle_of_any_shape(place, value):
    (place / "bundle.json").write_text(json.dumps(value), encoding="utf-8")
    read(open_submission, place / "bundle.json")


@given(seeds)
def test_damaged_bundle(place, seed):
    (place / "bundle.json").write_bytes(damaged(seed, bundle(SEVEN)))
    read(review, place / "bundle.json")


@given(seeds, st.sampled_from(TRANSCRIPTS))
def test_damaged_transcript(place, seed, text):
    (place / "transcript.txt").write_bytes(damaged(seed, text))
    read(open_submission, place / "transcript.txt")


@given(seeds, st.sampled_from([".yaml", ".json", ".md"]))
def test_damaged_brief(place, seed, suffix):
    path = place / f"brief{suffix}"
    text = {".yaml": BRIEF, ".json": json.dumps(yaml.safe_load(BRIEF)), ".md": TRANSCRIPTS[0]}[suffix]
    path.write_bytes(damaged(seed, text))
    brief = read(read_brief, path)
    if brief is not None:
        str(brief).encode("utf-8")


@given(json_values)
def test_brief_of_any_shape(place, value):
    (place / "brief.json").write_text(json.dumps({"runs": value, "hypothesis": value}), encoding="utf-8")
    read(read_brief, place / "brief.json")


@given(seeds)
def test_damaged_contract(place, seed):
    (place / "contract.yaml").write_bytes(damaged(seed, CONTRACT))
    read(load_contract, str(place / "contract.yaml"))


@given(
    st.one_of(
        texts,
        seeds.map(
            lambda seed: damaged(seed, fragments(".yaml")[seed % len(fragments(".yaml"))]).decode("utf-8", "replace")
        ),
    )
)
def test_yaml(text):
    try:
        documents = yaml_tree.parse("a.yaml", text)
    except (InputError, yaml_tree.YamlSyntaxError):
        return
    for document in documents:
        yaml_tree.to_python(document)
        yaml_tree.to_python(document, omegaconf=True)


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.integers()
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc1", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(plain)
def test_yaml_that_was_dumped_is_read_back(value):
    text = yaml.safe_dump(value, allow_unicode=True)
    assume(yaml.safe_load(text) == value)
    assert yaml_tree.to_python(yaml_tree.parse("a.yaml", text)[0]) == value


@given(
    st.one_of(
        texts,
        seeds.map(
            lambda seed: damaged(seed, fragments(".toml")[seed % len(fragments(".toml"))]).decode("utf-8", "replace")
        ),
    )
)
def test_toml(text):
    project = PyProject.parse("pyproject.toml", text)
    project.table("project", "x")
    project.line("project", "dependencies")
    python_range(
        project.get("project", "requires-python") and str(project.get("project", "requires-python")), text[:50]
    )


@given(
    st.one_of(
        texts,
        seeds.map(
            lambda seed: damaged(seed, fragments(".py")[seed % len(fragments(".py"))]).decode("utf-8", "replace")
        ),
    )
)
def test_python(text):
    file = PythonFile("src/train.py", text)
    assert bool(file.tree) != bool(file.unreadable)
    assert len(file.parents) == max(0, len(file.nodes) - 1)
    for node in file.nodes[:50]:
        file.symbol_of(node)
    assert file.calls is not None
    assert file.defined is not None
    assert all(item.bound for item in file.imports)
