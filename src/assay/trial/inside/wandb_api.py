"""Answers what `wandb.Api()` asks the service, from what this rehearsal logged.

The library's own Api, Run, Runs and HTTPSummary stay: they parse, page, convert and raise as ever. Only the transport
is ours: `RetryingClient.execute` (to 0.2x) and `ServiceApi` (later), both of which carry named GraphQL operations.
"""

# pathlib alone would take longer to import than all of this

from __future__ import annotations

import base64
import functools
import json
import os
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from . import events, imports, settings, wandb_kept

Answer = Any

_scans: dict[int, tuple[Any, list[str]]] = {}
_PAGE = {"endCursor": None, "hasNextPage": False}


def install(module: Any) -> None:
    """Lead W&B's public interface here; called once, after `wandb.apis.public` was imported."""
    if not settings.get("tracking"):
        return
    client = getattr(sys.modules.get("wandb.apis.public.api"), "RetryingClient", None)
    client = client or getattr(module, "RetryingClient", None)
    if client is not None:
        client.execute = _execute
    imports.when_imported("wandb.apis.public.service_api", _lead_service)
    for name in ("wandb.apis.public.summary", "wandb.old.summary"):
        imports.when_imported(name, _watch_summary)
    imports.when_imported("wandb.sdk.wandb_login", _believe_keys)
    imports.when_imported("wandb.sdk.internal.internal_api", _lead_internal)


def _lead_internal(module: Any) -> None:
    # to 0.2x: by this the library asks what the server can do, for a table or an image already
    if hasattr(module, "Api"):
        module.Api.execute = _execute


def _believe_keys(module: Any) -> None:
    if hasattr(module, "_verify_login"):
        module._verify_login = lambda *arguments, **keywords: None


def _execute(self: Any, document: Any, variable_values: Any = None, *arguments: Any, **keywords: Any) -> Any:
    return answer(_operation(document), dict(variable_values or keywords.get("variables") or {}))


def _lead_service(module: Any) -> None:
    service = module.ServiceApi

    def execute_graphql(
        self: Any,
        query: Any,
        variables: Any = None,
        timeout: Any = None,
        *,
        parse: Callable[[str], Any] = json.loads,
        **keywords: Any,
    ) -> Any:
        return parse(json.dumps(answer(_operation(query), dict(variables or {}))))

    service.execute_graphql = execute_graphql
    service.send_api_request = _send
    service.finalize = lambda self, *arguments, **keywords: lambda: None
    service.api_publish = lambda self, *arguments, **keywords: None
    service.feature_enabled = lambda self, *arguments, **keywords: False
    service.org_feature_flags = lambda self, *arguments, **keywords: {}
    service.access_token = lambda self, *arguments, **keywords: None


def _operation(document: Any) -> str:
    definitions = getattr(document, "definitions", None)
    if definitions is None:
        definitions = getattr(getattr(document, "document", None), "definitions", None)
    if definitions:
        for definition in definitions:
            name = getattr(getattr(definition, "name", None), "value", "")
            if name and hasattr(definition, "operation"):
                return str(name)
    found = re.search(r"(?:query|mutation)\s+(\w+)", str(document))
    return found[1] if found else ""


def answer(operation: str, variables: Answer) -> Answer:
    """The `data` of the service's answer to one GraphQL operation.

    Raises:
        wandb.errors.CommError: For operations that a rehearsal does not know.
    """
    known = _OPERATIONS.get(operation)
    if known is not None:
        return known(variables)
    if operation.startswith("Probe"):
        return {
            "ProjectType": {"fields": [{"name": "internalId"}], "inputFields": []},
            "RunType": {"fields": [{"name": "projectId"}], "inputFields": []},
            "QueryType": {"fields": [{"name": "serverInfo"}]},
            "MutationType": {"fields": []},
            "ServerInfoType": {"fields": [{"name": "cliVersionInfo"}]},
        }
    events.emit("wandb", op="api", call=operation, unsupported=True, frames=events.own_frames())
    import wandb  # type: ignore[import-untyped, unused-ignore]

    raise wandb.errors.CommError(f"W&B's service is not there in a trial, and its stand-in does not know {operation}")


def _tell(call: str, run: Any, **fields: Any) -> None:
    path = run if isinstance(run, str) else f"{run.entity}/{run.project}/{run.id}"
    frames = events.own_frames()
    key = ("wandb-api", call, path, str(fields), tuple(frames[-1][:2]) if frames else ())
    events.emit_once(key, "wandb", op="api", call=call, path=path, id=path.rpartition("/")[2], frames=frames, **fields)


def _run_of(variables: Answer) -> Any:
    name = variables.get("run") or variables.get("name") or variables.get("runName")
    return wandb_kept.read(str(variables.get("entity")), str(variables.get("project")), str(name))


def _path_of(variables: Answer) -> str:
    name = variables.get("run") or variables.get("name") or variables.get("runName")
    return f"{variables.get('entity')}/{variables.get('project')}/{name}"


def _in_project(variables: Answer, node: Callable[[Any], Answer]) -> Answer:
    """An answer about one run; null for the project or the run where there is none, as the service says it."""
    run = _run_of(variables)
    if run is None:
        there = wandb_kept.runs_of(str(variables.get("entity")), str(variables.get("project"))) is not None
        return {"project": {"internalId": _coded("project"), "run": None} if there else None}
    return {"project": {"internalId": _coded("project"), "run": node(run)}}


def _run(variables: Answer) -> Answer:
    run = _run_of(variables)
    missing = [] if run is not None else [_path_of(variables)]
    _tell("run", _path_of(variables), missing=missing)
    return _in_project(variables, _node)


def _node(run: Any) -> Answer:
    attributes = run.attributes
    return {
        "id": _coded(f"{run.entity}\n{run.project}\n{run.id}"),
        "name": run.id,
        "displayName": attributes.get("name") or run.id,
        "projectId": "1",
        "state": run.state,
        "group": attributes.get("group"),
        "jobType": attributes.get("job_type"),
        "tags": list(attributes.get("tags") or ()),
        "notes": attributes.get("notes"),
        "description": attributes.get("notes"),
        "commit": None,
        "readOnly": False,
        "sweepName": None,
        "createdAt": _date(run.created),
        "heartbeatAt": _date(run.seen),
        "config": json.dumps({key: {"desc": None, "value": value} for key, value in run.config.items()}),
        "systemMetrics": "{}",
        # W&B's own process does not hand in what has no value
        "summaryMetrics": json.dumps({key: value for key, value in run.summary.items() if value is not None}),
        "historyLineCount": len(run.rows),
        "historyKeys": _history_keys(run),
        "user": {"id": _coded("user"), "name": "rehearsal", "username": wandb_kept.DEFAULT_ENTITY},
    }


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _history_keys(run: Any) -> Answer:
    counts: dict[str, int] = {}
    for row in run.rows:
        for key in row:
            counts[key] = counts.get(key, 0) + 1
    keys = {
        key: {"typeCounts": [{"type": "number", "count": count}], "monotonic": False} for key, count in counts.items()
    }
    return {"sets": [], "keys": keys, "lastStep": run.last_step}


def _keys(variables: Answer) -> Answer:
    return _in_project(variables, lambda run: {"historyKeys": _history_keys(run)})


def _state(variables: Answer) -> Answer:
    return _in_project(variables, lambda run: {"state": run.state, "id": run.id, "name": run.id})


def _sampled(variables: Answer) -> Answer:
    specs = variables.get("specs") or [variables.get("spec")]
    return _in_project(variables, lambda run: {"sampledHistory": [_rows_of(run, json.loads(spec)) for spec in specs]})


def _rows_of(run: Any, spec: Answer) -> list[Answer]:
    """Rows that hold all the keys asked for, and of each row these alone; none where one key was never logged."""
    keys = [str(key) for key in spec.get("keys") or ()]
    missing = sorted(set(keys) - run.keys)
    _tell("history", run, keys=keys, missing=missing)
    low, high = spec.get("minStep"), spec.get("maxStep")
    rows = [
        {key: row[key] for key in keys}
        for row in run.rows
        if all(key in row for key in keys)
        and (low is None or row["_step"] >= low)
        and (high is None or row["_step"] < high)
    ]
    return _sample(rows, spec.get("samples"))


def _sample(rows: list[Answer], most: Any) -> list[Answer]:
    if not most or len(rows) <= int(most):
        return rows
    most = max(int(most), 2)
    return [rows[round(index * (len(rows) - 1) / (most - 1))] for index in range(most)]


def _full(variables: Answer) -> Answer:
    def node(run: Any) -> Answer:
        _tell("history", run, keys=None, columns=sorted(run.keys)[:200], missing=[])
        return {"history": [json.dumps(row) for row in _sample(run.rows, variables.get("samples"))], "events": []}

    return _in_project(variables, node)


def _page(variables: Answer) -> Answer:
    low, high = int(variables.get("minStep") or 0), int(variables.get("maxStep") or 0)

    def node(run: Any) -> Answer:
        _tell("history", run, keys=None, columns=sorted(run.keys)[:200], missing=[])
        return {"history": [json.dumps(row) for row in run.rows if low <= row["_step"] < high]}

    return _in_project(variables, node)


def _files(variables: Answer) -> Answer:
    return _in_project(variables, lambda run: {"fileCount": 0, "files": {"edges": [], "pageInfo": dict(_PAGE)}})


def _no_artifacts(variables: Answer) -> Answer:
    none = {"totalCount": 0, "edges": [], "pageInfo": dict(_PAGE)}
    return _in_project(variables, lambda run: {"outputArtifacts": none, "inputArtifacts": none, "artifacts": none})


def _viewer(variables: Answer) -> Answer:
    entity = wandb_kept.DEFAULT_ENTITY
    viewer: Answer = {"id": _coded("user"), "name": "rehearsal", "username": entity, "entity": entity, "email": None}
    viewer.update(admin=False, flags="{}", teams={"edges": []}, apiKeys={"edges": []}, deletedAt=None)
    version = {"max_cli_version": "9.9.9", "min_cli_version": "0.0.1"}
    return {"viewer": viewer, "serverInfo": {"cliVersionInfo": version, "latestLocalVersionInfo": None, "features": []}}


def _runs(variables: Answer) -> Answer:
    entity, project = str(variables.get("entity")), str(variables.get("project"))
    found = wandb_kept.runs_of(entity, project)
    filters = variables.get("filters")
    filters = json.loads(filters) if isinstance(filters, str) and filters else filters or {}
    kept = None if found is None else [run for run in found if matches(run, filters)]
    missing = [f"{entity}/{project}"] if kept is None else []
    _tell("runs", f"{entity}/{project}", count=len(kept or ()), filters=filters, missing=missing)
    if kept is None:
        return {"project": None}
    kept = _ordered(kept, str(variables.get("order") or "+created_at"))
    start = int(variables.get("cursor") or 0)
    end = start + int(variables.get("perPage") or 50)
    edges = [{"node": _node(run), "cursor": str(start + at + 1)} for at, run in enumerate(kept[start:end])]
    page = {"endCursor": str(min(end, len(kept))), "hasNextPage": end < len(kept)}
    held = {"internalId": _coded("project"), "runCount": len(kept), "readOnly": False}
    return {"project": {**held, "runs": {"edges": edges, "pageInfo": page}}}


def _ordered(runs: list[Any], order: str) -> list[Any]:
    falling = order.startswith("-")
    name = order.lstrip("+-")

    def rank(run: Any) -> tuple[bool, bool, Any]:
        value = _field(run, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return value is None, not number, value if number else str(value)

    known = [run for run in runs if _field(run, name) is not None]
    return sorted(known, key=rank, reverse=falling) + [run for run in runs if _field(run, name) is None]


def matches(run: Any, filters: Any) -> bool:
    """Whether a run fits a filter in the language of MongoDB, as far as W&B documents it."""
    for key, wanted in dict(filters or {}).items():
        if key == "$and":
            fits = all(matches(run, one) for one in wanted)
        elif key == "$or":
            fits = any(matches(run, one) for one in wanted)
        elif key == "$nor":
            fits = not any(matches(run, one) for one in wanted)
        elif key == "$not":
            fits = not matches(run, wanted)
        else:
            fits = _fits(_field(run, key), wanted)
        if not fits:
            return False
    return True


def _fits(value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, dict) or not any(str(key).startswith("$") for key in wanted):
        return _same(value, wanted)
    return all(_compared(value, str(how), other) for how, other in wanted.items())


def _compared(value: Any, how: str, other: Any) -> bool:
    if how in ("$eq", "$ne"):
        return _same(value, other) == (how == "$eq")
    if how in ("$in", "$nin"):
        return any(_same(value, one) for one in other) == (how == "$in")
    if how == "$exists":
        return (value is not None) == bool(other)
    if how == "$not":
        return not _fits(value, other)
    if how == "$regex":
        return isinstance(value, str) and re.search(str(other), value) is not None
    if how in ("$gt", "$gte", "$lt", "$lte"):
        try:
            less, more = value < other, value > other
        except TypeError:
            return False
        return bool({"$gt": more, "$gte": not less, "$lt": less, "$lte": not more}[how])
    return True


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, list) and not isinstance(wanted, list):
        return wanted in value
    return bool(value == wanted)


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "state": lambda run: run.state,
    "name": lambda run: run.id,
    "id": lambda run: run.id,
    "display_name": lambda run: run.attributes.get("name") or run.id,
    "displayName": lambda run: run.attributes.get("name") or run.id,
    "group": lambda run: run.attributes.get("group"),
    "job_type": lambda run: run.attributes.get("job_type"),
    "jobType": lambda run: run.attributes.get("job_type"),
    "tags": lambda run: list(run.attributes.get("tags") or ()),
    "notes": lambda run: run.attributes.get("notes"),
    "created_at": lambda run: _date(run.created) + f"{run.created:.3f}",
    "createdAt": lambda run: _date(run.created),
    "heartbeat_at": lambda run: _date(run.seen),
    "heartbeatAt": lambda run: _date(run.seen),
    "username": lambda run: wandb_kept.DEFAULT_ENTITY,
}


def _field(run: Any, name: str) -> Any:
    if name in _FIELDS:
        return _FIELDS[name](run)
    for before, tree in (("config.", run.config), ("summary_metrics.", run.summary), ("summaryMetrics.", run.summary)):
        if name.startswith(before):
            path = name[len(before) :]
            # `config.x.value` is how the service stores `config.x`
            found = _at(tree, path)
            return _at(tree, path[: -len(".value")]) if found is None and path.endswith(".value") else found
    return None


def _at(tree: Any, path: str) -> Any:
    if isinstance(tree, dict) and path in tree:
        return tree[path]
    for part in path.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _upsert(variables: Answer) -> Answer:
    try:
        entity, project, run_id = base64.b64decode(str(variables.get("id"))).decode().split("\n")
    except ValueError:
        entity = str(variables.get("entity") or wandb_kept.DEFAULT_ENTITY)
        project = str(variables.get("project") or wandb_kept.DEFAULT_PROJECT)
        run_id = str(variables.get("name") or variables.get("id"))
    path = wandb_kept.file_of(entity, project, run_id)
    if path is not None and os.path.exists(path):
        if variables.get("summaryMetrics") is not None:
            summary = wandb_kept.plain(json.loads(variables["summaryMetrics"]))
            wandb_kept.append(path, "replace-summary", summary=summary)
        if variables.get("config"):
            config = json.loads(variables["config"])
            config = {key: item.get("value") if isinstance(item, dict) else item for key, item in config.items()}
            wandb_kept.append(path, "replace-config", config={k: v for k, v in config.items() if k != "_wandb"})
        names = {"display_name": "name", "tags": "tags", "notes": "notes", "groupName": "group"}
        changed = {target: variables[name] for name, target in names.items() if variables.get(name) is not None}
        if changed:
            wandb_kept.append(path, "attributes", attributes=changed)
    _tell("update", f"{entity}/{project}/{run_id}")
    held = {"id": _coded("project"), "name": project, "entity": {"id": _coded(entity), "name": entity}}
    bucket = {"id": variables.get("id"), "name": run_id, "displayName": run_id, "project": held}
    return {"upsertBucket": {"bucket": bucket, "inserted": False}}


def _delete(variables: Answer) -> Answer:
    entity, project, run_id = base64.b64decode(str(variables.get("id"))).decode().split("\n")
    path = wandb_kept.file_of(entity, project, run_id)
    if path is not None and os.path.exists(path):
        os.unlink(path)
    _tell("delete", f"{entity}/{project}/{run_id}")
    return {"deleteRun": {"clientMutationId": None}}


def _projects(variables: Answer) -> Answer:
    entity = str(variables.get("entity") or wandb_kept.DEFAULT_ENTITY)
    nodes = [_project_node(entity, name) for name in wandb_kept.projects_of(entity)]
    edges = [{"node": node, "cursor": str(at)} for at, node in enumerate(nodes)]
    return {"models": {"totalCount": len(nodes), "edges": edges, "pageInfo": dict(_PAGE)}}


def _project(variables: Answer) -> Answer:
    entity, name = str(variables.get("entity")), str(variables.get("name") or variables.get("project"))
    return {"project": _project_node(entity, name) if name in wandb_kept.projects_of(entity) else None}


def _project_node(entity: str, name: str) -> Answer:
    return {
        "id": _coded(name),
        "internalId": _coded("project"),
        "name": name,
        "entityName": entity,
        "createdAt": "2026-01-01T00:00:00Z",
        "isBenchmark": False,
        "user": None,
    }


_OPERATIONS: dict[str, Callable[[Answer], Answer]] = {
    **dict.fromkeys(("Run", "GetRun", "GetLightRun", "GetFullRun", "QueryRunInfo"), _run),
    **dict.fromkeys(("RunState", "GetRunState"), _state),
    **dict.fromkeys(("Runs", "GetRuns"), _runs),
    **dict.fromkeys(
        ("Viewer", "GetViewer", "GetDefaultEntity", "ServerInfo", "ServerFeaturesQuery", "ServerFeatures"), _viewer
    ),
    **dict.fromkeys(("RunSampledHistory", "SampledHistoryPage"), _sampled),
    "RunFullHistory": _full,
    "HistoryPage": _page,
    "RunHistoryKeys": _keys,
    **dict.fromkeys(("RunFiles", "GetRunFiles"), _files),
    **dict.fromkeys(("RunOutputArtifacts", "RunInputArtifacts", "OutputArtifacts", "InputArtifacts"), _no_artifacts),
    "UpsertBucket": _upsert,
    "DeleteRun": _delete,
    **dict.fromkeys(("Projects", "GetProjects"), _projects),
    **dict.fromkeys(("Project", "GetProject"), _project),
    # which optional fields of an artifact the server knows: all of them
    "TypeInfo": lambda variables: {"__type": None},
    "OrganizationCoreWeaveOrganizationID": lambda variables: {"entity": {"organization": None}},
}


def _send(self: Any, request: Any, timeout: Any = None) -> Any:
    """The requests of later versions that are no GraphQL: reading a run's history, page by page."""
    from wandb.proto import wandb_api_pb2  # type: ignore[import-untyped, unused-ignore]

    asked = request.read_run_history_request
    response: Any = getattr(wandb_api_pb2, "ApiResponse")()  # noqa: B009 - a message class made when it is imported
    if asked.HasField("scan_run_history_init"):
        first = asked.scan_run_history_init
        number = len(_scans) + 1
        run = wandb_kept.read(first.entity, first.project, first.run_id)
        keys = list(first.keys)
        _scans[number] = (run, keys)
        if run is not None:
            missing = sorted(set(keys) - run.keys)
            columns = sorted(run.keys)[:200]
            _tell("history", run, keys=keys or None, columns=columns, missing=missing)
        response.read_run_history_response.scan_run_history_init.request_id = number
        return response
    if asked.HasField("scan_run_history"):
        part = asked.scan_run_history
        run, keys = _scans.get(part.request_id, (None, []))
        history = response.read_run_history_response.run_history
        for row in run.rows if run is not None else ():
            if not part.min_step <= row["_step"] < part.max_step or not all(key in row for key in keys):
                continue
            made = history.history_rows.add()
            for key, value in row.items():
                if not keys or key in keys:
                    made.history_items.add(key=key, value_json=json.dumps(value))
        return response
    if asked.HasField("scan_run_history_cleanup"):
        _scans.pop(asked.scan_run_history_cleanup.request_id, None)
        return response
    return answer(str(request.WhichOneof("request") if request.WhichOneof("request") else "request"), {})


def _watch_summary(module: Any) -> None:
    """Tell which keys of a summary are read, and which of them are not there."""
    for name in ("get", "__getitem__", "__contains__"):
        real = getattr(module.SummarySubDict, name, None)
        if real is not None:
            setattr(module.SummarySubDict, name, _watched(real, name))


def _watched(real: Any, name: str) -> Any:
    @functools.wraps(real)
    def read(self: Any, k: Any, *arguments: Any, **keywords: Any) -> Any:
        # one call may lead through the others: what the library asks itself says nothing about the program
        if events.in_own_frame(1):
            _tell_summary(self, k, name)
        return real(self, k, *arguments, **keywords)

    return read


@events.guarded
def _tell_summary(summary: Any, key: Any, how: str) -> None:
    run = getattr(summary._root, "_run", None)
    if run is None or not isinstance(key, str) or key.startswith("_"):
        return
    path = ".".join((*summary._path, key.strip()))
    missing = [] if key.strip() in summary._json_dict else [path]
    _tell("summary", "/".join((run.entity, run.project, run.id)), keys=[path], missing=missing, how=how.strip("_"))
