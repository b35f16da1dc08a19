"""Trains one run over its seeds and tracks it: python -u -m src.train run=ID results_dir=PATH mode=trial|full."""

import torch
from assay.evaluation.statistics.calibration import expected_calibration_error
from assay.runtime import BestWeights, Report, Run, Tracker, experiment
from omegaconf import DictConfig
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from src.model import build_model
from src.preprocess import Splits, load_splits

# What is tracked, and so what src.evaluate can read. `seed` and `seconds` are added to every row.
SERIES = ("epoch", "train_loss", "val_loss", "val_accuracy", "test_loss", "test_accuracy", "test_ece", "test_confusion")
SUMMARY = ("test_accuracy", "test_loss", "test_ece", "best_val_accuracy")


@torch.no_grad()
def predict(
    model: torch.nn.Module, data: TensorDataset, cfg: DictConfig, run: Run
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (examples, classes) and labels (examples,) of one part of the data."""
    model.eval()
    loader = DataLoader(data, batch_size=cfg.evaluation.batch_size)
    batches = [(model(inputs.to(run.device)).cpu(), labels) for inputs, labels in run.batches(loader)]
    return torch.cat([logits for logits, _ in batches]), torch.cat([labels for _, labels in batches])


def fit(
    cfg: DictConfig, splits: Splits, run: Run, tracker: Tracker | None = None, report: Report | None = None
) -> tuple[torch.nn.Module, float]:
    """The model as it was after its best epoch on validation, and its accuracy there."""
    model = build_model(cfg.model, splits.features, splits.classes).to(run.device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=cfg.training.learning_rate, weight_decay=cfg.training.weight_decay
    )
    loader = DataLoader(splits.train, batch_size=cfg.training.batch_size, shuffle=True)
    best = BestWeights(model, "maximize")
    for epoch in run.epochs(cfg.training.epochs, model=model, optimizer=optimizer, best=best):
        model.train()
        for inputs, labels in run.batches(loader):
            loss = functional.cross_entropy(model(inputs.to(run.device)), labels.to(run.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if tracker:
                tracker.log({"epoch": epoch, "train_loss": loss.item()})
        logits, labels = predict(model, splits.validation, cfg, run)
        accuracy = (logits.argmax(1) == labels).float().mean().item()
        best.update(accuracy)
        if tracker:
            loss = functional.cross_entropy(logits, labels)
            tracker.log({"epoch": epoch, "val_loss": loss.item(), "val_accuracy": accuracy})
        if report:
            report(accuracy, epoch)
    best.restore()
    return model, best.score


def test(model: torch.nn.Module, splits: Splits, cfg: DictConfig, run: Run, tracker: Tracker) -> None:
    """Track what a trained model does on the test split, which nothing before has read."""
    logits, labels = predict(model, splits.test, cfg, run)
    predicted = logits.argmax(1)
    confusion = torch.zeros(splits.classes, splits.classes, dtype=torch.long)
    confusion.index_put_((labels, predicted), torch.ones_like(labels), accumulate=True)
    tracker.log(
        {
            "test_loss": functional.cross_entropy(logits, labels).item(),
            "test_accuracy": (predicted == labels).float().mean().item(),
            "test_ece": expected_calibration_error(logits.softmax(1), labels),
            "test_confusion": confusion.tolist(),
        }
    )


@experiment
def main(cfg: DictConfig, run: Run) -> None:
    splits = load_splits(cfg.dataset)
    cfg = run.search(lambda candidate, report: fit(candidate, splits, run, report=report)[1])
    with run.track(cfg, series=SERIES, summary=SUMMARY) as tracker:
        for seed in run.seeds(cfg.training.seeds):
            model, accuracy = fit(cfg, splits, run, tracker)
            test(model, splits, cfg, run, tracker)
            print(f"seed {seed}: accuracy {accuracy:.4f} on validation")
        tracker.summarize(
            {
                "test_accuracy": tracker.mean("test_accuracy"),
                "test_loss": tracker.mean("test_loss"),
                "test_ece": tracker.mean("test_ece"),
                "best_val_accuracy": tracker.mean("val_accuracy"),
            }
        )


if __name__ == "__main__":
    main()
