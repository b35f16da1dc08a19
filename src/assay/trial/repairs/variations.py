"""Repair: a run variation that stops is left out, so that those after it are rehearsed too."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from assay.analysis.project import Project
from assay.analysis.run_variations import run_list
from assay.trial.record import Step, Stop

if TYPE_CHECKING:
    from assay.trial.launcher import Copy

_CHANGE = "{path} is rehearsed without {run}"
_FILES = {"smoke": "smoke_test.yaml", "experiment": "full_experiment.yaml"}


def without(copy: Copy, project: Project, step: Step, stop: Stop) -> Copy | None:
    """The copy whose list of variations lacks the one that stopped; None where that cannot be told, or none is left.

    Its lines become empty, so that all other lines stay where they are.
    """
    path = next((path for path in project.contract.variation_files if path.endswith(_FILES.get(step.mode, "\0"))), None)
    file = project.yaml.get(path or "")
    found = run_list(file.root) if file is not None else None
    if path is None or found is None or not stop.frames:
        return None
    words = next((event.get("argv") for event in step.of("process") if event.get("pid") == stop.process), None)
    if not isinstance(words, list):
        return None
    said = " ".join(map(str, words))
    # the longest id that fits: one may be the beginning of another
    named = max((run for run in found.ids if run and run in said), key=len, default="")
    change = _CHANGE.format(path=path, run=named)
    if not named or all(run == named or _CHANGE.format(path=path, run=run) in copy.changes for run in found.ids):
        return None
    if change in copy.changes:
        return None
    lines = copy.files[path].split("\n")
    number = found.ids.index(named)
    first = found.entries[number].line
    after = found.entries[number + 1].line if number + 1 < len(found.entries) else _end(lines, first)
    for place in range(first - 1, min(after - 1, len(lines))):
        lines[place] = ""
    return replace(copy, files={**copy.files, path: "\n".join(lines)}, changes=(*copy.changes, change))


def _end(lines: list[str], first: int) -> int:
    """The line, from 1, after the last of a list's last entry: the next one that is indented less than its dash."""
    depth = len(lines[first - 1]) - len(lines[first - 1].lstrip())
    for place in range(first, len(lines)):
        text = lines[place]
        if text.strip() and len(text) - len(text.lstrip()) < max(depth, 1) and not text.lstrip().startswith("#"):
            return place + 1
    return len(lines) + 1
