"""DAT008: a dataset that is loaded by a script of its own, with a library that refuses scripts."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from assay.analysis.dataset_knowledge import change_date, reach_of, requests
from assay.analysis.dataset_library import library_version
from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule


def _files(dependencies: str, call: str) -> dict[str, str]:
    return {
        "pyproject.toml": f"[project]\nname = 'a'\nversion = '1'\ndependencies = [{dependencies}]\n",
        "src/preprocess.py": f"from datasets import load_dataset\n\n\ndata = {call}\n",
    }


class LoadingScript(Rule):
    """Since version 4.0 (July 2025) the `datasets` library runs no loading scripts, and `trust_remote_code=True` changes
    nothing about it: `load_dataset` raises `RuntimeError: Dataset scripts are no longer supported`.

    The table knows of some datasets until which day they still had a script. The rule blocks where the library is
    certainly 4.0 or newer and the review's day is not later than that; a dataset may have been converted since, so later
    it is a warning. A project that holds the library below 4.0 is left alone.
    """

    code = "DAT008"
    name = "dataset-loading-script"
    requirements = ("E3.1", "D2.1")
    consequence = Consequence.BREAKS_CONTRACT
    message = "{dataset} is loaded by a script, which datasets {version} refuses"
    explanation = (
        "load_dataset raises RuntimeError: Dataset scripts are no longer supported (last seen on {seen}, {source})."
    )
    repair = "Load a copy in Parquet (revision='refs/convert/parquet', or another repository), or require 'datasets<4'."

    VALID = (
        Example(_files("'datasets<4'", "load_dataset('ybisk/piqa')")),
        Example(_files("'datasets>=2.14,<4.0.0'", "load_dataset('ybisk/piqa', trust_remote_code=True)")),
        Example(_files("'datasets'", "load_dataset('ybisk/piqa', revision='refs/convert/parquet')")),
        Example(_files("'datasets'", "load_dataset('Rowan/hellaswag')")),
        Example(
            {
                **_files("'datasets'", "load_dataset('ybisk/piqa')"),
                "uv.lock": 'version = 1\n\n[[package]]\nname = "datasets"\nversion = "3.6.0"\n',
            }
        ),
        # nothing says which version is used
        Example({"src/preprocess.py": "from datasets import load_dataset\ndata = load_dataset('ybisk/piqa')\n"}),
    )
    INVALID = (
        Example(
            _files("'datasets>=4'", "load_dataset('ybisk/piqa', trust_remote_code=True)"),
            at=("src/preprocess.py:4",),
            repaired=_files("'datasets<4'", "load_dataset('ybisk/piqa', trust_remote_code=True)"),
            as_of=datetime.date(2026, 9, 1),
        ),
        Example(
            _files("'datasets>=2.14'", "load_dataset('conll2003')"),
            at=("src/preprocess.py:4",),
            repaired=_files("'datasets>=2.14,<4'", "load_dataset('conll2003')"),
            as_of=datetime.date(2026, 9, 1),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.as_of < change_date("scripts-refused"):
            return
        version: tuple[str, bool] | None = None
        seen: set[tuple[str, object]] = set()
        for request in requests(project):
            dataset, called = request.dataset, request.called
            place = (called.file, getattr(called.place, "lineno", called.place))
            if dataset is None or dataset.script_seen is None or place in seen:
                continue
            seen.add(place)
            version = version or library_version(project)
            if version is None:
                return
            reach = reach_of(project, called)
            sure = version[1] and project.as_of <= dataset.script_seen and reach != "caught"
            yield self.finding(
                called.file,
                called.place,
                severity=None if sure else Severity.WARNING,
                consequence=Consequence.CRASHES if reach == "certain" else None,
                symbol=request.name,
                run=called.runs[0] if called.runs else None,
                dataset=request.name,
                version=version[0],
                seen=dataset.script_seen.isoformat(),
                source=dataset.source.rpartition(" ")[2],
            )
