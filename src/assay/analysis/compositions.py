"""What Hydra makes of a submission's configuration under the contract's own command lines."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from assay.analysis.hydra_entry import HydraEntry, hydra_entry
from assay.analysis.own_library import is_hidden, run_words
from assay.analysis.project import Project
from assay.analysis.python_source import string_value
from assay.analysis.run_defaults import run_ids

MAX_COMPOSITIONS = 60
RESULTS = "results"
_OLD_HYDRA = re.compile(r"hydra[-_]core[\"']?\s*(?:=\s*[\"'])?(?:==|~=|<=?)\s*(?:0|1\.[01])\b")
_REGISTERING = ("register_new_resolver", "register_resolver", "new_resolver")


class Composition(NamedTuple):
    """One command of the contract, composed.

    Args:
        entry: The `@hydra.main` that composes.
        mode: The purpose of the command: `trial`, `full` or `evaluate`.
        run: Id of the run; None for `evaluate`.
        overrides: The words of the command line.
        kind: Why Hydra refuses (see `enactment.composing.Refusal`); empty where it composes.
        message: What Hydra says.
        override: The override to blame.
        file: The file to blame.
        key: The key or group to blame.
        broken: Key, kind and message of each interpolation that fails when it is read.
    """

    entry: HydraEntry
    mode: str
    run: str | None
    overrides: tuple[str, ...]
    kind: str = ""
    message: str = ""
    override: str | None = None
    file: str | None = None
    key: str | None = None
    broken: tuple[tuple[str, str, str], ...] = ()


@dataclass(slots=True)
class Compositions:
    """All of them, or why there are none.

    Args:
        made: Those that were made.
        undecided: Why others, or all, were not.
    """

    made: list[Composition] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)


def compositions(project: Project) -> Compositions:
    """The contract's commands as Hydra composes them; asked for once per project."""
    return project.shared(_composed)


def refusals(project: Project) -> list[Composition]:
    """The compositions that Hydra refuses."""
    return [made for made in compositions(project).made if made.kind]


def registered_resolvers(project: Project) -> frozenset[str] | None:
    """The resolvers that the code registers anywhere; None where a name is computed."""
    names: set[str] = set()
    for file in project.python.values():
        if file.tree is None:
            if "resolver" in file.text:
                return None
            continue
        for node in file.nodes_of(ast.Attribute, ast.Name):
            attribute = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
            if attribute not in _REGISTERING:
                continue
            call = file.parents.get(node)
            name = None
            if isinstance(call, ast.Call) and call.func is node:
                first = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "name"), None)
                name = string_value(first)
            if name is None:
                return None
            names.add(name)
    return frozenset(names)


def composition_request(project: Project) -> dict[str, Any]:
    """What the child is asked to compose, and what it has to know of the code for it."""
    asked, _ = project.shared(_all_asked)
    return {
        "resolvers": sorted(registered_resolvers(project) or ()),
        "otherwise": composed_otherwise(project),
        "compositions": [
            {
                "config_dir": entry.config_dir,
                "config_name": entry.config_name,
                "overrides": words,
                "version_base": entry.version_base,
            }
            for entry, _, _, words in asked
        ],
    }


def _composed(project: Project) -> Compositions:
    asked, undecided = project.shared(_all_asked)
    result = Compositions(undecided=list(undecided))
    if not asked:
        return result
    answers = project.enactment.compositions
    if len(answers) != len(asked):
        result.undecided.append(f"the configuration could not be composed: {project.enactment.failed or 'no answer'}")
        return result
    resolvers = registered_resolvers(project)
    for (entry, mode, run, words), outcome in zip(asked, answers, strict=True):
        refusal = outcome.get("refusal") or {}
        broken = tuple(
            (key, kind, message)
            for key, kind, message in outcome.get("broken", ())
            if resolvers is not None or kind != "unknown-resolver"
        )
        result.made.append(
            Composition(entry, mode, run, tuple(words), **{"kind": "", "message": "", **refusal}, broken=broken)
        )
    return result


_Asked = list[tuple[HydraEntry, str, str | None, list[str]]]


def _all_asked(project: Project) -> tuple[_Asked, list[str]]:
    """The commands that are composed, and why others are not."""
    result = Compositions()
    return list(_asked(project, result)), result.undecided


def _asked(project: Project, result: Compositions) -> Iterator[tuple[HydraEntry, str, str | None, list[str]]]:
    """Each command of the contract that an `@hydra.main` takes: entry, mode, run and words."""
    contract = project.contract
    runs = list(run_ids(project))
    open_reason = composed_otherwise(project)
    for role, modes in (("main", ("trial", "full")), ("evaluate", ("evaluate",))):
        path = contract.role(role)
        file = project.python.get(path) if path else None
        entry = hydra_entry(file)
        if entry is None or (entry.by_library and (is_hidden(project.submission.files) or role == "evaluate")):
            continue
        if entry.unread or open_reason:
            result.undecided.append(f"{entry.file.path}: {entry.unread or open_reason}")
            continue
        for mode in modes:
            command = contract.commands.get(mode, "")
            for run in runs[: MAX_COMPOSITIONS // 2] if role == "main" else [None]:
                words = _words(command, entry, run, runs)
                if words is not None:
                    yield entry, mode, run, run_words(words, _group_of(project, run)) if entry.by_library else words


def _group_of(project: Project, run: str | None) -> str:
    """The folder of configurations that a run's file lies in."""
    return next((parts[-2] for path in project.run_files if (parts := path.split("/"))[-1] == f"{run}.yaml"), "runs")


def _words(command: str, entry: HydraEntry, run: str | None, runs: list[str]) -> list[str] | None:
    """The words that a command gives to the program; None where it starts another."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    if entry.file.module not in words:
        return None
    words = words[words.index(entry.file.module) + 1 :]
    values = {"{run_id}": run or "", "{results_dir}": RESULTS, "{run_ids}": json.dumps(runs)}
    for name, value in values.items():
        words = [word.replace(name, value) for word in words]
    return words


def composed_otherwise(project: Project) -> str:
    """Why the files alone do not say what Hydra composes; empty where they do."""
    for file in project.python.values():
        if "ConfigStore" in file.text or "hydra_zen" in file.text:
            return "configuration is also registered in code"
        if "SearchPathPlugin" in file.text:
            return "a plugin changes the search path"
    pyproject = project.submission.text("pyproject.toml") or ""
    if _OLD_HYDRA.search(pyproject):
        return "it asks for a Hydra before 1.2"
    if any(path.startswith("hydra_plugins/") for path in project.submission.files):
        return "it brings Hydra plugins of its own"
    return ""
