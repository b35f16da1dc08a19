"""Calls that fetch datasets and pretrained models, and the folder in which they keep them."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from assay.analysis.fact_table import read_table
from assay.analysis.python_source import keyword
from assay.analysis.text_pattern import PatternReader

# Builders of datasets.load_dataset that read the user's own files
# (https://huggingface.co/docs/datasets/v4.4.0/loading#local-and-remote-files).
FILE_BUILDERS = frozenset(
    {
        "csv",
        "json",
        "text",
        "pandas",
        "parquet",
        "arrow",
        "sql",
        "xml",
        "hdf5",
        "webdataset",
        "imagefolder",
        "audiofolder",
        "videofolder",
        "pdffolder",
    }
)
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?")
_STAND_IN = re.compile(r"placeholder|dummy|<|your|xxx|tiny-random|hf-internal-testing", re.IGNORECASE)
# names of folders and files, and of models that the program itself saved
_LOCAL = re.compile(
    r"^(?:\.|data|datasets?|models?|checkpoints?|outputs?|results?|src|config|cache|artifacts|saved|weights|tmp|runs?|logs?|experiments?|exp|ckpts?|artefacts|wandb|lightning_logs)(?:/|$)"
    r"|\.(?:py|json|jsonl|csv|txt|pt|pth|bin)$|(?:^|[-_/])(?:best|final|saved|ckpt|checkpoint|output|trained|finetuned)",
    re.IGNORECASE,
)


class DataSource(NamedTuple):
    """A call that reads a dataset.

    Args:
        call: The call.
        called: Its dotted name.
        name: The dataset's name, where the code spells it out.
        needs_name: Whether only a name makes it a concrete dataset.
        root: Keyword of the folder in which the dataset is kept; empty where it has none.
    """

    call: ast.Call
    called: str
    name: str | None
    needs_name: bool
    root: str


def data_sources(reader: PatternReader) -> list[DataSource]:
    """The calls of a file that read a dataset that its library knows, those that read the user's own files left out."""
    found = []
    for call, called in reader.file.calls:
        row = _row(called)
        if row is None:
            continue
        name = None
        if row["argument"]:
            given = call.args[int(row["argument"])] if call.args else keyword(call, "path") or keyword(call, "name")
            name = hub_name(reader, given)
            if name in FILE_BUILDERS or keyword(call, "data_files") is not None:
                continue
        found.append(DataSource(call, called, name, bool(row["argument"]), row["root"] or ""))
    return found


def hub_name(reader: PatternReader, node: ast.expr | None) -> str | None:
    """A name of a dataset or model on a hub that is spelled out: no path, no stand-in."""
    text = reader.fold(node).constant if node is not None else None
    if text is None or not _HUB_NAME.fullmatch(text) or _STAND_IN.search(text) or _LOCAL.search(text):
        return None
    return text


def hub_model(reader: PatternReader, node: ast.expr | None) -> str | None:
    """Like `hub_name`, for models: a single word without digits or hyphens may as well be a folder of saved weights."""
    text = hub_name(reader, node)
    return text if text is not None and ("/" in text or re.search(r"[0-9-]", text)) else None


def _row(called: str) -> dict[str, str] | None:
    module, _, name = called.rpartition(".")
    for row in read_table("real_data"):
        wanted_module, _, wanted = row["call"].rpartition(".")
        if module != wanted_module or name in row["unless"].split():
            continue
        if wanted == "Class*":
            if name[:1].isupper():
                return row
        elif name == wanted or (wanted.endswith("*") and name.startswith(wanted[:-1])):
            return row
    return None
