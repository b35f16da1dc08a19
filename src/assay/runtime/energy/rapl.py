"""Energy of processor packages and their memory from RAPL, through the kernel's powercap files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from assay.runtime.energy.part import NotMeasurableError, Part

POWERCAP = Path("/sys/class/powercap")

# A counter runs over at max_energy_range_uj, 65 kJ or more where the unit is 15.3 uJ or coarser (Intel SDM, volume 3B,
# "RAPL interfaces"): more than two minutes at 500 W, so that a poll every ten seconds misses no wrap.
_LONGEST_GAP = 10.0


@dataclass
class _Zone:
    counter: Path
    range: int
    latest: int = 0
    microjoules: int = 0

    def read(self) -> int:
        return int(self.counter.read_text())

    def poll(self) -> None:
        now = self.read()
        # the counter starts again at 0 after its range (Documentation/power/powercap/powercap.rst)
        self.microjoules += now - self.latest if now >= self.latest else now - self.latest + self.range
        self.latest = now


class PackageCounters:
    """Reads the energy counters of the processor packages, and of their memory where it has its own.

    `package-N` zones hold cores and graphics, which have zones below them that are left out for that reason; `dram`
    lies beside the package. `psys` holds the whole board and `intel-rapl-mmio` the same packages once more: left out
    too. The counters are the machine's: other programs and idle cores are in them.

    Args:
        powercap: Folder of the kernel's powercap class.
    """

    longest_gap: float | None = _LONGEST_GAP

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._powercap = powercap
        self._zones: dict[str, _Zone] = {}
        self.missing: dict[str, str] = {}
        self.notes: list[str] = []

    @property
    def parts(self) -> dict[str, Part]:
        return {name: Part(zone.microjoules / 1e6, "rapl") for name, zone in self._zones.items()}

    @property
    def details(self) -> dict[str, object]:
        return {name: str(zone.counter) for name, zone in self._zones.items()}

    def begin(self) -> None:
        self.missing, self._zones = {}, {}
        try:
            zones = {
                folder.name: (folder / "name").read_text().strip() for folder in self._powercap.glob("intel-rapl:*")
            }
            for zone, name in sorted(zones.items()):
                if name.startswith("package"):
                    self._add(f"cpu:{name}", zone)
                elif name == "dram":
                    self._add(f"dram:{zones.get(zone.rpartition(':')[0], zone)}", zone)
        except PermissionError as error:
            raise NotMeasurableError(
                "RAPL is for root only (since Linux 5.10, CVE-2020-8694): the owner of the machine can make "
                f"{error.filename} readable"
            ) from error
        except (OSError, ValueError) as error:
            raise NotMeasurableError(f"RAPL cannot be read: {error}") from error
        if not any(name.startswith("cpu:") for name in self._zones):
            raise NotMeasurableError(f"there is no RAPL counter of a processor in {self._powercap}")

    def _add(self, name: str, zone: str) -> None:
        folder = self._powercap / zone
        counter = _Zone(folder / "energy_uj", int((folder / "max_energy_range_uj").read_text()))
        counter.latest = counter.read()
        self._zones[name] = counter

    def poll(self) -> None:
        for name, zone in list(self._zones.items()):
            try:
                zone.poll()
            except (OSError, ValueError) as error:
                del self._zones[name]
                self.missing[name] = f"its counter could not be read any more: {error}"

    def end(self) -> None:
        """Nothing to give back."""
