"""What a rehearsal can make stand-ins of, listed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from assay.report.styled_text import Line, visible, wrapped
from assay.trial.schemas import listed, read_schemas


def standins_json(file: Path | None) -> str:
    """Every dataset as a JSON list.

    Raises:
        InputError: where the user's schemas cannot be read.
    """
    return json.dumps(listed(read_schemas(file) if file else None), indent=2, ensure_ascii=False) + "\n"


def standin_lines(file: Path | None, width: int) -> Iterator[Line]:
    """Every dataset as a few lines: name and other names, configurations, splits, columns, source.

    Raises:
        InputError: where the user's schemas cannot be read.
    """
    rows = listed(read_schemas(file) if file else None)
    for row in rows:
        others = f"  (also {row['aliases']})" if row["aliases"] else ""
        yield [(visible(row["dataset"]), "strong"), (visible(others), "dim")]
        for name in ("configurations", "splits", "columns", "source"):
            for number, text in enumerate(wrapped(visible(row[name]), width - 18)):
                yield [(f"  {name if number == 0 else '':<16}", "dim"), (text, "")]
    yield [(f"{len(rows)} datasets. Models and tokenizers are made by architecture; see docs/standins.md.", "strong")]
