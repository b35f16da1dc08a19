"""PKG007: a field of [project] is missing, invalid, or names a file that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from assay.analysis.declared_dependencies import backend_of
from assay.analysis.packaging_metadata import PyProject
from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_HEAD = '[project]\nname = "demo-study"\nversion = "0.1.0"\n'
_MAIN = {"src/main.py": "print(1)\n"}
_HATCH = '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
_SHIPS = '[tool.hatch.build.targets.wheel]\npackages = ["src"]\n'
_SETUP = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
# Backends that open these files while they build; setuptools only warns.
_OPENS_README = frozenset({"hatchling", "poetry-core", "uv-build"})
_OPENS_LICENSE_FILES = frozenset({"poetry-core", "uv-build"})
# The keys of the table (packaging.python.org/en/latest/specifications/pyproject-toml); setuptools refuses others.
_KEYS = frozenset(
    {
        "authors", "classifiers", "dependencies", "description", "dynamic", "entry-points", "gui-scripts",
        "import-names", "import-namespaces", "keywords", "license", "license-files", "maintainers", "name",
        "optional-dependencies", "readme", "requires-python", "scripts", "urls", "version",
    }
)  # fmt: skip


class InvalidField(Rule):
    """A field of the `[project]` table is missing, has a value that is not allowed, or names a missing file.

    uv itself requires a valid `name`, a `version` (or its mention in `dynamic`), and a `requires-python` that is a
    version range, and it refuses the file otherwise. Where a `[build-system]` table makes it build the project, the
    backend checks more: a readme and a licence file must be there for hatchling, poetry-core and uv_build, authors
    are tables, a script is `module:function`, setuptools knows every key.
    """

    code = "PKG007"
    name = "invalid-field"
    requirements = ("X1",)
    consequence = Consequence.CRASHES
    message = "{what}"
    explanation = "{who} stops before anything is installed."
    repair = "{fix}."

    VALID = (
        Example({"pyproject.toml": _HEAD, **_MAIN}),
        Example({"pyproject.toml": '[project]\nname = "a"\ndynamic = ["version"]\n', **_MAIN}),
        Example({"pyproject.toml": f'{_HEAD}requires-python = ">=3.10,<3.13"\nreadme = "README.md"\n', **_MAIN}),
        # setuptools passes over a missing readme
        Example({"pyproject.toml": f'{_SETUP}{_HEAD}readme = "README.md"\n', **_MAIN}),
        Example({"pyproject.toml": f'{_HATCH}{_HEAD}readme = "README.md"\n{_SHIPS}', "README.md": "a\n", **_MAIN}),
        Example({"pyproject.toml": f'{_HEAD}authors = ["A <a@example.org>"]\nauthor = "A"\n', **_MAIN}),
    )
    INVALID = (
        Example(
            {"pyproject.toml": '[project]\nversion = "0.1.0"\n', **_MAIN},
            at=("pyproject.toml:1",),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {"pyproject.toml": '[project]\nname = "a"\n', **_MAIN},
            at=("pyproject.toml:1",),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {"pyproject.toml": '[project]\nname = "my study"\nversion = "first"\n', **_MAIN},
            at=("pyproject.toml:2", "pyproject.toml:3"),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {"pyproject.toml": f'{_HEAD}requires-python = "^3.10"\n', **_MAIN},
            at=("pyproject.toml:4",),
            repaired={"pyproject.toml": f'{_HEAD}requires-python = ">=3.10"\n'},
        ),
        Example(
            {"pyproject.toml": '[project]\nname = "a"\ndynamic = "version"\nversion = "1"\n', **_MAIN},
            at=("pyproject.toml:3",),
            repaired={"pyproject.toml": _HEAD},
        ),
        Example(
            {"pyproject.toml": f'{_HATCH}{_HEAD}dynamic = ["version"]\n{_SHIPS}', **_MAIN},
            at=("pyproject.toml:7",),
            repaired={"pyproject.toml": f"{_HATCH}{_HEAD}{_SHIPS}"},
        ),
        Example(
            {"pyproject.toml": f"{_HEAD}requires-python = 3.10\n", **_MAIN},
            at=("pyproject.toml:4",),
            repaired={"pyproject.toml": f'{_HEAD}requires-python = ">=3.10"\n'},
        ),
        Example(
            {"pyproject.toml": f'{_HATCH}{_HEAD}readme = "README.md"\n{_SHIPS}', **_MAIN},
            at=("pyproject.toml:7",),
            repaired={"pyproject.toml": f"{_HATCH}{_HEAD}{_SHIPS}"},
        ),
        Example(
            {"pyproject.toml": f'{_HATCH}{_HEAD}license = {{file = "LICENSE"}}\n{_SHIPS}', **_MAIN},
            at=("pyproject.toml:7",),
            repaired={"pyproject.toml": f"{_HATCH}{_HEAD}{_SHIPS}"},
        ),
        Example(
            {"pyproject.toml": f'{_SETUP}{_HEAD}authors = ["A <a@example.org>"]\nauthor = "A"\n', **_MAIN},
            at=("pyproject.toml:7", "pyproject.toml:8"),
            repaired={"pyproject.toml": f'{_SETUP}{_HEAD}authors = [{{name = "A"}}]\n'},
        ),
        Example(
            {"pyproject.toml": f'{_SETUP}{_HEAD}[project.scripts]\ntrain = "src.main"\n', **_MAIN},
            at=("pyproject.toml:8",),
            repaired={"pyproject.toml": f'{_SETUP}{_HEAD}[project.scripts]\ntrain = "src.main:main"\n'},
        ),
        Example(
            {"pyproject.toml": f'{_HATCH}[project]\nname = "a"\ndynamic = ["version"]\n{_SHIPS}', **_MAIN},
            at=("pyproject.toml:6",),
            repaired={"pyproject.toml": f"{_HATCH}{_HEAD}{_SHIPS}"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        metadata = project.pyproject
        if metadata is None or metadata.error or not isinstance(metadata.get("project"), dict):
            return
        for key, what, fix in _required(metadata):
            yield self.finding(
                metadata.path, metadata.line("project", key), symbol=f"project.{key}", what=what, who="uv", fix=fix
            )
        backend = backend_of(metadata)
        if backend is None:
            return
        whole = project.submission.kind in ("folder", "revision")
        for path, what, fix, is_file in _built(metadata, backend, frozenset(project.submission.files)):
            yield self.finding(
                metadata.path,
                metadata.line("project", *path),
                severity=Severity.WARNING if is_file and not whole else None,
                symbol=".".join(("project", *path)),
                what=what,
                who=f"The build backend {backend}, which uv calls first,",
                fix=fix,
            )


def _required(metadata: PyProject) -> Iterator[tuple[str, str, str]]:
    """What uv itself refuses: the key, what is wrong, what to do."""
    table = metadata.table("project")
    dynamic = _names(table.get("dynamic"))
    name = table.get("name")
    if name is None:
        yield "name", "[project] has no name", 'Add name = "..."'
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        yield "name", f"{_shown(name)} is no valid project name", "Use letters, digits, hyphens and underscores only"
    version = table.get("version")
    if version is None and "version" not in dynamic:
        yield "version", "[project] has no version", 'Add version = "0.1.0"'
    elif version is not None and not _is_version(version):
        yield "version", f"{_shown(version)} is no valid version", 'Write a version such as "0.1.0"'
    if "dynamic" in table and not isinstance(table["dynamic"], list):
        yield "dynamic", f"dynamic is {_shown(table['dynamic'])}, which is no list", 'Write a list such as ["version"]'
    python = table.get("requires-python")
    if python is not None and not _is_range(python):
        yield "requires-python", f"{_shown(python)} is no valid version range", 'Write a range such as ">=3.10"'


def _built(
    metadata: PyProject, backend: str, files: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], str, str, bool]]:
    """What a backend refuses: the key, what is wrong, what to do, and whether a file is missing."""
    table = metadata.table("project")
    dynamic = _names(table.get("dynamic"))
    readme = table.get("readme")
    if isinstance(readme, dict) and "file" in readme and "content-type" not in readme:
        yield ("readme",), "the table readme has no content-type", 'Write readme = "README.md"', False
    path = readme.get("file") if isinstance(readme, dict) else readme
    if backend in _OPENS_README and _is_missing(path, files):
        yield ("readme",), f"the readme {path} is not there", f"Remove the key readme, or add {path}", True
    licence = table.get("license")
    path = licence.get("file") if isinstance(licence, dict) else None
    if backend in _OPENS_README and _is_missing(path, files):
        yield ("license",), f"the licence file {path} is not there", f"Remove the key license, or add {path}", True
    listed = table.get("license-files")
    for path in listed if isinstance(listed, list) and backend in _OPENS_LICENSE_FILES else ():
        if _is_missing(path, files):
            yield ("license-files",), f"the licence file {path} is not there", f"Remove {path} from license-files", True
    if backend in ("setuptools", "hatchling", "poetry-core", "uv-build"):
        for key in ("authors", "maintainers"):
            people = table.get(key)
            if isinstance(people, list) and any(isinstance(person, str) for person in people):
                fix = f'Write {key} = [{{name = "..."}}]'
                yield (key,), f"{key} lists strings where tables are required", fix, False
        for name, target in metadata.table("project", "scripts").items():
            if isinstance(target, str) and re.fullmatch(r"[\w.]+", target):
                what = f"the script {name} names the module {target} and no function in it"
                yield ("scripts", str(name)), what, f'Write "{target}:main", or remove the script', False
    if backend == "setuptools":
        for key in table:
            if key not in _KEYS:
                yield (str(key),), f"[project] has no field {key}", f"Remove {key} from [project]", False
    if "version" in dynamic and "version" not in table:
        keeps = {"hatchling": ("tool", "hatch", "version"), "poetry-core": ("tool", "poetry", "version")}.get(backend)
        if keeps and not metadata.get(*keeps) and not metadata.table("tool", "hatch", "metadata"):
            what = f"the version is dynamic, and [{'.'.join(keeps[:-1])}] has no {keeps[-1]}"
            yield ("dynamic",), what, 'Write version = "0.1.0" in [project] and take it out of dynamic', False
    if "version" in dynamic and "version" in table and backend in ("setuptools", "hatchling", "uv-build"):
        yield ("dynamic",), "the version is both given and listed as dynamic", "Take version out of dynamic", False
    if backend == "flit-core" and "description" not in table and "description" not in dynamic:
        yield (), "[project] has no description, which flit requires", 'Add description = "..."', False


def _names(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _shown(value: object) -> str:
    return repr(value)[:80]


def _is_version(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(Version(value))
    except InvalidVersion:
        return False


def _is_range(value: object) -> bool:
    if not isinstance(value, str) or value.strip().endswith(","):
        return False
    try:
        SpecifierSet(value)
    except InvalidSpecifier:
        return False
    return True


def _is_missing(path: object, files: frozenset[str]) -> bool:
    if not isinstance(path, str) or not path or path.startswith("/") or re.search(r"[*?\[\]]|\.\.", path):
        return False
    return str(PurePosixPath(path)) not in files
