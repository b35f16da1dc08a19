"""TRL022: figures are drawn where none are to be, or under names that the contract does not give."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from assay.analysis.project import Project
from assay.rules.rule import Example, Outcome, Proved, Rule
from assay.rules.trl.rehearsals import at, one_step, rehearsal, saw, trained
from assay.trial.reading import command_of, frames_of, places, settled, text
from assay.trial.record import Event, Rehearsal, Step

_PICTURES = (".pdf", ".png", ".svg", ".jpg", ".jpeg", ".eps")
# 40 random hexadecimal digits, a moment, a process id: names that no second call gives again
_RANDOM = re.compile(r"(?<![0-9a-z])(?:[0-9a-f]{12,}|\d{8}[-_T]\d{4,6}|\d{10,})(?![0-9a-z])", re.IGNORECASE)
_DRAWN = {"kind": "figure", "path": "results:proposed/loss.png", "frames": at("src/train.py", 2)}
_SAVES = "def draw(figure, folder, run_id):\n    figure.savefig(folder / {name})\n"


def _drew(name: str) -> Step:
    return one_step(
        {"kind": "figure", "path": f"results:proposed/{name}", "frames": at("src/evaluate.py", 2, "draw")},
        mode="evaluate",
        written={f"proposed/{name}": 900},
    )


def _evaluated(evaluation: Step) -> Rehearsal:
    return rehearsal(one_step(*trained(), mode="full"), evaluation)


class Figures(Rule):
    """Figures belong to the evaluation, which draws them from tracked data, so that they can be drawn again. Their names say
    what they are of: `{run_id}_{topic}.pdf` in the run's folder, `comparison_{topic}.pdf` in `comparison/`, without parts
    that differ from call to call.

    What counts is what a rehearsed command really wrote into results_dir. A picture of another form beside a PDF of the same
    name is no matter.
    """

    code = "TRL022"
    name = "figures"
    requirements = ("E8.7", "E8.8")
    gate = "trial"
    message = "{command} {does}"
    explanation = "{follows}"
    repair = "{mend}"

    VALID = (
        Example(
            {"src/evaluate.py": _SAVES.format(name="f'{run_id}_loss.pdf'")},
            rehearsed=_evaluated(_drew("proposed_loss.pdf")),
        ),
        Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*trained())),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": _SAVES.format(name="'loss.pdf'")},
            at=("src/evaluate.py:2",),
            repaired={"src/evaluate.py": _SAVES.format(name="f'{run_id}_loss.pdf'")},
            rehearsed=_evaluated(_drew("loss.pdf")),
            rehearsed_after=_evaluated(_drew("proposed_loss.pdf")),
        ),
        Example(
            {"src/train.py": "def main(figure):\n    figure.savefig('loss.png')\n"},
            at=("src/train.py:2",),
            repaired={"src/train.py": "def main(figure):\n    pass\n"},
            rehearsed=saw(*trained(), _DRAWN, mode="full"),
            rehearsed_after=saw(*trained(), mode="full"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: set[object] = set()
        for step in settled(project.rehearsal, "trial", "full"):
            for event in step.of("figure"):
                frames = frames_of(event)
                if frames[-1:] in told or not frames or not text(event, "path").startswith(("results:", "work:")):
                    continue
                told.add(frames[-1:])
                yield self.finding(
                    frames[-1].file,
                    frames[-1].line,
                    requirements=("E8.8",),
                    symbol="savefig",
                    run=step.run or None,
                    frames=places(frames),
                    command=command_of(step),
                    does=f"draws a figure ({text(event, 'path').partition(':')[2]})",
                    follows="Figures are drawn by the evaluation alone, from what was tracked.",
                    mend="Leave it to src/evaluate.py.",
                )
        runs = {step.run for step in project.rehearsal.steps_of("trial", "full") if step.run}
        drawn = False
        for step in settled(project.rehearsal, "evaluate"):
            figures = {text(event, "path").removeprefix("results:"): event for event in step.of("figure")}
            for name in sorted(step.written):
                drawn = drawn or name.endswith(_PICTURES)
                wrong = _wrong(name, runs, step)
                if not wrong:
                    continue
                made: Event = figures.get(name, {})
                frames = frames_of(made)
                key = frames[-1:] or name
                if key in told:
                    continue
                told.add(key)
                path = project.contract.role("evaluate")
                yield self.finding(
                    frames[-1].file if frames else path if path in project.submission.files else None,
                    frames[-1].line if frames else None,
                    requirements=("E8.7",),
                    symbol=PurePosixPath(name).name,
                    frames=places(frames),
                    command=command_of(step),
                    does=f"names a figure `{name}`",
                    follows=f"{wrong}.",
                    mend="Name it `<run_id>_<topic>.pdf`, or `comparison_<topic>.pdf` for a comparison.",
                )
        if drawn and not told:
            yield Proved(("E8.7",))


def _wrong(name: str, runs: set[str], step: Step) -> str:
    """What is wrong with the name of a picture in results_dir; empty where nothing is, or it is none of an evaluation."""
    path = PurePosixPath(name)
    if path.suffix not in _PICTURES or len(path.parts) < 2:
        return ""
    folder = path.parts[0]
    if folder not in runs and folder != "comparison":
        return ""
    if path.suffix != ".pdf" and not step.written.get(str(path.with_suffix(".pdf"))):
        return "A figure is a PDF"
    if not path.stem.startswith(f"{folder}_"):
        return f"Its name does not begin with `{folder}_`"
    return "A part of its name differs from call to call" if _RANDOM.search(path.stem.removeprefix(folder)) else ""
