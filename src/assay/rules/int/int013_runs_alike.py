"""INT013: two runs differ only in keys that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from assay.analysis.configuration_reads import leaves, reads_of_known_runs
from assay.analysis.project import Project, YamlFile
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.yaml_tree import Scalar, Sequence

_MAIN = """import subprocess

import hydra


def train(method, lr):
    return lr


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    print({})


if __name__ == "__main__":
    main()
"""
_CONFIG = "defaults:\n  - _self_\n  - run: ???\n\nresults_dir: results\nmode: full\n"
_THIRD = {"config/run/other.yaml": "# @package _global_\nrun_id: other\nmethod: bare\ntraining: {lr: 0.1}\n"}
# what only names a run
_NAMES = frozenset({"run_id", "run", "name", "description", "notes", "tags"})
_MAX_RUNS = 30


def _files(expression: str, proposed: str = "method: gated", other: str = "method: plain") -> dict[str, str]:
    return {
        "src/main.py": _MAIN.replace("{}", expression),
        "config/config.yaml": _CONFIG,
        "config/run/proposed-a.yaml": f"# @package _global_\nrun_id: proposed-a\n{proposed}\ntraining: {{lr: 0.1}}\n",
        "config/run/comparative-a.yaml": f"# @package _global_\nrun_id: comparative-a\n{other}\ntraining: {{lr: 0.1}}\n",
    }


class RunsAlike(Rule):
    """Two runs are configured differently, and no program reads any key in which they differ.

    They do the same thing under two names: the comparison between them measures noise. The programs of both are enacted
    to their end and every key that they read is known; a key that names the run does not count as a difference.
    """

    code = "INT013"
    name = "runs-alike"
    gate = "compose"
    requirements = ("X3", "D2.5", "E1.3", "E9.3")
    consequence = Consequence.BREAKS_CONTRACT
    message = "the run {mine} does the same as {other}"
    explanation = (
        "They differ only in {keys}, and no program reads {them}: what is compared is the same training twice."
    )
    repair = "Let the code read {key}, or configure what it does read."

    VALID = (
        Example(_files("train(cfg.method, cfg.training.lr)")),
        Example(_files("train(0, cfg.training.lr)", "lr: 1", "lr: 1")),
        Example(_files("cfg.get('method'), cfg.training.lr")),
        # one of them stops at an error: what it would read then is not known
        Example(_files("train(0, cfg.training.lr), 'proposed' in cfg.run_id and cfg.training.gate")),
        Example(_files("subprocess.run(open('words').read(), shell=True), train(0, cfg.training.lr)")),
        # it may be read by what the configuration is given to
        Example(_files("dict(**cfg)")),
    )
    INVALID = (
        Example(
            _files("train(0, cfg.training.lr)"),
            at=("config/run/proposed-a.yaml:3",),
            repaired=_files("train(cfg.method, cfg.training.lr)"),
        ),
        # a third run stops at an error
        Example(
            _files("train(0, cfg.training.lr), cfg.run_id == 'other' and cfg.training.gate") | _THIRD,
            at=("config/run/proposed-a.yaml:3",),
            repaired=_files("train(cfg.method, cfg.training.lr)"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        reads = reads_of_known_runs(project)
        if reads is None or len(project.run_files) > _MAX_RUNS:
            return
        values = {path: _values(file) for path, file in project.run_files.items() if _run(path) in reads.known}
        for (path, mine), (other, theirs) in combinations(values.items(), 2):
            differing = [
                key
                for key in dict.fromkeys([*mine, *theirs])
                if mine.get(key, ("", 0))[0] != theirs.get(key, ("", 0))[0]
            ]
            told = [key for key in differing if key not in _NAMES]
            if not told or any(reads.covers(key) for key in told):
                continue
            blamed, spare = (path, other) if "proposed" in path else (other, path)
            line = next((values[blamed][key][1] for key in told if key in values[blamed]), 1)
            yield self.finding(
                blamed,
                line,
                severity=Severity.BLOCKING,
                run=_run(blamed),
                frames=(Frame(spare, 1),),
                mine=_run(blamed),
                other=_run(spare),
                keys=", ".join(f"`{key}`" for key in told[:4]) + (" and more" if len(told) > 4 else ""),
                them="it" if len(told) == 1 else "them",
                key=f"`{told[0]}`",
                detail=f"{len(told)} differing keys, none of them read",
            )


def _values(file: YamlFile) -> dict[str, tuple[object, int]]:
    """The values of a run file with their lines."""
    found: dict[str, tuple[object, int]] = {}
    for key, place, value in leaves(file.root):
        shown: object = value.text if isinstance(value, Scalar) else None
        if isinstance(value, Sequence):
            shown = tuple(item.text if isinstance(item, Scalar) else id(item) for item in value.items)
        found[key] = (shown, place.line)
    return found


def _run(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]
