"""The Hugging Face Hub on loopback: its paths, headers and errors, over repositories made on demand.

The protocol as huggingface_hub 0.20 to 2.4 uses it (hf_api.py, file_download.py, utils/_http.py and
https://huggingface.co/docs/hub/api). Nothing can be written to it. Prints nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from .repositories import Entry, Found, Hub, Repository

_TYPES = {"models": "model", "datasets": "dataset", "spaces": "space"}
# what may follow the id of a repository below /api/models
_PARTS = frozenset(
    [
        "revision",
        "tree",
        "paths-info",
        "refs",
        "commits",
        "compare",
        "discussions",
        "preupload",
        "commit",
        "branch",
        "tag",
        "resolve",
        "settings",
        "likers",
        "like",
        "xet-read-token",
        "xet-write-token",
        "scan",
        "treesize",
        "super-squash",
        "jwt",
        "parquet",
        "croissant",
        "leaderboard",
        "user-access-request",
        "ask-access",
        "lfs-files",
        "notebook",
    ]
)
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
# one segment of an id; anything else is no repository
_NAME = re.compile(r"\w[\w.\-]{0,95}")
_PAGE = 1000
# more than any client of the hub sends: paths-info holds a list of paths
_BODY = 4 * 2**20
_CHUNK = 2**20
_IDLE_SECONDS = 120
# seconds of silence: a third of what the least patient client of the hub waits for
_PATIENCE = 3
_AT_ONCE = 64


class Journal:
    """Appends events, one JSON object a line, to the file that all processes of the step share."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._start = time.time()
        self._lock = threading.Lock()

    def __call__(self, kind: str, **fields: Any) -> None:
        event = {"kind": kind, "t": round(time.time() - self._start, 4), "pid": os.getpid()}
        event.update(fields)
        line = json.dumps(event, ensure_ascii=True, default=str)[:16000] + "\n"
        if not self._path:
            return
        try:
            with self._lock:
                handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    os.write(handle, line.encode("ascii"))
                finally:
                    os.close(handle)
        except OSError:
            # a full disk must not end the hub
            pass


class Reply(Exception):  # noqa: N818 - not always an error
    """An answer that ends the handling of a request: status, headers, and a body of bytes."""

    def __init__(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers or {}


def refused(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Reply:
    """An error in the form of the hub: its code and message in headers, the message as JSON too."""
    found = {"Content-Type": "application/json; charset=utf-8", "X-Error-Message": message}
    if code:
        found["X-Error-Code"] = code
    found.update(headers or {})
    return Reply(status, json.dumps({"error": message}).encode(), found)


def as_json(data: Any, headers: dict[str, str] | None = None) -> Reply:
    """A JSON body with status 200."""
    found = {"Content-Type": "application/json; charset=utf-8"}
    found.update(headers or {})
    return Reply(200, json.dumps(data).encode(), found)


class Request:
    """What a request asks for, as far as its path says it."""

    def __init__(self, type: str, id: str, part: str, revision: str, file: str) -> None:
        self.type = type
        self.id = id
        self.part = part
        self.revision = revision
        self.file = file


def read_path(path: str) -> Request | None:
    """Read the path of a request (without its query) that is about a repository; None where it is not."""
    raw = [part for part in path.split("/") if part]
    if not raw:
        return None
    api = raw[0] == "api"
    if api:
        raw = raw[1:]
        if not raw or raw[0] not in _TYPES:
            return None
        kind, raw = _TYPES[raw[0]], raw[1:]
    elif raw[0] in ("datasets", "spaces") and len(raw) > 1:
        kind, raw = _TYPES[raw[0]], raw[1:]
    else:
        kind = "model"
    if not raw:
        return None
    parts = [unquote(part) for part in raw]
    words = _PARTS if api else ("resolve", "raw", "blob", "tree")
    length = 1 if len(parts) == 1 or (parts[1] in words and not (len(parts) > 2 and parts[2] in words)) else 2
    names = "/".join(parts[:length]).split("/")
    if not all(_NAME.fullmatch(name) for name in names) or len(names) > 2:
        return None
    rest = parts[length:]
    if not rest:
        return Request(kind, "/".join(names), "info" if api else "page", "main", "")
    part, rest = rest[0], rest[1:]
    if part == "revision":
        return Request(kind, "/".join(names), "info", "/".join(rest) or "main", "")
    if rest and rest[0] == "refs" and len(rest) >= 3:
        # refs/pr/1 and refs/convert/parquet, with slashes as they are
        rest = ["/".join(rest[:3]), *rest[3:]]
    return Request(kind, "/".join(names), part, rest[0] if rest else "main", "/".join(rest[1:]))


class _Waiting:
    """Keeps a client patient while its answer is made.

    Clients give up on a server that is silent for ten seconds, and the first weights of a process take longer on a busy
    machine: it has to import its libraries. "100 Continue" may be sent any number of times before an answer, and every
    client skips it (RFC 9110, 15.2).

    Args:
        handler: The connection.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        if self._handler.request_version == "HTTP/1.1":
            self._thread = threading.Thread(target=self._tell, daemon=True)
            self._thread.start()

    def _tell(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while not self._done.wait(_PATIENCE):
                self._handler.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def __exit__(self, *error: object) -> None:
        self._done.set()
        if self._thread is not None:
            # half of a line must not stand before the answer
            self._thread.join()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "hub"
    sys_version = ""
    timeout = _IDLE_SECONDS
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what is printed belongs to the submission."""

    def setup(self) -> None:
        super().setup()
        # answers are headers and body in two writes: without this each costs 40 ms
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815

    def _answer(self) -> None:
        start = time.time()
        split = urlsplit(self.path)
        record: dict[str, Any] = {"repo": "", "type": "", "revision": "", "file": "", "known": "none"}
        entry: Entry | None = None
        try:
            body = self._body()
            with _Waiting(self):
                entry, reply = self._route(split.path, parse_qs(split.query), body, record)
        except Reply as error:
            reply = error
        except (TimeoutError, BrokenPipeError, ConnectionError):
            self.close_connection = True
            return
        except Exception as error:  # the hub outlives whatever one repository does
            self.server.hub.journal("inside-failed", where="hub: " + self.path[:300], error=repr(error)[:2000])
            reply = refused(500, "", "Internal Error - the stand-in failed: " + type(error).__name__)
        self.server.hub.journal(
            "hub",
            method=self.command,
            path=self.path[:500],
            status=reply.status,
            seconds=round(time.time() - start, 3),
            **record,
        )
        try:
            self._send(reply, entry)
        except (TimeoutError, BrokenPipeError, ConnectionError):
            self.close_connection = True

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            self.close_connection = True
            raise refused(411, "", "Length Required")
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= _BODY:
            # what is not read would be taken for the next request
            self.close_connection = True
            raise refused(413 if length > 0 else 400, "", "Payload too large" if length > 0 else "Bad Request")
        return self.rfile.read(length) if length else b""

    def _send(self, reply: Reply, entry: Entry | None) -> None:
        size = len(reply.body) if entry is None else entry.size
        start, stop = 0, size
        headers = dict(reply.headers)
        status = reply.status
        if entry is not None and status == 200 and self.command == "GET":
            wanted = _range(self.headers.get("Range", ""), size)
            if wanted == (0, 0) and size:
                headers["Content-Range"] = f"bytes */{size}"
                status, entry, reply = 416, None, Reply(416)
                start = stop = 0
            elif wanted is not None and size:
                start, stop = wanted
                headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
                status = 206
        self.send_response(status)
        for name, value in headers.items():
            # a header never holds what a client wrote between its lines
            self.send_header(name, re.sub(r"[\r\n\x00]", " ", value).encode("latin-1", "replace").decode("latin-1"))
        self.send_header("Content-Length", str(stop - start if entry is not None else len(reply.body)))
        self.send_header("X-Request-Id", "Root=1-trial")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command == "HEAD":
            return
        if entry is None:
            self.wfile.write(reply.body)
            return
        for block in entry.blocks(start, stop, _CHUNK):
            self.wfile.write(block)

    def _route(
        self, path: str, query: dict[str, list[str]], body: bytes, record: dict[str, Any]
    ) -> tuple[Entry | None, Reply]:
        if path.startswith("/api/whoami"):
            raise refused(401, "", "Invalid username or password.")
        if path.startswith("/api/telemetry"):
            raise Reply(200)
        if path in ("/api/models", "/api/datasets", "/api/spaces"):
            raise as_json(self.server.hub.listing(_TYPES[path[5:]], query))
        if path in ("", "/"):
            raise Reply(200, b"", {"Content-Type": "text/plain"})
        request = read_path(path)
        if request is None:
            raise refused(404, "", "Not Found")
        record.update(repo=request.id, type=request.type, revision=request.revision, file=request.file)
        found = self.server.hub.find(request.type, request.id)
        record["known"] = found.known
        if self.command not in ("GET", "HEAD") and request.part != "paths-info":
            raise refused(401, "", "Invalid username or password.")
        if found.moved_to:
            raise self._moved(request, found.moved_to)
        repository = found.repository
        if repository is None:
            raise refused(401, "RepoNotFound", "Repository not found")
        commit = self._commit(repository, request.revision, record)
        if request.part in ("resolve", "raw", "blob"):
            return self._file(repository, found, request.file, commit)
        raise self._about(repository, found, request, commit, query, body)

    def _moved(self, request: Request, id: str) -> Reply:
        """The hub answers a former name with the same path below the present one."""
        split = urlsplit(self.path)
        before, after = "/" + quote(request.id), "/" + quote(id)
        if before not in split.path:
            before, after = "/" + quote(request.id, safe=""), "/" + quote(id)
        location = split.path.replace(before, after, 1) + ("?" + split.query if split.query else "")
        body = ("Temporary Redirect. Redirecting to " + location).encode()
        return Reply(307, body, {"Location": location, "Content-Type": "text/plain; charset=utf-8"})

    def _commit(self, repository: Repository, revision: str, record: dict[str, Any]) -> str:
        if revision in ("main", repository.commit):
            return repository.commit
        if revision.startswith("refs/") or not re.fullmatch(r"[\w.\-/+]{1,120}", revision):
            raise refused(404, "RevisionNotFound", "Invalid rev id: " + revision[:120])
        if _COMMIT.fullmatch(revision) and repository.commit.startswith(revision):
            return repository.commit
        if repository.revisions is not None and revision in repository.revisions:
            return repository.commit
        # which commits and tags the real repository has is not known: it answers, and says that it is assumed
        if record["known"] == "known":
            record["known"] = "assumed"
        return revision if re.fullmatch(r"[0-9a-f]{40}", revision) else repository.commit

    def _file(self, repository: Repository, found: Found, path: str, commit: str) -> tuple[Entry | None, Reply]:
        if found.gated:
            raise self._gated(repository)
        entry = repository.entry(path)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if entry is None:
            raise refused(404, "EntryNotFound", "Entry not found", headers)
        headers["ETag"] = f'"{entry.etag}"'
        name = re.sub(r"[^\w.\-]", "_", path.rpartition("/")[2])
        headers["Content-Disposition"] = f'inline; filename="{name}"'
        headers["Content-Type"] = _content_type(path)
        if entry.large:
            headers["X-Linked-Size"] = str(entry.size)
            headers["X-Linked-Etag"] = f'"{entry.etag}"'
        if self.headers.get("If-None-Match", "") == headers["ETag"]:
            raise Reply(304, b"", headers)
        return entry, Reply(200, b"", headers)

    def _gated(self, repository: Repository) -> Reply:
        signed = bool(self.headers.get("Authorization"))
        message = f"Access to {repository.type} {repository.id} is restricted"
        if signed:
            where = f"https://huggingface.co/{repository.id}"
            message += f" and you are not in the authorized list. Visit {where} to ask for access."
        else:
            message += ". You must have access to it and be authenticated to access it. Please log in."
        return refused(403 if signed else 401, "GatedRepo", message, {"X-Repo-Commit": repository.commit})

    def _about(
        self,
        repository: Repository,
        found: Found,
        request: Request,
        commit: str,
        query: dict[str, list[str]],
        body: bytes,
    ) -> Reply:
        if request.part == "info":
            return as_json(repository.info(commit, blobs=bool({"blobs", "files_metadata"} & set(query))))
        if request.part == "tree":
            return self._tree(repository, request, query)
        if request.part == "paths-info":
            if self.command != "POST":
                return refused(405, "", "Method Not Allowed")
            return as_json(repository.described(_paths(body, self.headers.get("Content-Type", ""))))
        if request.part == "refs":
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repository.commit}
            return as_json({"branches": [main], "tags": [], "converts": []})
        if request.part == "commits":
            date = "2025-01-01T00:00:00.000Z"
            return as_json([{"id": commit, "title": "Upload", "message": "", "authors": [], "date": date}])
        if request.part == "discussions":
            return as_json({"discussions": [], "count": 0, "start": 0})
        if request.part == "page":
            return Reply(200, b"<html></html>", {"Content-Type": "text/html; charset=utf-8"})
        return refused(404, "", "Not Found")

    def _tree(self, repository: Repository, request: Request, query: dict[str, list[str]]) -> Reply:
        recursive = query.get("recursive", ["false"])[0].lower() in ("true", "1")
        # who lists a branch wants names (transformers looks for files of tokenizers); a download lists a commit, with
        # sizes
        wait = repository.type != "model" or request.revision != "main"
        items = repository.tree(request.file.strip("/"), recursive, wait)
        if items is None:
            return refused(404, "EntryNotFound", request.file + ' does not exist on "' + request.revision + '"')
        try:
            start = max(0, int(query.get("cursor", ["0"])[0]))
            size = min(_PAGE, max(1, int(query.get("limit", [str(_PAGE)])[0])))
        except ValueError:
            return refused(400, "", "Invalid cursor")
        headers = {}
        if start + size < len(items):
            split = urlsplit(self.path)
            rest = "&".join(part for part in split.query.split("&") if part and not part.startswith("cursor="))
            host = re.sub(r"[^\w.:\-\[\]]", "", self.headers.get("Host", ""))
            address = f"http://{host}{split.path}?{rest + '&' if rest else ''}cursor={start + size}"
            headers["Link"] = f'<{address}>; rel="next"'
        return as_json(items[start : start + size], headers)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """The part of a file that a Range header asks for: start and stop; (0, 0) where there is none; None for all."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return (max(0, size - int(last)), size) if int(last) else (0, 0)
    start, stop = int(first), min(size, int(last) + 1) if last else size
    return (start, stop) if start < stop else (0, 0)


def _paths(body: bytes, kind: str) -> list[str]:
    """The paths that a client asks about: as JSON, or as a form (huggingface_hub sends either)."""
    try:
        if "json" in kind:
            found = json.loads(body.decode("utf-8")).get("paths", [])
        else:
            found = parse_qs(body.decode("utf-8")).get("paths", [])
    except (ValueError, AttributeError, RecursionError):
        raise refused(400, "", "Invalid body") from None
    return [path for path in (found if isinstance(found, list) else [found]) if isinstance(path, str)]


def _content_type(path: str) -> str:
    ending = path.rpartition(".")[2]
    if ending in ("json", "txt", "md", "py", "yaml", "jinja", "csv", "jsonl"):
        return "text/plain; charset=utf-8"
    return "application/octet-stream"


class Server(ThreadingHTTPServer):
    """The hub's socket.

    Args:
        hub: What it serves.
        port: Its port on 127.0.0.1; 0 for any that is free.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, hub: Hub, port: int = 0) -> None:
        self.hub = hub
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def address(self) -> str:
        """The value for HF_ENDPOINT."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def server_bind(self) -> None:
        # the base class asks the network for the name of this machine
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        # a client that opens connections without end waits; it does not fill memory with threads
        if self._slots.acquire(timeout=5):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is the client's affair."""


def read_settings(path: str) -> dict[str, Any]:
    """The settings of a step."""
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    return found if isinstance(found, dict) else {}


def main(arguments: list[str] | None = None) -> int:
    """Serve until ended. The port is written to a file once connections are taken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", required=True)
    parser.add_argument("--port-file", required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args(arguments)
    settings = read_settings(options.settings)
    hub = Hub(settings, Journal(str(settings.get("events") or "")))
    server = Server(hub, options.port)
    part = options.port_file + ".part"
    with open(part, "w", encoding="ascii") as file:
        file.write(str(server.server_address[1]))
    # whoever waits for the file finds it whole
    os.replace(part, options.port_file)
    try:
        server.serve_forever(poll_interval=0.5)
    except KeyboardInterrupt:
        pass
    finally:
        hub.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
