"""PKG004: dependencies stand where uv does not look for them."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.declared_dependencies import backend_of
from assay.analysis.packaging_metadata import PyProject
from assay.analysis.project import Project
from assay.finding import Consequence, Frame, Severity
from assay.rules.pkg.pkg001_no_project_table import first_missing_import
from assay.rules.rule import Example, Outcome, Rule

_HEAD = '[project]\nname = "a"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
_POETRY = '[tool.poetry.dependencies]\npython = "^3.11"\nnumpy = "^1.26"\n'
_LISTED = f'{_HEAD}dependencies = ["numpy>=1.26"]\n'
_BACKEND = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
_IMPORT = {"src/main.py": "import numpy\n"}


class DependenciesElsewhere(Rule):
    """There is a `[project]` table without dependencies, and the dependencies stand in another place.

    That place is most often `[tool.poetry.dependencies]`, a table that uv does not read, or a table such as
    `[project.urls]` that was opened above the line `dependencies = [...]` and so took it in. uv installs the
    project without any of them and says nothing; the first import fails.

    With poetry-core as the build backend it is different: uv then asks the backend, which does read Poetry's table.
    """

    code = "PKG004"
    name = "dependencies-elsewhere"
    requirements = ("X1",)
    consequence = Consequence.CRASHES
    message = "[project] lists no dependencies; they stand in [{table}], which uv does not read"
    explanation = "uv installs none of them, and {what}."
    repair = 'Move them to the list dependencies of [project], in PEP 508 form ("numpy>=1.26").'

    VALID = (
        Example({"pyproject.toml": _LISTED, **_IMPORT}),
        Example({"pyproject.toml": f"{_LISTED}{_POETRY}", **_IMPORT}),
        # poetry-core hands its table to uv
        Example({"pyproject.toml": f"{_BACKEND}{_HEAD}{_POETRY}", **_IMPORT}),
        Example({"pyproject.toml": f'{_HEAD}[tool.poetry.dependencies]\npython = "^3.11"\n', "src/main.py": "x = 1\n"}),
    )
    INVALID = (
        Example(
            {"pyproject.toml": f"{_HEAD}{_POETRY}", **_IMPORT},
            at=("pyproject.toml:5",),
            repaired={"pyproject.toml": _LISTED},
        ),
        Example(
            {
                "pyproject.toml": f'{_HEAD}[project.urls]\nHomepage = "https://example.org"\ndependencies = ["numpy"]\n',
                **_IMPORT,
            },
            at=("pyproject.toml:7",),
            repaired={"pyproject.toml": f'{_LISTED}[project.urls]\nHomepage = "https://example.org"\n'},
        ),
        Example({"pyproject.toml": f"{_HEAD}{_POETRY}", "src/main.py": "x = 1\n"}, at=("pyproject.toml:5",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        metadata = project.pyproject
        if metadata is None or metadata.error or not metadata.table("project"):
            return
        if metadata.get("project", "dependencies") or _left_to_the_build(metadata):
            return
        table = _other_table(metadata)
        if table is None:
            return
        *around, key = table
        shown = ".".join(table if key != "dependencies" or table[:2] == ("tool", "poetry") else around)
        line = metadata.line(*table)
        stops = first_missing_import(project, metadata)
        if stops is None:
            what = "whatever of them is imported is missing"
            yield self.finding(metadata.path, line, severity=Severity.WARNING, symbol=shown, table=shown, what=what)
            return
        yield self.finding(
            metadata.path,
            line,
            symbol=shown,
            frames=(Frame(stops.file.path, stops.item.node.lineno),),
            detail=f"[project] has no dependencies; {stops.file.path} imports {stops.module} at once",
            table=shown,
            what=f"import {stops.module} ({stops.file.path}:{stops.item.node.lineno}) raises ModuleNotFoundError",
        )


def _left_to_the_build(metadata: PyProject) -> bool:
    dynamic = metadata.get("project", "dynamic")
    if isinstance(dynamic, list) and "dependencies" in dynamic and backend_of(metadata) is not None:
        return True
    return backend_of(metadata) == "poetry-core"


def _other_table(metadata: PyProject) -> tuple[str, ...] | None:
    """Where dependencies stand that uv passes over."""
    poetry = metadata.table("tool", "poetry", "dependencies")
    if any(str(name).lower() != "python" for name in poetry):
        return ("tool", "poetry", "dependencies")
    for path in (("project", "urls"), ("project", "scripts"), ("build-system",), ()):
        held = metadata.table(*path) if path else metadata.data
        if isinstance(held.get("dependencies"), list) and held["dependencies"]:
            return (*path, "dependencies")
    return None
