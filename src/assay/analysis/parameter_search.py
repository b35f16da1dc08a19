"""The search for hyper-parameters with Optuna: what is searched, by which function, and where its values go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from assay import yaml_tree
from assay.analysis.name_origins import How, origins_of, own_calls, returns_of
from assay.analysis.project import Project, YamlFile
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value

SPACE = "search_space"
_MAX_DEPTH = 6
_MAX_OBJECTIVES = 100
_MAX_NAMES = 1_000


class Searched(NamedTuple):
    """One searched name in the configuration of a run.

    Args:
        run: Path of the run file.
        file: Path of the YAML file that holds it.
        key: The name, for its place.
        entry: What is given for it.
        active: Whether the run has trials, for all that its files tell.
    """

    run: str
    file: str
    key: yaml_tree.Scalar
    entry: yaml_tree.Node
    active: bool

    @property
    def name(self) -> str:
        return self.key.text


class Objective(NamedTuple):
    """A function that a study optimizes.

    Args:
        file: Where it stands.
        function: The function, or the lambda whose body is its value.
        call: The call of `optimize`.
        caller: The file that this call stands in.
    """

    file: PythonFile
    function: FunctionNode | ast.Lambda
    call: ast.Call
    caller: PythonFile


def parameter_search(project: Project) -> ParameterSearch:
    """The searches of a submission, worked out once."""
    return project.shared(ParameterSearch)


class ParameterSearch:
    """The searches of a submission."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.files = [file for file in project.python.values() if file.tree is not None]
        self.calls = own_calls(project)
        self.origins = {file: origins_of(file) for file in self.files}

    @cached_property
    def searched(self) -> list[Searched]:
        """The searched names of all runs; a name that config.yaml gives and a run does not counts for that run."""
        config = self.project.yaml.get(self.project.contract.role("config") or "")
        shared = _space(config)
        found: list[Searched] = []
        for path, file in self.project.run_files.items():
            trials = yaml_tree.find(file.root, "optuna", "n_trials") or yaml_tree.find(
                config.root if config else None, "optuna", "n_trials"
            )
            value = trials.resolve(omegaconf=True) if isinstance(trials, yaml_tree.Scalar) else None
            active = isinstance(value, int) and not isinstance(value, bool) and value > 0
            own = _space(file)
            names = {key.text for key, _ in own}
            found += [Searched(path, path, key, entry, active) for key, entry in own]
            found += [
                Searched(path, config.path, key, entry, active)
                for key, entry in shared
                if config is not None and key.text not in names
            ]
        return found[:_MAX_NAMES]

    @cached_property
    def objectives(self) -> list[Objective]:
        """The functions that are optimized, as far as they can be named."""
        found: list[Objective] = []
        for file in self.files:
            if not any(item.module.partition(".")[0] == "optuna" for item in file.imports):
                continue
            for call, _ in file.calls:
                if isinstance(call.func, ast.Attribute) and call.func.attr == "optimize":
                    given = call.args[0] if call.args else _keyword(call, "func")
                    for place, function in self._functions(file, given, 0):
                        found.append(Objective(place, function, call, file))
        return found[:_MAX_OBJECTIVES]

    def _functions(
        self, file: PythonFile, node: ast.expr | None, depth: int
    ) -> Iterator[tuple[PythonFile, FunctionNode | ast.Lambda]]:
        if node is None or depth > _MAX_DEPTH:
            return
        if isinstance(node, ast.Lambda):
            own = self.calls.called(file, node.body) if isinstance(node.body, ast.Call) else None
            yield own if own is not None else (file, node)
        elif isinstance(node, ast.Name | ast.Attribute):
            own = self.calls.named(file, node)
            if own is not None:
                yield own
            elif isinstance(node, ast.Name):
                origins = self.origins[file].of(node)
                if len(origins) == 1 and origins[0].how is How.VALUE:
                    yield from self._functions(file, origins[0].expression, depth + 1)
        elif isinstance(node, ast.Call):
            if file.qualified(node.func) == "functools.partial" and node.args:
                yield from self._functions(file, node.args[0], depth + 1)
            elif (made := self.calls.called(file, node)) is not None:
                for item in returns_of(made[1]):
                    yield from self._functions(made[0], item.value, depth + 1)

    def merged(self, run: str) -> list[yaml_tree.Node]:
        """The roots of the files that a run's configuration is made of: its own, and config.yaml."""
        config = self.project.yaml.get(self.project.contract.role("config") or "")
        files = (self.project.run_files.get(run), config)
        return [file.root for file in files if file is not None and file.root is not None]


def outer_names(function: FunctionNode | ast.Lambda) -> set[str]:
    """Names that a function reads and does not bind."""
    bound = {node.arg for node in descend(function) if isinstance(node, ast.arg)}
    bound |= {
        node.id for node in descend(function) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
    read = {node.id for node in descend(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read - bound


def chain(node: ast.expr) -> tuple[str, tuple[str, ...]] | None:
    """`cfg.training["lr"]` as its first name and its keys; None for anything else."""
    keys: list[str] = []
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Attribute):
            keys.append(node.attr)
        else:
            key = string_value(node.slice)
            if key is None:
                return None
            keys.append(key)
        node = node.value
    return (node.id, tuple(reversed(keys))) if isinstance(node, ast.Name) else None


def _space(file: YamlFile | None) -> list[tuple[yaml_tree.Scalar, yaml_tree.Node]]:
    space = yaml_tree.find(file.root, "optuna", SPACE) if file is not None else None
    if not isinstance(space, yaml_tree.Mapping):
        return []
    return [(key, value) for key, value in space.pairs if isinstance(key, yaml_tree.Scalar) and key.text != "<<"]


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((item.value for item in call.keywords if item.arg == name), None)
