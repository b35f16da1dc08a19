"""Compares tracked runs: python -m src.evaluate results_dir=PATH run_ids='["a", "b"]'."""

import argparse
import json
import math
from datetime import datetime
from pathlib import Path

import matplotlib
import pandas as pd
import wandb
from omegaconf import OmegaConf
from scipy import stats

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

CONFIG = Path(__file__).resolve().parents[1] / "config" / "config.yaml"
PRIMARY = "final_test_exact_match"
DIRECTIONS = {"final_test_exact_match": "maximize", "best_val_exact_match": "maximize"}


def read_arguments() -> tuple[Path, list[str]]:
    parser = argparse.ArgumentParser(description="Compare tracked runs.")
    parser.add_argument("results_dir", type=Path)
    parser.add_argument("run_ids", help="JSON list of run ids")
    arguments = parser.parse_args()
    return arguments.results_dir, json.loads(arguments.run_ids)


def fetch(api: wandb.Api, path: str) -> tuple[pd.DataFrame, dict, dict]:
    """History, summary and configuration of a tracked run. Every row is read: a sample would lose seeds."""
    try:
        run = api.run(path)
        history = pd.DataFrame(list(run.scan_history()))
    except (wandb.errors.CommError, ValueError) as error:
        raise SystemExit(
            f"{path}: no tracked data ({error}). Runs in trial mode are not tracked; use mode=full."
        ) from None
    if "test_exact_match" not in history:
        raise SystemExit(f"{path}: the run did not reach its test scores; train it again with mode=full.")
    return history, dict(run.summary), dict(run.config)


def seed_scores(history: pd.DataFrame) -> pd.Series:
    """Test score by seed. A resumed run repeats seeds; the last record counts."""
    rows = history.dropna(subset=["test_exact_match"]).drop_duplicates("seed", keep="last")
    return rows.set_index("seed")["test_exact_match"].sort_index()


def export_run(folder: Path, run_id: str, history: pd.DataFrame, summary: dict, config: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    scores = seed_scores(history)
    record = {
        "run_id": run_id,
        "summary": {name: summary[name] for name in DIRECTIONS},
        "test_exact_match": {str(int(seed)): score for seed, score in scores.items()},
        "config": config,
        "history": json.loads(history.to_json(orient="records")),
    }
    (folder / "metrics.json").write_text(json.dumps(record, indent=2), encoding="utf-8")

    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4))
    for seed, rows in history.groupby("seed"):
        steps = rows.dropna(subset=["train_loss"])
        left.plot(steps["step"], steps["train_loss"], linewidth=0.8, label=f"seed {int(seed)}")
        right.plot(steps["step"], steps["learning_rate"], linewidth=0.8, label=f"seed {int(seed)}")
        epochs = rows.dropna(subset=["val_exact_match"])
        middle.plot(epochs["epoch"], epochs["val_exact_match"], marker="o", label=f"seed {int(seed)}")
        last = epochs.iloc[-1]
        middle.annotate(f"{last['val_exact_match']:.3f}", (last["epoch"], last["val_exact_match"]))
    left.set(xlabel="step", ylabel="training loss")
    middle.set(xlabel="epoch", ylabel="validation exact match")
    right.set(xlabel="step", ylabel="learning rate")
    for axes in (left, middle, right):
        axes.legend()
    figure.suptitle(run_id)
    figure.tight_layout()
    figure.savefig(folder / f"{run_id}_learning_curve.pdf")
    plt.close(figure)


def best_run(values: dict[str, float], words: tuple[str, ...], direction: str) -> dict | None:
    chosen = {run_id: value for run_id, value in values.items() if any(word in run_id for word in words)}
    if not chosen:
        return None
    run_id = (max if direction == "maximize" else min)(chosen, key=chosen.get)
    return {"run_id": run_id, "value": chosen[run_id]}


def relative_gap(proposed: dict | None, baseline: dict | None, direction: str) -> float | None:
    """Improvement over the baseline in percent: positive where the proposed method is better."""
    if proposed is None or baseline is None or baseline["value"] == 0:
        return None
    gap = (proposed["value"] - baseline["value"]) / baseline["value"] * 100
    return gap if direction == "maximize" else -gap


def paired_test(proposed: pd.Series, baseline: pd.Series) -> dict:
    """Paired t-test over the seeds that both runs have, with a 95 % interval of the mean difference."""
    difference = (proposed - baseline).dropna()
    answer = {"seeds": [int(seed) for seed in difference.index], "p_value": None, "interval": None}
    answer["mean_difference"] = float(difference.mean()) if len(difference) else None
    if len(difference) >= 2 and difference.std() > 0:
        result = stats.ttest_1samp(difference, 0.0)
        interval = result.confidence_interval(0.95)
        answer["p_value"] = float(result.pvalue)
        answer["interval"] = [float(interval.low), float(interval.high)]
    return answer


def aggregate(metrics: dict[str, dict[str, float]], scores: dict[str, pd.Series]) -> dict:
    direction = DIRECTIONS[PRIMARY]
    proposed = best_run(metrics[PRIMARY], ("proposed",), direction)
    baseline = best_run(metrics[PRIMARY], ("comparative", "baseline"), direction)
    test = None
    if proposed and baseline:
        test = paired_test(scores[proposed["run_id"]], scores[baseline["run_id"]])
    return {
        "primary_metric": PRIMARY,
        "metrics": metrics,
        "best_proposed": proposed,
        "best_baseline": baseline,
        "gap": relative_gap(proposed, baseline, direction),
        "significance": test,
    }


def draw_comparison(folder: Path, scores: dict[str, pd.Series]) -> None:
    stamp = datetime.now().strftime("%Y%m%d_%H%M%S")
    figure, axes = plt.subplots(figsize=(1.5 + 2.2 * len(scores), 4))
    for number, (run_id, values) in enumerate(scores.items()):
        spread = values.std() if len(values) > 1 else math.nan
        axes.bar(number, values.mean(), yerr=spread, capsize=4, alpha=0.6, label=run_id)
        axes.scatter([number] * len(values), values, color="black", s=12)
        axes.annotate(f"{values.mean():.3f}", (number, 0), xytext=(0, 4), textcoords="offset points", ha="center")
    axes.set(xticks=[], ylabel="test exact match")
    axes.set_title("Mean over seeds, standard deviation, and each seed")
    axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, -0.25))
    figure.tight_layout()
    figure.savefig(folder / f"comparison_exact_match_{stamp}.pdf")
    plt.close(figure)


def main() -> None:
    results_dir, run_ids = read_arguments()
    tracking = OmegaConf.load(CONFIG).wandb
    api = wandb.Api()
    scores: dict[str, pd.Series] = {}
    metrics: dict[str, dict[str, float]] = {name: {} for name in DIRECTIONS}
    for run_id in run_ids:
        history, summary, config = fetch(api, f"{tracking.entity}/{tracking.project}/{run_id}")
        export_run(results_dir / run_id, run_id, history, summary, config)
        scores[run_id] = seed_scores(history)
        for name in DIRECTIONS:
            metrics[name][run_id] = summary[name]
    comparison = results_dir / "comparison"
    comparison.mkdir(parents=True, exist_ok=True)
    report = aggregate(metrics, scores)
    (comparison / "aggregated_metrics.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    pd.DataFrame(metrics).to_csv(comparison / "comparison_metrics.csv", index_label="run_id")
    draw_comparison(comparison, scores)
    print(f"wrote {comparison / 'aggregated_metrics.json'}; gap {report['gap']} %")


if __name__ == "__main__":
    main()
