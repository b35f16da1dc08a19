"""PKG001: the project file has no [project] table."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.declared_dependencies import dependencies_of
from assay.analysis.libraries.distributions import possible
from assay.analysis.packaging_metadata import PyProject
from assay.analysis.project import Project
from assay.analysis.third_party_imports import ThirdPartyImport, installs_by_itself, third_party_imports
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_POETRY = (
    '[tool.poetry]\nname = "a"\nversion = "0.1.0"\n\n[tool.poetry.dependencies]\npython = "^3.11"\nnumpy = "^1.26"\n'
)
_PROJECT = '[project]\nname = "a"\nversion = "0.1.0"\nrequires-python = ">=3.11"\ndependencies = ["numpy>=1.26"]\n'


class NoProjectTable(Rule):
    """`pyproject.toml` has no `[project]` table, or something else stands under that name.

    The table is where PEP 621 puts a project's name, version and dependencies. uv takes them from nowhere else:
    for a file that only has Poetry's tables it makes an environment without any of the packages listed there, says
    nothing, and starts the program. The first import of one of them then stops it.

    It blocks as a crash where a module that the submission's programs load imports a third-party package at once,
    and is a warning where nothing does.
    """

    code = "PKG001"
    name = "no-project-table"
    requirements = ("X1",)
    severity = Severity.BLOCKING
    consequence = Consequence.CRASHES
    message = "pyproject.toml has no [project] table{instead}"
    explanation = "uv reads dependencies only from [project], so it installs nothing, and {what}."
    repair = 'Add a [project] table with name, version and dependencies = ["numpy>=1.26", ...], in PEP 508 form.'

    VALID = (
        Example({"pyproject.toml": _PROJECT, "src/main.py": "import numpy\n"}),
        Example({"pyproject.toml": f"{_PROJECT}\n{_POETRY}", "src/main.py": "import numpy\n"}),
    )
    INVALID = (
        Example(
            {"pyproject.toml": _POETRY, "src/main.py": "import numpy\n"},
            at=("pyproject.toml:1",),
            repaired={"pyproject.toml": _PROJECT},
        ),
        Example(
            {"pyproject.toml": "[tool.ruff]\nline-length = 100\n", "src/main.py": "import numpy\n"},
            at=("pyproject.toml:1",),
            repaired={"pyproject.toml": _PROJECT},
        ),
        Example({"pyproject.toml": _POETRY, "src/main.py": "print(1)\n"}, at=("pyproject.toml:1",)),
        # a group that uv installs by default brings what is imported
        Example(
            {"pyproject.toml": '[dependency-groups]\ndev = ["numpy"]\n', "src/main.py": "import numpy\n"},
            at=("pyproject.toml:1",),
        ),
        # a workspace without a project of its own: uv installs what its members need
        Example(
            {"pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*"]\n', "src/main.py": "import numpy\n"},
            at=("pyproject.toml:1",),
        ),
        Example(
            {"pyproject.toml": 'project = "a"\n', "src/main.py": "print(1)\n"},
            at=("pyproject.toml:1",),
            repaired={"pyproject.toml": _PROJECT},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        metadata = project.pyproject
        if metadata is None:
            if "pyproject.toml" not in project.submission:
                return
            metadata = PyProject("pyproject.toml", "")
        if metadata.error or isinstance(metadata.get("project"), dict):
            return
        if "project" in metadata.data:
            yield self.finding(
                metadata.path,
                metadata.line("project"),
                symbol="project",
                message="pyproject.toml has a key project that is no table",
                explanation="uv refuses the file before it installs anything.",
            )
            return
        poetry = metadata.line("tool", "poetry")
        line = metadata.lines.get("tool.poetry") or metadata.lines.get("tool.poetry.dependencies") or poetry or 1
        instead = "; its dependencies stand in Poetry's tables" if metadata.table("tool", "poetry") else ""
        stops = first_missing_import(project, metadata)
        if stops is None:
            yield self.finding(
                metadata.path,
                line,
                severity=Severity.WARNING,
                symbol="project",
                instead=instead,
                what="whatever is imported later is missing",
            )
            return
        yield self.finding(
            metadata.path,
            line,
            symbol="tool.poetry" if instead else "project",
            frames=(Frame(stops.file.path, stops.item.node.lineno),),
            detail=f"uv installs no package for this file; {stops.file.path} imports {stops.module} at once",
            instead=instead,
            what=f"import {stops.module} ({stops.file.path}:{stops.item.node.lineno}) raises ModuleNotFoundError",
        )


def first_missing_import(project: Project, metadata: PyProject) -> ThirdPartyImport | None:
    """The first import that certainly runs and finds nothing that uv installs; None where that is not certain."""
    if installs_by_itself(project) or metadata.get("tool", "uv", "workspace") is not None:
        return None
    dependencies = dependencies_of(metadata)
    if dependencies.unknown:
        return None
    installed = [item for item in dependencies.declared if item.installed]
    if any(item.special for item in installed):
        return None
    there = possible(item.name for item in installed)
    found = [item for item in third_party_imports(project) if item.certain and item.distributions]
    order = {project.contract.role(role): number for number, role in enumerate(("main", "train", "evaluate"))}
    found.sort(key=lambda item: order.get(item.file.path, len(order)))
    return next((item for item in found if not item.distributions & there), None)
