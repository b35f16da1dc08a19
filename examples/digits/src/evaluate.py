"""Compares tracked runs: python -m src.evaluate results_dir=PATH run_ids='["a", "b"]'."""

from assay.evaluation import Metric, evaluate


def main() -> None:
    evaluate(
        Metric("test_accuracy", "maximize"),
        Metric("test_loss", "minimize"),
        Metric("test_ece", "minimize"),
        curves=("train_loss", "val_loss", "val_accuracy"),
        confusion="test_confusion",
        targets={"val_accuracy": 0.95},
    )


if __name__ == "__main__":
    main()
