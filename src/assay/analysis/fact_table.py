"""Tables of facts about libraries, kept as tab-separated files in `analysis/libraries`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).with_name("libraries")


@cache
def read_table(name: str) -> tuple[dict[str, str], ...]:
    """The rows of a table by the names in its first line. Lines that begin with `#` say where the facts come from."""
    text = (_FOLDER / f"{name}.tsv").read_text(encoding="utf-8")
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    names = lines[0].split("\t")
    return tuple([dict(zip(names, line.split("\t"), strict=True)) for line in lines[1:]])
