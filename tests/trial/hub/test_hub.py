"""What the hub gives, asked without HTTP: what the rehearsal opened, chose or was told, and how weights are made."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from assay.errors import InputError
from assay.trial.catalogue import catalogue
from assay.trial.inside.hub import maker
from assay.trial.inside.hub.models import Maker
from assay.trial.inside.hub.repositories import Hub, Repository
from assay.trial.schemas import read_schemas


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    return catalogue()


@pytest.fixture
def hub(tmp_path: Path, known: dict[str, Any]):
    def made(options: Mapping[str, Any], told: dict[str, Any] | None = None) -> Hub:
        place = tmp_path / "catalogue.json"
        place.write_text(json.dumps(told or known), encoding="utf-8")
        settings = {"hub": {"catalogue": str(place), **options}, "standins": str(tmp_path)}
        return Hub(settings, lambda kind, **fields: None)

    return made


def content(repository: Repository | None, path: str) -> bytes:
    assert repository is not None
    entry = repository.entry(path)
    assert entry is not None
    return b"".join(entry.blocks(0, entry.size, 2**20))


def test_a_gated_model_is_refused_until_it_is_opened(hub):
    id = "meta-llama/Llama-2-7b-hf"
    assert hub({}).find("model", id).gated
    found = hub({"opened": [id]}).find("model", id)
    assert not found.gated
    assert json.loads(content(found.repository, "config.json"))["model_type"] == "llama"


@pytest.mark.parametrize(("name", "family"), [("no-such-model-of-old", "gpt2"), ("my-bert-thing", "bert")])
def test_an_unknown_name_that_is_opened_is_assumed(hub, name, family):
    assert hub({}).find("model", name).repository is None
    found = hub({"opened": [name]}).find("model", name)
    assert found.repository.id == name
    assert (found.known, found.repository.basis) == ("assumed", "assumed")
    assert json.loads(content(found.repository, "config.json"))["model_type"] == family


def test_opening_one_opens_no_other(hub):
    found = hub({"opened": ["no-such-model-of-old"]})
    assert found.find("model", "another-such-model").repository is None
    assert found.find("model", "meta-llama/Llama-2-7b-hf").gated


def test_the_configuration_that_was_chosen_is_the_default(hub):
    def card(options: Mapping[str, Any]) -> str:
        return content(hub(options).find("dataset", "openai/gsm8k").repository, "README.md").decode()

    assert "default: true" not in card({})
    for name in ("gsm8k", "openai/gsm8k"):
        assert "- config_name: 'main'\n  default: true\n" in card({"default_configurations": {name: "main"}})
    # one that the table does not have: the first
    assert "default: true" in card({"default_configurations": {"gsm8k": "nothing"}})
    assert "default: true" not in card({"default_configurations": {"somebody/unheard-of": "x"}})


def test_a_dataset_with_a_chosen_default_loads_without_a_configuration(hub, tmp_path):
    library = pytest.importorskip("datasets")
    repository = hub({"default_configurations": {"gsm8k": "main"}}).find("dataset", "openai/gsm8k").repository
    for path in ("README.md", *(f"main/{split}-00000-of-00001.parquet" for split in ("train", "test"))):
        place = tmp_path / "repository" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content(repository, path))
    rows = library.load_dataset(str(tmp_path / "repository"), cache_dir=str(tmp_path / "cache"))
    assert rows["train"].info.config_name == "main"


def test_a_user_s_model_is_made_of_what_the_user_says(hub, tmp_path):
    file = tmp_path / "standins.yaml"
    file.write_text(
        "models:\n  me/small:\n    like: gpt2\n    config: {model_type: gpt2, n_layer: 48, scale_attn_weights: false}\n"
        "  me/hidden: {like: bert, gated: true}\n"
        "datasets:\n  me/rows: {configurations: {default: {splits: {train: 9}, columns: {text: string}}}}\n"
    )
    told = hub({}, catalogue(read_schemas(file)))
    found = told.find("model", "me/small")
    assert (found.known, found.repository.basis) == ("known", "user")
    config = json.loads(content(found.repository, "config.json"))
    assert (config["n_layer"], config["scale_attn_weights"]) == (2, False)
    assert content(found.repository, "tokenizer.json")
    assert told.find("model", "me/hidden").gated
    assert told.find("dataset", "me/rows").repository.basis == "user"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {me/a: {}}", "models.me/a: `config` with a `model_type`, or `like`"),
        ("models: {me/a: {like: nothing-like-it}}", "models.me/a.like: nothing-like-it is no family"),
        ("models: {small: {like: gpt2}}", "'small' is no id of the form OWNER/NAME"),
        ("models: {me/a: {like: gpt2, weights: x}}", "models.me/a.weights"),
        ("models: {me/a: {like: gpt2, config: {made: 2024-01-01}}}", "models.me/a.config: not writable as JSON"),
        ("models: {me/a: {like: gpt2, config: 3}}", "models.me/a.config"),
        ("models: [me/a]", "models"),
        ("models: {me/a: {like: gpt2, tokenizer: {model: runes, specials: [1, 2]}}}", "models.me/a: no stand-in"),
    ],
)
def test_a_bad_model_gives_one_line(tmp_path, text, said):
    file = tmp_path / "standins.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as raised:
        catalogue(read_schemas(file))
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_weights_that_cannot_be_made_are_a_file_without_weights(hub, monkeypatch):
    notes: list[dict[str, Any]] = []
    monkeypatch.setattr(Maker, "_ask", lambda self, request: {"error": "no library"})
    told = hub({})
    told.journal = lambda kind, **fields: notes.append(fields)
    whole = content(told.find("model", "openai-community/gpt2").repository, "model.safetensors")
    assert json.loads(whole[8:]) == {"__metadata__": {"format": "pt"}}
    assert struct.unpack("<Q", whole[:8])[0] == len(whole) - 8
    assert any("could not be made: no library" in str(note.get("note")) for note in notes)


def test_weights_are_written_one_after_the_other_as_the_library_reads_them(tmp_path):
    torch = pytest.importorskip("torch")
    library = pytest.importorskip("safetensors.torch")
    state = {
        "weight": torch.arange(6.0).reshape(2, 3).t(),
        "count": torch.tensor(7),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "none": torch.zeros(0, 4),
    }
    maker._write_weights(state, str(tmp_path / "model.safetensors"))
    read = library.load_file(tmp_path / "model.safetensors")
    assert {name: (value.dtype, value.tolist()) for name, value in read.items()} == {
        name: (value.dtype, value.tolist()) for name, value in state.items()
    }


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is not counted this way")
def test_the_process_that_makes_weights_cannot_fill_memory(tmp_path):
    process = Maker(tmp_path, lambda *_, **__: None)
    try:
        process._ask({"kind": "nothing"})
        assert process._process is not None
        import resource

        assert resource.prlimit(process._process.pid, resource.RLIMIT_DATA)[0] < 3 * 10**9
    finally:
        process.close()
