"""The templates, read and given a project's name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import yaml

_FOLDER = Path(__file__).parent
_PLACE = re.compile(r"\bNAME\b")


@cache
def template_names() -> tuple[str, ...]:
    """The contracts that have a template."""
    return tuple(sorted(path.parent.name for path in _FOLDER.glob("*/pyproject.toml")))


def template_files(contract: str, name: str) -> dict[str, str]:
    """The files of a contract's template for a project of this name, by relative path and in its order."""
    root = _FOLDER / contract
    paths = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    # kept without its dot and outside the templates: there it would tell git and build tools what to leave out
    texts[".gitignore"] = (_FOLDER / "gitignore").read_text(encoding="utf-8")
    return {path: _named(path, texts[path], name) for path in sorted(texts)}


def _named(path: str, text: str, name: str) -> str:
    if path.endswith(".py"):
        return text
    if path.endswith(".yaml") and yaml.safe_load(name) != name:
        # `2024` and `null` are names of projects; without quotes YAML reads them as something else
        name = f'"{name}"'
    return _PLACE.sub(lambda _: name, text)
