"""Energy of the processor as a model: seconds of processor time times Watts per core."""

from __future__ import annotations

import csv
import math
import resource
from collections.abc import Callable
from importlib import resources

from assay.runtime.energy.part import Part
from assay.runtime.errors import ExperimentError

DEFAULT_PROCESSOR = "server"


def processor_seconds() -> float:
    """User and system seconds of this process, and of its children as far as they have ended and were waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def default_watts() -> tuple[float, str]:
    """Watts of a busy logical core where none are given, and their source, from `watts_per_core.tsv`."""
    text = resources.files(__package__).joinpath("watts_per_core.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader((line for line in text.splitlines() if not line.startswith("#")), delimiter="\t")
    for row in rows:
        if row["processor"] == DEFAULT_PROCESSOR:
            return float(row["watts_busy"]), row["source"]
    raise LookupError(DEFAULT_PROCESSOR)


class ProcessorModel:
    """Models the energy of the processor from the time this process and its ended children used of it.

    Joules = processor seconds * Watts per busy logical core. Cores that stand idle, memory and all else are left out.

    Args:
        watts_per_core: Watts of one busy logical core, above 0; None for the default of `default_watts`.
        seconds: Gives processor seconds so far.

    Raises:
        ExperimentError: The Watts are no finite number above 0.
    """

    longest_gap: float | None = None

    def __init__(self, watts_per_core: float | None, seconds: Callable[[], float] = processor_seconds) -> None:
        if watts_per_core is None:
            self._watts, self._from = default_watts()
        else:
            self._watts, self._from = watts_per_core, "given"
        number = isinstance(self._watts, (int, float)) and not isinstance(self._watts, bool)
        if not number or not math.isfinite(self._watts) or self._watts <= 0:
            raise ExperimentError(f"watts_per_core must be a finite number above 0, not {watts_per_core!r}", status=2)
        self._seconds = seconds
        self._begun = 0.0
        self._used = 0.0
        self.missing: dict[str, str] = {}

    @property
    def parts(self) -> dict[str, Part]:
        return {"cpu": Part(self._used * self._watts, "modelled")}

    @property
    def notes(self) -> list[str]:
        return [f"cpu is modelled, not measured: {self._watts} W for each second of processor time"]

    @property
    def details(self) -> dict[str, object]:
        return {
            "cpu": {"processor_seconds": self._used, "watts_per_core": self._watts, "watts_per_core_from": self._from}
        }

    def begin(self) -> None:
        self._begun = self._seconds()
        self._used = 0.0

    def poll(self) -> None:
        self._used = self._seconds() - self._begun

    def end(self) -> None:
        """Nothing to give back."""
