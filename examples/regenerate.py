"""Write the examples that are exactly what `assay new` writes, after a change of its templates.

python examples/regenerate.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from assay.contracts import load_contract
from assay.scaffold import new_submission

# name to contract and foundation; a foundation stands before what specialises it
GENERATED = {"digits": ("experiment", None), "foundation": ("base", None), "digits-derived": ("derived", "foundation")}


def regenerate(folder: Path) -> None:
    """Write them into `folder`, which lies at the top of a checkout, and remove files that are gone."""
    for name, (contract, base) in GENERATED.items():
        root = folder / name
        submission = new_submission(root, contract, base=folder / base if base else None, checkout=folder.parent)
        for path in [path for path in root.rglob("*") if path.is_file()]:
            relative = path.relative_to(root).as_posix()
            if relative not in submission.files and not load_contract(contract).is_exempt(relative):
                path.unlink()
        for relative, text in submission.files.items():
            (root / relative).parent.mkdir(parents=True, exist_ok=True)
            (root / relative).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    regenerate(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(__file__).resolve().parent)
