"""The GPU's meters, and connections that a trial refuses."""

from __future__ import annotations

from pathlib import Path

from tests.trial.tracking.tracked import rehearsed

# what `pynvml` has, as far as this test needs it: without a GPU, its calls fail
PYNVML = """
class NVMLError(Exception):
    pass

class c_nvmlMemory_t:
    pass

def _fails(*arguments):
    raise NVMLError("no driver")

nvmlInit = nvmlShutdown = nvmlDeviceGetHandleByIndex = nvmlDeviceGetPowerUsage = _fails
nvmlDeviceGetTotalEnergyConsumption = nvmlDeviceGetMemoryInfo = nvmlDeviceGetVbiosVersion = _fails
"""

READS_METERS = """
import json
import pynvml

def told(call):
    try:
        return call()
    except pynvml.NVMLError as error:
        return f"NVMLError: {error}"

out = {"too early": told(lambda: pynvml.nvmlDeviceGetHandleByIndex(0))}
out["begun"] = told(pynvml.nvmlInit)
if out["begun"] is None:
    device = pynvml.nvmlDeviceGetHandleByIndex(0)
    out["watts"] = pynvml.nvmlDeviceGetPowerUsage(device) / 1000
    before = pynvml.nvmlDeviceGetTotalEnergyConsumption(device)
    out["grows"] = pynvml.nvmlDeviceGetTotalEnergyConsumption(device) >= before
    out["memory"] = pynvml.nvmlDeviceGetMemoryInfo(device).total
    out["second"] = told(lambda: pynvml.nvmlDeviceGetHandleByIndex(1))
    out["not stood in for"] = told(lambda: pynvml.nvmlDeviceGetVbiosVersion(device))
    pynvml.nvmlShutdown()
    out["too late"] = told(lambda: pynvml.nvmlDeviceGetPowerUsage(device))
print(json.dumps(out))
"""


def test_one_gpu_with_plausible_meters(tmp_path: Path) -> None:
    told = rehearsed(tmp_path, READS_METERS, files={"pynvml.py": PYNVML})
    said = told.answers
    assert 100 < said["watts"] < 400
    assert said["grows"]
    assert said["memory"] == 80 * 2**30
    for name in ("too early", "second", "too late", "not stood in for"):
        assert said[name].startswith("NVMLError"), name
    assert "pynvml.nvmlDeviceGetPowerUsage" in {event["op"] for event in told.of("cuda")}


def test_without_the_mapping_of_cuda_there_is_no_gpu(tmp_path: Path) -> None:
    told = rehearsed(tmp_path, READS_METERS, files={"pynvml.py": PYNVML}, cuda=False)
    assert told.answers["begun"] == "NVMLError: no driver"


ASKS_AROUND = """
import json, socket, threading, urllib.request
import urllib3

def told(call):
    try:
        return call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"

out = {"by name": told(lambda: urllib.request.urlopen("http://example.org/x"))}
out["by address"] = told(lambda: socket.create_connection(("192.0.2.1", 80), timeout=5))
out["in vain again"] = told(lambda: urllib.request.urlopen("http://example.org/x"))
server = socket.create_server(("127.0.0.1", 0))
out["at home"] = told(lambda: socket.create_connection(server.getsockname()).getpeername()[0])
out["own name"] = told(lambda: len(socket.getaddrinfo(socket.gethostname(), 80)) > 0)
out["own address"] = told(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.0.2.1", 80)))
print(json.dumps(out))
"""


def test_other_machines_are_refused_at_once_and_told(tmp_path: Path) -> None:
    told = rehearsed(tmp_path, ASKS_AROUND, files={"urllib3.py": ""})
    said = told.answers
    assert said["by name"].startswith("URLError")
    assert "this trial has no network" in said["by name"]
    assert said["by address"].startswith("OSError")
    assert "this trial has no network" in said["by address"]
    assert said["at home"] == "127.0.0.1"
    hosts = [(event["host"], event["frames"][-1][1]) for event in told.of("network")]
    assert hosts == [("example.org", 11), ("192.0.2.1", 12), ("example.org", 13)]
