"""The environments that Assay keeps, listed and pruned."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from assay.analysis.resolution import cache_folder
from assay.errors import InputError
from assay.report.styled_text import Line, visible
from assay.trial import cached

_UNITS = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[BKMGT]?)B?", re.IGNORECASE)


def cache_lines(prune: str | None, width: int) -> Iterator[Line]:
    """The environments in the cache, the one used last first; after pruning, where a size is given.

    Args:
        prune: What may be kept, such as `20GB`; None to prune nothing.
        width: Columns to fill.

    Raises:
        InputError: where the size is none, or the cache cannot be read or written.
    """
    most = None if prune is None else size_in_bytes(prune)
    try:
        gone = [] if most is None else cached.prune(most)
        kept = cached.entries()
    except OSError as error:
        raise InputError(f"the cache of environments: {error.strerror or error}") from None
    for entry in gone:
        yield [("gave up  ", "warning"), (visible(entry.path.name), ""), (f"  {shown_size(entry.bytes)}", "dim")]
    for entry in kept:
        used = datetime.datetime.fromtimestamp(entry.last_used).strftime("%Y-%m-%d %H:%M")
        said = f"  {shown_size(entry.bytes):>9}  {entry.packages:>4} packages  used {used}"
        yield [(visible(entry.path.name), "strong"), (said, ""), ("  in use" if entry.in_use else "", "good")]
    total = sum(entry.bytes for entry in kept)
    yield [(f"{len(kept)} environments, {shown_size(total)}, in {visible(str(cache_folder()))}", "dim")]


def size_in_bytes(text: str) -> int:
    """`20GB`, `500 MB` or `0` in bytes; units are powers of 1000.

    Raises:
        InputError: where the text is no size.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} is no size; write it like 20GB, 500MB or 0")
    return int(float(match["number"]) * _UNITS[match["unit"].upper()])


def shown_size(size: int) -> str:
    """Bytes as people read them: `3.4 GB`."""
    for unit in ("G", "M", "K"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.1f} {unit.replace('K', 'k')}B"
    return f"{size} B"
