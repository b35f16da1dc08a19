"""TRL021: a command deletes files in results_dir that are not its own."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import command_of, frames_of, places, text
from assay.trial.record import Step, TrialFrame

_MAIN = "import shutil\n\n\ndef main(cfg):\n    shutil.rmtree(cfg.results_dir{more}, ignore_errors=True)\n"
_DELETES = ("rmtree", "delete", "rename")
_LOST = {"kind": "lost", "path": "earlier-run/metrics.json", "frames": at("src/main.py", 5)}
_WIPED = {"kind": "file", "op": "rmtree", "path": "results:", "frames": at("src/main.py", 5)}


class OthersFilesLost(Rule):
    """Before the first command the rehearsal lays a few files into results_dir, as a runner that keeps its log there does, or
    another run that has ended. A command that deletes them deletes the results of whoever uses the same folder: with one run
    per call, the next call removes what the last one wrote.
    """

    code = "TRL021"
    name = "others-files-lost"
    requirements = ("E2.3", "E8.3", "B4.4", "D5.2")
    gate = "trial"
    message = "{command} deletes `{path}` in results_dir, which it did not write"
    explanation = "Results of other runs, and the log of whoever started it, are lost."
    repair = "Delete nothing outside the run's own folder, `{{results_dir}}/{{run_id}}`."

    VALID = (
        Example({"src/main.py": _MAIN.format(more=" / cfg.run_id")}, rehearsed=saw(*trained())),
        # another command, at work beside it, did that
        Example(
            {"src/main.py": _MAIN.format(more=" / cfg.run_id")},
            rehearsed=saw({**_WIPED, "path": "results:proposed"}, _LOST, *trained()),
        ),
    )
    INVALID = (
        Example(
            {"src/main.py": _MAIN.format(more="")},
            at=("src/main.py:5",),
            repaired={"src/main.py": _MAIN.format(more=" / cfg.run_id")},
            rehearsed=saw(_WIPED, _LOST, *trained()),
            rehearsed_after=saw(*trained()),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: set[object] = set()
        for step in project.rehearsal.steps:
            for event in step.of("lost"):
                # commands share the folder and run side by side: only one that deletes the file itself is to blame
                frames = _deleted(step, text(event, "path"))
                if not frames or frames[-1:] in told:
                    continue
                told.add(frames[-1:])
                yield self.finding(
                    frames[-1].file,
                    frames[-1].line,
                    symbol=None if frames[-1].function.startswith("<") else frames[-1].function,
                    run=step.run or None,
                    frames=places(frames),
                    command=command_of(step),
                    path=text(event, "path"),
                )


def _deleted(step: Step, lost: str) -> tuple[TrialFrame, ...]:
    """Where a command deleted a file in results_dir, or a folder that it was in; empty where it did not."""
    for event in step.of("file"):
        root, _, path = text(event, "path").partition(":")
        path = path.strip("./")
        holds = not path or path == lost or lost.startswith(f"{path}/")
        if root == "results" and text(event, "op") in _DELETES and holds and frames_of(event):
            return frames_of(event)
    return ()
