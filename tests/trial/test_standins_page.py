"""The page on stand-ins says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from assay.cli import app
from assay.trial.catalogue import catalogue
from assay.trial.inside.hub.models import facts_of
from assay.trial.inside.hub.repositories import Hub
from assay.trial.schemas import read_schemas

PAGE = (Path(__file__).parents[2] / "docs" / "standins.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def example(folder: Path, part: str) -> Path:
    text = next(text for text in EXAMPLES if text.startswith(part))
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    return folder / "mine.yaml"


def test_its_models_can_be_made(tmp_path):
    known = catalogue(read_schemas(example(tmp_path, "models:")))
    (tmp_path / "catalogue.json").write_text(json.dumps(known), encoding="utf-8")
    hub = Hub(
        {"hub": {"catalogue": str(tmp_path / "catalogue.json")}, "standins": str(tmp_path)}, lambda *_, **__: None
    )
    scribe = hub.find("model", "me/scribe").repository
    assert scribe is not None
    files = {name: json.loads(content) for name, content in scribe.files.items() if name.endswith("config.json")}  # type: ignore[arg-type]
    assert files["config.json"]["tie_word_embeddings"] is False
    assert (files["config.json"]["num_hidden_layers"], files["config.json"]["hidden_size"]) == (2, 64)
    assert files["tokenizer_config.json"]["pad_token"] is None
    assert (files["tokenizer_config.json"]["model_max_length"], files["generation_config.json"]) == (
        4096,
        {"do_sample": False},
    )
    assert hub.find("model", "me/eyes").gated
    facts = facts_of("me/scribe", known)
    assert facts is not None
    # what the example does not say is as in the model that it is like
    assert facts.config["num_hidden_layers"] == 24


def test_its_datasets_are_listed(tmp_path):
    result = CliRunner().invoke(app, ["standins", str(example(tmp_path, "datasets:"))])
    assert result.exit_code == 0
    assert "me/reviews  (also reviews)" in result.stdout


def test_what_it_shows_of_the_list_is_listed():
    shown = re.search(r"\$ assay standins\n(.*?)\n\.\.\.\n(.*?)\n```", PAGE, re.DOTALL)
    assert shown is not None
    listed = CliRunner().invoke(app, ["standins"]).stdout
    assert listed.startswith(shown[1])
    assert listed.endswith(shown[2] + "\n")


@pytest.mark.parametrize("part", ["datasets:", "models:"])
def test_a_mistake_in_an_example_is_one_line(tmp_path, part):
    path = example(tmp_path, part)
    path.write_text(path.read_text(encoding="utf-8").replace("me/", "me//").replace("string", "strings"), "utf-8")
    told = CliRunner().invoke(app, ["standins", str(path)])
    assert "\n" not in str(told.exception)
    assert str(path) in str(told.exception)
