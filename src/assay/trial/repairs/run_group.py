"""Repair: run files are found under every name that a program may ask for them by."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from assay.analysis.project import Project
from assay.trial.record import Stop

if TYPE_CHECKING:
    from assay.trial.launcher import Copy

_FOLDERS = ("config/run", "config/runs")
_REFUSED = re.compile(
    r"You must specify 'runs?'|Could not find 'runs?/|Could not override 'runs?'|In '\w+': Could not find 'runs?|"
    r"Could not load 'runs?/|Could not append to config|Key 'runs?' is not in struct"
)
# `@hydra.main` that names a folder and no file composes nothing, so that every override is refused
_NAMELESS = re.compile(r"(?P<head>@hydra\.main\((?=[^()]*config_path)(?![^()]*config_name)[^()]*?),?\s*\)")
NAMED = "every program composes config.yaml"
CHANGE = "run files lie in config/run and in config/runs, and the defaults list has a group for them"


def wanted(stop: Stop) -> bool:
    """Whether Hydra refuses the run group that the contract's command names."""
    return _REFUSED.search(stop.message) is not None


def laid(copy: Copy, project: Project) -> Copy | None:
    """The copy in which every program composes config.yaml, or else in which run files lie where they are asked for.

    None where both are done.
    """
    named = {
        path: _NAMELESS.sub(r'\g<head>, config_name="config")', text) if path.endswith(".py") else text
        for path, text in copy.files.items()
    }
    if named != copy.files:
        return replace(copy, files=named, changes=(*copy.changes, NAMED))
    if CHANGE in copy.changes:
        return None
    files = dict(copy.files)
    for path in project.run_files:
        for folder in _FOLDERS:
            files.setdefault(f"{folder}/{path.rpartition('/')[2]}", copy.files[path])
    main = project.contract.role("config")
    if main in files and not re.search(r"(?m)^\s*-\s*(?:override\s+)?runs?\s*(?:@[\w.]+\s*)?:", files[main]):
        files[main] = _with_group(files[main])
    return replace(copy, files=files, changes=(*copy.changes, CHANGE))


def _with_group(text: str) -> str:
    """A configuration whose defaults list asks for a run. It stands on one line with the key, so that lines stay."""
    match = re.search(r"(?m)^defaults:[ \t]*\n(\s*)-", text)
    if match is None:
        return text if re.search(r"(?m)^defaults:", text) else f"defaults: [{{run: ???}}, _self_]\n{text}"
    return f"{text[: match.start(1)]}{match.group(1)}- run: ???\n{text[match.start(1) :]}"
