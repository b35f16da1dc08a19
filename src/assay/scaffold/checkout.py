"""Where Assay itself comes from: an installed package, or a checkout of its repository."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import assay


def running_checkout() -> Path | None:
    """The checkout from which `assay` is imported, or None where it is an installed package."""
    package = Path(assay.__file__).resolve().parent
    root = package.parents[1]
    try:
        description = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    named = description.get("project", {}).get("name") == "assay"
    return root if named and package == root / "src" / "assay" else None


def uv_source(checkout: Path, folder: Path) -> str:
    """The lines of a pyproject.toml by which uv takes `assay` from a checkout.

    Args:
        checkout: Root of the checkout.
        folder: The folder of the pyproject.toml, absolute, with links followed. Inside the checkout the path between
            them is relative, so that both can move.
    """
    root = checkout.resolve()
    path = os.path.relpath(root, folder) if folder.is_relative_to(root) else str(root)
    # a JSON string is a TOML string
    quoted = json.dumps(Path(path).as_posix(), ensure_ascii=False)
    return (
        "\n"
        "# Written by an Assay that runs from its source: uv installs it from there, and without these lines from the\n"
        "# package index.\n"
        "[tool.uv.sources]\n"
        f"assay = {{ path = {quoted}, editable = true }}\n"
    )
