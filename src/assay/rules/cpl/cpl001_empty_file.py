"""CPL001: a required file that holds nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule
from assay.yaml_tree import Scalar

_ROWS = {
    "main": ("E1.1", "E1.2", "D4.1", "B4.2"),
    "train": ("E1.1", "E1.2", "D4.1", "B1.1"),
    "evaluate": ("E1.1", "E1.2", "D4.1", "B1.2"),
    "preprocess": ("E1.1", "E1.2", "E3.1", "D4.1", "D2.1", "B2.2"),
    "model": ("E1.1", "E1.2", "E4.1", "D4.1", "D2.2", "B2.2"),
    "config": ("E1.1", "E1.2", "E2.2", "E6.7"),
    "variations": ("D4.1", "D4.3", "D2.4", "B4.7"),
    "pyproject": ("E1.1", "E1.2", "D4.1", "D4.2", "B4.8"),
}
_EFFECTS = {
    "main": "The command that starts the experiment ends at once and nothing is trained",
    "config": "Hydra composes a configuration without a single value",
    "pyproject": "uv takes it for a project without dependencies, and installs nothing",
    "variations": "There is no run for the program to start",
}


class EmptyFile(Rule):
    """A file of the contract is there and holds nothing: no statement, no key, no table.

    White space, comments and docstrings do not count. Code generators leave such files behind when an answer was cut
    off or a file was left for later. One finding is given for each file.
    """

    code = "CPL001"
    name = "empty-file"
    requirements = tuple(dict.fromkeys(row for rows in _ROWS.values() for row in rows))
    message = "{path} is empty{beyond}"
    explanation = "{effect}."
    repair = "Write {path}."

    VALID = (
        Example({"src/main.py": '"""Start."""\n\nprint(1)\n', "config/config.yaml": "defaults:\n  - _self_\n"}),
        # an extra file may be empty
        Example({"src/__init__.py": "", "src/main.py": "x = 1\n"}),
        # broken, which is another rule's matter
        Example({"src/main.py": "def\n", "config/config.yaml": "a: [\n", "pyproject.toml": "[project\n"}),
    )
    INVALID = (
        Example({"src/train.py": ""}, at=("src/train.py",), repaired={"src/train.py": "x = 1\n"}),
        Example(
            {"src/main.py": '"""Start."""\n\n# later\n'}, at=("src/main.py",), repaired={"src/main.py": "print(1)\n"}
        ),
        Example(
            {"config/config.yaml": "# wandb, hydra\n---\n", "pyproject.toml": "\n"},
            at=("config/config.yaml", "pyproject.toml"),
            repaired={
                "config/config.yaml": "wandb:\n  project: study\n",
                "pyproject.toml": "[project]\nname = 'study'\nversion = '1'\n",
            },
        ),
        Example(
            {"config/smoke_test.yaml": "\n"},
            contract="base",
            at=("config/smoke_test.yaml",),
            repaired={"config/smoke_test.yaml": "runs: []\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        roles = {path: role for role, path in project.contract.roles.items()}
        roles |= dict.fromkeys(project.contract.variation_files, "variations") | {"pyproject.toml": "pyproject"}
        for path in project.contract.required:
            text = project.submission.text(path)
            if text is None or not _is_empty(project, path, text):
                continue
            role = roles.get(path, "")
            nothing = Consequence.TRAINS_NOTHING if role == "main" else Consequence.BREAKS_CONTRACT
            yield self.finding(
                path,
                consequence=nothing,
                requirements=_ROWS.get(role),
                detail=f"{len(text)} characters" + (", none of them a statement or a value" if text else ""),
                path=path,
                beyond=": there is nothing in it but comments" if text.strip() else "",
                effect=_EFFECTS.get(role, "What the other files and the commands expect of it is not there"),
            )


def _is_empty(project: Project, path: str, text: str) -> bool:
    if not text.strip():
        return True
    if path.endswith(".py"):
        file = project.python[path]
        return file.tree is not None and all(
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
            for node in file.tree.body
        )
    if path.endswith((".yaml", ".yml")):
        yaml = project.yaml[path]
        return yaml.error is None and all(
            isinstance(root, Scalar) and root.resolve() is None for root in yaml.documents
        )
    if path == "pyproject.toml" and project.pyproject is not None:
        return not project.pyproject.error and not project.pyproject.data
    return False
