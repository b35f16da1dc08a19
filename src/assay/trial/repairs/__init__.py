"""Mechanical repairs in the rehearsal's own copy, so that one review finds what comes after a stop as well."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from assay.analysis.project import Project
from assay.errors import InputError
from assay.trial.record import Step, Stop
from assay.trial.repairs import arguments, interpolations, repository_name, run_group, variations, working_directory

if TYPE_CHECKING:
    from assay.trial.launcher import Copy, Place

_NO_MEMBER = re.compile(r"(?:module|type object) '(?:numpy|scipy\.stats|OmegaConf|transformers)' has no attribute")
_NO_IMPORT = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>(?!src\b)[\w.]+)'")
# settings inside the process that let a program go on; what each does stands in `inside/`
_SHIMS = {
    "hydra-root": "keys of the run's file are found at the root of the configuration, and the other way round",
    "hydra-overrides": "overrides of keys that the configuration does not have are taken as new keys",
    "missing-keys": "a key that the configuration does not have counts as null",
    "hidden-columns": "columns that a format hides are given all the same",
    "members": "names that libraries do not have are given to them, where their meaning is evident",
    "lora-targets": "adapters go to every linear layer",
    "untracked-log": "what is logged without a W&B run is dropped",
    "struct": "new keys may be merged into the composed configuration",
    "working-directory": "Hydra does not change the working directory",
    "padding-token": "the tokenizer pads with its end-of-text token",
}


def repaired(action: str, copy: Copy, place: Place, project: Project, stop: Stop, step: Step) -> Copy | None:
    """The copy after a repair; None where there is none, or it is in force already.

    Args:
        action: What `causes.explain` proposes: the name of a repair, and after a colon what it is about.
        copy: What is rehearsed.
        place: Where it is rehearsed.
        project: The submission.
        stop: What is to be repaired.
        step: The command that it stopped.
    """
    if run_group.wanted(stop) and (laid := run_group.laid(copy, project)):
        return laid
    if arguments.wanted(stop, step) and (bare := arguments.bare(copy)):
        return bare
    if working_directory.wanted(stop, project) and (still := _with_shim(copy, "working-directory")):
        return still
    if repository_name.wanted(stop) and (named := repository_name.renamed(copy, stop)):
        return named
    if interpolations.wanted(stop) and (plain := interpolations.filled(copy, project, stop)):
        return plain
    if _NO_MEMBER.search(stop.message) and (there := _with_shim(copy, "members")):
        return there
    if (match := _NO_IMPORT.search(stop.message)) and (
        imported := _with_shim(copy, f"member:{match['module']}:{match['name']}")
    ):
        return imported
    kind, _, about = action.partition(":")
    name = about if kind == "shim" else kind if kind in _SHIMS and not about else ""
    if name and (passed := _with_shim(copy, name)):
        return passed
    if stop.type.startswith("omegaconf.") and (null := _with_shim(copy, "missing-keys")):
        return null
    make = _REPAIRS.get(kind)
    made = make(copy, place, about) if make and about else None
    return made or variations.without(copy, project, step, stop)


def brought_about(copy: Copy, stop: Stop) -> str:
    """Why a stop may come from what the rehearsal changed before; empty where nothing speaks for that."""
    for name, pattern in _BRINGS.items():
        if name in copy.shims and pattern.search(stop.message):
            return f"it may come from what the rehearsal changed before: {_SHIMS.get(name, name)}"
    return ""


# what a shim itself can bring about, because it puts something in the place of what stopped
_BRINGS = {
    "empty-optimizer": re.compile(r"does not require grad|no grad|inf checks|empty|not have been used in the graph"),
    "detached-loss": re.compile(r"inf checks|does not require grad|without grad|NoneType"),
    "unused-grad": re.compile(r"NoneType|does not require grad|nan|zero"),
    "missing-keys": re.compile(r"None"),
    "text-columns": re.compile(r"KeyError|^'\w+'$"),
    "label-lengths": re.compile(r"shape|size|batch"),
    "lora-targets": re.compile(r"\btarget|shape|\bsize"),
    "unscale": re.compile(r"inf checks"),
}


def _with_shim(copy: Copy, name: str) -> Copy | None:
    if name in copy.shims:
        return None
    change = _SHIMS.get(name, f"the rehearsal passes over it ({name})")
    if name.startswith("member:"):
        _, module, member = name.split(":")
        change = f"`{module}` is given a `{member}`"
    return replace(copy, shims=copy.shims | {name}, changes=(*copy.changes, change))


def _install(copy: Copy, place: Place, name: str) -> Copy | None:
    """With a distribution that is not declared."""
    from assay.trial.environment import CannotAddError, add

    change = f"{name} is installed although nothing declares it"
    if change in copy.changes:
        return None
    try:
        folder = add(place.environment, (name,))
    except (CannotAddError, InputError):
        return None
    return replace(copy, added=(*copy.added, folder), changes=(*copy.changes, change))


def _dataset_configuration(copy: Copy, place: Place, about: str) -> Copy | None:
    """With a dataset that has a configuration by default: `owner/name=configuration`."""
    name, _, configuration = about.partition("=")
    held = dict(copy.hub.get("default_configurations", {}))
    if name in held:
        return None
    held[name] = configuration
    change = f"{name} is loaded with the configuration {configuration or 'that comes first'}"
    return replace(copy, hub={**copy.hub, "default_configurations": held}, changes=(*copy.changes, change))


def _open_model(copy: Copy, place: Place, name: str) -> Copy | None:
    """With a model that the hub gives although it is gated, or although its name is not known."""
    opened = list(copy.hub.get("opened", ()))
    if name in opened:
        return None
    change = f"a stand-in is given for {name}"
    return replace(copy, hub={**copy.hub, "opened": [*opened, name]}, changes=(*copy.changes, change))


_REPAIRS: dict[str, Callable[[Copy, Place, str], Copy | None]] = {
    "install": _install,
    "dataset-configuration": _dataset_configuration,
    "open": _open_model,
}
