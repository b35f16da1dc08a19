"""Correct submissions on the library, each written in another way: nothing in them blocks."""

from __future__ import annotations

import pytest

from tests.rules.test_on_the_runtime import CONFIG, EVALUATE, FILES, MAIN, MODEL, OTHER, RUN, TRAIN, blocking


def but(text, *changes):
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


FIT = TRAIN[TRAIN.index("def fit") : TRAIN.index("@experiment")]
LOG_LOSS = '                tracker.log({"epoch": epoch, "train_loss": loss.item()})\n'
LOG_ACCURACY = '            tracker.log({"epoch": epoch, "val_accuracy": accuracy})\n'
SEARCH = "lambda candidate, report: fit(candidate, splits, run, report=report)[1]"
HEAD = TRAIN[: TRAIN.index("SERIES")]
START = '\n\nif __name__ == "__main__":\n    main()\n'
RUNS = ("proposed-a", "baseline-a")


def with_runs(text, **files):
    """The run files with another content."""
    made = {f"config/runs/{run}.yaml": text.replace("proposed-a", run) for run in RUNS}
    return {**made, **files}


CORRECT = {
    "run files in the older folder": {
        **{f"config/runs/{run}.yaml": None for run in RUNS},
        "config/run/proposed-a.yaml": RUN,
        "config/run/baseline-a.yaml": OTHER,
    },
    "what runs have in common, with package headers": {
        "config/runs/_common.yaml": "# @package _global_\n"
        "training: {seeds: [1, 2, 3], epochs: 4, batch_size: 16, learning_rate: 0.01}\n",
        **{
            f"config/runs/{run}.yaml": "# @package _global_\ndefaults: [_common, _self_]\n"
            + but(RUN, ("training: {seeds: [1, 2, 3], epochs: 4, batch_size: 16, learning_rate: 0.01}\n", "")).replace(
                "proposed-a", run
            )
            for run in RUNS
        },
    },
    "a defaults list, interpolations, and settings for Hydra": {
        "config/config.yaml": "defaults:\n  - _self_\n"
        + CONFIG
        + "name: ${run_id}-${mode}\nhydra:\n  run: {dir: .}\n  output_subdir: null\n",
        **with_runs(RUN.replace("width: 32", "width: '${training.batch_size}'")),
    },
    "no search": with_runs(
        RUN[: RUN.index("optuna")] + "optuna: {n_trials: 0}\n",
        **{
            "src/train.py": but(TRAIN, (f"    cfg = run.search({SEARCH})\n", "")),
        },
    ),
    "a search of nothing, with names of another study": with_runs(
        RUN.replace("n_trials: 4", "n_trials: 0").replace("learning_rate: {t", "temperature: {t")
    ),
    "names in sections, choices and whole numbers": with_runs(
        RUN + "    training.batch_size: {type: int, low: 8, high: 64, log: true}\n"
        "    model.width: {type: categorical, choices: [8, 16]}\n"
    ),
    "the configuration by section": {
        "src/train.py": but(
            TRAIN,
            ("def fit(cfg, splits", "def fit(model_settings, training, splits"),
            ("cfg.model)", "model_settings)"),
            ("cfg.training.learning_rate", "training.learning_rate"),
            ("cfg.training.batch_size", "training['batch_size']"),
            ("cfg.training.epochs", "training.get('epochs')"),
            ("fit(candidate, splits", "fit(candidate.model, candidate.training, splits"),
            ("fit(cfg, splits", "fit(cfg.model, cfg.training, splits"),
        ),
    },
    "a dataclass of settings": {
        "src/train.py": but(
            TRAIN,
            (
                "SERIES =",
                "@dataclass\nclass Training:\n    seeds: list\n    epochs: int\n"
                "    batch_size: int\n    learning_rate: float\n\n\nSERIES =",
            ),
            ("from assay", "from dataclasses import dataclass\n\nfrom assay"),
            (
                "    model = build_model(cfg.model)",
                "    settings = Training(**cfg.training)\n    model = build_model(cfg.model)",
            ),
            ("cfg.training.learning_rate", "settings.learning_rate"),
            ("cfg.training.batch_size", "settings.batch_size"),
        ),
    },
    "a base class of models and a table": {
        "src/model.py": "from torch import nn\n\n\nclass Base(nn.Module):\n"
        "    def __init__(self, settings):\n        super().__init__()\n"
        "        self.settings = settings\n        self.layer = nn.Linear(settings.features, settings.width)\n"
        "        self.head = nn.Linear(self.settings.width, self.settings.classes)\n\n"
        "    def forward(self, x):\n        return self.head(self.hidden(x))\n\n\n"
        "class Plain(Base):\n    def hidden(self, x):\n        return self.layer(x)\n\n\n"
        "class Gated(Base):\n    def __init__(self, settings):\n"
        "        super().__init__(settings)\n"
        "        self.gate = nn.Linear(settings.features, settings.gate_width)\n\n"
        "    def hidden(self, x):\n"
        "        return self.layer(x) * self.gate(x).sigmoid()\n\n\n"
        "MODELS = {'plain': Plain, 'gated': Gated}\n\n\ndef build_model(settings):\n"
        "    return MODELS[settings.name](settings)\n",
        "config/runs/proposed-a.yaml": RUN.replace("model: {", "model: {name: gated, gate_width: 32, "),
        "config/runs/baseline-a.yaml": OTHER.replace("model: {", "model: {name: plain, "),
    },
    "a method that one run has by a match": {
        "src/model.py": MODEL.replace(
            "def build_model(settings):\n",
            "def build_model(settings):\n    match settings.get('kind', 'plain'):\n        case 'deep':\n"
            "            return nn.Linear(settings.features, settings.deep_width)\n"
            "        case 'plain':\n            pass\n        case other:\n"
            "            raise ValueError(other)\n",
        ),
        "config/runs/proposed-a.yaml": RUN.replace("model: {", "model: {kind: deep, deep_width: 10, "),
    },
    "the module by another name": {
        "src/main.py": but(
            MAIN,
            ("from assay.runtime import Run, experiment, launch", "import assay.runtime as runtime"),
            ("@experiment", "@runtime.experiment"),
            ("run: Run", "run: runtime.Run"),
            ("    launch(", "    runtime.launch("),
        ),
        "src/train.py": but(
            TRAIN,
            ("from assay.runtime import BestWeights, experiment", "from assay import runtime"),
            ("@experiment", "@runtime.experiment"),
            ("BestWeights(", "runtime.BestWeights("),
        ),
    },
    "an objective in a function of its own": {
        "src/train.py": but(
            TRAIN,
            (
                f"    cfg = run.search({SEARCH})\n",
                "    def objective(candidate, report):\n"
                "        return fit(candidate, splits, run, report=report)[1]\n\n"
                "    cfg = run.search(objective)\n",
            ),
        ),
    },
    "an objective by functools.partial, tracked under another name": {
        "src/train.py": but(
            TRAIN,
            (
                "SERIES =",
                "from functools import partial\n\n\n"
                "def objective(splits, run, candidate, report):\n"
                "    return fit(candidate, splits, run, report=report)[1]\n\n\nSERIES =",
            ),
            (f"run.search({SEARCH})", "run.search(partial(objective, splits, run))"),
            ("as tracker:", "as log_of_run:"),
            ("run, tracker)\n            tracker.log", "run, log_of_run)\n            log_of_run.log"),
            ("        tracker.summarize", "        log_of_run.summarize"),
            ("tracker.mean", "log_of_run.mean"),
        ),
    },
    "an object that trains": {
        "src/train.py": HEAD
        + """

class Study:
    names = ("loss", "accuracy")

    def __init__(self, cfg, run, splits):
        self.cfg, self.run, self.splits = cfg, run, splits
        self.tracker = None

    @property
    def series(self):
        return ["epoch", *(f"{part}_{name}" for part in ("train", "val", "test") for name in self.names)]

    def objective(self, candidate, report):
        return self.fit(candidate, report)

    def note(self, part, **values):
        if self.tracker is not None:
            self.tracker.log({f"{part}_{name}": value for name, value in values.items()})

    def fit(self, cfg, report=None):
        model = build_model(cfg.model).to(self.run.device)
        optimizer = optim.AdamW(model.parameters(), lr=cfg.training.learning_rate)
        best = BestWeights(model, "maximize")
        for epoch in self.run.epochs(cfg.training.epochs, model=model, optimizer=optimizer, best=best):
            loader = DataLoader(self.splits["train"], cfg.training.batch_size)
            for (inputs, labels), is_update in self.run.accumulated(loader, 2):
                loss = nn.functional.cross_entropy(model(inputs), labels)
                loss.backward()
                if is_update:
                    optimizer.step()
                    optimizer.zero_grad()
                self.note("train", loss=loss.item(), accuracy=0.5)
            self.note("val", accuracy=float(loss), loss=loss.item())
            best.update(float(loss))
            report and report(float(loss), epoch)
        best.restore()
        return best.score

    def run_all(self):
        cfg = self.run.search(self.objective)
        with self.run.track(cfg, series=self.series, summary=[f"test_{name}" for name in self.names]) as self.tracker:
            for seed in self.run.seeds(list(cfg.training.seeds)):
                self.fit(cfg)
                self.note("test", loss=0.0 * seed, accuracy=self.fit(cfg))
            self.tracker.summarize({f"test_{name}": self.tracker.mean(f"test_{name}") for name in self.names})


@experiment
def main(cfg, run):
    Study(cfg, run, load_splits(cfg.dataset)).run_all()
"""
        + START,
        "src/evaluate.py": EVALUATE,
    },
    "rows that are put together": {
        "src/train.py": but(
            TRAIN,
            (
                LOG_ACCURACY,
                '            row = {"epoch": epoch}\n            row["val_accuracy"] = accuracy\n'
                "            row.update(extra or {})\n            tracker.log(row)\n",
            ),
            ("report=None):", "report=None, extra=None):"),
        ),
    },
    "keys of a table of metrics": {
        "src/train.py": but(
            TRAIN,
            (
                'SERIES = ("epoch", "train_loss", "val_accuracy", "test_accuracy")\n',
                'METRICS = {"accuracy": max, "f1": min}\n'
                'SERIES = ["epoch", "train_loss"]\n'
                'SERIES += [f"{part}_{name}" for part in ("val", "test") for name in METRICS]\n',
            ),
            (
                LOG_ACCURACY,
                '            found = {f"val_{name}": how([accuracy]) for name, how in METRICS.items()}\n'
                '            tracker.log({"epoch": epoch, **found})\n',
            ),
            ('summary=("test_accuracy",)', "summary=[f'test_{name}' for name in METRICS]"),
            (
                '            tracker.log({"test_accuracy": score(model, splits["test"], run)})\n',
                "            for name, how in METRICS.items():\n"
                "                tracker.log({f'test_{name}': how([score(model, splits['test'], run)])})\n",
            ),
            (
                '{"test_accuracy": tracker.mean("test_accuracy")}',
                "{f'test_{name}': tracker.mean(f'test_{name}') for name in METRICS}",
            ),
        ),
        "src/evaluate.py": "from assay.evaluation import Metric, evaluate\n\n"
        'METRICS = [Metric(f"test_{name}", "maximize", label=name) for name in ("accuracy", "f1")]\n\n\n'
        "def main():\n"
        "    evaluate(*METRICS, curves=tuple(f'val_{name}' for name in ('accuracy', 'f1')))\n\n\n"
        "if __name__ == '__main__':\n    main()\n",
    },
    "metrics that a library names": {
        "src/train.py": but(
            TRAIN,
            (
                '            tracker.log({"test_accuracy": score(model, splits["test"], run)})\n',
                "            from sklearn.metrics import classification_report\n\n"
                "            found = classification_report([1], [1], output_dict=True)\n"
                "            tracker.log({f'test_{n}': one for n, one in found.items() if f'test_{n}' in SERIES})\n",
            ),
        ),
    },
    "series of a run's own": {
        "src/train.py": but(
            TRAIN,
            ("series=SERIES,", "series=[*SERIES, *cfg.training.get('extra', [])],"),
            (
                LOG_LOSS,
                LOG_LOSS + "                for name in cfg.training.get('extra', []):\n"
                "                    tracker.log({name: loss.item()})\n",
            ),
        ),
        "config/runs/proposed-a.yaml": RUN.replace("epochs: 4,", "epochs: 4, extra: [gate_entropy],"),
    },
    "tracking in a helper, with a context manager of its own": {
        "src/train.py": but(
            TRAIN,
            (
                "@experiment\ndef main",
                "@contextmanager\ndef tracked(cfg, run):\n"
                "    with run.track(cfg=cfg, series=list(SERIES), summary=[SERIES[-1]]) as tracker:\n"
                "        yield tracker\n\n\n@experiment\ndef main",
            ),
            ("from assay", "from contextlib import contextmanager\n\nfrom assay"),
            ('run.track(cfg, series=SERIES, summary=("test_accuracy",))', "tracked(cfg, run)"),
        ),
    },
    "what a trial leaves out": {
        "src/train.py": but(
            TRAIN,
            ("    best.restore()\n", "    if not run.is_trial and run.mode == 'full':\n        best.restore()\n"),
            ("    hits = [", "    if run.is_trial:\n        split = list(split)[:4]\n    hits = ["),
        ),
    },
    "the program completes its configuration": {
        "src/train.py": but(
            TRAIN,
            (
                "    splits = load_splits(cfg.dataset)\n",
                "    splits = load_splits(cfg.dataset)\n    with open_dict(cfg):\n"
                "        cfg.model.vocabulary = len(splits['train'])\n"
                "    OmegaConf.update(cfg, 'training.steps', 7, force_add=True)\n",
            ),
            (
                "    best = Best",
                "    steps = cfg.training.steps * cfg.model.vocabulary\n    print(steps)\n    best = Best",
            ),
            ("from torch import", "from omegaconf import OmegaConf, open_dict\nfrom torch import"),
        ),
    },
    "main passes on more": {
        "src/main.py": but(
            MAIN,
            (
                "    launch(",
                "    print(run.id, run.mode, run.folder / 'stdout.log', cfg.training.epochs)\n    ended = launch(",
            ),
            ("run.arguments,", "[*run.arguments, 'training.epochs=2', '+training.note=x'],"),
        ),
    },
    "main catches what the child ends with": {
        "src/main.py": but(
            MAIN,
            ("from omegaconf", "from assay.runtime import ExperimentError\nfrom omegaconf"),
            (
                '    launch("src.train", run.arguments, folder=run.folder)\n',
                "    try:\n"
                '        launch(module="src.train", arguments=run.arguments, folder=run.folder, check=True)\n'
                "    except ExperimentError as fault:\n"
                "        raise SystemExit(str(fault)) from None\n",
            ),
        ),
    },
    "batches of a generator, counted and shown": {
        "src/train.py": but(
            TRAIN,
            (
                "        for inputs, labels in run.batches(loader):\n",
                "        for step, (inputs, labels) in enumerate(tqdm(run.batches(moved(loader, run.device)))):\n",
            ),
            (
                "SERIES =",
                "def moved(loader, device):\n    for inputs, labels in loader:\n"
                "        yield inputs.to(device), labels.to(device)\n\n\nSERIES =",
            ),
            ("from torch import", "from tqdm import tqdm\nfrom torch import"),
        ),
    },
    "a part of training with a state of its own": {
        "src/train.py": but(
            TRAIN,
            (
                "SERIES =",
                "class Curriculum:\n    def __init__(self, settings):\n"
                "        self.settings, self.level = settings, 0\n\n    def state_dict(self):\n"
                "        return {'level': self.level}\n\n"
                "    def load_state_dict(self, state):\n        self.level = state['level']\n\n"
                "    def step(self):\n        self.level += self.settings.pace\n\n\nSERIES =",
            ),
            ("optimizer=optimizer, best", "optimizer=optimizer, curriculum=curriculum, best"),
            ("    best = Best", "    curriculum = Curriculum(cfg.training)\n    best = Best"),
            ("        best.update(", "        curriculum.step()\n        best.update("),
        ),
        **with_runs(RUN.replace("epochs: 4,", "epochs: 4, pace: 2,")),
    },
    "seeds that are counted, one run without a search": {
        "src/train.py": but(TRAIN, ("run.seeds(cfg.training.seeds)", "run.seeds(range(cfg.training.count))")),
        "config/runs/proposed-a.yaml": RUN.replace("seeds: [1, 2, 3]", "count: 3"),
        "config/runs/baseline-a.yaml": OTHER[: OTHER.index("optuna")].replace("seeds: [1, 2, 3]", "count: 1")
        + "optuna: {n_trials: 0, search_space: {}}\n",
    },
    "more of the library, and no value missing": {
        "src/train.py": but(
            TRAIN,
            ("BestWeights, experiment", "BestWeights, Budget, EnergyMeter, Stopwatch, experiment, set_seed"),
            ("    splits = load", "    set_seed(0)\n    watch, meter = Stopwatch(), EnergyMeter()\n    splits = load"),
        ),
    },
    "criteria, a device and comments in the configuration": {
        "config/config.yaml": CONFIG
        + "device: null  # the best there is\ncriteria:\n  better: {metric: test_accuracy, direction: maximize}\n",
    },
    "a key that may be absent": {
        "src/train.py": but(
            TRAIN,
            (
                "    best = Best",
                "    decay = cfg.training.get('decay', 0) if 'decay' in cfg.training else None\n"
                "    decay = getattr(cfg.training, 'wd', decay)\n"
                "    print(decay)\n    best = Best",
            ),
        ),
    },
    "its tracker handed through a dictionary": {
        "src/train.py": but(
            TRAIN,
            (
                "fit(cfg, splits, run, tracker)\n",
                "fit(**{'cfg': cfg, 'splits': splits, 'run': run, 'tracker': tracker})\n",
            ),
        ),
    },
    "the whole configuration as a dictionary": {
        "src/train.py": but(
            TRAIN,
            (
                "    model = build_model(cfg.model)",
                "    settings = OmegaConf.to_container(cfg, resolve=True)\n"
                "    rate = settings['training']['learning_rate']\n"
                "    model = build_model(cfg.model)",
            ),
            ("lr=cfg.training.learning_rate", "lr=rate"),
            ("from torch import", "from omegaconf import OmegaConf\nfrom torch import"),
        ),
    },
    "train is read and started by a function": {
        "src/main.py": 'from assay.runtime import experiment, launch\n\nMODULES = ("src.train",)\n\n\n'
        "def start(run):\n    for module in MODULES:\n"
        "        launch(module, run.arguments, folder=run.folder)\n\n\n"
        "@experiment\ndef main(_, run):\n    start(run)\n" + START,
    },
}


@pytest.mark.parametrize("name", CORRECT)
def test_a_correct_submission_is_not_blocked(name):
    assert blocking({**FILES, **CORRECT[name]}) == set()
