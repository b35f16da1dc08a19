"""CFG006: a run of the brief has no configuration, or a run file carries the id of another run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided
from assay.submission.brief import Brief, Run
from assay.yaml_tree import Scalar, find

_TWO_RUNS = Brief(runs=(Run("proposed-a"), Run("baseline-a")))
_A = "run_id: proposed-a\nmethod: proposed\n"
_B = "run_id: baseline-a\nmethod: baseline\n"


class MissingRunFile(Rule):
    """Each run that the brief names needs a file of its name, with its id inside.

    The command line says `run=ID`; the program looks for ID.yaml. A file that holds another `run_id` than its name
    makes results appear under the wrong run, which is a warning, because code may never read the key.
    """

    code = "CFG006"
    name = "missing-run-file"
    requirements = ("E7.2",)
    message = "the run `{run_id}` of the brief has no configuration"
    explanation = "`run={run_id}` finds neither {path} nor a configuration in the brief."
    repair = "Add {path}."

    VALID = (
        Example(
            {
                "config/runs/proposed-a.yaml": _A,
                "config/runs/baseline-a.yaml": _B,
                "config/config.yaml": "mode: full\n",
            },
            brief=_TWO_RUNS,
        ),
        # the folder may have the older name, a file either ending
        Example({"config/run/proposed-a.yaml": _A, "config/run/baseline-a.yml": _B}, brief=_TWO_RUNS),
        # a file may take its id from elsewhere
        Example({"config/runs/proposed-a.yaml": "run_id: ${run}\n"}, brief=Brief(runs=(Run("proposed-a"),))),
        Example({"config/config.yaml": "mode: full\n"}),
    )
    INVALID = (
        Example(
            {"config/runs/proposed-a.yaml": _A},
            brief=_TWO_RUNS,
            at=("config/runs/baseline-a.yaml",),
            repaired={"config/runs/baseline-a.yaml": _B},
        ),
        Example(
            {"config/runs/proposed-a.yaml": "method: proposed\nrun_id: a\n"}, at=("config/runs/proposed-a.yaml:2",)
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        contract = project.contract
        if not contract.run_folders:
            return
        there = {PurePosixPath(path).stem for path in project.submission.files if contract.is_run_file(path)}
        if not project.brief.run_ids:
            yield Undecided("the brief names no runs")
        renamed = set()
        for path, file in project.run_files.items():
            node = find(file.root, "run_id")
            name = PurePosixPath(path).stem
            if not isinstance(node, Scalar) or "${" in node.text or node.text in (name, "", "???"):
                continue
            renamed.add(node.text)
            yield self.finding(
                path,
                node,
                severity=Severity.WARNING,
                run=name,
                message="the file of run `{name}` says that its run_id is `{run_id}`",
                explanation="Results may appear under another name than the run that was asked for.",
                repair="Set run_id to `{name}`, or rename the file.",
                name=name,
                run_id=node.text,
            )
        for run_id in dict.fromkeys(project.brief.run_ids):
            if run_id in there or not _is_file_name(run_id):
                continue
            path = f"{contract.run_folders[0]}/{run_id}.yaml"
            elsewhere = run_id in renamed or any(_spells(file, run_id) for file in project.python.values())
            yield self.finding(
                path,
                severity=Severity.WARNING if elsewhere else None,
                run=run_id,
                run_id=run_id,
                path=path,
            )


def _is_file_name(run_id: str) -> bool:
    return bool(run_id) and "/" not in run_id and "\\" not in run_id and "\n" not in run_id


def _spells(file: PythonFile, run_id: str) -> bool:
    """Whether code names the run itself; it may then hold its configuration, too."""
    return f'"{run_id}"' in file.text or f"'{run_id}'" in file.text
