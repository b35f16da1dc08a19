"""A JSON code bundle gives files by short keys or by paths, from a file or on standard input."""

from __future__ import annotations

import io
import json
import sys

import pytest

from assay import open_submission
from assay.submission.bundle import key_of
from tests.submission.conftest import SEVEN


def written(tmp_path, value):
    path = tmp_path / "bundle.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def texts(submission):
    return {path: submission.text(path) for path in submission.files}


@pytest.mark.parametrize("name", [key_of, str])
def test_short_keys_and_paths_name_the_same_files(tmp_path, name):
    submission = open_submission(written(tmp_path, {name(path): text for path, text in SEVEN.items()}))
    assert submission.kind == "bundle"
    assert texts(submission) == SEVEN


def test_files_that_no_contract_names_go_by_their_path(tmp_path):
    submission = open_submission(written(tmp_path, {"train_py": "", "config/runs/a.yaml": "x: 1", "src/more.py": ""}))
    assert list(submission.files) == ["config/runs/a.yaml", "src/more.py", "src/train.py"]


def test_a_contract_of_one_s_own_gives_short_keys_their_meaning(tmp_path):
    contract = tmp_path / "mine.yaml"
    contract.write_text(
        "name: mine\nextends: experiment\nfiles: {required: [code/train.py, code/fit.py]}\n", encoding="utf-8"
    )
    submission = open_submission(written(tmp_path, {"train_py": "", "fit_py": ""}), contract=str(contract))
    assert list(submission.files) == ["code/fit.py", "code/train.py"]


def test_standard_input_is_read(monkeypatch):
    text = json.dumps({key_of(path): text for path, text in SEVEN.items()})
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode("utf-8-sig"))))
    submission = open_submission("-")
    assert submission.name == "-" or submission.name == "standard input"
    assert texts(submission) == SEVEN


def test_control_characters_inside_strings_are_taken_as_they_are(tmp_path):
    submission = open_submission(written(tmp_path, '{"train_py": "a = 1\n\tb = \x0b2"}'))
    assert submission.text("src/train.py") == "a = 1\n\tb = \x0b2"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ": empty"),
        (" \n", ": empty"),
        ("{", ":1:2: broken JSON"),
        ('{"train_py": "x"', "broken JSON"),
        ('{"train_py": "x"} {}', "broken JSON: Extra data"),
        ("[]", "a code bundle is a JSON object of file to text, not a list"),
        ("[1, 2]", "not a list"),
        ("{}", "a JSON object without code; a bundle has keys such as train_py or src/train.py"),
        ('{"verdict": true}', "a JSON object without code"),
        ('{"train_py": null}', "the value of 'train_py' is null, not the file's text"),
        ('{"train_py": 1e999}', "is a number"),
        ('{"train_py": {"a": 1}}', "is an object"),
        ('{"train_py": true}', "is true or false"),
        ('{"train_py": "a", "src/train.py": "b"}', "two keys name src/train.py"),
        ('{"train_py": "a", "train_py": "b"}', "the key 'train_py' stands twice in one object"),
        ('{"train_py": "a", "../../etc/passwd.py": "b"}', "key '../../etc/passwd.py' names no file"),
        ('{"train_py": "a", "/etc/a.py": "b"}', "names no file"),
        ('{"train_py": "a", "a/./b.py": "b"}', "names no file"),
        ('{"train_py": "a", "": "b"}', "key '' names no file"),
        ('{"train_py": "a", "a\\nb.py": "b"}', "names no file"),
        ('{"train_py": "a", "\\u001b[31m.py": "b"}', "names no file"),
        ('{"train_py": "a", "src\\\\b.py": "b"}', "names no file"),
        ('{"train_py": "a", "' + "x" * 100_000 + '.py": "b"}', "names no file"),
        ('{"train_py": "\\ud800"}', "half a character"),
        ('{"train_py": "x = ' + "(" * 1000 + '"}', "src/train.py:1: brackets nested more than 200 deep"),
        ('{"train_py": "' + "9" * 11_000_000 + '"}', "more than the 10,485,760 bytes"),
        ('{"train_py": ' + "9" * 100_000 + "}", "broken JSON"),
        ('{"train_py": NaN}', "is a number"),
        ("[" * 1_000_000, "brackets nested more than 200 deep"),
        ('{"a":' * 1_000_000, "brackets nested more than 200 deep"),
        ('{"train_py": "' + '\\"' * 1_000_000, "broken JSON"),
    ],
    ids=range(31),
)
def test_what_is_no_bundle_is_answered_with_one_line(tmp_path, refused, text, says):
    assert says in refused(written(tmp_path, text))


def test_a_file_in_the_bundle_may_not_be_larger_than_code_is(tmp_path, refused):
    assert "NUL" in refused(written(tmp_path, {"train_py": "a\0b"}))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"PK\x03\x04" + b"\0" * 100, "a zip archive; unpack it and name what is inside"),
        (b"\x1f\x8b\x08\0", "a gzip archive"),
        (b"\x7fELF\0", "NUL byte; this is a binary file"),
        (b'{"train_py": "\xff"}', "not valid utf-8"),
        (b"print('one file')\n", "neither a JSON code bundle nor a review transcript"),
        (b"\0" * 1000, "NUL byte"),
    ],
)
def test_a_file_that_is_something_else_is_answered_with_one_line(tmp_path, refused, data, says):
    path = tmp_path / "given"
    path.write_bytes(data)
    assert says in refused(path)


def test_a_bundle_in_utf_16_is_read(tmp_path):
    path = tmp_path / "bundle.json"
    path.write_bytes(json.dumps({"train_py": "é = 1"}, ensure_ascii=False).encode("utf-16"))
    assert open_submission(path).text("src/train.py") == "é = 1"


@pytest.mark.parametrize(
    ("path", "says"),
    [("/dev/zero", "not a regular file"), ("/dev/null", "not a regular file"), ("/none", "no such file or folder"),
     ("x" * 5000, "File name too long"), ("a\0b", ""), ("", "")],
)  # fmt: skip
def test_a_path_that_is_no_file_is_answered_with_one_line(refused, tmp_path, monkeypatch, path, says):
    monkeypatch.chdir(tmp_path)
    assert says in refused(path)


def test_endless_or_closed_standard_input_ends(monkeypatch, refused):
    with open("/dev/zero", "rb") as endless:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(endless))
        assert "standard input: " in refused("-")
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input is closed" in refused("-")
