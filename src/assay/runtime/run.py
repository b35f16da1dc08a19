"""One run of an experiment: its folder, its device, its search, its tracking, and loops that go on after a kill."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig, OmegaConf

from assay.runtime.checkpoints import check_parts
from assay.runtime.errors import ExperimentError
from assay.runtime.loops import Batches, accumulated
from assay.runtime.modes import TRIAL_BATCHES
from assay.runtime.progress import Progress
from assay.runtime.provenance import choose_device, provenance
from assay.runtime.run_file import write_run_file
from assay.runtime.seeding import set_seed
from assay.runtime.stopwatch import Stopwatch

if TYPE_CHECKING:
    import torch

    from assay.runtime.checkpoints import Checkpoints
    from assay.runtime.searching import Report
    from assay.runtime.tracker import Tracker

Batch = TypeVar("Batch")
Objective = Callable[[DictConfig, "Report"], float]


class Run:
    """What `@experiment` gives to an experiment beside its configuration.

    Args:
        cfg: The configuration of the run, its mode applied.
        root: Folder of the submission.
        arguments: The words of the command line, for a child process.
        clock: Seconds that never go backwards.

    Attributes:
        id: Id of the run.
        mode: `trial` or `full`.
        folder: Where everything of this run is kept: `results_dir/run_id`, and `trial` below it in a trial.
        arguments: The words of the command line that configured it, for a child process.
    """

    def __init__(
        self, cfg: DictConfig, *, root: Path, arguments: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.id: str = cfg.run_id
        self.mode: str = cfg.mode
        self.folder: Path = Path(cfg.results_dir).absolute() / cfg.run_id
        if self.is_trial:
            self.folder /= "trial"
        self.arguments = list(arguments)
        self._cfg = cfg
        self._root = root
        self._clock = clock
        self._tracker: Tracker | None = None
        self._searching = False
        self._seed: _SeedInWork | None = None
        self._begun: set[int] = set()
        # of seeds that an earlier attempt began and did not finish: phase -> rows at its last checkpoint
        self._known: dict[str, dict[int, int]] = {}

    @property
    def is_trial(self) -> bool:
        """Whether this is a trial: one epoch, two batches a loop, nothing tracked, nothing searched."""
        return self.mode == "trial"

    @cached_property
    def device(self) -> torch.device:
        """The device to compute on: `device` of the configuration, else a GPU where there is one, else the CPU."""
        try:
            chosen: torch.device = choose_device(self._cfg.get("device"))
        except RuntimeError as error:
            raise ExperimentError(f"device={self._cfg.device}: {str(error).splitlines()[0]}", status=2) from None
        return chosen

    def search(self, objective: Objective) -> DictConfig:
        """The configuration with the best values that a search finds, see `assay.runtime.searching.search`.

        What the section `optuna` asks for is searched with Optuna, and goes on where an earlier attempt or another
        process left it. Without that section, with `n_trials: 0`, and in a trial, the configuration comes back as it
        is. Nothing is tracked meanwhile.

        Args:
            objective: Takes a candidate configuration and `report`, which takes a value and its step (an epoch);
                returns the value to be optimised, which must not come from test data.
        """
        from assay.runtime.searching import search

        self._searching = True
        try:
            result = search(self._cfg, objective, folder=self.folder, mode=self.mode, say=_say, seeding=set_seed)
        finally:
            self._searching = False
        return result.config

    @contextmanager
    def track(self, cfg: DictConfig, *, series: Sequence[str], summary: Sequence[str]) -> Iterator[Tracker]:
        """Track this run, with W&B and in `track.jsonl`; in a trial nothing is written.

        Args:
            cfg: The configuration that the run uses, best values of a search included.
            series: Keys that `tracker.log` may get.
            summary: Keys that `tracker.summarize` may get.

        Raises:
            ExperimentError: A search is under way; the folder holds this run with another configuration; another
                process tracks it.
        """
        from assay.runtime.tracker import Tracker

        if self._searching or self._tracker is not None:
            raise ExperimentError(f"run {self.id}: it is tracked once, and not within a search")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ExperimentError(
                f"{self.folder} cannot be made: {error.strerror or error}; give another results_dir, or mend that"
            ) from error
        self._record()
        with Tracker(
            self.folder,
            self.id,
            _plain(cfg),
            series=series,
            summary=summary,
            wandb_section=_plain(cfg.wandb),
            mode="disabled" if self.is_trial else None,
            context=self._context,
        ) as tracker:
            self._tracker = tracker
            try:
                self._go_back(tracker)
                yield tracker
            finally:
                self._tracker = None
                self._begun.clear()

    def seeds(self, seeds: Iterable[int]) -> Iterator[int]:
        """Each seed that is not finished yet; Python, NumPy and PyTorch are seeded with it.

        Within the loop, tracked rows get `seed`, and `seconds` spent in that seed. A seed is finished when its turn of
        the loop ends; a run that is started again goes on with the first seed that was not.

        Raises:
            ExperimentError: No seed is given, or one twice, or one that a tracked run had before.
        """
        wanted = list(seeds)
        if not wanted or len(set(wanted)) != len(wanted):
            raise ExperimentError(f"run {self.id}: seeds are {wanted}; give at least one, and each once", status=2)
        tracker = self._tracker
        if again := sorted(self._begun.intersection(wanted)):
            raise ExperimentError(f"run {self.id}: seeds {again} had their turn: do all that a seed does in one loop")
        progress = None if tracker is None or self.is_trial else self._progress()
        for seed in wanted:
            if tracker is not None:
                self._begun.add(seed)
            if progress is not None and str(seed) in progress.finished:
                _say(f"seed {seed} was finished before")
                continue
            self._seed = work = _SeedInWork(seed, Stopwatch(self._clock))
            if tracker is not None and progress is not None:
                work.replayed = max(self._known.get(str(seed), {}), default=0)
                tracker.muted = work.replayed > 0
            try:
                set_seed(seed)
                yield seed
            finally:
                if self._seed is work:
                    self._seed = None
            if tracker is not None and progress is not None:
                tracker.sync()
                progress.finish(seed, rows=tracker.rows, seconds=work.watch.seconds)
                self._drop_checkpoints(seed)
        if tracker is not None:
            tracker.muted = False

    def epochs(self, count: int, **parts: Any) -> Iterator[int]:
        """The epochs that are left, from 0 to `count` - 1. After each, a checkpoint is written.

        Within `seeds`, a run that was killed goes on after its last checkpoint, with the same random numbers. Within a
        search and in a trial no checkpoint is written. A loop that is left with `break` writes none for its last epoch.

        Args:
            count: Number of epochs in all, at least 1.
            parts: What changes during training and has `state_dict` and `load_state_dict`: model, optimizer, scheduler,
                `BestWeights`.

        Raises:
            ExperimentError: `count` is below 1, or a checkpoint is of other parts.
        """
        if count < 1:
            raise ExperimentError(f"run {self.id}: {count} epochs train nothing; give at least one", status=2)
        check_parts(parts)
        work, tracker = self._seed, self._tracker
        if work is None or tracker is None or self._searching or self.is_trial:
            yield from range(count)
            return
        work.phase += 1
        checkpoints = self._checkpoints(work.seed, work.phase)
        restored = checkpoints.restore(parts)
        if restored is not None:
            work.watch = Stopwatch(self._clock, float(restored.values["seconds"]))
        if work.phase >= work.replayed:
            tracker.muted = False
        for epoch in range(restored.step if restored else 0, count):
            yield epoch
            tracker.sync()
            checkpoints.save(epoch + 1, parts, values={"rows": tracker.rows, "seconds": work.watch.seconds})

    def batches(self, loader: Iterable[Batch]) -> Batches[Batch]:
        """The batches of a loader; in a trial its first two."""
        return Batches(loader, TRIAL_BATCHES if self.is_trial else None)

    def accumulated(self, loader: Iterable[Batch], steps: int) -> Iterator[tuple[Batch, bool]]:
        """The batches of a loader, and whether the optimizer steps after each, once in `steps` and after the last.

        In a trial the first two batches, with at least one step.

        Args:
            loader: Gives batches.
            steps: Batches whose gradients are added up, at least 1.
        """
        return accumulated(self.batches(loader), steps)

    def _context(self) -> dict[str, Any]:
        """What every tracked row says beside its values."""
        if self._searching:
            raise ExperimentError(f"run {self.id}: trials of a search are not tracked; log without `tracker` in them")
        return {} if self._seed is None else {"seed": self._seed.seed, "seconds": round(self._seed.watch.seconds, 6)}

    def _go_back(self, tracker: Tracker) -> None:
        """Take back the rows that came after the last finished seed or checkpoint.

        What is tracked until there is not tracked again. With nothing to go on from, the run begins anew.
        """
        if self.is_trial:
            return
        finished = self._progress().finished
        begun = {folder.name.removeprefix("seed-") for folder in (self.folder / "checkpoints").glob("seed-*")}
        self._known = {seed: self._rows_at(seed) for seed in begun - finished.keys()}
        if len(self._known) > 1:
            raise ExperimentError(
                f"{self.folder}: seeds {', '.join(sorted(self._known))} have checkpoints, and progress.json does not "
                "say which of them are finished: put back a copy of it, or move the folder away to train all anew"
            )
        rows = [part.rows for part in finished.values()]
        rows += [count for phases in self._known.values() for count in phases.values()]
        tracker.rewind(max(rows, default=0))
        tracker.muted = bool(rows)

    def _rows_at(self, seed: int | str) -> dict[int, int]:
        """Phase -> rows that were tracked at its last checkpoint."""
        newest = {phase: self._checkpoints(seed, phase).newest() for phase in range(1, self._phases(seed) + 1)}
        return {phase: int(found.values["rows"]) for phase, found in newest.items() if found is not None}

    def _progress(self) -> Progress:
        return Progress(self.folder / "progress.json")

    def _checkpoints(self, seed: int | str, phase: int) -> Checkpoints:
        from assay.runtime.checkpoints import Checkpoints

        return Checkpoints(self._checkpoint_folder(seed) / f"phase-{phase}", say=_say, device=self.device)

    def _checkpoint_folder(self, seed: int | str) -> Path:
        return self.folder / "checkpoints" / f"seed-{seed}"

    def _phases(self, seed: int | str) -> int:
        return len(list(self._checkpoint_folder(seed).glob("phase-*")))

    def _drop_checkpoints(self, seed: int) -> None:
        """Of a finished seed, the state after its last epoch is kept."""
        for phase in range(1, self._phases(seed) + 1):
            self._checkpoints(seed, phase).keep_newest()

    def _record(self) -> None:
        started = datetime.now(UTC)
        content = {
            **provenance(self._root),
            "command": sys.argv[:],
            "seeds": None,
            "device": str(self.device) if find_spec("torch") else None,
        }
        content["config"] = _plain(self._cfg)
        write_run_file(self.folder / "run.json", content, started, goes_on=not self.is_trial)


@dataclass
class _SeedInWork:
    """The seed whose turn it is.

    Attributes:
        phase: How many loops over epochs it has begun.
        replayed: The last loop that an earlier attempt came to; 0 where none did.
    """

    seed: int
    watch: Stopwatch
    phase: int = 0
    replayed: int = 0


def _plain(cfg: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _say(text: str) -> None:
    print(text, flush=True)
