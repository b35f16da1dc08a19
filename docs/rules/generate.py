"""Write the rule reference: one page a rule and their index, from the rules themselves.

python docs/rules/generate.py [FOLDER]
"""

from __future__ import annotations

import sys
from pathlib import Path

from assay.report.rule_page import rule_index, rule_page
from assay.rules.registry import all_rules


def generate(folder: Path) -> None:
    """Write all pages into `folder` and remove those of rules that are gone."""
    rules = all_rules()
    pages = {f"{code}.md": rule_page(rule) for code, rule in rules.items()}
    pages["README.md"] = rule_index(rules.values())
    for path in folder.glob("[A-Z][A-Z][A-Z][0-9][0-9][0-9].md"):
        if path.name not in pages:
            path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
