"""A verdict as JSON: indented where there is one, JSON Lines where there are several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from assay.finding import Severity
from assay.verdict import Verdict


def render(verdicts: Sequence[Verdict], severity: Severity = Severity.NOTE, *, several: bool = False) -> str:
    """The JSON text of verdicts, with the findings that weigh at least as much as `severity`.

    `several` asks for JSON Lines although there is one verdict, because the others could not be given.
    """
    objects = [_object(verdict, severity) for verdict in verdicts]
    if len(objects) == 1 and not several:
        return json.dumps(objects[0], indent=2, ensure_ascii=False) + "\n"
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in objects)


def _object(verdict: Verdict, severity: Severity) -> dict[str, Any]:
    """The verdict without lighter findings. They come last, so that the indices of the others stay."""
    value = verdict.as_dict()
    shown = len(verdict.shown(severity))
    value["findings"] = value["findings"][:shown]
    for row in value["requirements"]:
        row["findings"] = [number for number in row["findings"] if number < shown]
    return value
