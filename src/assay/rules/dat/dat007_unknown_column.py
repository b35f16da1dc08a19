"""DAT007: the code names a column that the dataset has not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.called import UNKNOWN
from assay.analysis.dataset_knowledge import facts_of, reach_of, requests, split_names
from assay.analysis.dataset_uses import uses_of
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_MOST = 40


def _preprocess(text: str) -> dict[str, str]:
    return {"src/preprocess.py": "from datasets import load_dataset\n\n\n" + text}


class UnknownColumn(Rule):
    """Each dataset has columns of its own: SST-2 has `sentence`, IMDB has `text`, the images of CIFAR-10 stand in `img`,
    those of MNIST in `image`. A column that is not there raises `KeyError` in the first row.

    The rule follows what `load_dataset` gives as long as its columns are certainly those of the table: through names,
    splits, `select`, `shuffle` and `filter`, into loops over rows and into a function that is mapped over this dataset
    alone. It stops at the first `map`. A function that adds to a row, or asks what the row has, is passed over.
    """

    code = "DAT007"
    name = "unknown-column"
    requirements = ("E3.1", "D3.1")
    message = "{dataset} has no column {given!r}"
    explanation = "The access raises KeyError; the columns are {known}."
    repair = "Use the columns that it has{hint}."

    VALID = (
        Example(
            _preprocess("data = load_dataset('imdb', split='train')\ntexts, labels = data['text'], data['label']\n")
        ),
        Example(
            _preprocess(
                "def encode(row):\n    return {'ids': tokenize(row['question'] + row['answer'])}\n\n\n"
                "data = load_dataset('openai/gsm8k', 'main')\ndata = data.map(encode, remove_columns=['question'])\n"
                "ids = data['train']['ids']\n"
            )
        ),
        # a row, or the dataset, is given what it is asked for
        Example(
            _preprocess(
                "data = load_dataset('imdb', split='train')\nfor row in data:\n    row['more'] = 1\n    print(row['more'])\n"
            )
        ),
        Example(
            _preprocess(
                "def encode(rows):\n    return {'pixels': rows['text']}\n\n\ndata = load_dataset('imdb', split='train')\n"
                "data.set_transform(encode)\nprint(data[0]['pixels'])\n"
            )
        ),
        # it may be there by then
        Example(
            _preprocess(
                "data = load_dataset('imdb', split='train')\ndata = data.rename_column('text', 'sentence')\n"
                "x = data['sentence']\n"
            )
        ),
        Example(
            _preprocess(
                "def encode(row):\n    row['both'] = row['text']\n    return tokenize(row['both'])\n\n\n"
                "data = load_dataset('imdb').map(encode)\n"
            )
        ),
        Example(
            _preprocess(
                "def encode(row):\n    text = row['img'] if 'img' in row else row['image']\n    return text\n\n\n"
                "data = load_dataset('mnist').map(encode)\n"
            )
        ),
        # the function serves another dataset too
        Example(
            _preprocess(
                "def encode(row):\n    return tokenize(row['sentence'])\n\n\na = load_dataset('imdb').map(encode)\n"
                "b = load_dataset('nyu-mll/glue', 'sst2').map(encode)\n"
            )
        ),
    )
    INVALID = (
        Example(
            _preprocess("data = load_dataset('imdb', split='train')\nx = data['sentence']\n"),
            at=("src/preprocess.py:5",),
            repaired=_preprocess("data = load_dataset('imdb', split='train')\nx = data['text']\n"),
        ),
        Example(
            _preprocess(
                "def encode(row):\n    return {'ids': tokenize(row['problem'])}\n\n\n"
                "data = load_dataset('openai/gsm8k', 'main')\ndata = data.map(encode)\n"
            ),
            at=("src/preprocess.py:5",),
            repaired=_preprocess(
                "def encode(row):\n    return {'ids': tokenize(row['question'])}\n\n\n"
                "data = load_dataset('openai/gsm8k', 'main')\ndata = data.map(encode)\n"
            ),
        ),
        Example(
            _preprocess("for row in load_dataset('uoft-cs/cifar10')['train']:\n    show(row['image'])\n"),
            at=("src/preprocess.py:5",),
            repaired=_preprocess("for row in load_dataset('uoft-cs/cifar10')['train']:\n    show(row['img'])\n"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        seen: set[tuple[str, int, str]] = set()
        for number, request in enumerate(requests(project)):
            if number >= _MOST:
                break
            called, facts = request.called, facts_of(request)
            if not facts.columns or not isinstance(called.place, ast.Call) or request.split is UNKNOWN:
                continue
            if isinstance(request.split, str) and not split_names(request.split):
                continue
            file = project.python[called.file]
            for use in uses_of(file, called.place, facts, one_split=request.split is not None):
                line = getattr(use.place, "lineno", 0)
                if use.kind != "column" or use.name in facts.columns or (called.file, line, use.name) in seen:
                    continue
                seen.add((called.file, line, use.name))
                dataset = request.dataset
                known = [name for name in (dataset.text, dataset.label) if name] if dataset else []
                yield self.finding(
                    called.file,
                    use.place,
                    severity=Severity.WARNING if reach_of(project, called, use.place) == "caught" else None,
                    symbol=request.name,
                    run=called.runs[0] if called.runs else None,
                    detail=dataset.source if dataset else "",
                    dataset=request.name,
                    given=use.name,
                    known=", ".join(facts.columns[:12]),
                    hint=f", such as {' and '.join(known)}" if known else "",
                )
