"""DAT003: datasets or models are kept somewhere else than in .cache."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from assay.analysis.data_sources import data_sources, hub_model
from assay.analysis.model_knowledge import known_model, may_be_local
from assay.analysis.project import Project
from assay.analysis.python_source import keyword
from assay.analysis.text_pattern import PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

# What moves a library's cache, or an environment variable that is not written out:
# https://huggingface.co/docs/huggingface_hub/v1.1.0/package_reference/environment_variables,
# https://docs.pytorch.org/docs/2.9/hub.html#where-are-my-downloaded-models-saved
_MOVES_CACHE = re.compile(
    r"HF_HOME|HF_HUB_CACHE|HUGGINGFACE_HUB_CACHE|HF_DATASETS_CACHE|TRANSFORMERS_CACHE|TORCH_HOME|XDG_CACHE_HOME"
    r"|\.set_dir\b|environ\[(?![\"'])|environ\[[\"'][^\"'\]]*[\"']\s*\+|environ\.update"
)
# cache_dir as a positional argument: https://huggingface.co/docs/datasets/v4.4.0/package_reference/loading_methods
_CACHE_POSITION = {"datasets.load_dataset": 5}
_KEPT_BY_TRANSFORMERS = ("transformers.", "diffusers.", "peft.", "sentence_transformers.")


def _preprocess(text: str) -> dict[str, str]:
    return {"src/preprocess.py": "from datasets import load_dataset\n" + text}


class CacheFolder(Rule):
    """Everything that is downloaded goes to `.cache/`, so that a second run, or a machine without network, finds it.

    `load_dataset` and `from_pretrained` need `cache_dir`, torchvision needs `root`, or the program sets `HF_HOME` or the
    like. The rule blocks where a name written in the code is fetched, no folder is given and nothing in the submission
    moves the cache, or where the folder is written out and is another one. A name that comes from the configuration may
    be a local path: that is a warning.
    """

    code = "DAT003"
    name = "cache-folder"
    requirements = ("E3.3",)
    message = "{called} keeps its downloads {where}{more}"
    explanation = "The contract keeps every dataset and model under .cache/."
    repair = "Pass {keyword}='.cache/'."

    VALID = (
        Example(_preprocess("data = load_dataset('ag_news', cache_dir='.cache/')\n")),
        Example(_preprocess("data = load_dataset('ag_news', cache_dir=str(folder))\n")),
        Example(_preprocess("data = load_dataset('ag_news', **options)\n")),
        Example(_preprocess("data = load_dataset('csv', data_files='a.csv')\n")),
        Example({"src/model.py": "from transformers import AutoModel\nmodel = AutoModel.from_pretrained('./saved')\n"}),
        Example(
            {
                "src/main.py": "import os\nos.environ['HF_HOME'] = '.cache'\n",
                "src/model.py": "from transformers import AutoModel\nmodel = AutoModel.from_pretrained('gpt2')\n",
            }
        ),
        Example(
            {
                "src/main.py": "import os\nos.environ.update(HF_HOME='.cache')\n",
                **_preprocess("load_dataset('ag_news')\n"),
            }
        ),
        # the name stands for a call with the folder
        Example(
            _preprocess(
                "from functools import partial\n"
                "load_dataset = partial(load_dataset, cache_dir='.cache')\ndata = load_dataset('ag_news')\n"
            )
        ),
        # a folder that the program writes
        Example(
            {
                "src/model.py": "from transformers import AutoModel\nmodel.save_pretrained('tuned-7b')\n"
                "again = AutoModel.from_pretrained('tuned-7b')\n"
            }
        ),
        # nothing is kept
        Example(_preprocess("data = load_dataset('ag_news', streaming=True)\n")),
    )
    INVALID = (
        Example(
            _preprocess("data = load_dataset('ag_news')\ntest = load_dataset('ag_news')\n"),
            at=("src/preprocess.py:2",),
            repaired=_preprocess("data = load_dataset('ag_news', cache_dir='.cache')\n"),
        ),
        Example(
            {"src/train.py": "from torchvision import datasets\ndata = datasets.CIFAR10('./data', download=True)\n"},
            at=("src/train.py:2",),
            repaired={"src/train.py": "from torchvision import datasets\ndata = datasets.CIFAR10(root='.cache')\n"},
        ),
        Example(
            {"src/model.py": "from transformers import AutoModel\nmodel = AutoModel.from_pretrained(cfg.model.name)\n"},
            at=("src/model.py:2",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        files = project.submission.files
        moved = any(_MOVES_CACHE.search(project.submission.text(path) or "") for path in files)
        for file in project.python.values():
            reader = PatternReader(file)
            found = [kept for fetch in _fetches(project, reader) if (kept := _judge(reader, fetch, moved))]
            if not found:
                continue
            fetch, where, _ = next((kept for kept in found if kept[2]), found[0])
            yield self.finding(
                file.path,
                fetch.call,
                severity=None if any(sure for _, _, sure in found) else Severity.WARNING,
                symbol=file.symbol_of(fetch.call) or None,
                called=fetch.called,
                where=where,
                more=f" (and {len(found) - 1} more such call{'s' if len(found) > 2 else ''})" if len(found) > 1 else "",
                keyword=fetch.option,
            )


class _Fetch(NamedTuple):
    """A call that fetches something: its keyword for the folder, the place of that, and whether the name is written out."""

    call: ast.Call
    called: str
    option: str
    position: int | None
    concrete: bool


def _fetches(project: Project, reader: PatternReader) -> Iterator[_Fetch]:
    # another binding of a name may give the folder: `load_dataset = partial(load_dataset, cache_dir=...)`
    nodes = reader.file.nodes
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for source in data_sources(reader):
        if source.root and getattr(source.call.func, "id", "") not in bound:
            concrete = not source.needs_name or source.name is not None
            position = 0 if source.root == "root" else _CACHE_POSITION.get(source.called)
            yield _Fetch(source.call, source.called, source.root, position, concrete)
    for call, called in reader.file.calls:
        if called.endswith(".from_pretrained") and called.startswith(_KEPT_BY_TRANSFORMERS):
            given = call.args[0] if call.args else keyword(call, "pretrained_model_name_or_path")
            name = hub_model(reader, given)
            # without an owner, and unknown to the hub, it can only be a folder
            concrete = name is not None and not may_be_local(project, name)
            concrete = concrete and ("/" in (name or "") or known_model(name or "") is not None)
            # of PEFT the first argument is a model, and nothing says that the second is fetched
            open_name = given is not None and reader.fold(given).constant is None
            if concrete or (open_name and called.startswith("transformers.Auto")):
                yield _Fetch(call, called, "cache_dir", None, concrete)


def _judge(reader: PatternReader, fetch: _Fetch, moved: bool) -> tuple[_Fetch, str, bool] | None:
    """Where a call keeps what it fetches, and whether that is certain; None where it may be the right folder."""
    call = fetch.call
    unpacked = any(item.arg is None for item in call.keywords) or any(isinstance(arg, ast.Starred) for arg in call.args)
    if unpacked or any(keyword(call, name) for name in ("streaming", "local_files_only")):
        return None
    given = keyword(call, fetch.option)
    if given is None and fetch.position is not None and len(call.args) > fetch.position:
        given = call.args[fetch.position]
    if given is None or (isinstance(given, ast.Constant) and given.value is None):
        default = not moved and fetch.option != "root"
        return (fetch, "in the library's own folder", fetch.concrete) if default else None
    text = reader.fold(given).constant
    return (fetch, f"in {text!r}", True) if text is not None and ".cache" not in text else None
