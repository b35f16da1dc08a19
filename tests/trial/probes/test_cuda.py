"""Programs for a GPU on a machine without one."""

from __future__ import annotations

import pytest
import torch

from tests.trial.inside.watched_run import Stage

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a machine with a GPU needs no mapping")

DEVICES = """\
import copy, pickle
import torch
from elsewhere import seen_by_a_library
assert torch.cuda.is_available() and torch.cuda.device_count() == 1 and not seen_by_a_library(torch)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
assert device.type == "cuda"
net = torch.nn.Linear(2, 1).to(device)
assert net.weight.device.type == "cpu"
net.cuda(); net.to("cuda:0", torch.float64).float(); net.to(0)
torch.nn.Linear(2, 2, device="cuda")
x = torch.ones(2, 2, device="cuda:0").cuda(non_blocking=True).to(device=device, non_blocking=True)
assert torch.zeros_like(x, device=device).sum() + torch.arange(2, device=0).sum() == 1
assert x.new_zeros(2, device=device).shape == (2,) and torch.tensor([1], device=device).item() == 1
assert torch.as_tensor([1.0], device=device).type(torch.cuda.FloatTensor).dtype == torch.float32
assert x.type("torch.cuda.HalfTensor").dtype == torch.float16
generator = torch.Generator(device="cuda").manual_seed(3)
assert isinstance(generator, torch.Generator) and torch.randn(2, generator=generator, device="cuda").shape == (2,)
assert isinstance(torch.Generator(), torch.Generator) and torch.Generator("cuda").device.type == "cpu"
torch.randperm(3, generator=torch.Generator(device))
with torch.device("cuda"):
    assert torch.ones(1).device.type == "cpu"
with torch.cuda.device(0), torch.cuda.stream(torch.cuda.Stream()):
    torch.cuda.current_stream().synchronize()
begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
begin.record(); end.record(); torch.cuda.synchronize()
assert begin.elapsed_time(end) >= 0
properties = torch.cuda.get_device_properties(0)
assert properties.total_memory > 2**30 and properties.major == 9 and "NVIDIA" in torch.cuda.get_device_name()
assert torch.cuda.get_device_properties(device).name == properties.name and properties.multi_processor_count
assert torch.cuda.max_memory_allocated() > 2**20 and torch.cuda.memory_allocated(device) > 2**20
torch.cuda.reset_peak_memory_stats(); torch.cuda.empty_cache(); torch.cuda.manual_seed_all(0); torch.cuda.manual_seed(1)
free, total = torch.cuda.mem_get_info()
assert free < total and torch.cuda.memory_stats()["allocated_bytes.all.peak"] > 0
torch.cuda.set_rng_state_all(torch.cuda.get_rng_state_all())
torch.save({"net": net.state_dict(), "device": device}, "kept.pt")
kept = torch.load("kept.pt", map_location="cuda", weights_only=False)
assert kept["device"] == device
torch.load("kept.pt", map_location={"cuda:0": "cuda:0"}, weights_only=False)
torch.load("kept.pt", device, weights_only=False)
torch.load("kept.pt", map_location=lambda storage, place: storage, weights_only=False)
assert pickle.loads(pickle.dumps(torch.load)) is torch.load and pickle.loads(pickle.dumps(device)) == device
copy.deepcopy(net)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), pin_memory=True)
next(iter(loader))
torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = True
torch.set_float32_matmul_precision("high")
assert torch.cuda.is_bf16_supported() and torch.cuda.get_device_capability()[0] >= 8
parallel = torch.nn.DataParallel(net)
assert parallel(x).shape == (2, 1)
assert x.to("cpu").pin_memory().is_pinned() is False
try:
    torch.ones(1).to("cuda:x")
except RuntimeError as error:
    print(type(error).__name__)
from torch.nn.attention import SDPBackend, sdpa_kernel
with sdpa_kernel(SDPBackend.EFFICIENT_ATTENTION):
    torch.nn.functional.scaled_dot_product_attention(*[torch.ones(1, 1, 2, 4)] * 3)
with sdpa_kernel([SDPBackend.FLASH_ATTENTION]):
    torch.nn.functional.scaled_dot_product_attention(*[torch.ones(1, 1, 2, 4)] * 3)
import os
torch.distributed.init_process_group("nccl", rank=0, world_size=1, init_method="file://" + os.getcwd() + "/group")
spread = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1).cuda(), device_ids=[0], output_device=0)
spread(x).sum().backward()
torch.distributed.destroy_process_group()
torch.set_default_device("cuda")
assert torch.nn.Linear(2, 2).weight.device.type == "cpu" and torch.ones(1).device.type == "cpu"
print("end")
"""
ELSEWHERE = "def seen_by_a_library(torch):\n    return torch.cuda.is_available() or torch.cuda.device_count()\n"


def test_what_is_asked_of_a_gpu_the_cpu_does(stage: Stage) -> None:
    # `.cache` belongs to nobody that wrote the submission
    stage.write({"train.py": DEVICES, ".cache/elsewhere.py": ELSEWHERE})
    ran = stage.run("train.py", variables={"PYTHONPATH": ".cache"})
    # gloo prints a line in some releases
    assert ran.status == 0, ran.errors
    assert ran.output.endswith("RuntimeError\nend\n")
    told = {event["op"]: event for event in ran.of("cuda")}
    assert {"is_available", "to", "cuda", "ones", "Generator", "load", "cuda.Event", "default device"} <= set(told)
    assert told["to"]["device"] == "cuda"
    assert told["to"]["frames"] == [["train.py", 7, "<module>"]]


def test_without_the_mapping_a_program_for_a_gpu_stops(stage: Stage) -> None:
    stage.write({"train.py": "import torch\nprint(torch.cuda.is_available())\ntorch.ones(1).cuda()\n"})
    ran = stage.run("train.py", cuda=False)
    assert (ran.status, ran.output) == (1, "False\n")
    assert ran.stop["frames"] == [["train.py", 3, "<module>"]]
    assert not ran.of("cuda")


PRECISION = """\
import sys, warnings
import torch
from torch.cuda.amp import GradScaler as Older, autocast as older
warnings.simplefilter("ignore", FutureWarning)
def train(net, scaler, context, steps=3, unscale=True):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        with context():
            loss = torch.nn.functional.cross_entropy(net(torch.ones(4, 8, device="cuda")), torch.zeros(4).long())
        assert loss.dtype == torch.float32
        scaler.scale(loss).backward()
        if unscale:
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    return loss.item()
net = torch.nn.Linear(8, 3).cuda()
for make in (
    lambda: torch.autocast("cuda"), lambda: torch.amp.autocast("cuda", dtype=torch.float16), lambda: older(),
    lambda: torch.autocast(device_type="cuda", dtype=torch.bfloat16), lambda: torch.amp.autocast(device_type="cuda"),
):
    train(net, torch.amp.GradScaler("cuda"), make)
train(net, Older(), older)
train(net, torch.amp.GradScaler(enabled=False), lambda: torch.autocast("cuda", enabled=False))
with torch.autocast("cuda"):
    assert net(torch.ones(1, 8)).dtype == torch.float16 and torch.is_autocast_enabled()
    with torch.autocast("cuda", enabled=False):
        assert net(torch.ones(1, 8)).dtype == torch.float32
    try:
        torch.nn.functional.binary_cross_entropy(torch.sigmoid(net(torch.ones(1, 8))), torch.ones(1, 3))
    except RuntimeError as error:
        print(str(error)[:33])
assert not torch.is_autocast_enabled()
@torch.amp.autocast("cuda")
def decorated():
    return net(torch.ones(1, 8))
assert decorated().dtype == torch.float16
scaler = torch.amp.GradScaler("cuda")
assert scaler.is_enabled() and scaler.get_scale() == 65536
scaler.load_state_dict(scaler.state_dict())
with torch.autocast("cuda:0"):
    assert net(torch.ones(1, 8)).dtype == torch.float16
class Double(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cuda", cast_inputs=torch.float32)
    def forward(ctx, x):
        return 2 * x
    @staticmethod
    @torch.amp.custom_bwd(device_type="cuda")
    def backward(ctx, gradient):
        return 2 * gradient
with torch.autocast("cuda"):
    assert Double.apply(net(torch.ones(1, 8))).dtype == torch.float32
lost = torch.nn.Parameter(torch.tensor([3e38]))
overflow = torch.optim.SGD([lost], lr=0.1)
scaler.scale(lost.pow(2).sum()).backward()
scaler.step(overflow)
train(net.half(), torch.amp.GradScaler("cuda"), lambda: torch.autocast("cuda"))
"""


def test_mixed_precision_is_on_and_fails_as_on_a_gpu(stage: Stage) -> None:
    stage.write({"train.py": PRECISION})
    ran = stage.run("train.py")
    assert ran.output == "torch.nn.functional.binary_cross_\n", ran.errors
    assert (ran.stop["type"], ran.stop["message"]) == ("ValueError", "Attempting to unscale FP16 gradients.")
    assert ran.stop["frames"][-1] == ["train.py", 14, "train"]
    first = ran.of("backward")[0]
    assert first["scale"] == 65536
    assert 0 < first["loss"] < 10
    assert ran.of("step")[0]["scaled"] is True
    (skipped,) = ran.of("skipped-step")
    assert skipped["scale"] == 65536
    (loss,) = ran.of("nonfinite", what="loss")
    assert loss["value"] == "inf"


STANDINS = """\
import torch
import bitsandbytes as bnb
parameter = torch.nn.Parameter(torch.ones(2))
for make in (bnb.optim.AdamW8bit, bnb.optim.PagedAdamW32bit, bnb.optim.Adam8bit):
    optimizer = make([parameter], 0.1, betas=(0.9, 0.99), weight_decay=0.1, percentile_clipping=5, is_paged=True)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.99) and isinstance(optimizer, torch.optim.Optimizer)
    parameter.sum().backward()
    optimizer.step()
print(bnb.optim.GlobalOptimManager.__name__, isinstance(optimizer, bnb.optim.Adam8bit), make.__name__)
"""
PACKAGE = """\
import torch
class GlobalOptimManager: pass
class _GpuOnly(torch.optim.Optimizer):
    def step(self, closure=None):
        raise RuntimeError("no kernel image")
class AdamW8bit(_GpuOnly): pass
class PagedAdamW32bit(_GpuOnly): pass
class Adam8bit(_GpuOnly): pass
"""


def test_optimizers_of_bitsandbytes_become_their_plain_forms(stage: Stage) -> None:
    stage.write({"train.py": STANDINS, "bitsandbytes/__init__.py": "from bitsandbytes import optim\n"})
    stage.write({"bitsandbytes/optim.py": PACKAGE})
    ran = stage.run("train.py")
    assert (ran.status, ran.output) == (0, "GlobalOptimManager True Adam8bit\n"), ran.errors
    assert [event["name"] for event in ran.of("cuda", op="bitsandbytes")] == ["AdamW8bit"]
    assert ran.of("optimizer")[0]["cls"] == "bitsandbytes.optim.AdamW8bit"
