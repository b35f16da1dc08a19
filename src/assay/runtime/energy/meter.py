"""Measures the energy of a stretch of work, part by part, and says of each number where it comes from."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from assay.runtime.energy.modelled import ProcessorModel, processor_seconds
from assay.runtime.energy.nvml import GpuCounters
from assay.runtime.energy.part import NotMeasurableError, Part, Readings
from assay.runtime.energy.rapl import POWERCAP, PackageCounters
from assay.runtime.errors import ExperimentError

Source = Literal["auto", "nvml", "rapl", "modelled"]

# NVML's counters move every 20 to 100 ms (https://petsc.org/main/manualpages/Log/PetscLogGpuEnergyMeter), so that a
# second holds the error of both ends under about a fifth.
SHORTEST = 1.0


class EnergyMeter:
    """Energy in Joules between `start` and `stop`, or over a `with` block.

        with EnergyMeter() as meter:
            train(...)
        tracker.summarize({"energy_joules": meter.joules, "energy_source": meter.source})

    GPUs are read through NVML, processor packages and memory through RAPL; where RAPL cannot be read, the processor is
    modelled from its time. The total is called "modelled" as soon as any part of it is. What none of them sees (fans,
    disks, losses of the power supply, memory without a counter of its own) is in no number. The numbers may be read on
    the way too. docs/energy.md says how far they can be trusted.

    Args:
        source: "auto" for all parts as above; "nvml" for the GPUs alone, "rapl" for packages and memory alone,
            "modelled" for the processor's model alone.
        gpus: Numbers of the GPUs to read, as the program numbers them; None for all that this process sees.
        watts_per_core: Watts of one busy logical core, for the model; None for the default (`watts_per_core.tsv`).
        synchronize: Waits for the GPUs' queued work before the first and the last reading. Without it,
            `torch.cuda.synchronize` where the program has used CUDA through PyTorch.
        nvml: The module `pynvml`; None to import it.
        powercap: Folder of the kernel's powercap class.
        environment: Variables of this process, for `CUDA_VISIBLE_DEVICES`; None for `os.environ`.
        seconds_of_processor: Gives the processor seconds used so far, for the model.
        clock: Gives seconds.
        poll_in_background: Whether a thread polls where a source needs it (a counter that wraps, sampled power).
            Without it, call `poll` as often as `longest_gap` says.

    Raises:
        ExperimentError: `source` or `watts_per_core` is not of that kind.
    """

    def __init__(
        self,
        source: Source = "auto",
        *,
        gpus: Sequence[int] | None = None,
        watts_per_core: float | None = None,
        synchronize: Callable[[], object] | None = None,
        nvml: Any = None,
        powercap: Path = POWERCAP,
        environment: Mapping[str, str] | None = None,
        seconds_of_processor: Callable[[], float] = processor_seconds,
        clock: Callable[[], float] = time.monotonic,
        poll_in_background: bool = True,
    ) -> None:
        if source not in ("auto", "nvml", "rapl", "modelled"):
            raise ExperimentError(f"source must be auto, nvml, rapl or modelled, not {source!r}", status=2)
        self._wanted = source
        self._gpus = GpuCounters(nvml, os.environ if environment is None else environment, gpus, clock)
        self._packages = PackageCounters(powercap)
        self._model = ProcessorModel(watts_per_core, seconds_of_processor)
        self._synchronize = synchronize or _wait_for_cuda
        self._clock = clock
        self._in_background = poll_in_background
        self._used: list[Readings] = []
        self._notes: list[str] = []
        self._began: float | None = None
        self._seconds = 0.0
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> EnergyMeter:
        """Begins a stretch, from zero.

        Raises:
            ExperimentError: One is under way; or the one source that was asked for says nothing here, and why.
        """
        if self._began is not None:
            raise ExperimentError("this energy meter runs already: stop it first, or make another", status=2)
        self._synchronize()
        self._used, self._notes, self._seconds = [], [], 0.0
        if self._wanted in ("auto", "nvml"):
            self._begin(self._gpus)
        measured = self._wanted in ("auto", "rapl") and self._begin(self._packages)
        if self._wanted == "modelled" or (self._wanted == "auto" and not measured):
            self._begin(self._model)
        self._began = self._clock()
        if self._in_background and self.longest_gap is not None:
            self._stopping.clear()
            self._thread = threading.Thread(
                target=self._keep_polling, args=(self.longest_gap,), name="assay-energy", daemon=True
            )
            self._thread.start()
        return self

    def _begin(self, readings: Readings) -> bool:
        try:
            readings.begin()
        except NotMeasurableError as why:
            if self._wanted != "auto":
                raise ExperimentError(f"energy cannot be measured by {self._wanted}: {why}") from why
            self._notes.append(str(why))
            return False
        if self._wanted != "auto" and not readings.parts:
            readings.end()
            reasons = "; ".join(f"{name}: {why}" for name, why in readings.missing.items())
            raise ExperimentError(f"energy cannot be measured by {self._wanted}: {reasons}")
        self._used.append(readings)
        return True

    def stop(self) -> EnergyMeter:
        """Ends the stretch; what was measured stays readable. Does nothing where none is under way."""
        if self._began is None:
            return self
        self._synchronize()
        if self._thread is not None:
            self._stopping.set()
            self._thread.join()
            self._thread = None
        self.poll()
        self._began = None
        for readings in self._used:
            readings.end()
        return self

    def __enter__(self) -> EnergyMeter:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def longest_gap(self) -> float | None:
        """Seconds that may pass between two polls, None where none are needed in between."""
        gaps = [readings.longest_gap for readings in self._used if readings.longest_gap is not None]
        return min(gaps, default=None)

    def poll(self) -> None:
        """Reads all sources now. Does nothing where no stretch is under way."""
        with self._lock:
            if self._began is not None:
                self._seconds = self._clock() - self._began
                for readings in self._used:
                    readings.poll()

    def _keep_polling(self, gap: float) -> None:
        while not self._stopping.wait(gap):
            self.poll()

    @property
    def seconds(self) -> float:
        """Length of the stretch."""
        self.poll()
        return self._seconds

    @property
    def parts(self) -> dict[str, Part]:
        """Energy of each part: `{"gpu:0": (joules, "nvml"), "cpu:package-0": (joules, "rapl"), ...}`."""
        with self._lock:
            self.poll()
            return {name: part for readings in self._used for name, part in readings.parts.items()}

    @property
    def joules(self) -> float:
        """Energy of all parts together."""
        return sum(part.joules for part in self.parts.values())

    @property
    def source(self) -> str:
        """Where the total is from: "modelled" where any part is, else "nvml", "rapl", "nvml+rapl"; "" without parts."""
        sources = {part.source for part in self.parts.values()}
        return "modelled" if "modelled" in sources else "+".join(sorted(sources))

    @property
    def missing(self) -> dict[str, str]:
        """Parts that should have been measured and are in no number, and why."""
        return {name: why for readings in self._used for name, why in readings.missing.items()}

    @property
    def notes(self) -> list[str]:
        """What a reader of the numbers has to know, in sentences."""
        notes = [*self._notes, *(note for readings in self._used for note in readings.notes)]
        if self.seconds < SHORTEST and any(part.source == "nvml" for part in self.parts.values()):
            notes.append(
                f"a stretch of {self._seconds:.2f} s is imprecise: NVML's readings move every 20 to 100 ms; repeat the "
                f"work for {SHORTEST:.0f} s or more"
            )
        return notes

    def record(self) -> dict[str, Any]:
        """Everything for a file of results, as JSON takes it: total, parts, what they stand on, what is missing."""
        return {
            "joules": self.joules,
            "source": self.source,
            "seconds": self.seconds,
            "parts": {name: {"joules": part.joules, "source": part.source} for name, part in self.parts.items()},
            "details": {name: detail for readings in self._used for name, detail in readings.details.items()},
            "missing": self.missing,
            "notes": self.notes,
        }


def _wait_for_cuda() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()
