"""LAY001: a file that the contract requires is missing."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.rules.rule import Example, Outcome, Rule

_EIGHT = {
    "src/train.py": "x = 1\n",
    "src/evaluate.py": "x = 1\n",
    "src/preprocess.py": "x = 1\n",
    "src/model.py": "x = 1\n",
    "src/main.py": "x = 1\n",
    "pyproject.toml": "[project]\nname = 'a'\nversion = '1'\n",
    "config/smoke_test.yaml": "a: 1\n",
    "config/full_experiment.yaml": "a: 1\n",
}


class MissingFile(Rule):
    """The contract names the files a submission consists of; one of them is not there.

    Whoever runs the submission starts it by these names: a missing file stops the first command that needs it.
    """

    code = "LAY001"
    name = "missing-file"
    requirements = ("B3.1", "D5.1", "E5.1")
    decides = ("B3.1", "D5.1", "E5.1")
    message = "{path} is missing"
    explanation = "The contract's commands and the other files refer to it by this name."
    repair = "Add {path}."

    VALID = (Example(_EIGHT, contract="base"),)
    INVALID = (
        Example(
            {path: text for path, text in _EIGHT.items() if path != "src/evaluate.py"},
            contract="base",
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": "x = 1\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for path in project.contract.required:
            if path not in project.submission:
                yield self.finding(path, path=path)
