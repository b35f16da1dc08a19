"""What the stand-in for W&B keeps of each run: a file of JSON lines, appended to while it lasts, read by later steps.

Lines rather than one document: a killed process loses nothing, and several processes may write to one run.
"""

# pathlib alone would take longer to import than all of this

from __future__ import annotations

import json
import os
import time
import urllib.parse
from typing import Any

from . import settings

# what a run belongs to whose program names no entity: the one of the key, in the real service
DEFAULT_ENTITY = "rehearsal"
DEFAULT_PROJECT = "uncategorized"


class KeptRun:
    """A run as the service would know it.

    Rows have flattened keys and `_step`, `_runtime`, `_timestamp`; the summary is nested; numbers that are not finite
    are text, as the service returns them.
    """

    def __init__(self, entity: str, project: str, run_id: str) -> None:
        self.entity = entity
        self.project = project
        self.id = run_id
        self.attributes: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.rows: list[dict[str, Any]] = []
        self.summary: dict[str, Any] = {}
        self.artifacts: list[dict[str, Any]] = []
        self.definitions: dict[str, Any] = {}
        self.exit_code: int | None = None
        self.begun: dict[str, Any] = {}
        self.created = 0.0
        self.seen = 0.0

    @property
    def last_step(self) -> int:
        """The highest step of a row; -1 without rows."""
        return max((int(row.get("_step", -1)) for row in self.rows), default=-1)

    @property
    def keys(self) -> set[str]:
        """All keys of its rows."""
        return {key for row in self.rows for key in row}

    @property
    def state(self) -> str:
        """`running`, `finished`, `failed` or `crashed`, as the service says it."""
        if self.exit_code is not None:
            return "finished" if self.exit_code == 0 else "failed"
        same_step = self.begun.get("step") == settings.get("step")
        return "running" if same_step and _alive(self.begun.get("pid")) else "crashed"

    def take(self, line: dict[str, Any]) -> None:
        """Follow one line of the file."""
        what = line.get("op")
        self.seen = float(line.get("at") or self.seen)
        if what == "begin":
            self._begin(line)
        elif what == "row":
            self.rows.append(line["row"])
            _merge(self.summary, line.get("summary") or {})
        elif what == "summary":
            for path, value in line.get("set") or ():
                set_at(self.summary, path, value)
            for path in line.get("remove") or ():
                _remove_at(self.summary, path)
        elif what == "replace-summary":
            self.summary = dict(line["summary"])
        elif what == "config":
            self.config.update(line["config"])
        elif what == "replace-config":
            self.config = dict(line["config"])
        elif what == "attributes":
            self.attributes.update(line["attributes"])
        elif what == "define":
            self.definitions[str(line.get("name"))] = line
        elif what == "artifact":
            self.artifacts.append(line)
        elif what == "finish":
            self.exit_code = int(line.get("exit_code") or 0)

    def _begin(self, line: dict[str, Any]) -> None:
        if not line.get("resumed"):
            self.__init__(self.entity, self.project, self.id)  # type: ignore[misc]
        self.begun = {name: line.get(name) for name in ("pid", "step")}
        self.created = self.created or float(line.get("at") or 0.0)
        self.seen = float(line.get("at") or 0.0)
        self.exit_code = None
        self.attributes.update({key: value for key, value in (line.get("attributes") or {}).items() if value})
        self.config.update(line.get("config") or {})


def folder() -> str | None:
    """Where runs are kept; None where nothing is to be kept."""
    found = settings.get("tracking")
    return str(found) if found else None


def file_of(entity: str, project: str, run_id: str) -> str | None:
    """The file of a run, whether it is there or not; None where nothing is kept."""
    top = folder()
    if top is None:
        return None
    return os.path.join(top, _name(entity), _name(project), _name(run_id) + ".jsonl")


def append(path: str | None, op: str, **fields: Any) -> None:
    """Append one line to the file of a run, in one write."""
    if path is None:
        return
    line = json.dumps({"op": op, "at": round(time.time(), 3), **fields}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def read(entity: str, project: str, run_id: str) -> KeptRun | None:
    """A run, or None where none of that name was logged online."""
    path = file_of(entity, project, run_id)
    if path is None or not os.path.exists(path):
        return None
    run = KeptRun(entity, project, run_id)
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                run.take(json.loads(line))
            except ValueError:
                # the last line of a process that was killed
                continue
    return run


def runs_of(entity: str, project: str) -> list[KeptRun] | None:
    """All runs of a project, oldest first; None where there is no such project."""
    top = folder()
    place = os.path.join(top, _name(entity), _name(project)) if top else ""
    if not place or not os.path.isdir(place):
        return None
    names = [urllib.parse.unquote(name[1 : -len(".jsonl")]) for name in os.listdir(place) if name.endswith(".jsonl")]
    found = [run for run in (read(entity, project, name) for name in sorted(names)) if run is not None]
    return sorted(found, key=lambda run: run.created)


def projects_of(entity: str) -> list[str]:
    """Names of the projects of an entity."""
    top = folder()
    place = os.path.join(top, _name(entity)) if top else ""
    return sorted(urllib.parse.unquote(name[1:]) for name in os.listdir(place)) if os.path.isdir(place) else []


def plain(value: Any) -> Any:
    """The same as the service returns it: text for numbers that are not finite, whole numbers without a fraction.

    W&B's own process writes JSON as Go does, which knows one kind of number: 1.0 comes back as 1.
    """
    if isinstance(value, float):
        if value - value != 0:
            return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def flattened(row: dict[str, Any], before: str = "") -> dict[str, Any]:
    """A row with the keys of nested dicts joined by dots; values that W&B describes by a `_type` stay whole."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict) and "_type" not in value:
            flat.update(flattened(value, f"{before}{key}."))
        else:
            flat[before + key] = value
    return flat


def set_at(tree: dict[str, Any], path: list[str], value: Any) -> None:
    """Set a value in nested dicts, making those that are not there."""
    for part in path[:-1]:
        inner = tree.get(part)
        if not isinstance(inner, dict):
            inner = tree[part] = {}
        tree = inner
    tree[path[-1]] = value


def _remove_at(tree: dict[str, Any], path: list[str]) -> None:
    for part in path[:-1]:
        inner = tree.get(part)
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.pop(path[-1], None)


def _merge(tree: dict[str, Any], news: dict[str, Any]) -> None:
    for key, value in news.items():
        there = tree.get(key)
        if isinstance(value, dict) and "_type" not in value and isinstance(there, dict):
            _merge(there, value)
        else:
            tree[key] = value


def _name(text: str) -> str:
    # an underscore before it: names like "." and ".." mean something to a file system
    return "_" + urllib.parse.quote(str(text), safe="")


def _alive(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (OSError, TypeError, ValueError):
        return False
    return True
