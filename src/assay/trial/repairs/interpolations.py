"""Repair: an interpolation of a kind that nobody registered becomes a value of the range that is searched."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from assay import yaml_tree
from assay.analysis.project import Project
from assay.trial.record import Stop

if TYPE_CHECKING:
    from assay.trial.launcher import Copy

_UNKNOWN = re.compile(r"Unsupported interpolation type (?P<kind>\w+)")


def wanted(stop: Stop) -> bool:
    """Whether a resolver is missing."""
    return _UNKNOWN.search(stop.message) is not None


def filled(copy: Copy, project: Project, stop: Stop) -> Copy | None:
    """The copy with a value in the place of each such interpolation; None where there is none."""
    match = _UNKNOWN.search(stop.message)
    if match is None:
        return None
    pattern = re.compile(r"\$\{" + match["kind"] + r":\s*([\w.]*)[^}]*\}")
    files = dict(copy.files)
    for path, file in project.yaml.items():
        space = yaml_tree.find(file.root, "optuna", "search_space") if file.root is not None else None

        def value(found: re.Match[str], space: yaml_tree.Node | None = space) -> str:
            return _value(space, found.group(1))

        if path in files:
            files[path] = pattern.sub(value, files[path])
    change = f"interpolations of the kind `{match['kind']}` are replaced by values of the searched ranges"
    return replace(copy, files=files, changes=(*copy.changes, change)) if files != copy.files else None


def _value(space: yaml_tree.Node | None, name: str) -> str:
    """The first choice, or the lower end, of what is searched under a name; null where nothing is."""
    searched = space.get(name) if isinstance(space, yaml_tree.Mapping) else None
    for key in ("choices", "values", "low", "min"):
        found = yaml_tree.find(searched, key) if searched is not None else None
        if isinstance(found, yaml_tree.Sequence) and found.items:
            found = found.items[0]
        if isinstance(found, yaml_tree.Scalar):
            return found.text
    return "null"
