"""PKG003: dependencies are written in a form that PEP 621 does not have."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.packaging_metadata import PyProject
from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule

_HEAD = '[project]\nname = "a"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'


class DependenciesNotAList(Rule):
    """`[project.dependencies]` is a table of names and versions, as Poetry has it, instead of a list.

    Under `[project]` PEP 621 wants `dependencies` to be a list of strings, each a requirement such as
    `"numpy>=1.26"`. uv checks this when it reads the file and ends with "invalid type: map, expected a sequence",
    before it installs or starts anything. The same holds for a group of optional dependencies, for
    `optional-dependencies` that are a list, and for a group under `[dependency-groups]`.
    """

    code = "PKG003"
    name = "dependencies-not-a-list"
    requirements = ("X1",)
    consequence = Consequence.CRASHES
    message = "{key} is {kind} where {wanted} is required"
    explanation = "uv refuses pyproject.toml and stops before it installs anything."
    repair = "Write {key} as {form}."

    VALID = (
        Example({"pyproject.toml": f'{_HEAD}dependencies = ["numpy>=1.26"]\n'}),
        Example({"pyproject.toml": f'{_HEAD}[project.optional-dependencies]\nplots = ["matplotlib"]\n'}),
        # uv does not read Poetry's tables
        Example({"pyproject.toml": f'{_HEAD}[tool.poetry.dependencies]\nnumpy = "^1.26"\n'}),
    )
    INVALID = (
        Example(
            {"pyproject.toml": f'{_HEAD}\n[project.dependencies]\nnumpy = "^1.26"\ntorch = "*"\n'},
            at=("pyproject.toml:6",),
            repaired={"pyproject.toml": f'{_HEAD}dependencies = ["numpy>=1.26,<2", "torch"]\n'},
        ),
        Example(
            {"pyproject.toml": f'{_HEAD}dependencies = "numpy"\n'},
            at=("pyproject.toml:5",),
            repaired={"pyproject.toml": f'{_HEAD}dependencies = ["numpy"]\n'},
        ),
        Example(
            {"pyproject.toml": f'{_HEAD}[project.optional-dependencies.plots]\nmatplotlib = "*"\n'},
            at=("pyproject.toml:5",),
            repaired={"pyproject.toml": f'{_HEAD}[project.optional-dependencies]\nplots = ["matplotlib"]\n'},
        ),
        Example(
            {"pyproject.toml": f'{_HEAD}optional-dependencies = ["matplotlib"]\n'},
            at=("pyproject.toml:5",),
            repaired={"pyproject.toml": f'{_HEAD}[project.optional-dependencies]\nplots = ["matplotlib"]\n'},
        ),
        Example(
            {"pyproject.toml": f'{_HEAD}[dependency-groups.dev]\npytest = "*"\n'},
            at=("pyproject.toml:5",),
            repaired={"pyproject.toml": f'{_HEAD}[dependency-groups]\ndev = ["pytest"]\n'},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        metadata = project.pyproject
        if metadata is None or metadata.error:
            return
        for path, value in _lists(metadata):
            if not isinstance(value, list):
                yield self._wrong(metadata, path, value, "a list", 'a list of strings: ["numpy>=1.26", ...]')
        for path in (("project", "optional-dependencies"), ("dependency-groups",)):
            value = metadata.get(*path)
            if value is not None and not isinstance(value, dict):
                yield self._wrong(metadata, path, value, "a table", "a table of lists, one for each group")

    def _wrong(self, metadata: PyProject, path: tuple[str, ...], value: object, wanted: str, form: str) -> Outcome:
        return self.finding(
            metadata.path,
            metadata.line(*path),
            symbol=".".join(path),
            detail=f"uv expects {wanted} here and finds {_kind(value)}",
            key=".".join(path),
            kind=_kind(value),
            wanted=wanted,
            form=form,
        )


def _lists(metadata: PyProject) -> Iterator[tuple[tuple[str, ...], object]]:
    if "dependencies" in metadata.table("project"):
        yield ("project", "dependencies"), metadata.get("project", "dependencies")
    for path in (("project", "optional-dependencies"), ("dependency-groups",)):
        for name, group in metadata.table(*path).items():
            yield (*path, str(name)), group
    if "dev-dependencies" in metadata.table("tool", "uv"):
        yield ("tool", "uv", "dev-dependencies"), metadata.get("tool", "uv", "dev-dependencies")


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "a number or another value"
