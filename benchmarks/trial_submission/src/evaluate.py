"""Compares tracked runs: python -m src.evaluate results_dir=PATH run_ids='["a", "b"]'."""

import json
import sys
from pathlib import Path

import matplotlib
import pandas as pd
import wandb
from omegaconf import OmegaConf
from scipy import stats

matplotlib.use("Agg")
import matplotlib.pyplot as plt

CONFIG = Path(__file__).resolve().parents[1] / "config" / "config.yaml"
PRIMARY = "final_test_accuracy"
DIRECTIONS = {"final_test_accuracy": "maximize", "best_val_accuracy": "maximize"}


def arguments_of(words: list[str]) -> tuple[Path, list[str]]:
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if len(given) != len(words) or set(given) != {"results_dir", "run_ids"}:
        raise SystemExit("usage: python -m src.evaluate results_dir=PATH run_ids='JSON list of run ids'")
    return Path(given["results_dir"]), json.loads(given["run_ids"])


def tracked(api: wandb.Api, path: str) -> tuple[pd.DataFrame, dict, dict]:
    """History, summary and configuration of a run. All rows are read: a sample would lose seeds."""
    try:
        run = api.run(path)
        history = pd.DataFrame(list(run.scan_history()))
    except (wandb.errors.CommError, ValueError) as error:
        raise SystemExit(f"{path}: no tracked data ({error}). Only runs with mode=full are tracked.") from None
    if "test_accuracy" not in history:
        raise SystemExit(f"{path}: the run did not reach its test scores; run it again with mode=full.")
    return history, dict(run.summary), dict(run.config)


def scores_by_seed(history: pd.DataFrame) -> pd.Series:
    """Test accuracy by seed. A resumed run repeats seeds; the last record counts."""
    rows = history.dropna(subset=["test_accuracy"]).drop_duplicates("seed", keep="last")
    return rows.set_index("seed")["test_accuracy"].sort_index()


def export(folder: Path, run_id: str, history: pd.DataFrame, summary: dict, config: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scores = scores_by_seed(history)
    record = {
        "run_id": run_id,
        "summary": {name: summary[name] for name in DIRECTIONS},
        "test_accuracy": {str(int(seed)): float(score) for seed, score in scores.items()},
        "config": config,
        "history": json.loads(history.to_json(orient="records")),
    }
    (folder / "metrics.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for seed, rows in history.groupby("seed"):
        steps = rows.dropna(subset=["train_loss"])
        left.plot(steps["step"], steps["train_loss"], linewidth=0.8, label=f"seed {int(seed)}")
        epochs = rows.dropna(subset=["val_accuracy"])
        right.plot(epochs["epoch"], epochs["val_accuracy"], marker="o", label=f"seed {int(seed)}")
        last = epochs.iloc[-1]
        right.annotate(f"{last['val_accuracy']:.3f}", (last["epoch"], last["val_accuracy"]))
    left.set(xlabel="step", ylabel="training loss")
    right.set(xlabel="epoch", ylabel="validation accuracy")
    left.legend()
    right.legend()
    figure.suptitle(run_id)
    figure.tight_layout()
    figure.savefig(folder / f"{run_id}_learning_curve.pdf")
    plt.close(figure)


def best_of(values: dict[str, float], words: tuple[str, ...], direction: str) -> dict | None:
    chosen = {run_id: value for run_id, value in values.items() if any(word in run_id for word in words)}
    if not chosen:
        return None
    run_id = (max if direction == "maximize" else min)(chosen, key=chosen.get)
    return {"run_id": run_id, "value": chosen[run_id]}


def gap_between(proposed: dict | None, baseline: dict | None, direction: str) -> float | None:
    """Improvement over the baseline in percent: positive where the proposed method is better."""
    if proposed is None or baseline is None or baseline["value"] == 0:
        return None
    gap = (proposed["value"] - baseline["value"]) / baseline["value"] * 100
    return gap if direction == "maximize" else -gap


def compared(proposed: pd.Series, baseline: pd.Series) -> dict:
    """Wilcoxon's signed-rank test and a paired t-test over the seeds that both runs have."""
    difference = (proposed - baseline).dropna()
    found = {"seeds": [int(seed) for seed in difference.index], "mean_difference": None, "interval": None}
    found |= {"p_wilcoxon": None, "p_t_test": None}
    if len(difference) == 0:
        return found
    found["mean_difference"] = float(difference.mean())
    if len(difference) >= 2 and difference.std() > 0:
        paired = stats.ttest_1samp(difference, 0.0)
        interval = paired.confidence_interval(0.95)
        found["p_t_test"] = float(paired.pvalue)
        found["interval"] = [float(interval.low), float(interval.high)]
        found["p_wilcoxon"] = float(stats.wilcoxon(difference).pvalue)
    return found


def draw(folder: Path, scores: dict[str, pd.Series]) -> None:
    figure, axes = plt.subplots(figsize=(2 + 2.5 * len(scores), 4))
    for number, (run_id, values) in enumerate(scores.items()):
        axes.bar(number, values.mean(), alpha=0.6, label=run_id)
        axes.scatter([number] * len(values), values, color="black", s=12)
        axes.annotate(f"{values.mean():.3f}", (number, 0), xytext=(0, 4), textcoords="offset points", ha="center")
    axes.set(xticks=[], ylabel="test accuracy", title="Mean over seeds, and each seed")
    axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "comparison_test_accuracy.pdf")
    plt.close(figure)


def main() -> None:
    results_dir, run_ids = arguments_of(sys.argv[1:])
    tracking = OmegaConf.load(CONFIG).wandb
    api = wandb.Api()
    scores: dict[str, pd.Series] = {}
    metrics: dict[str, dict[str, float]] = {name: {} for name in DIRECTIONS}
    for run_id in run_ids:
        history, summary, config = tracked(api, f"{tracking.entity}/{tracking.project}/{run_id}")
        export(results_dir / run_id, run_id, history, summary, config)
        scores[run_id] = scores_by_seed(history)
        for name in DIRECTIONS:
            metrics[name][run_id] = summary[name]
    proposed = best_of(metrics[PRIMARY], ("proposed",), DIRECTIONS[PRIMARY])
    baseline = best_of(metrics[PRIMARY], ("comparative", "baseline"), DIRECTIONS[PRIMARY])
    test = compared(scores[proposed["run_id"]], scores[baseline["run_id"]]) if proposed and baseline else None
    report = {
        "primary_metric": PRIMARY,
        "metrics": metrics,
        "best_proposed": proposed,
        "best_baseline": baseline,
        "gap": gap_between(proposed, baseline, DIRECTIONS[PRIMARY]),
        "significance": test,
    }
    comparison = results_dir / "comparison"
    comparison.mkdir(parents=True, exist_ok=True)
    (comparison / "aggregated_metrics.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    pd.DataFrame(metrics).to_csv(comparison / "comparison_metrics.csv", index_label="run_id")
    draw(comparison, scores)
    print(f"wrote {comparison / 'aggregated_metrics.json'}; gap {report['gap']} %")


if __name__ == "__main__":
    main()
