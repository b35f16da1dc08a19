"""Running a script against W&B's stand-in, as a rehearsal would, and against the real client with a server of ours."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.trial.environment import open_existing
from assay.trial.overlay import lay_overlay
from tests.runtime.wandb_server import _VIEWER, API_KEY, WandbServer

LONGEST = 120


@dataclass(frozen=True)
class Told:
    """What a script printed as JSON in its last line, and what was seen of it."""

    answers: dict[str, Any]
    events: list[dict[str, Any]]

    def of(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """Events of a kind with these fields, in order."""
        return [
            event
            for event in self.events
            if event["kind"] == kind and all(event.get(name) == value for name, value in fields.items())
        ]


def rehearsed(folder: Path, script: str, *arguments: str, files: Mapping[str, str] | None = None, **more: Any) -> Told:
    """Run a script under an overlay of this very environment; what earlier calls tracked in `folder` is still there."""
    work, events = folder / "work", folder / "events.jsonl"
    for name in ("work", "home", "tracking"):
        (folder / name).mkdir(exist_ok=True)
    for name, text in {"script.py": script, **(files or {})}.items():
        (work / name).write_text(text)
    events.unlink(missing_ok=True)
    settings = {
        "step": "full:proposed-a",
        "mode": "full",
        "work": str(work),
        "events": str(events),
        "tracking": str(folder / "tracking"),
        "cuda": True,
        **more,
    }
    python = lay_overlay(folder / "overlay", open_existing(Path(sys.prefix)), settings)
    ended = subprocess.run(
        [str(python), "script.py", *arguments],
        cwd=work,
        env={"HOME": str(folder / "home"), "TMPDIR": str(folder), "WANDB_SILENT": "true", "WANDB_API_KEY": API_KEY},
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    seen = [json.loads(line) for line in events.read_text().splitlines()]
    assert ended.returncode == 0, ended.stderr
    assert not [event for event in seen if event["kind"] == "inside-failed"]
    return Told(json.loads(ended.stdout.splitlines()[-1]), seen)


class FullerServer(WandbServer):
    """Knows also what releases of W&B before 0.3 ask."""

    def answer(self, operation: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if not operation:
            return {"viewer": _VIEWER}
        if operation == "RunStoppedStatus":
            return {"project": {"run": {"stopped": False}}}
        if operation.startswith("Probe"):
            known = {"RunType": "projectId", "ProjectType": "internalId", "QueryType": "viewer"}
            return {name: {"fields": [{"name": field}]} for name, field in known.items()}
        return super().answer(operation, query, variables)


def really(folder: Path, script: str, *arguments: str) -> dict[str, Any]:
    """Run a script with the real client, whose server is ours."""
    folder.mkdir()
    (folder / "script.py").write_text(script)
    with FullerServer() as server:
        ended = subprocess.run(
            [sys.executable, "script.py", *arguments],
            cwd=folder,
            env={
                "HOME": str(folder),
                "TMPDIR": str(folder),
                "NETRC": str(folder / "no-netrc"),
                "WANDB_SILENT": "true",
                "WANDB_ERROR_REPORTING": "false",
                "WANDB_API_KEY": API_KEY,
                "WANDB_BASE_URL": server.url,
            },
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
    assert ended.returncode == 0, ended.stderr + "\n".join(server.unknown)
    answers: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return answers
