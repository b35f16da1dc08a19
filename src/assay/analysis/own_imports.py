"""Which files of a submission another file of it imports."""

from __future__ import annotations

from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile


def reached_files(project: Project, file: PythonFile) -> list[PythonFile]:
    """The other Python files of the submission that a file imports, and those that they import."""
    found: list[PythonFile] = []
    pending = imported_files(project, file)
    while pending:
        other = pending.pop(0)
        if other is not file and other not in found:
            found.append(other)
            pending.extend(imported_files(project, other))
    return found


def imported_files(project: Project, file: PythonFile) -> list[PythonFile]:
    """The other Python files of the submission that a file imports, with or without the prefix `src`."""
    modules = {other.module: other for other in project.python.values() if other is not file}
    found: list[PythonFile] = []
    for item in file.imports:
        for name in (item.module, item.target, f"src.{item.module}", f"src.{item.target}"):
            other = modules.get(name)
            if other is not None and other not in found:
                found.append(other)
    return found
