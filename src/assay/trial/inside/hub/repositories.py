"""Which repositories there are, and their files: the hub's answers before they become HTTP."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

# The content of a file: bytes, or what makes it when it is first asked for, as bytes or as a file on disk. Only what is
# made by a function counts as stored in LFS when it is large or has the ending of weights or data.
# evaluated when the module is imported, by Python 3.9 too
Content = Union[bytes, Callable[[], Union[bytes, Path]]]  # noqa: UP007

_LARGE_ENDINGS = (
    ".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".parquet", ".arrow", ".zip", ".gz", ".tar", ".npz",
    ".npy", ".msgpack", ".h5", ".jpg", ".jpeg", ".png", ".webp", ".wav", ".mp3", ".flac", ".model",
)  # fmt: skip
# .gitattributes of the hub sends everything above this to LFS
_LARGE = 10 * 2**20


class Entry:
    """A file of a repository, with what its headers need; made when first asked for.

    Args:
        path: Path in the repository.
        content: What is in it.
    """

    def __init__(self, path: str, content: Content) -> None:
        self.path = path
        self._content = content
        self._lock = threading.Lock()
        self._made: bytes | Path | None = None
        self._facts: tuple[int, str] | None = None

    def _make(self) -> bytes | Path:
        with self._lock:
            if self._made is None:
                made = self._content if isinstance(self._content, bytes) else self._content()
                self._made = made if isinstance(made, bytes) else Path(made)
            return self._made

    @property
    def ready(self) -> bool:
        """Whether it can be described without making it."""
        return isinstance(self._content, bytes) or self._made is not None

    def _known(self) -> tuple[int, str]:
        made = self._make()
        with self._lock:
            if self._facts is None:
                size = len(made) if isinstance(made, bytes) else made.stat().st_size
                if self.path.endswith(_LARGE_ENDINGS) or size > _LARGE:
                    digest = hashlib.sha256()
                else:
                    # a small file's ETag is its blob id in git
                    digest = hashlib.sha1(b"blob %d\0" % size)
                for block in _blocks(made, 0, size, 2**20):
                    digest.update(block)
                self._facts = size, digest.hexdigest()
            return self._facts

    @property
    def size(self) -> int:
        """Bytes."""
        return self._known()[0]

    @property
    def etag(self) -> str:
        """SHA-256 of a large file, blob id of any other."""
        return self._known()[1]

    @property
    def large(self) -> bool:
        """Whether the hub would keep it in LFS."""
        return len(self.etag) == 64

    def blocks(self, start: int, stop: int, size: int) -> Iterator[bytes]:
        """Its bytes from start to stop, in blocks of at most `size`."""
        return _blocks(self._make(), start, stop, size)

    def described(self, wait: bool = True) -> dict[str, Any]:
        """What a listing says of it. Unless `wait`, a file that is not made yet is listed with a made-up size."""
        if not wait and not self.ready:
            made_up = hashlib.sha256(self.path.encode("utf-8")).hexdigest()
            return {"type": "file", "oid": made_up[:40], "size": 1, "path": self.path}
        found: dict[str, Any] = {"type": "file", "oid": self.etag[:40], "size": self.size, "path": self.path}
        if self.large:
            found["lfs"] = {"oid": self.etag, "size": self.size, "pointerSize": 134}
        return found


def _blocks(made: bytes | Path, start: int, stop: int, size: int) -> Iterator[bytes]:
    if isinstance(made, bytes):
        for begin in range(start, stop, size):
            yield made[begin : min(stop, begin + size)]
        return
    with made.open("rb") as file:
        file.seek(start)
        left = stop - start
        while left > 0:
            block = file.read(min(size, left))
            if not block:
                return
            left -= len(block)
            yield block


@dataclass
class Repository:
    """A repository that the hub serves.

    Args:
        id: Id with the owner.
        files: Contents by path.
        commit: Forty hexadecimal digits that depend on the content; made from files and `seed` where empty.
        basis: Where what it holds is known from: `table`, `user`, `online` or `assumed`.
        type: `model`, `dataset` or `space`.
        note: What about it is not as in the real one.
        seed: What else its content depends on, where files are made on demand.
        gated: Whether the real one asks for an account with access.
        revisions: Branches and tags that the real one certainly has; None where they are not known.
        about: Further keys of its description (`/api/models/ID`): tags, pipeline_tag, library_name, cardData, ...
        ahead: Called when the first of its files is asked for: starts to make what takes long.
    """

    id: str
    files: Mapping[str, Content]
    commit: str = ""
    basis: str = "table"
    type: str = "model"
    note: str = ""
    seed: str = ""
    gated: bool = False
    revisions: frozenset[str] | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    ahead: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self._entries: dict[str, Entry] = {path: Entry(path, content) for path, content in sorted(self.files.items())}
        if not self.commit:
            self.commit = commit_of(self.id, self.files, self.seed)

    def entry(self, path: str) -> Entry | None:
        """A file, or None where there is none of this path."""
        if self.ahead is not None:
            ahead, self.ahead = self.ahead, None
            ahead()
        return self._entries.get(path)

    def info(self, commit: str, blobs: bool) -> dict[str, Any]:
        """What `/api/models/ID` answers; with sizes and blob ids where `blobs` is true, which makes every file."""
        siblings: list[dict[str, Any]] = []
        for path, entry in self._entries.items():
            item: dict[str, Any] = {"rfilename": path}
            if blobs:
                item.update(blobId=entry.etag[:40], size=entry.size)
                if entry.large:
                    item["lfs"] = {"sha256": entry.etag, "size": entry.size, "pointerSize": 134}
            siblings.append(item)
        date = "2025-01-01T00:00:00.000Z"
        found: dict[str, Any] = {
            "_id": commit_of(self.id, {}, "")[:24],
            "id": self.id,
            "author": self.id.partition("/")[0] if "/" in self.id else None,
            "sha": commit,
            "lastModified": date,
            "createdAt": date,
            "private": False,
            "gated": "manual" if self.gated else False,
            "disabled": False,
            "downloads": 1,
            "likes": 1,
            "tags": [],
            "siblings": siblings,
            "spaces": [],
        }
        if self.type == "model":
            found["modelId"] = self.id
        found.update(self.about)
        return found

    def tree(self, folder: str, recursive: bool, wait: bool = True) -> list[dict[str, Any]] | None:
        """What lies in a folder ("" for the root) and, where `recursive`, below; None where there is no such folder.

        Unless `wait`, files that are not made yet have made-up sizes.
        """
        prefix = folder + "/" if folder else ""
        inside = [path for path in self._entries if path.startswith(prefix)]
        if not inside:
            return None if folder else []
        folders: dict[str, None] = {}
        files: list[str] = []
        for path in inside:
            steps = path[len(prefix) :].split("/")
            for depth in range(1, len(steps) if recursive else min(2, len(steps))):
                folders[prefix + "/".join(steps[:depth])] = None
            if recursive or len(steps) == 1:
                files.append(path)
        listed = [
            {"type": "directory", "oid": commit_of(self.id, {}, name), "size": 0, "path": name} for name in folders
        ]
        return [*listed, *(self._entries[path].described(wait) for path in files)]

    def described(self, paths: list[str]) -> list[dict[str, Any]]:
        """What `paths-info` answers: those of the paths that there are."""
        found: list[dict[str, Any]] = []
        for path in dict.fromkeys(path.strip("/") for path in paths):
            if path in self._entries:
                found.append(self._entries[path].described())
            elif path and any(name.startswith(path + "/") for name in self._entries):
                found.append({"type": "directory", "oid": commit_of(self.id, {}, path), "size": 0, "path": path})
        return found


def commit_of(id: str, files: Mapping[str, Content], seed: str) -> str:
    """An id of a commit that changes with the content, so that an earlier rehearsal's cache is never taken for it."""
    digest = hashlib.sha1((f"{id}\0{seed}\0").encode())
    for path, content in sorted(files.items()):
        digest.update(path.encode("utf-8") + b"\0")
        if isinstance(content, bytes):
            digest.update(hashlib.sha1(content).digest())
    return digest.hexdigest()


@dataclass
class Found:
    """What the hub knows of an id.

    Args:
        repository: The repository; None where there is none.
        moved_to: The present name of a repository that is asked for by a former one.
        gated: Whether its files are refused.
        known: `known`, `assumed` or `unknown`: how sure the answer is.
    """

    repository: Repository | None = None
    moved_to: str = ""
    gated: bool = False
    known: str = "known"


class Hub:
    """Every repository of a step's hub, made on demand and kept.

    Args:
        settings: The settings of the step: `hub.catalogue` (file), `hub.opened` (ids that are given although they are
            gated or not known), `hub.default_configurations` (of datasets, by id), `standins` (folder), `shrink`.
        journal: Takes events: their kind and fields.
    """

    def __init__(self, settings: Mapping[str, Any], journal: Callable[..., None]) -> None:
        self.settings = settings
        self.journal = journal
        options = settings.get("hub")
        self._options: Mapping[str, Any] = options if isinstance(options, dict) else {}
        self.catalogue = _read_catalogue(str(self._options.get("catalogue") or ""))
        self._opened = frozenset(map(str, self._options.get("opened") or ()))
        self._name_defaults()
        self.standins = Path(str(settings.get("standins") or os.getcwd()))
        self._found: dict[tuple[str, str], Found] = {}
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()
        self._maker: Any = None

    def _name_defaults(self) -> None:
        """Give datasets the default configuration that the rehearsal chose for them."""
        datasets = self.catalogue.get("datasets") or {}
        for id, chosen in dict(self._options.get("default_configurations") or {}).items():
            schema = datasets.get("schemas", {}).get(datasets.get("aliases", {}).get(id, id))
            if schema is not None:
                schema["default"] = (
                    chosen if chosen in schema["configurations"] else next(iter(schema["configurations"]))
                )

    def find(self, type: str, id: str) -> Found:
        """What there is under an id. A repository is made once, whoever else asks for it meanwhile waits."""
        key = (type, id)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._found:
                self._found[key] = self._make(type, id)
            return self._found[key]

    def _make(self, type: str, id: str) -> Found:
        if type == "model":
            found = self._model(id)
        else:
            found = self._other(type, id)
        repository = found.repository
        if repository is not None:
            self.journal("standin", repo=id, type=type, basis=repository.basis, note=repository.note)
            if repository.gated and id not in self._opened:
                found.gated = True
            if repository.basis == "assumed":
                found.known = "assumed"
        return found

    def _model(self, id: str) -> Found:
        models = importlib.import_module(".models", __package__)
        moved = models.present_name(id, self.catalogue)
        if moved:
            return Found(moved_to=moved)
        repository = models.repository(id, self.catalogue, self.maker, self.settings)
        if repository is None and id in self._opened:
            # what a name without an owner tells, or else any small model of text
            for like in (f"assumed/{id.rpartition('/')[2]}", "openai-community/gpt2"):
                repository = repository or models.repository(like, self.catalogue, self.maker, self.settings)
            if repository is not None:
                repository.id, repository.basis = id, "assumed"
        if repository is not None:
            return Found(repository)
        # only models of 2018 to 2020 have names without an owner, and those are all known
        return Found(known="unknown" if "/" in id else "known")

    def _other(self, type: str, id: str) -> Found:
        if type == "dataset":
            datasets = importlib.import_module(".datasets", __package__)
            renamed = getattr(datasets, "present_name", None)
            moved = renamed(id, self.catalogue) if renamed is not None else ""
            if moved:
                return Found(moved_to=moved)
            repository = datasets.repository(id, self.catalogue, self.standins)
        else:
            metrics = importlib.import_module(".metrics", __package__)
            repository = metrics.repository(id)
        if repository is None:
            return Found(known="unknown" if "/" in id else "known")
        if repository.id != id:
            return Found(moved_to=repository.id)
        return Found(repository)

    @property
    def maker(self) -> Any:
        """What makes weights; its process starts when it is first needed."""
        with self._lock:
            if self._maker is None:
                models = importlib.import_module(".models", __package__)
                self._maker = models.Maker(self.standins, self.journal)
            return self._maker

    def listing(self, type: str, query: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        """What `/api/models?search=…&author=…` answers: the known ids, by name."""
        if type != "model":
            return []
        wanted = (query.get("search", [""])[0].lower(), query.get("author", [""])[0])
        try:
            limit = max(0, min(1000, int(query.get("limit", ["100"])[0])))
        except ValueError:
            limit = 100
        names = [
            id
            for id in sorted(self.catalogue.get("models", {}))
            if wanted[0] in id.lower() and (not wanted[1] or id.startswith(wanted[1] + "/"))
        ]
        return [
            {"id": id, "modelId": id, "private": False, "tags": [], "downloads": 1, "likes": 1} for id in names[:limit]
        ]

    def close(self) -> None:
        """End the process that makes weights."""
        if self._maker is not None:
            self._maker.close()


def _read_catalogue(path: str) -> dict[str, Any]:
    if not path:
        return {}
    with open(path, encoding="utf-8") as file:
        found = json.load(file)
    return found if isinstance(found, dict) else {}
