"""Energy is measured where a counter tells, modelled and called so where none does, and never confused."""

from __future__ import annotations

import inspect
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from assay.runtime.energy import EnergyMeter, Part
from assay.runtime.energy.modelled import default_watts, processor_seconds
from assay.runtime.energy.nvml import visible
from assay.runtime.errors import ExperimentError

pynvml = pytest.importorskip("pynvml")

UUIDS = ["GPU-aaaa1111-0000", "GPU-aaaa2222-0000", "GPU-bbbb3333-0000"]


class Board:
    """What one GPU's sensors say, as a test sets it."""

    def __init__(
        self, uuid: str | bytes, *, name: str | bytes = "NVIDIA H200", counter: bool = True, mig: bool | None = False
    ) -> None:
        self.uuid = uuid
        self.name = name
        self.counter = counter
        self.mig = mig
        self.millijoules = 5_000_000
        self.milliwatts: int | None = 100_000
        self.lost = False


class Nvml:
    """Stands for a machine with GPUs: the functions of pynvml that are used, by their names, with its own errors."""

    NVMLError = pynvml.NVMLError
    NVMLError_NotSupported = pynvml.NVMLError_NotSupported

    def __init__(self, *boards: Board, driver: bool = True) -> None:
        self.boards = boards
        self.driver = driver
        self.opened = 0

    def nvmlInit(self):  # noqa: N802
        if not self.driver:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
        self.opened += 1

    def nvmlShutdown(self):  # noqa: N802
        self.opened -= 1

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.boards)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return self.boards[index]

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802
        return handle.uuid

    def nvmlDeviceGetName(self, handle):  # noqa: N802
        return handle.name

    def nvmlDeviceGetMigMode(self, handle):  # noqa: N802
        if handle.mig is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return [int(handle.mig), 0]

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        assert self.opened
        if not handle.counter:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        if handle.lost:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
        return handle.millijoules

    def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802
        if handle.milliwatts is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return handle.milliwatts


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def machine(tmp_path, clock):
    """Makes a meter for a machine without GPUs and RAPL, as far as a test does not give it some."""

    def make(source="auto", nvml=None, **given):
        options = {
            "nvml": nvml or Nvml(),
            "powercap": tmp_path / "powercap",
            "environment": {},
            "clock": clock,
            "poll_in_background": False,
            "synchronize": lambda: None,
        }
        return EnergyMeter(source, **(options | given))

    return make


class Zones:
    """A powercap folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def set(self, zone: str, name: str, microjoules: int, largest: int = 262_143_328_850) -> None:
        folder = self.root / zone
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "energy_uj").write_text(f"{microjoules}\n")
        (folder / "max_energy_range_uj").write_text(f"{largest}\n")


@pytest.fixture
def zones(tmp_path):
    return Zones(tmp_path / "powercap")


# ---- GPUs


def test_the_stand_in_has_the_functions_of_nvml():
    for name in dir(Nvml):
        if name.startswith("nvml"):
            real = inspect.signature(getattr(pynvml, name)).parameters
            assert len(real) == len(inspect.signature(getattr(Nvml(), name)).parameters), name


def test_a_gpu_is_read_from_its_counter_in_joules(machine, clock):
    board = Board(UUIDS[0])
    nvml = Nvml(board)
    with machine("nvml", nvml) as meter:
        board.millijoules += 12_345
        clock.now += 30
    assert meter.parts == {"gpu:0": (12.345, "nvml")}
    assert (meter.joules, meter.source, meter.seconds) == (12.345, "nvml", 30.0)
    assert (meter.notes, meter.missing) == ([], {})
    assert nvml.opened == 0
    assert meter.record()["details"]["gpu:0"] == {
        "device": "NVIDIA H200",
        "uuid": UUIDS[0],
        "read": "energy counter",
    }


def test_what_comes_after_the_stretch_does_not_count(machine, clock):
    board = Board(UUIDS[0])
    with machine("nvml", Nvml(board)) as meter:
        board.millijoules += 1000
        clock.now += 2
    board.millijoules += 1000
    clock.now += 2
    assert (meter.joules, meter.seconds) == (1.0, 2.0)


def test_numbers_can_be_read_on_the_way(machine, clock):
    board = Board(UUIDS[0])
    with machine("nvml", Nvml(board)) as meter:
        board.millijoules += 1000
        assert meter.joules == 1.0
        board.millijoules += 500
        assert meter.joules == 1.5


def test_a_meter_begins_from_zero_each_time(machine, clock):
    board = Board(UUIDS[0])
    meter = machine("nvml", Nvml(board))
    for _ in range(2):
        with meter:
            board.millijoules += 1000
            clock.now += 3
        assert (meter.joules, meter.seconds) == (1.0, 3.0)


def test_a_meter_runs_once_at_a_time(machine):
    with machine() as meter, pytest.raises(ExperimentError, match="runs already"):
        meter.start()


def test_stopping_twice_changes_nothing(machine, clock):
    nvml = Nvml(Board(UUIDS[0]))
    meter = machine("nvml", nvml).start()
    clock.now += 2
    meter.stop()
    clock.now += 2
    assert meter.stop().seconds == 2.0
    assert nvml.opened == 0


def test_queued_work_is_waited_for_before_both_readings(machine, clock):
    board = Board(UUIDS[0])

    def synchronize():
        board.millijoules += 700

    with machine("nvml", Nvml(board), synchronize=synchronize) as meter:
        clock.now += 2
    assert meter.joules == 0.7


def test_pytorch_is_asked_to_wait_where_it_has_used_cuda(machine, monkeypatch):
    waited = []
    cuda = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, synchronize=lambda: waited.append("synchronize")
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with machine(synchronize=None):
        assert len(waited) == 1
    assert len(waited) == 2
    cuda.is_initialized = lambda: False
    with machine(synchronize=None):
        pass
    assert len(waited) == 2


@pytest.mark.parametrize(("seconds", "noted"), [(0.99, True), (1.0, False)])
def test_a_stretch_under_a_second_is_called_imprecise(machine, clock, seconds, noted):
    clock.now = 0.0
    with machine("nvml", Nvml(Board(UUIDS[0]))) as meter:
        clock.now = seconds
    assert any("imprecise" in note for note in meter.notes) is noted


def test_an_older_board_is_integrated_from_its_power(machine, clock):
    board = Board(UUIDS[0], counter=False, mig=None)
    meter = machine("nvml", Nvml(board)).start()
    assert meter.longest_gap == 0.1
    for seconds, milliwatts in ((1.0, 200_000), (0.5, 200_000), (2.0, 50_000)):
        clock.now += seconds
        board.milliwatts = milliwatts
        meter.poll()
    meter.stop()
    # trapezoids: (100 + 200) / 2 * 1 + 200 * 0.5 + (200 + 50) / 2 * 2
    assert meter.parts == {"gpu:0": (500.0, "nvml")}
    assert "sampled" in meter.record()["details"]["gpu:0"]["read"]


def test_power_is_sampled_in_the_background(machine):
    sampled = threading.Event()

    class Watched(Nvml):
        def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802
            if threading.current_thread() is not threading.main_thread():
                sampled.set()
            return super().nvmlDeviceGetPowerUsage(handle)

    with machine("nvml", Watched(Board(UUIDS[0], counter=False)), poll_in_background=True):
        assert sampled.wait(60)
    assert "assay-energy" not in [thread.name for thread in threading.enumerate()]


def test_a_board_without_any_sensor_is_missing(machine, clock):
    first, second = Board(UUIDS[0]), Board(UUIDS[1], counter=False)
    second.milliwatts = None
    with machine("nvml", Nvml(first, second)) as meter:
        clock.now += 2
    assert list(meter.parts) == ["gpu:0"]
    assert "neither its energy nor its power" in meter.missing["gpu:1"]


def test_a_board_that_is_lost_on_the_way_is_missing(machine, clock):
    first, second = Board(UUIDS[0]), Board(UUIDS[1])
    with machine("nvml", Nvml(first, second)) as meter:
        clock.now += 2
        first.millijoules += 3000
        second.lost = True
    assert meter.parts == {"gpu:0": (3.0, "nvml")}
    assert "not be measured to the end" in meter.missing["gpu:1"]


def test_a_counter_that_falls_is_not_believed(machine, clock):
    board = Board(UUIDS[0])
    with machine("nvml", Nvml(board)) as meter:
        clock.now += 2
        board.millijoules = 10
    assert meter.parts == {}
    assert "loaded anew" in meter.missing["gpu:0"]
    assert meter.source == ""


@pytest.mark.parametrize(
    ("variable", "indices"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        ("2,0", [2, 0]),
        (" 1 , 2 ", [1, 2]),
        ("0,-1,2", [0]),
        ("1,3,2", [1]),
        ("0,0", []),
        ("GPU-bbbb3333-0000", [2]),
        ("GPU-bbbb", [2]),
        ("GPU-aaaa", []),
        ("GPU-aaaa2,0", [1, 0]),
        ("GPU-cccc", []),
        ("MIG-1234,0", [None, 0]),
    ],
)
def test_the_visible_gpus_are_those_that_cuda_sees(variable, indices):
    found = visible(variable, UUIDS)
    assert [gpu.index for gpu in found] == indices
    assert [gpu.name for gpu in found] == [f"gpu:{number}" for number in range(len(indices))]


def test_only_visible_gpus_are_read_and_named_as_the_program_does(machine, clock):
    boards = [Board(uuid) for uuid in UUIDS]
    with machine("nvml", Nvml(*boards), environment={"CUDA_VISIBLE_DEVICES": "2,0"}) as meter:
        clock.now += 2
        for board, millijoules in zip(boards, (1000, 2000, 4000), strict=True):
            board.millijoules += millijoules
    assert meter.parts == {"gpu:0": (4.0, "nvml"), "gpu:1": (1.0, "nvml")}
    assert meter.record()["details"]["gpu:0"]["uuid"] == UUIDS[2]


def test_the_gpus_that_are_read_can_be_named(machine, clock):
    boards = [Board(uuid) for uuid in UUIDS]
    with machine("nvml", Nvml(*boards), gpus=[1, 5]) as meter:
        clock.now += 2
        boards[1].millijoules += 1000
    assert meter.parts == {"gpu:1": (1.0, "nvml")}
    assert meter.missing == {"gpu:5": "this process sees 3 GPUs"}


def test_a_slice_is_missing_rather_than_charged_the_board(machine, clock):
    boards = [Board(UUIDS[0], mig=True), Board(UUIDS[1])]
    with machine(nvml=Nvml(*boards), environment={"CUDA_VISIBLE_DEVICES": "0,MIG-77,1"}) as meter:
        clock.now += 2
    assert "gpu:2" in meter.parts
    assert "MIG" in meter.missing["gpu:0"]
    assert "MIG-77" in meter.missing["gpu:1"]


def test_slices_alone_cannot_be_measured_by_nvml(machine):
    nvml = Nvml(Board(UUIDS[0], mig=True))
    with pytest.raises(ExperimentError, match=r"cannot be measured by nvml: gpu:0: it is divided \(MIG\)"):
        machine("nvml", nvml).start()
    assert nvml.opened == 0


@pytest.mark.parametrize(("order", "noted"), [({}, True), ({"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, False)])
def test_different_boards_may_be_numbered_differently(machine, order, noted):
    nvml = Nvml(Board(UUIDS[0]), Board(UUIDS[1], name="NVIDIA T4"))
    with machine("nvml", nvml, environment=order) as meter:
        assert any("CUDA_DEVICE_ORDER" in note for note in meter.notes) is noted


def test_bytes_of_older_bindings_are_read(machine):
    board = Board(UUIDS[0].encode(), name=b"Tesla V100")
    with machine("nvml", Nvml(board), environment={"CUDA_VISIBLE_DEVICES": UUIDS[0]}) as meter:
        assert meter.record()["details"]["gpu:0"]["device"] == "Tesla V100"


@pytest.mark.parametrize(
    ("nvml", "text"), [(Nvml(driver=False), "NVML does not answer"), (Nvml(), "no GPU is visible")]
)
def test_no_gpu_is_an_error_only_where_gpus_were_asked_for(machine, nvml, text):
    with pytest.raises(ExperimentError, match=f"cannot be measured by nvml: {text}"):
        machine("nvml", nvml).start()
    with machine("auto", nvml) as meter:
        assert list(meter.parts) == ["cpu"]
    assert any(text in note for note in meter.notes)
    assert nvml.opened == 0


# ---- processor packages


def test_packages_and_their_memory_are_read_and_nothing_twice(machine, zones, clock):
    layout = {
        "intel-rapl:0": "package-0",
        "intel-rapl:0:0": "core",
        "intel-rapl:0:1": "uncore",
        "intel-rapl:0:2": "dram",
        "intel-rapl:1": "package-1",
        "intel-rapl:2": "psys",
        "intel-rapl-mmio:0": "package-5",
    }
    for zone, name in layout.items():
        zones.set(zone, name, 1_000_000)
    with machine("rapl") as meter:
        for place, (zone, name) in enumerate(layout.items()):
            zones.set(zone, name, 1_000_000 + 10**place * 1_000_000)
        clock.now += 5
    assert meter.parts == {
        "cpu:package-0": (1.0, "rapl"),
        "dram:package-0": (1000.0, "rapl"),
        "cpu:package-1": (10_000.0, "rapl"),
    }
    assert (meter.joules, meter.source) == (11_001.0, "rapl")


def test_a_counter_may_run_over_several_times(machine, zones):
    zones.set("intel-rapl:0", "package-0", 900, largest=1000)
    meter = machine("rapl").start()
    assert meter.longest_gap == 10.0
    for reading in (100, 700, 50, 50):
        zones.set("intel-rapl:0", "package-0", reading, largest=1000)
        meter.poll()
    assert meter.stop().joules == pytest.approx((200 + 600 + 350) / 1e6)


def test_a_counter_that_goes_away_is_missing(machine, zones):
    zones.set("intel-rapl:0", "package-0", 0)
    zones.set("intel-rapl:1", "package-1", 0)
    with machine("rapl") as meter:
        (zones.root / "intel-rapl:1" / "energy_uj").unlink()
    assert list(meter.parts) == ["cpu:package-0"]
    assert "any more" in meter.missing["cpu:package-1"]


@pytest.mark.parametrize("what", ["nothing", "only psys", "broken"])
def test_without_a_readable_package_the_processor_is_modelled(machine, zones, what):
    if what == "only psys":
        zones.set("intel-rapl:0", "psys", 0)
    if what == "broken":
        zones.set("intel-rapl:0", "package-0", 0)
        (zones.root / "intel-rapl:0" / "energy_uj").write_text("")
    with pytest.raises(ExperimentError, match=r"cannot be measured by rapl: .*RAPL"):
        machine("rapl").start()
    with machine() as meter:
        pass
    assert list(meter.parts) == ["cpu"]
    assert meter.source == "modelled"
    assert any("RAPL" in note for note in meter.notes)


def test_counters_for_root_only_are_said_and_the_processor_modelled():
    folder = Path(tempfile.mkdtemp())  # tmp_path lies in a folder that another user may not enter
    try:
        folder.chmod(0o755)
        Zones(folder).set("intel-rapl:0", "package-0", 0)
        (folder / "intel-rapl:0" / "energy_uj").chmod(0o400 if os.getuid() == 0 else 0)
        program = (
            "import json, os, sys\n"
            "from pathlib import Path\n"
            "from assay.runtime.energy import EnergyMeter\n"
            "meter = EnergyMeter(nvml=None, powercap=Path(sys.argv[1]), environment={'CUDA_VISIBLE_DEVICES': ''})\n"
            "if os.getuid() == 0:\n"
            "    os.setuid(65534)\n"
            "with meter:\n"
            "    pass\n"
            "print(json.dumps(meter.record()))\n"
        )
        done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    finally:
        shutil.rmtree(folder)
    record = json.loads(done.stdout)
    assert record["source"] == "modelled"
    assert list(record["parts"]) == ["cpu"]
    (note,) = [note for note in record["notes"] if "RAPL" in note]
    assert "CVE-2020-8694" in note
    assert note.endswith(f"{folder}/intel-rapl:0/energy_uj readable")


# ---- the model


def test_a_model_is_processor_seconds_times_watts(machine):
    used = iter([10.0, 14.0, 14.0, 14.0, 14.0, 14.0])
    with machine("modelled", watts_per_core=2.5, seconds_of_processor=lambda: next(used)) as meter:
        pass
    assert meter.parts == {"cpu": (10.0, "modelled")}
    assert meter.record()["details"]["cpu"] == {
        "processor_seconds": 4.0,
        "watts_per_core": 2.5,
        "watts_per_core_from": "given",
    }
    assert meter.notes == ["cpu is modelled, not measured: 2.5 W for each second of processor time"]


def test_the_default_watts_are_those_of_the_table(machine):
    watts, source = default_watts()
    assert watts == pytest.approx((3.5 + 4.26 + 3.76) / 3)
    assert "cloudcarbonfootprint" in source
    used = iter([0.0, 1.0])
    with machine("modelled", seconds_of_processor=lambda: next(used, 1.0)) as meter:
        pass
    assert meter.joules == watts
    assert meter.record()["details"]["cpu"]["watts_per_core_from"] == source


def test_the_time_of_a_child_counts_once_it_has_ended(machine):
    before = processor_seconds()
    with machine("modelled", watts_per_core=1.0) as meter:
        child = os.posix_spawn(sys.executable, [sys.executable, "-c", "sum(range(3_000_000))"], dict(os.environ))
        usage = os.wait4(child, 0)[2]
    of_child = usage.ru_utime + usage.ru_stime
    assert of_child > 0
    assert of_child * 0.99 <= meter.joules <= processor_seconds() - before


def test_the_time_of_this_process_counts(machine):
    before = resource.getrusage(resource.RUSAGE_SELF)
    with machine("modelled", watts_per_core=1.0) as meter:
        while resource.getrusage(resource.RUSAGE_SELF).ru_utime < before.ru_utime + 0.02:
            sum(range(1000))
    assert meter.joules > 0.0


@pytest.mark.parametrize("watts", [0, -1.0, float("nan"), float("inf"), "5", True])
def test_watts_that_are_none_are_refused(watts):
    with pytest.raises(ExperimentError, match="watts_per_core") as caught:
        EnergyMeter(watts_per_core=watts)
    assert caught.value.status == 2


# ---- the total


def test_a_total_with_a_modelled_part_is_called_modelled(machine, clock):
    board = Board(UUIDS[0])
    used = iter([0.0])
    with machine(nvml=Nvml(board), watts_per_core=4.0, seconds_of_processor=lambda: next(used, 2.0)) as meter:
        board.millijoules += 1000
        clock.now += 2
    assert meter.parts == {"gpu:0": Part(1.0, "nvml"), "cpu": Part(8.0, "modelled")}
    assert (meter.joules, meter.source) == (9.0, "modelled")


def test_a_total_of_measured_parts_names_both_sources(machine, zones, clock):
    board = Board(UUIDS[0])
    zones.set("intel-rapl:0", "package-0", 0)
    with machine(nvml=Nvml(board)) as meter:
        board.millijoules += 1000
        zones.set("intel-rapl:0", "package-0", 2_000_000)
        clock.now += 2
    assert (meter.joules, meter.source) == (3.0, "nvml+rapl")


@pytest.mark.parametrize(("source", "parts"), [("nvml", ["gpu:0"]), ("rapl", ["cpu:package-0"]), ("modelled", ["cpu"])])
def test_one_source_alone_reads_its_parts_alone(machine, zones, source, parts):
    zones.set("intel-rapl:0", "package-0", 0)
    with machine(source, Nvml(Board(UUIDS[0]))) as meter:
        pass
    assert list(meter.parts) == parts
    assert meter.source == source


def test_an_unknown_source_is_refused():
    with pytest.raises(ExperimentError, match="auto, nvml, rapl or modelled"):
        EnergyMeter("battery")  # type: ignore[arg-type]


def test_a_record_is_json_and_says_everything(machine, clock):
    with machine(nvml=Nvml(Board(UUIDS[0], mig=True))) as meter:
        clock.now += 2
    record = json.loads(json.dumps(meter.record()))
    assert set(record) == {"joules", "source", "seconds", "parts", "details", "missing", "notes"}
    assert record["seconds"] == 2.0
    assert record["parts"]["cpu"]["source"] == "modelled"
    assert list(record["missing"]) == ["gpu:0"]


def test_a_machine_as_it_is_gives_numbers():
    with EnergyMeter() as meter:
        sum(range(100_000))
    assert meter.joules >= 0.0
    assert meter.source in {"nvml", "rapl", "nvml+rapl", "modelled"}
