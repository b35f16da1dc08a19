"""What the enactment sees: faults with their certainty, reads, writes and calls, in the order of the program."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from assay.analysis.enactment.interpreter import Interpreter
from assay.analysis.enactment.modelled import Modelled
from assay.analysis.enactment.values import Node
from assay.analysis.python_source import PythonFile

START = "import os, sys, torch, optuna, wandb\nfrom omegaconf import OmegaConf, open_dict\n"


def enacted(text, files=(), texts=()):
    """The machine after a program that holds the configuration `cfg`, in struct mode."""
    every = {"main.py": "from given import cfg\n" + START + text, "given.py": "", **dict(files)}
    machine = Interpreter({path: PythonFile(path, one) for path, one in every.items()}, dict(texts), Modelled())
    config = OmegaConf.create(
        {"mode": "trial", "training": {"lr": "1e-3", "epochs": 3, "none": None}, "layers": [1, 2], "name": "${mode}-x"}
    )
    OmegaConf.set_struct(config, True)
    machine.module("given")
    machine.modules["given"].scope.names["cfg"] = Node(config)
    machine.run("main.py")
    return machine


def found(machine, *kinds):
    return [event for event in machine.events if event["kind"] in kinds]


FAULTS = [
    ("cfg.training.warmup", "yes", "ConfigAttributeError"),
    ("cfg['optimizer']", "yes", "ConfigKeyError"),
    ("cfg.training.pop('x')", "yes", "ConfigKeyError"),
    ("if cfg.mode == 'trial':\n    cfg.a", "yes", "ConfigAttributeError"),
    ("if cfg.mode == 'full':\n    cfg.a", None, None),
    ("if torch.cuda.is_available():\n    cfg.a", "maybe", "ConfigAttributeError"),
    ("for batch in torch.utils.data.DataLoader(x):\n    cfg.a", "loop", "ConfigAttributeError"),
    ("for _ in range(cfg.training.epochs):\n    cfg.a", "yes", "ConfigAttributeError"),
    ("for _ in range(10):\n    cfg.a", "loop", "ConfigAttributeError"),
    ("for _ in range(torch.cuda.device_count()):\n    cfg.a", "maybe", "ConfigAttributeError"),
    ("while True:\n    cfg.a\n    break", "loop", "ConfigAttributeError"),
    ("def f(c):\n    return c.a\nf(cfg.training)", "yes", "ConfigAttributeError"),
    ("def f(c):\n    if torch.a():\n        return\n    c.a\nf(cfg)", "maybe", "ConfigAttributeError"),
    ("def f(c):\n    yield c.a\nf(cfg)", "maybe", "ConfigAttributeError"),
    (
        "class T:\n    def __init__(self, c): self.c = c\n    def run(self): self.c.a\nT(cfg).run()",
        "yes",
        "ConfigAttributeError",
    ),
    ("cfg.device = 'cpu'", "yes", "ConfigAttributeError"),
    ("with open_dict(cfg):\n    cfg.device = 'cpu'", None, None),
    ("OmegaConf.update(cfg, 'training.x', 1)", "yes", "ConfigAttributeError"),
    ("OmegaConf.merge(cfg, {'x': 1})", "yes", "ConfigKeyError"),
    ("OmegaConf.merge({'x': 1}, cfg)", None, None),
    ("cfg.training.lr / 2", "yes", "TypeError"),
    ("cfg.training.none.x", "yes", "AttributeError"),
    ("float(cfg.training.none)", "yes", "TypeError"),
    ("int(cfg.mode)", "yes", "ValueError"),
    ("{'loss': 1}['accuracy']", "yes", "KeyError"),
    ("d = {'loss': 1}\nd.update(torch.load('x'))\nd['accuracy']", None, None),
    ("plain = OmegaConf.to_container(cfg)\nplain['training']['x']", "yes", "KeyError"),
    ("x = [cfg.a for _ in cfg.layers]", "yes", "ConfigAttributeError"),
    (
        "def objective(trial):\n    return cfg.a\noptuna.create_study().optimize(objective, n_trials=3)",
        "yes",
        "ConfigAttributeError",
    ),
    ("try:\n    cfg.a\nexcept AttributeError:\n    pass", None, None),
    ("lambda: cfg.a", None, None),
    ("if not torch.a():\n    sys.exit(0)\ncfg.a", "maybe", "ConfigAttributeError"),
    ("if not torch.a():\n    sys.exit(1)\ncfg.a", "yes", "ConfigAttributeError"),
    ("sys.exit()\ncfg.a", None, None),
]


@pytest.mark.parametrize(("text", "certain", "name"), FAULTS)
def test_faults(text, certain, name):
    faults = found(enacted(text), "fault")
    assert [(fault["certain"], fault["names"][0]) for fault in faults] == ([] if certain is None else [(certain, name)])


def test_a_raise_is_certain_where_the_configuration_decides():
    build = "def build(name):\n    if name == 'mlp':\n        return 1\n    raise NotImplementedError(name)\n"
    (raised,) = found(enacted(build + "build(cfg.mode)\n"), "raise")
    assert (raised["certain"], raised["names"][0], raised["message"], raised["function"]) == (
        "yes", "NotImplementedError", "trial", "build",
    )  # fmt: skip
    assert raised["frames"][-1][0] == "main.py"


def test_what_follows_a_certain_stop_is_enacted_as_if_it_were_repaired():
    faults = found(enacted("cfg.a\ncfg.b\n"), "fault")
    assert [(fault["key"], fault["stops"]) for fault in faults] == [("a", 0), ("b", 1)]


def test_reads_and_writes_are_recorded_with_their_keys():
    machine = enacted("cfg.training.epochs = 5\nx = cfg.training.get('lr', 1)\ny = OmegaConf.select(cfg, 'name')\n")
    assert [event["path"] for event in found(machine, "write")] == ["training.epochs"]
    assert [event["path"] for event in found(machine, "read")] == ["training", "training", "training.lr", "name"]


def test_calls_are_recorded_with_the_values_of_the_run():
    machine = enacted("wandb.init(mode='disabled' if cfg.mode == 'trial' else 'online', name=cfg.name)\n")
    (call,) = [event for event in found(machine, "call") if event["name"] == "wandb.init"]
    assert call["keywords"] == {"mode": {"is": "disabled"}, "name": {"is": "trial-x"}}


def test_searched_values_are_followed():
    text = (
        "def objective(trial):\n    lr = trial.suggest_float('lr', 0, 1)\n    cfg.training.lr = lr\n"
        "    torch.optim.Adam(x, lr=cfg.training.lr)\n    return 1.0\n"
        "study = optuna.create_study()\nstudy.optimize(objective, n_trials=2)\nbest = study.best_params['lr']\n"
    )
    machine = enacted(text)
    assert [event["name"] for event in found(machine, "suggest")] == ["lr"]
    assert {event["by"] for event in found(machine, "use") if "lr" in event["marks"]} == {"torch.optim.Adam"}


def test_modules_of_the_submission_are_enacted_once():
    files = {"other.py": "LOADED = []\nLOADED.append(1)\ndef size():\n    return len(LOADED)\n"}
    machine = enacted("import other\nfrom other import size\nx = size()\n", files)
    assert machine.modules["__main__"].scope.names["x"] == 1


def test_files_of_the_submission_are_read():
    texts = {"config/run/a.yaml": "lr: 0.5\n"}
    machine = enacted("run = OmegaConf.load('config/run/a.yaml')\nx = run.lr\nrun.zz\n", texts=texts)
    assert machine.modules["__main__"].scope.names["x"] == 0.5
    assert [event["key"] for event in found(machine, "fault")] == ["zz"]


def test_an_unknown_environment_variable_in_an_interpolation_is_unknown():
    machine = enacted("c = OmegaConf.create({'e': '${oc.env:NOBODY}', 'f': '${oc.decode:${oc.env:N}}'})\nc.e\nc.f\n")
    assert found(machine, "fault") == []


def test_an_unknown_function_may_change_what_it_is_given():
    machine = enacted("import somewhere\nsomewhere.extend(cfg)\ncfg.a\nd = {}\nsomewhere.fill(d)\nd['k']\n")
    assert found(machine, "fault") == []
