"""What the methods of text do."""

from __future__ import annotations

import re

from assay.analysis.enactment.describing import held_of
from assay.analysis.enactment.operations import MAX_TEXT
from assay.analysis.enactment.registry import Call
from assay.analysis.enactment.values import ANYTHING, External, Items, marks_of

# Methods whose result is no longer than the text is, or a number or truth value.
_METHODS = frozenset(
    {
        "split", "rsplit", "strip", "lstrip", "rstrip", "lower", "upper", "startswith", "endswith", "title",
        "capitalize", "partition", "rpartition", "isdigit", "isalpha", "isnumeric", "find", "rfind", "count",
        "removeprefix", "removesuffix", "splitlines", "casefold", "swapcase", "isspace", "isalnum", "isupper",
        "islower", "isidentifier", "isdecimal",
    }
)  # fmt: skip


def text_method(call: Call, text: str) -> object:
    """A method of a text."""
    positional, unknown = call.positional, External("?", marks_of(*call.values))
    if call.is_open or call.machine.is_made_up(text):
        return unknown
    if call.name == "join" and len(positional) == 1:
        return _joined(call, text)
    if call.name == "format":
        return _formatted(call, text)
    if call.name == "replace" and len(positional) == 2 and not call.keywords:
        old, new = positional
        if isinstance(old, str) and isinstance(new, str) and (len(text) + 1) * (len(new) + 1) <= MAX_TEXT:
            return text.replace(old, new)
        return unknown
    if call.name not in _METHODS or call.keywords or len(positional) > 3:
        return unknown
    arguments = [_argument(one) for one in positional]
    if not all(isinstance(one, str | int | tuple) or one is None for one in arguments):
        return unknown
    try:
        found = getattr(text, call.name)(*arguments)
    except (TypeError, ValueError, OverflowError):
        return ANYTHING
    return held_of(found, call.machine.region) if isinstance(found, list | tuple) else found


def _argument(value: object) -> object:
    """A tuple of texts as `startswith` takes it."""
    if isinstance(value, Items) and value.kind == "tuple" and not value.open:
        texts = tuple(one for one in value.items if isinstance(one, str))
        return texts if len(texts) == len(value.items) else value
    return value


def _joined(call: Call, text: str) -> object:
    turns = call.machine.turns(call.positional[0])
    parts = [one for one in turns if isinstance(one, str)] if turns is not None else []
    if turns is None or len(parts) < len(turns) or len(text) * len(parts) + sum(map(len, parts)) > MAX_TEXT:
        return External("?", marks_of(call.positional[0], *(turns or ())))
    return text.join(parts)


def _formatted(call: Call, text: str) -> object:
    """`text.format(...)` where the text has nothing but `{}` in it."""
    pieces = re.fullmatch(r"[^{}]*(\{\}[^{}]*)*", text)
    texts = [call.machine.text_of(one) for one in call.positional]
    known = [one for one in texts if one is not None]
    if pieces is None or call.keywords or len(known) < len(texts) or text.count("{}") != len(texts):
        return External("?", marks_of(*call.values))
    whole = "".join(piece + part for piece, part in zip(text.split("{}"), [*known, ""], strict=True))
    return whole if len(whole) <= MAX_TEXT else External("?", marks_of(*call.values))
