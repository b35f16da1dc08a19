"""The trial gate as users meet it: real rehearsals of a tiny submission, and what the reports say of a rehearsal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay.cli import app
from assay.finding import Finding, Severity
from assay.reviewer import review
from assay.rules.trl.rehearsals import one_step, rehearsal, trained
from assay.several import review_several
from assay.trial.record import Stop, TrialFrame
from assay.verdict import Verdict
from tests.trial import tiny_submission as tiny

DEFECTS = ("finish", "outer", "prepared", "shares", "alike")
STEPS = (
    "trial:proposed-accumulating", "full:proposed-outer",
    "full:proposed-alike", "full:comparative-alike",
)  # fmt: skip
STOPPED = rehearsal(
    one_step(*trained()),
    one_step(
        mode="full",
        status=1,
        stops=(
            Stop(
                "RuntimeError",
                "element 0 of tensors does not require grad and does not have a grad_fn",
                (TrialFrame("src/main.py", 10, "main"), TrialFrame("src/train.py", 24, "run")),
                confirmed=True,
                repair="the rehearsal passes over it (detached-loss)",
            ),
        ),
        rounds=2,
    ),
    one_step(mode="evaluate", status=None, skipped="no full run came to its end"),
)


def rehearsed(folder: Path, steps: tuple[str, ...]):
    """The verdict after a real rehearsal of some steps."""
    pytest.importorskip("torch")
    pytest.importorskip("hydra")
    pytest.importorskip("wandb")
    from assay.trial import rehearsal as driver
    from assay.trial.plan import plan as planned

    def few(*arguments):
        found, notes = planned(*arguments)
        return [step for step in found if step.name in steps], notes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "plan", few)
        options = driver.TrialOptions(env=Path(sys.prefix), jobs=2, seconds=400)
        return review(folder, contract="experiment", select=("TRL",), trial=options)


@pytest.fixture(scope="module")
def defective(tmp_path_factory):
    return rehearsed(tiny.lay(tmp_path_factory.mktemp("defective"), tiny.files(*DEFECTS)), STEPS)


@pytest.fixture(scope="module")
def repaired(tmp_path_factory):
    return rehearsed(tiny.lay(tmp_path_factory.mktemp("repaired"), tiny.files()), STEPS)


def blocking(verdict: Verdict, rule: str) -> Finding:
    found = [finding for finding in verdict.findings if finding.rule == rule]
    assert [finding.severity for finding in found] == [Severity.BLOCKING], verdict.findings
    return found[0]


def line_of(text: str) -> int:
    lines = tiny.files(*DEFECTS)["src/train.py"].split("\n")
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_a_stop_in_training_is_found_confirmed_and_passed(tmp_path):
    runs = {"proposed-plain": ("plain", 1)}
    verdict = rehearsed(tiny.lay(tmp_path, tiny.files("backward", runs=runs)), ("trial:proposed-plain",))
    finding = blocking(verdict, "TRL001")
    assert (finding.file, finding.symbol, finding.run) == ("src/train.py", "backward", "proposed-plain")
    assert "RuntimeError: element 0 of tensors does not require grad" in finding.evidence.detail
    assert [frame.file for frame in finding.evidence.frames][:2] == ["src/main.py", "src/main.py"]
    assert not verdict.ready
    step = verdict.rehearsal.steps[0]
    assert step.rounds > 1
    assert step.tampered
    assert {row.id: row.status for row in verdict.requirements}["E9.2"] == "violated"


def test_a_trial_that_accumulates_over_more_batches_than_it_takes_trains_nothing(defective):
    finding = blocking(defective, "TRL003")
    assert finding.run == "proposed-accumulating"
    assert "2 backward passes and no optimizer step" in finding.message


def test_an_optimizer_whose_parameters_never_get_a_gradient_is_inert(defective):
    finding = blocking(defective, "TRL005")
    assert (finding.file, finding.line, finding.run) == ("src/train.py", line_of("outer = torch"), "proposed-outer")
    assert finding.message.startswith("Adam steps 8 times")


def test_a_loss_that_is_not_finite_is_told_where_it_begins(defective):
    finding = blocking(defective, "TRL004")
    assert (finding.file, finding.line) == ("src/train.py", line_of("shares(y).mean()"))
    assert "it begins in `mean`, with nothing to work on" in finding.message


def test_a_method_without_effect_shows_in_equal_losses(defective):
    finding = blocking(defective, "TRL007")
    assert "proposed-alike and comparative-alike train alike, bit for bit, over 8 losses" in finding.message


def test_a_command_that_deletes_what_others_keep_is_told_and_no_other(defective):
    finding = blocking(defective, "TRL021")
    assert (finding.file, finding.line, finding.run) == ("src/train.py", line_of("rmtree"), "proposed-alike")


def test_nothing_else_blocks(defective):
    assert sorted(finding.rule for finding in defective.blocking) == ["TRL003", "TRL004", "TRL005", "TRL007", "TRL021"]


def test_the_repaired_submission_is_ready_with_rows_proved(repaired):
    assert repaired.findings == ()
    assert repaired.ready
    assert repaired.evidence[-1] == "trial"
    assert repaired.seconds["trial"] > 0
    rows = {row.id: (row.status, row.decided_by) for row in repaired.requirements}
    for row in ("E2.3", "E9.2", "X2", "E6.1", "E6.2"):
        assert rows[row] == ("met", "trial"), row


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A submission whose rehearsal is played back."""
    from assay.trial import rehearsal as driver

    def play(project, options, say):
        say("trial:proposed")
        assert options.runs == 3
        return STOPPED

    monkeypatch.setattr(driver, "rehearse", play)
    return tiny.lay(tmp_path / "tiny", tiny.files(runs={"proposed": ("plain", 1)}))


def trial(folder, *options):
    return CliRunner().invoke(app, ["trial", str(folder), "--runs", "3", *options])


def test_the_trial_command_shows_frames_run_isolation_changes_and_what_was_left_out(recorded):
    result = trial(recorded)
    assert result.exit_code == 1
    shown = result.stdout
    assert "TRL001 the full mode of run proposed stops" in shown
    assert "src/train.py:24 (run proposed)" in shown
    assert "by way of src/main.py:10" in shown
    assert "shut in by: bubblewrap" in shown
    assert "changed: the rehearsal passes over it (detached-loss)" in shown
    assert "left out: the evaluation was not rehearsed: no full run came to its end" in shown
    assert result.stderr.splitlines() == [f"assay: {recorded}: trial:proposed"]


def test_a_quiet_trial_tells_no_progress(recorded):
    result = trial(recorded, "--quiet")
    assert result.stderr == ""
    assert len(result.stdout.splitlines()) == 1


def test_the_json_verdict_holds_the_rehearsal(recorded):
    told = json.loads(trial(recorded, "--format", "json", "--quiet").stdout)
    assert "trial" in told["evidence"]
    assert told["trial"]["isolation"] == "bubblewrap"
    assert told["trial"]["changes"] == ["the rehearsal passes over it (detached-loss)"]
    assert told["trial"]["not_rehearsed"] == ["the evaluation was not rehearsed: no full run came to its end"]
    assert [step["name"] for step in told["trial"]["steps"]] == ["trial:proposed", "full:proposed", "evaluate"]


def test_sarif_and_github_reports_tell_of_the_rehearsal(recorded):
    log = json.loads(trial(recorded, "--format", "sarif", "--quiet").stdout)
    result = log["runs"][0]["results"][0]
    assert len(result["relatedLocations"]) == 2
    assert result["properties"]["run"] == "proposed"
    assert log["runs"][0]["properties"]["verdicts"][0]["trial"]["isolation"] == "bubblewrap"
    annotated = trial(recorded, "--format", "github", "--quiet").stdout
    assert "Seen in run proposed, by way of src/main.py:10, src/train.py:24." in annotated
    assert "rehearsed in bubblewrap: 1 of 2 commands end well" in annotated


def test_a_review_without_a_trial_says_which_rows_need_one(recorded):
    verdict = review(recorded, contract="experiment", select=("TRL",))
    assert verdict.rehearsal is None
    assert "trial" not in verdict.evidence
    assert all(row.decided_by != "trial" for row in verdict.requirements)


def test_several_reviews_tell_progress_by_path(recorded):
    from assay.trial.rehearsal import TrialOptions

    told = []
    review_several(
        [str(recorded)], say=lambda path, text: told.append((path, text)), trial=TrialOptions(runs=3), select=("TRL",)
    )
    assert told == [(str(recorded), "trial:proposed")]


def test_standins_are_listed():
    listed = json.loads(CliRunner().invoke(app, ["standins", "--format", "json"]).stdout)
    assert {"dataset", "columns", "source"} <= listed[0].keys()
    text = CliRunner().invoke(app, ["standins"]).stdout
    assert listed[0]["dataset"] in text


def test_the_cache_is_listed_and_pruned(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["cache", "--prune", "20GB"])
    assert result.exit_code == 0
    assert result.stdout.startswith("0 environments, 0 B")
    refused = CliRunner().invoke(app, ["cache", "--prune", "much"])
    assert "'much' is no size" in str(refused.exception)
