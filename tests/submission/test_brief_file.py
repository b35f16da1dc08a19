"""A brief of its own is YAML, JSON, or Markdown with a transcript's headings."""

from __future__ import annotations

import json
import os

import pytest

from assay.errors import InputError
from assay.submission.brief import Brief, Run
from assay.submission.brief_file import read_brief

YAML = """\
hypothesis: A gate helps.
method: It opens.
runs:
  - plain
  - run_id: proposed-tiny-digits
    method: proposed
    config: |
      run_id: proposed-tiny-digits
  - {run_id: 7, config: {training: {lr: 0.1, name: é}}}
primary_metric: accuracy
direction: maximize
"""

LAUGHS = "k: &k [x, x]\n" + "".join(
    f"k{n}: &k{n} [*k{n - 1 if n else ''}, *k{n - 1 if n else ''}]\n" for n in range(30)
)


@pytest.fixture
def written(tmp_path):
    def write(text, name="brief.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    return write


def test_yaml_and_json_say_the_same(written):
    brief = read_brief(written(YAML))
    assert brief == Brief(
        hypothesis="A gate helps.",
        method="It opens.",
        runs=(
            Run("plain"),
            Run("proposed-tiny-digits", "proposed", config="run_id: proposed-tiny-digits\n"),
            Run("7", config="training:\n  lr: 0.1\n  name: é\n"),
        ),
        primary_metric="accuracy",
        direction="maximize",
    )
    value = {
        "hypothesis": "A gate helps.", "method": "It opens.", "primary_metric": "accuracy", "direction": "maximize",
        "runs": ["plain",
                 {"run_id": "proposed-tiny-digits", "method": "proposed", "config": "run_id: proposed-tiny-digits\n"},
                 {"run_id": 7, "config": {"training": {"lr": 0.1, "name": "é"}}}],
    }  # fmt: skip
    assert read_brief(written(json.dumps(value), "brief.json")) == brief


def test_markdown_has_the_headings_of_a_transcript(written):
    text = (
        "# Hypothesis\nA gate helps.\n\n# Experiment Runs\n- Run ID: a\n  Method: proposed\n\n# Expected Results\n75\n"
    )
    brief = read_brief(written(text, "brief.md"))
    assert brief == Brief(hypothesis="A gate helps.", runs=(Run("a", "proposed"),), expected="75")


def test_an_empty_file_is_an_empty_brief(written):
    assert read_brief(written("")) == read_brief(written("", "brief.md")) == Brief()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (LAUGHS, "grows to more than 100,000 values"),
        ("- a\n- b\n", "a brief is a mapping with keys such as hypothesis, method and runs"),
        ("hypotesis: x\n", "hypotesis: Extra inputs are not permitted (a brief has hypothesis, method"),
        ("hypothesis: [a]\n", "hypothesis: Input should be a valid string"),
        ("runs: {a: 1}\n", "runs: Input should be a valid list"),
        ("runs: [{}]\n", "Field required"),
        ("direction: up\n", "direction: Input should be 'maximize' or 'minimize'"),
        ("a: [\n", ":2:1: broken YAML"),
        ("a: !!python/object/apply:os.system [id]\n", "YAML tag"),
        ("[" * 1_000_000, "YAML nested more than 100 deep"),
        (b"\0\0", "NUL byte"),
        (b"hypothesis: \xff\n", "not valid utf-8"),
        (b"PK\x03\x04" + b"x" * 50, "a zip archive"),
        ("runs: [" + "a, " * 2000 + "]", "more than 1,000 runs"),
        (b"#" * 11_000_000, "more than the 10,485,760 bytes"),
    ],
    ids=range(15),
)
def test_what_is_no_brief_is_answered_with_one_line(written, text, says):
    with pytest.raises(InputError) as caught:
        read_brief(written(text))
    assert says in str(caught.value)
    assert str(caught.value).count("brief.yaml") == 1


@pytest.mark.parametrize("text", ["{", "[" * 1_000_000, '{"hypothesis": "\\ud800"}', '{"a": 1, "a": 2}', "1", "null"])
def test_broken_json_is_answered_with_one_line(written, text):
    with pytest.raises(InputError, match=r"brief\.json"):
        read_brief(written(text, "brief.json"))


def test_more_runs_than_an_experiment_has_are_refused(written):
    with pytest.raises(InputError, match="more than 1,000 runs"):
        read_brief(written("# Experiment Runs\n" + "- Run ID: a\n" * 2000, "brief.md"))


def test_a_path_that_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path, says in (("none.yaml", "No such file"), ("pipe.yaml", "not a regular file"), (".", "directory")):
        with pytest.raises(InputError, match=says):
            read_brief(tmp_path / path)
    with pytest.raises(InputError, match="not a regular file"):
        read_brief(tmp_path.joinpath("/dev/zero"))
