"""CFG013: a value of the configuration is used as what it is not."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.enacted_runs import Seen
from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_MAIN = """import hydra
from omegaconf import OmegaConf


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    {}


if __name__ == "__main__":
    main()
"""
_CONFIG = "run: ???\nresults_dir: results\nmode: full\ntraining: {lr: 0.1, name: 1e-3}\n"


def _files(statement: str, config: str = _CONFIG) -> dict[str, str]:
    return {
        "src/main.py": _MAIN.replace("{}", statement.replace("\n", "\n    ")),
        "config/config.yaml": config,
        "config/runs/a.yaml": "run_id: a\n",
    }


class ValueOfAnotherKind(Rule):
    """The code treats a text as a node, a node as a value, or a text as a number.

    `run=a` on the command line makes `cfg.run` the text `a`: `cfg.run.run_id` then raises. The rule follows the
    configured values of every run through the programs, and reports the operation that certainly raises.
    """

    code = "CFG013"
    name = "value-of-another-kind"
    gate = "compose"
    requirements = ("E2.2", "E2.3", "D4.3")
    consequence = Consequence.CRASHES
    message = "this certainly raises: {said}"
    explanation = "The value comes out of the configuration ({which})."
    repair = "Read the key that holds what is meant here, or convert the value before."

    VALID = (
        Example(_files("print(cfg.run.upper())")),
        Example(_files("print(cfg.training.lr * 2)")),
        Example(_files("print(float('1e-3') * 2)")),
        Example(_files("name = cfg.run\nif not isinstance(name, str):\n    print(name.run_id)")),
        Example(_files("try:\n    print(cfg.run.run_id)\nexcept AttributeError:\n    print(cfg.run)")),
        Example(_files("print(int(cfg.training.get('epochs') or 3))")),
    )
    INVALID = (
        Example(_files("print(cfg.run.run_id)"), at=("src/main.py:7",), repaired=_files("print(cfg.run)")),
        Example(
            _files("print(cfg.run['run_id'])"),
            at=("src/main.py:7",),
            repaired=_files("print(cfg.run)"),
        ),
        Example(
            _files("print(int(cfg.mode))"),
            at=("src/main.py:7",),
            repaired=_files("print(str(cfg.mode))"),
        ),
        Example(
            _files("print(int(cfg.training.get('epochs')))"),
            at=("src/main.py:7",),
            repaired=_files("print(int(cfg.training.get('epochs', 3)))"),
        ),
        Example(
            _files("settings = OmegaConf.to_container(cfg.run, resolve=True)"),
            at=("src/main.py:7",),
            repaired=_files("settings = OmegaConf.to_container(cfg, resolve=True)"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        groups: dict[tuple[str, int], list[Seen]] = {}
        for fault in project.enactment.seen("fault"):
            if fault.data.get("what") in ("attribute", "text", "container", "number", "operator") and not fault.guarded:
                groups.setdefault((fault.file, fault.line), []).append(fault)
        for faults in groups.values():
            first = min(faults, key=lambda fault: (not fault.sure, fault.stops))
            yield self.finding(
                first.file,
                first.place,
                severity=Severity.BLOCKING if first.sure else Severity.WARNING,
                said=first.data["message"],
                which=first.where(),
                run=first.runs[0] if first.runs else None,
                detail=first.data["message"],
                frames=first.frames,
            )
