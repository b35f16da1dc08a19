"""`run.json`: what a run was made with, and whether a folder holds the same run with another configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from assay.runtime.errors import ExperimentError
from assay.runtime.whole_file import replace_file

# these say where and how a run is carried out, not what it computes
_ELSEWHERE = frozenset({"results_dir", "device", "wandb", "hydra", "criteria"})


def write_run_file(path: Path, content: Mapping[str, Any], started: datetime, *, goes_on: bool) -> None:
    """Write what a run was made with, in one step.

    Args:
        path: The file.
        content: What `provenance` found, and `config`, the composed configuration.
        started: When this attempt began, with a time zone.
        goes_on: Whether the run goes on with what an earlier attempt has done. That attempt then stays in the file.

    Raises:
        ExperimentError: The file is of the same run with another configuration, or cannot be read or written.
    """
    attempts = []
    config = json.loads(json.dumps(content["config"], default=str))
    if goes_on and (earlier := _read(path)) is not None:
        differing = differences(earlier["config"], config)
        if differing:
            raise ExperimentError(
                f"{path.parent}: holds this run with another configuration ({'; '.join(differing[:3])}): "
                "give another results_dir, or move that folder away"
            )
        attempts = earlier["attempts"]
    attempts = [
        *attempts,
        {"started": started.isoformat(timespec="seconds"), **{k: v for k, v in content.items() if k != "config"}},
    ]
    text = json.dumps({"config": config, "attempts": attempts}, indent=2, default=str)
    replace_file(path, text + "\n")


def differences(before: object, now: object, name: str = "") -> list[str]:
    """Where two configurations differ, each as `key was A, is B`; what says only where a run happens left out."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        found = []
        for key in sorted({*before, *now}, key=str):
            if name or key not in _ELSEWHERE:
                found += differences(before.get(key), now.get(key), f"{name}.{key}" if name else str(key))
        return found
    # a not-a-number does not equal itself
    return [] if before == now or (before != before and now != now) else [f"{name} was {before}, is {now}"]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ExperimentError(f"{path}: cannot be read ({error}): move it away") from error
    if not (
        isinstance(content, dict)
        and isinstance(content.get("config"), dict)
        and isinstance(content.get("attempts"), list)
    ):
        raise ExperimentError(f"{path}: is no record of a run: move it away")
    return content
