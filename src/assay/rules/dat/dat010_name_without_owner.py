"""DAT010: a dataset of the Hub is named without its owner."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.dataset_knowledge import change_date, legacy_names, requests
from assay.analysis.declared_dependencies import dependencies_of
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule


def _preprocess(text: str) -> dict[str, str]:
    return {"src/preprocess.py": "from datasets import load_dataset\n\n\n" + text}


class NameWithoutOwner(Rule):
    """A dataset of the Hub is named `owner/name`. The datasets whose loaders once came with the library had no owner, and
    the Hub still redirects their names; any other name without an owner is not found, unless a folder of that name
    is there when the program runs.

    Since May 2026 the newest `huggingface-hub` refuses the old names too (`HfUriError: Repository id must be
    'namespace/name'`), with every version of `datasets` up to 5.0.1. Neither is proved by reading: both are warnings.
    """

    code = "DAT010"
    name = "dataset-name-without-owner"
    requirements = ("E3.1", "D2.1")
    severity = Severity.WARNING
    consequence = None
    message = "the dataset {given!r} is named without its owner{is_old}"
    explanation = "{follows}"
    repair = "Write the full name{full}."

    VALID = (
        Example(_preprocess("data = load_dataset('stanfordnlp/imdb')\n")),
        Example(_preprocess("data = load_dataset('csv', data_files='a.csv')\n")),
        Example({**_preprocess("data = load_dataset('corpus')\n"), "corpus/a.csv": "a\n1\n"}),
        # the library is held below the change
        Example(
            {
                "pyproject.toml": "[project]\nname = 'a'\nversion = '1'\ndependencies = ['huggingface-hub<1']\n",
                **_preprocess("data = load_dataset('imdb')\n"),
            }
        ),
        Example({"uv.lock": "version = 1\n", **_preprocess("data = load_dataset('imdb')\n")}),
    )
    INVALID = (
        Example(_preprocess("data = load_dataset('tiny_imagenet_corrupted')\n"), at=("src/preprocess.py:4",)),
        Example(_preprocess("data = load_dataset('imdb')\n"), at=("src/preprocess.py:4",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        new = project.as_of >= change_date("owner-required") and not _held_back(project)
        seen: set[tuple[str, object]] = set()
        for request in requests(project):
            called, dataset = request.called, request.dataset
            place = (called.file, getattr(called.place, "lineno", called.place))
            if "/" in request.name or place in seen:
                continue
            seen.add(place)
            old = dataset is not None or request.name in legacy_names()
            if old and not new:
                continue
            yield self.finding(
                called.file,
                called.place,
                symbol=request.name,
                given=request.name,
                is_old=", as was usual once" if old else "",
                follows="The newest huggingface-hub raises HfUriError for a name without an owner."
                if old
                else "The Hub has no dataset of this name, unless a folder is meant.",
                full=f": {dataset.id!r}" if dataset is not None else ", owner/name",
            )


def _held_back(project: Project) -> bool:
    """Whether the project may hold huggingface-hub below the version that refuses such names."""
    if "uv.lock" in project.submission:
        return True
    if project.pyproject is None:
        return False
    declared = dependencies_of(project.pyproject).declared
    return any(
        clause.operator in ("<", "<=", "==", "~=", "===")
        for item in declared
        if item.name in ("huggingface-hub", "transformers")
        for clause in item.specifier
    )
