"""The text report shows what was found and where, and nothing of a submission acts on the terminal."""

from __future__ import annotations

import io
import pickle
import re
from dataclasses import replace

import pytest
from hand_written import CONFIG, FINDINGS, TRAIN, verdict_of  # type: ignore[import-not-found]

from assay.finding import Evidence, Finding, Frame, Severity
from assay.report.styled_text import cells, coloured, plain, visible, wants_colour, wrapped
from assay.report.text_report import concise_lines, render, report_lines

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def finding_at(line, column=None, end_column=None, file="src/train.py", **changes):
    return replace(FINDINGS[0], file=file, line=line, column=column, end_line=line, end_column=end_column, **changes)


def marked(text, finding, width=100):
    """The line under review and what stands under it."""
    report = plain(report_lines([verdict_of({finding.file: text}, [finding])], width=width)).splitlines()
    number = next(n for n, line in enumerate(report) if re.match(r" +\| +\^+$", line))
    return report[number - 1], report[number]


def test_findings_stand_under_their_consequences(verdict):
    report = render([verdict])
    headings = ["Crashes", "Trains nothing, or something else", "Breaks the contract", "Warnings", "Notes"]
    assert [line for line in report.splitlines() if line in headings] == headings
    assert report.index("CFG003") < report.index("TRN001") < report.index("LAY001") < report.index("CFG010")


def test_the_header_says_what_was_reviewed_and_that_the_contract_was_guessed(verdict):
    first = render([verdict]).splitlines()[:3]
    assert first[0] == "submission example"
    assert first[1].startswith("contract   experiment")
    assert first[2].strip() == "guessed: there is a config/config.yaml"


def test_the_place_is_underlined():
    line, under = marked(TRAIN, finding_at(6, 62, 84))
    assert line[under.index("^") : under.rindex("^") + 1] == "training.learning_rate"


def test_a_finding_says_what_follows_how_to_repair_it_and_its_rows(verdict):
    report = render([verdict])
    assert "follows: Gradients add up and no parameter changes." in report
    assert "repair: Remove it." in report
    assert "rows: E1.1, X2" in report
    assert "by way of src/train.py:7  for batch in loader:" in report
    assert "seen: Key 'learning_rate' is not in struct" in report
    assert "(run proposed-lora-gsm8k)" in report


def test_the_summary_counts(verdict, ready):
    assert "Not ready: 3 blocking findings, 1 warning, 1 note." in render([verdict])
    assert "6 of 45 requirements decided: 1 met, 4 violated, 1 not applicable; 39 undecided." in render([verdict])
    assert "Ready: nothing found." in render([ready])


def test_lighter_findings_are_hidden_but_counted(verdict):
    report = render([verdict], Severity.BLOCKING)
    assert "CFG010" not in report
    assert "Not ready: 3 blocking findings, 1 warning, 1 note (2 not shown)." in report


def test_verbose_shows_every_row_with_its_reason(verdict):
    report = plain(report_lines([verdict], verbose=True))
    for row in verdict.requirements:
        assert re.search(rf"^  {re.escape(row.id)} +{row.status} ", report, re.MULTILINE)
    assert "[no rule proves it by reading; it needs the trial" in " ".join(report.split())


def test_rows_that_count_as_not_ready_are_named(ready):
    assert "--require-decided" in render([replace(ready, require_decided=True)])


def test_several_verdicts_end_in_one_summary(verdict, ready):
    lines = plain(report_lines([verdict, ready], unreadable=1)).splitlines()
    assert lines[-1] == "3 submissions: 1 ready, 1 not ready, 1 unreadable."
    assert lines[-3].startswith("not ready  experiment  example")
    assert lines[-2].startswith("ready      experiment  other")


def test_concise_lines_can_be_read_by_editors(verdict):
    lines = plain(concise_lines([verdict], Severity.NOTE)).splitlines()
    assert (
        lines[0] == "src/train.py:6:62: CFG003 blocking: training.learning_rate is read, but no configuration sets it"
    )
    assert lines[2] == "src/evaluate.py: LAY001 blocking: src/evaluate.py is missing"
    assert len(lines) == 5


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_lines_fit_the_width(verdict, width):
    for line in plain(report_lines([verdict], width=width, verbose=True)).splitlines():
        assert cells(line) <= width, line


def test_a_long_line_is_cut_around_the_place():
    text = "x = [" + ", ".join(str(n) for n in range(2000)) + "]\n"
    column = text.index("1234") + 1
    line, under = marked(text, finding_at(1, column, column + 4))
    assert line[under.index("^") : under.rindex("^") + 1] == "1234"
    assert line.count("...") == 2
    assert cells(line) <= 100


def test_a_very_long_line_takes_no_time():
    text = "x = '" + "a" * 5_000_000 + "'\n"
    assert cells(marked(text, finding_at(1, 5, len(text)))[0]) <= 100


def test_columns_of_wide_letters_and_tabs_are_met():
    line, under = marked("\tx = '学習' + missing\n", finding_at(1, 13, 20))
    assert line[under.index("^") - 2 :].startswith("missing")
    assert under.count("^") == 7


def test_a_place_over_several_lines_is_marked_to_the_end_of_its_first():
    finding = replace(finding_at(6, 5, 12), end_line=9)
    _, under = marked(TRAIN, finding)
    assert under.count("^") == len(TRAIN.split("\n")[5].strip())


@pytest.mark.parametrize(
    ("line", "column", "end"), [(1, 1, 1), (1, 500, 600), (1, 0, 0), (400, 1, 2), (1, 5, 2), (5, None, None)]
)
def test_places_that_cannot_be_are_survived(line, column, end):
    assert "CFG003" in render([verdict_of({"src/train.py": "x = 1\n\n\n\n\n"}, [finding_at(line, column, end)])])


HOSTILE = "\x1b]0;owned\x07\x1b[2J [bold red]x[/] \u202e \x9b31m \u200b \r \x00 ::error::x"


def test_nothing_of_a_submission_acts_on_the_terminal():
    finding = Finding(
        rule="CFG003",
        requirements=("E2.2",),
        severity=Severity.WARNING,
        consequence=None,
        message=HOSTILE,
        explanation=HOSTILE,
        repair=HOSTILE,
        file=f"src/{HOSTILE}.py",
        line=1,
        column=3,
        symbol=HOSTILE,
        run=HOSTILE,
        evidence=Evidence("static", HOSTILE, (Frame(f"src/{HOSTILE}.py", 1),)),
    )
    made = verdict_of({f"src/{HOSTILE}.py": f"{HOSTILE}\n"}, [finding], name=HOSTILE, contract_reason=HOSTILE)
    text = coloured(report_lines([made, made], verbose=True)) + coloured(concise_lines([made, made], Severity.NOTE))
    assert set(ANSI.sub("", text)) & set("\x1b\x07\x9b\u202e\u200b\r\x00") == set()
    assert "[bold red]x[/]" in text
    assert r"\x1b[2J" in text


def test_visible_keeps_what_can_be_seen():
    assert visible("a é 日本 [b]") == "a é 日本 [b]"
    assert visible("a\tb\nc\ud800") == "a    b\\nc\\ud800"


def test_words_are_wrapped_and_long_ones_broken():
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]
    assert wrapped("", 10) == [""]
    assert wrapped("日本日本", 5) == ["日本", "日本"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "stream", "wanted"),
    [
        ({"TERM": "xterm"}, Terminal(), True),
        ({"TERM": "xterm"}, io.StringIO(), False),
        ({"TERM": "dumb"}, Terminal(), False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, Terminal(), False),
        ({"FORCE_COLOR": "1"}, io.StringIO(), True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, io.StringIO(), False),
        ({"TERM": "xterm", "NO_COLOR": ""}, Terminal(), True),
    ],
)
def test_colours_follow_the_terminal_and_the_environment(monkeypatch, environment, stream, wanted):
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(stream) is wanted


def test_colours_change_no_letter(verdict):
    lines = list(report_lines([verdict]))
    assert [line.rstrip() for line in ANSI.sub("", coloured(lines)).splitlines()] == plain(lines).splitlines()


def test_a_verdict_holds_only_the_lines_around_its_findings():
    text = "".join(f"x{n} = {n}\n" for n in range(100_000))
    made = verdict_of({"src/train.py": text, "config/config.yaml": CONFIG}, [finding_at(50_000, 1, 2)])
    assert list(made.excerpts) == ["src/train.py"]
    assert 0 < len(made.excerpts["src/train.py"]) <= 6
    assert len(pickle.dumps(made)) < 50_000
