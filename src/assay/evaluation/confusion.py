"""The confusion matrix of a run, summed over its seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from assay.evaluation.records import RunRecord, as_number
from assay.runtime.errors import ExperimentError

Matrix = tuple[tuple[float, ...], ...]


def summed_confusion(record: RunRecord, name: str, class_names: Sequence[str] | None) -> tuple[Matrix, int] | None:
    """Adds up the last confusion matrix of every seed.

    Args:
        record: The run.
        name: Key of the series; its values are lists of rows (true class) of counts (predicted class).
        class_names: Names of the classes; None where they have none.

    Returns:
        The counts, shape (classes, classes), and the number of seeds; None where the run logged no matrix.

    Raises:
        ExperimentError: A value is no square matrix of counts, or its size is not that of the others or of the names.
    """
    total: list[list[float]] = []
    matrices = record.last(name)
    for seed, matrix in matrices.items():
        rows = _square(matrix)
        if rows is None:
            raise ExperimentError(
                f"{record.run_id}: {name} of seed {seed} is no confusion matrix; log a list of rows, one a class, "
                "with as many counts, none below 0."
            )
        total = total or [[0.0] * len(rows) for _ in rows]
        if len(rows) != len(total):
            raise ExperimentError(f"{record.run_id}: {name} has {len(total)} classes, but {len(rows)} in seed {seed}.")
        total = [[one + other for one, other in zip(*pair, strict=True)] for pair in zip(total, rows, strict=True)]
    if total and class_names is not None and len(class_names) != len(total):
        raise ExperimentError(
            f"{record.run_id}: {name} has {len(total)} classes, but evaluate(class_names=...) names {len(class_names)}."
        )
    return (tuple(map(tuple, total)), len(matrices)) if total else None


def _square(matrix: object) -> list[list[float]] | None:
    if not isinstance(matrix, list | tuple) or not matrix:
        return None
    rows: list[list[float]] = []
    for row in matrix:
        if not isinstance(row, list | tuple) or len(row) != len(matrix):
            return None
        counts = [count for count in map(as_number, row) if count is not None and count >= 0 and math.isfinite(count)]
        if len(counts) != len(matrix):
            return None
        rows.append(counts)
    return rows
