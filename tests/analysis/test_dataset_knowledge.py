"""The tables of datasets hold together, and calls are judged by them."""

from __future__ import annotations

import ast
import datetime

import pytest

from assay.analysis.called import UNKNOWN, Called
from assay.analysis.dataset_knowledge import (
    LOADER,
    Facts,
    change_date,
    dataset_calls,
    facts_of,
    known_datasets,
    legacy_names,
    misses_configuration,
    read_request,
    requests,
    split_names,
    unknown_configuration,
    unknown_split,
)
from assay.analysis.dataset_library import library_version
from assay.analysis.dataset_uses import uses_of
from assay.analysis.dispatch import kind_of, missed_choices
from assay.analysis.fact_table import read_table
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile
from assay.contracts import load_contract
from assay.finding import Consequence, Finding, Severity
from assay.rules.dat.dat008_loading_script import LoadingScript
from assay.submission import SourceFile, Submission


def project_of(files, contract="experiment", as_of=None):
    made = {path: SourceFile.of_text(path, text) for path, text in files.items()}
    return Project(Submission("example", dict(sorted(made.items()))), load_contract(contract), as_of=as_of)


def asked(*positional, is_open=False, **keywords):
    return read_request(Called(LOADER, "a.py", 1, positional, keywords, is_open))


def test_an_old_name_stands_for_the_dataset_that_the_hub_redirects_it_to():
    assert known_datasets()["glue"].id == "nyu-mll/glue"
    # the author's own repository is another one
    for name, owner in (("c4", "allenai"), ("banking77", "PolyAI")):
        assert known_datasets()[name].id == f"legacy-datasets/{name}"
        assert known_datasets()[f"{owner}/{name}"].id == f"{owner}/{name}"


def test_the_thread_that_saw_a_script_stands_last_among_the_sources():
    for dataset in known_datasets().values():
        if dataset.script_seen is not None:
            assert any(part in dataset.source.rpartition(" ")[2] for part in ("/issues/", "/pull/")), dataset.id


def test_there_are_the_datasets_that_papers_use():
    assert len(read_table("datasets")) >= 80
    for name in (
        "glue",
        "squad",
        "imdb",
        "cifar10",
        "gsm8k",
        "wikitext",
        "cnn_dailymail",
        "cais/mmlu",
        "tatsu-lab/alpaca",
    ):
        assert name in known_datasets()


def test_every_name_belongs_to_one_dataset():
    names = [name for row in read_table("datasets") for name in (row["id"], *row["aliases"].split())]
    assert len(names) == len(set(names))
    assert all("/" in row["id"] for row in read_table("datasets"))


def test_every_dataset_has_a_source_and_only_known_words():
    for row in read_table("datasets"):
        assert row["source"], row["id"]
        assert row["required"] in ("yes", "no", "")
        assert row["complete"] in ("yes", "")
        assert row["gated"] in ("yes", "")
        if row["script_seen"]:
            datetime.date.fromisoformat(row["script_seen"])


def test_configurations_belong_to_a_dataset_and_are_listed_once():
    ids = {row["id"] for row in read_table("datasets")}
    listed = [(row["dataset"], name) for row in read_table("dataset_columns") for name in row["configurations"].split()]
    assert {dataset for dataset, _ in listed} <= ids
    assert len(listed) == len(set(listed))
    assert all(name for _, name in listed)


def test_a_dataset_that_needs_a_configuration_has_no_default():
    for dataset in known_datasets().values():
        if dataset.required:
            assert not dataset.default
            assert "*" not in dataset.facts
        if dataset.default:
            assert dataset.required is False
        if dataset.complete:
            assert len(dataset.configurations) > 1


def test_text_and_label_are_columns():
    for dataset in known_datasets().values():
        columns = {column for facts in dataset.facts.values() for column in facts.columns}
        if columns and all(facts.columns for facts in dataset.facts.values()):
            assert {dataset.text, dataset.label} - {""} <= columns, dataset.id


def test_aliases_without_owner_are_old_names():
    for row in read_table("datasets"):
        for alias in row["aliases"].split():
            assert "/" in alias or alias in legacy_names(), alias


@pytest.mark.parametrize("row", read_table("torchvision_datasets"), ids=lambda row: row["class"])
def test_torchvision_rows_have_arguments_and_a_source(row):
    assert "root" in row["arguments"].split()
    assert row["source"].endswith(f"{row['class']}.html")
    if row["splits"]:
        assert "split" in row["arguments"].split()


@pytest.mark.parametrize(
    ("positional", "keywords"),
    [
        (("csv",), {"data_files": "a.csv"}),
        (("./data",), {}),
        (("data.json",), {}),
        ((UNKNOWN,), {}),
        ((3,), {}),
        (("gsm8k",), {"revision": "main"}),
        (("gsm8k",), {"data_dir": UNKNOWN}),
        (("a/b/c",), {}),
    ],
)
def test_a_call_that_may_mean_anything_asks_for_nothing(positional, keywords):
    assert asked(*positional, **keywords) is None


def test_a_missing_configuration_is_seen_only_where_all_arguments_are():
    assert misses_configuration(asked("openai/gsm8k"))
    assert misses_configuration(asked("gsm8k", None, split="train", cache_dir=UNKNOWN))
    assert not misses_configuration(asked("gsm8k", UNKNOWN))
    assert not misses_configuration(asked("gsm8k", is_open=True))
    assert not misses_configuration(asked("gsm8k", language="en"))
    assert not misses_configuration(asked("someone/gsm8k"))


def test_configurations_are_judged_where_all_are_known():
    assert unknown_configuration(asked("glue", "sst-2")) == "sst-2"
    assert unknown_configuration(asked("glue", "sst2")) is None
    assert unknown_configuration(asked("emotion", "anything")) is None
    assert unknown_configuration(asked("imdb", "anything")) is None


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("train", ("train",)),
        ("train[:10%]", ("train",)),
        ("train[:10%]+test[100:200]", ("train", "test")),
        ("train.clean.100", ("train.clean.100",)),
        ("train[:33%](pct1_dropremainder)", ("train",)),
        ("train-full", ()),
        ("", ()),
    ],
)
def test_split_expressions_are_read(expression, names):
    assert split_names(expression) == names


def test_splits_are_judged_by_configuration():
    assert unknown_split(asked("glue", "mnli", split="validation")) == "validation"
    assert unknown_split(asked("glue", "mnli", split="validation_matched")) is None
    assert unknown_split(asked("glue", "sst2", split="validation")) is None
    assert unknown_split(asked("glue", UNKNOWN, split="validation")) is None
    assert unknown_split(asked("gsm8k", UNKNOWN, split="validation")) == "validation"
    assert unknown_split(asked("imdb", split="all")) is None
    assert unknown_split(asked("imdb", split=UNKNOWN)) is None
    assert facts_of(asked("gsm8k")) == Facts()


def test_a_module_of_the_submission_is_not_the_library():
    text = "from datasets import load_dataset\ndata = load_dataset('glue')\n"
    assert list(dataset_calls(project_of({"src/a.py": text})))
    assert not list(dataset_calls(project_of({"src/a.py": text, "datasets.py": "def load_dataset(name): ...\n"})))
    assert not list(dataset_calls(project_of({"src/a.py": text + "def load_dataset(name): ...\n"})))


def test_a_folder_of_the_submission_is_no_name():
    text = "from datasets import load_dataset\ndata = load_dataset('glue')\n"
    assert not list(requests(project_of({"src/a.py": text, "glue/a.csv": "a\n"})))


def _uses(text, splits=("train", "test"), columns=("text", "label"), one_split=False):
    file = PythonFile("a.py", "from datasets import load_dataset\n" + text)
    call = next(node for node, name in file.calls if name == LOADER)
    return [(use.kind, use.name) for use in uses_of(file, call, Facts(splits, columns), one_split=one_split)]


def test_a_loaded_dataset_is_followed_to_its_splits_and_columns():
    assert _uses("d = load_dataset('x')\na = d['valid']\n") == [("split", "valid")]
    assert _uses("d = load_dataset('x')\na = d['train']['body']\n") == [("column", "body")]
    assert _uses("d = load_dataset('x', split='train')\nfor r in d:\n    f(r['a'])\n", one_split=True) == [
        ("column", "a")
    ]
    assert _uses("a = load_dataset('x')['train'].shuffle(1).select(range(3))[0]['a']\n") == [("column", "a")]
    assert _uses("d = load_dataset('x').map(lambda r: f(r['a']))\n") == [("column", "a")]


def test_following_stops_where_something_else_may_stand_there():
    assert not _uses("d = load_dataset('x')\nd['valid'] = d['test']\na = d['valid']\n")
    assert not _uses("d = load_dataset('x')\nd = split(d)\na = d['valid']\n")
    assert not _uses("d = load_dataset('x')\nd.update(more)\na = d['valid']\n")
    assert not _uses("def f(d=None):\n    if not d:\n        d = load_dataset('x')\n    return d['valid']\n")
    assert not _uses("for n in names:\n    d = load_dataset('x')\n    d = g(d)\n    a = d['valid']\n")
    assert not _uses("d = load_dataset('x')\na = d['valid'] if 'valid' in d else d['test']\n")
    assert not _uses("d = load_dataset('x').map(f)\na = d['train']['ids']\n")


def _with_dependency(requirement, more=""):
    return project_of(
        {
            "pyproject.toml": f"[project]\nname='a'\nversion='1'\ndependencies=['{requirement}'{more}]\n",
            "src/main.py": "import src.preprocess\n",
            "src/preprocess.py": "from datasets import load_dataset\ndata = load_dataset('ybisk/piqa')\n",
        },
        as_of=datetime.date(2025, 11, 1),
    )


@pytest.mark.parametrize(
    ("requirement", "more", "expected"),
    [
        ("datasets>=4", "", True),
        ("datasets==4.0.0", ", 'numpy<2'", True),
        ("datasets", "", True),
        ("datasets>=2.14", ", 'numpy<2'", False),
        ("datasets<4", "", None),
        ("datasets==3.6.0", "", None),
        ("datasets~=3.0", "", None),
        ("numpy", "", None),
    ],
)
def test_the_version_of_the_library_decides_about_scripts(requirement, more, expected):
    version = library_version(_with_dependency(requirement, more))
    assert (version[1] if version else None) is expected


def _said_of_a_script(project):
    return [found for found in LoadingScript().check(project) if isinstance(found, Finding)]


def test_a_script_blocks_only_up_to_the_day_on_which_it_was_last_seen():
    project = _with_dependency("datasets>=4")
    assert [(found.severity, found.consequence) for found in _said_of_a_script(project)] == [
        (Severity.BLOCKING, Consequence.CRASHES)
    ]
    project.as_of = datetime.date(2027, 1, 1)
    assert [found.severity for found in _said_of_a_script(project)] == [Severity.WARNING]
    project.as_of = change_date("scripts-refused") - datetime.timedelta(days=1)
    assert not list(LoadingScript().check(project))


_CHOICE = "def get_data(name):\n    if name.startswith('cifar'):\n        return 1\n    raise ValueError(name)\n"
_TRAIN = (
    "import yaml\nfrom src.preprocess import get_data\n\n\ndef main(path):\n    cfg = yaml.safe_load(open(path))\n"
    "    get_data(cfg['dataset']['name'])\n\n\nmain('run')\n"
)


def _missed(choice=_CHOICE, train=_TRAIN, name="mnist"):
    files = {
        "src/main.py": "import sys, subprocess\nsubprocess.run([sys.executable, '-m', 'src.train'])\n",
        "src/train.py": train,
        "src/preprocess.py": choice,
        "config/full_experiment.yaml": f"experiments:\n  - run_id: a\n    dataset:\n      name: {name}\n",
    }
    return [
        (missed.value, getattr(missed.place, "lineno", 0)) for missed in missed_choices(project_of(files, "derived"))
    ]


def test_a_configured_value_is_followed_to_the_choice_that_refuses_it():
    assert _missed() == [("mnist", 4)]
    assert _missed(name="cifar10") == []


@pytest.mark.parametrize(
    "train",
    [
        _TRAIN.replace("    get_data", "    if flag:\n        return\n    get_data"),
        _TRAIN.replace("    get_data", "    for _ in range(3):\n        get_data").replace("range(3)", "range(n)"),
        _TRAIN.replace("    get_data(cfg", "    cfg = other(cfg)\n    get_data(cfg"),
        _TRAIN.replace("    get_data(", "    cfg['dataset']['name'] = 'cifar'\n    get_data("),
        _TRAIN.replace("    get_data(", "    base = yaml.safe_load(open('x'))\n    get_data("),
        _TRAIN.replace("    get_data(", "    flag and get_data("),
    ],
)
def test_a_value_in_doubt_is_not_followed(train):
    assert _missed(train=train) == []


def test_what_a_choice_chooses_is_told_by_its_words():
    assert kind_of(("dataset", "name"), "build", "src/train.py") == "dataset"
    assert kind_of(("name",), "build_model", "src/train.py") == "model"
    assert kind_of(("name",), "build", "src/model.py") == "model"
    assert kind_of(("optimizer",), "build", "src/train.py") == ""


def test_hostile_files_are_bounded():
    text = "from datasets import load_dataset\n" + "d = load_dataset('imdb')\nx = d['no']['a']\n" * 3_000
    file = PythonFile("a.py", text)
    call = next(node for node, name in file.calls if name == LOADER)
    assert isinstance(call, ast.Call)
    assert len(uses_of(file, call, Facts(("train",), ("text",)), one_split=False)) == 1


def test_a_key_that_is_not_spelled_out_may_be_any():
    train = _TRAIN.replace("    get_data(", "    for key, value in more:\n        cfg[key] = value\n    get_data(")
    assert _missed(train=train) == []


def _configured(train, run="run_id: a\ndataset:\n  name: openai/gsm8k\n  split: train\n"):
    text = (
        "from datasets import load_dataset\n\n\ndef get(tokenizer, cfg):\n"
        "    return load_dataset(cfg.dataset.name, split=cfg.dataset.split)\n"
    )
    head = "import hydra\nfrom src.preprocess import get\n\n\n@hydra.main(config_path='../config', version_base=None)\n"
    files = {
        "src/main.py": "import sys, subprocess\nsubprocess.run([sys.executable, '-m', 'src.train'])\n",
        "src/train.py": head + train,
        "src/preprocess.py": text,
        "config/runs/a.yaml": run,
    }
    return [
        (request.name, request.split, request.called.certain, request.called.runs)
        for request in requests(project_of(files))
    ]


def test_a_call_gets_the_values_of_each_run():
    assert _configured("def main(cfg):\n    get(1, cfg)\n\n\nmain()\n") == [("openai/gsm8k", "train", True, ("a",))]


def test_a_call_that_may_not_be_made_has_values_too_but_is_not_certain():
    train = "def main(cfg):\n    if flag:\n        get(1, cfg)\n\n\nmain()\n"
    assert _configured(train) == [("openai/gsm8k", "train", False, ("a",))]
    assert _configured(train.replace("get(1, cfg)", "get(1, cfg.other)")) == []
    assert _configured(train, "run_id: a\ndataset:\n  name: ${other}\n") == []
    searched = "run_id: a\ndataset:\n  name: openai/gsm8k\noptuna:\n  dataset.name: [a, b]\n"
    assert _configured(train, searched) == []
