"""The reference is made from the rules, and holds together."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from assay.errors import InputError
from assay.finding import Consequence
from assay.report.catalogue import explanation
from assay.report.rule_page import FAMILIES, rule_page
from assay.rules import Example, Rule, all_rules

GENERATE = Path(__file__).parents[2] / "docs" / "rules" / "generate.py"


def generate(folder):
    spec = importlib.util.spec_from_file_location("generate", GENERATE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.generate(folder)


def test_there_is_a_page_for_each_rule_and_an_index_that_links_it(tmp_path):
    (tmp_path / "XYZ999.md").write_text("a rule that is gone")
    (tmp_path / "notes.md").write_text("kept")
    generate(tmp_path)
    rules = all_rules()
    assert {path.stem for path in tmp_path.glob("*.md")} == {*rules, "README", "notes"}
    index = (tmp_path / "README.md").read_text(encoding="utf-8")
    for code, rule in rules.items():
        assert f"[{code}]({code}.md) | {rule.name} |" in index
        page = (tmp_path / f"{code}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {rule.name} ({code})\n")
        for heading in ("## What it says", "## Requirements", "## Found", "## Not found"):
            assert f"\n{heading}\n" in page
        fences = re.findall(r"^`{3,}", page, re.MULTILINE)
        assert len(fences) % 2 == 0


@pytest.mark.parametrize("code", list(all_rules()))
def test_every_rules_family_has_a_name(code):
    assert code.rstrip("0123456789") in FAMILIES


class Fenced(Rule):
    """Look for fences."""

    code = "XYZ001"
    name = "fenced"
    requirements = ("E1.1",)
    consequence = Consequence.CRASHES
    message = "{{a}} is {what}{more}, not `{other}`"
    explanation = "It stops."
    repair = "Go on."
    VALID = (Example({"README.md": "```\nx\n```\n"}),)
    INVALID = (Example({"a.py": "1\n"}, at=("a.py:1",), repaired={"a.py": None, "b.py": "2\n"}),)


# the registry takes only rules of the package itself
def test_examples_with_fences_stay_in_theirs():
    page = rule_page(Fenced)
    assert "````text\n```\nx\n```\n````" in page
    assert "**{a} is `{what}{more}`, not `{other}`.**" in page
    assert "After the repair (`a.py` removed):\n\n`b.py`" in page


def test_a_rule_is_explained_by_code_or_name_in_any_case():
    assert explanation("lay001") == explanation("LAY001") == explanation("missing-file")


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ("LAY01", "no rule 'LAY01'; did you mean LAY001? `assay rules` lists them"),
        ("missing-fil", "no rule 'missing-fil'; did you mean missing-file? `assay rules` lists them"),
        ("?", "no rule '?'; `assay rules` lists them"),
    ],
)
def test_an_unknown_rule_is_one_line_with_the_nearest_one(asked, line):
    with pytest.raises(InputError, match=re.escape(line)):
        explanation(asked)
