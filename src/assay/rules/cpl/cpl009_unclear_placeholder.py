"""CPL009: a placeholder of the foundation does not say what it stands for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from assay import yaml_tree
from assay.analysis.project import Project
from assay.analysis.python_source import string_value
from assay.analysis.source_comments import Comment, hash_comments, python_comments
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

# a name that only counts: `PLACEHOLDER_1`, `PLACEHOLDER_A`, `X_PLACEHOLDER`
_COUNTED = re.compile(r"PLACEHOLDER_?(?:\d+|[A-Z])|(?:X+|[A-Z]|\d+)_?PLACEHOLDER")
_NAMELESS = re.compile(
    r"PLACE_?HOLDER|X{3,}|TODO|TBD|FIXME|(?:CHANGE|FILL|REPLACE)_?(?:ME|IN|THIS)|<\s*(?:TODO|TBD|PLACEHOLDER|\.{3})?\s*>",
    re.IGNORECASE,
)
_BARE_COMMENT = re.compile(r"(?:PLACE_?HOLDER|TODO|TBD|FIXME|XXX)(?:\s+here)?[\s:.!-]*", re.IGNORECASE)
_REPLACING = frozenset({"replace", "sub", "split", "format_map", "substitute", "startswith", "add_tokens"})
_PLACES = ("preprocess", "model")
_SHOWN = 5
_LONGEST = 60


class UnclearPlaceholder(Rule):
    """A placeholder of a foundation says by its name what it stands for: `DATASET_PLACEHOLDER`, `MODEL_PLACEHOLDER`.

    Whoever specialises the foundation, a program above all, finds its parts by these names. Of `PLACEHOLDER`, `XXX` or a
    comment that is nothing but `# TODO` they learn that something is missing, and not what. The rule warns of such marks,
    and where a foundation marks no place at all. It blocks where the configuration holds a name that only counts, such as
    `PLACEHOLDER_2`, and no program looks for it.
    """

    code = "CPL009"
    name = "unclear-placeholder"
    requirements = ("B2.1",)
    severity = Severity.WARNING
    message = "{mark} does not say what it stands for"
    explanation = "Whoever specialises the foundation cannot tell what belongs there."
    repair = "Name what will be put in its place, such as DATASET_PLACEHOLDER or MODEL_PLACEHOLDER."

    VALID = (
        Example({"src/preprocess.py": "NAME = 'DATASET_PLACEHOLDER'\n"}, contract="base"),
        Example({"src/preprocess.py": "# PLACEHOLDER: the loader of the dataset goes here\nload = None\n"}, contract="base"),
        Example({"config/full_experiment.yaml": "dataset: PLACEHOLDER_DATASET  # its name\n"}, contract="base"),
        # the program fills it in
        Example(
            {
                "src/model.py": "def fill(text):\n    return text.replace('PLACEHOLDER_1', 'MODEL_PLACEHOLDER')\n",
                "config/full_experiment.yaml": "prompt: PLACEHOLDER_1\n",
            },
            contract="base",
        ),
        Example({"src/model.py": "NAME = 'PLACEHOLDER'\n"}, contract="derived"),
    )  # fmt: skip
    INVALID = (
        Example(
            {"config/full_experiment.yaml": "dataset: PLACEHOLDER_1\nmodel: PLACEHOLDER_2\n"},
            contract="base",
            at=("config/full_experiment.yaml:1", "config/full_experiment.yaml:2"),
            repaired={"config/full_experiment.yaml": "dataset: DATASET_PLACEHOLDER\nmodel: MODEL_PLACEHOLDER\n"},
        ),
        # warnings
        Example({"src/model.py": "NAME = 'XXX'  # MODEL_PLACEHOLDER\n"}, contract="base", at=("src/model.py:1",)),
        Example({"src/model.py": "# PLACEHOLDER\nNAME = None\n"}, contract="base", at=("src/model.py:1",)),
        Example({"config/smoke_test.yaml": "a: DATASET_PLACEHOLDER\nb: CHANGE_ME\n"}, contract="base",
                at=("config/smoke_test.yaml:2",)),
        Example({"src/preprocess.py": "def load():\n    return [1, 2]\n"}, contract="base", at=("src/preprocess.py",)),
    )  # fmt: skip

    def check(self, project: Project) -> Iterator[Outcome]:
        paths = [*project.python, *project.yaml]
        texts = {path: project.submission.text(path) or "" for path in paths}
        place = next((path for role in _PLACES if (path := project.contract.role(role)) in texts), None)
        if place is not None and not any("placeholder" in text.lower() for text in texts.values()):
            yield self.finding(
                place,
                message="no place of the foundation is marked by a placeholder",
                explanation="Whoever specialises the foundation cannot tell which parts belong to a dataset or a model.",
                repair="Mark the place of the dataset with DATASET_PLACEHOLDER and that of the model with MODEL_PLACEHOLDER.",
            )
        filled = _filled_in(project)
        for path, text in texts.items():
            marks = [*_comment_marks(project, path, text), *_value_marks(project, path, filled)]
            for mark in sorted(marks)[:_SHOWN]:
                yield self.finding(
                    path,
                    mark.line,
                    severity=Severity.BLOCKING if mark.certain else Severity.WARNING,
                    consequence=Consequence.BREAKS_CONTRACT,
                    symbol=mark.text,
                    mark=f"`{mark.text}`",
                )


class _Mark(NamedTuple):
    line: int
    text: str
    certain: bool


def _comment_marks(project: Project, path: str, text: str) -> Iterator[_Mark]:
    file = project.python.get(path)
    comments: Sequence[Comment] = hash_comments(text) if file is None else python_comments(file)
    for place, comment in enumerate(comments):
        # a comment that goes on in the next line says more
        goes_on = place + 1 < len(comments) and comments[place + 1].line == comment.line + 1
        if comment.alone and not goes_on and len(comment.text) < _LONGEST and _BARE_COMMENT.fullmatch(comment.text):
            yield _Mark(comment.line, comment.text.strip(" :.!-"), False)


def _value_marks(project: Project, path: str, filled: frozenset[str]) -> Iterator[_Mark]:
    if path in project.python:
        file = project.python[path]
        for constant in file.nodes_of(ast.Constant):
            text = (string_value(constant) or "").strip()
            listed = isinstance(file.parents.get(constant), ast.List | ast.Tuple | ast.Set | ast.Compare | ast.Expr)
            if 0 < len(text) < _LONGEST and not listed and text not in filled and _is_unclear(text):
                yield _Mark(constant.lineno, text, False)
        return
    pending: list[yaml_tree.Node] = list(project.yaml[path].documents)
    seen: set[int] = set()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml_tree.Scalar):
            text = node.text.strip()
            if 0 < len(text) < _LONGEST and text not in filled and _is_unclear(text):
                yield _Mark(node.line, text, bool(_COUNTED.fullmatch(text)))
        elif isinstance(node, yaml_tree.Sequence):
            pending.extend(node.items)
        else:
            pending.extend(value for _, value in node.pairs)


def _is_unclear(text: str) -> bool:
    return bool(_COUNTED.fullmatch(text) or (_NAMELESS.fullmatch(text) and text == text.upper()))


def _filled_in(project: Project) -> frozenset[str]:
    """Texts that the programs name themselves: what they compare with, or put something in the place of."""
    found: set[str] = set()
    for file in project.python.values():
        for node in file.nodes_of(ast.Constant):
            text = string_value(node)
            if text is None or len(text) > _LONGEST or not _is_unclear(text.strip()):
                continue
            parent = file.parents.get(node)
            called = parent.func if isinstance(parent, ast.Call) else None
            if isinstance(parent, ast.Compare) or (isinstance(called, ast.Attribute) and called.attr in _REPLACING):
                found.add(text.strip())
    return frozenset(found)
