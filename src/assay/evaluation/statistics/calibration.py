"""Expected calibration error: how far a classifier's confidence is from its accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# softmax in half precision over a thousand classes is off by about this much; logits are off by far more
_SUM_TOLERANCE = 1e-2


def expected_calibration_error(probabilities: Any, labels: Any, *, bins: int = 15, k: int = 1) -> float:
    """Expected calibration error with bins of equal width.

    Guo et al. 2017, "On calibration of modern neural networks", equation 3: samples are put into bins
    ((m - 1) / bins, m / bins] by confidence, and the error is the mean over samples of
    |accuracy - confidence| of their bin. For k > 1, confidence is the sum of the k largest probabilities, and a
    sample is correct where its label is among these k classes; of equal probabilities the lower class comes first.

    Args:
        probabilities: Class probabilities in [0, 1], rows summing to 1, shape (n, classes); an array or a tensor.
        labels: Class indices in [0, classes), integers, shape (n,); an array or a tensor.
        bins: Number of bins, at least 1.
        k: Number of top classes that count, in [1, classes].

    Returns:
        The error in [0, 1].

    Raises:
        ValueError: A shape, a range or a type is not as above.
    """
    p, y = _array(probabilities, "probabilities").astype(np.float64), _array(labels, "labels")
    _check(p, y, bins, k)
    top = np.argsort(-p, axis=1, kind="stable")[:, :k]
    confidence = np.minimum(np.take_along_axis(p, top, axis=1).sum(axis=1), 1.0)
    correct = np.any(top == y[:, np.newaxis], axis=1)
    bin_of = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="left")
    gaps = np.bincount(bin_of, weights=correct - confidence, minlength=bins)
    return float(np.sum(np.abs(gaps)) / len(y))


def _array(values: Any, what: str) -> NDArray[Any]:
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        # NumPy has no bfloat16
        values = values.double() if values.is_floating_point() else values
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} are no array: {error}") from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{what} are numbers, not of type {array.dtype}")
    return array


def _check(p: NDArray[np.float64], y: NDArray[Any], bins: int, k: int) -> None:
    if p.ndim != 2 or p.size == 0:
        raise ValueError(f"probabilities have the shape (n, classes), not {p.shape}")
    if y.shape != p.shape[:1]:
        raise ValueError(f"labels have the shape ({len(p)},) to go with the probabilities, not {y.shape}")
    if y.dtype.kind not in "iu":
        raise ValueError(f"labels are integers, not of type {y.dtype}")
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise ValueError(f"labels are between 0 and {p.shape[1] - 1}, not between {y.min()} and {y.max()}")
    if not np.all(np.isfinite(p)) or p.min() < 0 or p.max() > 1 + _SUM_TOLERANCE:
        raise ValueError("probabilities are between 0 and 1, without NaN; apply a softmax to logits first")
    if np.max(np.abs(p.sum(axis=1) - 1)) > _SUM_TOLERANCE:
        raise ValueError("the probabilities of a sample sum to 1; apply a softmax to logits first")
    if not isinstance(bins, int) or bins < 1:
        raise ValueError(f"bins is a whole number from 1, not {bins!r}")
    if not isinstance(k, int) or not 1 <= k <= p.shape[1]:
        raise ValueError(f"k is a whole number from 1 to {p.shape[1]}, the number of classes, not {k!r}")
