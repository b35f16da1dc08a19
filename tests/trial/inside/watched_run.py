"""Running Python programs under an overlay, and reading what its probes saw."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.trial.environment import TrialEnvironment
from assay.trial.overlay import lay_overlay

LIMITS = {
    "batch_size": 8,
    "batches_per_pass": 5,
    "trial_batches": 6,
    "passes_after_steps": 1,
    "steps": 40,
    "optuna_trials": 2,
}


@dataclass(frozen=True)
class Ran:
    """How a program ended, what it printed, what was seen."""

    status: int
    output: str
    errors: str
    events: list[dict[str, Any]]

    def of(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """Events of a kind with these fields, in order."""
        return [
            event
            for event in self.events
            if event["kind"] == kind and all(event.get(name) == value for name, value in fields.items())
        ]

    @property
    def stop(self) -> dict[str, Any]:
        """The only stop."""
        (found,) = self.of("stop")
        return found


class Stage:
    """A folder with a submission's copy and an overlay of this very environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.events = folder / "events" / "events.jsonl"
        for name in ("work", "results", "events", "home", "tmp"):
            (folder / name).mkdir()

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def lay(self, **settings: object) -> Path:
        environment = TrialEnvironment(
            folder=Path(sys.prefix),
            python=Path(sys.executable).resolve(),
            sites=tuple(Path(path) for path in sys.path if path.endswith("site-packages")),
            packages={},
            python_version=sys.version_info[:2],
        )
        given = {
            "step": "trial:proposed",
            "mode": "trial",
            "work": str(self.work),
            "results": str(self.folder / "results"),
            "events": str(self.events),
            "python": str(self.folder / "overlay/bin/python"),
            "shrink": True,
            "limits": LIMITS,
            "shims": [],
            **settings,
        }
        return lay_overlay(self.folder / "overlay", environment, given)

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None, **settings: object) -> Ran:
        """Run the overlay's Python with these arguments in the copy, with these environment variables alone."""
        python = self.lay(**settings)
        self.events.unlink(missing_ok=True)
        ended = subprocess.run(
            [str(python), *arguments],
            cwd=self.work,
            env={"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp"), "OMP_NUM_THREADS": "1"}
            | dict(variables or {}),
            capture_output=True,
            text=True,
            timeout=120,
        )
        lines = self.events.read_text().splitlines() if self.events.exists() else []
        events = [json.loads(line) for line in lines]
        assert not [event for event in events if event["kind"] == "inside-failed"], ended.stderr
        return Ran(ended.returncode, ended.stdout, ended.stderr, events)
