"""What is known of models: the tables, ids of the hub, names that are none, and where a call's name comes from."""

from __future__ import annotations

import pytest

from assay.analysis.fact_table import read_table
from assay.analysis.model_knowledge import (
    expected_class,
    families,
    families_with,
    family_of,
    id_problem,
    is_address,
    judge_targets,
    known_model,
    may_be_local,
    model_uses,
    models,
    suggestion,
    tokens,
)
from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.submission import SourceFile, Submission
from tests.bounded import ends


def project_of(files: dict[str, str], contract: str = "experiment") -> Project:
    made = {path: SourceFile.of_text(path, text) for path, text in files.items()}
    return Project(Submission("example", dict(sorted(made.items()))), load_contract(contract))


def test_there_are_many_families_of_every_kind():
    kinds = {family.kind for family in families().values()}
    assert len(families()) >= 100
    assert kinds == {"decoder", "encoder", "encoder-decoder", "vision", "audio", "multimodal"}


def test_every_family_has_classes_and_no_module_of_two_sorts():
    for family in families().values():
        assert family.tasks
        assert family.classes
        assert not family.adaptable & family.containers
        assert not family.adaptable & family.others
        assert not family.containers & family.others


def test_the_modules_that_peft_adapts_by_default_are_known():
    for family in families().values():
        if family.lora and not family.open:
            judged = judge_targets(family, list(family.lora))
            assert judged is not None
            assert len(judged.absent) < len(family.lora), family.model_type
            assert judged.containers == (), family.model_type


def test_ids_are_ids_and_stand_once():
    ids = [model.id for model in models()]
    assert len(ids) == len({text.lower() for text in ids})
    for model in models():
        assert id_problem(model.id) == ""
        assert model.id.count("/") == 1
        assert "/" not in model.alias
    assert {model.family for model in models()} <= set(families())


def test_every_fact_about_a_model_has_a_source():
    assert all(row["source"] for row in read_table("models"))


def test_names_of_vision_models_stand_once():
    rows = [(row["library"], row["path"], row["function"]) for row in read_table("vision_models")]
    assert len(rows) == len(set(rows)) > 1000


# the documented cases: https://huggingface.co/docs/huggingface_hub/package_reference/utilities (validate_repo_id)
@pytest.mark.parametrize("name", ["foo", "foo/bar", "123", "Foo-BAR_foo.bar123", "valid_repo_id"])
def test_ids_that_the_hub_library_takes(name):
    assert id_problem(name) == ""


@pytest.mark.parametrize(
    "name",
    ["datasets/foo/bar", ".repo_id", "foo--bar", "foo.git", "other..repo..id", "a b", "foo/", "-foo", "x" * 97, ""],
)
def test_ids_that_the_hub_library_refuses(name):
    assert id_problem(name)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Qwen2.5-7B", "Qwen/Qwen2.5-7B"),
        ("qwen2.5_7b", "Qwen/Qwen2.5-7B"),
        ("Llama-2-7B", "meta-llama/Llama-2-7b-hf"),
        ("Llama-2-7B-chat", "meta-llama/Llama-2-7b-chat-hf"),
        ("Llama2-7b", "meta-llama/Llama-2-7b-hf"),
        ("hf://google/flan-t5-base", "google/flan-t5-base"),
        ("https://huggingface.co/EleutherAI/pythia-160m", "EleutherAI/pythia-160m"),
        ("flan-t5-base", "google/flan-t5-base"),
        ("GPT-2", "openai-community/gpt2"),
        ("DeBERTa-v3-base", "microsoft/deberta-v3-base"),
        ("opt-125m", "facebook/opt-125m"),
    ],
)
def test_a_display_name_suggests_the_id(written, meant):
    found = suggestion(written)
    assert found is not None
    assert found.id == meant


@pytest.mark.parametrize("name", ["mlp", "2-layer-mlp", "cnn", "net", "own-model", "", "-", "abcd-controller"])
def test_a_name_of_ones_own_suggests_nothing(name):
    assert suggestion(name) is None


def test_sizes_are_not_confused():
    assert tokens("Qwen2.5-7B") != tokens("Qwen2-57B")


@pytest.mark.parametrize("name", ["gpt2", "bert-base-uncased", "distilbert-base-uncased", "roberta-base", "t5-small"])
def test_old_names_without_an_owner_are_ids(name):
    assert known_model(name) is not None


def test_a_copy_is_of_the_family_of_the_original():
    family = family_of("some-team/Llama-2-7b-hf")
    assert family is not None
    assert family.model_type == "llama"


def test_what_each_kind_is_loaded_with():
    assert expected_class(families()["llama"]) == "AutoModelForCausalLM"
    assert expected_class(families()["t5"]) == "AutoModelForSeq2SeqLM"
    assert "CausalLM" not in families()["t5"].tasks
    assert "Seq2SeqLM" not in families()["llama"].tasks
    # the decoder half of BART and the encoder BERT have causal classes
    assert "CausalLM" in families()["bart"].tasks
    assert "CausalLM" in families()["bert"].tasks
    assert families_with("T5ForConditionalGeneration") >= {"t5"}


def test_targets_are_judged_by_the_last_part():
    roberta = families()["roberta"]
    judged = judge_targets(roberta, ["query", "output.dense", "output", "q_proj"])
    assert judged is not None
    assert judged.absent == ("q_proj",)
    assert judged.containers == ("output",)


def test_a_family_with_modules_from_elsewhere_is_not_judged():
    assert judge_targets(families()["llava"], ["anything"]) is None


def test_addresses_are_told_from_paths():
    assert is_address("hf://a/b")
    assert is_address("https://huggingface.co/a/b")
    assert not is_address("a/b")


@pytest.mark.parametrize("name", ["./saved", "checkpoints/last", "~/llama", "model.safetensors", "best-model", "own/x"])
def test_what_may_be_a_folder(name):
    assert may_be_local(project_of({"own/x/config.json": "{}"}), name)


_LOAD = "from transformers import AutoModel\n\ndef build(cfg):\n    return AutoModel.from_pretrained({})\n"
_MAIN = "from src.model import build\n\ndef main(cfg):\n    build(cfg)\n\nmain(None)\n"


@pytest.mark.parametrize(
    "written",
    [
        "cfg.model.name",
        "cfg['model']['name']",
        "cfg.model['name']",
        "cfg.model.get('name')",
        "cfg.model.get('other', cfg.model.name)",
        "cfg.run.model.name",
        "getattr(cfg.model, 'name')",
        "str(cfg.model.name)",
        "cfg.model.name or 'gpt2'",
    ],
)
def test_a_name_comes_from_the_run_file(written):
    files = {
        "src/model.py": _LOAD.format(written),
        "src/main.py": _MAIN,
        "config/runs/a.yaml": "run_id: a\nmodel:\n  name: b/c\n",
    }
    (use,) = model_uses(project_of(files))
    assert use.name == "b/c"
    assert use.called.certain
    assert use.called.runs == ("a",)
    file, place, frames = use.place()
    assert (file, getattr(place, "line", 0), frames[0].file, frames[0].line) == (
        "config/runs/a.yaml",
        3,
        "src/model.py",
        4,
    )


def test_a_section_that_is_passed_on_is_followed():
    files = {
        "src/model.py": "from transformers import AutoModel\n\ndef build(settings):\n    name = settings.name\n"
        "    return AutoModel.from_pretrained(name)\n",
        "src/main.py": "from src.model import build\n\ndef main(cfg):\n    build(cfg.model)\n",
        "config/runs/a.yaml": "model:\n  name: b/c\n",
    }
    assert [use.name for use in model_uses(project_of(files))] == ["b/c"]


def test_a_name_that_the_trial_replaces_has_two_values():
    files = {
        "src/model.py": _LOAD.format("cfg.model.name"),
        "src/main.py": "from src.model import build\n\ndef main(cfg):\n    if cfg.mode == 'trial':\n"
        "        cfg.model.name = 'gpt2'\n    build(cfg)\n\nmain(None)\n",
        "config/runs/a.yaml": "model:\n  name: b/c\n",
    }
    found = {use.name: use for use in model_uses(project_of(files))}
    assert set(found) == {"b/c", "gpt2"}
    assert found["gpt2"].scenario.mode == "trial"
    assert found["gpt2"].place()[0] == "src/main.py"


@pytest.mark.parametrize(
    "written",
    ["NAMES[cfg.model.name]", "resolve(cfg.model.name)", "other.model.name", "cfg.model.missing", "f'{x}/{y}'"],
)
def test_a_name_that_cannot_be_told_is_no_use(written):
    files = {"src/model.py": _LOAD.format(written), "config/runs/a.yaml": "model:\n  name: b/c\n"}
    assert model_uses(project_of(files)) == ()


def test_an_interpolation_is_not_known():
    files = {"src/model.py": _LOAD.format("cfg.model.name"), "config/runs/a.yaml": "model:\n  name: ${other}\n"}
    assert model_uses(project_of(files)) == ()


def test_a_branch_that_the_run_does_not_take_has_no_use():
    files = {
        "src/model.py": "from transformers import AutoModel\n\ndef build(cfg):\n    if cfg.model.kind == 'hub':\n"
        "        return AutoModel.from_pretrained(cfg.model.name)\n    return None\n",
        "config/runs/a.yaml": "model:\n  name: b/c\n  kind: own\n",
        "config/runs/b.yaml": "model:\n  name: d/e\n  kind: hub\n",
    }
    assert [use.name for use in model_uses(project_of(files))] == ["d/e"]


def test_hostile_code_costs_little():
    chain = "".join(f"x{n} = x{n - 1} + x{n - 1}\n" for n in range(1, 60))
    calls = "".join("AutoModel.from_pretrained(cfg.model.name + x59)\n    " for _ in range(3_000))
    files = {
        "src/model.py": f"from transformers import AutoModel\nx0 = 'a'\n{chain}\ndef build(cfg):\n    {calls}pass\n",
        **{f"config/runs/{n}.yaml": "model:\n  name: b/c\n" for n in range(100)},
    }
    ends(lambda: model_uses(project_of(files)))


def test_run_files_of_any_shape_are_read():
    for text in ("- a\n", "model: 3\n", "model: [1]\n", "model:\n  name: [a, {b: c}]\n", "model:\n  name: null\n", ""):
        files = {"src/model.py": _LOAD.format("cfg.model.name"), "config/runs/a.yaml": text}
        assert model_uses(project_of(files)) == ()
