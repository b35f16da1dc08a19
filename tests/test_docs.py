"""The pages of the documentation lead where they say, and the generated ones are what would be generated now."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_group

from assay.cli import app
from assay.submission.brief_file import BriefModel, RunModel

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("benchmarks/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_of_the_project(page):
    for link in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_rule_pages_are_up_to_date(tmp_path):
    command = [sys.executable, str(ROOT / "docs/rules/generate.py"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    generated = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.md")}
    committed = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs/rules").glob("*.md")}
    assert generated.keys() == committed.keys(), "run `python docs/rules/generate.py`"
    stale = [name for name in generated if generated[name] != committed[name]]
    assert not stale, "run `python docs/rules/generate.py`"


def test_every_option_of_a_review_is_described():
    text = "\n".join(page.read_text(encoding="utf-8") for page in [ROOT / "README.md", *ROOT.glob("docs/*.md")])
    command = get_group(app).commands["review"]
    options = [name for option in command.params for name in option.opts if name.startswith("--")]
    assert options
    assert [name for name in options if name not in text] == []


def test_every_key_of_a_brief_is_described():
    text = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
    keys = [*BriefModel.model_fields, *RunModel.model_fields]
    assert [key for key in keys if f"`{key}`" not in text] == []
