"""DAT013: a dataset that is to run code of its own, with a library that runs none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from assay.analysis.called import MISSING, UNKNOWN, Called
from assay.analysis.data_sources import FILE_BUILDERS
from assay.analysis.dataset_knowledge import change_date, dataset_calls, known_datasets, read_request
from assay.analysis.dataset_library import holds_library_back
from assay.analysis.project import Project
from assay.analysis.python_source import keyword, string_value
from assay.analysis.value_sources import Source, ValueSources
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule


def _files(call: str, dependencies: str = "'datasets'") -> dict[str, str]:
    return {
        "pyproject.toml": f"[project]\nname = 'a'\nversion = '1'\ndependencies = [{dependencies}]\n",
        "src/preprocess.py": f"from datasets import load_dataset\n\n\ndata = {call}\n",
    }


class CodeOfDataset(Rule):
    """`trust_remote_code=True` allowed `load_dataset` to run the script that some datasets came with. Since version 4.0
    (July 2025) the `datasets` library runs no scripts: it logs that the argument is not supported, and a dataset that has
    nothing but a script raises `RuntimeError: Dataset scripts are no longer supported`.

    The argument says that its author believes that the dataset needs its script. It proves nothing by itself, because many
    pass it to datasets without one, so this is a warning. A project that holds the library below 4.0 is left alone, and so
    are calls that name a revision or files, and datasets of which the table knows the splits and columns and no script.
    DAT008 says it of the datasets that are known to have one.
    """

    code = "DAT013"
    name = "code-of-dataset"
    requirements = ("E3.1", "D2.1")
    severity = Severity.WARNING
    yields_to = ("DAT008",)
    message = "{dataset} is loaded with trust_remote_code=True, but datasets 4 runs no loading scripts"
    explanation = "If the dataset has a script and no Parquet files, load_dataset raises RuntimeError."
    repair = (
        "Check that the dataset has Parquet files (or load revision='refs/convert/parquet') and drop the argument, or "
        "require 'datasets<4'."
    )

    VALID = (
        Example(_files("load_dataset('someone/scenes', trust_remote_code=True)", "'datasets<4'")),
        Example(_files("load_dataset('someone/scenes', trust_remote_code=True)", "'datasets>=2.14,<4.0.0'")),
        Example(_files("load_dataset('someone/scenes', trust_remote_code=False)")),
        Example(_files("load_dataset('someone/scenes', revision='refs/convert/parquet', trust_remote_code=True)")),
        # Parquet for years: the argument does nothing
        Example(_files("load_dataset('imdb', trust_remote_code=True)")),
        Example(_files("[load_dataset(name, trust_remote_code=True) for name in NAMES]", "'datasets<=3.6'")),
        Example(_files("load_dataset('json', data_files='a.json', trust_remote_code=True)")),
        Example(
            {
                **_files("load_dataset('someone/scenes', trust_remote_code=True)"),
                "uv.lock": 'version = 1\n\n[[package]]\nname = "datasets"\nversion = "3.6.0"\n',
            }
        ),
        Example(
            {
                "requirements.txt": "torch\ndatasets==3.6.0\n",
                "src/preprocess.py": _files("load_dataset('someone/scenes', trust_remote_code=True)")[
                    "src/preprocess.py"
                ],
            }
        ),
    )
    INVALID = (
        Example(
            {
                "src/preprocess.py": "from datasets import load_dataset\n\n\ndef load():\n    name = 'someone/scenes'\n"
                "    return load_dataset(name, trust_remote_code=True)\n"
            },
            at=("src/preprocess.py:6",),
        ),
        Example(_files("load_dataset('someone/scenes', trust_remote_code=True)"), at=("src/preprocess.py:4",)),
        Example(
            _files("load_dataset('someone/scenes', split='test', trust_remote_code=True)", "'datasets>=2.14'"),
            at=("src/preprocess.py:4",),
        ),
        # nothing says which version is used
        Example(
            {
                "src/preprocess.py": "from datasets import load_dataset\n\n\ndef load(name):\n"
                "    return load_dataset(name, trust_remote_code=True)\n"
            },
            at=("src/preprocess.py:5",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.as_of < change_date("scripts-refused"):
            return
        places: dict[tuple[str, int], list[Called]] = {}
        for called in dataset_calls(project):
            if called.keywords.get("trust_remote_code") is True:
                called = _with_name(project, called)
                line = called.place if isinstance(called.place, int) else called.place.lineno
                places.setdefault((called.file, line), []).append(called)
        if not places or holds_library_back(project):
            return
        for calls in places.values():
            known = [called for called in calls if isinstance(called.argument(0, "path"), str)]
            wanted = [called for called in known or calls if _may_need_script(project, called)]
            if not wanted:
                continue
            called = wanted[0]
            name = called.argument(0, "path")
            yield self.finding(
                called.file,
                called.place,
                symbol=name if isinstance(name, str) else None,
                run=called.runs[0] if called.runs else None,
                dataset=name if isinstance(name, str) else "A dataset",
            )


def _with_name(project: Project, called: Called) -> Called:
    """A call with the name of its dataset, where that stands in a variable."""
    if called.argument(0, "path") is not UNKNOWN or not isinstance(called.place, ast.Call):
        return called
    given = called.place.args[0] if called.place.args else keyword(called.place, "path")
    if given is None or isinstance(given, ast.Starred):
        return called
    found = project.shared(ValueSources).of(Source(project.python[called.file], given))
    names = {string_value(one.node) if not one.path else None for one in found}
    name = names.pop() if len(names) == 1 else None
    if name is None:
        return called
    keywords = {key: value for key, value in called.keywords.items() if key != "path"}
    return replace(called, positional=(name, *called.positional[1:]), keywords=keywords)


def _may_need_script(project: Project, called: Called) -> bool:
    """Whether a call may ask for a dataset of the Hub that has a script, as far as the tables go."""
    name = called.argument(0, "path")
    if name is UNKNOWN:
        given = [called.argument(place, key) for place, key in ((None, "revision"), (2, "data_dir"), (3, "data_files"))]
        return all(value is MISSING or value is None for value in given) or called.open
    if not isinstance(name, str) or name in FILE_BUILDERS:
        return False
    if read_request(called, frozenset(project.submission.files)) is None:
        return False
    dataset = known_datasets().get(name)
    return dataset is None or dataset.script_seen is not None or not dataset.facts
