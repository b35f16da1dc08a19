"""Tracks a run: every row goes to `track.jsonl` first, then to W&B, under keys that were registered before."""

from __future__ import annotations

import difflib
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from assay.runtime.errors import ExperimentError
from assay.runtime.track_log import Status, TrackContent, TrackLog, plain_config, plain_values, read_track
from assay.runtime.wandb_session import WandbMode, WandbSession, wandb_mode

__all__ = ["TrackMode", "Tracker", "wandb_mode"]

# "disabled": a trial, which writes nothing
TrackMode = Literal[WandbMode, "disabled"]

# what every row says beside its values, where it is known
RESERVED = ("seed", "seconds")


class Tracker:
    """Tracks one run over all its seeds and attempts. Use it as a context manager.

    Keys are registered once and checked at every call, in a trial too, so that what an evaluation reads is what a run
    wrote. Leaving the context ends the run as complete, or as failed where an exception ends it.

    Example:
        with Tracker(folder, "proposed", config, series=["loss"], summary=["best_loss"]) as tracker:
            tracker.log({"loss": 0.5})
            tracker.summarize({"best_loss": 0.5})

    Args:
        folder: Folder of the run; it holds `track.jsonl` and `wandb/`, and exists unless the mode is `disabled`.
        run_id: Id of the run, and of its W&B run.
        config: The resolved configuration: nested mappings and lists.
        series: Keys that rows may have. Names that begin with `_`, `seed` and `seconds` are reserved.
        summary: Keys that the summary may have.
        wandb_section: `wandb` of the configuration: entity (None is the default of the key) and project.
        mode: `online` and `offline` are W&B's; `local` writes `track.jsonl` only; `disabled` writes nothing and keeps
            rows in memory. Decided by `wandb_mode` where it is None.
        context: Gives what every row says beside its values: `seed`, `seconds`.
        say: Takes one line for a person; standard error where it is None.
        init_seconds: Time that W&B has to start before the run is tracked offline.
        finish_seconds: Time that W&B has at the end for what is not uploaded yet.
        environment: Variables that `wandb_mode` reads; those of the process where it is None.
        now: Gives the time, with a time zone.

    Attributes:
        muted: Whether rows are checked and not tracked, because an earlier attempt has tracked them.

    Raises:
        ExperimentError: A key cannot be registered; the configuration holds something that JSON cannot; another process
            tracks the run; `track.jsonl` is broken, belongs to another run or cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        run_id: str,
        config: Mapping[str, Any],
        *,
        series: Sequence[str],
        summary: Sequence[str] = (),
        wandb_section: Mapping[str, Any] | None = None,
        mode: TrackMode | None = None,
        context: Callable[[], Mapping[str, Any]] | None = None,
        say: Callable[[str], None] | None = None,
        init_seconds: float = 60.0,
        finish_seconds: float = 300.0,
        environment: Mapping[str, str] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.muted = False
        self._keys = _registered("series", series), _registered("summary", summary)
        self._series, self._summary_keys = map(frozenset, self._keys)
        self._context = context or dict
        self._say = say or _say
        self._now = now
        self._row_count = 0
        self._last: dict[int, dict[str, Any]] = {}
        self._logged: set[str] = set()
        self._summarized: set[str] = set()
        self._kept: list[dict[str, Any]] = []
        self._unsent: list[tuple[int, dict[str, Any]]] = []
        self._finished = False
        self._log: TrackLog | None = None
        self._wandb: WandbSession | None = None
        if mode == "disabled":
            return
        plain = plain_config(config)
        section = dict(wandb_section or {})
        reason = ""
        if mode is None:
            mode, reason = wandb_mode(section, os.environ if environment is None else environment)
        self._log = TrackLog(folder / "track.jsonl")
        try:
            self._begin(folder, run_id, plain, section, mode, reason, init_seconds, finish_seconds)
        except BaseException:
            if self._wandb is not None:
                self._wandb.finish(rows=self._row_count, failed=True)
            self._log.close()
            raise

    @property
    def rows(self) -> int:
        """Number of rows that count; a checkpoint keeps it for `rewind`."""
        return self._row_count

    @property
    def url(self) -> str | None:
        """Address of the W&B run; None where it is not tracked online."""
        return self._wandb.url if self._wandb is not None else None

    def log(self, values: Mapping[str, Any]) -> None:
        """Tracks one row.

        Killing the process loses at most the rows of the last tenth of a second before its last row: they are written
        together. A checkpoint of `run.epochs` and the end of a seed wait for all of them.

        Args:
            values: Numbers, booleans, strings, None; NumPy scalars and tensors with one element; nested lists and NumPy
                arrays of numbers. Keys are registered series.

        Raises:
            ExperimentError: A key is not registered; a value is of another type; the run was finished; the disk is
                full.
        """
        if self._finished:
            raise ExperimentError("tracker.log: the run was finished: log within the `with` block")
        if not values.keys() <= self._series:
            raise _unknown_key("tracker.log", values, self._series, "series")
        context = self._context()
        row = plain_values({**values, **context})
        if self.muted:
            return
        step = self._row_count
        if self._log is None:
            self._kept.append(row)
            is_written = False
        else:
            is_written = self._log.row(step, row)
        self._row_count = step + 1
        self._remember(row)
        if self._wandb is not None:
            self._unsent.append((step, row))
            if is_written:
                self._send()

    def summarize(self, values: Mapping[str, Any]) -> None:
        """Tracks final and best values; a later call adds to an earlier one.

        Args:
            values: As in `log`. Keys are registered summary keys.

        Raises:
            ExperimentError: As in `log`.
        """
        if self._finished:
            raise ExperimentError("tracker.summarize: the run was finished: call it within the `with` block")
        if not values.keys() <= self._summary_keys:
            raise _unknown_key("tracker.summarize", values, self._summary_keys, "summary")
        plain = plain_values(values)
        if self._log is not None:
            self._log.summary(plain)
            self._send()
        self._summarized |= plain.keys()
        if self._wandb is not None:
            self._wandb.summarize(plain)

    def values(self, name: str) -> dict[int, float]:
        """The last value of a series in each seed, earlier attempts included.

        Args:
            name: A registered series of numbers.

        Returns:
            Value by seed, in the order of seeds; rows without a seed count as seed 0. Empty where nothing was logged.

        Raises:
            ExperimentError: The series is not registered, or its values are no numbers.
        """
        if name not in self._series:
            raise _unknown_key("tracker.values", {name: None}, self._series, "series")
        values = {seed: last[name] for seed, last in sorted(self._last.items()) if name in last}
        for value in values.values():
            if not isinstance(value, (int, float)):
                raise ExperimentError(f"tracker.values: {name!r} is {value!r}, which is no number")
        return {seed: float(value) for seed, value in values.items()}

    def mean(self, name: str) -> float:
        """The mean over seeds of the last values of a series.

        Args:
            name: A registered series of numbers.

        Raises:
            ExperimentError: Nothing was logged under it; further as in `values`.
        """
        values = self.values(name)
        if not values:
            raise ExperimentError(f"tracker.mean: nothing was logged as {name!r} yet")
        # fsum refuses infinities of both signs, whose sum is not a number
        finite = all(map(math.isfinite, values.values()))
        return (math.fsum(values.values()) if finite else sum(values.values())) / len(values)

    def rewind(self, rows: int) -> None:
        """Goes back to the rows that a checkpoint knew: later ones do not count, and steps go on from there.

        Args:
            rows: `rows` when the checkpoint was written.

        Raises:
            ExperimentError: There are fewer rows than that.
        """
        if not 0 <= rows <= self._row_count:
            where = self._log.path if self._log is not None else "this trial"
            raise ExperimentError(
                f"{where}: has {self._row_count} rows, but the checkpoint knew {rows}: they do not belong together; "
                "put back a copy of the file, or move the folder of the run away to start anew"
            )
        if rows == self._row_count:
            return
        if self._log is None:
            del self._kept[rows:]
            self._recall(self._kept)
        else:
            self._log.rewind(rows)
            self._unsent = [(step, row) for step, row in self._unsent if step < rows]
            self._recall(read_track(self._log.path).rows)

    def sync(self) -> None:
        """Has the disk take every row so far; to be called before a checkpoint is written that counts on them.

        Raises:
            ExperimentError: The disk does not take them.
        """
        if self._log is not None:
            self._log.sync()
            self._send()

    def finish(self, status: Status = "complete") -> None:
        """Ends the run; leaving the context calls it. A second call does nothing.

        Args:
            status: `complete` or `failed`. Keys that were registered and never used are named at a complete end.

        Raises:
            ExperimentError: The end cannot be written.
        """
        if self._finished:
            return
        self._finished = True
        if status == "complete":
            never = sorted(self._series - self._logged) + sorted(self._summary_keys - self._summarized)
            if never:
                self._say(f"registered, but never tracked: {', '.join(dict.fromkeys(never))}")
        try:
            if self._log is not None:
                self._log.finish(status, self._now())
        finally:
            try:
                if self._wandb is not None:
                    self._send()
                    self._wandb.finish(rows=self._row_count, failed=status == "failed")
            finally:
                # the lock is held until W&B is through, so that no other process resumes the W&B run meanwhile
                if self._log is not None:
                    self._log.close()

    def __enter__(self) -> Tracker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish("complete")
            return
        try:
            self.finish("failed")
        except ExperimentError as fault:
            if str(fault) != str(error):  # a full disk has been told of already; what ended the run counts
                self._say(str(fault))

    def _begin(
        self,
        folder: Path,
        run_id: str,
        config: Mapping[str, Any],
        section: Mapping[str, Any],
        mode: WandbMode,
        reason: str,
        init_seconds: float,
        finish_seconds: float,
    ) -> None:
        assert self._log is not None
        before = read_track(self._log.path)
        _check_owner(before, run_id, self._log.path)
        self._recall(before.rows)
        self._wandb = WandbSession(
            run_id,
            folder,
            section,
            config,
            series=self._keys[0],
            summary=self._keys[1],
            resumed=bool(before.starts),
            mode=mode,
            init_seconds=init_seconds,
            finish_seconds=finish_seconds,
            say=self._say,
        )
        noted = {"mode": self._wandb.mode, "entity": self._wandb.entity, "project": section.get("project")}
        self._log.start(
            attempt=len(before.starts) + 1,
            time=self._now(),
            run_id=run_id,
            config=config,
            series=self._keys[0],
            summary=self._keys[1],
            wandb=noted | {"url": self._wandb.url},
        )
        self._say(self._wandb.told(reason))

    def _send(self) -> None:
        """Sends W&B the rows that wait, after those before them that it does not have: `track.jsonl` has them all."""
        rows, self._unsent = self._unsent, []
        if self._wandb is None or self._log is None:
            return
        if missing := self._wandb.lacks(rows[0][0] if rows else self._row_count):
            known = read_track(self._log.path).rows
            for step in missing:
                self._wandb.log(step, known[step])
        for step, row in rows:
            self._wandb.log(step, row)

    def _remember(self, row: Mapping[str, Any]) -> None:
        seed = row.get("seed", 0)
        last = self._last.get(seed)
        if last is None:
            self._last[seed] = dict(row)
        else:
            last.update(row)
        self._logged.update(row)

    def _recall(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Takes `rows` for all that was tracked so far."""
        self._last.clear()
        self._logged.clear()
        self._row_count = 0
        for row in rows:
            self._row_count += 1
            self._remember(row)


def _registered(what: str, names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise ExperimentError(f"{what}={names!r}: a list of keys is expected: {what}=[{names!r}]", status=2)
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ExperimentError(f"{what}: {name!r} is no name for a key", status=2)
        if name in RESERVED:
            raise ExperimentError(f"{what}: {name!r} is tracked by itself: choose another name", status=2)
        if name.startswith("_"):
            raise ExperimentError(f"{what}: {name!r}: names that begin with `_` are W&B's: choose another", status=2)
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        raise ExperimentError(f"{what}: {', '.join(twice)} registered twice", status=2)
    return tuple(names)


def _unknown_key(call: str, values: Mapping[Any, Any], registered: frozenset[str], what: str) -> ExperimentError:
    name = next(key for key in values if key not in registered)
    close = difflib.get_close_matches(str(name), sorted(registered), n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    known = ", ".join(sorted(registered)) or "none"
    return ExperimentError(
        f"{call}: {name!r} was not registered.{meant} Registered in {what}: {known}. Add it to `{what}=` of run.track."
    )


def _check_owner(before: TrackContent, run_id: str, path: Path) -> None:
    if before.starts and before.starts[-1].get("run_id") != run_id:
        owner = before.starts[-1].get("run_id")
        raise ExperimentError(f"{path}: belongs to run {owner!r}, not to {run_id!r}: use another results_dir")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
