"""Which names are names of metrics, and whether higher or lower is better."""

from __future__ import annotations

from functools import cache

from assay.analysis.expressions import words_of
from assay.analysis.fact_table import read_table

# parts of a metric's name that say when or on which data it was taken
_STAGES = frozenset(
    {
        "train", "training", "val", "valid", "validation", "dev", "test", "eval", "evaluation", "final", "best", "last",
        "mean", "avg", "average", "epoch", "step", "current", "cur", "new", "overall", "running", "total", "metric",
        "value", "score", "so", "far", "history", "prev", "previous", "monitor",
    }
)  # fmt: skip


def direction_of(name: str) -> str | None:
    """`higher` or `lower`, which is better for the metric that a name speaks of; None where it is no known one.

    Words for the stage or the data (`val`, `best`, ...) do not count: `best_val_acc` is an accuracy. All other words
    do: `chance_accuracy` and `loss_weight` are no metrics.
    """
    parts = words_of(name)
    found = _table().get("_".join(parts))
    if found is None:
        found = _table().get("_".join(part for part in parts if part not in _STAGES))
    return found


@cache
def _table() -> dict[str, str]:
    # the same split as for the names that are asked for: `rouge1` is rouge, 1
    return {"_".join(words_of(row["name"])): row["better"] for row in read_table("metric_names")}
