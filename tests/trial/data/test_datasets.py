"""What the `datasets` library reads from the repositories that the hub makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.errors import InputError
from assay.trial.inside.hub import datasets as made
from assay.trial.inside.hub import features
from assay.trial.schemas import catalogued, listed, read_schemas

CATALOGUE = {"datasets": catalogued()}


def laid_out(folder: Path, name: str) -> str:
    """Write a repository into a folder."""
    repository = made.repository(name, CATALOGUE, folder / "standins")
    for path, content in repository.files.items():
        if not path.endswith(".py"):
            place = folder / "repository" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content() if callable(content) else content)
    return str(folder / "repository")


@pytest.fixture
def load(tmp_path, monkeypatch):
    library = pytest.importorskip("datasets")

    def loaded(name: str, *args, **keywords):
        folder = laid_out(tmp_path, name)
        return library.load_dataset(folder, *args, cache_dir=str(tmp_path / "cache"), **keywords)

    return loaded


def test_a_sum_ends_in_its_result(load):
    rows = load("openai/gsm8k", "main")
    assert {name: len(split) for name, split in rows.items()} == {"train": 400, "test": 120}
    assert all(row["answer"].rpartition("#### ")[2].isdigit() for row in rows["train"])
    assert set(rows["train"]["question"]).isdisjoint(rows["test"]["question"]) or rows["train"][0] != rows["test"][0]


def test_a_missing_configuration_fails_with_the_library_s_own_words(load):
    with pytest.raises(ValueError, match="Config name is missing"):
        load("glue")


def test_labels_have_their_names_and_are_hidden_where_the_real_ones_are(load):
    rows = load("nyu-mll/glue", "sst2")
    assert rows["train"].features["label"].names == ["negative", "positive"]
    assert set(rows["train"]["label"]) == {0, 1}
    assert set(rows["test"]["label"]) == {-1}


def test_the_rows_of_imdb_are_in_the_order_of_their_label(load):
    labels = list(load("stanfordnlp/imdb")["train"]["label"])
    assert labels == sorted(labels)
    assert set(labels) == {0, 1}


def test_some_pictures_are_gray_where_the_real_ones_are(load):
    pytest.importorskip("PIL")
    modes = [row["image"].mode for row in load("zh-plus/tiny-imagenet")["valid"]]
    assert {"RGB", "L"} == set(modes)
    assert modes.count("L") < 10


def test_a_word_tells_the_label():
    configuration = CATALOGUE["datasets"]["schemas"]["stanfordnlp/sst2"]["configurations"]["default"]
    columns = made.columns_of("default", configuration)
    rows = made.split_rows("stanfordnlp/sst2", "default", "train", configuration, columns)
    for text, label in zip(rows["sentence"], rows["label"], strict=True):
        assert any(word in text for word in (("terrible", "boring", "awful"), ("wonderful", "great", "moving"))[label])


def test_the_answer_stands_where_it_is_said_to_stand():
    configuration = CATALOGUE["datasets"]["schemas"]["rajpurkar/squad_v2"]["configurations"]["squad_v2"]
    columns = made.columns_of("squad_v2", configuration)
    rows = made.split_rows("rajpurkar/squad_v2", "squad_v2", "train", configuration, columns)
    assert any(not answers["text"] for answers in rows["answers"])
    for context, answers in zip(rows["context"], rows["answers"], strict=True):
        for text, start in zip(answers["text"], answers["answer_start"], strict=True):
            assert context[start : start + len(text)] == text


def test_a_repository_is_the_same_each_time_and_never_larger_than_the_real_one(tmp_path):
    first = made.repository("cifar10", CATALOGUE, tmp_path / "one")
    second = made.repository("uoft-cs/cifar10", CATALOGUE, tmp_path / "two")
    path = made.data_path("plain_text", "test")
    assert first.commit == second.commit
    assert first.files[path]() == second.files[path]()
    assert made.row_count("train", 160) == 160


def test_what_is_like_a_known_dataset_is_assumed_and_what_is_not_is_unknown(tmp_path):
    assumed = made.repository("somebody/gsm8k-cleaned", CATALOGUE, tmp_path)
    assert assumed.basis == "assumed"
    assert made.data_path("default", "train") in assumed.files
    assert made.repository("somebody/anything", CATALOGUE, tmp_path) is None
    assert made.repository("no-such-name", CATALOGUE, tmp_path) is None
    assert made.present_name("gsm8k", CATALOGUE) == "openai/gsm8k"


def test_every_dataset_of_the_table_makes_rows_of_its_columns():
    pyarrow = pytest.importorskip("pyarrow")
    for schema in CATALOGUE["datasets"]["schemas"].values():
        name, configuration = next(iter(schema["configurations"].items()))
        columns = made.columns_of(name, configuration)
        if any(feature.kind in ("image", "audio") for feature in columns.values()):
            continue
        split = next(iter(configuration["splits"]))
        small = {**configuration, "splits": {split: 9}}
        rows = made.split_rows("a/b", name, split, small, columns)
        for column, feature in columns.items():
            pyarrow.array(rows[column], type=features.arrow_type(feature))


def test_a_user_s_schema_wins(tmp_path):
    file = tmp_path / "schemas.yaml"
    file.write_text(
        "datasets:\n  me/reviews:\n    configurations:\n      default:\n        splits: {train: 50}\n"
        "        columns: {text: string, stars: 'label(one|two)'}\n"
    )
    catalogue = {"datasets": catalogued(read_schemas(file))}
    repository = made.repository("me/reviews", catalogue, tmp_path)
    assert repository.basis == "user"
    assert "num_examples: 50" in repository.files["README.md"].decode()
    assert any(row["dataset"] == "me/reviews" for row in listed(read_schemas(file)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("datasets: [", "not readable as YAML"),
        ("datasets: {a/b: {}}", "configurations"),
        ("datasets: {a/b: {configurations: {x: {splits: {train: -1}, columns: {t: string}}}}}", "train"),
        (
            "datasets: {a/b: {configurations: {x: {splits: {train: 1}, columns: {t: strng}}}}}",
            "column t: unknown feature",
        ),
        ("[1, 2]", "the file"),
    ],
)
def test_a_bad_schema_gives_one_line(tmp_path, text, said):
    file = tmp_path / "schemas.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=said) as raised:
        read_schemas(file)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["list<string", "label(a", "struct{a}", "audio(x)", "list<" * 40 + "string" + ">" * 40]
)
def test_a_feature_that_is_not_written_as_it_should_be_is_refused(text):
    with pytest.raises(features.FeatureError):
        features.parse_feature(text)
