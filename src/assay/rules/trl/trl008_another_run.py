"""TRL008: a command that names one run loads the configuration of another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, one_step, rehearsal, trained
from assay.trial.reading import command_of, configuration, frames_of, places, text
from assay.trial.record import Rehearsal, Step

_FILES = {
    "config/runs/proposed.yaml": "run_id: proposed\n",
    "config/runs/comparative-1.yaml": "run_id: proposed\nmethod: other\n",
}


def _config(run_id: str) -> dict[str, object]:
    return {"kind": "config", "data": {"run_id": run_id}, "frames": at("src/main.py", 5)}


def _two(second: str) -> Rehearsal:
    return rehearsal(
        one_step(_config("proposed"), *trained()), one_step(_config(second), *trained(), run="comparative-1")
    )


class AnotherRun(Rule):
    """The command names a run, and the configuration that the program gets, or the run that it reports to W&B, is another
    one's: a run file that was copied and keeps the other's `run_id`, a default that stands in front of what the command
    says. Then the same experiment is run twice under two names, or one overwrites the other's results.

    Only the id of another run of the same experiment counts. An id that is merely spelled otherwise does not.
    """

    code = "TRL008"
    name = "another-run"
    requirements = ("E2.2", "E7.1", "E7.2", "X3")
    gate = "trial"
    consequence = Consequence.TRAINS_NOTHING
    message = "{command} runs as {found}, which is another run"
    explanation = "One run is run twice, under two names, and the other never."
    repair = "Let `run_id` of the run's file be the run's own, and let the command's choice decide."

    VALID = (
        Example(_FILES, rehearsed=_two("comparative-1")),
        Example(_FILES, rehearsed=_two("comparative_1")),
        # it looks up the settings of the run that it is compared with, after its own
        Example(
            _FILES,
            rehearsed=rehearsal(
                one_step(_config("proposed"), _config("comparative-1"), *trained()),
                one_step(_config("comparative-1"), *trained(), run="comparative-1"),
            ),
        ),
    )
    INVALID = (
        Example(
            _FILES,
            at=("config/runs/comparative-1.yaml",),
            repaired={"config/runs/comparative-1.yaml": "run_id: comparative-1\nmethod: other\n"},
            rehearsed=_two("proposed"),
            rehearsed_after=_two("comparative-1"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        steps = project.rehearsal.steps_of("trial", "full")
        runs = {step.run for step in steps if step.run}
        told: set[str] = set()
        for step in steps:
            found = _run_of(step)
            if step.run in told or step.tampered or found == step.run or found not in runs:
                continue
            told.add(step.run)
            event = next(step.of("config"), {})
            path = next(
                (path for path in project.run_files if path.rpartition("/")[2].startswith(f"{step.run}.")), None
            )
            yield self.finding(
                path,
                symbol="run_id",
                run=step.run,
                detail=f"run_id of the configuration that the program got: {found}",
                frames=places(frames_of(event)),
                command=command_of(step),
                found=found,
            )


def _run_of(step: Step) -> str:
    """The run that a step's configuration, or else the run that it opens with W&B, says it is."""
    composed = [configuration(replace(step, events=(event,))) for event in step.of("config")]
    found = [str(held[key]) for held in composed for key in ("run_id", "run.run_id") if isinstance(held.get(key), str)]
    # a run may look up another one's settings besides its own
    if found:
        return step.run if step.run in found else found[-1]
    for event in step.of("wandb"):
        if text(event, "op") == "init" and text(event, "id"):
            return text(event, "id")
    return step.run
