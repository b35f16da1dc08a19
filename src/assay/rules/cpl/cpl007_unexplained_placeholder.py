"""CPL007: a placeholder of the foundation has no comment that says what will replace it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_NAME = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_PLACEHOLDER\b|\bPLACEHOLDER_[A-Z0-9_]+\b")
_WORDS = re.compile(r"placeholder|replace|will be|must be|later|derived|specific|fill", re.IGNORECASE)
_REACH = 4


class UnexplainedPlaceholder(Rule):
    """Whoever makes an experiment of a foundation finds a comment at each placeholder that says what will replace it.

    The rule looks for names such as `DATASET_PLACEHOLDER` in Python and YAML, and for a comment or a text about them
    within a few lines of where they stand first. It reports each name once, and only as a warning: whether a comment
    says enough is for a reader to judge.
    """

    code = "CPL007"
    name = "unexplained-placeholder"
    requirements = ("B2.4",)
    severity = Severity.WARNING
    message = "nothing says what will replace {name}"
    explanation = "Whoever specialises the foundation has to guess what belongs there."
    repair = "Add a comment at {name} that says what will replace it."

    VALID = (
        Example(
            {
                "src/preprocess.py": "# DATASET_PLACEHOLDER: replaced by the loader of the dataset\nDATA = 'DATASET_PLACEHOLDER'\n"
            },
            contract="base",
        ),
        Example(
            {"config/full_experiment.yaml": "model: MODEL_PLACEHOLDER  # will be the name of the model\n"},
            contract="base",
        ),
        Example({"src/model.py": '"""The model will be replaced."""\nNAME = "MODEL_PLACEHOLDER"\n'}, contract="base"),
        Example({"src/model.py": "NAME = 'MODEL_PLACEHOLDER'\n"}, contract="derived"),
    )
    INVALID = (
        Example(
            {"src/model.py": "import torch\n\n\ndef build():\n    return make('MODEL_PLACEHOLDER')\n"},
            contract="base",
            at=("src/model.py:5",),
        ),
        Example(
            {"config/full_experiment.yaml": "dataset:\n  name: DATASET_PLACEHOLDER\n"},
            contract="base",
            at=("config/full_experiment.yaml:2",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        first: dict[str, tuple[str, int]] = {}
        explained: set[str] = set()
        for path in project.paths:
            text = project.submission.text(path)
            if text is None or not path.endswith((".py", ".yaml", ".yml")) or "PLACEHOLDER" not in text:
                continue
            lines = text.split("\n")
            for number, line in enumerate(lines):
                for match in _NAME.finditer(line[:2_000]):
                    name = match.group()
                    first.setdefault(name, (path, number + 1))
                    if name not in explained and _is_explained(lines, number, name):
                        explained.add(name)
        for name, (path, line_number) in first.items():
            if name not in explained:
                yield self.finding(path, line_number, symbol=name, name=name)


def _is_explained(lines: list[str], number: int, name: str) -> bool:
    """Whether words near a line, outside the name itself, speak of what will stand there."""
    for line in lines[max(0, number - _REACH) : number + _REACH]:
        shown = _NAME.sub(" ", line[:2_000]) if "#" not in line else line[:2_000].partition("#")[2]
        if _WORDS.search(shown):
            return True
    return False
