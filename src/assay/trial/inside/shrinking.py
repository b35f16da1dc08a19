"""Smaller sizes for a quick rehearsal: shorter texts, shorter generations, fewer steps of Hugging Face's Trainer.

What the program did not limit itself is not limited here: a text that it does not truncate keeps its length.
"""

from __future__ import annotations

import functools
import sys
from types import FrameType, ModuleType
from typing import Any

from . import events, imports, settings

# Longest texts that a program truncates to and that were cut here: what it pads to them later is cut alike.
_cut_lengths: set[int] = set()


def install(module: ModuleType) -> None:
    """Cut the sizes of transformers; for torch there is nothing to do, passes over data are cut in `loading.py`."""
    if module.__name__.partition(".")[0] != "transformers" or not settings.shrinks():
        return
    imports.when_imported("transformers.tokenization_utils_base", _cut_texts)
    imports.when_imported("transformers.generation.utils", _cut_generation)
    imports.when_imported("transformers.training_args", _cut_training)


def _told(what: str, before: Any, after: Any) -> None:
    events.emit_once(("shrunk", what), "shrunk", what=what, **{"from": before, "to": after}, frames=events.own_frames())


def _cut_texts(module: ModuleType) -> None:
    limit = settings.limit("tokens")
    cls: Any = module.PreTrainedTokenizerBase
    real = cls._get_padding_truncation_strategies
    if limit is None:
        return

    @functools.wraps(real)
    def _get_padding_truncation_strategies(self: Any, *args: Any, **keywords: Any) -> Any:
        found = real(self, *args, **keywords)
        cut = _cut_length(found, _stride(sys._getframe(1)), limit)
        return found if cut is None else (found[0], found[1], cut, *found[3:])

    cls._get_padding_truncation_strategies = _get_padding_truncation_strategies


def _stride(frame: FrameType | None) -> Any:
    """By how much windows over a text overlap, as the tokenizer's call has it; a shim may stand between."""
    for _ in range(3):
        if frame is None:
            return None
        if "stride" in frame.f_locals:
            return frame.f_locals["stride"]
        frame = frame.f_back
    return None


@events.guarded
def _cut_length(found: Any, stride: Any, limit: int) -> int | None:
    """The length to use instead of the one that the program asks for; None where that stays."""
    padding, truncation, length = found[0], found[1], found[2]
    if not isinstance(length, int) or length <= limit:
        return None
    if isinstance(stride, int) and stride > 0:
        # windows overlap by the stride and must go forward
        limit = max(limit, 3 * stride)
        if length <= limit:
            return None
    if getattr(truncation, "value", "") != "do_not_truncate":
        _cut_lengths.add(length)
    elif getattr(padding, "value", "") != "max_length" or length not in _cut_lengths:
        return None
    _told("tokens", length, limit)
    return limit


def _cut_generation(module: ModuleType) -> None:
    limit = settings.limit("new_tokens")
    cls: Any = module.GenerationMixin
    real = cls.generate
    if limit is None:
        return

    @functools.wraps(real)
    def generate(self: Any, *args: Any, **keywords: Any) -> Any:
        given = _with_end(args, keywords, limit)
        if given is not None:
            args, keywords = given
        return real(self, *args, **keywords)

    cls.generate = generate


@events.guarded
def _with_end(args: tuple[Any, ...], keywords: dict[str, Any], limit: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    # a criterion rather than other arguments: whatever the program says of lengths stays as it is, and is checked
    from transformers.generation.stopping_criteria import StoppingCriteriaList

    # inputs, generation_config, logits_processor, stopping_criteria
    place = 3
    own = keywords.get("stopping_criteria") if len(args) <= place else args[place]
    criteria = StoppingCriteriaList([*(own or ()), End(limit)])
    if len(args) > place:
        return (*args[:place], criteria, *args[place + 1 :]), keywords
    return args, {**keywords, "stopping_criteria": criteria}


class End:
    """Ends a generation after some new tokens.

    Args:
        limit: How many, 1 or more.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.tokens = 0

    def __call__(self, input_ids: Any, scores: Any, **keywords: Any) -> Any:
        import torch

        self.tokens += 1
        over = self.tokens >= self.limit
        if over:
            _told("new_tokens", None, self.limit)
        return torch.full((input_ids.shape[0],), over, dtype=torch.bool)


def _cut_training(module: ModuleType) -> None:
    limit = settings.limit("steps")
    if limit is None or settings.get("mode") not in ("full", "experiment"):
        return
    cls: Any = module.TrainingArguments
    real = cls.__post_init__

    @functools.wraps(real)
    def checking(self: Any) -> None:
        real(self)
        _cut_steps(self, limit)

    cls.__post_init__ = checking


@events.guarded
def _cut_steps(arguments: Any, limit: int) -> None:
    if isinstance(arguments.max_steps, int) and arguments.max_steps > limit:
        _told("steps", arguments.max_steps, limit)
        arguments.max_steps = limit
    # every branch is to be entered once: what happens each thousand steps happens twice
    half = max(1, limit // 2)
    for name in ("eval_steps", "save_steps", "logging_steps"):
        every = getattr(arguments, name, None)
        if isinstance(every, (int, float)) and every > limit:
            _told(name, every, half)
            setattr(arguments, name, half)
