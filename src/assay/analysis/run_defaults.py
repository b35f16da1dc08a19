"""Run files that other run files take over through their defaults lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from assay import yaml_tree
from assay.yaml_tree import Node, Scalar, Sequence, find

if TYPE_CHECKING:
    from assay.analysis.project import Project

_NO_VALUE = ("", "???", "null", "~")


def taken_over(project: Project) -> Mapping[str, frozenset[str]]:
    """Each run file to the run files whose content it takes over, directly or through others."""
    return project.shared(_taken_over)


def run_ids(project: Project) -> tuple[str, ...]:
    """The runs that the run files configure, in the order of their paths.

    A file that others list in their defaults, and that names no run, is what they have in common and no run itself.
    """
    return project.shared(_run_ids)


def _taken_over(project: Project) -> Mapping[str, frozenset[str]]:
    paths: dict[str, set[str]] = {}
    for path in project.run_files:
        paths.setdefault(PurePosixPath(path).stem, set()).add(path)
    named = {
        path: {other for name in _named(file.root) for other in paths.get(name, ())}
        for path, file in project.run_files.items()
    }
    found: dict[str, frozenset[str]] = {}
    for path in named:
        reached: set[str] = set()
        pending = list(named[path])
        while pending:
            other = pending.pop()
            if other not in reached:
                reached.add(other)
                pending.extend(named[other])
        found[path] = frozenset(reached - {path})
    return found


def _run_ids(project: Project) -> tuple[str, ...]:
    shared = {other for others in taken_over(project).values() for other in others}
    config = project.contract.role("config")
    root = project.yaml[config].root if config in project.yaml else None
    given = _has_run_id(root)
    found = (
        PurePosixPath(path).stem
        for path, file in project.run_files.items()
        if path not in shared or _has_run_id(file.root) or (given and not path.rpartition("/")[2].startswith("_"))
    )
    return tuple(dict.fromkeys(found))


def _has_run_id(root: Node | None) -> bool:
    node = find(root, "run_id")
    return node is not None and not (isinstance(node, Scalar) and node.text in _NO_VALUE)


def _named(root: Node | None) -> Iterator[str]:
    """The last part of each configuration that a defaults list names."""
    listed = find(root, "defaults")
    for item in listed.items if isinstance(listed, Sequence) else ():
        values: list[Node] = [value for _, value in item.pairs] if isinstance(item, yaml_tree.Mapping) else [item]
        for value in values:
            for name in value.items if isinstance(value, Sequence) else [value]:
                if isinstance(name, Scalar) and name.text != "_self_":
                    yield name.text.partition("@")[0].rpartition("/")[2].removesuffix(".yaml")
