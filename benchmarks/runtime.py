"""What `assay.runtime` costs: a step of training, a tracked row, a checkpoint, and the start of a program.

    python benchmarks/runtime.py [--rounds 60] [--steps 40] [--step-ms 5] [--calls 500] [--repetitions 30] [--starts 21]
                                 [--order 0] [--json FILE]

A step of training is that of a small network in PyTorch, on the CPU with one thread, with as many rows in its batch as
make it take --step-ms on this machine. Four forms of the loop take turns in one process, each round in random order,
so that a machine that grows slower does so for all: the bare loop; the loop with `run.seeds`, `run.epochs`,
`run.batches` and one `tracker.log` a step, in track.jsonl alone; the same with W&B offline besides; and the bare loop
with `log` of W&B itself, offline, without assay. Compared are the forms of one round. The bare loop has
two turns in each: what the second takes more than the first is what this machine cannot tell from nothing. Checkpoints
are written between rounds and counted for themselves: what share they take is a question of how long an epoch is.

Times of single calls are taken alone, one call after the other, and within the loop, where the step before has used the
processor's caches.

A program starts when its process is asked for, and has started when its `main()` is entered. `@hydra.main` and
`@experiment` compose the same configuration, with Hydra told to make no folders in both. The processes compile bytecode
once, before anything is measured, whatever PYTHONDONTWRITEBYTECODE says here.

Everything lies in a temporary folder, bytecode included, and is gone at the end. Needs the extra `runtime` and PyTorch.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from measured import write_json
from omegaconf import DictConfig, OmegaConf

from assay.runtime import Run, Tracker

GOAL = 0.01
CONFIDENCE = 0.95
RESAMPLES = 2000
WARM_UP_ROUNDS = 3
FEATURES, WIDTH, CLASSES = 64, 256, 10
DIFFERENT_BATCHES = 8
BATCHES_PER_LOOP = 1000
# The runs go on for as long as they are asked to.
MANY_EPOCHS = 1_000_000
FORMS = {
    "bare": "bare loop",
    "again": "bare loop, a second time",
    "disabled": "assay, track.jsonl only",
    "offline": "assay, track.jsonl and W&B offline",
    "wandb": "W&B offline without assay",
}
TRACKED = ("disabled", "offline")
LOGGED = (*TRACKED, "wandb")
# In this order: each row of the table is what a library adds to those above it.
LIBRARIES = ("omegaconf", "hydra", "assay.runtime", "assay.runtime.program", "torch", "optuna", "wandb")

VERSIONS = ("torch", "wandb", "hydra-core", "optuna")

Batch = tuple[torch.Tensor, torch.Tensor]
Log = Callable[[dict[str, Any]], None]

CONFIG = """\
run: null
run_id: null
results_dir: ???
mode: ???
model: {width: 256}
training: {epochs: 10, batch_size: 32, learning_rate: 0.001, seeds: [0, 1, 2]}
wandb: {entity: null, project: benchmark, mode: online}
"""
RUN_FILE = "run_id: one\nmodel: {width: 512}\n"
ENTERED = "import sys, time\nprint(time.clock_gettime(time.CLOCK_MONOTONIC), *sys.modules)"
BARE_PROGRAM = """\
import sys
import time

import hydra


@hydra.main(version_base="1.3", config_path="../config", config_name="config")
def main(cfg):
    print(time.clock_gettime(time.CLOCK_MONOTONIC), *sys.modules)


if __name__ == "__main__":
    main()
"""
EXPERIMENT_PROGRAM = """\
import sys
import time

from assay.runtime import experiment


@experiment
def main(cfg, run):
    print(time.clock_gettime(time.CLOCK_MONOTONIC), *sys.modules)


if __name__ == "__main__":
    main()
"""
# What `@experiment` tells Hydra, for the program that stands without it.
NO_FOLDERS = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=stdout")


class Spent(NamedTuple):
    """What a piece of work took.

    Args:
        wall: Seconds by the clock.
        cpu: Seconds of processor, of all threads of this process.
    """

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median over repetitions, and between what it lies.

    Args:
        median: Median of what was measured.
        low: Lower end of its 95 % interval, by bootstrap over repetitions.
        high: Upper end.
    """

    median: float
    low: float
    high: float

    def shown(self, form: Callable[[float], str]) -> str:
        """The median, and the interval in brackets."""
        return f"{form(self.median)} ({form(self.low)} to {form(self.high)})"


class Work:
    """Training steps of a network that all forms of the loop share, so that none has luckier memory.

    Args:
        rows: Rows of a batch.
    """

    def __init__(self, rows: int) -> None:
        torch.manual_seed(0)
        self.rows = rows
        self.model = torch.nn.Sequential(
            torch.nn.Linear(FEATURES, WIDTH), torch.nn.ReLU(),
            torch.nn.Linear(WIDTH, WIDTH), torch.nn.ReLU(),
            torch.nn.Linear(WIDTH, CLASSES),
        )  # fmt: skip
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-3)
        self._loss = torch.nn.CrossEntropyLoss()
        self._batches = [
            (torch.randn(rows, FEATURES), torch.randint(CLASSES, (rows,))) for _ in range(DIFFERENT_BATCHES)
        ]

    def loader(self, steps: int) -> list[Batch]:
        """So many batches, drawn beforehand: loading is no part of the work."""
        return [self._batches[step % DIFFERENT_BATCHES] for step in range(steps)]

    def step(self, inputs: torch.Tensor, labels: torch.Tensor) -> float:
        """One step of training, and its loss as a number."""
        self.optimizer.zero_grad()
        loss = self._loss(self.model(inputs), labels)
        loss.backward()
        self.optimizer.step()
        return float(loss.item())


class Kept:
    """A run within its loops over seeds and epochs, one epoch at a time.

    Args:
        run: The run.
        tracker: What it is tracked with.
        work: What it trains.
    """

    def __init__(self, run: Run, tracker: Tracker, work: Work) -> None:
        self.run = run
        self.tracker = tracker
        self._work = work
        self._seeds = run.seeds([0])
        next(self._seeds)
        self._epochs = run.epochs(MANY_EPOCHS, model=work.model, optimizer=work.optimizer)
        self.epoch = next(self._epochs)

    def train(self, loader: Iterable[Batch]) -> None:
        """The steps of one epoch, each tracked."""
        epoch, step, tracker = self.epoch, self._work.step, self.tracker
        for inputs, labels in self.run.batches(loader):
            tracker.log({"epoch": epoch, "train_loss": step(inputs, labels)})

    def end_epoch(self) -> None:
        """What happens between two epochs: a checkpoint."""
        self.epoch = next(self._epochs)

    def newest_state(self) -> Path:
        """The file that the newest checkpoint is in."""
        return max(self.run.folder.glob("checkpoints/seed-0/phase-1/[0-9]*/state.pt"))

    def close(self) -> None:
        """Leave both loops as a `break` would."""
        # these are generators, which `Iterator` does not say
        for loop in (self._epochs, self._seeds):
            loop.close()  # type: ignore[attr-defined]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60, help="Rounds of the three loops.")
    parser.add_argument("--steps", type=int, default=40, help="Steps of a loop in a round.")
    parser.add_argument("--step-ms", type=float, default=5.0, help="Milliseconds that a step is to take.")
    parser.add_argument("--calls", type=int, default=500, help="Calls of tracker.log in a repetition.")
    parser.add_argument("--repetitions", type=int, default=30, help="Repetitions for single calls.")
    parser.add_argument("--starts", type=int, default=21, help="Starts of each program.")
    parser.add_argument("--order", type=int, default=0, help="Seed of the random orders.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    counts = (options.rounds, options.steps, options.calls, options.repetitions, options.starts, options.step_ms)
    if min(counts) <= 0:
        parser.error("every number of repetitions, steps and milliseconds is above 0")
    file = options.json.absolute() if options.json else None
    order = random.Random(options.order)
    torch.set_num_threads(1)

    here = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="assay-runtime-") as place, _wandb_within(Path(place)):
        # whatever a library writes into the working directory goes with the folder
        os.chdir(place)
        try:
            loops = measure_loops(Path(place), options, order)
            starts = measure_starts(Path(place) / "starts", options.starts, order)
        finally:
            os.chdir(here)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    print(f"Python {platform.python_version()}, {versions}, {os.cpu_count()} cores.\n")
    print_loops(loops, options)
    print_starts(starts, options.starts)
    write_json(file, _plain({"loops": loops, "starts": starts}))
    return 0


def calibrated(seconds: float) -> Work:
    """Work whose steps take about so long on this machine, now."""
    rows = 64
    for _ in range(8):
        work = Work(rows)
        times = [_spent(partial(work.step, *batch)).wall for batch in work.loader(60)]
        # the first steps also make the optimizer's state
        takes = statistics.median(times[20:])
        if abs(takes / seconds - 1) < 0.05:
            break
        rows = max(1, round(rows * min(8.0, max(0.125, seconds / takes))))
    return work


def measure_loops(place: Path, options: argparse.Namespace, order: random.Random) -> dict[str, Any]:
    """The three forms of the loop, and single calls within two of them."""
    work = calibrated(options.step_ms / 1000)
    loader = work.loader(options.steps)
    said = io.StringIO()
    # the trackers say where they track, which is of no interest here; complaints are looked for below
    with contextlib.redirect_stderr(said), contextlib.ExitStack() as ends:
        kept = {mode: ends.enter_context(_tracked(place, mode, work)) for mode in TRACKED}
        logs: dict[str, Log] = {mode: kept[mode].tracker.log for mode in TRACKED}
        logs["wandb"] = ends.enter_context(_wandb_itself(place))
        rounds = _rounds(work, kept, logs["wandb"], loader, options.rounds, order)
        alone = _log_alone(logs, options.calls, options.repetitions, order)
        within = _log_within(work, logs, loader, options.repetitions, order)
        batches = _batches(kept["disabled"].run, options.repetitions, order)
        checkpoint = _checkpoint(work, kept["disabled"], place, options.repetitions, order)
    for mode in TRACKED:
        _check_tracked(place / f"with-{mode}", mode, said.getvalue())
    return {
        "rows": work.rows,
        **rounds,
        "log_alone": alone,
        "log_within": within,
        "batches": batches,
        "checkpoint": checkpoint,
    }


def _rounds(
    work: Work, kept: dict[str, Kept], log: Log, loader: list[Batch], rounds: int, order: random.Random
) -> dict[str, Any]:
    """Seconds of a step in each form, and ratios of the forms of one round."""

    def bare() -> None:
        for inputs, labels in loader:
            work.step(inputs, labels)

    def with_wandb() -> None:
        for inputs, labels in loader:
            log({"epoch": 0, "train_loss": work.step(inputs, labels)})

    forms: dict[str, Callable[[], None]] = {"bare": bare, "again": bare, "wandb": with_wandb}
    forms |= {mode: partial(kept[mode].train, loader) for mode in TRACKED}
    taken: dict[str, list[Spent]] = {form: [] for form in forms}
    for number in range(WARM_UP_ROUNDS + rounds):
        for one in kept.values():
            one.end_epoch()
        for form in _shuffled(forms, order):
            spent = _spent(forms[form])
            if number >= WARM_UP_ROUNDS:
                taken[form].append(spent)
    return {
        "step": {form: statistics.median(one.wall for one in taken[form]) / len(loader) for form in forms},
        "overhead": {form: _overhead(taken[form], taken["bare"]) for form in ("again", *LOGGED)},
        "over_wandb": _overhead(taken["offline"], taken["wandb"]),
    }


def _overhead(taken: Sequence[Spent], bases: Sequence[Spent]) -> dict[str, Estimate]:
    """What one form takes more than another, as a share of the other."""
    pairs = list(zip(taken, bases, strict=True))
    return {
        "wall": _estimate([one.wall / base.wall - 1 for one, base in pairs]),
        "cpu": _estimate([one.cpu / base.cpu - 1 for one, base in pairs]),
    }


def _log_alone(logs: dict[str, Log], calls: int, repetitions: int, order: random.Random) -> dict[str, Estimate]:
    """Seconds of one row, one after the other."""

    def many(log: Log) -> None:
        for number in range(calls):
            log({"epoch": 0, "train_loss": 1.0 / (number + 1)})

    works = {name: partial(many, log) for name, log in logs.items()}
    return {name: _estimate(times) for name, times in _in_turns(works, repetitions, order, calls).items()}


def _log_within(
    work: Work, logs: dict[str, Log], loader: list[Batch], repetitions: int, order: random.Random
) -> dict[str, Estimate]:
    """Seconds of one row after a step of training: the median of each loop, over loops."""
    medians: dict[str, list[float]] = {name: [] for name in logs}
    for _ in range(repetitions):
        for name in _shuffled(logs, order):
            log, times = logs[name], []
            for inputs, labels in loader:
                loss = work.step(inputs, labels)
                begin = time.perf_counter()
                log({"epoch": 0, "train_loss": loss})
                times.append(time.perf_counter() - begin)
            medians[name].append(statistics.median(times))
    return {name: _estimate(times) for name, times in medians.items()}


def _batches(run: Run, repetitions: int, order: random.Random) -> dict[str, Estimate]:
    """Seconds of a batch of the plain loader, of `run.batches`, and what lies between them."""
    loader = list(range(BATCHES_PER_LOOP))

    def plain() -> None:
        for _ in loader:
            pass

    def kept() -> None:
        for _ in run.batches(loader):
            pass

    times = _in_turns({"plain": plain, "kept": kept}, repetitions, order, BATCHES_PER_LOOP)
    between = [one - base for one, base in zip(times["kept"], times["plain"], strict=True)]
    return {"plain": _estimate(times["plain"]), "kept": _estimate(times["kept"]), "between": _estimate(between)}


def _checkpoint(work: Work, kept: Kept, place: Path, repetitions: int, order: random.Random) -> dict[str, Any]:
    """Seconds of a checkpoint, and of `torch.save` alone, which flushes nothing to the disk."""

    def save() -> None:
        torch.save({"model": work.model.state_dict(), "optimizer": work.optimizer.state_dict()}, place / "plain.pt")

    times = _in_turns({"checkpoint": kept.end_epoch, "torch.save": save}, repetitions, order, 1)
    return {
        "parameters": sum(parameter.numel() for parameter in work.model.parameters()),
        "bytes": kept.newest_state().stat().st_size,
        **{name: _estimate(values) for name, values in times.items()},
    }


@contextlib.contextmanager
def _tracked(place: Path, mode: str, work: Work) -> Iterator[Kept]:
    """A full run as `@experiment` makes one, tracked in this mode of W&B."""
    cfg = OmegaConf.create(CONFIG)
    assert isinstance(cfg, DictConfig)
    cfg.run = cfg.run_id = f"with-{mode}"
    cfg.results_dir, cfg.mode, cfg.device = str(place), "full", "cpu"
    os.environ["WANDB_MODE"] = mode
    run = Run(cfg, root=place, arguments=[])
    with run.track(cfg, series=["epoch", "train_loss"], summary=[]) as tracker:
        kept = Kept(run, tracker, work)
        try:
            yield kept
        finally:
            kept.close()


@contextlib.contextmanager
def _wandb_itself(place: Path) -> Iterator[Log]:
    """The `log` of a W&B run without assay, offline; its rows say as much as tracked ones.

    Made last: the one that a tracker makes ends those before it.
    """
    import wandb

    settings = wandb.Settings(console="off")
    with wandb.init(mode="offline", project="benchmark", dir=place, reinit="create_new", settings=settings) as run:
        begin = time.monotonic()
        yield lambda row: run.log({**row, "seed": 0, "seconds": round(time.monotonic() - begin, 6)})


def _check_tracked(folder: Path, mode: str, said: str) -> None:
    """End the program where a run was not tracked as it should have been, and figures would be of something else."""
    with (folder / "track.jsonl").open(encoding="utf-8") as file:
        noted = json.loads(file.readline())["wandb"]["mode"]
    if noted != {"disabled": "local", "offline": "offline"}[mode] or "W&B: " in said:
        raise SystemExit(f"{folder.name} was tracked {noted}:\n{said}")
    if mode == "offline" and not any(folder.glob("wandb/**/*.wandb")):
        raise SystemExit(f"{folder.name}: W&B kept nothing:\n{said}")


@contextlib.contextmanager
def _wandb_within(place: Path) -> Iterator[None]:
    """W&B keeps its files in this folder, and its service has ended when the folder goes."""
    before, temporary = dict(os.environ), tempfile.tempdir
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        del os.environ[name]
    for kind in ("CACHE", "CONFIG", "DATA", "ARTIFACT"):
        os.environ[f"WANDB_{kind}_DIR"] = str(place / f"wandb-{kind.lower()}")
    # W&B and its service make temporary files of their own
    os.environ["TMPDIR"] = tempfile.tempdir = str(place)
    try:
        yield
    finally:
        if "wandb" in sys.modules:
            sys.modules["wandb"].teardown()
        os.environ.clear()
        os.environ.update(before)
        tempfile.tempdir = temporary


def measure_starts(place: Path, repetitions: int, order: random.Random) -> dict[str, Any]:
    """From the call of a process to the entry into its `main()`, and what the libraries take to import."""
    for name, text in {
        "src/__init__.py": "",
        "src/bare.py": BARE_PROGRAM,
        "src/kept.py": EXPERIMENT_PROGRAM,
        "config/config.yaml": CONFIG,
        "config/runs/one.yaml": RUN_FILE,
    }.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    environment = _compiling(place / "bytecode")
    words = ["results_dir=results", "mode=trial"]
    commands = {
        "python": ["-c", ENTERED],
        "hydra": ["-u", "-m", "src.bare", "+runs@_global_=one", *NO_FOLDERS, *words],
        "experiment": ["-u", "-m", "src.kept", "run=one", *words],
    }
    loaded = {name: _start(command, place, environment)[1] for name, command in commands.items()}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repetitions):
        for name in _shuffled(commands, order):
            times[name].append(_start(commands[name], place, environment)[0])
    pairs = list(zip(times["experiment"], times["hydra"], strict=True))
    return {
        "seconds": {name: _estimate(values) for name, values in times.items()},
        "ratio": _estimate([one / base for one, base in pairs]),
        "difference": _estimate([one - base for one, base in pairs]),
        "loaded": {name: [library for library in LIBRARIES if library in loaded[name]] for name in commands},
        "imports": _imports(place, environment, max(3, repetitions // 3)),
    }


def _compiling(bytecode: Path) -> dict[str, str]:
    """The environment of a process that keeps its bytecode, in this folder."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(bytecode)}


def _start(command: Sequence[str], place: Path, environment: dict[str, str]) -> tuple[float, set[str]]:
    """Seconds from the call to the entry, by the clock that all processes share, and the modules that it had then."""
    begin = time.clock_gettime(time.CLOCK_MONOTONIC)
    done = _python(command, place, environment)
    entered, *modules = done.stdout.split()
    return float(entered) - begin, set(modules)


def _imports(place: Path, environment: dict[str, str], repetitions: int) -> dict[str, Estimate]:
    """Seconds that each library adds to those before it, by `-X importtime`."""
    # a line of ours before each import tells which lines of Python's own belong to it
    program = "import sys\n" + "".join(
        f"print('#{library}', file=sys.stderr, flush=True)\nimport {library}\n" for library in LIBRARIES
    )
    command = ["-X", "importtime", "-c", program]
    # the first compiles PyTorch and W&B
    made = [_import_times(_python(command, place, environment).stderr) for _ in range(1 + repetitions)][1:]
    return {library: _estimate([one[library] for one in made]) for library in LIBRARIES}


def _import_times(text: str) -> dict[str, float]:
    times = dict.fromkeys(LIBRARIES, 0.0)
    library = ""
    for line in text.splitlines():
        if line.startswith("#"):
            library = line[1:]
        elif library and line.startswith("import time:"):
            _, cumulative, name = line.removeprefix("import time:").split("|")
            # what is imported by another module stands further to the right, and counts there
            if not name.startswith("  "):
                times[library] += int(cumulative) / 1e6
    return times


def _python(words: Sequence[str], place: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, *words], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words)[:200]}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return done


def _spent(work: Callable[[], object]) -> Spent:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def _in_turns(
    works: Mapping[str, Callable[[], None]], repetitions: int, order: random.Random, pieces: int
) -> dict[str, list[float]]:
    """Seconds of a piece of each work, for each repetition; a first one does not count."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(1 + repetitions):
        for name in _shuffled(works, order):
            times[name].append(_spent(works[name]).wall / pieces)
    return {name: values[1:] for name, values in times.items()}


def _shuffled(names: Iterable[str], order: random.Random) -> list[str]:
    shuffled = list(names)
    order.shuffle(shuffled)
    return shuffled


def _estimate(values: Sequence[float]) -> Estimate:
    draw = random.Random(0)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    tail = round((1 - CONFIDENCE) / 2 * RESAMPLES)
    return Estimate(statistics.median(values), medians[tail], medians[-1 - tail])


def verdict(overhead: Estimate) -> str:
    """Whether an overhead, as a share of the bare loop, is under the goal."""
    if overhead.high < GOAL:
        return "met"
    if overhead.low >= GOAL:
        return "not met"
    side = "under" if overhead.median < GOAL else "over"
    return f"not shown: the median is {side} the goal, the interval reaches across it"


def print_loops(loops: dict[str, Any], options: argparse.Namespace) -> None:
    step = loops["step"]
    rows: list[Sequence[str]] = [(FORMS["bare"], f"{step['bare'] * 1000:.3f}", "", "", "")]
    for form in ("again", *LOGGED):
        overhead = loops["overhead"][form]
        answer = verdict(overhead["wall"]) if form in TRACKED else ""
        shares = [overhead[kind].shown(_percent) for kind in ("wall", "cpu")]
        rows.append((FORMS[form], f"{step[form] * 1000:.3f}", *shares, answer))
    print(f"A step of training, a batch of {loops['rows']} rows; {options.rounds} rounds of {options.steps} steps:\n")
    goal = f"under {GOAL:.0%}"
    _print_markdown(("loop", "ms a step", "overhead, wall time", "overhead, processor time", goal), rows)
    over, answer = loops["over_wandb"]["wall"], verdict(loops["over_wandb"]["wall"])
    print(f"\nOver a loop that logs to W&B itself, assay with W&B takes {over.shown(_percent)}; {goal}: {answer}.")

    batches, checkpoint = loops["batches"], loops["checkpoint"]
    rows = []
    for form in LOGGED:
        rows.append((f"a row alone: {FORMS[form]}", loops["log_alone"][form].shown(_microseconds)))
        rows.append((f"a row in the loop: {FORMS[form]}", loops["log_within"][form].shown(_microseconds)))
    rows.append(("a batch of the plain loader, a list", batches["plain"].shown(_microseconds)))
    rows.append(("a batch of `run.batches` of it", batches["kept"].shown(_microseconds)))
    rows.append(("what `run.batches` adds to a batch", batches["between"].shown(_microseconds)))
    size = f"{checkpoint['parameters']:,} parameters, {checkpoint['bytes'] / 2**20:.1f} MiB"
    rows.append((f"a checkpoint, after each epoch ({size})", checkpoint["checkpoint"].shown(_microseconds)))
    rows.append(("`torch.save` of the same, not flushed", checkpoint["torch.save"].shown(_microseconds)))
    print(f"\nSingle calls, {options.repetitions} repetitions:\n")
    _print_markdown(("call", "microseconds"), rows)
    print()
    for form in LOGGED:
        print(f"A row in the loop is {loops['log_within'][form].median / step['bare']:.2%} of a step: {FORMS[form]}.")
    print(f"A checkpoint is under {GOAL:.0%} of epochs that take {checkpoint['checkpoint'].median / GOAL:.1f} s.\n")


def print_starts(starts: dict[str, Any], repetitions: int) -> None:
    names = {"python": "Python alone", "hydra": "bare `@hydra.main`", "experiment": "`@experiment`, trial"}
    rows = []
    for name, title in names.items():
        loaded = ", ".join(starts["loaded"][name]) or "none"
        rows.append((title, starts["seconds"][name].shown(_milliseconds), loaded))
    print(f"From the start of the process to the entry into `main()`, {repetitions} starts, bytecode compiled:\n")
    _print_markdown(("program", "ms", "of the libraries below, loaded then"), rows)
    ratio = starts["ratio"].shown(lambda value: f"{value:.2f}")
    difference = starts["difference"].shown(_milliseconds)
    print(f"\n`@experiment` takes {ratio} times what bare `@hydra.main` takes: {difference} ms more.")
    print("\nWhat an import adds to those above it, by `-X importtime`, which itself takes some time:\n")
    _print_markdown(("import", "ms"), [(name, one.shown(_milliseconds)) for name, one in starts["imports"].items()])


def _percent(share: float) -> str:
    return f"{share:+.2%}"


def _microseconds(seconds: float) -> str:
    micro = seconds * 1e6
    return f"{micro:,.0f}" if abs(micro) >= 100 else f"{micro:.1f}" if abs(micro) >= 1 else f"{micro:.3f}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def _plain(value: Any) -> Any:
    """The same with mappings for estimates, as JSON takes it."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _print_markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    for cells in itertools.chain([headings, ["---"] * len(headings)], rows):
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(main())
