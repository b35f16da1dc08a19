"""Numbers that are not finite: the first loss, gradient, parameter and learning rate, and where each was seen.

What a probe sees first is seldom where it began. With the setting `trace_numbers`, which a second and slower run gets,
each operation is watched, and the first whose result is not finite although its inputs were is told as `origin`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import events, settings

_seen: set[str] = set()
_tracer: Any = None


def install(torch: ModuleType) -> None:
    """Start to watch each operation, where the settings ask for it; everything else is called by other probes."""
    if settings.get("trace_numbers"):
        _start_tracing(torch)


def told(what: str) -> bool:
    """Whether a first number of this kind was told by this process already."""
    return what in _seen


def tell(what: str, name: str, n: int, note: str = "", value: float | None = None, **more: Any) -> None:
    """Tell of a number that is not finite, unless one of its kind was told before.

    Args:
        what: `loss`, `gradient`, `parameter`, `lr`, `logged`, `output` or `origin`.
        name: Of the parameter, the optimizer's class, the key or the operation.
        n: Steps of that optimizer, or backward passes, so far.
        note: What else is known, in plain words.
        value: The number itself.
    """
    if what in _seen:
        return
    _seen.add(what)
    if value is not None:
        more["value"] = value
    more.setdefault("frames", events.own_frames())
    events.emit("nonfinite", what=what, name=name, n=n, note=note, **more)


def largest(torch: Any, tensors: list[Any]) -> list[float]:
    """The largest absolute value of each tensor: NaN where one element is, 0 where it has none that can be read."""
    values = [_readable(torch, tensor) for tensor in tensors]
    there = [value for value in values if value is not None]
    if not there:
        return [0.0] * len(tensors)
    try:
        norms = torch._foreach_norm(there, math.inf)
        found = iter(torch.stack([norm.float().reshape(()) for norm in norms]).tolist())
    except Exception:
        # a release without it, or a type that it does not take
        found = iter([float(value.abs().max().item()) for value in there])
    return [0.0 if value is None else float(next(found)) for value in values]


def _readable(torch: Any, tensor: Any) -> Any:
    value = tensor.detach()
    if value.is_sparse:
        value = value._values()
    if value.device.type == "meta" or not value.numel():
        return None
    if value.is_complex():
        value = torch.view_as_real(value)
    if not value.is_floating_point() or value.dtype not in (
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
    ):
        return None
    return value


# Results that are garbage by design.
UNINITIALIZED = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "resize_", "set_", "__new__"}
# Results that are not finite because the program says so, as masks are.
WRITTEN = {"full", "full_like", "new_full", "fill_", "masked_fill", "masked_fill_", "tensor", "as_tensor", "where"}


def _start_tracing(torch: Any) -> None:
    global _tracer
    from torch.overrides import TorchFunctionMode

    class Tracer(TorchFunctionMode):
        """Remembers, on each tensor that is not finite, by which operation that began."""

        def __torch_function__(
            self, function: Callable[..., Any], types: Any, args: Any = (), keywords: Any = None
        ) -> Any:
            keywords = keywords or {}
            result = function(*args, **keywords)
            if _tracer is not None:
                _follow(torch, function, args, keywords, result)
            return result

    _tracer = Tracer()
    # for the rest of the process: forked children have it as well, threads have not
    _tracer.__enter__()
    torch.autograd.set_detect_anomaly(True)


@events.guarded
def _follow(torch: Any, function: Callable[..., Any], args: Any, keywords: Any, result: Any) -> None:
    global _last_number
    name = getattr(function, "__name__", str(function))
    if name == "__get__" and isinstance(result, torch.Tensor):
        # a view such as `.T` or `.data`: another object with the same numbers
        origin = getattr(args[0], "_assay_origin", None)
        if origin is not None:
            result._assay_origin = origin
        return
    if name in ("__get__", "__set__", "backward", "__repr__", "__format__", "isnan", "isinf", "isfinite"):
        return
    with torch._C.DisableTorchFunction(), torch.no_grad():
        outputs = [item for item in _flat(result) if isinstance(item, torch.Tensor)]
        if name in ("item", "__float__", "tolist") and isinstance(result, float):
            if not math.isfinite(result):
                _last_number = getattr(args[0], "_assay_origin", None)
            return
        bad = [output for output in outputs if not _finite(torch, output)]
        if not bad:
            return
        inputs = list(_flat((args, keywords)))
        # what is written in place is an input that looks like the output by now
        written = {id(output) for output in outputs}
        inputs = [item for item in inputs if id(item) not in written or hasattr(item, "_assay_origin")]
        origin = _origin(torch, name, function, inputs, any(_holds_nan(torch, output) for output in bad))
        if origin is not None:
            for output in bad:
                output._assay_origin = origin


# the origin of the last number that left a tensor, for the arithmetic that is done outside of tensors
_last_number: dict[str, Any] | None = None


def _origin(torch: Any, name: str, function: Any, inputs: list[Any], nan: bool) -> dict[str, Any] | None:
    tensors = [item for item in inputs if isinstance(item, torch.Tensor)]
    for item in tensors:
        found = getattr(item, "_assay_origin", None)
        # an infinity that a mask was given is no beginning of anything, a NaN made of it is
        if found is not None and not (nan and found["written"]):
            return dict(found)
    if name in UNINITIALIZED:
        return None
    for item in inputs:
        if isinstance(item, float) and item != item and _last_number is not None:
            return dict(_last_number)
    note = ""
    if any(not item.numel() for item in tensors):
        note = "empty input"
    elif any(not _finite(torch, item) for item in tensors):
        note = "infinite input"
    elif any(isinstance(item, float) and not math.isfinite(item) for item in inputs):
        note = "a number that is not finite"
    owner = getattr(function, "__module__", None) or "torch.Tensor"
    return {
        "name": name,
        "module": owner,
        "note": note,
        "frames": events.own_frames(),
        "nan": nan,
        "written": not nan and (name in WRITTEN or note.startswith("a number")),
    }


def _flat(value: Any, depth: int = 0) -> Any:
    if isinstance(value, (list, tuple)) and depth < 3:
        for item in value:
            yield from _flat(item, depth + 1)
    elif isinstance(value, dict) and depth < 3:
        for item in value.values():
            yield from _flat(item, depth + 1)
    else:
        yield value


def _finite(torch: Any, tensor: Any) -> bool:
    value = _readable(torch, tensor)
    return value is None or bool(torch.isfinite(value).all())


def _holds_nan(torch: Any, tensor: Any) -> bool:
    value = _readable(torch, tensor)
    return value is not None and bool(torch.isnan(value).any())


def tracing() -> bool:
    """Whether each operation is being watched."""
    return _tracer is not None


def traced(tensor: Any, n: int) -> None:
    """Tell where the numbers of a tensor, such as the loss, ceased to be finite, as far as that was watched."""
    origin = getattr(tensor, "_assay_origin", None)
    if origin is not None:
        tell_origin(origin, n)


def traced_rate(rate: Any, n: int) -> None:
    """Tell where a learning rate ceased to be finite: as a tensor, or before it left one."""
    if tracing():
        origin = getattr(rate, "_assay_origin", None) or _last_number
        if origin is not None:
            tell_origin(origin, n)


def tell_origin(origin: dict[str, Any], n: int) -> None:
    """Tell an origin, and cease to watch: one is enough, and the run may go on faster."""
    tell("origin", origin["name"], n, origin["note"], frames=origin["frames"], module=origin["module"])
    stop_tracing()


def stop_tracing() -> None:
    """Let operations run unwatched again."""
    global _tracer
    if _tracer is not None:
        _tracer = None
        import torch

        torch.autograd.set_detect_anomaly(False)


# What torch.autograd says of a backward pass in anomaly mode (torch/csrc/autograd/engine.cpp).
ANOMALY = re.compile(r"Function '(\w+)' returned nan values in its (\d+)th output")
FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')


def from_anomaly(error: BaseException, warned: list[str], n: int) -> bool:
    """Tell the origin of a gradient that is NaN, from what anomaly mode says; False where it says something else."""
    found = ANOMALY.search(str(error))
    if found is None:
        return False
    frames = []
    for path, line, function in FRAME.findall("\n".join(warned)):
        own = events.own_file(path)
        if own is not None:
            frames.append([own, int(line), function])
    note = f"the gradient of {found.group(1).rstrip('0123456789').replace('Backward', '').lower()} is NaN"
    origin = {"name": found.group(1), "note": note, "frames": frames or events.own_frames(), "module": "torch.autograd"}
    tell_origin(origin, n)
    return True
