"""Submissions that stand on the library of this package: what is decided of them, and what a slip in them is told."""

from __future__ import annotations

from pathlib import Path

import pytest

import assay
from assay.analysis.project import Project
from assay.contracts import load_contract
from assay.finding import Severity
from assay.reviewer import run_rules
from assay.rules import all_rules
from assay.verdict import requirement_statuses
from tests.enacting import InProcessSession
from tests.rules.test_examples import submission_of

SCAFFOLD = Path(assay.__file__).parent / "scaffold" / "experiment"
MAIN = """from assay.runtime import Run, experiment, launch
from omegaconf import DictConfig


@experiment
def main(cfg: DictConfig, run: Run) -> None:
    launch("src.train", run.arguments, folder=run.folder)


if __name__ == "__main__":
    main()
"""
TRAIN = """from assay.runtime import BestWeights, experiment
from torch import nn, optim
from torch.utils.data import DataLoader

from src.model import build_model
from src.preprocess import load_splits

SERIES = ("epoch", "train_loss", "val_accuracy", "test_accuracy")


def fit(cfg, splits, run, tracker=None, report=None):
    model = build_model(cfg.model).to(run.device)
    optimizer = optim.AdamW(model.parameters(), lr=cfg.training.learning_rate)
    loader = DataLoader(splits["train"], batch_size=cfg.training.batch_size, shuffle=True)
    best = BestWeights(model, "maximize")
    for epoch in run.epochs(cfg.training.epochs, model=model, optimizer=optimizer, best=best):
        for inputs, labels in run.batches(loader):
            loss = nn.functional.cross_entropy(model(inputs), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if tracker:
                tracker.log({"epoch": epoch, "train_loss": loss.item()})
        accuracy = score(model, splits["val"], run)
        best.update(accuracy)
        if tracker:
            tracker.log({"epoch": epoch, "val_accuracy": accuracy})
        if report:
            report(accuracy, epoch)
    best.restore()
    return model, best.score


def score(model, split, run):
    hits = [float((model(x).argmax(1) == y).float().mean()) for x, y in run.batches(DataLoader(split))]
    return sum(hits) / len(hits)


@experiment
def main(cfg, run):
    splits = load_splits(cfg.dataset)
    cfg = run.search(lambda candidate, report: fit(candidate, splits, run, report=report)[1])
    with run.track(cfg, series=SERIES, summary=("test_accuracy",)) as tracker:
        for seed in run.seeds(cfg.training.seeds):
            model, _ = fit(cfg, splits, run, tracker)
            tracker.log({"test_accuracy": score(model, splits["test"], run)})
        tracker.summarize({"test_accuracy": tracker.mean("test_accuracy")})


if __name__ == "__main__":
    main()
"""
MODEL = """from torch import nn


def build_model(settings):
    hidden = nn.Linear(settings.features, settings.width)
    return nn.Sequential(hidden, nn.ReLU(), nn.Linear(settings.width, settings.classes))
"""
PREPROCESS = """from datasets import load_dataset


def load_splits(settings):
    loaded = load_dataset(settings.name, cache_dir=".cache/")
    parts = {name: loaded[name] for name in ("train", "test")}
    return {**parts, "val": loaded["train"], "share": settings.share, "seed": settings.seed}
"""
EVALUATE = """from assay.evaluation import Metric, evaluate

if __name__ == "__main__":
    evaluate(Metric("test_accuracy", "maximize"), curves=("train_loss", "val_accuracy"), targets={"val_accuracy": 0.9})
"""
CONFIG = """run: ???
results_dir: ???
mode: ???
wandb: {entity: lab, project: study}
"""
RUN = """run_id: proposed-a
method: mlp
model: {features: 784, width: 32, classes: 10}
dataset: {name: ylecun/mnist, share: 0.2, seed: 1}
training: {seeds: [1, 2, 3], epochs: 4, batch_size: 16, learning_rate: 0.01}
optuna:
  n_trials: 4
  direction: maximize
  seed: 1
  search_space:
    learning_rate: {type: loguniform, low: 0.001, high: 0.1}
"""
OTHER = RUN.replace("proposed-a", "baseline-a").replace("width: 32", "width: 8")
FILES = {
    "src/main.py": MAIN,
    "src/train.py": TRAIN,
    "src/model.py": MODEL,
    "src/preprocess.py": PREPROCESS,
    "src/evaluate.py": EVALUATE,
    "config/config.yaml": CONFIG,
    "config/runs/proposed-a.yaml": RUN,
    "config/runs/baseline-a.yaml": OTHER,
    "pyproject.toml": '[project]\nname = "a"\nversion = "0"\ndependencies = ["assay[runtime]", "torch", "datasets"]\n',
}
KEPT_BY_THE_LIBRARY = {
    "E2.1",
    "E2.2",
    "E2.3",
    "E2.4",
    "E2.5",
    "E6.1",
    "E6.2",
    "E6.3",
    "E6.4",
    "E6.5",
    "E6.6",
    "E6.7",
    "E6.8",
    "E7.1",
    "E7.3",
    "E8.1",
    "E8.2",
    "E8.3",
    "E8.4",
    "E8.5",
    "E8.6",
    "E8.7",
    "E8.8",
    "E8.9",
    "E9.1",
    "E9.3",
    "X6",
}


def reviewed(files):
    """The findings that block, as rule and place, and the rows that are met."""
    project = Project(submission_of(files), load_contract("experiment"))
    project.start_enactment(InProcessSession())
    try:
        findings, coverage = run_rules(project, all_rules())
    finally:
        project.close()
    rows = requirement_statuses(project.contract, findings, coverage)
    return findings, {row.id for row in rows if row.status == "met"}


def blocking(files):
    return {(one.rule, one.place) for one in reviewed(files)[0] if one.severity is Severity.BLOCKING}


def changed(*changes):
    """The files with texts replaced: path, old, new."""
    files = dict(FILES)
    for path, old, new in changes:
        assert old in files[path], f"{path} has no {old!r}"
        files[path] = files[path].replace(old, new)
    return files


def scaffold():
    paths = [path for path in SCAFFOLD.rglob("*") if path.suffix in (".py", ".yaml", ".toml")]
    return {str(path.relative_to(SCAFFOLD)): path.read_text().replace("NAME", "digits") for path in paths}


@pytest.mark.parametrize("files", [FILES, scaffold()], ids=["small", "scaffold"])
def test_what_the_library_keeps_is_met(files):
    findings, met = reviewed(files)
    assert [one.message for one in findings if one.severity is not Severity.NOTE] == []
    assert met >= KEPT_BY_THE_LIBRARY


BROKEN = {
    # a key that one run lacks, through main, the search and a function
    "CFG003": (("config/runs/baseline-a.yaml", "batch_size: 16, ", ""), "src/train.py:14"),
    # a searched name that no key has
    "LIB001": (
        ("config/runs/baseline-a.yaml", "    learning_rate: {t", "    dropout: {t"),
        "config/runs/baseline-a.yaml:11",
    ),
    "LIB001-2": (
        ("config/runs/proposed-a.yaml", "run_id: proposed-a", "run_id: proposed"),
        "config/runs/proposed-a.yaml:1",
    ),
    # the words that main passes on: the mode, the run
    "LIB001-3": (("src/main.py", "run.arguments", '[f"run={run.id}", "results_dir=x", "mode=test"]'), "src/main.py:7"),
    "LIB001-4": (("src/main.py", "run.arguments", '["run=proposed", *run.arguments[1:]]'), "src/main.py:7"),
    # keys that are tracked and not registered, or the other way round
    "LIB002": (("src/train.py", '{"epoch": epoch, "val_accuracy"', '{"epoch": epoch, "val_acc"'), "src/train.py:27"),
    "LIB002-2": (
        ("src/train.py", 'tracker.summarize({"test_accuracy"', 'tracker.summarize({"accuracy"'),
        "src/train.py:47",
    ),
    "LIB003": (("src/evaluate.py", '("train_loss", ', '("loss", '), "src/evaluate.py:4"),
    "LIB003-2": (("src/evaluate.py", 'Metric("test_accuracy"', 'Metric("best_accuracy"'), "src/evaluate.py:4"),
    # it is searched, and nobody reads it
    "HPO011": (
        (
            "config/runs/proposed-a.yaml",
            "    learning_rate: {t",
            "    dataset.seed: {type: int, low: 1, high: 9}\n    learning_rate: {t",
        ),
        "src/train.py:42",
    ),
    # the interface of the library
    "LIB004": (("src/train.py", "run.epochs(cfg.training.epochs, ", "run.epochs("), "src/train.py:16"),
    "LIB004-2": (("src/train.py", "tracker.mean(", "tracker.average("), "src/train.py:47"),
    "LIB004-3": (("src/main.py", "run.arguments, folder=", "run.arguments, logs="), "src/main.py:7"),
    "LIB004-4": (
        ("src/evaluate.py", "import Metric, evaluate", "import Metric, compare, evaluate"),
        "src/evaluate.py:1",
    ),
    # tracked by itself; asked for and not registered; a run that is tracked within the search
    "LIB001-5": (("src/train.py", '"test_accuracy")\n', '"test_accuracy", "seconds")\n'), "src/train.py:43"),
    "LIB001-6": (("src/train.py", 'tracker.mean("test_accuracy")', 'tracker.mean("test_loss")'), "src/train.py:47"),
    # what cannot be compared
    "LIB001-7": (("src/evaluate.py", '"maximize")', '"max")'), "src/evaluate.py:4"),
    "LIB001-8": (("src/evaluate.py", 'targets={"val_accuracy"', 'targets={"train_loss"'), "src/evaluate.py:4"),
    # a search that Optuna could not make
    "LIB001-9": (
        ("config/runs/proposed-a.yaml", "direction: maximize", "direction: maximise"),
        "config/runs/proposed-a.yaml:8",
    ),
    "LIB001-10": (
        ("config/runs/baseline-a.yaml", "  seed: 1\n", "  seed: 1\n  pruner: {type: middle}\n"),
        "config/runs/baseline-a.yaml:10",
    ),
    # the command's own words
    "CFG007": (("config/config.yaml", "results_dir: ???\n", ""), "config/config.yaml"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_slip_is_found_at_its_place(name):
    change, place = BROKEN[name]
    found = blocking(changed(change))
    assert (name.partition("-")[0], place) in found
    assert {rule for rule, _ in found} == {name.partition("-")[0]}


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        # something else is tracked, searched or drawn
        (("src/train.py", "from torch import", "import wandb\nfrom torch import"), {"E6.4", "E6.5", "E6.8", "E2.5"}),
        (("src/train.py", "from torch import", "import matplotlib\nfrom torch import"), {"E8.8"}),
        # train is started under a condition, or not with what main was given
        (("src/main.py", "    launch(", "    if run.folder.exists():\n        launch("), {"E2.3", "E7.1", "E9.1"}),
        (("src/main.py", "run.arguments,", "run.arguments, directory='x',"), {"E2.3"}),
        # something happens before the mode is looked at
        (("src/train.py", "SERIES =", "print(open('x').read())\nSERIES ="), {"E9.1"}),
        # a number that is no parameter of the configuration
        (("src/model.py", "nn.ReLU()", "nn.Dropout(0.3)"), {"E2.1", "E9.3"}),
        # the program changes what was configured
        (("src/train.py", "    splits = load", "    cfg.training.epochs = 1\n    splits = load"), {"E9.3"}),
        (("src/train.py", "    splits = load", "    cfg.wandb.mode = 'online'\n    splits = load"), {"E2.5", "E6.5"}),
        # a trial is more than one epoch
        (
            (
                "src/train.py",
                "    for epoch in run.epochs",
                "    for epoch in run.epochs(1 + 1):\n        pass\n    for epoch in run.epochs",
            ),
            {"E2.5"},
        ),
        # not every series is logged, or not certainly
        (("src/train.py", '"test_accuracy")\n', '"test_accuracy", "val_loss")\n'), {"E6.1"}),
        (
            (
                "src/train.py",
                '            tracker.log({"test',
                '            if model.training:\n                tracker.log({"test',
            ),
            {"E6.1"},
        ),
        # main passes on more than it was given, or W&B is kept offline
        (("src/main.py", "run.arguments,", "[*run.arguments, 'training.epochs=2'],"), {"E9.3"}),
        (("config/config.yaml", "project: study", "project: study, mode: offline"), {"E2.5"}),
        # seeds of its own
        (("src/train.py", "    model = build_model", "    torch.manual_seed(0)\n    model = build_model"), {"X6"}),
        # it trains before the seeds are set
        (
            ("src/train.py", "        for seed in", "        fit(cfg, splits, run, tracker)\n        for seed in"),
            {"X6"},
        ),
        # no figure of a run, and nothing to compare in pairs
        (("src/evaluate.py", 'curves=("train_loss", "val_accuracy"), ', ""), {"E8.3"}),
        (("config/runs/baseline-a.yaml", "seeds: [1, 2, 3]", "seeds: [1]"), {"E8.6"}),
        # evaluate does more, or is called
        (("src/evaluate.py", "from assay", "import pandas\nfrom assay"), {"E2.4", "E8.3", "E8.6"}),
        (("src/evaluate.py", "    evaluate(", "    if open('x').read():\n        evaluate("), {"E2.4", "E8.1", "E8.4"}),
        (("src/main.py", "    launch(", '    launch("src.evaluate", [])\n    launch('), {"E8.1"}),
    ],
)
def test_what_only_looks_like_it_is_not_met(change, rows):
    _, met = reviewed(changed(change))
    assert not met & rows


def test_a_package_of_the_same_name_is_not_the_library():
    stub = "def experiment(main): return main\n\n\ndef launch(*words, **named): pass\n"
    files = changed(("config/runs/baseline-a.yaml", "run_id: baseline-a", "run_id: b"))
    for path in ("assay/runtime.py", "assay/__init__.py"):
        findings, met = reviewed({**files, path: stub})
        assert not {one.rule for one in findings if one.rule.startswith("LIB")}
        assert not met & {"E2.1", "E2.3", "E6.8", "E9.1", "E8.4"}


def test_a_name_of_the_library_may_be_given_to_something_else():
    other = "def experiment(main):\n    return lambda: main(None, None)\n\n\n@experiment"
    _, met = reviewed(changed(("src/train.py", "@experiment", other)))
    assert not met & {"E2.3", "E6.8", "X6"}
