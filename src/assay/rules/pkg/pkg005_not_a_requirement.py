"""PKG005: a dependency is no requirement that an installer can read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from packaging.requirements import InvalidRequirement, Requirement

from assay.analysis.declared_dependencies import requirement_lists
from assay.analysis.libraries.distributions import canonical
from assay.analysis.packaging_metadata import PyProject
from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

# More findings than this from one list say nothing new.
_MOST = 20
_HEAD = '[project]\nname = "a"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'


def _with(*requirements: str) -> dict[str, str]:
    listed = "".join(f"  {text!r},\n" for text in requirements)
    return {"pyproject.toml": f"{_HEAD}dependencies = [\n{listed}]\n"}


class NotARequirement(Rule):
    """A string in a list of dependencies is not a requirement as PEP 508 defines it.

    Poetry's `^1.2` and `~1.2`, a version without an operator, `==latest`, a comment inside the string: uv cannot
    read them and stops before it installs anything. In PEP 508 a caret becomes a range: `^1.2` is `>=1.2,<2`.

    uv forgives a few slips that PEP 440 does not allow (a missing comma, `>=2.*`, quotation marks around a version); other installers refuse these, so they are warnings.
    """

    code = "PKG005"
    name = "not-a-requirement"
    requirements = ("X1",)
    consequence = Consequence.CRASHES
    message = "{shown} is not a valid requirement"
    explanation = "{what}."
    repair = "Write {instead}."

    VALID = (
        Example(_with("numpy", "torch>=2.1,<3", "pandas ~= 2.1", "scipy==1.*", "wandb[media]>=0.16")),
        Example(_with("tomli>=2; python_version < '3.11'", "peft @ git+https://github.com/huggingface/peft")),
        # space around it, line ends included
        Example({"pyproject.toml": f'{_HEAD}dependencies = ["numpy>=1.26\\n", """\n  scipy"""]\n'}),
        Example(_with("torch==2.3.0+cu121", "scipy (>=1.11)", "tqdm>=4.66;python_version>='3.9'", "numpy !=1.24.*")),
        Example(
            {"pyproject.toml": f'{_HEAD}[dependency-groups]\nall = [{{include-group = "dev"}}]\ndev = ["pytest"]\n'}
        ),
    )
    INVALID = (
        Example(_with("numpy", "torch^2.1"), at=("pyproject.toml:7",), repaired=_with("numpy", "torch>=2.1,<3")),
        Example(_with("torch ~2.1"), at=("pyproject.toml:6",), repaired=_with("torch~=2.1")),
        Example(_with("torch==2.*.1"), at=("pyproject.toml:6",), repaired=_with("torch==2.*")),
        Example(_with("scikit learn"), at=("pyproject.toml:6",), repaired=_with("scikit-learn")),
        Example(_with("torch==latest"), at=("pyproject.toml:6",), repaired=_with("torch")),
        Example(_with("torch>=2.0 # training"), at=("pyproject.toml:6",), repaired=_with("torch>=2.0")),
        Example(_with("-r requirements.txt"), at=("pyproject.toml:6",), repaired=_with("torch")),
        Example(_with("torch>=2.*"), at=("pyproject.toml:6",)),
        Example(_with("torch>'2.0'", "numpy>=1.20<3"), at=("pyproject.toml:6", "pyproject.toml:7")),
        Example(
            {"pyproject.toml": f'{_HEAD}[project.optional-dependencies]\nplots = ["seaborn^0.13"]\n'},
            at=("pyproject.toml:6",),
            repaired={"pyproject.toml": f'{_HEAD}[project.optional-dependencies]\nplots = ["seaborn>=0.13"]\n'},
        ),
        Example(
            {"pyproject.toml": f'{_HEAD}[dependency-groups]\ndev = [{{include-group = "test"}}]\n'},
            at=("pyproject.toml:6",),
            repaired={"pyproject.toml": f"{_HEAD}[dependency-groups]\ndev = []\n"},
        ),
        Example(
            {"pyproject.toml": f"{_HEAD}dependencies = [1]\n"},
            at=("pyproject.toml:5",),
            repaired={"pyproject.toml": f"{_HEAD}dependencies = []\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        metadata = project.pyproject
        if metadata is None or metadata.error or not isinstance(metadata.get("project"), dict | None):
            return
        for path, held in requirement_lists(metadata):
            if path[0] == "project" and not metadata.table("project"):
                continue
            bad = (outcome for item in held for outcome in self._item(metadata, path, item))
            yield from islice(bad, _MOST)

    def _item(self, metadata: PyProject, path: tuple[str, ...], item: object) -> Iterator[Outcome]:
        start = metadata.line(*path)
        if not isinstance(item, str):
            if path[0] == "dependency-groups" and isinstance(item, dict):
                yield from self._include(metadata, path, item)
                return
            yield self.finding(
                metadata.path,
                start,
                symbol=".".join(path),
                message="{shown} holds something that is no string",
                explanation="uv expects a list of strings here and refuses the file.",
                repair="Write each dependency as a string in PEP 508 form.",
                shown=".".join(path),
            )
            return
        try:
            Requirement(item.strip())
            return
        except InvalidRequirement as error:
            reason = str(error).split("\n", 1)[0]
        forgiven = _forgiven(item)
        yield self.finding(
            metadata.path,
            metadata.line_of_text(item, start or 1) or start,
            symbol=".".join(path),
            severity=Severity.WARNING if forgiven else None,
            detail=reason[:300],
            shown=repr(item[:80]),
            what=(
                "uv mends it silently, but pip and other installers refuse it"
                if forgiven
                else "uv cannot read it and stops before it installs anything"
            ),
            instead=_suggestion(item),
        )

    def _include(self, metadata: PyProject, path: tuple[str, ...], item: dict[str, object]) -> Iterator[Outcome]:
        """A group that takes in another one, which has to be there."""
        wanted = item.get("include-group")
        groups = {canonical(str(name)) for name in metadata.table("dependency-groups")}
        if isinstance(wanted, str) and canonical(wanted) not in groups:
            yield self.finding(
                metadata.path,
                metadata.line(*path),
                symbol=".".join(path),
                message="{key} includes the group {shown}, which is not there",
                explanation="uv refuses the file and stops before it installs anything.",
                repair="Add the group {shown} under [dependency-groups], or do not include it.",
                key=".".join(path),
                shown=repr(wanted[:80]),
            )


def _forgiven(text: str) -> bool:
    """Whether uv mends the requirement: the slips that it is known to forgive, undone, leave a valid one."""
    specifier, semicolon, marker = text.partition(";")
    mended = re.sub(r"(?<=[<>=~!\d.])\s*['\"](?=\d)|(?<=\d)['\"]", "", specifier)
    mended = re.sub(r"(>=|<=|>|<)(\s*\d+(?:\.\d+)*)\.\*", r"\1\2", mended)
    mended = re.sub(r"!=~", "!=", mended)
    mended = re.sub(r">\s*dev\b", ">0.0.0.dev0", mended)
    mended = re.sub(r"(\d)\s*(?=(?:>=|<=|==|!=|~=|>|<)\s*\d)", r"\1,", mended)
    mended = re.sub(r",\s*$", "", mended)
    try:
        Requirement(mended + semicolon + marker)
    except InvalidRequirement:
        return False
    return mended != specifier


def _suggestion(text: str) -> str:
    """A valid requirement that says the same, as far as that can be told."""
    match = re.match(r"\s*([A-Za-z0-9][\w.-]*(?:\[[\w,\s-]*\])?)\s*\^\s*=?(\d{1,9})((?:\.\d{1,9}){0,5})\s*$", text)
    if match:
        name, first, rest = match.groups()
        parts = [int(first), *(int(part) for part in rest.split(".")[1:])]
        fixed = next((place for place, part in enumerate(parts) if part), len(parts) - 1)
        upper = ".".join(str(part) for part in [*parts[:fixed], parts[fixed] + 1])
        return f'"{name}>={first}{rest},<{upper}"'
    match = re.match(r"\s*([A-Za-z0-9][\w.-]*(?:\[[\w,\s-]*\])?)\s*~\s*(\d+(?:\.\d+)+)\s*$", text)
    if match:
        return f'"{match.group(1)}~={match.group(2)}"'
    return 'it in PEP 508 form, such as "numpy>=1.26,<3"'
