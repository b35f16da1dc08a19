"""Places that a stop is about beside its traceback: where a column came from, where a value is configured."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator

from assay.analysis.project import Project
from assay.trial.reading import frame_of, innermost, text, whole
from assay.trial.record import Event, Step, Stop, TrialFrame
from assay.yaml_tree import Mapping, Node, Scalar, Sequence

_MOST = 12


def of_columns(step: Step, names: Iterable[str]) -> Iterator[TrialFrame]:
    """Where columns were made, kept or taken away: the calls on the dataset, and the lines of the mapped function."""
    wanted = set(names)
    for event in step.of("column"):
        if not wanted or text(event, "column") in wanted or text(event, "column") in ("", "*"):
            frame = innermost(event)
            if frame is not None:
                yield frame
            function = frame_of(event.get("function"))
            if function is not None:
                yield function


def of_hiding(step: Step, name: str) -> Iterator[TrialFrame]:
    """The calls that leave some columns of a dataset and not this one."""
    kept: dict[TrialFrame, set[str]] = {}
    for event in step.of("column"):
        frame = innermost(event)
        if frame is not None and text(event, "op") in ("set_format", "with_format", "select_columns"):
            kept.setdefault(frame, set()).add(text(event, "column"))
    for frame, names in kept.items():
        if name not in names and not names & {"", "*"}:
            yield frame


def of_column_reads(stop: Stop, step: Step, project: Project) -> Iterator[TrialFrame]:
    """Where columns of the datasets that were loaded are read, by a subscript, in the file of the innermost frame."""
    file = project.python.get(stop.frames[-1].file) if stop.frames else None
    if file is None or file.tree is None:
        return
    columns = {text(event, "column") for event in step.of("column") if text(event, "op") == "load"}
    for node in file.nodes_of(ast.Subscript):
        if isinstance(node.slice, ast.Constant) and node.slice.value in columns:
            function = file.function_of(node)
            yield TrialFrame(file.path, node.lineno, function.name if function else "<module>")


def of_mappings(step: Step) -> Iterator[TrialFrame]:
    """The first calls that map a function over a dataset: what they do not remove, they keep."""
    frames = (innermost(event) for event in step.of("column") if text(event, "op") == "map")
    yield from list(dict.fromkeys(frame for frame in frames if frame is not None))[:4]


def column_lines(step: Step, project: Project, names: Iterable[str]) -> Iterator[TrialFrame]:
    """The lines, in functions that were mapped over a dataset, that name one of some columns.

    A lambda stands for the functions of its file that it calls.
    """
    wanted = set(names)
    seen: set[tuple[str, int]] = set()
    for event in step.of("column"):
        function = frame_of(event.get("function"))
        if function is None or (function.file, function.line) in seen:
            continue
        seen.add((function.file, function.line))
        file = project.python.get(function.file)
        if file is None or file.tree is None:
            continue
        called = {function.function}
        for node in file.nodes_of(ast.Lambda):
            if node.lineno <= function.line <= (node.end_lineno or node.lineno):
                called |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        for definition in file.nodes_of(ast.FunctionDef):
            first = min([definition.lineno, *(item.lineno for item in definition.decorator_list)])
            if definition.name in called or first <= function.line <= definition.lineno:
                for inner in ast.walk(definition):
                    if isinstance(inner, ast.Constant) and inner.value in wanted:
                        yield TrialFrame(function.file, inner.lineno, definition.name)


def of_parameter_groups(stop: Stop, project: Project) -> Iterator[TrialFrame]:
    """Where the lists of parameters are collected that an optimizer gets, in the function that makes it."""
    if not stop.frames:
        return
    last = stop.frames[-1]
    file = project.python.get(last.file)
    if file is None or file.tree is None:
        return
    for definition in file.nodes_of(ast.FunctionDef):
        if not definition.lineno <= last.line <= (definition.end_lineno or definition.lineno):
            continue
        lists = {
            value.id
            for node in ast.walk(definition)
            if isinstance(node, ast.Dict)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and key.value == "params" and isinstance(value, ast.Name)
        }
        for node in ast.walk(definition):
            if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id in lists for to in node.targets):
                yield TrialFrame(last.file, node.lineno, definition.name)


def of_last(step: Step, kind: str) -> Iterator[TrialFrame]:
    """The innermost place of the last event of a kind, and the own class that it names."""
    last: Event | None = None
    for event in step.of(kind):
        last = event
    if last is not None:
        own = frame_of(last.get("own"))
        if own is not None:
            yield own
        frame = innermost(last)
        if frame is not None:
            yield frame


def of_models(step: Step) -> Iterator[TrialFrame]:
    """Where the submission's own model classes stand, and where models were made."""
    for event in step.of("model"):
        for frame in (frame_of(event.get("own")), innermost(event)):
            if frame is not None:
                yield frame


def of_optimizers(step: Step) -> Iterator[TrialFrame]:
    """Where optimizers were made."""
    for event in step.of("optimizer"):
        frame = innermost(event)
        if frame is not None:
            yield frame


def of_values(project: Project, step: Step, values: Iterable[str], keys: str = "") -> Iterator[TrialFrame]:
    """Where one of some values stands in the configuration: the file of the step's run first, then the others.

    Args:
        project: The submission.
        step: The step; where it is of one run, the files of other runs are left out.
        values: What the scalars say.
        keys: A pattern that the key, or a key around it, must match; any key where empty.
    """
    wanted = {value.lower() for value in values}
    pattern = re.compile(keys, re.IGNORECASE) if keys else None
    found = 0
    for path, file in project.yaml.items():
        if step.run and project.contract.is_run_file(path) and step.run not in path:
            continue
        for document in file.documents:
            for scalar, trail in _scalars(document):
                if scalar.text.lower() in wanted and (pattern is None or any(map(pattern.search, trail))):
                    yield TrialFrame(path, scalar.line, ".".join(trail))
                    found += 1
                    if found >= _MOST:
                        return


def of_keys(project: Project, step: Step, keys: str) -> Iterator[TrialFrame]:
    """Where keys that match a pattern stand in the configuration of a step's run."""
    pattern = re.compile(keys, re.IGNORECASE)
    for path, file in project.yaml.items():
        if step.run and project.contract.is_run_file(path) and step.run not in path:
            continue
        for document in file.documents:
            for scalar, trail in _scalars(document):
                if trail and pattern.search(trail[-1]):
                    yield TrialFrame(path, scalar.line, ".".join(trail))


def _scalars(root: Node) -> Iterator[tuple[Scalar, tuple[str, ...]]]:
    """Every scalar with the keys that lead to it. A node that aliases repeat comes once."""
    waiting: list[tuple[Node, tuple[str, ...]]] = [(root, ())]
    seen: set[int] = set()
    while waiting:
        node, trail = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, Scalar):
            yield node, trail
        elif isinstance(node, Mapping):
            waiting += reversed([(value, (*trail, key)) for key, value in node.items()])
        elif isinstance(node, Sequence):
            waiting += reversed([(item, trail) for item in node.items])


def of_declared(project: Project, name: str = "") -> Iterator[TrialFrame]:
    """Where the dependencies are declared."""
    if project.pyproject is None:
        return
    line = project.pyproject.line("project", "dependencies") or project.pyproject.line("tool", "poetry", "dependencies")
    if line is not None:
        yield TrialFrame(project.pyproject.path, line, name or "dependencies")


def of_hydra_main(project: Project) -> Iterator[TrialFrame]:
    """Where programs are handed to `hydra.main`."""
    for file in project.python.values():
        for function in file.nodes_of(ast.FunctionDef):
            for item in function.decorator_list:
                called = item.func if isinstance(item, ast.Call) else item
                if file.qualified(called) == "hydra.main":
                    yield TrialFrame(file.path, item.lineno, function.name)


def of_launches(project: Project) -> Iterator[TrialFrame]:
    """Where processes are started."""
    for file in project.python.values():
        for node in file.nodes_of(ast.Call):
            if isinstance(node, ast.Call) and re.fullmatch(
                r"subprocess\.(?:run|call|check_call|check_output|Popen)|os\.(?:system|exec\w+|spawn\w"
                r"+)|runpy\.run_module",
                file.qualified(node.func) or "",
            ):
                function = file.function_of(node)
                yield TrialFrame(file.path, node.lineno, function.name if function else "<module>")


def sources_of(step: Step, names: Iterable[str]) -> Iterator[TrialFrame]:
    """Where datasets or models with one of some names were asked for."""
    wanted = set(names)
    for event in step.of("dataset", "model", "raised"):
        if text(event, "name") in wanted:
            frame = innermost(event)
            if frame is not None:
                yield frame


def last_size(step: Step, name: str) -> int:
    """A count from the last batch that a loader gave."""
    return max((whole(event, name) for event in step.of("batch")), default=0)
