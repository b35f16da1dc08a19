"""The run variations that a YAML file lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from assay import yaml_tree

LIST_KEYS = ("experiments", "run_variations", "variations", "runs", "experiment_runs")
ID_KEYS = ("run_id", "id", "name", "run_name")


class RunList(NamedTuple):
    """A list of runs in a YAML file.

    Args:
        key: The key it stands under; its place is the place of the list.
        entries: Its entries; none for an empty list or `null`.
        ids: The id of each entry, None where it has none.
    """

    key: yaml_tree.Scalar
    entries: tuple[yaml_tree.Node, ...]
    ids: tuple[str | None, ...]


def run_list(root: yaml_tree.Node | None) -> RunList | None:
    """The list of runs at the top of a file, one that holds runs before an empty one; None where there is none."""
    if not isinstance(root, yaml_tree.Mapping):
        return None
    empty: RunList | None = None
    for name in LIST_KEYS:
        key, value = root.key(name), root.get(name)
        if key is None or value is None:
            continue
        found = RunList(key, (), ())
        if isinstance(value, yaml_tree.Sequence):
            found = RunList(key, tuple(value.items), tuple(entry_id(item) for item in value.items))
        elif isinstance(value, yaml_tree.Mapping):
            named = list(value.items())
            found = RunList(key, tuple(item for _, item in named), tuple(text for text, _ in named))
        elif value.resolve() is not None:
            continue
        if found.entries:
            return found
        empty = empty or found
    return empty


def entry_id(entry: yaml_tree.Node) -> str | None:
    """The id of an entry: itself where it is a text, else the value of one of the usual keys."""
    if isinstance(entry, yaml_tree.Scalar):
        return entry.text
    for name in ID_KEYS:
        value = yaml_tree.find(entry, name)
        if isinstance(value, yaml_tree.Scalar):
            return value.text
    return None


def texts(root: yaml_tree.Node | None) -> Iterator[str]:
    """The text of every scalar of a tree, keys included. A node that aliases repeat is visited once."""
    pending = [root] if root is not None else []
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml_tree.Scalar):
            yield node.text
        elif isinstance(node, yaml_tree.Sequence):
            pending.extend(node.items)
        else:
            pending.extend(part for pair in node.pairs for part in pair)
