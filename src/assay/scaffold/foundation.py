"""What a derived submission takes over from the foundation that it specialises."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from assay.contracts import load_contract
from assay.errors import InputError
from assay.scaffold.templates import template_files
from assay.submission.folder import read_folder

_NAME = re.compile(r'^name = "([^"]*)"$', re.MULTILINE)


def kept_files(base: Path, replaced: Iterable[str]) -> dict[str, str]:
    """The files of a foundation that its derived form keeps as they are, by relative path.

    Args:
        base: The folder of the foundation.
        replaced: The files that the derived form brings itself. Its code for them was written for the template's, so
            the foundation must have them as the template does, the project's name apart.

    Raises:
        InputError: where the folder cannot be read, is no foundation, or has other contents in a replaced file.
    """
    if not base.is_dir():
        raise InputError(f"{base}: no such folder; --base names the foundation that a derived submission specialises")
    contract = load_contract("base")
    files = {path: file.text for path, file in read_folder(base).items() if not contract.is_exempt(path)}
    missing = [path for path in contract.required if files.get(path) is None]
    if missing:
        raise InputError(f"{base}: no foundation: {missing[0]} is missing; `assay new NAME --contract base` writes one")
    surplus = [path for path in files if path not in contract.required]
    if surplus:
        raise InputError(f"{base}: no foundation: contract base has no {surplus[0]}")
    found = _NAME.search(files["pyproject.toml"] or "")
    template = template_files("base", found[1] if found else "")
    replaced = set(replaced)
    changed = [path for path in contract.required if path in replaced and files[path] != template[path]]
    if changed:
        raise InputError(
            f"{base}: {', '.join(changed)}: not as `assay new --contract base` writes it, and no other foundation can "
            "be specialised here; start from an unchanged one, or write the derived form by hand"
        )
    return {path: text for path, text in files.items() if path not in replaced and text is not None}
