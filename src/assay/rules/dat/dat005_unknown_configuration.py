"""DAT005: a dataset is loaded with a configuration that it has not."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from assay.analysis.dataset_knowledge import reach_of, requests, unknown_configuration
from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule


def _preprocess(text: str) -> dict[str, str]:
    return {"src/preprocess.py": "from datasets import load_dataset\n\n\n" + text}


class UnknownConfiguration(Rule):
    """`load_dataset` takes the name of a configuration as its second argument, and raises `ValueError: BuilderConfig ...
    not found` where the dataset has none of that name. A split, a language or the dataset's own name in its place is the
    usual mistake.

    Only datasets whose configurations the table knows completely are judged.
    """

    code = "DAT005"
    name = "unknown-dataset-configuration"
    requirements = ("E3.1", "D2.1", "D3.1")
    consequence = Consequence.BREAKS_CONTRACT
    message = "{dataset} has no configuration {given!r}"
    explanation = "load_dataset raises ValueError: BuilderConfig {given!r} not found; there are {known}."
    repair = "Name one of its configurations, for example {near!r}."

    VALID = (
        Example(_preprocess("data = load_dataset('nyu-mll/glue', 'sst2')\n")),
        Example(_preprocess("data = load_dataset('wikitext', 'wikitext-2-raw-v1')\n")),
        Example(_preprocess("data = load_dataset('glue', TASK)\n")),
        Example(_preprocess("data = load_dataset('glue', 'custom', data_dir='glue')\n")),
        # the only configuration: what it is called is not judged
        Example(_preprocess("data = load_dataset('imdb', 'plain_text')\n")),
    )
    INVALID = (
        Example(
            _preprocess("data = load_dataset('nyu-mll/glue', 'sst-2')\n"),
            at=("src/preprocess.py:4",),
            repaired=_preprocess("data = load_dataset('nyu-mll/glue', 'sst2')\n"),
        ),
        Example(
            {
                "src/main.py": "from src.preprocess import data\n",
                **_preprocess("NAME = 'wikitext-103'\ndata = load_dataset('wikitext', name=NAME)\n"),
            },
            at=("src/preprocess.py:5",),
            repaired=_preprocess("data = load_dataset('wikitext', name='wikitext-103-raw-v1')\n"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        seen = set()
        for request in requests(project):
            called, given = request.called, unknown_configuration(request)
            place = (called.file, getattr(called.place, "lineno", called.place), request.name, given)
            if given is None or request.dataset is None or place in seen:
                continue
            seen.add(place)
            known = request.dataset.configurations
            reach = reach_of(project, called)
            near = difflib.get_close_matches(given[:100], known, 1, 0.0)
            yield self.finding(
                called.file,
                called.place,
                severity=Severity.WARNING if reach == "caught" else None,
                consequence=Consequence.CRASHES if reach == "certain" else None,
                symbol=request.name,
                run=called.runs[0] if called.runs else None,
                detail=request.dataset.source,
                dataset=request.name,
                given=given,
                known=", ".join(known[:8]) + (", ..." if len(known) > 8 else ""),
                near=near[0] if near else known[0],
            )
