"""What is rehearsed: the contract's own commands, one step each, in an order in which each finds what it needs."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass

from assay.analysis.project import Project
from assay.analysis.run_defaults import run_ids

# the commands name uv; the environment is there already, so that what uv would start is started
_STARTERS = (("uv", "run"), ("uv", "run", "--"))
_PYTHON = ("python", "python3")


@dataclass(frozen=True, slots=True)
class Planned:
    """One command to rehearse.

    Args:
        name: Name of the step; see `record.Step`.
        mode: `trial`, `full`, `evaluate`, `refuse`, `smoke` or `experiment`.
        run: Id of the run; empty where the command is for several.
        command: The command as the contract gives it, filled in.
        words: What is started; `python` stands first and means the environment's.
        phase: Steps of one phase need nothing of each other. Phases follow one another.
    """

    name: str
    mode: str
    run: str
    command: str
    words: tuple[str, ...]
    phase: int


def plan(project: Project, results: str, most_runs: int) -> tuple[list[Planned], list[str]]:
    """The steps, and what is left out, in plain words.

    Trials come first, then `src.evaluate` while nothing is tracked (it must refuse), then the full mode of each run,
    then `src.evaluate` on what they tracked.

    Args:
        project: The submission.
        results: The folder to be given as results_dir.
        most_runs: How many runs to rehearse at most; the first of each method come first.
    """
    contract = project.contract
    ids, notes = _chosen(list(run_ids(project)), most_runs)
    if contract.family != "experiment":
        made = [
            _planned(contract.commands[purpose], mode, "", results, ids, phase)
            for phase, (purpose, mode) in enumerate((("trial", "smoke"), ("full", "experiment")))
        ]
        return [step for step in made if step is not None], notes
    if not ids:
        notes.append("there is no run to rehearse")
    steps = []
    for phase, mode, purpose in ((0, "trial", "trial"), (1, "refuse", "evaluate"), (2, "full", "full")):
        command = contract.commands.get(purpose, "")
        for run in ids if mode != "refuse" else ids[:1]:
            steps.append(_planned(command, mode, run if mode != "refuse" else "", results, ids, phase))
    if ids:
        steps.append(_planned(contract.commands.get("evaluate", ""), "evaluate", "", results, ids, 3))
    return [step for step in steps if step is not None], notes


def _chosen(ids: list[str], most: int) -> tuple[list[str], list[str]]:
    """The runs to rehearse: proposed and compared ones in turn, so that a few stand for all."""
    proposed = [run for run in ids if "proposed" in run]
    others = [run for run in ids if "proposed" not in run]
    turned: list[str] = []
    while proposed or others:
        for held in (proposed, others):
            if held:
                turned.append(held.pop(0))
    left = turned[most:]
    notes = [f"of {len(turned)} runs, {len(left)} were not rehearsed: {', '.join(left[:5])}"] if left else []
    return turned[:most], notes


def _planned(command: str, mode: str, run: str, results: str, ids: list[str], phase: int) -> Planned | None:
    """A step, or None where the contract has no such command or starts something else than Python."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    for starter in reversed(_STARTERS):
        if tuple(words[: len(starter)]) == starter:
            words = words[len(starter) :]
            break
    if not words or words[0] not in _PYTHON:
        return None
    values = {"{run_id}": run, "{results_dir}": results, "{run_ids}": json.dumps(ids, separators=(",", ":"))}
    filled = []
    for word in words[1:]:
        for name, value in values.items():
            word = word.replace(name, value)
        filled.append(word)
    shown = command
    for name, value in {**values, "{results_dir}": "results", "{run_ids}": f"'{values['{run_ids}']}'"}.items():
        shown = shown.replace(name, value)
    return Planned(f"{mode}:{run}" if run else mode, mode, run, shown, ("python", *filled), phase)
