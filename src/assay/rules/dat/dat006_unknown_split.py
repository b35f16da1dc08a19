"""DAT006: a split is asked for that the dataset has not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.called import MISSING, calls_in
from assay.analysis.dataset_knowledge import Request, facts_of, reach_of, requests, unknown_split
from assay.analysis.dataset_uses import uses_of
from assay.analysis.fact_table import read_table
from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_MOST = 40


def _preprocess(text: str) -> dict[str, str]:
    return {"src/preprocess.py": "from datasets import load_dataset\n\n\n" + text}


def _torchvision(text: str) -> dict[str, str]:
    return {"src/preprocess.py": "from torchvision import datasets\n\n\n" + text}


class UnknownSplit(Rule):
    """Datasets name their splits differently: GSM8K has no `validation`, the validation splits of MNLI are two, Tiny
    ImageNet calls its own `valid`. `load_dataset(..., split=...)` raises `ValueError: Unknown split`, and indexing the
    loaded dictionary with a split that is not there raises `KeyError`.

    A loaded dictionary is followed through names as long as nothing can add a split to it. Datasets of torchvision are
    judged by the values that their `split` takes, and by whether they take `train` or `split` at all.
    """

    code = "DAT006"
    name = "unknown-split"
    requirements = ("E3.1", "D2.1", "D3.1")
    consequence = Consequence.BREAKS_CONTRACT
    message = "{dataset} has no split {given!r}"
    explanation = "{raised}; there {are} {known}."
    repair = "Ask for a split that it has, or cut one from its training data."

    VALID = (
        Example(_preprocess("data = load_dataset('openai/gsm8k', 'main', split='train[:90%]+test')\n")),
        Example(_preprocess("data = load_dataset('imdb', split='unsupervised')\n")),
        Example(_preprocess("data = load_dataset('glue', 'mnli')\nvalidation = data['validation_matched']\n")),
        # a split of its own making
        Example(
            _preprocess(
                "data = load_dataset('openai/gsm8k', 'main')\n"
                "data['validation'] = data['train'].select(range(100))\nvalidation = data['validation']\n"
            )
        ),
        Example(
            _preprocess(
                "data = load_dataset('openai/gsm8k', 'main')\nkey = 'validation' if 'validation' in data else 'test'\n"
                "validation = data['validation'] if 'validation' in data else data['test']\n"
            )
        ),
        Example(
            _preprocess(
                "data = load_dataset('openai/gsm8k', 'main')\ndata = data['train'].train_test_split(0.1)\n"
                "validation = data['test']\n"
            )
        ),
        Example(_preprocess("data = load_dataset('openai/gsm8k', 'main')\ndata = cut(data)\nx = data['validation']\n")),
        # it is put in through another name, or asked for first
        Example(
            _preprocess(
                "data = load_dataset('openai/gsm8k', 'main')\nother = data\nother['validation'] = data['test']\n"
                "x = data['validation']\n"
            )
        ),
        Example(
            _preprocess("data = load_dataset('openai/gsm8k', 'main')\nif len(data) > 2:\n    x = data['validation']\n")
        ),
        Example(_preprocess("data = load_dataset('someone/something', split='nothing')\n")),
        Example(_torchvision("data = datasets.SVHN('.cache', split='extra')\n")),
        Example(_torchvision("data = datasets.CIFAR10('.cache', train=False, download=True)\n")),
        Example(_torchvision("data = datasets.EMNIST('.cache', split='letters', train=True)\n")),
    )
    INVALID = (
        Example(
            _preprocess("data = load_dataset('openai/gsm8k', 'main', split='validation')\n"),
            at=("src/preprocess.py:4",),
            repaired=_preprocess("data = load_dataset('openai/gsm8k', 'main', split='test')\n"),
        ),
        Example(
            _preprocess(
                "def load():\n    data = load_dataset('imdb')\n    return data['train'], data['validation']\n\n\nload()\n"
            ),
            at=("src/preprocess.py:6",),
            repaired=_preprocess(
                "def load():\n    data = load_dataset('imdb')\n    return data['train'], data['test']\n"
            ),
        ),
        Example(
            _preprocess("data = load_dataset('glue', 'mnli')['validation']\n"),
            at=("src/preprocess.py:4",),
            repaired=_preprocess("data = load_dataset('glue', 'mnli')['validation_matched']\n"),
        ),
        Example(
            _torchvision("data = datasets.SVHN('.cache', split='val')\n"),
            at=("src/preprocess.py:4",),
            repaired=_torchvision("data = datasets.SVHN('.cache', split='test')\n"),
        ),
        Example(
            _torchvision("data = datasets.CIFAR10('.cache', split='train')\n"),
            at=("src/preprocess.py:4",),
            repaired=_torchvision("data = datasets.CIFAR10('.cache', train=True)\n"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        seen: set[tuple[object, ...]] = set()
        for number, request in enumerate(requests(project)):
            if number >= _MOST:
                break
            called, splits = request.called, facts_of(request).splits
            if not splits:
                continue
            given = unknown_split(request)
            if given is not None:
                raised = "load_dataset raises ValueError: Unknown split"
                yield from self._once(seen, self._finding(project, request, None, given, splits, raised))
            elif request.split is None and isinstance(called.place, ast.Call):
                for use in uses_of(project.python[called.file], called.place, facts_of(request), one_split=False):
                    if use.kind == "split":
                        raised = "Indexing what load_dataset gives raises KeyError"
                        yield from self._once(
                            seen, self._finding(project, request, use.place, use.name, splits, raised)
                        )
        yield from self._torchvision(project)

    def _once(self, seen: set[tuple[object, ...]], outcome: Outcome) -> Iterator[Outcome]:
        place = (getattr(outcome, "file", None), getattr(outcome, "line", None), getattr(outcome, "message", None))
        if place not in seen:
            seen.add(place)
            yield outcome

    def _finding(
        self,
        project: Project,
        request: Request,
        place: ast.AST | None,
        given: str,
        splits: tuple[str, ...],
        raised: str,
    ) -> Outcome:
        called = request.called
        reach = reach_of(project, called, place)
        return self.finding(
            called.file,
            place or called.place,
            severity=Severity.WARNING if reach == "caught" else None,
            consequence=Consequence.CRASHES if reach == "certain" and place is None else None,
            symbol=request.name,
            run=called.runs[0] if called.runs else None,
            detail=request.dataset.source if request.dataset else "",
            dataset=f"{request.name} ({request.configuration})"
            if isinstance(request.configuration, str)
            else request.name,
            given=given,
            raised=raised,
            are="is" if len(splits) == 1 else "are",
            known=", ".join(splits),
        )

    def _torchvision(self, project: Project) -> Iterator[Outcome]:
        rows = {f"torchvision.datasets.{row['class']}": row for row in read_table("torchvision_datasets")}
        for called in calls_in(project, *rows):
            row = rows[called.name]
            arguments, splits = row["arguments"].split(), row["splits"].split()
            position = arguments.index("split") if "split" in arguments else None
            given = called.argument(position, "split") if position is not None else MISSING
            wrong = next(
                (name for name in ("split", "train") if name in called.keywords and name not in arguments), None
            )
            if wrong is not None and not row["open"]:
                message = "{called} has no argument {wrong!r}"
                explanation = "The call raises TypeError; its arguments are {arguments}."
                repair = "Choose the part of the dataset by an argument that it has."
            elif splits and isinstance(given, str) and given not in splits:
                message = "{called} has no split {given!r}"
                explanation = "The call raises ValueError: Unknown value for argument split; there are {known}."
                repair = "Ask for a split that it has."
            else:
                continue
            reach = reach_of(project, called)
            yield self.finding(
                called.file,
                called.place,
                severity=Severity.WARNING if reach == "caught" else None,
                symbol=called.name,
                detail=row["source"],
                message=message,
                explanation=explanation,
                repair=repair,
                called=called.name,
                wrong=wrong,
                given=given,
                arguments=", ".join(arguments),
                known=", ".join(splits),
            )
