"""A small submission in plain PyTorch whose runs each have one defect, and the same with all of them repaired."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CONFIG = """\
defaults:
  - _self_
  - run: ???
results_dir: ???
mode: ???
wandb: {entity: team, project: tiny}
seed: 3
"""
RUN = """\
# @package _global_
run_id: NAME
method: {name: METHOD}
model: {name: tiny}
dataset: {name: made}
training: {epochs: 1, lr: 0.05, accumulate: ACCUMULATE}
optuna: {n_trials: 0}
"""
MAIN = """\
import hydra

from src import train


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    if cfg.mode not in ("trial", "full"):
        raise SystemExit("mode must be trial or full")
    train.run(cfg)


if __name__ == "__main__":
    main()
"""
TRAIN = """\
import math
import shutil
from pathlib import Path

import torch
import wandb

from src.model import Gate, Net
from src.preprocess import batches


def run(cfg):
    torch.manual_seed(cfg.seed)
    net, gate = Net(), Gate()
    optimizer = torch.optim.SGD(net.parameters(), lr=cfg.training.lr)
    outer = torch.optim.Adam(gate.parameters(), lr=0.1) if cfg.method.name == "outer" else None
    log = None
    if cfg.mode == "full":
        log = wandb.init(id=cfg.run_id, project=cfg.wandb.project, resume="allow", mode="offline", config=dict(cfg))
    folder = prepared(cfg)
    loss = None
    for number, (x, y) in enumerate(batches(cfg, "train"), 1):
        loss = objective(cfg, net, gate, x, y)
        backward(loss)
        if number % cfg.training.accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
        if outer is not None:
            outer.step()
        if log is not None:
            log.log({"train_loss": loss.item()})
    finish(optimizer)
    with torch.no_grad():
        x, y = next(batches(cfg, "validation"))
        value = objective(cfg, net, gate, x, y).item()
    if log is not None:
        log.log({"val_loss": value})
        log.summary["val_loss"] = value
        log.finish()


def objective(cfg, net, gate, x, y):
    loss = torch.nn.functional.cross_entropy(net(x), y)
    if cfg.method.name == "outer":
        loss = loss * outer_weight(gate, x)
    if cfg.method.name == "outer":
        loss = loss * shares(y).mean()
    return loss
"""
MODEL = """\
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(6, 3)

    def forward(self, x):
        return self.head(x)


class Gate(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Linear(6, 1)

    def forward(self, x):
        return 1 + self.weight(x).sigmoid().mean()
"""
PREPROCESS = """\
import torch


def batches(cfg, split):
    generator = torch.Generator().manual_seed(cfg.seed + (split == "validation"))
    for _ in range(2 if cfg.mode == "trial" else 8):
        y = torch.randint(0, 3, (8,), generator=generator)
        x = torch.randn(8, 6, generator=generator) + torch.nn.functional.one_hot(y, 6)
        yield x, y
"""
EVALUATE = """\
import sys

sys.exit("no tracked data of any run")
"""
# by what each defect is called: what is defective, and the same repaired
PARTS = {
    "backward": (
        "\n\ndef backward(loss):\n    torch.tensor(loss.item()).backward()\n",
        "\n\ndef backward(loss):\n    loss.backward()\n",
    ),
    "finish": (
        "\n\ndef finish(optimizer):\n    pass\n",
        "\n\ndef finish(optimizer):\n    optimizer.step()\n",
    ),
    "outer": (
        "\n\ndef outer_weight(gate, x):\n    with torch.no_grad():\n        return gate(x)\n",
        "\n\ndef outer_weight(gate, x):\n    return gate(x)\n",
    ),
    "prepared": (
        "\n\ndef prepared(cfg):\n    folder = Path(cfg.results_dir)\n"
        "    if cfg.method.name == 'adapter':\n        shutil.rmtree(folder, ignore_errors=True)\n"
        "    (folder / cfg.run_id).mkdir(parents=True, exist_ok=True)\n    return folder\n",
        "\n\ndef prepared(cfg):\n    folder = Path(cfg.results_dir)\n"
        "    (folder / cfg.run_id).mkdir(parents=True, exist_ok=True)\n    return folder\n",
    ),
    "shares": (
        "\n\ndef shares(y):\n    return y[y > 5].float()\n",
        "\n\ndef shares(y):\n    return (y + 1).float()\n",
    ),
}
RUNS = {
    "proposed-accumulating": ("plain", 8),
    "proposed-outer": ("outer", 1),
    "proposed-alike": ("adapter", 1),
    "comparative-alike": ("plain", 1),
}


def files(*defects: str, runs: Mapping[str, tuple[str, int]] = RUNS) -> dict[str, str]:
    """The submission: path to text.

    Args:
        defects: Names of `PARTS` that are defective, and `alike` for a method that has no effect.
        runs: Name of each run, with the name of its method and the batches of one step.
    """
    train = TRAIN + "".join(PARTS[name][name not in defects] for name in PARTS)
    if "alike" not in defects:
        train = train.replace(
            'if cfg.method.name == "outer":\n        loss', 'if cfg.method.name != "plain":\n        loss'
        )
    made = {
        "config/config.yaml": CONFIG,
        "src/main.py": MAIN,
        "src/train.py": train,
        "src/model.py": MODEL,
        "src/preprocess.py": PREPROCESS,
        "src/evaluate.py": EVALUATE,
        "pyproject.toml": '[project]\nname = "tiny"\nversion = "1"\ndependencies = ["torch", "hydra-core", "wandb"]\n',
    }
    for name, (method, accumulate) in runs.items():
        text = RUN.replace("NAME", name).replace("METHOD", method).replace("ACCUMULATE", str(accumulate))
        made[f"config/run/{name}.yaml"] = text
    return made


def lay(folder: Path, held: Mapping[str, str]) -> Path:
    """Write a submission into a folder."""
    for path, text in held.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder
