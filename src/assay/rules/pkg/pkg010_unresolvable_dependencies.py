"""PKG010: uv finds no set of versions that satisfies the declared dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.declared_dependencies import requirement_lists
from assay.analysis.libraries.distributions import canonical
from assay.analysis.packaging_metadata import PyProject
from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule, Undecided

_LONGEST = 600


def _asking(*requirements: str, python: str = ">=3.10") -> dict[str, str]:
    listed = "".join(f"  {text!r},\n" for text in requirements)
    head = f'[project]\nname = "demo"\nversion = "0.1.0"\nrequires-python = "{python}"\n'
    return {"pyproject.toml": f"{head}dependencies = [\n{listed}]\n"}


class UnresolvableDependencies(Rule):
    """uv was asked for an environment (`--resolve`) and says that there can be none.

    A version that was never published, a name that no index knows, two dependencies that exclude each other, a
    `requires-python` that goes further down than a dependency does: uv resolves for every Python that the project
    admits, and stops at the first that has no solution. `uv run` and `uv sync` then start nothing.

    Only uv's own refusal counts. Where a network fails, where a distribution exists as source alone, or where the
    project has settings for uv that a review does not obey, the question stays undecided.
    """

    code = "PKG010"
    name = "unresolvable-dependencies"
    requirements = ("X1",)
    consequence = Consequence.CRASHES
    message = "uv cannot resolve the dependencies as of {day}"
    explanation = "{said}"
    repair = "{repair_of}."

    VALID = (
        Example(_asking("numpy>=1.26")),
        Example(_asking("numpy>=1.26"), uv_says=""),
    )
    INVALID = (
        Example(
            _asking("pandas", "numpy>=99"),
            at=("pyproject.toml:7",),
            repaired=_asking("pandas", "numpy>=1.26"),
            uv_says=(
                "No solution found when resolving dependencies Because only numpy<=2.3.5 is available and your project "
                "depends on numpy>=99, we can conclude that your project's requirements are unsatisfiable."
            ),
        ),
        Example(
            _asking("torch>=2.9", python=">=3.9"),
            at=("pyproject.toml:6",),
            repaired=_asking("torch>=2.9"),
            uv_says=(
                "No solution found when resolving dependencies for split (markers: python_full_version == '3.9.*') "
                "Because the requested Python version (>=3.9) does not satisfy Python>=3.10 and torch>=2.9.0 depends on "
                "Python>=3.10, we can conclude that torch>=2.9.0 cannot be used."
            ),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        resolution = project.resolution
        if resolution is None or project.pyproject is None:
            return
        if resolution.undecided:
            yield Undecided(resolution.undecided, ("X1",))
        if not resolution.refusal:
            return
        said = re.sub(
            r"^No solution found when resolving dependencies(?: for split \(.*?'\))?:?\s*", "", resolution.refusal
        )
        name, line = _named(project.pyproject, said)
        about_python = "requested Python version" in said
        repair = "Ask for versions of {} that exist together on that day"
        yield self.finding(
            project.pyproject.path,
            line,
            symbol=name or "project.dependencies",
            detail=resolution.refusal[:_LONGEST],
            day=project.as_of.isoformat(),
            said=(said[:_LONGEST].rstrip(". ") or "It gives no reason") + ".",
            repair_of=(
                "Raise requires-python to what the dependencies support"
                if about_python
                else repair.format(name or "the dependencies")
            ),
        )


def _named(metadata: PyProject, said: str) -> tuple[str, int | None]:
    """The declared dependency that uv's words mention first, and its line."""
    found: list[tuple[int, str, int | None]] = []
    for path, held in requirement_lists(metadata):
        start = metadata.line(*path)
        for item in held:
            match = re.match(r"\s*([A-Za-z0-9][\w.-]*)", item) if isinstance(item, str) else None
            if match is None:
                continue
            name = canonical(match.group(1))
            place = re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", said)
            if place:
                found.append((place.start(), name, metadata.line_of_text(item, start or 1) or start))
    if found:
        _, name, line = min(found)
        return name, line
    return "", metadata.line("project", "dependencies")
