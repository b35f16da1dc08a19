"""The name of a project, from the folder that will hold it."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.utils import canonicalize_name

from assay.errors import InputError

# Names of distributions: https://packaging.python.org/en/latest/specifications/name-normalization/
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def project_name(folder: Path) -> str:
    """The last part of a path as the name of a project: in lower case, with single hyphens.

    Raises:
        InputError: where the last part is no name of a project.
    """
    if not _NAME.fullmatch(folder.name):
        raise InputError(
            f"{folder.name or str(folder)!r} is no name of a project: use ASCII letters and digits, with . _ - between"
        )
    return str(canonicalize_name(folder.name))
