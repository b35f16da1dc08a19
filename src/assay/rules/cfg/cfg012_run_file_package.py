"""CFG012: the keys of a run file land under another node than the one that the code reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.configuration_faults import MissingKey, missing_keys
from assay.analysis.project import Project
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_MAIN = """import hydra


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    print({})


if __name__ == "__main__":
    main()
"""
_CONFIG = "defaults:\n  - _self_\n  - run: ???\n\nresults_dir: results\nmode: full\n"
_RUN = "run_id: a\ntraining: {lr: 0.1}\n"


def _files(expression: str, run: str = _RUN) -> dict[str, str]:
    return {
        "src/main.py": _MAIN.replace("{}", expression),
        "config/config.yaml": _CONFIG,
        "config/run/a.yaml": run,
    }


class RunFilePackage(Rule):
    """A run file is composed under the name of its group, and the code reads its keys at the root.

    Hydra puts the content of `config/run/a.yaml` under `cfg.run`, unless the file begins with `# @package _global_`.
    Command line, folder, package and code have to agree. This is said once for all keys, at the run file.
    """

    code = "CFG012"
    name = "run-file-package"
    gate = "compose"
    requirements = ("E2.1", "E2.2", "E2.3", "E7.1")
    consequence = Consequence.CRASHES
    message = "its keys are composed under `{node}`, and the code uses {keys} at the root"
    explanation = "Each such {act} raises {error} ({which})."
    repair = "Begin the run files with `# @package _global_`, or read `cfg.{node}.{key}`."

    VALID = (
        Example(_files("cfg.training.lr", "# @package _global_\n" + _RUN)),
        Example(_files("cfg.run.training.lr")),
        # the defaults list says where the keys go: Hydra refuses `run=a`, and nothing lands under `run`
        Example({**_files("cfg.training.lr"), "config/config.yaml": _CONFIG.replace("run: ???", "run@_global_: a")}),
    )
    INVALID = (
        Example(
            _files("cfg.training.lr"),
            at=("config/run/a.yaml:1",),
            repaired=_files("cfg.training.lr", "# @package _global_\n" + _RUN),
        ),
        Example(
            _files("cfg.training.lr"),
            at=("config/run/a.yaml:1",),
            repaired=_files("cfg.run.training.lr"),
        ),
        # it sets one, and cannot
        Example(
            _files("setattr(cfg.training, 'lr', 0.2)"),
            at=("config/run/a.yaml:1",),
            repaired=_files("setattr(cfg.run.training, 'lr', 0.2)"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        groups: dict[str, list[MissingKey]] = {}
        for missing in missing_keys(project):
            if missing.misplaced is not None:
                groups.setdefault(missing.misplaced, []).append(missing)
        for node, found in groups.items():
            found.sort(key=lambda missing: (not missing.reads[0].sure, missing.reads[0].stops))
            reads = [read for missing in found for read in missing.reads]
            first = reads[0]
            path = self._file(project, first.runs[0]) if first.runs else None
            refused = [one for one in project.enactment.seen("refused") if one.programs[0].parents]
            places = dict.fromkeys((one.file, one.line) for one in [*reads, *refused])
            # the other run files have the same to be repaired
            others = [(other, 1) for run in dict.fromkeys(run for read in reads for run in read.runs)
                      if (other := self._file(project, run)) is not None and other != path]  # fmt: skip
            keys = [missing.key for missing in found]
            yield self.finding(
                path or first.file,
                1 if path else first.place,
                severity=Severity.BLOCKING if first.sure else Severity.WARNING,
                node=node,
                keys=", ".join(f"`{key}`" for key in keys[:4]) + (" and more" if len(keys) > 4 else ""),
                key=keys[0],
                act="use",
                error=first.data["names"][0],
                which=first.where(),
                run=first.runs[0] if first.runs else None,
                symbol=node,
                detail=first.data["message"],
                frames=tuple(Frame(file, line) for file, line in [*others[:8], *places][:24]),
            )

    def _file(self, project: Project, run: str) -> str | None:
        """The file of a run."""
        name = re.compile(rf"(^|/){re.escape(run)}\.ya?ml$")
        return next((path for path in project.run_files if name.search(path)), None)
