"""The append-only log of a tracked run, `track.jsonl`: a JSON object a line, intact however its writer ends.

Lines are of five kinds: `start` (an attempt begins: its configuration and the keys that it registered), `row` (what was
logged in one step), `rewind` (the attempt goes on from a checkpoint that knew so many rows: later rows do not count),
`summary` and `finish`. JSON has no word for not-a-number and the infinities; they are written as the strings "NaN",
"Infinity" and "-Infinity", as W&B writes them, and read back as numbers.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import math
import os
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Literal

from assay.runtime.errors import ExperimentError

Status = Literal["complete", "failed"]

_INFINITY = float("inf")
_SPECIAL_FLOATS = {"NaN": float("nan"), "Infinity": _INFINITY, "-Infinity": -_INFINITY}
# escaping everything beyond ASCII keeps file names with undecodable bytes (lone surrogates) writable
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode
# rows that come within this time of the last writing wait for the next, up to this many
_TOGETHER_SECONDS = 0.1
_TOGETHER_ROWS = 1000
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# file systems without advisory locks (some network mounts) say so with one of these
_NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@dataclass(frozen=True)
class TrackContent:
    """What a `track.jsonl` says once rewinds are applied.

    Attributes:
        starts: Every `start` line, oldest first; their number is the number of attempts.
        rows: Values of every row that counts; position is step.
        summary: Summary of the last attempt. What an earlier attempt summed up does not count for a later one.
        status: `complete` or `failed` where the last attempt finished; None where it runs still, or was killed.
        config: Configuration of the last attempt.
        series: Keys that the last attempt registered for rows.
        summary_keys: Keys that it registered for the summary.
        wandb: What it noted about W&B: mode, entity, project, url.
    """

    starts: tuple[Mapping[str, Any], ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    status: Status | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    summary_keys: tuple[str, ...] = ()
    wandb: Mapping[str, Any] = field(default_factory=dict)


class TrackLog:
    """Appends lines to a `track.jsonl`. SIGKILL loses at most the rows of the last tenth of a second before a row.

    Rows that follow each other faster than that are written together, because a system call and an encoder that the
    processor's caches have forgotten cost more than all the rest. Every other line is written at once, and the rows
    before it.

    Opening takes an advisory lock for this process and cuts off a last line that a killed process left unfinished. A
    process forked from this one (a data loader's worker) lets go of the file; it cannot write to it, and does not keep
    it locked when this process is gone.

    Args:
        path: The file. Its folder exists.
        clock: Seconds that never go backwards.

    Raises:
        ExperimentError: Another process tracks the run, or the file cannot be opened.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic) -> None:
        self.path = path
        self._clock = clock
        self._rows: list[tuple[int, Mapping[str, Any]]] = []
        self._written = -math.inf
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            _lock(self._descriptor, path)
            _cut_torn_line(self._descriptor)
        except OSError as error:
            self.close()
            raise ExperimentError(f"{path}: cannot be opened for tracking: {error.strerror or error}") from error
        except ExperimentError:
            self.close()
            raise
        _open_logs.add(self)

    def start(
        self,
        *,
        attempt: int,
        time: datetime,
        run_id: str,
        config: Mapping[str, Any],
        series: Sequence[str],
        summary: Sequence[str],
        wandb: Mapping[str, Any],
    ) -> None:
        """Begins an attempt.

        Args:
            attempt: 1 for the first.
            time: When it began, with a time zone.
            run_id: The run.
            config: The resolved configuration.
            series: Keys that rows may have.
            summary: Keys that the summary may have.
            wandb: Mode, entity, project and address of the W&B run.

        Raises:
            ExperimentError: The configuration holds something that JSON cannot, or the line cannot be written.
        """
        line = {"kind": "start", "attempt": attempt, "time": _written_time(time), "run_id": run_id}
        line |= {"config": plain_config(config), "series": list(series), "summary": list(summary)}
        self._append(_encode(line | {"wandb": dict(wandb)}))

    def row(self, step: int, values: Mapping[str, Any]) -> bool:
        """Appends one row. `values` are as `plain_values` gives them, and are not changed afterwards.

        Returns:
            Whether it was written, and the rows before it; if not, it waits.
        """
        if self._descriptor < 0:
            raise self._closed()
        self._rows.append((step, values))
        now = self._clock()
        if now - self._written >= _TOGETHER_SECONDS or len(self._rows) >= _TOGETHER_ROWS:
            self._written = now
            try:
                self._append()
            except BaseException:
                # this row is for the caller to log again
                del self._rows[-1:]
                raise
            return True
        return False

    def flush(self) -> None:
        """Writes the rows that wait to be written together.

        Raises:
            ExperimentError: They cannot be written.
        """
        if self._rows:
            self._append()

    def rewind(self, rows: int) -> None:
        """Says that only the first `rows` rows count; the next step is `rows`."""
        self._append(f'{{"kind":"rewind","rows":{rows}}}')

    def summary(self, values: Mapping[str, Any]) -> None:
        """Appends summary values (as `plain_values` gives them) and has the disk take everything so far."""
        self._append(f'{{"kind":"summary","values":{_encode_values(values)}}}')
        self.sync()

    def finish(self, status: Status, time: datetime) -> None:
        """Ends the attempt and has the disk take everything."""
        self._append(_encode({"kind": "finish", "status": status, "time": _written_time(time)}))
        self.sync()

    def sync(self) -> None:
        """Has the disk take everything written so far, so that a machine that loses power keeps it.

        Raises:
            ExperimentError: The disk does not take it, or the file was deleted meanwhile.
        """
        self.flush()
        try:
            os.fsync(self._descriptor)
            links = os.fstat(self._descriptor).st_nlink
        except OSError as error:
            raise self._unwritable(error) from error
        if links == 0:
            raise ExperimentError(f"{self.path}: deleted while the run was tracked in it: start the run again")

    def close(self) -> None:
        """Lets go of the file and its lock. Closing twice does nothing."""
        try:
            self.flush()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        _open_logs.discard(self)

    def __enter__(self) -> TrackLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, line: str = "") -> None:
        """Writes the rows that wait, then the line. Where not all can be written, the rest of the rows waits on."""
        if self._descriptor < 0:
            raise self._closed()
        rows, self._rows = self._rows, []
        lines = [f'{{"kind":"row","step":{step},"values":{_encode_values(values)}}}\n' for step, values in rows]
        data = ("".join(lines) + (line and line + "\n")).encode("ascii")
        written = 0
        try:
            while written < len(data):  # a disk that fills up takes a part first and says why at the next call
                written += os.write(self._descriptor, data[written:])
        except BaseException as error:
            self._rows = rows[data.count(b"\n", 0, written) :]
            with contextlib.suppress(OSError):  # where even this fails, the next opening cuts the line off
                _cut_torn_line(self._descriptor)
            if isinstance(error, OSError):
                raise self._unwritable(error) from error
            raise

    def _closed(self) -> ExperimentError:
        return ExperimentError(f"{self.path}: closed, or opened by another process than the one that logs")

    def _unwritable(self, error: OSError) -> ExperimentError:
        if error.errno in _FULL:
            remedy = "make room (or lift the limit) and start the run again: it goes on from its last checkpoint"
            return ExperimentError(f"{self.path}: no room for another line ({error.strerror}): {remedy}")
        return ExperimentError(f"{self.path}: cannot be written: {error.strerror or error}")


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turns what a training loop logs into plain Python values.

    Args:
        values: Numbers, booleans, strings and None; NumPy scalars; tensors with one element; NumPy arrays and (nested)
            lists of numbers.

    Returns:
        The same keys with int, float, bool, str, None and lists of these; not-a-number and infinities stay floats.

    Raises:
        ExperimentError: A value is of another type; it names the key and the type.
    """
    return {key: value if type(value) in _PLAIN else _plain(key, value) for key, value in values.items()}


def plain_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Turns a configuration into what JSON can hold, not-a-number and infinities included (as strings).

    Args:
        config: Nested mappings and lists of numbers, booleans, strings, paths and None.

    Raises:
        ExperimentError: A value is of another type; it names the place and the type.
    """
    return {str(key): _plain_tree(f"config.{key}", value) for key, value in config.items()}


def json_ready(value: Any) -> Any:
    """Replaces not-a-number and infinities, also within lists, by the strings that stand for them."""
    if isinstance(value, list):
        return [json_ready(item) for item in value]
    if isinstance(value, float):
        if value != value:
            return "NaN"
        if value in (_INFINITY, -_INFINITY):
            return "Infinity" if value > 0 else "-Infinity"
    return value


def from_json(value: Any) -> Any:
    """Undoes `json_ready` in nested objects and lists."""
    if isinstance(value, str):
        return _SPECIAL_FLOATS.get(value, value)
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        return {key: from_json(item) for key, item in value.items()}
    return value


def read_track(path: Path) -> TrackContent:
    """Reads a `track.jsonl`, also while it is being written.

    A last line without its newline was torn by a kill, and is left out.

    Args:
        path: The file.

    Returns:
        Its content, rewinds applied.

    Raises:
        ExperimentError: The file cannot be read, or a line is broken; it names file and line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read: {error.strerror or error}") from error
    starts: list[Mapping[str, Any]] = []
    rows: list[Mapping[str, Any]] = []
    summary: dict[str, Any] = {}
    status: Status | None = None
    for number, text in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            line = _object(json.loads(text))
            kind = line["kind"]
            if kind != "start" and not starts:
                raise ValueError("nothing was started before it")
            if kind == "row":
                if line["step"] != len(rows):
                    raise ValueError(f"its step is {line['step']}, where {len(rows)} is due")
                rows.append(from_json(_object(line["values"])))
            elif kind == "rewind":
                if type(line["rows"]) is not int or not 0 <= line["rows"] <= len(rows):
                    raise ValueError(f"it goes back to {line['rows']} rows, where {len(rows)} are known")
                del rows[line["rows"] :]
            elif kind == "start":
                started = from_json(line)
                for key, expected in _START_FIELDS.items():
                    if not isinstance(started[key], expected):
                        raise ValueError(f"its {key} is no {expected.__name__}")
                starts.append(started)
                summary, status = {}, None
            elif kind == "summary":
                summary |= from_json(_object(line["values"]))
            elif kind == "finish":
                if line["status"] not in ("complete", "failed"):
                    raise ValueError(f"unknown status {line['status']!r}")
                status = line["status"]
            else:
                raise ValueError(f"unknown kind {kind!r}")
        except KeyError as error:
            raise _broken(path, number, f"it has no {error}") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise _broken(path, number, str(error)) from error
    last = starts[-1] if starts else {"config": {}, "series": (), "summary": (), "wandb": {}}
    return TrackContent(
        starts=tuple(starts),
        rows=tuple(rows),
        summary=summary,
        status=status,
        config=last["config"],
        series=tuple(last["series"]),
        summary_keys=tuple(last["summary"]),
        wandb=last["wandb"],
    )


_START_FIELDS: dict[str, type] = {"config": dict, "series": list, "summary": list, "wandb": dict}
_PLAIN = frozenset({int, float, bool, str, type(None)})
_open_logs: weakref.WeakSet[TrackLog] = weakref.WeakSet()


def _let_go_after_fork() -> None:
    for log in list(_open_logs):
        log._rows.clear()
        log._let_go()


os.register_at_fork(after_in_child=_let_go_after_fork)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ExperimentError(
            f"{path}: another process is tracking this run: wait until it ends, or give this run another id"
        ) from error
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise


def _cut_torn_line(descriptor: int) -> None:
    """Cuts off what follows the last newline."""
    end = position = os.fstat(descriptor).st_size
    while position > 0:
        begin = max(0, position - 65536)
        newline = os.pread(descriptor, position - begin, begin).rfind(b"\n")
        position = begin + newline + 1
        if newline >= 0:
            break
    if position < end:
        os.ftruncate(descriptor, position)


def _written_time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _encode_values(values: Mapping[str, Any]) -> str:
    try:
        return _encode(values)
    except ValueError:  # the encoder's word for NaN and the infinities, which are rare: only then look for them
        return _encode({key: json_ready(value) for key, value in values.items()})


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an object is due where something else stands")
    return value


def _broken(path: Path, number: int, reason: str) -> ExperimentError:
    return ExperimentError(
        f"{path}:{number}: broken line: {reason}: put back a copy of the file, or move the folder of the run away to "
        "start anew"
    )


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain_number(key, item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    # neither library is imported for this: a value of theirs exists only where they are
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return _plain_number(key, value.tolist())
    if torch is not None and isinstance(value, torch.Tensor) and value.numel() != 1:
        raise ExperimentError(
            f"{key}: a tensor of shape {tuple(value.shape)} cannot be tracked as one value: "
            "reduce it (.mean().item()), or log all of it (.tolist())"
        )
    if callable(item := getattr(value, "item", None)):
        try:
            single = item()
        except (TypeError, ValueError, RuntimeError) as error:
            raise ExperimentError(
                f"{key}: a value of type {_type_name(value)} has no single value to track: {error}"
            ) from error
        if type(single) in _PLAIN:
            return single
    raise ExperimentError(
        f"{key}: a value of type {_type_name(value)} cannot be tracked: log numbers, text, or lists of numbers"
    )


def _plain_number(key: str, value: Any) -> Any:
    if type(value) is float or type(value) is int:
        return value
    if isinstance(value, (list, tuple)):
        return [_plain_number(key, item) for item in value]
    plain = _plain(key, value) if value is not None else None
    if plain is None or isinstance(plain, str):
        raise ExperimentError(f"{key}: a list with a {_type_name(value)} cannot be tracked: lists hold numbers only")
    return plain


def _plain_tree(name: str, value: Any) -> Any:
    """Makes nested mappings and sequences plain; `name` says where in the tree a value stands."""
    if isinstance(value, Mapping):
        return {str(key): _plain_tree(f"{name}.{key}", item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_tree(f"{name}[{index}]", item) for index, item in enumerate(value)]
    if value is None:
        return None
    return json_ready(os.fspath(value) if isinstance(value, Path) else _plain(name, value))


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
