"""LAY002: a file that the contract does not name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.lay.lay001_missing_file import _EIGHT
from assay.rules.rule import Example, Outcome, Rule

_SHOWN = 10
# Traces of editors and file managers; they are no part of what was written.
_TRACES = frozenset({"Thumbs.db", "desktop.ini"})
_RUN = {"config/runs/proposed-1.yaml": "run_id: proposed-1\n"}


class ExtraFile(Rule):
    """A submission holds a file besides those of its contract.

    Whoever takes the code over takes the named files and no others: what stands in a ninth file is lost on the way,
    and what imports it stops. An `__init__.py` or a `setup.py` also changes how the named files are found. Files that
    a contract exempts (a README, a licence, lock files, results, caches) do not count; run configurations are files
    of the contract where it has a folder for them.
    """

    code = "LAY002"
    name = "extra-file"
    requirements = ("B3.1", "B3.2", "D5.1", "E5.1", "E5.2")
    decides = ("B3.1", "B3.2", "D5.1", "E5.1", "E5.2")
    message = "{path} is not one of the contract's files"
    explanation = "The contract names every file of a submission; nothing may depend on another."
    repair = "Move what is needed of it into the files that the contract names, and remove it."

    VALID = (
        Example(_EIGHT, contract="base"),
        Example(_EIGHT | {"README.md": "a\n", "uv.lock": "a\n", "results/a.json": "{}\n"}, contract="base"),
        Example({"src/main.py": "x = 1\n", **_RUN}),
        # a derived submission keeps what its base has
        Example(_EIGHT | {"src/layers.py": "x = 1\n"}, contract="derived", base=_EIGHT | {"src/layers.py": "x = 1\n"}),
    )
    INVALID = (
        Example(
            _EIGHT | {"src/__init__.py": "", "setup.py": "x = 1\n"},
            contract="base",
            at=("src/__init__.py", "setup.py"),
            repaired={"src/__init__.py": None, "setup.py": None},
        ),
        Example(_EIGHT | _RUN, contract="base", at=tuple(_RUN), repaired=dict.fromkeys(_RUN)),
        Example(
            _EIGHT | {f"notes/{number}.txt": "a\n" for number in range(12)},
            contract="base",
            at=("submission",),
            repaired=dict.fromkeys(f"notes/{number}.txt" for number in range(12)),
        ),
        # what a file manager leaves behind: a warning
        Example(_EIGHT | {".DS_Store": "a\n"}, contract="base", at=(".DS_Store",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        extra: list[str] = []
        traces: list[str] = []
        kept = set(project.base.submission.files) if project.base and project.contract.family == "derived" else set()
        for path in project.paths:
            if path in project.contract.required or project.contract.is_run_file(path) or path in kept:
                continue
            name = PurePosixPath(path).name
            if "__pycache__" in PurePosixPath(path).parts or project.submission.files[path].laid:
                continue
            (traces if name.startswith(".") or name in _TRACES else extra).append(path)
        if len(extra) > _SHOWN:
            shown = ", ".join(extra[:_SHOWN])
            yield self.finding(
                None,
                message="{count} files are not the contract's, among them {shown}",
                repair="Move what is needed of them into the files that the contract names, and remove them.",
                count=len(extra),
                shown=shown,
            )
        else:
            for path in extra:
                yield self.finding(path, path=path)
        for path in traces[:_SHOWN]:
            yield self.finding(path, severity=Severity.WARNING, path=path)
