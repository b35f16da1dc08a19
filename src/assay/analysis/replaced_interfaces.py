"""What took the place of library interfaces that went away or are discouraged (`libraries/replaced.tsv`)."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from packaging.version import Version

from assay.analysis.fact_table import read_table
from assay.analysis.library_interface import Absence


class Replaced(NamedTuple):
    """An interface and its successor.

    Args:
        deprecated: The release from which on it is discouraged; None where it was never marked.
        use: What to write instead.
    """

    deprecated: Version | None
    use: str


def replaced(name: str, argument: str = "") -> Replaced | None:
    """What took the place of a name, or of a keyword argument of it; None where nothing is known."""
    return _table().get((name, argument))


def remedy(absence: Absence, argument: bool = False) -> str:
    """What to write in place of something that is not there."""
    known = replaced(absence.owner, absence.name) if argument else replaced(f"{absence.owner}.{absence.name}")
    if known is not None:
        return f"Use {known.use}"
    if absence.near:
        return f"Use `{absence.near}` if that is meant"
    if absence.comes:
        return f"Ask for {absence.distribution}>={absence.comes}"
    return f"Leave out `{absence.name}`" if argument else f"Use something that `{absence.owner}` has"


@cache
def _table() -> dict[tuple[str, str], Replaced]:
    return {
        (row["name"], row["argument"]): Replaced(Version(row["deprecated"]) if row["deprecated"] else None, row["use"])
        for row in read_table("replaced")
    }
