"""Causes that Datasets, Evaluate and the Hub report: configurations, splits, columns, identifiers, metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.trial.causes.known import Known, Words, known
from assay.trial.causes.locating import (
    column_lines,
    of_column_reads,
    of_columns,
    of_declared,
    of_hiding,
    of_values,
    sources_of,
)
from assay.trial.reading import text
from assay.trial.record import Event, Step, Stop, TrialFrame

_UNKNOWN = "no table of Assay knows what is there, so that only the Hub can tell"
_GATED = "it is gated: with a token that its owner gave access to, it can be had"
# what a hub gives without an owner: names from before there were owners
_OWNERLESS = re.compile(r"[\w.-]+")


def _asked(step: Step, name: str) -> Event | None:
    """The last request for a repository."""
    found: Event | None = None
    for event in step.of("hub"):
        if text(event, "repo") == name:
            found = event
    return found


def _repository(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """The repository that is not found, and whether that is certain."""
    name = words.get("name") or words.get("other", "")
    request = _asked(step, name)
    known_to_hub = text(request, "known") if request else ""
    if known_to_hub == "known":
        doubt = _GATED if "gated" in stop.message.lower() or "401" in stop.message else ""
    else:
        certain = known_to_hub == "none" or (not known_to_hub and bool(_OWNERLESS.fullmatch(name)))
        doubt = "" if certain and name else _UNKNOWN
    return {**words, "name": name, "doubt": doubt, "action": f"open:{name}" if name else ""}


def _repository_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_values(project, step, (words.get("name", ""),))
    yield from sources_of(step, (words.get("name", ""),))


def _dataset_name(stop: Stop, step: Step, project: Project, words: Words) -> Words:
    """The dataset and a configuration of it."""
    name = ""
    for event in step.of("raised", "hub"):
        if event["kind"] == "hub" and "dataset" in text(event, "type") and text(event, "repo"):
            name = text(event, "repo")
    for event in step.of("raised"):
        if "load_dataset" in text(event, "call") and (text(event, "name") or text(event, "repo")):
            name = text(event, "name") or text(event, "repo")
    listed = re.findall(r"[\w.-]+", words.get("listed", ""))
    first = listed[0] if listed else ""
    return {**words, "name": name or "the dataset", "first": first, "id": name}


def _dataset_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_values(project, step, (words.get("id", ""),))


def _column_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    names = [name for name in (words.get("key", ""),) if name]
    yield from of_columns(step, names)
    yield from column_lines(step, project, names)
    for name in names:
        yield from of_hiding(step, name)


def _dataset_asked(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """Whether a key that is missing was looked for in a batch or a row."""
    columns = {text(event, "column") for event in step.of("column")}
    keys = {name for event in step.of("batch") if isinstance(held := event.get("keys"), dict) for name in held}
    datasets = {
        name
        for event in step.of("dataset")
        if isinstance(held := event.get("columns"), list | dict)
        for name in held
        if isinstance(name, str)
    }
    in_data = any(re.match(r"datasets\.|torch\.utils\.data", frame.module) for frame in stop.library) or bool(
        re.search(
            r"collate|_prepare_batch|__getitem__|tokeni[sz]e|preprocess", " ".join(f.function for f in stop.frames)
        )
    )
    if words.get("key") not in columns | datasets and not (in_data and (columns or keys or datasets)):
        return None
    is_hidden = words.get("key") in columns and any(of_hiding(step, words["key"]))
    return {**words, "action": "shim:hidden-columns" if is_hidden else ""}


def _metric_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_declared(project, words.get("module", ""))


def _metric_needs(stop: Stop, step: Step, project: Project, words: Words) -> Words:
    first = re.findall(r"[A-Za-z][\w.-]*", words.get("pip") or words.get("names", ""))
    return {**words, "module": first[0] if first else ""}


CAUSES: tuple[Known, ...] = (
    known(
        "configuration-not-named",
        "ValueError",
        r"Config name is missing\.?\s*Please pick one among the available configs: (?P<listed>\[.*?\]|.*)",
        "{name} has several configurations, {listed}, and none is named",
        "Name one: `load_dataset(path, name)`.",
        action="dataset-configuration:{id}={first}",
        area="data",
        points=_dataset_places,
        fill=_dataset_name,
    ),
    known(
        "no-such-configuration",
        "ValueError",
        r"BuilderConfig '?(?P<key>[^']+?)'? not found\.?\s*Available: (?P<listed>.*)",
        "the dataset has no configuration `{key}`; it has {listed}",
        "Name one of those.",
        area="data",
        points=lambda stop, step, project, words: of_values(project, step, (words.get("key", ""),)),
        fill=_dataset_name,
    ),
    known(
        "unknown-split",
        "ValueError",
        r'Unknown split "?(?P<key>[^"\s]+)"?\.?\s*Should be one of (?P<listed>\[.*?\])',
        "the dataset has no split `{key}`; it has {listed}",
        "Use one of those, or split one of them.",
        area="data",
        points=lambda stop, step, project, words: of_values(project, step, (words.get("key", ""),)),
    ),
    known(
        "script-of-a-dataset",
        "RuntimeError",
        r"Dataset scripts are no longer supported, but found (?P<key>\S+)",
        "the dataset is loaded by a script of its own ({key}), which Datasets from 4.0 on does not run",
        "Use a copy of it that is kept as data (Parquet), or pin `datasets<4`.",
        area="data",
    ),
    known(
        "trust-remote-code",
        "ValueError",
        r"trust_remote_code=True|contains custom code which must be executed",
        "the repository holds code of its own, and nobody says that it may be run",
        "Use a repository without code, or say `trust_remote_code=True` where the library takes it.",
        area="data",
    ),
    known(
        "gated-repository",
        "GatedRepoError DatasetNotFoundError OSError",
        r"gated (?:repo|dataset).{0,80}?huggingface\.co/(?:datasets/)?(?P<name>[\w.-]+/[\w-]+(?:\.[\w-]+)*)"
        r"|Access to (?:model|dataset) (?P<other>[\w./-]+) is restricted|gated (?:repo|dataset)",
        "{name} is gated",
        "Ask for access and set a token, or use a repository that is open.",
        action="{action}",
        doubt="{doubt}",
        points=_repository_places,
        fill=lambda stop, step, project, words: {**(_repository(stop, step, project, words) or words), "doubt": _GATED},
    ),
    known(
        "no-such-dataset",
        "DatasetNotFoundError FileNotFoundError",
        r"(?:Dataset '?(?P<name>[\w./-]+?)'? (?:doesn't exist|is a gated)|Couldn't find (?:a dataset s"
        r"cript|any data file) at "
        r".*?/?(?P<other>[\w.-]+(?:/[\w.-]+)?)[.,'\s])",
        "there is no dataset `{name}` on the Hub",
        "Use the dataset's full id, with its owner.",
        action="{action}",
        doubt="{doubt}",
        area="data",
        points=_repository_places,
        fill=_repository,
    ),
    known(
        "no-such-repository",
        "RepositoryNotFoundError OSError HfHubHTTPError",
        r"(?P<name>[\w.-]+(?:/[\w.-]+)?) is not a local folder and is not a valid model identifier"
        r"|Repository Not Found for url: \S+?/(?:api/)?(?:models|datasets|spaces)?/?(?P<other>[\w.-]+(?:/[\w.-]+)?)",
        "there is no repository `{name}` on the Hub",
        "Use the repository's full id, with its owner.",
        action="{action}",
        doubt="{doubt}",
        area="model",
        points=_repository_places,
        fill=_repository,
    ),
    known(
        "not-an-identifier",
        "HFValidationError OSError",
        r"Repo id must (?:use alphanumeric|be in the form).*?'(?P<name>[^']+)'|Incorrect path_or_model"
        r"_id: '(?P<other>[^']+)'",
        "`{name}{other}` cannot be the id of a repository",
        "Use an id of the form `owner/name`.",
        points=lambda stop, step, project, words: of_values(
            project, step, (words.get("name", ""), words.get("other", ""))
        ),
    ),
    known(
        "metric-needs-distribution",
        "ImportError ModuleNotFoundError",
        r"To be able to use (?P<metric>[\w/.-]+), you need to install the following dependenc(?:y|ies)"
        r"\s*\[?(?P<names>[^\]]*?)\]? using 'pip install (?P<pip>[^']*)'",
        "the metric {metric} needs {module}, which is not among the dependencies",
        "Declare {module} in pyproject.toml.",
        action="install:{module}",
        area="packaging",
        points=_metric_places,
        fill=_metric_needs,
    ),
    known(
        "unknown-column",
        "ValueError KeyError",
        r"Column (?:name )?\[?'?(?P<key>\w+)'?\]?(?: not in the dataset| doesn't exist| to remove)|"
        r"Columns? \[?'?(?P<other>\w+)'?.*? not in the dataset",
        "the dataset has no column `{key}{other}`",
        "Name a column that it has.",
        area="data",
        points=lambda stop, step, project, words: of_columns(step, [words.get("key") or words.get("other") or ""]),
    ),
    known(
        "key-of-a-batch",
        "KeyError",
        r"^['\"]?(?P<key>[A-Za-z_]\w*)['\"]?$",
        "`{key}` is read from a row or a batch that does not hold it",
        "Keep the column on its way (`set_format`, `remove_columns`, the collate function), or read "
        "the one that is there.",
        action="{action}",
        area="data",
        points=_column_places,
        fill=_dataset_asked,
    ),
    known(
        "list-where-text-is-meant",
        "TypeError",
        r"can only concatenate str \(not \"(?P<kind>list|dict)\"\) to str|"
        r"can only concatenate (?P<other>list) \(not \"str\"\) to list|"
        r"expected string or bytes-like object, got '(?P<third>list|dict)'",
        "a column is used as text that holds lists or objects (messages of a conversation, several answers)",
        "Take the text out of it first: join the messages' contents, or apply the tokenizer's chat template.",
        area="data",
        points=lambda stop, step, project, words: of_column_reads(stop, step, project),
        fill=lambda stop, step, project, words: words if any(step.of("dataset")) else None,
    ),
    known(
        "rows-beyond-the-end",
        "IndexError",
        r"Index (?P<index>\d+) out of range for dataset of size (?P<size>\d+)",
        "row {index} is asked for, and the dataset has {size}",
        "Take at most as many rows as there are: `range(min(n, len(dataset)))`.",
        doubt="a stand-in has fewer rows than the real data",
        area="data",
    ),
    known(
        "features-that-differ",
        "CastError DatasetGenerationCastError ValueError",
        r"(?:Couldn't cast|features can't be aligned|All the data files must have the same columns)",
        "parts of the dataset that have other columns or types are put together",
        "Bring them to the same columns and types first (`remove_columns`, `cast`).",
        doubt="a stand-in may have other types than the real data",
        area="data",
        inside=r"\bdatasets\b",
    ),
    known(
        "offline",
        "ConnectionError OfflineModeIsEnabled LocalEntryNotFoundError ProxyError MaxRetryError "
        "ConnectTimeout URLError gaierror",
        r".*",
        "the network is asked for something that has no stand-in",
        "Load it through a library that the rehearsal stands in for, or give a stand-in (docs/standins.md).",
        doubt="there is no network in a rehearsal",
    ),
)
