"""CFG003: the code reads a key that the composed configuration does not have."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.configuration_faults import MissingKey, missing_keys
from assay.analysis.configuration_reads import configuration_reads
from assay.analysis.project import Project
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

MAIN = """import hydra

from src.train import train


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    train(cfg)


if __name__ == "__main__":
    main()
"""
CONFIG = "defaults:\n  - _self_\n  - runs@_global_: ???\n\nrun: ???\nresults_dir: results\nmode: full\n"
_TRAIN = "def train(cfg):\n    print({})\n"
_RUN = "run_id: a\ntraining: {lr: 0.1, epochs: 2}\n"
_COMMAND = "defaults:\n  - _self_\n  - run: ???\n\nresults_dir: results\nmode: full\n"


def _files(expression: str, run: str = _RUN, other: str | None = None) -> dict[str, str]:
    files = {
        "src/main.py": MAIN,
        "src/train.py": _TRAIN.replace("{}", expression),
        "config/config.yaml": _COMMAND,
        "config/run/a.yaml": "# @package _global_\n" + run,
    }
    if other is not None:
        files["config/run/b.yaml"] = "# @package _global_\n" + other
    return files


class MissingConfigurationKey(Rule):
    """The code reads a key that is not in the configuration that Hydra composes for a run.

    Hydra hands over a configuration in struct mode: reading a key that it does not have raises. The programs are
    enacted with the configuration of every run, in both modes, so a key that only one run lacks is found too, and a
    read that only another method's branch does is not. A default that is computed before it is needed counts as a
    read: `getattr(cfg, "a", cfg.b)` reads `b` even where `a` is there.

    A read that a condition may keep from happening is a warning. One inside `try`, or one with a default
    (`cfg.get("a")`, `OmegaConf.select`, `getattr(cfg, "a", 1)`), is none.
    """

    code = "CFG003"
    name = "missing-key"
    gate = "compose"
    requirements = ("E2.2", "D4.3", "E4.3")
    decides = ("E2.2",)
    consequence = Consequence.CRASHES
    message = "`{key}` is read, and {where} has no such key"
    explanation = "Reading it raises {error}{further}."
    repair = "Set `{key}` in the configuration of every run that comes here, or read it with a default."

    VALID = (
        Example(_files("cfg.training.lr")),
        Example(_files("cfg.training.get('warmup', 0)")),
        Example(_files("cfg.get('optimizer', {}).get('name')")),
        Example(_files("getattr(cfg.training, 'warmup', None)")),
        Example(_files("cfg.training.warmup if 'warmup' in cfg.training else 0")),
        # the branch of another method is not entered
        Example(
            {
                **_files("0", "run_id: a\nmethod: plain\n"),
                "src/train.py": "def train(cfg):\n    if cfg.method == 'gated':\n        print(cfg.gate.size)\n",
            }
        ),
        # what runs have in common, under no name of a run, is no run
        Example(
            {
                **_files("cfg.run_id, cfg.training.lr", "defaults: [_common, _self_]\nrun_id: a\n"),
                "config/run/_common.yaml": "# @package _global_\ntraining: {lr: 0.1, epochs: 2}\n",
            }
        ),
        # the run file lies deeper than a run id says: which run is meant is not known
        Example(
            {
                "src/main.py": MAIN,
                "src/train.py": _TRAIN.replace("{}", "cfg.training.lr"),
                "config/config.yaml": _COMMAND.replace("???", "proposed/a"),
                "config/run/proposed/a.yaml": "# @package _global_\n" + _RUN,
            }
        ),
        # it is caught
        Example(
            {
                **_files("0"),
                "src/train.py": (
                    "def train(cfg):\n    try:\n        print(cfg.warmup)\n    except AttributeError:\n"
                    "        print('no warm-up')\n"
                ),
            }
        ),
        # the program opens the configuration and sets it
        Example(
            {
                **_files("0"),
                "src/train.py": (
                    "from omegaconf import OmegaConf\n\n\ndef train(cfg):\n    OmegaConf.set_struct(cfg, False)\n"
                    "    cfg.warmup = 3\n    print(cfg.warmup)\n"
                ),
            }
        ),
    )
    INVALID = (
        Example(
            _files("cfg.training.warmup"),
            at=("src/train.py:2",),
            repaired={"config/run/a.yaml": "# @package _global_\n" + _RUN.replace("epochs: 2", "epochs: 2, warmup: 5")},
        ),
        # only one run lacks it
        Example(
            _files("cfg.training['warmup']", _RUN.replace("epochs", "warmup: 1, epochs"), _RUN),
            at=("src/train.py:2",),
            repaired={"src/train.py": _TRAIN.replace("{}", "cfg.training.get('warmup')")},
        ),
        # the default is read before it is known whether it is needed
        Example(
            _files("getattr(cfg.training, 'lr', cfg.training.base_lr)"),
            at=("src/train.py:2",),
            repaired={"src/train.py": _TRAIN.replace("{}", "cfg.training.lr")},
        ),
        # as a dictionary
        Example(
            {
                **_files("0"),
                "src/train.py": (
                    "from omegaconf import OmegaConf\n\n\ndef train(cfg):\n"
                    "    settings = OmegaConf.to_container(cfg, resolve=True)\n    print(settings['optimizer'])\n"
                ),
            },
            at=("src/train.py:6",),
            repaired={"config/run/a.yaml": "# @package _global_\n" + _RUN + "optimizer: adam\n"},
        ),
        # it may not be read: a warning
        Example(
            {
                **_files("0"),
                "src/train.py": (
                    "import torch\n\n\ndef train(cfg):\n    if torch.cuda.is_available():\n        print(cfg.device)\n"
                ),
            },
            at=("src/train.py:6",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        enactment = project.enactment
        if enactment.failed:
            yield Undecided(f"the programs could not be enacted: {enactment.failed}")
            return
        found = [missing for missing in missing_keys(project) if missing.misplaced is None]
        for missing in found:
            yield self._finding(missing)
        if not found and configuration_reads(project) is None:
            yield Undecided("not every key that the programs read is known", ("E2.2",))

    def _finding(self, missing: MissingKey) -> Outcome:
        first = missing.reads[0]
        places = list(dict.fromkeys((read.file, read.line) for read in missing.reads[1:]))
        names = first.data.get("names") or ["an error"]
        return self.finding(
            first.file,
            first.place,
            severity=Severity.BLOCKING if first.sure else Severity.WARNING,
            key=missing.key,
            where=f"the configuration of {first.where()}" if first.runs else "the composed configuration",
            error=names[0],
            further=f"; it is read at {len(places)} more place{'s' if len(places) > 1 else ''}" if places else "",
            symbol=missing.key,
            run=first.runs[0] if first.runs else None,
            detail=first.data["message"],
            frames=first.frames,
        )
