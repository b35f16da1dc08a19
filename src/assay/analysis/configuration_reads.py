"""Which keys of the configuration the programs read, and which leaves a run file sets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from assay.analysis.project import Project
from assay.yaml_tree import Mapping, Node, Scalar

# reads that take a node with everything below it
_WHOLE = frozenset({"items", "keys", "values", "expansion"})
_MAX_DEPTH = 20
# what starts a program in a way that the enactment does not follow
_STARTS = re.compile(
    r"os\.(exec\w+|spawn\w+|posix_spawn\w*|popen|fork\w*|startfile)|subprocess\.(getoutput|getstatusoutput)"
    r"|asyncio\.create_subprocess_\w+|(runpy|pty|pexpect|sh|plumbum|invoke|fabric|submitit|ray|dask|joblib)\.[\w.]+"
    r"|(torch\.)?multiprocessing\.[\w.]+|concurrent\.[\w.]+|accelerate\.\w*launch\w*"
)


@dataclass(frozen=True, slots=True)
class ConfigurationReads:
    """The keys that any program of a submission reads.

    Args:
        keys: Dotted keys that are read one by one.
        whole: Dotted keys of nodes that are read, or given away, with all that is below them.
        known: Ids of the runs of which every read is known.
    """

    keys: frozenset[str]
    whole: frozenset[str]
    known: frozenset[str] = frozenset()

    def covers(self, key: str) -> bool:
        """Whether a key of a run file is read, wherever in the configuration the run file is put."""
        if key in self.keys or any(one.endswith(f".{key}") for one in self.keys):
            return True
        parts = key.split(".")
        above = {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
        return any(one in above or any(one.endswith(f".{name}") for name in above) for one in self.whole)


def configuration_reads(project: Project) -> ConfigurationReads | None:
    """What is read; None where that is not known of all programs."""
    reads = reads_of_known_runs(project)
    if reads is None or not project.enactment.complete:
        return None
    return reads if {program.run for program in project.enactment.programs} <= {None, *reads.known} else None


def reads_of_known_runs(project: Project) -> ConfigurationReads | None:
    """What the programs read, as far as it is known; None where there is no run of which all is.

    A program that comes to an error goes on without the value, so what it would read then is not known. That concerns
    its run; where the program serves all runs, as evaluation does, it concerns all of them.
    """
    return project.shared(_reads_of_known_runs)


def _reads_of_known_runs(project: Project) -> ConfigurationReads | None:
    enactment = project.enactment
    if enactment.failed or any(_STARTS.fullmatch(name) for file in project.python.values() for _, name in file.calls):
        return None
    keys: set[str] = set()
    whole: set[str] = set()
    unknown: set[str | None] = set()
    for program in enactment.programs:
        is_composed = program.composed == "yes" or program.mode == "evaluate"
        if not is_composed or not enactment.follows(program):
            unknown.add(program.run)
        for event in program.events:
            if event["kind"] not in ("read", "escape"):
                continue
            path = event.get("path")
            everything = event["kind"] == "escape" or event.get("by") in _WHOLE
            if path is None or (everything and not path):
                unknown.add(program.run)
                continue
            if everything:
                whole.add(path)
            keys.add(path)
    runs = {program.run for program in enactment.programs}
    known = frozenset(run for run in runs - unknown if run is not None)
    if None in unknown or not keys or (not known and runs != {None}):
        return None
    return ConfigurationReads(frozenset(keys), frozenset(whole), known)


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
