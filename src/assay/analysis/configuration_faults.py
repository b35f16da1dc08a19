"""Faults of the enactment in the use of a configuration, sorted by their cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from assay.analysis.enacted_runs import Seen
from assay.analysis.project import Project

# of a run file, by the contract
_SECTIONS = frozenset({"run_id", "method", "model", "dataset", "training", "optuna"})
_INTERPOLATION = frozenset(
    {
        "InterpolationKeyError",
        "InterpolationResolutionError",
        "InterpolationToMissingValueError",
        "UnsupportedInterpolationType",
    }
)


class MissingKey(NamedTuple):
    """A key that is read and is not there.

    Args:
        key: The key, dotted, up to the first part that is missing.
        reads: The places that read it, the surest first.
        misplaced: The node under which the configuration does have it; None where it has it nowhere.
    """

    key: str
    reads: tuple[Seen, ...]
    misplaced: str | None


def missing_keys(project: Project) -> Iterator[MissingKey]:
    """The keys that programs read and their configurations do not have, each once."""
    groups: dict[tuple[str, str | None], list[Seen]] = {}
    for fault in project.enactment.seen("fault"):
        data = fault.data
        if data.get("by") == "dict" or fault.guarded or not data.get("key"):
            continue
        if _INTERPOLATION.intersection(data["names"]):
            continue
        key = str(data["key"])
        misplaced = _misplaced(fault, key)
        if data.get("what") in ("read", "item") or (misplaced is not None and is_struct(fault)):
            groups.setdefault((key, misplaced), []).append(fault)
    for (key, misplaced), faults in groups.items():
        surest = sorted(faults, key=lambda fault: (not fault.sure, fault.stops))
        yield MissingKey(key, tuple(surest), misplaced)


def is_struct(fault: Seen) -> bool:
    """Whether a fault comes of adding a key to a configuration that takes none."""
    return fault.data.get("what") in ("write", "update", "merge") and (
        "not in struct" in fault.data["message"] or "read-only" in fault.data["message"]
    )


def added_keys(project: Project) -> Iterator[Seen]:
    """The faults that come of adding a key to a configuration that takes none."""
    for fault in project.enactment.seen("fault"):
        if is_struct(fault) and not fault.guarded and _misplaced(fault, str(fault.data["key"])) is None:
            yield fault


def is_interpolation(fault: Seen) -> bool:
    """Whether a fault comes of an interpolation that cannot be resolved."""
    return bool(_INTERPOLATION.intersection(fault.data["names"]))


def _misplaced(fault: Seen, key: str) -> str | None:
    """The node under the root that has a missing key, where every program that reads it has such a node."""
    found: set[str | None] = set()
    for program in fault.programs:
        keys = program.keys
        holders = (
            [name for name, value in keys.items() if _is_run(name, value) and _has(value, key)]
            if isinstance(keys, Mapping)
            else []
        )
        found.add(str(holders[0]) if len(holders) == 1 else None)
    return found.pop() if len(found) == 1 else None


def _is_run(name: object, value: object) -> bool:
    """Whether a node is what a run file was composed to: it is named after the group, or has a run's sections."""
    return isinstance(value, Mapping) and (name in ("run", "runs") or len(_SECTIONS.intersection(value)) > 1)


def _has(value: object, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True
