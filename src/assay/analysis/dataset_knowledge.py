"""What is known of datasets, and what that says about one call that loads one."""

from __future__ import annotations

import ast
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import PurePosixPath
from typing import NamedTuple

from assay.analysis.called import MISSING, UNKNOWN, Called, calls_in
from assay.analysis.certain_calls import certain_calls
from assay.analysis.data_sources import FILE_BUILDERS
from assay.analysis.dispatch import configured_calls
from assay.analysis.fact_table import read_table
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile

LOADER = "datasets.load_dataset"
# https://huggingface.co/docs/datasets/v4.4.0/package_reference/loading_methods#datasets.load_dataset, and the arguments
# that versions since 2.0 have dropped. Anything else goes to the builder, which may make a configuration of it.
_ARGUMENTS = frozenset(
    {
        "path", "name", "data_dir", "data_files", "split", "cache_dir", "features", "download_config", "download_mode",
        "verification_mode", "ignore_verifications", "keep_in_memory", "save_infos", "revision", "token",
        "use_auth_token", "task", "streaming", "num_proc", "storage_options", "trust_remote_code", "script_version",
    }
)  # fmt: skip
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
# One part of a split expression: a name, and perhaps a slice (https://huggingface.co/docs/datasets/v4.4.0/loading#slice-splits).
_SPLIT_PART = re.compile(r"\s*(\w+(?:\.\w+)*)\s*(?:\[[^\]]*\]\s*(?:\(\s*\w+\s*\))?\s*)?")


class Facts(NamedTuple):
    """Splits and columns of a configuration; empty where they are not known."""

    splits: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset. None and empty stand for what is not.

    Args:
        id: Its name on the Hub, with its owner.
        aliases: Other names of it.
        required: Whether a configuration must be named.
        default: The configuration that is meant where none is named.
        complete: Whether `facts` has every configuration.
        gated: Whether its terms must be accepted with an account.
        script_seen: The last day on which it was seen to be loaded by a script of its own.
        text: The column that a model reads.
        label: The column that it predicts.
        source: Where the facts come from.
        facts: Configuration to its splits and columns; `*` stands for the only one.
    """

    id: str
    aliases: tuple[str, ...] = ()
    required: bool | None = None
    default: str = ""
    complete: bool = False
    gated: bool = False
    script_seen: datetime.date | None = None
    text: str = ""
    label: str = ""
    source: str = ""
    facts: dict[str, Facts] = field(default_factory=dict)

    @property
    def configurations(self) -> tuple[str, ...]:
        """The names of the configurations that are known."""
        return tuple(name for name in self.facts if name != "*")

    def facts_of(self, configuration: str | None) -> Facts:
        """What is known of a configuration, of the only one or the default where none is named."""
        if "*" in self.facts:
            return self.facts["*"]
        return self.facts.get(configuration or self.default, Facts())


@cache
def known_datasets() -> dict[str, Dataset]:
    """Every name and alias of a dataset in the tables, with what is known of it."""
    facts: dict[str, dict[str, Facts]] = {}
    for row in read_table("dataset_columns"):
        found = Facts(tuple(row["splits"].split()), tuple(row["columns"].split()))
        facts.setdefault(row["dataset"], {}).update(dict.fromkeys(row["configurations"].split(), found))
    known: dict[str, Dataset] = {}
    for row in read_table("datasets"):
        dataset = Dataset(
            id=row["id"],
            aliases=tuple(row["aliases"].split()),
            required={"yes": True, "no": False}.get(row["required"]),
            default=row["default"],
            complete=row["complete"] == "yes",
            gated=row["gated"] == "yes",
            script_seen=datetime.date.fromisoformat(row["script_seen"]) if row["script_seen"] else None,
            text=row["text"],
            label=row["label"],
            source=row["source"],
            facts=facts.get(row["id"], {}),
        )
        for name in (dataset.id, *dataset.aliases):
            known[name] = dataset
    return known


@cache
def legacy_names() -> frozenset[str]:
    """The names without an owner that the Hub redirects."""
    return frozenset(row["name"] for row in read_table("legacy_dataset_names"))


def change_date(change: str) -> datetime.date:
    """The day since which a change of a library that concerns datasets holds."""
    row = next(row for row in read_table("dataset_changes") if row["change"] == change)
    return datetime.date.fromisoformat(row["since"])


def dataset_calls(project: Project) -> Iterator[Called]:
    """The calls of `datasets.load_dataset`, with what the text shows of their values and what each run gives them.

    The one place where rules get these calls from: whatever else knows the values of a run may add to it.
    """
    if LOADER.partition(".")[0] in {path.partition("/")[0].removesuffix(".py") for path in project.submission.files}:
        return
    for called in calls_in(project, LOADER):
        file = project.python[called.file]
        if any(function.name == "load_dataset" for function in file.functions):
            continue
        runs = isinstance(called.place, ast.Call) and certain_calls(project).runs(file, called.place)
        yield replace(called, certain=runs)
    yield from configured_calls(project)


class Request(NamedTuple):
    """A call that loads a dataset of the Hub by its name.

    Args:
        called: The call.
        name: The name as it is written.
        dataset: What is known of it; None where nothing is.
        configuration: The configuration; None where none is named, `UNKNOWN` where it cannot be told.
        split: The split expression; None where none is given, `UNKNOWN` where it cannot be told.
    """

    called: Called
    name: str
    dataset: Dataset | None
    configuration: object
    split: object


def read_request(called: Called, files: frozenset[str] | set[str] = frozenset()) -> Request | None:
    """What a call asks the Hub for; None where that cannot be told, or where it reads the user's own files.

    Args:
        called: A call of `datasets.load_dataset`.
        files: The paths and folders of the submission: a name that is one of them is no name on the Hub.
    """
    path = called.argument(0, "path")
    if not isinstance(path, str) or not _HUB_ID.fullmatch(path) or path in FILE_BUILDERS:
        return None
    if path.endswith((".py", ".json", ".csv", ".parquet", ".jsonl")):
        return None
    if path in files:
        return None
    # another revision, or files chosen by hand, may hold anything
    for position, name in ((None, "revision"), (None, "script_version"), (2, "data_dir"), (3, "data_files")):
        if called.argument(position, name) not in (MISSING, None) and not called.open:
            return None
    if called.open and any(name in called.keywords for name in ("revision", "data_dir", "data_files")):
        return None
    configuration = called.argument(1, "name")
    if configuration in (MISSING, None):
        configuration = None if set(called.keywords) <= _ARGUMENTS and not called.open else UNKNOWN
    elif not isinstance(configuration, str):
        configuration = UNKNOWN
    split = called.argument(4, "split")
    if split in (MISSING, None):
        split = None
    elif not isinstance(split, str):
        split = UNKNOWN
    return Request(called, path, known_datasets().get(path), configuration, split)


def requests(project: Project) -> list[Request]:
    """What the calls of a submission ask the Hub for."""
    return project.shared(_requests)


def _requests(project: Project) -> list[Request]:
    files = set(project.submission.files)
    files.update(str(parent) for path in project.submission.files for parent in PurePosixPath(path).parents)
    asked = (read_request(called, files) for called in dataset_calls(project))
    return [request for request in asked if request is not None]


def misses_configuration(request: Request) -> bool:
    """Whether the call certainly fails because it names no configuration."""
    return request.dataset is not None and request.dataset.required is True and request.configuration is None


def unknown_configuration(request: Request) -> str | None:
    """The configuration that a call names and that its dataset certainly has not."""
    dataset, given = request.dataset, request.configuration
    if dataset is None or not dataset.complete or not isinstance(given, str):
        return None
    return None if given in dataset.facts else given


def facts_of(request: Request) -> Facts:
    """Splits and columns of what a call loads, as far as they are known."""
    if request.dataset is None or misses_configuration(request):
        return Facts()
    if request.configuration is not None and not isinstance(request.configuration, str):
        # the only configuration, or what all of them have in common
        found = set(request.dataset.facts.values())
        sure = len(found) == 1 and ("*" in request.dataset.facts or request.dataset.complete)
        return found.pop() if sure else Facts()
    return request.dataset.facts_of(request.configuration if isinstance(request.configuration, str) else None)


def split_names(expression: str) -> tuple[str, ...]:
    """The splits that an expression such as `train[:10%]+test` names; none where it cannot be read."""
    names = []
    for part in expression.split("+"):
        match = _SPLIT_PART.fullmatch(part)
        if match is None:
            return ()
        names.append(match.group(1))
    return tuple(names)


def unknown_split(request: Request) -> str | None:
    """The split that a call asks for and that its dataset certainly has not."""
    splits = facts_of(request).splits
    if not splits or not isinstance(request.split, str):
        return None
    return next((name for name in split_names(request.split) if name not in (*splits, "all")), None)


def is_caught(file: PythonFile, node: ast.AST) -> bool:
    """Whether a `try` around a node goes on after what it raises."""
    child = node
    for up in file.ancestors(node):
        if isinstance(up, ast.Try) and child in up.body and not all(_raises_again(item) for item in up.handlers):
            return True
        if isinstance(up, ast.With | ast.AsyncWith) and any(
            isinstance(item.context_expr, ast.Call)
            and file.qualified(item.context_expr.func).rpartition(".")[2] in ("suppress", "raises")
            for item in up.items
        ):
            return True
        child = up
    return False


def _raises_again(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Raise)


def reach_of(project: Project, called: Called, place: ast.AST | None = None) -> str:
    """How surely a call, or a place that uses what it gives, is executed and ends the program where it fails.

    Returns:
        `certain`; `open` where a branch or an unknown caller decides; `caught` where the code goes on after a failure,
        or where nothing names the function it stands in.
    """
    file = project.python.get(called.file)
    node = place if place is not None else called.place
    if file is None or not isinstance(node, ast.AST):
        return "certain" if called.certain else "open"
    if is_caught(file, node):
        return "caught"
    if called.certain:
        return "certain"
    function = file.function_of(node)
    if function is not None and not function.name.startswith("__") and function.name not in project.shared(_named):
        return "caught"
    return "open"


def _named(project: Project) -> frozenset[str]:
    """Every name that the code of a submission uses."""
    found: set[str] = set()
    for file in project.python.values():
        found.update(node.id for node in file.nodes_of(ast.Name))
        found.update(node.attr for node in file.nodes_of(ast.Attribute))
        found.update(node.name for node in file.nodes_of(ast.alias))
    return frozenset(found)
