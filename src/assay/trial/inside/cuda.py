"""CUDA on a machine that has none: what is asked of a GPU is done by the CPU, and told.

Devices keep their names where the program holds them: `torch.device("cuda")` stays what it is, and code that asks it
for its type goes the way that it goes on a GPU. Only where a device reaches an operation (`.to`, `.cuda`, a factory, a
generator, `torch.load`) does it become the CPU. Tensors are on the CPU and say so: what they are asked for (`.device`,
`.is_cuda`) is true, and two such devices are the same. `torch.cuda.is_available()` is true for the submission's own
code and for the libraries that choose a device for it; for all others it is what it really is, because they have code
of their own that only a GPU can run.

Mixed precision becomes its form for the CPU, with the type that CUDA has by default: float16. Otherwise it would switch
itself off, and with it everything that goes wrong in it ("Attempting to unscale FP16 gradients.").
"""

from __future__ import annotations

import collections
import functools
import importlib
import os
import resource
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import events, imports, settings

# Libraries that ask whether there is a GPU in order to choose a device for the program, by the module that asks.
CHOOSING = {
    "accelerate",
    "assay",
    "composer",
    "fastai",
    "ignite",
    "lightning",
    "lightning_fabric",
    "pytorch_lightning",
    "sentence_transformers",
    "setfit",
    "trl",
    "transformers.pipelines",
    "transformers.pipelines.base",
    "transformers.trainer",
    "transformers.trainer_pt_utils",
    "transformers.trainer_utils",
    "transformers.training_args",
    "transformers.utils.import_utils",
}
NAME = "NVIDIA H100 80GB HBM3"
MEMORY = 85_899_345_920  # bytes

# What does nothing on the CPU, in torch.cuda.
IDLE = (
    "empty_cache",
    "init",
    "ipc_collect",
    "reset_accumulated_memory_stats",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_memory_stats",
    "set_device",
    "set_per_process_memory_fraction",
    "set_rng_state",
    "set_rng_state_all",
    "set_stream",
    "set_sync_debug_mode",
    "synchronize",
)
# What answers with a figure: bytes, percent, degrees, milliwatts.
MEMORY_NOW = ("memory_allocated", "memory_reserved", "memory_cached")
MEMORY_PEAK = ("max_memory_allocated", "max_memory_reserved", "max_memory_cached")

Properties = collections.namedtuple(
    "Properties",
    "name major minor total_memory multi_processor_count is_integrated is_multi_gpu_board "
    "max_threads_per_multi_processor warp_size regs_per_multiprocessor L2_cache_size gcnArchName uuid",
)
PROPERTIES = Properties(NAME, 9, 0, MEMORY, 132, 0, 0, 2048, 32, 65536, 52_428_800, "", "")

# Factories beside those that torch lists itself as taking a device.
MORE_FACTORIES = [
    "zeros_like",
    "ones_like",
    "empty_like",
    "full_like",
    "rand_like",
    "randn_like",
    "randint_like",
    "asarray",
    "scalar_tensor",
]
NEW = (
    "new_zeros",
    "new_ones",
    "new_full",
    "new_empty",
    "new_tensor",
    "new_empty_strided",
)

# What CUDA's autocast says, and the CPU's does not (aten/src/ATen/autocast_mode.cpp).
BINARY_CROSS_ENTROPY = (
    "torch.nn.functional.binary_cross_entropy and torch.nn.BCELoss are unsafe to autocast.\n"
    "Many models use a sigmoid layer right before the binary cross entropy layer.\n"
    "In this case, combine the two layers using torch.nn.functional.binary_cross_entropy_with_logits\n"
    "or torch.nn.BCEWithLogitsLoss.  binary_cross_entropy_with_logits and BCEWithLogits are\n"
    "safe to autocast."
)

_torch: Any = None
_cpu: Any = None
_on = False
_mixed = False
_told: set[str] = set()
_chooses: dict[str, bool] = {}


def install(torch: ModuleType) -> None:
    """Lead what is asked of CUDA to the CPU, unless the settings say no or there is a GPU."""
    global _torch, _cpu, _on
    if _torch is not None:
        return
    _torch = torch
    _cpu = torch.device("cpu")
    _leave_uncompiled(torch)
    if not settings.get("cuda", True) or torch.cuda.is_available():
        return
    _on = True
    for part in (
        _map_questions,
        _map_memory,
        _map_streams,
        _map_factories,
        _map_tensors,
        _map_generator,
        _map_loading,
        _map_precision,
        _map_types,
        _map_processes,
    ):
        try:
            part(torch)
        except Exception as error:
            events.failed(f"{__name__}.{part.__name__}", error)
    imports.when_imported("bitsandbytes.optim", _plain_optimizers)
    imports.when_imported("transformers.utils.quantization_config", _tell_quantization)
    imports.when_imported("safetensors.torch", _map_safetensors)
    imports.when_imported("torch.nn.attention", _map_attention)


def mixed_precision() -> bool:
    """Whether CUDA's mixed precision was led to the CPU's so far: its reductions are less exact than a GPU's."""
    return _mixed


def tell(op: str, **more: Any) -> None:
    """Tell of the first use of an operation that is led to the CPU."""
    if op not in _told:
        _told.add(op)
        events.emit("cuda", op=op, frames=events.own_frames(), **more)


def on_cpu(device: Any, op: str) -> Any:
    """The device that an operation gets in place of one that it was given."""
    if device is None or device is _cpu:
        return device
    if isinstance(device, _torch.device):
        if device.type != "cuda":
            return device
    elif isinstance(device, str):
        if device != "cuda" and not (device.startswith("cuda:") and device[5:].isdigit()):
            return device
    elif isinstance(device, bool) or not isinstance(device, int):
        return device
    if op not in _told:
        tell(op, device=str(device))
    return _cpu


def mapped_device_map(keywords: dict[str, Any]) -> None:
    """Let `from_pretrained` put all on the CPU where `device_map` names GPUs or leaves the choice to accelerate."""
    wanted = keywords.get("device_map")
    if not _on or wanted is None:
        return
    if isinstance(wanted, str) and wanted in ("auto", "balanced", "balanced_low_0", "sequential"):
        keywords["device_map"] = "cpu"
    elif isinstance(wanted, dict):
        keywords["device_map"] = {
            name: place if place in ("cpu", "disk", "meta") else "cpu" for name, place in wanted.items()
        }
    else:
        keywords["device_map"] = on_cpu(wanted, "device_map")
    # None of them is given up: whether accelerate is there, transformers looks as before
    tell("device_map", device=str(wanted))


def _put(owner: Any, name: str, made: Callable[..., Any]) -> None:
    """Put a function in the place of another, under its name, and where it is defined, so that it can be pickled."""
    real = getattr(owner, name, None)
    if real is not None:
        made = functools.wraps(real)(made)
        home = sys.modules.get(getattr(real, "__module__", None) or "")
        if home is not None and vars(home).get(name) is real:
            setattr(home, name, made)
        if home is owner or home is None or vars(home).get(name) is not made:
            # it is no builtin any more, which pickle finds in other ways
            inner = isinstance(owner, type)
            made.__module__ = owner.__module__ if inner else owner.__name__
            made.__qualname__ = f"{owner.__qualname__}.{name}" if inner else name
    setattr(owner, name, made)


# ---- questions -------------------------------------------------------------------------------------------------------


def _asked_by_chooser() -> bool:
    """Whether the function above the one that calls this is called by the submission, or by who chooses for it."""
    frame = sys._getframe(2)
    path = frame.f_code.co_filename
    known = _chooses.get(path)
    if known is None:
        name = frame.f_globals.get("__name__", "")
        known = name in CHOOSING or name.partition(".")[0] in CHOOSING or events.own_file(path) is not None
        _chooses[path] = known
    return known


def _map_questions(torch: Any) -> None:
    cuda = torch.cuda
    really_available, real_count = cuda.is_available, cuda.device_count

    def is_available() -> bool:
        if _asked_by_chooser():
            if "is_available" not in _told:
                tell("is_available")
            return True
        return bool(really_available())

    def device_count() -> int:
        return 1 if _asked_by_chooser() else int(real_count())

    _put(cuda, "is_available", is_available)
    _put(cuda, "device_count", device_count)
    _put(cuda, "is_initialized", lambda: _asked_by_chooser())
    _put(cuda, "current_device", lambda: 0)
    _put(cuda, "get_device_name", lambda device=None: NAME)
    _put(cuda, "get_device_capability", lambda device=None: (9, 0))
    _put(cuda, "get_device_properties", lambda device=None: PROPERTIES)
    _put(cuda, "is_bf16_supported", lambda including_emulation=True: True)
    _put(cuda, "can_device_access_peer", lambda device, peer_device: False)
    _put(cuda, "utilization", lambda device=None: 50)
    _put(cuda, "temperature", lambda device=None: 40)
    _put(cuda, "power_draw", lambda device=None: 200_000)
    for name in IDLE:
        if hasattr(cuda, name):
            _put(cuda, name, _idle("cuda." + name))
    _put(cuda, "get_rng_state", lambda device="cuda": torch.get_rng_state())
    _put(cuda, "get_rng_state_all", lambda: [torch.get_rng_state()])
    for name in ("get_rng_state", "get_rng_state_all", "set_rng_state", "set_rng_state_all"):
        setattr(cuda.random, name, getattr(cuda, name))
    for name in ("range_push", "range_pop", "mark", "range_start", "range_end"):
        if hasattr(cuda.nvtx, name):
            _put(cuda.nvtx, name, _idle("cuda.nvtx"))


def _idle(op: str) -> Callable[..., None]:
    def idle(*args: Any, **keywords: Any) -> None:
        if op not in _told:
            tell(op)

    return idle


def _resident() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return _peak()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _map_memory(torch: Any) -> None:
    cuda = torch.cuda
    figures: dict[str, Callable[[], Any]] = {
        **dict.fromkeys(MEMORY_NOW, _resident),
        **dict.fromkeys(MEMORY_PEAK, _peak),
        "mem_get_info": lambda: (MEMORY - _resident(), MEMORY),
        "memory_stats": lambda: collections.defaultdict(
            int, {"allocated_bytes.all.current": _resident(), "allocated_bytes.all.peak": _peak()}
        ),
        "memory_summary": lambda: "",
        "memory_snapshot": list,
    }
    for name, figure in figures.items():
        for owner in (cuda, cuda.memory):
            if hasattr(owner, name):
                _put(owner, name, _answer("cuda." + name, figure))
    for name in ("empty_cache", "reset_peak_memory_stats", "reset_max_memory_allocated"):
        if hasattr(cuda.memory, name):
            setattr(cuda.memory, name, getattr(cuda, name))


def _answer(op: str, figure: Callable[[], Any]) -> Callable[..., Any]:
    def answer(*args: Any, **keywords: Any) -> Any:
        if op not in _told:
            tell(op)
        return figure()

    return answer


# ---- streams, events, the current device -----------------------------------------------------------------------------


class Event:
    """A point in time: everything before it is done, since the CPU does things in order."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self.at: float | None = None
        tell("cuda.Event")

    def record(self, stream: Any = None) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds from this one to another."""
        if self.at is None or end.at is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return (end.at - self.at) * 1000

    def query(self) -> bool:
        return True

    def wait(self, stream: Any = None) -> None:
        return None

    def synchronize(self) -> None:
        return None


class Stream:
    """A queue of work that is always empty."""

    cuda_stream = 0

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self.device = _cpu
        tell("cuda.Stream")

    def record_event(self, event: Any = None) -> Any:
        event = event or Event()
        event.record()
        return event

    def wait_event(self, event: Any) -> None:
        return None

    def wait_stream(self, stream: Any) -> None:
        return None

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        return None

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: Any) -> None:
        return None


class CurrentDevice:
    """`torch.cuda.device`: the block under it runs where everything runs."""

    def __init__(self, device: Any = None) -> None:
        self.idx = 0
        self.prev_idx = 0

    def __enter__(self) -> CurrentDevice:
        return self

    def __exit__(self, *error: Any) -> None:
        return None


class CurrentStream(CurrentDevice):
    """`torch.cuda.stream`."""


def _map_streams(torch: Any) -> None:
    cuda = torch.cuda
    cuda.Event = Event
    cuda.Stream = Stream
    cuda.StreamContext = CurrentStream
    cuda.device = CurrentDevice
    cuda.device_of = CurrentDevice
    _put(cuda, "stream", lambda stream: CurrentStream(stream))
    _put(cuda, "current_stream", lambda device=None: Stream())
    _put(cuda, "default_stream", lambda device=None: Stream())


# ---- factories and tensors -------------------------------------------------------------------------------------------


def _map_factories(torch: Any) -> None:
    from torch.utils import _device

    # what it lists is kept by identity: `with torch.device("meta")` must know the real functions
    listed = set(_device._device_constructors())
    known = {getattr(function, "__name__", "") for function in listed}
    for name in sorted(known) + MORE_FACTORIES:
        for owner in (torch, torch.fft, torch.sparse):
            real = vars(owner).get(name)
            if callable(real) and not isinstance(real, type):
                _wrap_factory(torch, owner, name, real)
    for name in NEW:
        _wrap_factory(torch, torch.Tensor, name, getattr(torch.Tensor, name))
    made = _device.DeviceContext.__init__

    def entering(self: Any, device: Any) -> None:
        made(self, on_cpu(device, "default device"))

    _put(_device.DeviceContext, "__init__", entering)


def _wrap_factory(torch: Any, owner: Any, name: str, real: Any) -> None:
    def factory(*args: Any, **keywords: Any) -> Any:
        if "device" in keywords:
            keywords["device"] = on_cpu(keywords["device"], name)
        return real(*args, **keywords)

    _put(owner, name, factory)
    _keep_scriptable(torch, real, getattr(owner, name))


def _keep_scriptable(torch: Any, real: Any, made: Any) -> None:
    """Let TorchScript take the function that stands in the place of an operator for that operator."""
    try:
        _builtins: Any = importlib.import_module("torch.jit._builtins")
        operator = _builtins._find_builtin(real)
        if operator is not None:
            _builtins._register_builtin(made, operator)
    except Exception as error:
        events.failed(f"{__name__}._keep_scriptable", error)


def _map_tensors(torch: Any) -> None:
    tensor, module = torch.Tensor, torch.nn.Module
    module_to = module.to

    def moved(self: Any, *args: Any, **keywords: Any) -> Any:
        # it parses the device itself, which fails for a number
        if args and isinstance(args[0], (str, torch.device, int)):
            args = (on_cpu(args[0], "to"), *args[1:])
        if "device" in keywords:
            keywords["device"] = on_cpu(keywords["device"], "to")
        return module_to(self, *args, **keywords)

    _put(module, "to", moved)
    real_to, real_type = tensor.to, tensor.type

    def to(self: Any, *args: Any, **keywords: Any) -> Any:
        if args:
            first = args[0]
            if isinstance(first, (str, torch.device, int)):
                args = (on_cpu(first, "to"), *args[1:])
        if "device" in keywords:
            keywords["device"] = on_cpu(keywords["device"], "to")
        return real_to(self, *args, **keywords)

    def cuda(self: Any, device: Any = None, *args: Any, **keywords: Any) -> Any:
        on_cpu("cuda" if device is None else device, "cuda")
        return self

    def type_(self: Any, dtype: Any = None, *args: Any, **keywords: Any) -> Any:
        dtype = _plain_type(dtype)
        return real_type(self, *args, **keywords) if dtype is None else real_type(self, dtype, *args, **keywords)

    def pin_memory(self: Any, device: Any = None) -> Any:
        tell("pin_memory")
        return self

    _put(tensor, "to", to)
    _put(tensor, "cuda", cuda)
    _put(tensor, "type", type_)
    _put(tensor, "pin_memory", pin_memory)
    _put(tensor, "is_pinned", lambda self, device=None: False)
    _put(tensor, "record_stream", lambda self, stream: None)
    storage = getattr(torch, "UntypedStorage", None)
    for kind in (storage, getattr(torch, "TypedStorage", None)):
        if kind is not None:
            _put(kind, "cuda", cuda)


def _map_generator(torch: Any) -> None:
    real = torch._C.Generator

    class Kind(type):
        """Lets every generator be one of the class that makes them."""

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, real)

        def __subclasscheck__(cls, subclass: Any) -> bool:
            return issubclass(subclass, real)

    class Generator(metaclass=Kind):
        """Makes generators, for the CPU where they are asked for CUDA."""

        def __new__(cls, device: Any = "cpu") -> Any:
            return real(device=on_cpu(device, "Generator"))

    Generator.__module__, Generator.__qualname__ = "torch", "Generator"
    torch.Generator = Generator


def _map_loading(torch: Any) -> None:
    real = torch.load
    real_default = getattr(torch, "set_default_device", None)

    def load(f: Any, map_location: Any = None, *args: Any, **keywords: Any) -> Any:
        if isinstance(map_location, dict):
            map_location = {place: on_cpu(target, "load") for place, target in map_location.items()}
        elif not callable(map_location):
            map_location = on_cpu(map_location, "load")
        return real(f, map_location, *args, **keywords)

    _put(torch, "load", load)
    if real_default is not None:
        _put(torch, "set_default_device", lambda device: real_default(on_cpu(device, "set_default_device")))
    real_type = getattr(torch, "set_default_tensor_type", None)
    if real_type is not None:
        _put(torch, "set_default_tensor_type", lambda t: real_type(_plain_type(t)))


def _plain_type(name: Any) -> Any:
    return name.replace("torch.cuda.", "torch.") if isinstance(name, str) else name


def _map_safetensors(module: ModuleType) -> None:
    real = module.load_file

    def load_file(filename: Any, device: Any = "cpu", *args: Any, **keywords: Any) -> Any:
        device = on_cpu(device, "load_file")
        return real(filename, "cpu" if device is _cpu else device, *args, **keywords)

    _put(module, "load_file", load_file)


def _map_types(torch: Any) -> None:
    for name in (
        "Float",
        "Double",
        "Half",
        "BFloat16",
        "Long",
        "Int",
        "Short",
        "Char",
        "Byte",
        "Bool",
    ):
        kind = getattr(torch, name + "Tensor", None)
        if kind is not None:
            setattr(torch.cuda, name + "Tensor", kind)


# ---- mixed precision -------------------------------------------------------------------------------------------------


def _map_precision(torch: Any) -> None:
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2] if part.isdigit())
    # the CPU's autocast took up float16, and the scaler other devices, with 2.3
    if version < (2, 3):
        return
    torch.cuda.amp.common.amp_definitely_not_available = lambda: False
    _map_autocast(torch)
    _map_decorators(torch)
    _map_scaler(torch.amp.GradScaler)
    _forbid(torch)


def _map_autocast(torch: Any) -> None:
    real = torch.autocast.__init__

    def entering(
        self: Any, device_type: Any, dtype: Any = None, enabled: bool = True, cache_enabled: Any = None
    ) -> None:
        global _mixed
        if isinstance(device_type, str) and _of_cuda(torch, device_type):
            dtype = _usual_type(torch) if dtype is None else dtype
            # CUDA knows no other types, and switches itself off
            enabled = bool(enabled) and dtype in (torch.float16, torch.bfloat16)
            dtype = dtype if enabled else torch.bfloat16
            _mixed = _mixed or enabled
            tell("autocast", dtype=str(dtype), enabled=enabled)
            device_type = "cpu"
        real(self, device_type, dtype=dtype, enabled=enabled, cache_enabled=cache_enabled)

    _put(torch.autocast, "__init__", entering)
    # the name that TorchScript compares by identity is the class, which stays
    real_enabled = torch.is_autocast_enabled

    def is_autocast_enabled(*args: Any, **keywords: Any) -> bool:
        asked = args[0] if args else keywords.get("device_type", "cuda")
        if asked == "cuda":
            return bool(torch.is_autocast_cpu_enabled())
        return bool(real_enabled(*args, **keywords))

    _put(torch, "is_autocast_enabled", is_autocast_enabled)
    _keep_scriptable(torch, real_enabled, torch.is_autocast_enabled)


def _of_cuda(torch: Any, device_type: str) -> bool:
    """Whether autocast takes this for CUDA; releases before 2.5 refuse a number behind it, and say so."""
    if not device_type.startswith("cuda:"):
        return device_type == "cuda"
    try:
        return bool(torch.amp.is_autocast_available(device_type))
    except (AttributeError, RuntimeError):
        return False


def _usual_type(torch: Any) -> Any:
    asked = getattr(torch, "get_autocast_dtype", None)
    return torch.get_autocast_gpu_dtype() if asked is None else asked("cuda")


def _map_decorators(torch: Any) -> None:
    """Operations of the program's own that cast what they are given: it is on the CPU."""
    for name in ("custom_fwd", "custom_bwd"):
        real = getattr(torch.amp, name, None)
        if real is not None:
            _put(torch.amp, name, functools.partial(_decorating, real))


def _decorating(real: Any, function: Any = None, **keywords: Any) -> Any:
    if keywords.get("device_type") == "cuda":
        keywords["device_type"] = "cpu"
    return real(function, **keywords)


def _map_scaler(scaler: Any) -> None:
    real, real_scale = scaler.__init__, scaler.scale

    def making(self: Any, device: Any = "cuda", *args: Any, **keywords: Any) -> None:
        global _mixed
        if isinstance(device, str) and device.partition(":")[0] == "cuda":
            tell("GradScaler")
            device = "cpu"
        real(self, device, *args, **keywords)
        _mixed = _mixed or bool(self.is_enabled())

    def scale(self: Any, outputs: Any) -> Any:
        # losses are float32 in CUDA's autocast; some are float16 in the CPU's, and would overflow when scaled
        if isinstance(outputs, _torch.Tensor) and outputs.dtype is _torch.float16 and not outputs.dim():
            outputs = outputs.float()
        return real_scale(self, outputs)

    _put(scaler, "__init__", making)
    _put(scaler, "scale", scale)


def _forbid(torch: Any) -> None:
    functional = torch.nn.functional
    real = functional.binary_cross_entropy

    def binary_cross_entropy(*args: Any, **keywords: Any) -> Any:
        if torch.is_autocast_cpu_enabled() and _mixed:
            raise RuntimeError(BINARY_CROSS_ENTROPY)
        return real(*args, **keywords)

    _put(functional, "binary_cross_entropy", binary_cross_entropy)


# ---- the rest --------------------------------------------------------------------------------------------------------


def _leave_uncompiled(torch: Any) -> None:
    """`torch.compile` compiles nothing: a sandbox has no compiler, and results are the same without."""
    if hasattr(torch, "compile"):
        kind = _uncompiled_kind(torch)

        def compile_(model: Any = None, *args: Any, **keywords: Any) -> Any:
            tell("compile")
            if model is None:
                return compile_
            return kind(model) if isinstance(model, torch.nn.Module) else model

        _put(torch, "compile", compile_)
        # who asks whether a module is compiled asks by this class
        imports.when_imported("torch._dynamo.eval_frame", lambda module: setattr(module, kind.__name__, kind))
    if hasattr(torch.nn.Module, "compile"):
        _put(torch.nn.Module, "compile", lambda self, *args, **keywords: tell("compile"))


def _uncompiled_kind(torch: Any) -> Any:
    base: Any = torch.nn.Module

    class OptimizedModule(base):  # type: ignore[misc]
        """What torch makes of a compiled module, without the compiling: the names of its parameters differ."""

        def __init__(self, module: Any) -> None:
            super().__init__()
            base.__setattr__(self, "_orig_mod", module)

        def forward(self, *args: Any, **keywords: Any) -> Any:
            return self._orig_mod(*args, **keywords)

        def __getattr__(self, name: str) -> Any:
            if name == "_orig_mod":
                return self._modules["_orig_mod"]
            return getattr(self._orig_mod, name)

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "_orig_mod" or "_orig_mod" not in self.__dict__.get("_modules", {}) or hasattr(type(self), name):
                base.__setattr__(self, name, value)
            else:
                setattr(self._orig_mod, name, value)

        @property
        def training(self) -> bool:
            return bool(self._orig_mod.training)

        @training.setter
        def training(self, mode: bool) -> None:
            # torch.nn.Module sets it before there is a module to ask
            if "_orig_mod" in self.__dict__.get("_modules", {}):
                self._orig_mod.training = mode

    OptimizedModule.__qualname__ = "OptimizedModule"
    globals()["OptimizedModule"] = OptimizedModule
    return OptimizedModule


def _map_processes(torch: Any) -> None:
    distributed = torch.distributed
    if not distributed.is_available():
        return
    real = distributed.init_process_group

    def init_process_group(backend: Any = None, *args: Any, **keywords: Any) -> Any:
        if isinstance(backend, str) and "nccl" in backend.lower():
            tell("nccl")
            backend = "gloo"
        keywords.pop("device_id", None)
        return real(backend, *args, **keywords)

    _put(distributed, "init_process_group", init_process_group)
    imports.when_imported("torch.nn.parallel.distributed", _map_parallel)


def _map_parallel(module: ModuleType) -> None:
    """Modules on the CPU are refused together with numbers of GPUs."""
    cls: Any = module.DistributedDataParallel
    real = cls.__init__

    def making(
        self: Any, module: Any, device_ids: Any = None, output_device: Any = None, *args: Any, **more: Any
    ) -> None:
        real(self, module, None, None, *args, **more)

    _put(cls, "__init__", making)


def _map_attention(module: ModuleType) -> None:
    """`sdpa_kernel` may name kernels of which the CPU has none."""
    real, plain = module.sdpa_kernel, module.SDPBackend.MATH

    def sdpa_kernel(backends: Any, *args: Any, **keywords: Any) -> Any:
        given = list(backends) if isinstance(backends, (list, tuple)) else [backends]
        tell("sdpa_kernel")
        return real(given if plain in given else [*given, plain], *args, **keywords)

    _put(module, "sdpa_kernel", sdpa_kernel)


def _plain_optimizers(module: ModuleType) -> None:
    """bitsandbytes' 8-bit optimizers work on a GPU alone: their 32-bit forms take their place."""
    torch = _torch

    def replacement(name: str, plain: Any) -> Any:
        names = (
            "lr",
            "betas",
            "eps",
            "weight_decay",
            "amsgrad",
            "momentum",
            "dampening",
            "nesterov",
            "alpha",
            "centered",
        )

        class Plain(plain):  # type: ignore[misc]
            """The 32-bit form, which passes over what only the 8-bit one takes."""

            def __init__(self, params: Any, *args: Any, **keywords: Any) -> None:
                tell("bitsandbytes", name=name)
                # the first three arguments are the same: rate, betas (or momentum), eps
                kept = {key: value for key, value in keywords.items() if key in names}
                super().__init__(params, *args[:1], **kept)

        Plain.__name__ = Plain.__qualname__ = name
        Plain.__module__ = module.__name__
        return Plain

    forms = {
        "AdamW": torch.optim.AdamW,
        "Adam": torch.optim.Adam,
        "SGD": torch.optim.SGD,
        "RMSprop": torch.optim.RMSprop,
    }
    parent = sys.modules.get("bitsandbytes")
    for name in list(vars(module)):
        stem = name
        for word in ("Paged", "8bit", "32bit"):
            stem = stem.replace(word, "")
        if isinstance(getattr(module, name), type) and stem in forms:
            made = replacement(name, forms[stem])
            setattr(module, name, made)
            if parent is not None and hasattr(parent, name):
                setattr(parent, name, made)


def _tell_quantization(module: ModuleType) -> None:
    config = getattr(module, "BitsAndBytesConfig", None)
    if config is None:
        return
    real = config.__init__

    def making(self: Any, *args: Any, **keywords: Any) -> None:
        tell("bitsandbytes", name="BitsAndBytesConfig")
        real(self, *args, **keywords)

    _put(config, "__init__", making)
