"""TRK004: nothing in the training code logs to W&B."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.analysis.run_variations import texts
from assay.analysis.tracking_imports import files_besides_evaluate, logs_through_library, names_wandb
from assay.rules.rule import Example, Outcome, Rule, Undecided


class NothingTracked(Rule):
    """Train records every series and every final value with W&B. Where no file of the training side imports `wandb` or
    hands training to a library that records by itself, nothing is recorded.

    Evaluate then finds no run to read, however well the training went.
    """

    code = "TRK004"
    name = "nothing-tracked"
    requirements = ("E6.1", "E6.2", "E6.8")
    message = "train logs nothing to W&B"
    explanation = "Neither wandb nor a library that logs to it is used by the training code, so evaluate finds no run."
    repair = "Create a run with wandb.init and log each step or epoch with wandb.log."

    VALID = (
        Example({"src/train.py": "import wandb\nwandb.log({'loss': 1})\n"}),
        Example(
            {"src/train.py": "from src.model import log\nlog(1)\n", "src/model.py": "import wandb\nlog = wandb.log\n"}
        ),
        Example({"src/train.py": "from transformers import Trainer\nTrainer(model=m).train()\n"}),
        Example({"src/train.py": "from ray.air.integrations.wandb import setup_wandb\nsetup_wandb({})\n"}),
        Example({"src/train.py": "from ultralytics import YOLO\nYOLO('net.yaml').train(data='d.yaml')\n"}),
        Example(
            {
                "src/train.py": "from hydra.utils import instantiate\ninstantiate(cfg.tracker).log({'loss': 1})\n",
                "config/config.yaml": "tracker:\n  _target_: wandb.init\n  project: study\n",
            }
        ),
        Example({"src/train.py": "from assay.runtime import tracking\ntracking.start(cfg)\n"}),
    )
    INVALID = (
        Example(
            {"src/train.py": "import torch\n\ndef main(cfg):\n    print('loss', 1.0)\n"},
            at=("src/train.py",),
            repaired={"src/train.py": "import wandb\n\ndef main(cfg):\n    wandb.log({'loss': 1.0})\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        train = project.role("train")
        files = files_besides_evaluate(project)
        if train is None or not train.nodes[1:] or any(file.tree is None for file in files):
            yield Undecided("the training code is missing or cannot be read")
            return
        if any(names_wandb(file) for file in files):
            return
        # `_target_: wandb.init`
        values = {text for file in project.yaml.values() for document in file.documents for text in texts(document)}
        if any(_names_wandb(text) for text in values):
            yield Undecided("the configuration may name W&B as the tracker")
            return
        if any(logs_through_library(file) for file in files):
            yield Undecided("a library may log to W&B by itself")
            return
        yield self.finding(train.path)


def _names_wandb(text: str) -> bool:
    """Whether a value of a configuration is a name of W&B's code, or of a tracker that is called after it."""
    return "." in text and "wandb" in text.lower() and "/" not in text and " " not in text
