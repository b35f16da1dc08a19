"""Repair: the program stays in the submission's folder."""

from __future__ import annotations

import re

from assay.analysis.project import Project
from assay.trial.record import Stop

_ABSENT = re.compile(r"not found|no such file|does(?:n't| not) exist|cannot find|missing", re.IGNORECASE)


def wanted(stop: Stop, project: Project) -> bool:
    """Whether something is missed that the submission holds: a file by its relative path, or its own package."""
    if "No module named 'src'" in stop.message:
        return True
    if not _ABSENT.search(stop.message):
        return False
    held = {"config", "src", *project.submission.files, *(path.rpartition("/")[0] for path in project.submission.files)}
    named = (word.strip(".,:;()[]") for word in re.split(r"[\s'\"]+", stop.message))
    return any(f"/{word}".endswith(f"/{path}") for word in named for path in held if path)
