"""The rehearsal of a submission: its commands one after another, each stop confirmed, mended in a copy and passed."""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from assay.analysis.project import Project
from assay.errors import InputError
from assay.trial import online
from assay.trial.catalogue import catalogue
from assay.trial.causes import explain
from assay.trial.environment import prepare
from assay.trial.launcher import Attempt, Copy, Place, attempt, lay_place
from assay.trial.plan import Planned, plan
from assay.trial.record import Event, Rehearsal, Step, Stop
from assay.trial.repairs import brought_about, repaired
from assay.trial.sandbox import isolation, remove_tree
from assay.trial.schemas import read_schemas
from assay.trial.shortening import shortened

MOST_ROUNDS = 12
MOST_RUNS = 8
# seconds that one command may take, by mode
LONGEST = {"trial": 150.0, "smoke": 240.0, "full": 240.0, "experiment": 360.0, "evaluate": 120.0, "refuse": 60.0}
_SHORTENED = ("full", "experiment")
# numbers that say that nothing is learned once they are not finite
_TELLING = ("loss", "gradient", "parameter", "lr")
# a runner keeps such things in results_dir while a command runs
_BELONGINGS = {"runner.log": "kept by whoever started the run\n", "earlier-run/metrics.json": "{}\n"}
# seconds that a second run may take, which often has to work with larger sizes
LONGEST_AGAIN = 100.0
_OF_CUDA = re.compile(r"FP16|GradScaler|grad_scaler|\bamp\b|autocast|cuda|NVML|nvml|Half|BFloat16|inf checks")
_OF_SIZES = re.compile(
    r"shape|\bsizes?\b|dimension|out of (?:range|bounds)|index|length|memory|mat1|to match|broadcast|empty|batch"
    r"|too (?:large|small|long)",
    re.IGNORECASE,
)


def _variants(stop: Stop) -> list[tuple[bool, bool]]:
    """How a stop is run again: whether cut in size, and with the mapping of CUDA; the first that shows it counts.

    What is about CUDA keeps the mapping and has the sizes as they are. So has what is about sizes, or is raised by the
    submission itself, without CUDA first. All else is run without CUDA; where it does not come so far then, as it is in
    size.
    """
    said = " ".join([stop.message, *(frame.module for frame in stop.library)])
    if _OF_CUDA.search(said):
        return [(False, True)]
    if _OF_SIZES.search(said) or not stop.library or not stop.message.strip():
        return [(False, False), (False, True)]
    return [(True, False), (False, True)]


@dataclass(frozen=True)
class TrialOptions:
    """How to rehearse.

    Args:
        env: An environment to use instead of one that uv builds.
        standins: A YAML file with schemas of the user's own.
        online: Whether schemas and model configurations that no table knows may be asked of the Hub.
        seconds: How long all of it may take; what is not reached is reported.
        jobs: How many commands run side by side; 0 for as many as the machine has cores, at most 4.
        runs: How many runs are rehearsed at most.
        cache: Folder of environments, instead of the user's cache.
    """

    env: Path | None = None
    standins: Path | None = None
    online: bool = False
    seconds: float = 1_200.0
    jobs: int = 0
    runs: int = MOST_RUNS
    cache: Path | None = None


def rehearse(project: Project, options: TrialOptions, say: Callable[[str], None] = lambda _: None) -> Rehearsal:
    """Rehearse a submission.

    Args:
        project: The submission.
        options: How.
        say: Is told, in a few words, what happens.

    Raises:
        InputError: where the call cannot be served: no uv, no such environment, no room.
    """
    begin = time.monotonic()
    shut_in = isolation()
    # what is wrong with the user's schemas is said before minutes go by
    user = read_schemas(options.standins) if options.standins is not None else None
    asked = online.entries(project, user) if options.online else online.Online()
    known = catalogue(user, asked.models, asked.datasets, as_of=project.as_of)
    say("building the environment")
    environment = prepare(project, env=options.env, say=say, cache=options.cache)
    base = Rehearsal(
        isolation=shut_in.kind,
        gaps=shut_in.gaps,
        packages=environment.packages,
        notes=(*asked.notes, *environment.notes),
        undecided=environment.undecided,
        refusal=environment.refusal,
        seconds={"environment": time.monotonic() - begin},
    )
    if environment.undecided or environment.refusal:
        return base
    folder = Path(tempfile.mkdtemp(prefix="assay-trial-"))
    try:
        place = lay_place(folder, environment, known)
        planned, notes = plan(project, str(place.results), options.runs)
        work = _Rehearsal(project, place, options, say, begin)
        steps = work.all_steps(planned)
        took = {step.name: step.seconds for step in steps if not step.skipped}
        return replace(
            base,
            steps=tuple(steps),
            notes=(*base.notes, *notes, *work.copy.changes),
            seconds={**base.seconds, **took},
        )
    except OSError as error:
        raise InputError(f"{folder}: the rehearsal cannot be kept there ({error.strerror or error})") from None
    finally:
        if "ASSAY_TRIAL_KEEP" not in os.environ:
            remove_tree(folder)


@dataclass
class _Round:
    """What one command went through until it ended or could not be helped."""

    stops: list[Stop] = field(default_factory=list)
    confirmations: list[tuple[int, Future[Stop]]] = field(default_factory=list)
    lost: list[Event] = field(default_factory=list)
    rounds: int = 0


class _Rehearsal:
    """The rehearsal at work: the copy that repairs change, and the steps so far."""

    def __init__(
        self, project: Project, place: Place, options: TrialOptions, say: Callable[[str], None], begin: float
    ) -> None:
        self.project = project
        self.place = place
        self.say = say
        self.end = begin + options.seconds
        self.jobs = options.jobs or max(1, min(4, os.cpu_count() or 1))
        texts = {path: file.text for path, file in project.submission.files.items() if file.text is not None}
        self.copy = Copy(texts)
        self._lock = threading.Lock()
        self._count = 0
        self._known: dict[object, Stop] = {}
        self._there = set(_BELONGINGS)
        self._lay_belongings()

    def all_steps(self, planned: list[Planned]) -> list[Step]:
        """The steps of a plan, phase by phase."""
        done: dict[str, Step] = {}
        with ThreadPoolExecutor(self.jobs + 2) as pool:
            for phase in sorted({step.phase for step in planned}):
                here = [step for step in planned if step.phase == phase]
                # what stops the first of them is mended before the others start
                for batch in (here[:1], here[1:]):
                    slots = threading.Semaphore(self.jobs)
                    fitting = [self._fitting(step, done) for step in batch]
                    waiting = [pool.submit(self._slotted, slots, item, pool) for item in fitting]
                    for future in waiting:
                        step = future.result()
                        done[step.name] = step
        return [done[step.name] for step in planned]

    def _slotted(self, slots: threading.Semaphore, item: Planned | Step, pool: ThreadPoolExecutor) -> Step:
        if isinstance(item, Step):
            return item
        with slots:
            return self._one(item, pool)

    def _fitting(self, step: Planned, done: Mapping[str, Step]) -> Planned | Step:
        """A step as it can be rehearsed after what came before: `src.evaluate` only reads what was tracked."""
        if step.mode == "full" and (why := _known_to_stop(step.run, done)):
            return Step(step.name, step.mode, step.run, step.command, status=None, skipped=why)
        if step.mode != "evaluate":
            return step
        full = [other for other in done.values() if other.mode == "full"]
        tracked = [other.run for other in full if other.completed]
        if not tracked:
            return Step(
                step.name, step.mode, step.run, step.command, status=None, skipped="no full run came to its end"
            )
        if len(tracked) == len(full):
            return step
        listed = ",".join(f'"{run}"' for run in tracked)
        words = tuple(f"run_ids=[{listed}]" if word.startswith("run_ids=") else word for word in step.words)
        return replace(step, words=words)

    def _one(self, step: Planned, pool: ThreadPoolExecutor) -> Step:
        """Rehearse one command until it ends by itself, or nothing known helps."""
        state = _Round()
        last: Attempt | None = None
        before: Copy | None = None
        mine: Copy | None = None
        while True:
            seconds = min(LONGEST[step.mode], self.end - time.monotonic())
            if seconds < 5:
                break
            self.say(f"{step.name}, round {state.rounds + 1}" if state.rounds else step.name)
            with self._lock:
                whole = self.copy
            copy = _shortened(step, whole)
            found = attempt(self.place, step, copy, label=self._label(step), seconds=seconds)
            state.rounds += 1
            last = found
            state.lost += self._losses(found)
            self._take_shimmed(state, last)
            fatal = last.fatal
            if fatal is None or step.mode == "refuse":
                if fatal is not None:
                    state.stops.append(fatal)
                break
            record = self._step(step, last, state)
            action = explain(fatal, record, self.project).action
            known = [n for n, one in enumerate(state.stops) if not one.shim and _same(fatal, one)]
            number = known[0] if known else len(state.stops)
            if not known:
                state.stops.append(replace(fatal, doubt=brought_about(copy, fatal)))
                state.confirmations.append((number, pool.submit(self._confirmed, step, whole, fatal)))
            with self._lock:
                # where the last repair did not help, the next one that is known is tried with it
                changed = repaired(action, self.copy, self.place, self.project, fatal, record)
                if changed is None or state.rounds >= MOST_ROUNDS:
                    if known and before is not None and self.copy is mine:
                        self.copy = before
                        state.stops[number] = replace(state.stops[number], repair="")
                    break
                if not known:
                    before = self.copy
                self.copy = mine = changed
            state.stops[number] = replace(state.stops[number], repair=changed.changes[-1])
        if last is not None:
            last = self._with_origins(step, last)
        for number, confirmation in state.confirmations:
            told = confirmation.result()
            was = state.stops[number]
            state.stops[number] = replace(was, confirmed=told.confirmed, doubt=was.doubt or told.doubt)
        if last is None:
            return Step(step.name, step.mode, step.run, step.command, status=None, skipped="no time was left")
        return self._step(step, last, state)

    def _take_shimmed(self, state: _Round, found: Attempt) -> None:
        """Stops that a shim passed over at a place where nothing stopped before."""
        for stop in found.stops:
            if not stop.shim or any(_same(stop, earlier) for earlier in state.stops):
                continue
            told = self._known.get(_place(stop))
            state.stops.append(replace(stop, confirmed=told is not None and told.confirmed))

    def _confirmed(self, step: Planned, copy: Copy, stop: Stop) -> Stop:
        """Whether a second run, unshrunk and without the mapping of CUDA where that applies, stops in the same way."""
        key = _place(stop)
        with self._lock:
            if key in self._known:
                return self._known[key]
        told = stop
        for shrink, cuda in _variants(stop):
            seconds = min(LONGEST_AGAIN, self.end - time.monotonic())
            if seconds < 5:
                told = replace(stop, doubt="no time was left to confirm it")
                break
            again = attempt(
                self.place,
                step,
                _shortened(step, copy) if shrink else copy,
                label=self._label(step),
                seconds=seconds,
                shrink=shrink,
                cuda=cuda,
                # an evaluation needs what the runs left
                scratch=step.mode not in ("evaluate", "refuse"),
            )
            if again.fatal is not None and _same(again.fatal, stop):
                told = replace(stop, confirmed=True)
                break
            why = f"it reached the limit of {again.ended.broke}" if again.ended.broke else "it did not stop there"
            how = "with CUDA led to the CPU" if cuda else "without CUDA"
            told = replace(stop, doubt=f"in a second run {how}, {'cut' if shrink else 'not cut'} in size, {why}")
        with self._lock:
            self._known[key] = told
        return told

    def _with_origins(self, step: Planned, found: Attempt) -> Attempt:
        """What a command saw; where numbers were not finite, with what a second run saw of that, sizes as they are.

        The second run looks at each operation, and so finds the first whose result is not finite although what it was
        given is. Its events have a true `again`.
        """
        bad = any(event["kind"] == "nonfinite" and event.get("what") in _TELLING for event in found.events)
        seconds = min(LONGEST[step.mode], self.end - time.monotonic())
        if not bad or seconds < 5:
            return found
        again = attempt(
            self.place, step, _shortened(step, self.copy), label=self._label(step), seconds=seconds, shrink=False,
            scratch=True, trace_numbers=True,
        )  # fmt: skip
        seen = [{**event, "again": True} for event in again.events if event["kind"] == "nonfinite"]
        return replace(found, events=(*found.events, *seen))

    def _step(self, step: Planned, found: Attempt, state: _Round) -> Step:
        return Step(
            name=step.name,
            mode=step.mode,
            run=step.run,
            command=step.command,
            status=found.ended.status,
            broke=found.ended.broke,
            seconds=found.ended.seconds,
            peak_memory=found.ended.peak_memory,
            stops=tuple(state.stops),
            events=(*found.events, *state.lost),
            written=_written(self.place.results),
            output=found.output,
            errors=found.errors,
            rounds=state.rounds,
            tampered=bool(self.copy.changes),
        )

    def _label(self, step: Planned) -> str:
        with self._lock:
            self._count += 1
            return f"{self._count:03}-{step.mode}"

    def _lay_belongings(self) -> None:
        for name, text in _BELONGINGS.items():
            path = self.place.results / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def _losses(self, found: Attempt) -> list[Event]:
        """An event for each thing of others that is gone from results_dir now, and those of the deletions before."""
        gone = [name for name in sorted(self._there) if not _is_plain(self.place.results, name)]
        if not gone:
            return []
        # once the submission ran, nothing is written there again: it may have put a link in their place
        self._there.difference_update(gone)
        removed = [
            event
            for event in found.events
            if event["kind"] == "file" and event.get("op") in ("rmtree", "delete", "rename") and event.get("frames")
        ]
        frames = removed[0].get("frames") if removed else []
        return [*removed[:50], *({"kind": "lost", "path": name, "frames": frames} for name in gone)]


def _same(one: Stop, other: Stop) -> bool:
    """Whether two stops are the same: the same kind of error at the same place."""
    return _place(one) == _place(other)


def _known_to_stop(run: str, done: Mapping[str, Step]) -> str:
    """Why the full mode of a run would tell nothing new; empty where it may.

    That is so where its trial ended with a stop that no repair passes, and another run's full mode, although it takes
    other ways, came to the stop of its own trial.
    """
    mine = _unmended(done.get(f"trial:{run}"))
    if mine is None:
        return ""
    for other in done.values():
        full = _unmended(other) if other.mode == "full" else None
        trial = _unmended(done.get(f"trial:{other.run}")) if full else None
        if full is not None and trial is not None and _same(full, trial):
            return "its trial stops before, where nothing known helps, and the full mode of another run stops there too"
    return ""


def _unmended(step: Step | None) -> Stop | None:
    """The stop that ended a step for good, if one did."""
    if step is None or step.completed or not step.stops:
        return None
    last = step.stops[-1]
    return None if last.repair or last.shim else last


def _place(stop: Stop) -> object:
    """What stops have in common that are the same, whichever run shows them."""
    # one line can fail in several ways; sizes differ where a run is not cut
    named = re.sub(r"[\d\s\[\](),x]+", " ", stop.message.partition("\n")[0])
    return stop.type, _innermost(stop), named


def _innermost(stop: Stop) -> tuple[str, int] | None:
    return (stop.frames[-1].file, stop.frames[-1].line) if stop.frames else None


def _shortened(step: Planned, copy: Copy) -> Copy:
    """A copy whose full runs are short."""
    if step.mode not in _SHORTENED:
        return copy
    files = {path: shortened(text) if path.endswith((".yaml", ".yml")) else text for path, text in copy.files.items()}
    return replace(copy, files=files)


def _is_plain(folder: Path, name: str) -> bool:
    """Whether there is a plain file, not below a link."""
    path = folder
    for part in Path(name).parts:
        path = path / part
        if path.is_symlink():
            return False
    return path.is_file()


def _written(folder: Path) -> dict[str, int]:
    """The files below a folder, with their sizes; links are not followed."""
    found: dict[str, int] = {}
    for root, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(folders)[:200]
        for name in sorted(files)[:5_000]:
            path = Path(root, name)
            if not path.is_symlink():
                found[str(path.relative_to(folder))] = path.lstat().st_size
        if len(found) > 20_000:
            break
    return {name: size for name, size in found.items() if name not in _BELONGINGS}
