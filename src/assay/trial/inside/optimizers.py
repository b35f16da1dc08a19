"""Optimizers: what they were given, each step they took, which parameters ever moved and which ever had a gradient.

Full looks (checksums of all parameters before and after a step) happen at the first ten steps and at each power of two;
in between only gradients and learning rates are read. What moved in between is noticed at the next full look.
"""

from __future__ import annotations

import atexit
import functools
import math
import os
import weakref
from types import ModuleType
from typing import Any

from . import counters, events, models_made, numbers

# Steps that are told one by one, after which only powers of two are.
TOLD = 60
# Steps at which all parameters are looked at.
LOOKED = 10
# Names that an event holds, at most.
NAMES = 20
# Optimizers whose making is told: layer-wise schemes make one for each parameter.
OPTIMIZERS = 50
# Elements of a parameter that a checksum reads, about; larger ones are read in strides.
ELEMENTS = 20_000_000

_torch: Any = None
_records: dict[int, _Record] = {}
_numbered = 0


class _Record:
    """What is known of one optimizer."""

    def __init__(self, optimizer: Any) -> None:
        global _numbered
        _numbered += 1
        self.number = _numbered
        self.of = weakref.ref(optimizer, functools.partial(_forget, id(optimizer)))
        self.cls = f"{type(optimizer).__module__}.{type(optimizer).__qualname__}"
        self.pid = os.getpid()
        self.steps = 0
        # steps that a gradient scaler left out because gradients had overflowed
        self.skipped = 0
        # by identity of the parameter, which lives as long as the optimizer
        self.sums: dict[int, int] = {}
        self.moved: set[int] = set()
        self.had_gradient: set[int] = set()
        self.had_value: set[int] = set()
        self.names: dict[int, str] = {}
        self.lr_min = math.inf
        self.lr_max = -math.inf
        self.ended: dict[str, Any] = {}
        self.step: dict[str, Any] = {}


def install(torch: ModuleType) -> None:
    """Hook every optimizer that derives from torch's."""
    global _torch
    if _torch is not None:
        return
    _torch = torch
    from torch.optim import optimizer as base

    _wrap_making(base.Optimizer)
    base.register_optimizer_step_pre_hook(_before)
    base.register_optimizer_step_post_hook(_after)
    # registered before anything that the program registers, and therefore called after it
    atexit.register(_at_exit)
    models_made.watch_modules(torch)


def record(optimizer: Any) -> _Record:
    """What is known of an optimizer; known from now on, if it was not yet (a copy, one that was unpickled)."""
    found = _records.get(id(optimizer))
    if found is None or found.of() is not optimizer:
        found = _records[id(optimizer)] = _Record(optimizer)
    return found


def skipped(optimizer: Any, scale: float) -> None:
    """A gradient scaler left out a step of an optimizer."""
    known = record(optimizer)
    known.skipped += 1
    if known.skipped <= 5 or _power_of_two(known.skipped):
        events.emit("skipped-step", optimizer=known.number, n=known.skipped, scale=scale, frames=events.own_frames())


def _forget(identity: int, reference: Any) -> None:
    found = _records.get(identity)
    if found is not None and found.of is reference:
        if found.ended and found.ended.get("steps") != found.steps:
            _tell_end(found, None)
        _records.pop(identity, None)


def _wrap_making(cls: Any) -> None:
    made = cls.__init__

    @functools.wraps(made)
    def building(self: Any, *args: Any, **keywords: Any) -> None:
        made(self, *args, **keywords)
        _made(self)

    cls.__init__ = building


@events.guarded
def _made(optimizer: Any) -> None:
    known = record(optimizer)
    if known.number > OPTIMIZERS:
        return
    models_made.look()
    groups = []
    for group in optimizer.param_groups[:30]:
        entry = {
            "lr": _number(group.get("lr")),
            "parameters": len(group["params"]),
            "elements": sum(parameter.numel() for parameter in group["params"]),
            "weight_decay": _number(group.get("weight_decay")),
        }
        if entry["lr"] is not None and not math.isfinite(entry["lr"]):
            numbers.traced_rate(group.get("lr"), 0)
            numbers.tell("lr", known.cls, 0, "when the optimizer was made", entry["lr"])
        groups.append(entry)
    parameters = _parameters(optimizer)
    events.emit(
        "optimizer",
        id=known.number,
        cls=known.cls,
        groups=groups,
        parameters=len(parameters),
        frozen=sum(not parameter.requires_grad for parameter in parameters),
        frames=events.own_frames(),
    )


def _parameters(optimizer: Any) -> list[Any]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _number(value: Any) -> float | None:
    if isinstance(value, (int, float)):
        return float(value)
    try:
        return float(value.item())
    except Exception:
        return None


def _power_of_two(n: int) -> bool:
    return n & (n - 1) == 0


@events.guarded
def _before(optimizer: Any, args: Any, keywords: Any) -> None:
    known = record(optimizer)
    n = known.steps + 1
    known.step = {}
    closure = keywords.get("closure", args[1] if len(args) > 1 else None)
    with _torch.no_grad():
        parameters = _parameters(optimizer)
        if n <= LOOKED or _power_of_two(n):
            sums = _checksums(parameters)
            # moved since the last full look, by steps that were not looked at
            for identity, value in sums.items():
                if known.sums.get(identity, value) != value:
                    known.moved.add(identity)
            known.sums = sums
        if closure is None:
            known.step = _gradients(known, parameters, n)


@events.guarded
def _after(optimizer: Any, args: Any, keywords: Any) -> None:
    known = record(optimizer)
    known.steps += 1
    counters.steps += 1
    n = known.steps
    looked = n <= LOOKED or _power_of_two(n)
    event: dict[str, Any] = {"moved": None, "unmoved": None}
    with _torch.no_grad():
        parameters = _parameters(optimizer)
        event.update(known.step or _gradients(known, parameters, n))
        known.step = {}
        rates = [_number(group.get("lr")) for group in optimizer.param_groups]
        for group, rate in zip(optimizer.param_groups, rates):  # noqa: B905 - Python 3.9 has no `strict`
            if rate is not None:
                known.lr_min, known.lr_max = min(known.lr_min, rate), max(known.lr_max, rate)
                if not math.isfinite(rate):
                    event["finite"] = False
                    numbers.traced_rate(group.get("lr"), n)
                    numbers.tell("lr", known.cls, n, "", rate)
        if looked:
            sums = _checksums(parameters)
            moved = {identity for identity, value in sums.items() if known.sums.get(identity) != value}
            known.moved |= moved
            known.sums = sums
            event["moved"], event["unmoved"] = len(moved), len(sums) - len(moved)
            if not _finite_parameters(known, parameters, n):
                event["finite"] = False
    if n <= TOLD or _power_of_two(n):
        from . import backward

        events.emit(
            "step",
            optimizer=known.number,
            n=n,
            lrs=rates[:NAMES],
            scaled=backward.scaled(),
            frames=events.own_frames(),
            **event,
        )
    if n > 1 and _power_of_two(n):
        _tell_end(known, optimizer)


def _gradients(known: _Record, parameters: list[Any], n: int) -> dict[str, Any]:
    having = [parameter for parameter in parameters if parameter.grad is not None]
    known.had_gradient.update(map(id, having))
    sizes = numbers.largest(_torch, [parameter.grad for parameter in having])
    finite = True
    for parameter, size in zip(having, sizes):  # noqa: B905 - Python 3.9 has no `strict`
        if size:
            known.had_value.add(id(parameter))
        if size - size != 0:
            finite = False
            numbers.traced(parameter.grad, n)
            if not numbers.told("gradient"):
                numbers.tell("gradient", _name(known, parameters, parameter), n, "", size, **_mapped_precision())
    frozen = sum(not parameter.requires_grad for parameter in parameters)
    return {"without_gradient": len(parameters) - len(having), "frozen": frozen, "finite": finite}


def _mapped_precision() -> dict[str, Any]:
    from . import cuda

    return {"amp": cuda.mixed_precision()}


def _finite_parameters(known: _Record, parameters: list[Any], n: int) -> bool:
    for parameter, size in zip(parameters, numbers.largest(_torch, parameters)):  # noqa: B905
        if size - size != 0:
            numbers.traced(parameter, n)
            if not numbers.told("parameter"):
                numbers.tell("parameter", _name(known, parameters, parameter), n, "", size, **_mapped_precision())
            return False
    return True


def _checksums(parameters: list[Any]) -> dict[int, int]:
    """By parameter, a sum of its bits: it changes with any change but one that another cancels."""
    return {id(parameter): _checksum(parameter.detach()) for parameter in parameters}


def _checksum(value: Any) -> int:
    if value.device.type == "meta" or not value.numel() or value.is_sparse:
        return 0
    if value.is_complex():
        value = _torch.view_as_real(value)
    if type(value) is not _torch.Tensor and hasattr(value, "_local_tensor"):
        value = value._local_tensor
    if value.numel() > ELEMENTS:
        value = value.flatten()[:: value.numel() // ELEMENTS + 1]
    value = value.contiguous()
    width = {1: _torch.int8, 2: _torch.int16, 4: _torch.int32, 8: _torch.int64}.get(value.element_size())
    if width is None:
        return hash(float(value.double().sum()))
    return int(value.view(width).sum(dtype=_torch.int64))


def _name(known: _Record, parameters: list[Any], parameter: Any) -> str:
    return _names(known, parameters).get(id(parameter), "")


def _names(known: _Record, parameters: list[Any]) -> dict[int, str]:
    wanted = {id(parameter) for parameter in parameters}
    if not wanted.issubset(known.names):
        known.names = {**unnamed(parameters), **named(wanted)}
    return known.names


def unnamed(parameters: list[Any]) -> dict[int, str]:
    """Names for parameters that no module holds: their place in the optimizer, and their shape."""
    found = {}
    for place, parameter in enumerate(parameters):
        found[id(parameter)] = f"parameter {place} of shape {tuple(parameter.shape)}"
    return found


def named(wanted: set[int]) -> dict[int, str]:
    """Names of parameters as the outermost modules that hold them call them, with the class before them."""
    import gc

    module_class = _torch.nn.Module
    # by type and not by isinstance, which would wake what is imported lazily
    modules = [item for item in gc.get_objects() if issubclass(type(item), module_class)]
    inner: set[int] = set()
    for module in modules:
        inner.update(id(child) for child in module.__dict__.get("_modules", {}).values())
    found: dict[int, str] = {}
    # outermost modules first; what several hold (a wrapper without registration) keeps its first name
    for module in modules:
        if id(module) in inner or "_parameters" not in module.__dict__:
            continue
        for name, parameter in module.named_parameters():
            if id(parameter) in wanted:
                found.setdefault(id(parameter), f"{type(module).__name__}.{name}")
    return found


def _tell_end(known: _Record, optimizer: Any) -> None:
    if optimizer is not None:
        known.ended = _end(known, optimizer)
    if known.ended:
        lr_min = known.lr_min if known.lr_max >= known.lr_min else None
        lr_max = known.lr_max if known.lr_max >= known.lr_min else None
        known.ended.update(steps=known.steps, skipped=known.skipped, lr_min=lr_min, lr_max=lr_max)
        events.emit("optimizer-end", optimizer=known.number, **known.ended)


def _end(known: _Record, optimizer: Any) -> dict[str, Any]:
    parameters = list({id(parameter): parameter for parameter in _parameters(optimizer)}.values())
    asking = [parameter for parameter in parameters if parameter.requires_grad]
    # before its first step nothing is known of any
    judged = asking if known.steps else []
    no_gradient = [parameter for parameter in judged if id(parameter) not in known.had_gradient]
    zero = [
        parameter
        for parameter in judged
        if id(parameter) in known.had_gradient and id(parameter) not in known.had_value
    ]
    still = [parameter for parameter in judged if id(parameter) not in known.moved]
    names = _names(known, parameters) if no_gradient or zero or still else {}

    def first(which: list[Any]) -> list[str]:
        return [names.get(id(parameter), "") for parameter in which[:NAMES]]

    return {
        "cls": known.cls,
        "never_gradient": first(no_gradient),
        "never_gradient_count": len(no_gradient),
        "zero_gradient": first(zero),
        "zero_gradient_count": len(zero),
        "never_moved": first(still),
        "never_moved_count": len(still),
        "parameters": len(parameters),
        "frozen": len(parameters) - len(asking),
        "inert": bool(known.steps) and not known.had_gradient,
    }


@events.guarded
def _at_exit() -> None:
    for known in list(_records.values()):
        if known.pid != os.getpid() or known.number > OPTIMIZERS:
            continue
        optimizer = known.of()
        if optimizer is None:
            continue
        if known.steps:
            # what moved since the last full look
            for identity, value in _checksums(_parameters(optimizer)).items():
                if known.sums.get(identity, value) != value:
                    known.moved.add(identity)
        _tell_end(known, optimizer)
