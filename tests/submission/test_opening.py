"""The contract is guessed where none is named, and bad input ends with one line and exit status 2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from assay import open_submission, review
from assay.contracts import load_contract
from assay.reviewer import choose_contract
from tests.submission.conftest import EIGHT, SEVEN, commit, lay


def guessed(folder, **options):
    return choose_contract(open_submission(folder, **options), "auto")


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (SEVEN, "experiment"),
        (SEVEN | {"config/run/a.yaml": "a: 1\n"}, "experiment"),
        (SEVEN | {"config/run/a.yaml": "", "config/config.yaml": "trial_mode: false\n"}, "experiment@2025-10"),
        (EIGHT, "derived"),
        (EIGHT | {"src/model.py": "model = MODEL_PLACEHOLDER\n"}, "base"),
    ],
)
def test_the_files_tell_the_contract(tmp_path, files, name):
    contract, reason = guessed(lay(tmp_path, files))
    assert contract.name == name
    assert reason.startswith("guessed: ")


def test_a_base_makes_it_derived(tmp_path):
    base = lay(tmp_path / "base", EIGHT | {"src/model.py": "model = MODEL_PLACEHOLDER\n"})
    ours = lay(tmp_path / "ours", EIGHT | {"src/train.py": "x = OTHER_PLACEHOLDER\n"})
    assert guessed(ours, base=base)[0].name == "derived"
    assert guessed(ours)[0].name == "base"


def test_where_the_files_do_not_tell_it_the_caller_must(tmp_path, refused):
    lay(tmp_path, {"train.py": "x = 1\n"})
    assert refused(tmp_path, whole=True).endswith("so the contract cannot be guessed; name it with --contract")
    assert review(tmp_path, contract="base").contract.name == "base"


@pytest.mark.parametrize("form", ["folder", "bundle", "bare"])
def test_the_base_may_come_in_any_form(tmp_path, form):
    base = lay(tmp_path / "base", EIGHT)
    if form == "bundle":
        base = tmp_path / "base.json"
        base.write_text(json.dumps(EIGHT), encoding="utf-8")
    ours = lay(tmp_path / "ours", EIGHT)
    if form == "bare":
        commit(ours)
        submission = open_submission(ours, rev="HEAD", base=base)
    else:
        submission = open_submission(ours, base=base)
    assert submission.base is not None
    assert {path: submission.base.text(path) for path in submission.base.files} == EIGHT


def test_a_base_that_cannot_be_read_is_named(folder, tmp_path, refused):
    (tmp_path / "nothing").mkdir()
    assert refused(folder, base=tmp_path / "none").endswith("none: no such file or folder")
    assert refused(folder, base=tmp_path / "nothing").endswith(
        "nothing: no files; name the base that the submission specialises"
    )


def test_a_brief_of_its_own_replaces_the_one_in_the_source(folder, tmp_path):
    brief = tmp_path / "brief.yaml"
    brief.write_text("runs: [{run_id: a, config: {x: 1}}]\n", encoding="utf-8")
    assert review(folder, brief=brief).contract == load_contract("experiment")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"config/runs/a.yaml": "a: !!python/object/apply:os.system [id]\n"}, "config/runs/a.yaml:1: YAML tag"),
        ({"config/config.yaml": "[" * 1_000_000}, "config/config.yaml:1: YAML nested more than 100 deep"),
        ({"config/config.yaml": "- " * 1_000_000}, "YAML nested more than 100 deep"),
        ({"config/config.yaml": "? " * 1_000_000}, "YAML nested more than 100 deep"),
        ({"config/config.yaml": "".join(" " * n + "a:\n" for n in range(2000))}, "YAML nested more than 100 deep"),
        ({"config/config.yaml": "a: &a [" + "x," * 900 + "]\nb: [" + "*a," * 900 + "]\n"}, "more than 100,000 values"),
        ({"config/config.yaml": "%TAG ! tag:x\n" * 100_000 + "--- a"}, "%TAG"),
        ({"src/train.py": "(" * 1_000_000}, "src/train.py:1: brackets nested more than 200 deep"),
        ({"src/train.py": "x\n" * 2_000_000}, "words and signs of Python"),
        ({"src/train.py": b"\x7fELF\0"}, "src/train.py:1: NUL byte"),
        ({"src/train.py": b"#" * 11_000_000}, "src/train.py: 11,000,000 bytes, more than"),
        ({"pyproject.toml": "x = " + "[" * 900_000}, "brackets nested more than 200 deep"),
        ({"pyproject.toml": "a." * 400_000 + "b = 1"}, "a dotted key of more than 50 parts"),
    ],
    ids=range(13),
)
def test_hostile_files_make_a_submission_unreadable(folder, refused, files, says):
    assert says in refused(lay(folder, files), whole=True)


@pytest.mark.parametrize(
    "files",
    [
        {"src/train.py": ""},
        {"src/train.py": "x = " + "-" * 100_000 + "1\n"},
        {"src/train.py": "x = " + "not " * 100_000 + "1\n"},
        {"src/train.py": "x = a" + ".b" * 50_000 + "\n"},
        {"src/train.py": "x = a" + "()" * 50_000 + "\n"},
        {"src/train.py": "x = " + "1 + " * 50_000 + "1\n"},
        {"src/train.py": "if a: pass\n" + "elif a: pass\n" * 5_000},
        {"src/train.py": "lambda: " * 10_000 + "1\n"},
        {"src/train.py": "".join(" " * n + "if a:\n" for n in range(150))},
        {"src/train.py": "x = '" + "a" * 5_000_000 + "'\n"},
        {"src/train.py": "x = 9" * 1 + "9" * 100_000 + "\n"},
        {"src/train.py": "x = 10 ** 10 ** 10\n"},
        {"src/train.py": "'''unclosed\n"},
        {"src/train.py": "# coding: cp1252\nx = 'a'\n"},
        {"src/train.py": "import a\rimport b\r"},
        {"config/config.yaml": "a: b: c\n"},
        {"config/config.yaml": "\ta\n"},
        {"config/config.yaml": "hydra:\n  searchpath: [pkg://os, file:///etc]\n"},
        {"config/config.yaml": "a: ${b}\nb: ${a}\n"},
        {"pyproject.toml": "x = 1979-99-99\n"},
        {"pyproject.toml": "project = []\nbuild-system = 3\n"},
        {"pyproject.toml": "[project]\nname = []\nrequires-python = {a = 1}\ndependencies = 'x'\n"},
        {"data.json": b"\xff\0"},
        {"data.json": b"[" * 1_000_000},
    ],
    ids=range(24),
)
def test_odd_files_end_in_a_verdict_and_fail_no_rule(folder, files):
    verdict = review(lay(folder, files))
    assert not [row.reason for row in verdict.requirements if "failed on this submission" in row.reason]


# not `python -m assay`, with which Python itself would import from the folder it is called in
COMMAND = Path(sys.executable).with_name("assay")


def assay(*arguments, **options):
    return subprocess.run(
        [COMMAND, "review", *map(str, arguments)],
        capture_output=True, text=True, timeout=60, errors="replace", **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [["/none"], ["/dev/zero"], ["", "--contract", "base"], [".", "--rev", "-x"], [".", "--brief", "/dev/zero"],
     [".", "--contract", "/dev/zero.yaml"], [".", "--contract", "none"], [".", "--base", "/none"], ["-"],
     [".", "--contract", "bad.yaml"], ["a\nb\x1b[31m"]],
)  # fmt: skip
def test_the_command_answers_bad_input_with_one_line_and_status_2(folder, arguments):
    lay(folder.parent, {"bad.yaml": "name: [\n"})
    done = assay(*[a.replace("bad.yaml", "../bad.yaml") for a in arguments], cwd=folder, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("assay: ")
    assert done.stderr.count("\n") == 1
    assert done.stderr.strip().isprintable()


def test_nothing_of_a_submission_is_imported_or_run(tmp_path):
    marker = tmp_path / "ran"
    touch = f"open({str(marker)!r}, 'w').close()\n"
    folder = lay(tmp_path / "submission", SEVEN)
    python = [
        "setup.py",
        "conftest.py",
        "sitecustomize.py",
        "usercustomize.py",
        "backend.py",
        "src/__init__.py",
        "ast.py",
        "yaml.py",
        "assay.py",
        "assay/__init__.py",
        "ruff.py",
        "config/__init__.py",
        "json/__init__.py",
        *(path for path in SEVEN if path.endswith(".py")),
    ]
    lay(folder, dict.fromkeys(python, touch))
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n[project]\nname = "x"\n'
    lay(folder, {
        "config/config.yaml": f"hydra:\n  searchpath: ['pkg://backend', 'file://{folder}']\n_target_: backend.x\n",
        "pyproject.toml": project + 'dynamic = ["version", "dependencies"]\n[tool.ruff]\nextend = "/dev/zero"\n',
        "ruff.toml": "extend = 'x.toml'\n", ".python-version": "3.11\n", "ruff": f"#!/bin/sh\ntouch {marker}\n",
        "git": f"#!/bin/sh\ntouch {marker}\n", "x.pth": f"import os; {touch}",
    })  # fmt: skip
    for name in ("ruff", "git"):
        (folder / name).chmod(0o755)
    commit(folder)
    for arguments in (["."], [".", "--rev", "HEAD"], [str(folder)]):
        done = assay(*arguments, cwd=folder)
        assert done.returncode in (0, 1), done.stderr
    assert not marker.exists()
