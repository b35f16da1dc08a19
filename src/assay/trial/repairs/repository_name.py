"""Repair: a name that the Hub's client refuses is written as one that it takes."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from assay.trial.record import Stop

if TYPE_CHECKING:
    from assay.trial.launcher import Copy

_REFUSED = re.compile(r"'(?P<name>[^']{3,200})'\.?\s*(?:Use `repo_type`.*)?$")
_PREFIX = re.compile(r"^(?:hf://|https?://(?:www\.)?(?:huggingface\.co|hf\.co)/)(?:models/|datasets/)?")


def wanted(stop: Stop) -> bool:
    """Whether the client refuses a name before it asks anybody."""
    return stop.type.endswith("HFValidationError") and _REFUSED.search(stop.message) is not None


def renamed(copy: Copy, stop: Stop) -> Copy | None:
    """The copy with a name that can be asked for; None where none can be told, or nothing in the files names it."""
    match = _REFUSED.search(stop.message)
    if match is None:
        return None
    name = match["name"]
    plain = _PREFIX.sub("", name).strip("/")
    if plain == name or plain.count("/") > 1:
        # a title: words and dots become parts of a name, which then stands for something unknown
        plain = "assumed/" + re.sub(r"-+", "-", re.sub(r"[^\w.-]+", "-", name)).strip("-.")[:90]
    files = {path: text.replace(name, plain) for path, text in copy.files.items()}
    if files == copy.files:
        return None
    return replace(copy, files=files, changes=(*copy.changes, f"{name} is asked for as {plain}"))
