"""Annotations of a GitHub job."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hand_written import FINDINGS, TRAIN, verdict_of  # type: ignore[import-not-found]

from assay.report.github_report import render, step_summary


def test_each_finding_is_one_command(verdict):
    lines = render([verdict]).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error"] * 3 + ["::warning", "::notice", "::notice"]
    assert lines[0].startswith(
        "::error file=src/train.py,line=6,col=62,endColumn=84,title=CFG003 (crashes)::training.learning_rate is read"
    )
    assert "Repair: Set training.learning_rate" in lines[0]
    assert lines[-1] == "::notice title=assay%3A example::not ready, 3 blocking; 6 of 45 requirements decided"


def test_a_finding_without_a_file_has_no_place(verdict):
    assert "::notice title=PKG009::no lock file. " in render([verdict])


def test_columns_are_left_out_where_a_place_spans_lines():
    finding = replace(FINDINGS[0], end_line=9)
    line = render([verdict_of({"src/train.py": TRAIN}, [finding])]).splitlines()[0]
    assert "line=6,endLine=9,title=" in line


@pytest.mark.parametrize(
    ("text", "file_part", "message_part"),
    [
        ("a%b", "a%25b", "a%25b"),
        ("a:b,c", "a%3Ab%2Cc", "a:b,c"),
        ("a\n::error::b", "a\\n%3A%3Aerror%3A%3Ab", "a\\n::error::b"),
        ("a\r\x1b[1m", "a\\r\\x1b[1m", "a\\r\\x1b[1m"),
    ],
)
def test_text_of_a_submission_is_no_command(text, file_part, message_part):
    finding = replace(FINDINGS[0], file=text, message=text, line=1, column=None, end_line=None)
    report = render([verdict_of({text: "x\n"}, [finding])])
    lines = report.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"::error file={file_part},line=1,title=CFG003 (crashes)::{message_part}. ")


def test_files_are_prefixed_by_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies" / "a").mkdir(parents=True)
    made = verdict_of({"src/train.py": TRAIN}, FINDINGS[:1], name=str(tmp_path / "studies" / "a"))
    assert "::error file=studies/a/src/train.py,line=6," in render([made])


def test_the_step_summary_is_a_table_in_which_nothing_is_markup(verdict):
    hostile = replace(FINDINGS[0], message="a | b <img src=x> `c` [d](e)")
    text = step_summary([verdict, verdict_of({}, [hostile])])
    assert text.count("\n| CFG003 |") == 2
    assert "<img" not in text
    rows = [line for line in text.splitlines() if line.startswith("| CFG003")]
    assert {row.count("|") for row in rows} == {5}
