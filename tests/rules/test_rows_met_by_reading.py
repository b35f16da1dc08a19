"""Rows that silence proves: met on a good submission, and on none that only looks like it."""

from __future__ import annotations

import pytest

from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.reviewer import run_rules
from assay.rules import all_rules
from assay.verdict import requirement_statuses
from tests.rules.test_examples import submission_of

MAIN = """import subprocess
import sys

import hydra


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    if cfg.mode not in ("trial", "full"):
        raise SystemExit(f"mode={cfg.mode}: mode is trial or full")
    raise SystemExit(subprocess.run([sys.executable, "-m", "src.train", f"mode={cfg.mode}"]).returncode)


if __name__ == "__main__":
    main()
"""
CONFIG = "defaults:\n  - _self_\nrun: ???\nmode: ???\nhydra:\n  run: {dir: out}\n"
RUN = "run_id: a\ntraining: {epochs: 3}\n"
REFUSAL = (
    '    if cfg.mode not in ("trial", "full"):\n        raise SystemExit(f"mode={cfg.mode}: mode is trial or full")\n'
)
TRAIN = """import hydra
import torch
import wandb
from omegaconf import OmegaConf

from src.model import build


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    run = wandb.init(id=cfg.run_id, config=OmegaConf.to_container(cfg, resolve=True))
    print(OmegaConf.to_yaml(cfg))
    model = build(cfg)
    for epoch in range(cfg.training.epochs):
        loss = model.step()
        wandb.log({'loss': loss})
        print(f'epoch {epoch}: loss {loss:.3f}')
    wandb.summary['loss'] = loss
    torch.save(model.state_dict(), 'model.pt')
    print('address', run.url)


if __name__ == '__main__':
    main()
"""
SAVED = "torch.save(model.state_dict(), 'model.pt')"
LOGGED = "logging.info('loss %s', loss)"
MODEL = "import torch\n\n\ndef build(cfg):\n    return torch.nn.Linear(4, cfg.training.epochs)\n"


def main_with(*changes):
    text = MAIN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return {"src/main.py": text}


def status_of(row, code, files):
    project = Project(submission_of(files), load_contract("experiment"))
    findings, coverage = run_rules(project, {code: all_rules()[code]})
    project.close()
    return next(one.status for one in requirement_statuses(project.contract, findings, coverage) if one.id == row)


def mode_status(files):
    return status_of(
        "E9.1", "MOD001", {"src/main.py": MAIN, "config/config.yaml": CONFIG, "config/runs/a.yaml": RUN, **files}
    )


def output_status(files):
    return status_of(
        "E6.6", "TRK001", {"src/train.py": TRAIN, "src/model.py": MODEL, "config/config.yaml": CONFIG, **files}
    )


@pytest.mark.parametrize(
    "main",
    [
        MAIN,
        MAIN.replace(
            REFUSAL, f"    mode = cfg.mode\n    print('mode', mode)\n{REFUSAL.replace('cfg.mode not', 'mode not')}"
        ),
        MAIN.replace('cfg.mode not in ("trial", "full")', 'cfg["mode"] not in ["full", "trial"]'),
        MAIN.replace(
            REFUSAL,
            "    if cfg.mode == 'trial':\n        epochs = 1\n    elif cfg.mode == 'full':\n        epochs = 3\n"
            "    else:\n        raise ValueError('mode is trial or full')\n",
        ),
    ],
)
def test_a_mode_that_is_asked_for_and_checked_first_meets_the_row(main):
    assert mode_status({"src/main.py": main}) == "met"


@pytest.mark.parametrize(
    "files",
    [
        # the configuration has a default, or takes one from elsewhere
        {"config/config.yaml": CONFIG.replace("mode: ???", "mode: full")},
        {"config/config.yaml": CONFIG.replace("mode: ???", "mode: ${oc.env:MODE,full}")},
        {"config/config.yaml": CONFIG.replace("mode: ???\n", "")},
        {"config/config.yaml": CONFIG.replace("  - _self_\n", "  - mode: full\n  - _self_\n")},
        {"config/config.yaml": CONFIG.replace("run: {dir: out}", "mode: MULTIRUN\n  sweeper: {params: {mode: full}}")},
        {"config/config.yaml": CONFIG.replace("run: {dir: out}", "searchpath: ['file:///etc']")},
        {"config/runs/a.yaml": RUN + "mode: full\n"},
        {"config/runs/a.yaml": RUN + "<<: {mode: full}\n"},
        {**main_with(('name="config"', 'name="other"')), "config/other.yaml": "mode: full\n"},
        # another word is taken, or a mode is put in its place
        main_with(('("trial", "full")', '("trial", "full", "debug")')),
        main_with(('("trial", "full")', "MODES"), ("import hydra\n", "import hydra\n\nMODES = ['trial']\n")),
        main_with(("cfg.mode not in", "cfg.mode.lower() not in")),
        main_with(("cfg.mode not in", "getattr(cfg, 'mode', 'full') not in")),
        main_with(("cfg.mode not in", "cfg.get('mode', 'full') not in")),
        main_with((REFUSAL, "    cfg.mode = cfg.mode or 'full'\n" + REFUSAL)),
        main_with((REFUSAL, "    mode = cfg.mode\n    mode = 'full'\n" + REFUSAL.replace("cfg.mode not", "mode not"))),
        main_with((REFUSAL, "    cfg = prepared(cfg)\n" + REFUSAL)),
        main_with((REFUSAL, "    print(subprocess.run(['make']))\n" + REFUSAL)),
        main_with(
            (
                REFUSAL,
                "    if cfg.mode == 'trial':\n        epochs = 1\n    elif cfg.mode == 'full':\n        epochs = 3\n"
                "    elif cfg.mode == 'debug':\n        epochs = 2\n    else:\n        raise ValueError('no mode')\n",
            )
        ),
        # the check does not stop everything
        main_with(("raise SystemExit(f", "print(f")),
        main_with(("raise SystemExit(f", "raise SystemExit(train(cfg) or f")),
        main_with((REFUSAL, f"    if cfg.checked:\n{REFUSAL.replace('    ', '        ', 1)}")),
        main_with(("import hydra\n", "import hydra\nfrom src.model import Quiet as SystemExit\n")),
        # something is done before, in this file or another one
        main_with(("import sys\n", "import sys\n\nsys.argv.append('mode=full')\n")),
        main_with(("    main()\n", "    subprocess.run(['make', 'full'])\n    main()\n")),
        main_with(("main()\n", "main(cfg)\n")),
        main_with(
            ("@hydra.main(", "@again\n@hydra.main("), ("import hydra\n", "import hydra\nfrom src import again\n")
        ),
        {
            **main_with(("import hydra\n", "import hydra\nimport src.model\n")),
            "src/model.py": "import sys as system\n\nwords = system.argv\nwords += ['mode=full']\n",
        },
        {
            **main_with(("import hydra\n", "import hydra\nimport src.model\n")),
            "src/model.py": (
                "from hydra.core.config_store import ConfigStore as Store\n\n"
                "x = Store.instance().store('a', {'mode': 'full'})\n"
            ),
        },
        {"src/__init__.py": "import sys\n\ngetattr(sys, 'ar' + 'gv').append('mode=full')\n"},
        {
            **main_with(
                ("import hydra\n", "import hydra\nfrom src.model import train as print\n"),
                (REFUSAL, "    print(cfg)\n" + REFUSAL),
            ),
            "src/model.py": "def train(cfg):\n    pass\n",
        },
        {"hydra.py": "def main(**settings):\n    return lambda function: function\n"},
    ],
)
def test_no_evasion_meets_the_row_of_the_mode(files):
    assert mode_status(files) in ("undecided", "violated")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"src/train.py": TRAIN.replace("import torch\n", "import logging\nimport torch\n").replace(SAVED, LOGGED)},
        {"src/evaluate.py": "import json\n\njson.dump({'loss': 1.0}, open('metrics.json', 'w'))\n"},
    ],
)  # fmt: skip
def test_a_train_that_makes_no_json_meets_the_row(files):
    assert output_status(files) == "met"


@pytest.mark.parametrize(
    "files",
    [
        *(
            {"src/train.py": TRAIN.replace("import torch\n", f"{head}\nimport torch\n").replace(SAVED, does)}
            for head, does in [
                ("import json", "json.dump({'loss': loss}, open('results.json', 'w'))"),
                ("import json as j", "print(j.dumps({'loss': loss}))"),
                ("from json import dumps as shown", "print(shown({'loss': loss}))"),
                ("import importlib", "print(importlib.import_module('js' + 'on').dumps({'loss': loss}))"),
                ("", "print(__import__('js' 'on').dumps({'loss': loss}))"),
                ("import pandas as pd", "pd.Series([loss]).to_json('out')"),
                ("import pandas as pd", "getattr(pd.Series([loss]), 'to_' + 'js' + 'on')('out')"),
                ("import orjson", "print(orjson.dumps(loss))"),
                ("import msgspec", "print(msgspec.encode(loss))"),
                ("import yaml", "print(yaml.dump({'loss': loss}, default_flow_style=True))"),
                ("import subprocess", "subprocess.run(['python', 'report.py', str(loss)])"),
                ("import os", "os.system('python report.py')"),
                ("", "open('results.' + cfg.kind, 'w').write(str(loss))"),
                ("", "print(str({'loss': loss}).replace(chr(39), chr(34)))"),
                ("", "print(str({'loss': loss}).replace('\\x27', '\\x22'))"),
                ("", "print(f'{{\"loss\": {loss}}}')"),
                ("", "print({'loss': loss})"),
                ("", "print(loss)"),
                ("", "say = print; say(loss)"),
                ("from pathlib import Path", "Path(cfg.out).write_text(str(loss))"),
                ("import sys", "sys.stdout.write(str(loss))"),
                ("import logging", "logging.log(20, loss)"),
                ("", "print('loss', str({'loss': loss}).translate({39: 34}))"),
                ("from hydra.utils import instantiate", "instantiate(cfg.report)"),
                ("from transformers import Trainer", "Trainer(model).train()"),
                ("from src.model import *", "report(loss)"),
            ]
        ),
        # the same in another file that train imports, or in the package itself
        {"src/model.py": MODEL + "\n\ndef report(loss):\n    import json\n    print(json.dumps(loss))\n"},
        {"src/model.py": MODEL.replace("import torch", "import torch\nfrom src.preprocess import x"),
         "src/preprocess.py": "import simplejson as s\n\nx = s.dumps({})\n"},
        {"src/__init__.py": "import json\n\nprint(json.dumps({'loss': 1.0}))\n"},
        # what the configuration names is called
        {"config/config.yaml": CONFIG + "report: {_target_: json.dumps}\n"},
        # main calls train in its own process
        {"src/main.py": "import json\n\nfrom src.train import main\n\nprint(json.dumps(main()))\n"},
        {"src/train.py": "def main(:\n"},
    ],
)  # fmt: skip
def test_no_evasion_meets_the_row_of_results_written_by_train(files):
    assert output_status(files) in ("undecided", "violated")


TRACKED = """import hydra
import wandb


def prepare(cfg):
    if cfg.mode == 'trial':
        cfg.wandb.mode = 'disabled'
    return cfg


def train(cfg, log):
    log({'loss': 1.0})


@hydra.main(version_base=None, config_path="../config", config_name="config")
def main(cfg):
    cfg = prepare(cfg)
    wandb.init(project=cfg.wandb.project, mode=cfg.wandb.mode)
    train(cfg, wandb.log)
    wandb.finish()


if __name__ == "__main__":
    main()
"""
TRACKING = CONFIG + "wandb: {project: study, mode: online}\n"
PREPARE = "def prepare(cfg):\n    if cfg.mode == 'trial':\n        cfg.wandb.mode = 'disabled'\n    return cfg\n"
SETS = "def prepare(cfg):\n    cfg.wandb.mode = 'disabled' if cfg.mode == 'trial' else 'online'\n    return cfg\n"
IMPORTS = ("import wandb\n", "import wandb\nfrom src.model import quiet\n")
LATE = "    wandb.finish()\n"


def tracked_with(*changes):
    text = TRACKED
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return {"src/train.py": text}


def tracking_status(files):
    return status_of(
        "E6.5", "MOD007", {**tracked_with(), "config/config.yaml": TRACKING, "config/runs/a.yaml": RUN, **files}
    )


@pytest.mark.parametrize(
    "files",
    [
        {},
        tracked_with(("cfg.wandb.mode)", "'disabled' if cfg.mode == 'trial' else 'online')")),
        {
            "src/model.py": SETS,
            "src/train.py": tracked_with(
                (PREPARE, ""),
                ("import wandb\n", "import wandb\n\nfrom src.model import prepare\n"),
            )["src/train.py"],
        },
    ],
)  # fmt: skip
def test_a_mode_that_wandb_is_started_with_meets_the_row(files):
    assert tracking_status(files) == "met"


@pytest.mark.parametrize(
    "files",
    [
        # W&B is used before, or started without a mode, or twice
        tracked_with(("    cfg = prepare", "    wandb.login()\n    cfg = prepare")),
        tracked_with(("    cfg = prepare", "    print(wandb.Api().runs('a/b'))\n    cfg = prepare")),
        tracked_with(("    cfg = prepare", "    getattr(wandb, 'set' + 'up')()\n    cfg = prepare")),
        tracked_with(("    cfg = prepare", "    tool = wandb\n    tool.login()\n    cfg = prepare")),
        tracked_with(("import wandb\n", "import wandb\nfrom wandb import login\n\nlogin()\n")),
        tracked_with((", mode=cfg.wandb.mode", "")),
        tracked_with(("mode=cfg.wandb.mode", "**cfg.wandb")),
        tracked_with(("mode=cfg.wandb.mode", "mode=None")),
        tracked_with(("    cfg = prepare", "    wandb.init(project='early')\n    cfg = prepare")),
        tracked_with(("import wandb\n", "import wandb\nfrom transformers.integrations import WandbCallback\n")),
        tracked_with(("import wandb\n", "import wandb\nfrom lightning.pytorch.loggers import WandbLogger\n")),
        tracked_with(("import wandb\n", "import wandb\n\nbegin = wandb.init\n")),
        # the mode is set afterwards, here or in another file
        tracked_with((LATE, "    cfg.wandb.mode = 'disabled'\n")),
        tracked_with((LATE, "    cfg['wandb']['mode'] = 'disabled'\n")),
        tracked_with((LATE, "    prepare(cfg)\n")),
        tracked_with((LATE, "    again = prepare\n    again(cfg)\n")),
        tracked_with((LATE, "    settings = cfg.wandb\n    settings['mode'] = 'disabled'\n")),
        tracked_with((LATE, "    cfg.wandb.update(mode='disabled')\n")),
        tracked_with((LATE, "    cfg.update(wandb=dict(mode='disabled'))\n")),
        tracked_with((LATE, "    cfg.get('wandb').mode = 'disabled'\n")),
        tracked_with((LATE, "    for key in ['mode']:\n        cfg.wandb[key] = 'disabled'\n")),
        tracked_with((LATE, "    setattr(cfg.wandb, 'mode', 'disabled')\n")),
        tracked_with((LATE, "    OmegaConf.update(cfg, 'wandb.' + 'mode', 'disabled')\n")),
        tracked_with((LATE, "    cfg.merge_with({'wandb': {'mode': 'disabled'}})\n")),
        tracked_with((LATE, "    os.environ['WANDB_' + 'MODE'] = 'disabled'\n")),
        {
            **tracked_with(IMPORTS, (LATE, "    quiet(cfg)\n")),
            "src/model.py": "def quiet(cfg):\n    cfg.wandb.mode = 'disabled'\n",
        },
        {
            **tracked_with(IMPORTS, (LATE, "    quiet(cfg.wandb)\n")),
            "src/model.py": "def quiet(settings):\n    settings.mode = 'disabled'\n",
        },
        # a method is called by way of an object
        tracked_with(
            (PREPARE,
             "class Setup:\n    def prepare(self, cfg):\n        cfg.wandb.mode = 'disabled'\n        return cfg\n\n"
             "    def first(self, cfg):\n        return self.prepare(cfg)\n"),
            ("    cfg = prepare(cfg)\n", "    setup = Setup()\n    cfg = setup.first(cfg)\n"),
            (LATE, "    setup.prepare(cfg)\n"),
        ),
        # the configuration gives none, or another part of it does
        {"config/config.yaml": TRACKING.replace("online", "null")},
        {"config/config.yaml": TRACKING.replace(", mode: online", "")},
        {"config/config.yaml": TRACKING + "trial: {wandb: {mode: disabled}}\n"},
        {"config/runs/a.yaml": RUN + "wandb: {mode: null}\n"},
    ],
)  # fmt: skip
def test_no_evasion_meets_the_row_of_the_tracking_mode(files):
    assert tracking_status(files) in ("undecided", "violated")
