"""How long a rehearsal takes, and how much memory, command by command.

    python benchmarks/trial.py [FOLDER] [--env DIR] [--rounds 3] [--json FILE]

The submission is rehearsed so many times as `assay trial` does it, one command at a time; each row is the median over
the rounds. Without --env the environment is the one that uv builds: the first round shows what building it takes where
it is not kept yet, the others what finding it takes.

Then Python is started in that environment, bare and under the overlay that watches, with nothing to do and with torch
to import: what being watched costs before anything is watched. No sandbox is around these.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from measured import print_table, write_json

from assay.analysis.project import Project
from assay.reviewer import choose_contract
from assay.submission.opening import open_submission
from assay.trial.environment import TrialEnvironment, prepare
from assay.trial.overlay import lay_overlay
from assay.trial.record import Rehearsal
from assay.trial.rehearsal import TrialOptions, rehearse

SUBMISSION = Path(__file__).parent / "trial_submission"
PROGRAMS = {"nothing": "pass", "import torch": "import torch"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=SUBMISSION)
    parser.add_argument("--env", type=Path, help="A virtual environment to rehearse in.")
    parser.add_argument("--rounds", type=int, default=3, help="How often to rehearse.")
    parser.add_argument("--starts", type=int, default=5, help="How often to start Python.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    submission = open_submission(str(options.folder), rev=None, base=None, brief=None, contract="auto")
    project = Project(submission, choose_contract(submission, "auto")[0])
    try:
        rounds = [_rehearsed(project, options.env, number) for number in range(options.rounds)]
        started = _starts(prepare(project, env=options.env), options.starts)
    finally:
        project.close()
    found = summary(rounds)
    print_table(
        ("command", "status", "stops", "median s", "fastest s", "peak MiB", "events"),
        [
            (
                step["name"],
                step["status"],
                step["stops"],
                f"{step['seconds']:.1f}",
                f"{step['fastest']:.1f}",
                f"{step['peak_mib']:.0f}",
                step["events"],
            )
            for step in found["steps"]
        ],
    )
    environments = ", ".join(f"{seconds:.1f}" for seconds in found["environment"])
    print(f"\nIn all {found['seconds']:.1f} s, of which {found['beside']:.1f} s are not spent in commands.")
    print(f"The environment, round by round: {environments} s.\n")
    print_table(
        ("Python with", "bare s", "watched s"),
        [(name, f"{bare:.3f}", f"{watched:.3f}") for name, (bare, watched) in started.items()],
    )
    write_json(options.json, {**found, "starts": started})
    return int(found["stopped"])


def _rehearsed(project: Project, env: Path | None, number: int) -> tuple[float, Rehearsal]:
    print(f"round {number + 1}", file=sys.stderr, flush=True)
    begin = time.perf_counter()
    rehearsal = rehearse(project, TrialOptions(env=env, jobs=1))
    if not rehearsal.steps:
        raise SystemExit(f"nothing was rehearsed: {rehearsal.undecided or rehearsal.refusal or 'no command'}")
    return time.perf_counter() - begin, rehearsal


def summary(rounds: list[tuple[float, Rehearsal]]) -> dict[str, Any]:
    """Medians over rounds.

    Args:
        rounds: Wall time in seconds, and what was seen; the same commands in each.
    """
    steps = []
    for same in zip(*(rehearsal.steps for _, rehearsal in rounds), strict=True):
        last = same[-1]
        times = [step.seconds for step in same]
        steps.append(
            {
                "name": last.name,
                "status": last.broke or last.skipped or last.status,
                # `src.evaluate` is to refuse where nothing is tracked
                "stops": 0 if last.mode == "refuse" else max(len(step.stops) for step in same),
                "seconds": statistics.median(times),
                "fastest": min(times),
                "peak_mib": max(step.peak_memory for step in same) / 2**20,
                "events": len(last.events),
            }
        )
    beside = [seconds - sum(step.seconds for step in rehearsal.steps) for seconds, rehearsal in rounds]
    return {
        "steps": steps,
        "seconds": statistics.median(seconds for seconds, _ in rounds),
        "beside": statistics.median(beside),
        "environment": [rehearsal.seconds.get("environment", 0.0) for _, rehearsal in rounds],
        "isolation": rounds[-1][1].isolation,
        "stopped": any(step["stops"] for step in steps),
    }


def _starts(environment: TrialEnvironment, times: int) -> dict[str, tuple[float, float]]:
    """Median seconds of each program, bare and watched, in turn."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        settings = {"step": "start", "mode": "full", "work": place, "events": f"{place}/events.jsonl", "cuda": True}
        watched = lay_overlay(folder / "watched", environment, settings)
        bare = lay_overlay(folder / "bare", environment, {})
        found = {}
        for name, program in PROGRAMS.items():
            taken: dict[Path, list[float]] = {bare: [], watched: []}
            for _ in range(times):
                for python, seconds in taken.items():
                    begin = time.perf_counter()
                    ended = subprocess.run([str(python), "-c", program], cwd=folder, capture_output=True, check=False)
                    if ended.returncode == 0:
                        seconds.append(time.perf_counter() - begin)
            if all(taken.values()):
                found[name] = (statistics.median(taken[bare]), statistics.median(taken[watched]))
        return found


if __name__ == "__main__":
    sys.exit(main())
