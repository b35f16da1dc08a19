"""EVL011: evaluate does not take entity and project from config.yaml."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.evaluation_side import evaluation_side
from assay.analysis.project import Project
from assay.analysis.text_pattern import PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_LOADERS = frozenset({"yaml", "omegaconf", "hydra", "ruamel", "oyaml", "confuse", "dynaconf"})
_READ = (
    "import wandb\nfrom omegaconf import OmegaConf\n\ncfg = OmegaConf.load('config/config.yaml').wandb\n"
    "run = wandb.Api().run(f'{cfg.entity}/{cfg.project}/{run_id}')\n"
)


class TrackingSettingsNotRead(Rule):
    """Train writes its runs to `wandb.entity` and `wandb.project` of config/config.yaml, and evaluate looks for them there.

    An entity and a project that are written into evaluate, or that come with its arguments, go their own way as soon as
    the configuration changes. The rule speaks where neither evaluate nor a file it imports can read YAML, or names
    config.yaml. Where the configuration is read and the path of the runs is a constant all the same, it warns.
    """

    code = "EVL011"
    name = "tracking-settings-not-read"
    requirements = ("E8.1",)
    message = "evaluate does not read wandb.entity and wandb.project from config.yaml"
    explanation = "It looks for the runs in a place of its own, not where train put them."
    repair = "Load config/config.yaml and use its wandb.entity and wandb.project."

    VALID = (
        Example({"src/evaluate.py": _READ}),
        Example(
            {"src/evaluate.py": "import wandb\ntext = open('config/config.yaml').read()\nwandb.Api().run(find(text))\n"}
        ),
        Example(
            {
                "src/evaluate.py": "import wandb\nfrom src.preprocess import settings\nrun = wandb.Api().run(settings() + run_id)\n",
                "src/preprocess.py": "import yaml\n\n\ndef settings():\n    return yaml.safe_load(open(PATH))['wandb']['project']\n",
            }
        ),
        Example({"src/evaluate.py": "import json\nprint(json.load(open('a.json')))\n"}),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": "import wandb\n\nrun = wandb.Api().run(f'lab/study/{run_id}')\n"},
            at=("src/evaluate.py:3",),
            repaired={"src/evaluate.py": _READ},
        ),
        # the file is read, and the place is a constant all the same: a warning
        Example(
            {"src/evaluate.py": _READ.replace("{cfg.entity}/{cfg.project}", "lab/study")},
            at=("src/evaluate.py:5",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        side = evaluation_side(project)
        if side.unknown:
            yield Undecided(side.unknown)
            return
        place = side.call_named("Api")
        if place is None or not any(
            name.endswith(("wandb.Api", ".PublicApi")) or name == "Api" for name in side.called
        ):
            return
        names_file = any(text.endswith(("config.yaml", "config.yml")) for text in side.texts)
        if not side.roots & _LOADERS and not names_file:
            found = side.call_named("run", "runs") or place
            yield self.finding(found[0].path, found[1])
            return
        for file in side.files:
            reader = PatternReader(file)
            for call, _ in file.calls:
                if isinstance(call.func, ast.Attribute) and call.func.attr in ("run", "runs") and call.args:
                    first, *_ = (*reader.fold(call.args[0]).parts, None)
                    if (
                        isinstance(first, str)
                        and first.strip("/").count("/") >= 1
                        and not first.startswith(("/", "http"))
                    ):
                        yield self.finding(
                            file.path,
                            call,
                            severity=Severity.WARNING,
                            message="the place of the runs is written into evaluate",
                        )
                        return
