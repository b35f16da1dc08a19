"""A W&B server on this machine, as far as tracking a run and reading it back need one: GraphQL and the file stream."""

from __future__ import annotations

import importlib
import json
import os
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

ENTITY = "entity-of-the-key"
API_KEY = "0123456789" * 4


def forget_wandb(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Takes away keys, settings and caches of W&B's client, and the settings that it read before."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(folder / "no-netrc"))
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(folder / f"wandb-{name.lower()}"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    importlib.import_module("wandb").teardown()


@dataclass
class ServedRun:
    """What the server knows of one run."""

    entity: str
    project: str
    name: str
    display_name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    summary: str = "{}"
    state: str = "running"
    upserts: int = 0

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Rows as they were logged: without the names that W&B adds."""
        rows = [json.loads(line) for line in self.history]
        return [{key: value for key, value in row.items() if not key.startswith("_")} for row in rows]

    @property
    def summary_values(self) -> dict[str, Any]:
        """The summary without what W&B adds."""
        added = ("_step", "_runtime", "_timestamp", "_wandb")
        return {key: value for key, value in json.loads(self.summary).items() if key not in added}


class WandbServer:
    """Serves W&B's protocol on 127.0.0.1 from a thread.

    Use as a context manager. `go_down()` ends listening, so that connections are refused; `failing` answers every
    request with status 500, `forbidden` the file stream with 403; `come_back()` undoes all three, on the same port.
    """

    def __init__(self) -> None:
        self.runs: dict[str, ServedRun] = {}
        self.operations: list[str] = []
        self.unknown: list[str] = []
        self.failing = False
        self.forbidden = False
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def lead_here(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        """Has W&B's client know this server and nothing of the person whose machine this is."""
        forget_wandb(monkeypatch, folder)
        monkeypatch.setenv("WANDB_BASE_URL", self.url)
        monkeypatch.setenv("WANDB_API_KEY", API_KEY)

    def __enter__(self) -> WandbServer:
        self.come_back()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_down()

    def come_back(self) -> None:
        self.failing = self.forbidden = False
        if self._server is None:
            served = self

            class Handler(_Handler):
                wandb = served

            self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
            self._server.daemon_threads = True
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def go_down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, operation: str, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Answers one GraphQL operation."""
        self.operations.append(operation)
        if operation == "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        if operation in ("Viewer", "GetViewer", "GetDefaultEntity"):
            return {"viewer": _VIEWER}
        if operation == "UpsertBucket":
            return self._upsert(variables)
        if operation == "RunResumeStatus":
            return self._resume_status(variables)
        if operation == "CreateRunFiles":
            files = [{"name": name, "uploadUrl": f"{self.url}/storage/{name}"} for name in variables["files"]]
            return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}
        if operation == "MarkRunFilesUploaded":
            return {"markRunFilesUploaded": {"success": True}}
        found = self.runs.get(str(variables.get("run") or variables.get("name") or variables.get("runName")))
        if operation == "HistoryPage":
            assert found is not None
            steps = range(int(variables["minStep"]), int(variables["maxStep"]))
            page = [line for line in found.history if json.loads(line)["_step"] in steps]
            return {"project": {"run": {"history": page}}}
        if operation == "RunParquetHistory":
            return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": []}}}}
        if operation == "RunHistoryKeys":
            return {"project": {"run": found and {"historyKeys": _history_keys(found)}}}
        if operation == "OrganizationCoreWeaveOrganizationID":
            return {"entity": {"organization": None}}
        if operation in _RUN_QUERIES:
            return {"project": {"internalId": "cHJvamVjdA==", "run": found and _public(found)}}
        self.unknown.append(f"{operation}: {query} {json.dumps(variables)}")
        raise LookupError(f"this server does not know {operation}")

    def stream(self, name: str, body: dict[str, Any]) -> None:
        """Takes one request of the file stream."""
        run = self.runs[name]
        for file, chunk in (body.get("files") or {}).items():
            if file == "wandb-history.jsonl":
                # a client that resends after a lost answer gives the offset that it sent before
                run.history[chunk["offset"] :] = chunk["content"]
            elif file == "wandb-summary.json":
                run.summary = chunk["content"][-1]
            elif file == "wandb-events.jsonl":
                run.events[chunk["offset"] :] = chunk["content"]
        if body.get("complete"):
            run.state = "finished" if body.get("exitcode") == 0 else "failed"

    def _upsert(self, variables: dict[str, Any]) -> dict[str, Any]:
        name = variables.get("name") or variables["id"]
        inserted = name not in self.runs
        run = self.runs.setdefault(
            name, ServedRun(variables.get("entity") or ENTITY, variables.get("project") or "uncategorized", name)
        )
        run.upserts += 1
        run.display_name = variables.get("displayName") or run.display_name or name
        if variables.get("config"):
            run.config = json.loads(variables["config"])
        if variables.get("summaryMetrics"):
            run.summary = variables["summaryMetrics"]
        if variables.get("state"):
            run.state = variables["state"]
        project = {"id": "cHJvamVjdA==", "name": run.project, "entity": {"id": "ZW50aXR5", "name": run.entity}}
        bucket = {
            "id": run.name,
            "name": run.name,
            "displayName": run.display_name,
            "description": "",
            "sweepName": None,
        }
        bucket |= {"config": json.dumps(run.config), "project": project, "historyLineCount": len(run.history)}
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def _resume_status(self, variables: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(variables["name"])
        bucket = None
        if run is not None:
            bucket = {"id": run.name, "name": run.name, "displayName": run.display_name, "logLineCount": 0}
            bucket |= {"historyLineCount": len(run.history), "eventsLineCount": len(run.events)}
            bucket |= {"historyTail": json.dumps(run.history[-1:]), "eventsTail": json.dumps(run.events[-1:])}
            bucket |= {"config": json.dumps(run.config), "summaryMetrics": run.summary, "tags": [], "notes": None}
            bucket |= {"wandbConfig": json.dumps({"t": 1})}
        entity = variables.get("entity") or ENTITY
        return {
            "model": {
                "id": "bW9kZWw=",
                "name": variables["project"],
                "entity": {"id": "e", "name": entity},
                "bucket": bucket,
            }
        }


_VIEWER = {
    "id": "dmlld2Vy",
    "name": "A person",
    "username": "person",
    "entity": ENTITY,
    "email": "person@example.org",
    "admin": False,
    "flags": "{}",
    "teams": {"edges": []},
    "apiKeys": {"edges": []},
    "deletedAt": None,
}
_RUN_QUERIES = frozenset({"GetRun", "Run", "GetLightRun", "GetFullRun", "GetRunState", "RunState", "QueryRunInfo"})


def _public(run: ServedRun) -> dict[str, Any]:
    return {
        "id": run.name,
        "name": run.name,
        "displayName": run.display_name,
        "projectId": "1",
        "state": run.state,
        "group": None,
        "jobType": None,
        "commit": None,
        "tags": [],
        "notes": None,
        "description": None,
        "readOnly": False,
        "createdAt": "2026-01-01T00:00:00",
        "heartbeatAt": "2026-01-01T00:00:00",
        "sweepName": None,
        "config": json.dumps(run.config),
        "systemMetrics": "{}",
        "summaryMetrics": run.summary,
        "historyLineCount": len(run.history),
        "historyKeys": _history_keys(run),
        "user": {"id": "dXNlcg==", "name": "A person", "username": "person"},
    }


def _history_keys(run: ServedRun) -> dict[str, Any]:
    steps = [json.loads(line).get("_step", -1) for line in run.history]
    return {"lastStep": max(steps, default=-1), "sets": [], "keys": {}}


class _Handler(BaseHTTPRequestHandler):
    wandb: WandbServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.wandb.failing:
            return self._send(500, {"error": "down"})
        if self.path == "/graphql":
            request = json.loads(body)
            named = re.search(r"(?:query|mutation)\s+(\w+)", request["query"])
            try:
                answer = self.wandb.answer(named[1] if named else "", request["query"], request.get("variables") or {})
            except LookupError as error:
                return self._send(200, {"data": None, "errors": [{"message": str(error)}]})
            return self._send(200, {"data": answer})
        if streamed := re.fullmatch(r"/files/[^/]+/[^/]+/([^/]+)/file_stream", self.path):
            if self.wandb.forbidden:
                return self._send(403, {"error": "the key was withdrawn"})
            self.wandb.stream(streamed[1], json.loads(body))
            return self._send(200, {"exitcode": None, "limits": {}})
        self.wandb.unknown.append(f"POST {self.path}")
        return self._send(404, {"error": "unknown"})

    def do_PUT(self) -> None:  # files (metadata, requirements) are taken and forgotten
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._send(500 if self.wandb.failing else 200, {})

    def do_GET(self) -> None:
        self.wandb.unknown.append(f"GET {self.path}")
        self._send(404, {"error": "unknown"})

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _send(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
