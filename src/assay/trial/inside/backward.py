"""Backward passes: the loss that each starts from, without the scale of mixed precision, and whether it is finite."""

from __future__ import annotations

import functools
import sys
import warnings
import weakref
from types import ModuleType
from typing import Any

from . import counters, events, numbers, shims

# Backward passes that are told one by one, after which only powers of two are.
TOLD = 60

_torch: Any = None
# the loss that a gradient scaler multiplied last: its result, the factor, the loss before
_scaled: tuple[Any, float, float | None] | None = None


def install(torch: ModuleType) -> None:
    """Wrap `torch.autograd.backward`, which `Tensor.backward` calls, `torch.autograd.grad`, and the gradient scaler."""
    global _torch
    if _torch is not None:
        return
    _torch = torch
    _wrap_backward(torch)
    _wrap_grad(torch)
    scaler = getattr(getattr(torch, "amp", None), "GradScaler", None)
    if scaler is None:
        scaler = sys.modules["torch.cuda.amp.grad_scaler"].GradScaler
    _wrap_scale(scaler)
    _wrap_optimizer_step(scaler)


def scaled() -> bool:
    """Whether the last loss went through a gradient scaler."""
    return _scaled is not None


def _wrap_backward(torch: Any) -> None:
    real = torch.autograd.backward

    @functools.wraps(real)
    def backward(tensors: Any, *args: Any, **keywords: Any) -> Any:
        _look(tensors, "backward")
        if shims.wanted("detached-loss") and shims.detached(tensors):
            return None
        if numbers.tracing() and _scaled is None:
            return _watched(real, tensors, args, keywords)
        return real(tensors, *args, **keywords)

    torch.autograd.backward = backward


def _wrap_grad(torch: Any) -> None:
    real = torch.autograd.grad

    @functools.wraps(real)
    def grad(outputs: Any, inputs: Any, *args: Any, **keywords: Any) -> Any:
        _look(outputs, "grad")
        if shims.wanted("detached-loss") and shims.detached(outputs):
            return shims.zeros(torch, inputs)
        if shims.wanted("unused-grad"):
            return shims.unused(torch, real, outputs, inputs, args, keywords)
        return real(outputs, inputs, *args, **keywords)

    torch.autograd.grad = grad


def _watched(real: Any, tensors: Any, args: Any, keywords: Any) -> Any:
    """A backward pass in anomaly mode: told once where a gradient became NaN, and gone on with."""
    warned: list[str] = []
    show = warnings.showwarning

    def keep(message: Any, *more: Any, **others: Any) -> None:
        warned.append(str(message))
        if numbers.ANOMALY.search(str(message)) is None and "Error detected in" not in str(message):
            show(message, *more, **others)

    try:
        warnings.showwarning = keep
        return real(tensors, *args, **keywords)
    except RuntimeError as error:
        if not numbers.from_anomaly(error, warned, counters.backward):
            raise
        # the gradients that were reached are there; the program would have gone on with those that were not, too
        return None
    finally:
        warnings.showwarning = show


@events.guarded
def _look(tensors: Any, call: str) -> None:
    global _scaled
    counters.backward += 1
    n = counters.backward
    # through a lazy iterable one could look only once, and that is autograd's
    losses = (
        [tensors] if isinstance(tensors, _torch.Tensor) else list(tensors) if isinstance(tensors, (list, tuple)) else []
    )
    if any(map(_within_transform, losses)):
        return
    if _scaled is not None and not any(_scaled[0]() is tensor for tensor in losses):
        _scaled = None
    told = n <= TOLD or not n & (n - 1)
    loss, scale = _value(losses)
    finite = all(size - size == 0 for size in numbers.largest(_torch, losses))
    if loss is not None and scale is not None:
        finite = loss - loss == 0
    if not finite:
        from . import cuda

        if numbers.tracing():
            for tensor in losses:
                numbers.traced(tensor, n)
        if not numbers.told("loss"):
            numbers.tell("loss", "loss", n, "", loss, amp=cuda.mixed_precision())
    if told:
        graph = any(getattr(tensor, "requires_grad", False) for tensor in losses)
        events.emit(
            "backward",
            n=n,
            call=call,
            loss=loss,
            finite=finite,
            requires_graph=graph,
            scale=scale,
            frames=events.own_frames(),
        )


def _value(losses: list[Any]) -> tuple[float | None, float | None]:
    """The loss as a number, None where it is no single number; and the scale that it was multiplied by, if it was."""
    if len(losses) != 1 or losses[0].numel() != 1 or losses[0].device.type == "meta":
        return None, None
    tensor = losses[0]
    if _scaled is not None and _scaled[0]() is tensor:
        return _scaled[2], _scaled[1]
    value = tensor.detach().reshape(())
    number = value.item()
    return (abs(number) if isinstance(number, complex) else float(number)), None


def _within_transform(tensor: Any) -> bool:
    """Whether a tensor stands for many (torch.func), and has no value that could be read."""
    functorch = getattr(_torch._C, "_functorch", None)
    asked = getattr(functorch, "is_functorch_wrapped_tensor", None)
    return bool(asked is not None and asked(tensor))


def _wrap_scale(scaler: Any) -> None:
    real = scaler.scale

    @functools.wraps(real)
    def scale(self: Any, outputs: Any) -> Any:
        result = real(self, outputs)
        if self.is_enabled() and isinstance(outputs, _torch.Tensor):
            _scaling(self, outputs, result)
        return result

    scaler.scale = scale


@events.guarded
def _scaling(scaler: Any, outputs: Any, result: Any) -> None:
    global _scaled
    loss = float(outputs.detach().reshape(()).item()) if outputs.numel() == 1 else None
    _scaled = (weakref.ref(result), float(scaler.get_scale()), loss)


def _wrap_optimizer_step(scaler: Any) -> None:
    """`_maybe_opt_step` leaves out the step where gradients overflowed, and tells nobody."""
    real = getattr(scaler, "_maybe_opt_step", None)
    if real is None:
        return

    @functools.wraps(real)
    def _maybe_opt_step(self: Any, optimizer: Any, optimizer_state: Any, *args: Any, **keywords: Any) -> Any:
        _overflow(self, optimizer, optimizer_state)
        return real(self, optimizer, optimizer_state, *args, **keywords)

    scaler._maybe_opt_step = _maybe_opt_step


@events.guarded
def _overflow(scaler: Any, optimizer: Any, state: Any) -> None:
    found = state.get("found_inf_per_device", {})
    if sum(value.item() for value in found.values()):
        from . import optimizers

        optimizers.skipped(optimizer, float(scaler.get_scale()))
