"""Running one command of a submission once, shut in, and reading what its probes saw."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.trial.environment import TrialEnvironment
from assay.trial.overlay import lay_overlay
from assay.trial.plan import Planned
from assay.trial.record import Event, LibraryFrame, Stop, TrialFrame
from assay.trial.sandbox import Ended, Limits, read_left, remove_tree, run_boxed

GIGABYTE = 1024**3
MAX_EVENTS = 64 * 1024**2
MAX_TAIL = 20_000
_NAMED = re.compile(r"(?:results_dir|run_ids)=")
# what differs from one run to the next: addresses in memory, ports, the folders that Hydra names by the time
_CHANGING = (
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "0x..."),
    (re.compile(r"\b127\.0\.0\.1:\d{2,5}\b"), "127.0.0.1"),
    (re.compile(r"\boutputs/\d{4}-\d\d-\d\d/\d\d-\d\d-\d\d\b"), "outputs/DATE/TIME"),
)
# what is really cut in a rehearsal; see `inside/shrinking.py` and `inside/loading.py`
SIZES = {
    "batch_size": 8,
    "batches_per_pass": 40,
    "trial_batches": 60,
    "passes_after_steps": 1,
    "steps": 40,
    "optuna_trials": 2,
    "new_tokens": 8,
    "tokens": 128,
}


@dataclass(frozen=True)
class Copy:
    """What of a submission is rehearsed, and what was changed so that it goes on.

    Args:
        files: Path to text.
        shims: Names of the report-and-continue shims that are on.
        added: Folders of packages that were installed besides what is declared.
        hub: Settings of the local hub.
        arguments: `named` where commands are as the contract has them, `bare` where values of evaluation have no names.
        changes: What was changed, in plain words.
    """

    files: Mapping[str, str]
    shims: frozenset[str] = frozenset()
    added: tuple[Path, ...] = ()
    hub: Mapping[str, Any] = field(default_factory=dict)
    arguments: str = "named"
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a rehearsal happens.

    Args:
        folder: Its private folder.
        environment: What is installed.
        catalogue: File that says what the hub knows.
    """

    folder: Path
    environment: TrialEnvironment
    catalogue: Path

    @property
    def outside(self) -> Path:
        """The folder that holds results_dir: a program may remove that, but no folder that is mounted."""
        return self.folder / "outside"

    @property
    def results(self) -> Path:
        """The folder that the commands get as results_dir."""
        return self.outside / "results"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a command.

    Args:
        ended: How it ended.
        events: What the probes saw, in order.
        output: End of its standard output.
        errors: End of its standard error.
        stops: What stopped it; those that a shim passed over come first.
    """

    ended: Ended
    events: tuple[Event, ...]
    output: str
    errors: str
    stops: tuple[Stop, ...]

    @property
    def fatal(self) -> Stop | None:
        """The stop that ended it, if one did."""
        return next((stop for stop in self.stops if not stop.shim), None)


def lay_place(folder: Path, environment: TrialEnvironment, known: Mapping[str, Any]) -> Place:
    """Make the folders that all steps share, and write down what the hub knows.

    Args:
        folder: A private folder.
        environment: What is installed.
        known: What `catalogue.catalogue` makes.
    """
    path = folder / "catalogue.json"
    path.write_text(json.dumps(known), encoding="utf-8")
    place = Place(folder, environment, path)
    for made in (place.outside, place.results, folder / "standins", folder / "tracking"):
        made.mkdir()
    return place


def attempt(
    place: Place,
    step: Planned,
    copy: Copy,
    *,
    label: str,
    seconds: float,
    shrink: bool = True,
    cuda: bool = True,
    scratch: bool = False,
    trace_numbers: bool = False,
    stop: threading.Event | None = None,
) -> Attempt:
    """Run a command in a fresh folder and read what was seen.

    Args:
        place: Where the rehearsal happens.
        step: The command.
        copy: What is rehearsed.
        label: Name of the folder, of its own for each attempt.
        seconds: How long it may take.
        shrink: Whether sizes are cut.
        cuda: Whether code for CUDA runs on the CPU; otherwise there is no CUDA.
        scratch: Whether results and tracked data go to a place of their own, which is then removed.
        trace_numbers: Whether to look for the operation that first gives a number that is not finite.
        stop: Set by whoever wants it ended early.
    """
    folder = place.folder / label
    for name in ("work", "home", "tmp", "events"):
        (folder / name).mkdir(parents=True)
    outside, results, tracking = place.outside, place.results, place.folder / "tracking"
    if scratch:
        outside, results, tracking = folder / "outside", folder / "outside" / "results", folder / "tracking"
        for made in (outside, results, tracking):
            made.mkdir()
    for path, text in copy.files.items():
        target = folder / "work" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", errors="replace", newline="\n")
    words = [word.replace(str(place.results), str(results)) for word in step.words]
    if copy.arguments == "bare" and step.mode in ("evaluate", "refuse"):
        words = [word.partition("=")[2] if _NAMED.match(word) else word for word in words]
    overlay = folder / "overlay"
    settings: dict[str, Any] = {
        "step": step.name,
        "mode": step.mode,
        "run": step.run,
        "work": str(folder / "work"),
        "results": str(results),
        "events": str(folder / "events" / "events.jsonl"),
        "standins": str(place.folder / "standins"),
        "tracking": str(tracking),
        "python": str(overlay / "bin" / "python"),
        "shrink": shrink,
        "cuda": cuda,
        "trace_numbers": trace_numbers,
        "limits": SIZES,
        "shims": sorted(copy.shims),
        "command": [str(overlay / "bin" / "python"), *words[1:]],
        "hub": {"catalogue": str(place.catalogue), **copy.hub},
    }
    python = lay_overlay(overlay, place.environment, settings, copy.added)
    output, errors = folder / "stdout.txt", folder / "stderr.txt"
    ended = run_boxed(
        [str(python), "-m", "assay_trial_inside.launch"],
        folder=folder,
        writable=(
            *(folder / name for name in ("work", "home", "tmp", "events")),
            outside,
            tracking,
            place.folder / "standins",
        ),
        readable=(overlay, place.catalogue, *copy.added, *place.environment.readable),
        cwd=folder / "work",
        environment=surroundings(folder, python),
        limits=Limits(
            seconds=seconds,
            memory=8 * GIGABYTE,
            processes=256,
            file_size=4 * GIGABYTE,
            disk=8 * GIGABYTE,
            output=64 * 1024**2,
        ),
        stdout=output,
        stderr=errors,
        stop=stop,
    )
    names = _plain_names(folder, results, place)
    events = tuple(read_events(folder / "events", names))
    said = tail(errors, names)
    found = Attempt(ended, events, tail(output, names), said, tuple(stops_of(events, ended, said)))
    if "ASSAY_TRIAL_KEEP" not in os.environ:
        remove_tree(folder)
    return found


def surroundings(folder: Path, python: Path) -> dict[str, str]:
    """The whole environment of a command: nothing of the caller's."""
    return {
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYDRA_FULL_ERROR": "1",
        "MPLBACKEND": "Agg",
        # the stand-in takes any key; without one a program would not go online
        "WANDB_API_KEY": "0" * 40,
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "VIRTUAL_ENV": str(python.parent.parent),
    }


def _plain_names(folder: Path, results: Path, place: Place) -> list[tuple[str, str]]:
    """What stands for the folders of one attempt, so that the same submission twice is told in the same words."""
    return [
        (f"{folder}/work/", ""),
        (f"{folder}/work", "."),
        (f"{folder}/overlay/bin/", ""),
        (f"{folder}/", ""),
        (str(results), "results"),
        (f"{place.folder}/", ""),
        *((f"{site}/", "") for site in place.environment.sites),
    ]


def _plain(held: bytes, names: list[tuple[str, str]]) -> str:
    text = held.decode("utf-8", "replace")
    for path, name in names:
        text = text.replace(path, name)
    for pattern, name in _CHANGING:
        text = pattern.sub(name, text)
    return text


def read_events(folder: Path, names: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """The events that the submission's own processes wrote: bounded, and what is no event is passed over.

    Args:
        folder: Where they lie. The submission can put anything there, a link or a pipe in place of the file too.
        names: Text to replace, and what it is replaced by.
    """
    found = []
    for line in _plain(_left(folder, "events.jsonl", MAX_EVENTS), names).split("\n"):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and isinstance(event.get("kind"), str):
            found.append(event)
    return found


def tail(path: Path, names: list[tuple[str, str]]) -> str:
    """The end of a text that a command printed."""
    return _plain(_left(path.parent, path.name, MAX_TAIL, end=True), names)


def _left(folder: Path, name: str, most: int, *, end: bool = False) -> bytes:
    try:
        return read_left(folder, name, most, end=end)
    except OSError:
        return b""


def stops_of(events: tuple[Event, ...], ended: Ended, errors: str) -> list[Stop]:
    """What stopped a command: what shims passed over, then what ended it."""
    found = [_stop(event, str(event.get("name", "shim"))) for event in events if event["kind"] == "shim"]
    fatal = [event for event in events if event["kind"] == "stop" and event.get("fatal", True)]
    if ended.broke or ended.status == 0:
        return found
    if fatal:
        return [*found, _stop(fatal[0], "")]
    message = f"exit status {ended.status}" if ended.status is not None else f"signal {ended.signal}"
    return [*found, Stop("exit", message, text=errors[-6_000:])]


def _stop(event: Event, shim: str) -> Stop:
    return Stop(
        type=_text(event.get("type"), 200),
        message=_text(event.get("message"), 2_000),
        frames=tuple(TrialFrame(_text(row[0], 300), row[1], _text(row[2], 200)) for row in _rows(event.get("frames"))),
        library=tuple(
            LibraryFrame(_text(row[0], 300), row[1], _text(row[2], 200)) for row in _rows(event.get("library_frames"))
        ),
        chain=tuple(
            (_text(row[0], 200), _text(row[1], 500))
            for row in event.get("chain") or ()
            if isinstance(row, list) and len(row) == 2
        )
        if isinstance(event.get("chain"), list)
        else (),
        text=_text(event.get("text"), 6_000),
        shim=shim,
        process=pid if isinstance(pid := event.get("pid"), int) else 0,
    )


def _rows(held: object) -> list[list[Any]]:
    if not isinstance(held, list):
        return []
    return [row for row in held[:60] if isinstance(row, list) and len(row) >= 3 and isinstance(row[1], int)]


def _text(held: object, longest: int) -> str:
    return held[:longest] if isinstance(held, str) else ""
