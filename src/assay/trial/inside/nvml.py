"""Stands in for NVML, the library that reads a GPU's meters: one device, with plausible numbers, in NVML's own units.

Only where CUDA calls are led to the CPU as well (setting `cuda`). Functions that are not here stay the library's and
fail as on a machine without a GPU. Units: NVIDIA's NVML API reference.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from . import events, settings

# an accelerator of 80 GB with some work to do
NAME = "NVIDIA A100-SXM4-80GB"
UUID = "GPU-00000000-0000-0000-0000-000000000000"
TOTAL = 80 * 2**30
USED = 12 * 2**30
# milliwatts
POWER = 250_000
POWER_LIMIT = 400_000

_users = 0
_began = time.monotonic()


def install(module: Any) -> None:
    """Replace the functions of `pynvml` that experiments read meters with."""
    if not settings.get("cuda", False):
        return
    for name, function in _functions(module).items():
        real = getattr(module, name, None)
        if callable(real):
            setattr(module, name, _told(name, real, function))


def _functions(module: Any) -> dict[str, Callable[..., Any]]:
    def init(*arguments: Any) -> None:
        global _users
        _users += 1

    def shutdown() -> None:
        global _users
        _ready(module)
        _users -= 1

    def handle(index: Any = 0) -> str:
        _ready(module)
        if isinstance(index, int) and index != 0:
            raise module.NVMLError(getattr(module, "NVML_ERROR_INVALID_ARGUMENT", 2))
        return UUID

    def given(value: Callable[[], Any]) -> Callable[..., Any]:
        def read(device: Any = None, *arguments: Any, **keywords: Any) -> Any:
            _ready(module)
            return value()

        return read

    memory = functools.partial(_filled, module, "c_nvmlMemory_t", total=TOTAL, free=TOTAL - USED, used=USED)
    return {
        "nvmlInit": init,
        "nvmlInit_v2": init,
        "nvmlInitWithFlags": init,
        "nvmlShutdown": shutdown,
        "nvmlDeviceGetHandleByIndex": handle,
        "nvmlDeviceGetHandleByIndex_v2": handle,
        "nvmlDeviceGetHandleByUUID": lambda uuid: handle(),
        "nvmlDeviceGetHandleByPciBusId": lambda bus: handle(),
        "nvmlDeviceGetCount": given(lambda: 1),
        "nvmlDeviceGetCount_v2": given(lambda: 1),
        "nvmlDeviceGetName": given(lambda: NAME),
        "nvmlDeviceGetUUID": given(lambda: UUID),
        "nvmlDeviceGetIndex": given(lambda: 0),
        "nvmlDeviceGetPowerUsage": given(_power),
        "nvmlDeviceGetTotalEnergyConsumption": given(_energy),
        "nvmlDeviceGetEnforcedPowerLimit": given(lambda: POWER_LIMIT),
        "nvmlDeviceGetPowerManagementLimit": given(lambda: POWER_LIMIT),
        "nvmlDeviceGetPowerManagementDefaultLimit": given(lambda: POWER_LIMIT),
        "nvmlDeviceGetPowerManagementLimitConstraints": given(lambda: [100_000, POWER_LIMIT]),
        "nvmlDeviceGetMemoryInfo": given(memory),
        "nvmlDeviceGetUtilizationRates": given(
            functools.partial(_filled, module, "c_nvmlUtilization_t", gpu=60, memory=25)
        ),
        # degrees Celsius, then percent, then megahertz
        "nvmlDeviceGetTemperature": given(lambda: 55),
        "nvmlDeviceGetFanSpeed": given(lambda: 40),
        "nvmlDeviceGetClockInfo": given(lambda: 1410),
        "nvmlDeviceGetMaxClockInfo": given(lambda: 1410),
        "nvmlDeviceGetPerformanceState": given(lambda: 0),
        "nvmlDeviceGetComputeRunningProcesses": given(list),
        "nvmlDeviceGetGraphicsRunningProcesses": given(list),
        "nvmlDeviceGetCudaComputeCapability": given(lambda: (8, 0)),
        "nvmlDeviceGetPersistenceMode": given(lambda: 1),
        "nvmlSystemGetDriverVersion": given(lambda: "550.54.15"),
        "nvmlSystemGetNVMLVersion": given(lambda: "12.550.54.15"),
        "nvmlSystemGetCudaDriverVersion": given(lambda: 12_040),
    }


def _told(name: str, real: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def call(*arguments: Any, **keywords: Any) -> Any:
        events.emit_once(("nvml", name), "cuda", op=f"pynvml.{name}", frames=events.own_frames())
        return function(*arguments, **keywords)

    return call


def _ready(module: Any) -> None:
    if _users <= 0:
        raise module.NVMLError(getattr(module, "NVML_ERROR_UNINITIALIZED", 1))


def _power() -> int:
    """Milliwatts; changes by a few watts, as a meter does."""
    return POWER + int((time.monotonic() - _began) * 1000) % 5_000


def _energy() -> int:
    """Millijoules since the driver was loaded, growing with time."""
    return 1_000_000 + int((time.monotonic() - _began) * POWER)


def _filled(module: Any, structure: str, **values: int) -> Any:
    made = getattr(module, structure)()
    for name, value in values.items():
        setattr(made, name, value)
    return made
