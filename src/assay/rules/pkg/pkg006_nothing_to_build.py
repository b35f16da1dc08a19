"""PKG006: the build backend finds no package that it could build."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from assay.analysis.declared_dependencies import backend_of
from assay.analysis.packaging_metadata import PyProject
from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule, Undecided

_HEAD = '[project]\nname = "demo-study"\nversion = "0.1.0"\n'
_MAIN = {"src/main.py": "print(1)\n"}
_HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
_POETRY = '[build-system]\nrequires = ["poetry-core"]\nbuild-backend = "poetry.core.masonry.api"\n'
_SETUP = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
_UV = '[build-system]\nrequires = ["uv_build"]\nbuild-backend = "uv_build"\n'
_UV_SRC = '[tool.uv.build-backend]\nmodule-name = "src"\nmodule-root = ""\nnamespace = true\n'
# Keys that choose what hatchling ships (hatch.pypa.io/latest/config/build/#file-selection); with one of them it does
# not look for a package that is named like the project.
_HATCH_CHOICES = frozenset(
    {"packages", "include", "only-include", "force-include", "dev-mode-dirs", "bypass-selection", "hooks"}
)


class NothingToBuild(Rule):
    """A `[build-system]` table makes uv build and install the project, and its backend finds nothing to install.

    hatchling, poetry-core and uv_build look for a package that is named like the project. Experiment code lies in
    `src/` as `src.main`, `src.train` and so on, so no such package is there unless the project file says what to
    ship, and `uv run` stops while it builds. setuptools stops where a package or folder that the project file names
    is missing, and where several packages lie side by side and there is no `src` folder. Without `[build-system]`
    uv installs the dependencies alone and none of this happens.
    """

    code = "PKG006"
    name = "nothing-to-build"
    requirements = ("X1",)
    consequence = Consequence.CRASHES
    message = "the build backend {backend} stops: {why}"
    explanation = "uv builds the project before it runs anything, and that build fails."
    repair = "Remove the [build-system] table, or {other}."

    VALID = (
        Example({"pyproject.toml": _HEAD, **_MAIN}),
        Example({"pyproject.toml": f"{_SETUP}{_HEAD}", **_MAIN}),
        Example({"pyproject.toml": f"{_HATCH}{_HEAD}[tool.uv]\npackage = false\n", **_MAIN}),
        Example({"pyproject.toml": f'{_HATCH}{_HEAD}[tool.hatch.build.targets.wheel]\npackages = ["src"]\n', **_MAIN}),
        Example({"pyproject.toml": f'{_HATCH}{_HEAD}[tool.hatch.build]\ninclude = ["src/**"]\n', **_MAIN}),
        Example({"pyproject.toml": f"{_HATCH}{_HEAD}", "src/demo_study/__init__.py": "", **_MAIN}),
        Example({"pyproject.toml": f'{_POETRY}{_HEAD}[tool.poetry]\npackages = [{{include = "src"}}]\n', **_MAIN}),
        Example({"pyproject.toml": f"{_UV}{_HEAD}", "src/demo_study/__init__.py": "", **_MAIN}),
        Example({"pyproject.toml": f'{_SETUP}{_HEAD}[tool.setuptools]\npackages = ["src"]\n', **_MAIN}),
    )
    INVALID = (
        Example(
            {"pyproject.toml": f"{_HATCH}{_HEAD}", **_MAIN},
            at=("pyproject.toml:1",),
            repaired={"pyproject.toml": f'{_HATCH}{_HEAD}[tool.hatch.build.targets.wheel]\npackages = ["src"]\n'},
        ),
        Example(
            {"pyproject.toml": f"{_POETRY}{_HEAD}", **_MAIN},
            at=("pyproject.toml:1",),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {"pyproject.toml": f'{_POETRY}{_HEAD}[tool.poetry]\npackages = [{{include = "demo"}}]\n', **_MAIN},
            at=("pyproject.toml:8",),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {"pyproject.toml": f"{_POETRY}{_HEAD}[tool.poetry]\npackage-mode = false\n", **_MAIN},
            at=("pyproject.toml:8",),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {"pyproject.toml": f"{_UV}{_HEAD}", **_MAIN},
            at=("pyproject.toml:1",),
            repaired={"pyproject.toml": f"{_UV}{_HEAD}{_UV_SRC}"},
        ),
        Example(
            {"pyproject.toml": f'{_SETUP}{_HEAD}[tool.setuptools]\npackages = ["demo"]\n', **_MAIN},
            at=("pyproject.toml:8",),
            repaired={"pyproject.toml": f'{_SETUP}{_HEAD}[tool.setuptools]\npackages = ["src"]\n'},
        ),
        Example(
            {"pyproject.toml": f'{_SETUP}{_HEAD}[tool.setuptools.packages.find]\nwhere = ["lib"]\n', **_MAIN},
            at=("pyproject.toml:8",),
            repaired={"pyproject.toml": f'{_SETUP}{_HEAD}[tool.setuptools.packages.find]\nwhere = ["src"]\n'},
        ),
        Example(
            {"pyproject.toml": f'{_SETUP}{_HEAD}[tool.setuptools.package-data]\n"" = ["config/*.yaml"]\n', **_MAIN},
            at=("pyproject.toml:7",),
            repaired={"pyproject.toml": f'{_SETUP}{_HEAD}[tool.setuptools.package-data]\n"*" = ["config/*.yaml"]\n'},
        ),
        Example(
            {"pyproject.toml": f"{_SETUP}{_HEAD}", "main.py": "", "lib/__init__.py": "", "models/__init__.py": ""},
            at=("pyproject.toml:1",),
            repaired={"pyproject.toml": _HEAD},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        metadata = project.pyproject
        if metadata is None or metadata.error:
            return
        backend = backend_of(metadata)
        if backend is None:
            return
        files = project.submission.files
        if any(path in files for path in ("setup.py", "setup.cfg", "hatch.toml", "hatch_build.py")):
            yield Undecided("the build is configured outside pyproject.toml")
            return
        looks = {"hatchling": _hatchling, "poetry-core": _poetry, "uv-build": _uv_build, "setuptools": _setuptools}
        found = looks[backend](metadata, list(files)) if backend in looks else None
        if found is not None:
            key, why, other = found
            yield self.finding(
                metadata.path,
                metadata.line(*key),
                symbol="build-system",
                detail=why,
                backend=backend,
                why=why,
                other=other,
            )


# The key that is to blame, why the build stops, and what to do instead of removing [build-system].
_Stop = tuple[tuple[str, ...], str, str]
_SYSTEM = ("build-system",)


def _missing_package(metadata: PyProject, paths: list[str]) -> str | None:
    """The name of the package that a backend looks for by itself; None where some file or folder may be it."""
    name = metadata.get("project", "name")
    name = re.sub(r"[-_.]+", "_", name).lower() if isinstance(name, str) else ""
    parts = {part.removesuffix(".py") for path in paths for part in path.lower().split("/")}
    return name if name and name not in {re.sub(r"[-.]", "_", part) for part in parts} else None


def _folders(paths: list[str]) -> set[str]:
    return {str(parent) for path in paths for parent in PurePosixPath(path).parents}


def _hatchling(metadata: PyProject, paths: list[str]) -> _Stop | None:
    build = metadata.table("tool", "hatch", "build")
    chosen = {*build, *metadata.table("tool", "hatch", "build", "targets", "wheel")} & _HATCH_CHOICES
    name = _missing_package(metadata, paths)
    if name is None or chosen:
        return None
    other = 'add [tool.hatch.build.targets.wheel] with packages = ["src"]'
    return _SYSTEM, f"it looks for a package {name} to ship and finds none", other


def _poetry(metadata: PyProject, paths: list[str]) -> _Stop | None:
    table = metadata.table("tool", "poetry")
    if table.get("package-mode") is False:
        why = "package-mode = false forbids to build, and uv asks it to"
        return ("tool", "poetry", "package-mode"), why, "set tool.uv.package = false"
    packages = table.get("packages")
    for item in packages if isinstance(packages, list) else ():
        place = item.get("include") if isinstance(item, dict) and "from" not in item else None
        if not isinstance(place, str) or re.search(r"[*?\[]|\.", place):
            return None
        if place not in paths and str(PurePosixPath(place)) not in _folders(paths):
            why = f"the package {place} is not there"
            return ("tool", "poetry", "packages"), why, "name the folder that holds the code, src"
    name = _missing_package(metadata, paths)
    if name is None or "packages" in table or "name" in table:
        return None
    other = 'add [tool.poetry] with packages = [{include = "src"}]'
    return _SYSTEM, f"it looks for a package {name} and finds none", other


def _uv_build(metadata: PyProject, paths: list[str]) -> _Stop | None:
    name = _missing_package(metadata, paths)
    if name is None or name.endswith("_stubs") or metadata.get("tool", "uv", "build-backend"):
        return None
    other = 'add [tool.uv.build-backend] with module-name = "src", module-root = "" and namespace = true'
    return _SYSTEM, f"it expects a package at src/{name}/__init__.py", other


def _setuptools(metadata: PyProject, paths: list[str]) -> _Stop | None:
    table = metadata.table("tool", "setuptools")
    folders = _folders(paths)
    if "" in metadata.table("tool", "setuptools", "package-data"):
        why = 'the empty name in package-data is not allowed; every package is "*"'
        return ("tool", "setuptools", "package-data"), why, 'write "*" in its place'
    if table.keys() & {"package-dir", "ext-modules", "py-modules", "script-files"}:
        return None
    packages = table.get("packages")
    for item in packages if isinstance(packages, list) else ():
        if isinstance(item, str) and item and item.replace(".", "/") not in folders:
            why = f"the package {item} is not there"
            return ("tool", "setuptools", "packages"), why, "name the folder that holds the code, src"
    where = metadata.get("tool", "setuptools", "packages", "find", "where")
    for item in where if isinstance(where, list) else ():
        if isinstance(item, str) and "." not in item and item.strip("/") not in folders:
            why = f"the folder {item} in which packages are looked for is not there"
            return ("tool", "setuptools", "packages", "find", "where"), why, "name a folder that is there"
    if "packages" in table or "src" in folders:
        return None
    plain = sorted({path.split("/")[0] for path in paths if re.fullmatch(r"[a-z]\w*/__init__\.py", path)})
    side_by_side = [name for name in plain if name not in _SETUPTOOLS_PASSES_OVER]
    if len(side_by_side) < 2:
        return None
    why = f"several packages lie side by side ({', '.join(side_by_side[:4])}) and none is chosen"
    return _SYSTEM, why, "add [tool.setuptools] with a list packages"


# Folders that setuptools takes for no part of a flat layout (its documentation, "Package Discovery").
_SETUPTOOLS_PASSES_OVER = frozenset(
    {
        "ci", "bin", "debian", "doc", "docs", "documentation", "manpages", "news", "newsfragments", "changelog", "test",
        "tests", "unit_test", "unit_tests", "example", "examples", "scripts", "tools", "util", "utils", "python",
        "build", "benchmark", "benchmarks", "exercise", "exercises", "htmlcov", "tasks", "fabfile", "site_scons",
    }
)  # fmt: skip
