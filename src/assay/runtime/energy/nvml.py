"""Energy of NVIDIA GPUs from NVML: the board's own counter, or power sampled where a board has none."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from assay.runtime.energy.part import NotMeasurableError, Part

# Boards from before Volta have no counter (nvmlDeviceGetTotalEnergyConsumption: "Volta or newer"); their power is read
# this often, and changes about as fast.
SAMPLING = 0.1


class _Board(Protocol):
    @property
    def joules(self) -> float: ...

    def poll(self) -> None: ...


class _Counter:
    """A board's counter: millijoules since the driver was loaded."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._begun = self._latest = self._read()

    def _read(self) -> int:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))

    @property
    def joules(self) -> float:
        return (self._latest - self._begun) / 1e3

    def poll(self) -> None:
        now = self._read()
        if now < self._latest:
            raise NotMeasurableError("its counter fell: the driver was loaded anew")
        self._latest = now


class _SampledPower:
    """The integral of a board's power over time, by the trapezoidal rule."""

    def __init__(self, nvml: Any, handle: Any, clock: Callable[[], float]) -> None:
        self._nvml = nvml
        self._handle = handle
        self._clock = clock
        self._when, self._watts = clock(), self._read()
        self.joules = 0.0

    def _read(self) -> float:
        return float(self._nvml.nvmlDeviceGetPowerUsage(self._handle)) / 1e3

    def poll(self) -> None:
        when, watts = self._clock(), self._read()
        if when > self._when:
            self.joules += (when - self._when) * (self._watts + watts) / 2
        self._when, self._watts = when, watts


@dataclass(frozen=True)
class _Visible:
    name: str
    index: int | None
    reason: str = ""


class GpuCounters:
    """Reads the energy of the GPUs that this process can see.

    They are named as the program numbers them: `gpu:0` is `cuda:0`. The counters are the boards': other programs and
    idle time are in them. A MIG slice has no counter of its own, so it is missing rather than charged a whole board.

    Args:
        nvml: The module `pynvml` of nvidia-ml-py; None to import it.
        environment: Variables of the process, of which `CUDA_VISIBLE_DEVICES` and `CUDA_DEVICE_ORDER` are read.
        gpus: Numbers of the GPUs to read, as the program numbers them; None for all that it sees.
        clock: Gives seconds, for sampled power.
    """

    def __init__(
        self,
        nvml: Any,
        environment: Mapping[str, str],
        gpus: Sequence[int] | None,
        clock: Callable[[], float],
    ) -> None:
        self._nvml = nvml
        self._environment = environment
        self._gpus = gpus
        self._clock = clock
        self._boards: dict[str, _Board] = {}
        self._open = False
        self.missing: dict[str, str] = {}
        self.notes: list[str] = []
        self.details: dict[str, object] = {}

    @property
    def longest_gap(self) -> float | None:
        return SAMPLING if any(isinstance(board, _SampledPower) for board in self._boards.values()) else None

    @property
    def parts(self) -> dict[str, Part]:
        return {name: Part(board.joules, "nvml") for name, board in self._boards.items()}

    def begin(self) -> None:
        if self._nvml is None:
            try:
                self._nvml = importlib.import_module("pynvml")
            except ImportError as error:
                raise NotMeasurableError(
                    "GPUs cannot be measured without nvidia-ml-py (pip install 'assay[runtime]')"
                ) from error
        self._boards, self.missing, self.notes, self.details = {}, {}, [], {}
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            raise NotMeasurableError(f"NVML does not answer: {error}") from error
        self._open = True
        try:
            self._find()
        except self._nvml.NVMLError as error:
            self.end()
            raise NotMeasurableError(f"NVML does not answer: {error}") from error
        if not self._boards and not self.missing:
            self.end()
            raise NotMeasurableError("no GPU is visible to this process")

    def _find(self) -> None:
        uuids = [self._uuid(index) for index in range(self._nvml.nvmlDeviceGetCount())]
        seen = visible(self._environment.get("CUDA_VISIBLE_DEVICES"), uuids)
        for number, gpu in enumerate(seen):
            if self._gpus is not None and number not in self._gpus:
                continue
            if gpu.index is None:
                self.missing[gpu.name] = gpu.reason
                continue
            try:
                self._add(gpu.name, gpu.index, uuids[gpu.index])
            except self._nvml.NVMLError as error:
                self.missing[gpu.name] = f"NVML gives neither its energy nor its power: {error}"
        for number in self._gpus or ():
            if not 0 <= number < len(seen):
                self.missing[f"gpu:{number}"] = f"this process sees {len(seen)} GPUs"
        self._warn_of_order(len(uuids))

    def _uuid(self, index: int) -> str:
        return _text(self._nvml.nvmlDeviceGetUUID(self._nvml.nvmlDeviceGetHandleByIndex(index)))

    def _add(self, name: str, index: int, uuid: str) -> None:
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        if self._is_sliced(handle):
            self.missing[name] = "it is divided (MIG): NVML measures the board, not the slice that this process uses"
            return
        try:
            self._boards[name] = _Counter(nvml, handle)
            read = "energy counter"
        except nvml.NVMLError_NotSupported:
            self._boards[name] = _SampledPower(nvml, handle, self._clock)
            read = f"power, sampled every {SAMPLING} s"
        self.details[name] = {"device": _text(nvml.nvmlDeviceGetName(handle)), "uuid": uuid, "read": read}

    def _is_sliced(self, handle: Any) -> bool:
        try:
            current, _ = self._nvml.nvmlDeviceGetMigMode(handle)
        except self._nvml.NVMLError:
            return False  # a board that knows no MIG
        return bool(current)

    def _warn_of_order(self, count: int) -> None:
        names = {str(detail["device"]) for detail in self.details.values() if isinstance(detail, dict)}
        if count > 1 and len(names) > 1 and self._environment.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
            self.notes.append(
                "the GPUs differ and CUDA_DEVICE_ORDER is not PCI_BUS_ID, so CUDA may number them in another order "
                "than NVML: set it, or name the GPUs by UUID in CUDA_VISIBLE_DEVICES"
            )

    def poll(self) -> None:
        for name, board in list(self._boards.items()):
            try:
                board.poll()
            except (NotMeasurableError, self._nvml.NVMLError) as error:
                del self._boards[name]
                self.missing[name] = f"it could not be measured to the end: {error}"

    def end(self) -> None:
        if self._open:
            self._open = False
            self._nvml.nvmlShutdown()


def visible(variable: str | None, uuids: Sequence[str]) -> list[_Visible]:
    """The GPUs that a process sees, in the order in which it numbers them.

    As CUDA reads `CUDA_VISIBLE_DEVICES` (CUDA programming guide, "CUDA environment variables"): numbers or beginnings
    of UUIDs between commas, up to the first one that means no device; named twice means none at all.

    Args:
        variable: The variable's value, None where it is not set.
        uuids: UUIDs of the machine's GPUs, in NVML's order.

    Returns:
        One entry for each; `index` is its place in `uuids`, None where it cannot be measured.
    """
    if variable is None:
        return [_Visible(f"gpu:{index}", index) for index in range(len(uuids))]
    found: list[_Visible] = []
    for word in (word.strip() for word in variable.split(",")):
        name = f"gpu:{len(found)}"
        if word.startswith("MIG-"):
            found.append(_Visible(name, None, f"{word} is a slice (MIG), for which NVML has no energy counter"))
            continue
        index = _index(word, uuids)
        if index is None:
            break
        found.append(_Visible(name, index))
    indices = [gpu.index for gpu in found if gpu.index is not None]
    return found if len(set(indices)) == len(indices) else []


def _index(word: str, uuids: Sequence[str]) -> int | None:
    if word.isdecimal():
        return int(word) if int(word) < len(uuids) else None
    matching = [index for index, uuid in enumerate(uuids) if word.startswith("GPU-") and uuid.startswith(word)]
    return matching[0] if len(matching) == 1 else None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value  # bytes before nvidia-ml-py 12
