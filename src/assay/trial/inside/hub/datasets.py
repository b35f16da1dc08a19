"""Repositories of datasets: a card that lists configurations, splits and columns, and a Parquet file for each split.

The libraries read the card as they read the real one, so a missing configuration, an unknown split or a column that is
not there fails with their own words.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from . import features, rows
from .features import Feature

TRAINING_ROWS = 400
OTHER_ROWS = 120


# changes whenever the rows made from the same columns change, because a commit names what is in a repository
_MADE_BY = "rows 1"
# Datasets that others copy, by a word in the name of a copy; the first that is found decides. What a copy holds is
# assumed.
_COPIED = (
    ("wikitext-103", "Salesforce/wikitext", "wikitext-103-raw-v1"),
    ("wikitext-2", "Salesforce/wikitext", "wikitext-2-raw-v1"),
    ("wikitext", "Salesforce/wikitext", "wikitext-103-raw-v1"), ("gsm8k", "openai/gsm8k", "main"),
    ("cifar100", "uoft-cs/cifar100", ""), ("cifar-100", "uoft-cs/cifar100", ""), ("cifar10", "uoft-cs/cifar10", ""),
    ("cifar-10", "uoft-cs/cifar10", ""), ("tiny-imagenet", "zh-plus/tiny-imagenet", ""),
    ("tiny_imagenet", "zh-plus/tiny-imagenet", ""), ("imagenet", "ILSVRC/imagenet-1k", ""),
    ("fashion-mnist", "zalando-datasets/fashion_mnist", ""), ("fashion_mnist", "zalando-datasets/fashion_mnist", ""),
    ("mnist", "ylecun/mnist", ""), ("svhn", "ufldl-stanford/svhn", "cropped_digits"), ("food101", "ethz/food101", ""),
    ("sst2", "stanfordnlp/sst2", ""), ("sst-2", "stanfordnlp/sst2", ""), ("imdb", "stanfordnlp/imdb", ""),
    ("ag_news", "fancyzhx/ag_news", ""), ("ag-news", "fancyzhx/ag_news", ""),
    ("rotten", "cornell-movie-review-data/rotten_tomatoes", ""),
    ("squad_v2", "rajpurkar/squad_v2", ""), ("squad", "rajpurkar/squad", ""), ("samsum", "Samsung/samsum", ""),
    ("xsum", "EdinburghNLP/xsum", ""), ("cnn_dailymail", "abisee/cnn_dailymail", "3.0.0"),
    ("alpaca", "tatsu-lab/alpaca", ""),
    ("dolly", "databricks/databricks-dolly-15k", ""), ("openwebtext", "Skylion007/openwebtext", ""),
    ("tinystories", "roneneldan/TinyStories", ""), ("hellaswag", "Rowan/hellaswag", ""),
    ("ultrachat", "HuggingFaceH4/ultrachat_200k", ""),
    ("ultrafeedback_binarized", "HuggingFaceH4/ultrafeedback_binarized", ""), ("metamath", "meta-math/MetaMathQA", ""),
    ("librispeech", "openslr/librispeech_asr", "clean"), ("speech_commands", "google/speech_commands", "v0.02"),
)  # fmt: skip


def present_name(id: str, catalogue: Mapping[str, Any]) -> str:
    """The name with its owner of a dataset that is asked for by another; empty where that is its name, or unknown."""
    known = _known(catalogue)
    return "" if id in known else str(_aliases(catalogue).get(id, ""))


def repository(id: str, catalogue: Mapping[str, Any], standins: Path) -> Any:
    """The repository of a dataset, or None where nothing says what is in it.

    Args:
        id: Its name on the Hub.
        catalogue: Its `datasets` holds what `assay.trial.schemas.catalogued` gives.
        standins: Folder in which Parquet files are kept for later steps.
    """
    known = _known(catalogue)
    name = id if id in known else _aliases(catalogue).get(id, "")
    if name in known:
        return _made(name, known[name], known[name].get("basis", "table"), _note(known[name]), standins, catalogue)
    assumed = _assumed(id, known)
    if assumed is None:
        return None
    schema, like = assumed
    return _made(id, schema, "assumed", "its columns are assumed to be those of " + like, standins, catalogue)


def _note(schema: Mapping[str, Any]) -> str:
    return "" if schema.get("complete") else "it may have further configurations"


def _known(catalogue: Mapping[str, Any]) -> Mapping[str, Any]:
    found = catalogue.get("datasets", {}).get("schemas", {})
    return found if isinstance(found, dict) else {}


def _aliases(catalogue: Mapping[str, Any]) -> Mapping[str, Any]:
    found = catalogue.get("datasets", {}).get("aliases", {})
    return found if isinstance(found, dict) else {}


def _assumed(id: str, known: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """What a dataset with an owner may hold whose name contains that of a known one, and of which."""
    owner, _, name = id.partition("/")
    if not name or not owner:
        return None
    low = name.lower()
    found = next((row for row in _COPIED if row[0] in low and row[1] in known), None)
    if found is not None:
        schema = known[found[1]]
        configurations = schema["configurations"]
        chosen = configurations.get(found[2]) or next(iter(configurations.values()))
        return {**schema, "gated": False, "script": False, "default": "", "configurations": {"default": chosen}}, found[
            1
        ]
    if "image" in low.split("-") or "images" in low.split("-"):
        columns = "image: image; label: label(10)"
        configuration = {
            "columns": columns,
            "splits": {"train": 10_000, "test": 2_000},
            "size": [64, 64],
            "modes": "mixed",
        }
        return {"configurations": {"default": configuration}}, "a dataset of pictures"
    return None


def _made(
    id: str, schema: Mapping[str, Any], basis: str, note: str, standins: Path, catalogue: Mapping[str, Any]
) -> Any:
    from .repositories import Repository

    files: dict[str, Any] = {"README.md": card(schema).encode("utf-8"), ".gitattributes": b"*.parquet filter=lfs\n"}
    scripts = schema.get("script") and catalogue.get("datasets", {}).get("scripts", True)
    if scripts and _refuses_scripts():
        # what `datasets` 4 refuses; earlier versions get the data as it is, because what they do depends on the service
        # that converts to Parquet
        files[id.rpartition("/")[2] + ".py"] = b'"""The loading script of this dataset."""\n'
    seed = json.dumps([_MADE_BY, schema], sort_keys=True, ensure_ascii=True)
    for name, configuration in schema["configurations"].items():
        for split in configuration["splits"]:
            make = partial(_kept, standins, id, name, split, configuration, seed)
            files[data_path(name, split)] = make
    gated = bool(schema.get("gated"))
    return Repository(id, files, basis=basis, type="dataset", note=note, seed=seed, gated=gated, about={"tags": []})


def _refuses_scripts() -> bool:
    import importlib.metadata

    try:
        return int(importlib.metadata.version("datasets").partition(".")[0]) >= 4
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False


def data_path(configuration: str, split: str) -> str:
    """Where the rows of a split lie in the repository."""
    return f"{configuration}/{split}-00000-of-00001.parquet"


def row_count(split: str, real: int) -> int:
    """How many rows a split of a stand-in has: not more than the real one."""
    most = TRAINING_ROWS if split.startswith("train") or split in ("unsupervised", "auxiliary_train") else OTHER_ROWS
    return min(real, most)


def card(schema: Mapping[str, Any]) -> str:
    """The README.md: columns of each configuration, where its splits lie, and which configuration is the default."""
    configurations = schema["configurations"]
    lines = ["---\n", "dataset_info:\n"]
    for name, configuration in configurations.items():
        lines.append(f"- config_name: {features.quoted(name)}\n  features:\n")
        lines.append(features.as_yaml(columns_of(name, configuration), "  "))
        lines.append("  splits:\n")
        for split, real in configuration["splits"].items():
            lines.append(f"  - name: {features.quoted(split)}\n    num_bytes: 1\n")
            lines.append(f"    num_examples: {row_count(split, real)}\n")
        lines.append("  download_size: 1\n  dataset_size: 1\n")
    lines.append("configs:\n")
    for name, configuration in configurations.items():
        lines.append(f"- config_name: {features.quoted(name)}\n")
        if name == schema.get("default") and len(configurations) > 1:
            lines.append("  default: true\n")
        lines.append("  data_files:\n")
        for split in configuration["splits"]:
            path = features.quoted(f"{name}/{split}-*")
            lines.append(f"  - split: {features.quoted(split)}\n    path: {path}\n")
    lines.append("---\n\nA stand-in: rows made up, columns as in the real dataset.\n")
    return "".join(lines)


def columns_of(name: str, configuration: Mapping[str, Any]) -> dict[str, Feature]:
    """The columns of a configuration; `translation(*)` takes the languages from its name."""
    text = str(configuration["columns"]).replace(
        "translation(*)", "translation({})".format("|".join(re.split("-", name)))
    )
    return features.parse_columns(text)


def _kept(standins: Path, id: str, name: str, split: str, configuration: Mapping[str, Any], seed: str) -> bytes:
    """The Parquet file of a split, made once for all steps of a rehearsal."""
    import hashlib

    digest = hashlib.sha256((f"{id}\0{name}\0{split}\0{seed}").encode()).hexdigest()[:32]
    place = Path(standins) / "datasets" / (digest + ".parquet")
    try:
        return place.read_bytes()
    except OSError:
        made = parquet(id, name, split, configuration)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_suffix(f".{hashlib.sha256(made).hexdigest()[:8]}.part")
        unfinished.write_bytes(made)
        unfinished.replace(place)
    except OSError:
        # it is only made again
        return made
    return made


def parquet(id: str, name: str, split: str, configuration: Mapping[str, Any]) -> bytes:
    """The rows of a split as a Parquet file that also records the columns, as the library writes it."""
    import pyarrow as pa  # type: ignore[import-untyped,import-not-found,unused-ignore]
    import pyarrow.parquet as pq  # type: ignore[import-untyped,import-not-found,unused-ignore]

    columns = columns_of(name, configuration)
    found = split_rows(id, name, split, configuration, columns)
    schema = pa.schema([pa.field(column, features.arrow_type(feature)) for column, feature in columns.items()])
    recorded = {"info": {"features": {column: features.recorded(feature) for column, feature in columns.items()}}}
    schema = schema.with_metadata({"huggingface": json.dumps(recorded)})
    arrays = [pa.array(found[field.name], type=field.type) for field in schema]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), out, compression="snappy")
    return out.getvalue()


def split_rows(
    id: str, name: str, split: str, configuration: Mapping[str, Any], columns: Mapping[str, Feature]
) -> dict[str, list[Any]]:
    """The rows of a split by column."""
    size = configuration.get("size") or (64, 64)
    count = row_count(split, int(configuration["splits"][split]))
    return rows.make_rows(
        f"{id}/{name}",
        columns,
        split,
        count,
        kind=str(configuration.get("kind", "")),
        hidden=split in configuration.get("hidden", ()),
        awkward=configuration.get("empty", ()),
        size=(int(size[0]), int(size[1])),
        modes=str(configuration.get("modes", "RGB")),
        order=str((configuration.get("sorted") or [""])[0]),
        often_empty=configuration.get("often-empty", ()),
    )
