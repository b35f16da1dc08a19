"""Where the files of a submission lie, seen from the folder in which the review was started."""

from __future__ import annotations

import os
from pathlib import Path

from assay.verdict import Verdict


def artifact_prefix(verdict: Verdict) -> str:
    """What leads from the working directory to the files of a reviewed folder: `studies/graff/`, or nothing.

    A folder outside the working directory, a revision, a bundle and a transcript have no such path: their files
    keep the names that they have inside.
    """
    if verdict.kind != "folder" or not Path(verdict.submission).is_dir():
        return ""
    try:
        # the folder is not resolved: a link inside the repository is where its users look for it
        relative = os.path.relpath(Path(verdict.submission), Path.cwd())
    except (OSError, ValueError):
        return ""
    if relative in (".", "..") or relative.startswith(f"..{os.sep}"):
        return ""
    return relative.replace(os.sep, "/") + "/"
