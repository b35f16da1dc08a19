"""Which keys of the configuration the programs read, and which leaves a run file sets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assay.analysis.project import Project
from assay.yaml_tree import Mapping, Node, Scalar

# reads that take a node with everything below it
_WHOLE = frozenset({"items", "keys", "values", "expansion"})
_MAX_DEPTH = 20


@dataclass(frozen=True, slots=True)
class ConfigurationReads:
    """The keys that any program of a submission reads.

    Args:
        keys: Dotted keys that are read one by one.
        whole: Dotted keys of nodes that are read, or given away, with all that is below them.
    """

    keys: frozenset[str]
    whole: frozenset[str]

    def covers(self, key: str) -> bool:
        """Whether a key of a run file is read, wherever in the configuration the run file is put."""
        if key in self.keys or any(one.endswith(f".{key}") for one in self.keys):
            return True
        parts = key.split(".")
        above = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        return any(one in above or any(one.endswith(f".{name}") for name in above) for one in self.whole)


def configuration_reads(project: Project) -> ConfigurationReads | None:
    """What is read; None where that is not known of all programs."""
    enactment = project.enactment
    if not enactment.complete or not enactment.programs:
        return None
    if any(program.composed != "yes" and program.mode != "evaluate" for program in enactment.programs):
        return None
    # after a fault the programs go on without the value: what they would read then is not known
    if any(fault.sure and not fault.guarded for fault in enactment.seen("fault")):
        return None
    keys: set[str] = set()
    whole: set[str] = set()
    for seen in enactment.seen("read", "escape"):
        path = seen.data.get("path")
        if path is None or (seen.kind == "escape" and not path):
            return None
        if seen.kind == "escape" or seen.data.get("by") in _WHOLE:
            if not path:
                return None
            whole.add(path)
        keys.add(path)
    return ConfigurationReads(frozenset(keys), frozenset(whole)) if keys else None


def leaves(root: Node | None) -> Iterator[tuple[str, Scalar, Node]]:
    """The values of a file that are no mappings: dotted key, where the key stands, and the value."""
    pending: list[tuple[str, Node | None, int]] = [("", root, 0)]
    while pending:
        prefix, node, depth = pending.pop()
        if not isinstance(node, Mapping) or depth > _MAX_DEPTH:
            continue
        for key, value in node.pairs:
            if not isinstance(key, Scalar):
                continue
            if isinstance(value, Mapping):
                pending.append((f"{prefix}{key.text}.", value, depth + 1))
            else:
                yield f"{prefix}{key.text}", key, value
