"""The plan: the contract's own commands, each where it finds what it needs."""

import json

from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.submission import SourceFile, Submission
from assay.trial.plan import plan

RUNS = ("comparative-1-a", "comparative-2-a", "proposed-a", "proposed-b")


def project_of(contract, *runs):
    files = {f"config/runs/{run}.yaml": f"run_id: {run}\n" for run in runs}
    files["config/config.yaml"] = "defaults:\n  - runs: ???\n"
    files["src/main.py"] = "import hydra\n"
    made = {path: SourceFile.of_text(path, text) for path, text in sorted(files.items())}
    return Project(Submission("example", made), load_contract(contract))


def test_trials_come_before_full_runs_and_evaluation_twice():
    steps, notes = plan(project_of("experiment", *RUNS), "/r", 8)
    assert [step.mode for step in sorted(steps, key=lambda step: step.phase)] == [
        *["trial"] * 4, "refuse", *["full"] * 4, "evaluate",
    ]  # fmt: skip
    assert not notes


def test_proposed_and_compared_runs_take_turns_and_the_rest_is_told():
    steps, notes = plan(project_of("experiment", *RUNS), "/r", 2)
    assert [step.run for step in steps if step.mode == "trial"] == ["proposed-a", "comparative-1-a"]
    assert notes == ["of 4 runs, 2 were not rehearsed: proposed-b, comparative-2-a"]


def test_commands_are_the_contracts_without_what_starts_them():
    steps, _ = plan(project_of("experiment", "proposed-a"), "/r", 8)
    by_name = {step.name: step for step in steps}
    assert by_name["trial:proposed-a"].words == (
        "python", "-u", "-m", "src.main", "run=proposed-a", "results_dir=/r", "mode=trial",
    )  # fmt: skip
    assert by_name["trial:proposed-a"].command == (
        "uv run python -u -m src.main run=proposed-a results_dir=results mode=trial"
    )
    words = by_name["evaluate"].words
    assert words[:3] == ("python", "-m", "src.evaluate")
    assert json.loads(words[-1].removeprefix("run_ids=")) == ["proposed-a"]


def test_the_dialect_of_october_has_its_own_flag():
    steps, _ = plan(project_of("experiment@2025-10", "proposed-a"), "/r", 8)
    assert "trial_mode=true" in next(step for step in steps if step.mode == "trial").words


def test_a_derived_submission_has_two_commands():
    steps, _ = plan(project_of("derived"), "/r", 8)
    assert [(step.name, step.words[-3]) for step in steps] == [
        ("smoke", "--smoke-test"),
        ("experiment", "--full-experiment"),
    ]


def test_a_run_id_with_quotes_stays_one_word():
    steps, _ = plan(project_of("experiment", 'it\'s "x" $(id)'), "/r", 8)
    assert steps[0].words[4] == 'run=it\'s "x" $(id)'
