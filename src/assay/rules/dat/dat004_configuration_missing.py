"""DAT004: a dataset with several configurations is loaded without naming one."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.dataset_knowledge import misses_configuration, reach_of, requests
from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule


def _preprocess(text: str) -> dict[str, str]:
    return {"src/preprocess.py": "from datasets import load_dataset\n\n\n" + text}


class ConfigurationMissing(Rule):
    """Some datasets come in several configurations of which none is the default. `load_dataset` then raises
    `ValueError: Config name is missing`.

    The table of datasets says of which this is known; any other dataset is passed over, as is a call with a revision, with
    data files or with arguments that cannot be seen. Where a `try` catches the error, it is a warning.
    """

    code = "DAT004"
    name = "dataset-configuration-missing"
    requirements = ("E3.1", "D2.1", "D3.1")
    consequence = Consequence.BREAKS_CONTRACT
    message = "{dataset} is loaded without a configuration, and it has no default one"
    explanation = "load_dataset raises ValueError: Config name is missing (known: {known})."
    repair = "Name the configuration: load_dataset({dataset!r}, {first!r})."

    VALID = (
        Example(_preprocess("data = load_dataset('openai/gsm8k', 'main')\n")),
        Example(_preprocess("data = load_dataset('openai/gsm8k', name='socratic', split='train')\n")),
        Example(_preprocess("def load(cfg):\n    return load_dataset('openai/gsm8k', cfg.subset)\n")),
        Example(_preprocess("def load(**options):\n    return load_dataset('openai/gsm8k', **options)\n")),
        # a revision may hold something else, files are the user's own
        Example(_preprocess("data = load_dataset('wikitext', revision='refs/convert/parquet')\n")),
        Example(_preprocess("data = load_dataset('wikitext', data_files='part.parquet')\n")),
        # a folder of the submission, a dataset that is not known, one with a default
        Example({**_preprocess("data = load_dataset('glue')\n"), "glue/train.csv": "a,b\n"}),
        Example(_preprocess("data = load_dataset('someone/something')\n")),
        Example(_preprocess("data = load_dataset('google-research-datasets/mbpp')\n")),
    )
    INVALID = (
        Example(
            _preprocess("def load():\n    return load_dataset('openai/gsm8k', split='train')\n\n\ndata = load()\n"),
            at=("src/preprocess.py:5",),
            repaired=_preprocess("def load():\n    return load_dataset('openai/gsm8k', 'main', split='train')\n"),
        ),
        Example(
            {
                "src/main.py": "import src.preprocess\n",
                **_preprocess("data = load_dataset('glue', cache_dir='.cache')\n"),
            },
            at=("src/preprocess.py:4",),
            repaired=_preprocess("data = load_dataset('glue', 'sst2', cache_dir='.cache')\n"),
        ),
        # caught: a warning
        Example(
            _preprocess("try:\n    data = load_dataset('wikitext')\nexcept ValueError:\n    data = None\n"),
            at=("src/preprocess.py:5",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        seen = set()
        for request in requests(project):
            called = request.called
            if not misses_configuration(request) or request.dataset is None:
                continue
            place = (called.file, getattr(called.place, "lineno", called.place), request.name)
            if place in seen:
                continue
            seen.add(place)
            reach = reach_of(project, called)
            known = request.dataset.configurations
            yield self.finding(
                called.file,
                called.place,
                severity=Severity.WARNING if reach == "caught" else None,
                consequence=Consequence.CRASHES if reach == "certain" else None,
                symbol=request.name,
                run=called.runs[0] if called.runs else None,
                detail=request.dataset.source,
                dataset=request.name,
                known=", ".join(known[:6]) or "see its card",
                first=known[0] if known else "NAME",
            )
