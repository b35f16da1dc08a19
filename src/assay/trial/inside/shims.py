"""Report and continue: where a shim is named in the settings, a known stop is told and the program goes on.

Each leaves alone what works. It lets the library raise first, tells of that error, and then does what its repair would
have done.
"""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import events, imports, settings

# What is padded in labels: the index that losses ignore.
IGNORED = -100

DETACHED = "element 0 of tensors does not require grad and does not have a grad_fn"
UNUSED = (
    "One of the differentiated Tensors appears to not have been used in the graph. "
    "Set allow_unused=True if this is the desired behavior."
)

_torch: Any = None


def install(torch: ModuleType) -> None:
    """Put in those shims that the settings name; those of autograd are asked by `backward.py`."""
    global _torch
    if _torch is not None:
        return
    _torch = torch
    for name, put in (
        ("duplicate-groups", _keep_first_groups),
        ("empty-optimizer", _fill_empty),
        ("unscale", _skip_unscaling),
        ("label-lengths", _fit_labels),
        ("ragged-labels", _collate_ragged),
    ):
        if wanted(name):
            put(torch)
    if wanted("ragged-labels") or wanted("text-columns"):
        imports.when_imported("transformers.tokenization_utils_base", _make_even)
        imports.when_imported("transformers.data.data_collator", _collate_even)
    if wanted("negative-ids-in-decode"):
        imports.when_imported("transformers.tokenization_utils_base", _decode_negative)
    if wanted("padding-token"):
        imports.when_imported("transformers.tokenization_utils_base", _pad_with_end)
        imports.when_imported("transformers.modeling_utils", _classify_padded)
        # PEFT calls `forward` of the model that it holds, and not the model
        imports.when_imported("peft.tuners.tuners_utils", _classify_padded_within)
    if wanted("sdpa"):
        imports.when_imported("transformers.modeling_utils", _attend_eagerly)


def wanted(name: str) -> bool:
    """Whether the settings name a shim."""
    return settings.shim(name)


def tell(name: str, error: BaseException) -> None:
    """Tell that a shim stepped in, and what the program would have stopped with."""
    cls = type(error)
    kind = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    frames, library = events.own_frames(), events.library_frames()
    if error.__traceback__ is not None:
        more, inner = events.frames_of(error.__traceback__)
        frames, library = frames + more, inner or library
        text = "".join(traceback.format_exception(cls, error, error.__traceback__))
    else:
        text = f"{kind}: {error}"
    # each place once: a loop would tell it at every step
    place = frames[-1] if frames else None
    events.emit_once(
        ("shim", name, str(place), kind),
        "shim",
        name=name,
        type=kind,
        message=str(error)[:1500],
        frames=frames,
        library_frames=library,
        text=text[-6000:],
    )


# ---- autograd --------------------------------------------------------------------------------------------------------


def detached(tensors: Any) -> bool:
    """Whether none of these leads to a parameter, which is told; a backward pass from them would stop the program."""
    given = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
    if not given or any(getattr(tensor, "requires_grad", True) for tensor in given):
        return False
    tell("detached-loss", RuntimeError(DETACHED))
    return True


def zeros(torch: Any, inputs: Any) -> tuple[Any, ...]:
    """A gradient of zeros for each input."""
    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    return tuple(torch.zeros_like(tensor) for tensor in given)


def unused(torch: Any, real: Callable[..., Any], outputs: Any, inputs: Any, args: Any, keywords: Any) -> Any:
    """Gradients, zeros for inputs that the outputs do not depend on, which is told unless the program allows it."""
    # after grad_outputs, retain_graph, create_graph, only_inputs
    if len(args) > 4 or keywords.get("allow_unused") or keywords.get("materialize_grads"):
        return real(outputs, inputs, *args, **keywords)
    found = real(outputs, inputs, *args, **{**keywords, "allow_unused": True})
    if all(gradient is not None for gradient in found):
        return found
    tell("unused-grad", RuntimeError(UNUSED))
    both = zip(found, zeros(torch, inputs))  # noqa: B905 - Python 3.9 has no `strict`
    return tuple(empty if gradient is None else gradient for gradient, empty in both)


# ---- optimizers ------------------------------------------------------------------------------------------------------


def _keep_first_groups(torch: Any) -> None:
    cls = torch.optim.Optimizer
    real = cls.add_param_group

    @functools.wraps(real)
    def add_param_group(self: Any, param_group: Any) -> Any:
        try:
            return real(self, param_group)
        except ValueError as error:
            if "more than one parameter group" not in str(error):
                raise
            tell("duplicate-groups", error)
        known = {id(parameter) for group in self.param_groups for parameter in group["params"]}
        # the real one has made a list of it by now
        param_group["params"] = [parameter for parameter in param_group["params"] if id(parameter) not in known]
        return real(self, param_group)

    cls.add_param_group = add_param_group


def _fill_empty(torch: Any) -> None:
    cls = torch.optim.Optimizer
    real = cls.__init__

    @functools.wraps(real)
    def building(self: Any, params: Any, *args: Any, **keywords: Any) -> None:
        try:
            real(self, params, *args, **keywords)
            return
        except ValueError as error:
            if "empty parameter list" not in str(error):
                raise
            tell("empty-optimizer", error)
        real(self, [torch.nn.Parameter(torch.zeros(1))], *args, **keywords)

    cls.__init__ = building


def _skip_unscaling(torch: Any) -> None:
    scaler = getattr(getattr(torch, "amp", None), "GradScaler", None)
    if scaler is None:
        return
    real_unscale, real_grads, real_step = scaler.unscale_, scaler._unscale_grads_, scaler.step

    @functools.wraps(real_grads)
    def _unscale_grads_(self: Any, optimizer: Any, inv_scale: Any, found_inf: Any, allow_fp16: bool) -> Any:
        try:
            return real_grads(self, optimizer, inv_scale, found_inf, allow_fp16)
        except ValueError as error:
            if "unscale FP16 gradients" not in str(error):
                raise
            tell("unscale", error)
        return real_grads(self, optimizer, inv_scale, found_inf, True)

    @functools.wraps(real_unscale)
    def unscale_(self: Any, optimizer: Any) -> Any:
        try:
            return real_unscale(self, optimizer)
        except RuntimeError as error:
            if "unscale_()" not in str(error):
                raise
            tell("unscale", error)
        return None

    @functools.wraps(real_step)
    def step(self: Any, optimizer: Any, *args: Any, **keywords: Any) -> Any:
        try:
            return real_step(self, optimizer, *args, **keywords)
        except (AssertionError, RuntimeError) as error:
            if "No inf checks" not in str(error) and "step() has already been called" not in str(error):
                raise
            tell("unscale", error)
        return None

    scaler._unscale_grads_, scaler.unscale_, scaler.step = _unscale_grads_, unscale_, step


def _fit_labels(torch: Any) -> None:
    functional = torch.nn.functional
    real = functional.cross_entropy

    @functools.wraps(real)
    def cross_entropy(input: Any, target: Any, *args: Any, **keywords: Any) -> Any:
        try:
            return real(input, target, *args, **keywords)
        except ValueError as error:
            if "to match target batch_size" not in str(error):
                raise
            tell("label-lengths", error)
        rows = input.shape[0]
        if target.shape[0] < rows:
            ignored = keywords.get("ignore_index", IGNORED)
            filler = torch.full((rows - target.shape[0], *target.shape[1:]), ignored, dtype=target.dtype)
            target = torch.cat([target, filler.to(target.device)])
        return real(input, target[:rows], *args, **keywords)

    functional.cross_entropy = cross_entropy


# ---- batches ---------------------------------------------------------------------------------------------------------


def _make_even(module: ModuleType) -> None:
    cls: Any = module.BatchEncoding
    real = cls.convert_to_tensors

    @functools.wraps(real)
    def convert_to_tensors(self: Any, *args: Any, **keywords: Any) -> Any:
        try:
            return real(self, *args, **keywords)
        except (ValueError, TypeError) as error:
            if not _even(self.data, error):
                raise
        return real(self, *args, **keywords)

    cls.convert_to_tensors = convert_to_tensors


def _even(data: Any, error: BaseException) -> bool:
    """Make a batch such that tensors can be made of it; False where no shim that is wanted can."""
    changed = False
    for name, rows in list(data.items()):
        if not isinstance(rows, (list, tuple)):
            continue
        if any(isinstance(item, str) for item in _leaves(rows)):
            if wanted("text-columns"):
                tell("text-columns", error)
                del data[name]
                changed = True
        elif _ragged(rows) and wanted("ragged-labels"):
            tell("ragged-labels", error)
            data[name] = _padded(rows, _filler(name))
            changed = True
    return changed


def _filler(name: str) -> int:
    return IGNORED if "label" in name.lower() else 0


def _leaves(rows: Any) -> Any:
    for item in rows:
        if isinstance(item, (list, tuple)):
            yield from _leaves(item)
        else:
            yield item


def _length(row: Any) -> int | None:
    if isinstance(row, (list, tuple)):
        return len(row)
    if getattr(row, "ndim", 0) == 1:
        return int(row.shape[0])
    return None


def _ragged(rows: Any) -> bool:
    lengths = {_length(row) for row in rows}
    return len(lengths) > 1 and None not in lengths


def _padded(rows: Any, filler: int) -> list[Any]:
    longest = max(_length(row) or 0 for row in rows)
    return [list(row) + [filler] * (longest - len(row)) for row in rows]


def _collate_even(module: ModuleType) -> None:
    real = getattr(module, "torch_default_data_collator", None)
    if real is None:
        return

    @functools.wraps(real)
    def torch_default_data_collator(features: Any) -> Any:
        try:
            return real(features)
        except (ValueError, TypeError, RuntimeError) as error:
            given = [dict(feature) if hasattr(feature, "keys") else dict(vars(feature)) for feature in features]
            data = {name: [feature.get(name) for feature in given] for name in given[0]}
            if not _even(data, error):
                raise
        return real([{name: rows[place] for name, rows in data.items()} for place in range(len(given))])

    module.torch_default_data_collator = torch_default_data_collator  # type: ignore[attr-defined]


def _collate_ragged(torch: Any) -> None:
    collate: Any = sys.modules["torch.utils.data._utils.collate"]
    real = collate.default_collate

    @functools.wraps(real)
    def default_collate(batch: Any) -> Any:
        try:
            return real(batch)
        except RuntimeError as error:
            if "equal size" not in str(error) or not isinstance(batch[0], dict):
                raise
            tell("ragged-labels", error)
        fields = {name: [row[name] for row in batch] for name in batch[0]}
        for name, rows in fields.items():
            if _ragged(rows):
                kind = rows[0].dtype if isinstance(rows[0], torch.Tensor) else None
                fields[name] = [torch.tensor([*map(_plain, row)], dtype=kind) for row in _padded(rows, _filler(name))]
        return real([{name: rows[place] for name, rows in fields.items()} for place in range(len(batch))])

    collate.default_collate = default_collate
    torch.utils.data.default_collate = default_collate
    loading = sys.modules.get("torch.utils.data.dataloader")
    if loading is not None and hasattr(loading, "default_collate"):
        loading.default_collate = default_collate  # type: ignore[attr-defined]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _decode_negative(module: ModuleType) -> None:
    cls: Any = module.PreTrainedTokenizerBase
    real = cls.decode

    @functools.wraps(real)
    def decode(self: Any, token_ids: Any, *args: Any, **keywords: Any) -> Any:
        try:
            return real(self, token_ids, *args, **keywords)
        except (OverflowError, TypeError, IndexError, ValueError) as error:
            ids = token_ids.tolist() if hasattr(token_ids, "tolist") else token_ids
            ids = [ids] if isinstance(ids, int) else ids
            if not any(isinstance(item, int) and item < 0 for item in _leaves(ids)):
                raise
            tell("negative-ids-in-decode", error)
        pad = self.pad_token_id if self.pad_token_id is not None else 0
        return real(self, _without_negative(ids, pad), *args, **keywords)

    cls.decode = decode


def _without_negative(ids: Any, pad: int) -> Any:
    if isinstance(ids, (list, tuple)):
        return [_without_negative(item, pad) for item in ids]
    return pad if ids < 0 else ids


# ---- models and tokenizers -------------------------------------------------------------------------------------------


def _pad_with_end(module: ModuleType) -> None:
    cls: Any = module.PreTrainedTokenizerBase
    real = cls._get_padding_truncation_strategies

    @functools.wraps(real)
    def _get_padding_truncation_strategies(self: Any, *args: Any, **keywords: Any) -> Any:
        try:
            return real(self, *args, **keywords)
        except ValueError as error:
            if "does not have a padding token" not in str(error) or self.eos_token is None:
                raise
            tell("padding-token", error)
        self.pad_token = self.eos_token
        return real(self, *args, **keywords)

    cls._get_padding_truncation_strategies = _get_padding_truncation_strategies


def _classify_padded(module: ModuleType) -> None:
    _retry_padded(module.PreTrainedModel, "__call__", lambda model: model)


def _classify_padded_within(module: ModuleType) -> None:
    _retry_padded(module.BaseTuner, "forward", lambda tuner: tuner.model)


def _retry_padded(cls: Any, method: str, model_of: Callable[[Any], Any]) -> None:
    """Let a model that classifies the last token before the padding take a batch although it knows no padding."""
    real = getattr(cls, method)

    @functools.wraps(real)
    def calling(self: Any, *args: Any, **keywords: Any) -> Any:
        try:
            return real(self, *args, **keywords)
        except ValueError as error:
            config = getattr(model_of(self), "config", None)
            if "if no padding token" not in str(error) or config is None:
                raise
            tell("padding-token", error)
        end = getattr(config, "eos_token_id", None)
        end = end[0] if isinstance(end, list) else end
        config.pad_token_id = 0 if end is None else end
        return real(self, *args, **keywords)

    setattr(cls, method, calling)


UNSUPPORTED = "does not support an attention implementation through torch.nn.functional.scaled_dot_product_attention"


def _attend_eagerly(module: ModuleType) -> None:
    cls: Any = module.PreTrainedModel
    real = getattr(cls, "get_correct_attn_implementation", None)
    if real is not None:

        @functools.wraps(real)
        def get_correct_attn_implementation(self: Any, *args: Any, **keywords: Any) -> Any:
            try:
                return real(self, *args, **keywords)
            except ValueError as error:
                if UNSUPPORTED not in str(error):
                    raise
                tell("sdpa", error)
            return "eager"

        cls.get_correct_attn_implementation = get_correct_attn_implementation
        return
    # before 4.54 a class method set it in the configuration
    older = vars(cls).get("_check_and_enable_sdpa")
    if not isinstance(older, classmethod):
        return
    check = older.__func__

    @functools.wraps(check)
    def _check_and_enable_sdpa(kind: Any, config: Any, *args: Any, **keywords: Any) -> Any:
        try:
            return check(kind, config, *args, **keywords)
        except ValueError as error:
            if UNSUPPORTED not in str(error):
                raise
            tell("sdpa", error)
        config._attn_implementation = "eager"
        return config

    cls._check_and_enable_sdpa = classmethod(_check_and_enable_sdpa)
