"""PKG009: the [build-system] table cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement

from assay.analysis.declared_dependencies import BACKENDS, backend_of
from assay.analysis.libraries.distributions import canonical
from assay.analysis.packaging_metadata import PyProject
from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule

_HEAD = '[project]\nname = "a"\nversion = "0.1.0"\n'
_MAIN = {"src/main.py": "print(1)\n"}
# Distributions that bring no build backend but themselves.
_PLAIN = frozenset(BACKENDS.values()) | {"wheel", "pip", "packaging", "cython", "numpy", "ninja", "cmake", "torch"}


class UnusableBuildSystem(Rule):
    """`[build-system]` asks for a build that cannot start.

    It has no `requires`, lists something there that is no requirement, names a backend that the required packages
    do not hold, or a module that was never a backend. Because the table is there, uv builds the project before it
    runs anything; without it uv would only install the dependencies, which is all that experiment code needs.
    """

    code = "PKG009"
    name = "unusable-build-system"
    requirements = ("X1",)
    consequence = Consequence.CRASHES
    message = "[build-system] cannot be used: {why}"
    explanation = "uv builds the project before it runs anything, and that build cannot start."
    repair = "Remove the [build-system] table, or {other}."

    VALID = (
        Example({"pyproject.toml": f'[build-system]\nrequires = ["setuptools>=61", "wheel"]\n{_HEAD}', **_MAIN}),
        Example(
            {
                "pyproject.toml": f'[build-system]\nrequires = ["hatch-vcs"]\nbuild-backend = "hatchling.build"\n{_HEAD}'
                '[tool.hatch.build.targets.wheel]\npackages = ["src"]\n',
                **_MAIN,
            }
        ),
        Example(
            {
                "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
                + _HEAD,
                "backend.py": "x = 1\n",
                **_MAIN,
            }
        ),
        Example({"pyproject.toml": f"{_HEAD}[build-system]\n[tool.uv]\npackage = false\n", **_MAIN}),
    )
    INVALID = (
        Example(
            {"pyproject.toml": f'[build-system]\nbuild-backend = "hatchling.build"\n{_HEAD}', **_MAIN},
            at=("pyproject.toml:1",),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {"pyproject.toml": f'[build-system]\nrequires = "setuptools"\n{_HEAD}', **_MAIN},
            at=("pyproject.toml:2",),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {"pyproject.toml": f'[build-system]\nrequires = ["setuptools^61"]\n{_HEAD}', **_MAIN},
            at=("pyproject.toml:2",),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {"pyproject.toml": f'[build-system]\nrequires = ["hatchling"]\n{_HEAD}', **_MAIN},
            at=("pyproject.toml:2",),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {
                "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\n'
                f'build-backend = "setuptools.backends.legacy:build"\n{_HEAD}',
                **_MAIN,
            },
            at=("pyproject.toml:3",),
            repaired={"pyproject.toml": _HEAD},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        metadata = project.pyproject
        if metadata is None or metadata.error or backend_of(metadata) is None or "build-system" not in metadata.data:
            return
        found = _stop(metadata)
        if found is not None:
            key, why, other = found
            line = metadata.line("build-system", key)
            yield self.finding(metadata.path, line, symbol="build-system", detail=why, why=why, other=other)


def _stop(metadata: PyProject) -> tuple[str, str, str] | None:
    system = metadata.get("build-system")
    if not isinstance(system, dict):
        return "", "it is no table", "make it a table with requires and build-backend"
    required = system.get("requires")
    if required is None:
        return "requires", "it has no requires", 'add requires = ["setuptools"]'
    if not isinstance(required, list) or not all(isinstance(item, str) for item in required):
        return "requires", "requires is no list of strings", 'write requires = ["setuptools"]'
    names: set[str] = set()
    for item in required:
        try:
            names.add(canonical(Requirement(item).name))
        except InvalidRequirement:
            return "requires", f"{item[:80]!r} is no valid requirement", "write it in PEP 508 form"
    if "backend-path" in system:
        return None
    backend = system.get("build-backend", "setuptools.build_meta")
    module = str(backend).partition(":")[0]
    if module == "poetry.masonry.api":
        return "build-backend", f"{module} cannot build what uv asks for", "use poetry-core and poetry.core.masonry.api"
    if module.startswith("setuptools.") and module != "setuptools.build_meta":
        return "build-backend", f"setuptools has no backend {module}", "write setuptools.build_meta"
    distribution = BACKENDS.get(module)
    if distribution and distribution not in names and names <= _PLAIN:
        named = "" if "build-backend" in system else ", which is used where no build-backend is named"
        return "requires", f"requires does not list {distribution}{named}", f"add {distribution} to requires"
    return None
