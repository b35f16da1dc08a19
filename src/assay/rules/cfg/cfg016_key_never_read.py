"""CFG016: a run sets a key that no program reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from assay.analysis.configuration_reads import leaves, reads_of_known_runs
from assay.analysis.project import Project
from assay.finding import Frame, Severity
from assay.rules.rule import Example, Outcome, Rule

_MAIN = """import os
import subprocess

import hydra


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    print({})


if __name__ == "__main__":
    main()
"""
# what says which run it is, and what the search and the tracker are told as a whole
_NAMES = frozenset({"run_id", "run", "method", "description", "notes", "tags", "name", "seed", "defaults", "hydra",
                    "wandb", "optuna"})  # fmt: skip
_SHOWN = 6


def _files(expression: str, run: str = "run_id: a\ntraining: {lr: 0.1, warmup: 5}\n") -> dict[str, str]:
    return {
        "src/main.py": _MAIN.replace("{}", expression),
        "config/config.yaml": "defaults:\n  - _self_\n  - run: ???\n\nresults_dir: results\nmode: full\n",
        "config/run/a.yaml": "# @package _global_\n" + run,
    }


def _with_another(run: str) -> dict[str, str]:
    """Two runs, of which one reads a key that it does not have."""
    return {
        **_files("cfg.training.lr, cfg.run_id == 'b' and cfg.training.decay"),
        "config/run/b.yaml": "# @package _global_\n" + run,
    }


class KeyNeverRead(Rule):
    """A run file sets a key, and nothing in the enactment of main, train and evaluate reads it.

    A setting that nobody reads is a setting that is not applied: the paper says warm-up of five steps, and there is
    none. Where the programs of a run pass the configuration on as a whole, read keys that are worked out, or come to an
    error, nothing is said of what that run sets.
    """

    code = "CFG016"
    name = "key-never-read"
    gate = "compose"
    requirements = ("E4.3", "D3.2", "E9.3")
    severity = Severity.WARNING
    consequence = None
    message = "nothing reads {keys}"
    explanation = "What a run sets and no program reads has no effect on it."
    repair = "Apply the setting where it belongs, or remove it from the run file."

    VALID = (
        Example(_files("cfg.training.lr, cfg.training.warmup")),
        Example(_files("dict(**cfg.training)")),
        Example(_files("[cfg.training[name] for name in open('names.txt')]")),
        Example(_files("cfg.training.lr, cfg.get('training').get('warmup')")),
        # the run stops at an error: what it would read then is not known
        Example(_files("cfg.training.lr, cfg.training.decay")),
        # the other run stops at an error, and may read the same key
        Example(_with_another("run_id: b\ntraining: {lr: 0.1, warmup: 9}\n")),
        # so may a process that is started with words that are not known, or out of sight
        Example(_files("subprocess.run([*open('words'), cfg.training.lr])")),
        Example(_files("os.execvp('python', ['python', '-m', 'src.train', str(cfg.training.lr)])")),
    )
    INVALID = (
        Example(_files("cfg.training.lr"), at=("config/run/a.yaml:3",)),
        Example(_files("cfg.run_id"), at=("config/run/a.yaml:3",)),
        # another run stops at an error
        Example(_with_another("run_id: b\ntraining: {lr: 0.1}\n"), at=("config/run/a.yaml:3",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        reads = reads_of_known_runs(project)
        if reads is None:
            return
        known = {path: file for path, file in project.run_files.items() if PurePosixPath(path).stem in reads.known}
        # a run that is not known may read what it sets
        open_keys = {
            key for path, file in project.run_files.items() if path not in known for key, _, _ in leaves(file.root)
        }
        for path, file in known.items():
            unread = [
                (key, node)
                for key, node, _ in leaves(file.root)
                if key.partition(".")[0] not in _NAMES and key not in open_keys and not reads.covers(key)
            ]
            if unread:
                unread.sort(key=lambda one: one[1].line)
                shown = ", ".join(f"`{key}`" for key, _ in unread[:_SHOWN])
                yield self.finding(
                    path,
                    unread[0][1],
                    keys=shown + (f" and {len(unread) - _SHOWN} more" if len(unread) > _SHOWN else ""),
                    symbol=unread[0][0],
                    frames=tuple(Frame(path, node.line) for _, node in unread[1:_SHOWN]),
                )
