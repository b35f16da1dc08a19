"""CFG015: the program itself refuses the configuration of a run."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_MAIN = """import hydra


def build(name):
    if name == "mlp":
        return 1
    raise NotImplementedError(name)


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    if cfg.mode not in ("trial", "full"):
        raise ValueError("mode is trial or full")
    {}


if __name__ == "__main__":
    main()
"""


def _files(statement: str, config: str = "run: ???\nresults_dir: results\nmode: full\nname: mlp\n") -> dict[str, str]:
    return {
        "src/main.py": _MAIN.replace("{}", statement.replace("\n", "\n    ")),
        "config/config.yaml": config,
        "config/runs/a.yaml": "run_id: a\n",
    }


class RefusedByTheProgram(Rule):
    """A `raise` or `assert` that the program certainly reaches with the configuration of a run.

    A model that no branch builds, a setting that a check does not let through: the values of the run decide every
    condition on the way, so the exception is certain. Where a condition is not known, nothing is said.
    """

    code = "CFG015"
    name = "refused-by-the-program"
    gate = "compose"
    yields_to = ("DAT012", "MDL010")
    requirements = ("E2.3", "E1.1", "D2.2", "D2.1", "D4.1")
    consequence = Consequence.CRASHES
    message = "{where} certainly comes to this {error}{said}"
    explanation = "The values of the configuration decide every condition on the way here; nothing catches it."
    repair = "Handle the value that the configuration sets, or set one that the code handles."

    VALID = (
        Example(_files("build(cfg.name)")),
        Example(_files("try:\n    build('cnn')\nexcept NotImplementedError:\n    build('mlp')")),
        Example(
            _files("import os\nif not os.path.exists('results/model.pt'):\n    raise FileNotFoundError('model.pt')")
        ),
    )
    INVALID = (
        Example(
            _files("build('cnn')"),
            at=("src/main.py:7",),
            repaired=_files("build('mlp')"),
        ),
        Example(
            _files("build(cfg.name)", "run: ???\nresults_dir: results\nmode: full\nname: cnn\n"),
            at=("src/main.py:7",),
            repaired=_files("build(cfg.name)"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        seen: set[tuple[str, int]] = set()
        for one in project.enactment.seen("raise"):
            names = one.data["names"]
            if one.certain != "yes" or one.guarded or (one.file, one.line) in seen:
                continue
            if "SystemExit" in names or "KeyboardInterrupt" in names or one.modes == ("evaluate",):
                continue
            seen.add((one.file, one.line))
            said = one.data["message"]
            yield self.finding(
                one.file,
                one.place,
                severity=Severity.BLOCKING,
                where=one.where().capitalize() if not one.runs else one.where()[:1].upper() + one.where()[1:],
                error=names[0],
                said=f": {said}" if said else "",
                run=one.runs[0] if one.runs else None,
                symbol=one.function or None,
                detail=said or names[0],
                frames=one.frames,
            )
