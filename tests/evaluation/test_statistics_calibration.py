"""The expected calibration error agrees with a loop over bins."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.evaluation.statistics import expected_calibration_error


def classifier(n, classes, seed):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.5), size=n)
    return probabilities, generator.integers(0, classes, size=n)


def naive(probabilities, labels, bins, k):
    """Guo et al. 2017, equations 2, 3 and 5, sample by sample and bin by bin."""
    judged = []
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        best = sorted(range(len(row)), key=lambda c: (-row[c], c))[:k]
        judged.append((sum(row[c] for c in best), label in best))
    total = 0.0
    for m in range(1, bins + 1):
        low, high = (m - 1) / bins, m / bins
        members = [(c, ok) for c, ok in judged if (low < c <= high) or (m == 1 and c == 0) or (m == bins and c > 1)]
        if members:
            accuracy = sum(ok for _, ok in members) / len(members)
            confidence = sum(min(c, 1.0) for c, _ in members) / len(members)
            total += len(members) / len(judged) * abs(accuracy - confidence)
    return total


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(2, 6), st.integers(0, 10**6), st.integers(1, 20), st.data())
def test_the_error_is_that_of_a_loop(n, classes, seed, bins, data):
    k = data.draw(st.integers(1, classes))
    probabilities, labels = classifier(n, classes, seed)
    error = expected_calibration_error(probabilities, labels, bins=bins, k=k)
    assert error == pytest.approx(naive(probabilities, labels, bins, k), abs=1e-9)
    assert 0 <= error <= 1


def test_by_hand():
    # confidences 0.9 and 0.8 share the bin (0.5, 1]: accuracy 1/2, confidence 0.85; weight 1
    probabilities, labels = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 0])
    assert expected_calibration_error(probabilities, labels, bins=2) == pytest.approx(0.35, abs=1e-12)
    # in ten bins they are apart: |1 - 0.9| / 2 + |0 - 0.8| / 2
    assert expected_calibration_error(probabilities, labels, bins=10) == pytest.approx(0.45, abs=1e-12)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    # 0.5 belongs to (0, 0.5] with accuracy 0, and 0.75 to (0.5, 1] with accuracy 1
    probabilities = np.array([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0]])
    error = expected_calibration_error(probabilities, np.array([1, 0]), bins=2)
    assert error == pytest.approx((0.5 + 0.25) / 2, abs=1e-12)


def test_top_k_counts_the_label_among_the_k_largest():
    # the two largest sum to 0.9; the label 2 is the second of them
    probabilities = np.array([[0.1, 0.6, 0.3]])
    assert expected_calibration_error(probabilities, np.array([2]), k=1) == pytest.approx(0.6, abs=1e-12)
    assert expected_calibration_error(probabilities, np.array([2]), k=2) == pytest.approx(0.1, abs=1e-12)
    assert expected_calibration_error(probabilities, np.array([0]), k=3) == pytest.approx(0.0, abs=1e-12)


def test_of_equal_probabilities_the_lower_class_comes_first():
    probabilities = np.array([[0.4, 0.4, 0.2]])
    assert expected_calibration_error(probabilities, np.array([0])) == pytest.approx(0.6, abs=1e-12)
    assert expected_calibration_error(probabilities, np.array([1])) == pytest.approx(0.4, abs=1e-12)
    # many classes are sorted in another way than few
    many = np.tile([1.0, 2.0], 40)[np.newaxis] / 120
    assert expected_calibration_error(many, np.array([5]), k=3) == pytest.approx(1 - 6 / 120, abs=1e-12)
    assert expected_calibration_error(many, np.array([7]), k=3) == pytest.approx(6 / 120, abs=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_tensors_are_taken_as_they_are(dtype):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor([[0.75, 0.25], [0.25, 0.75]], dtype=getattr(torch, dtype), requires_grad=True)
    assert expected_calibration_error(tensor, torch.tensor([0, 0])) == pytest.approx((0.25 * 1 - 0.75) / -2, abs=1e-9)


@pytest.mark.parametrize(
    ("probabilities", "labels", "options", "why"),
    [
        ([0.5, 0.5], [0, 1], {}, r"shape \(n, classes\)"),
        (np.empty((0, 3)), [], {}, r"shape \(n, classes\)"),
        ([[0.5, 0.5]], [0, 1], {}, r"labels have the shape \(1,\)"),
        ([[0.5, 0.5]], [[0]], {}, r"labels have the shape \(1,\)"),
        ([[0.5, 0.5]], [0.0], {}, "labels are integers"),
        ([[0.5, 0.5]], [2], {}, "between 0 and 1"),
        ([[0.5, 0.5]], [-1], {}, "between 0 and 1"),
        ([[3.0, -2.0]], [0], {}, "softmax"),
        ([[0.7, 0.7]], [0], {}, "sum to 1"),
        ([[float("nan"), 0.5]], [0], {}, "NaN"),
        ([["a", "b"]], [0], {}, "are numbers"),
        ([[0.5, 0.5]], [0], {"bins": 0}, "bins"),
        ([[0.5, 0.5]], [0], {"k": 0}, "from 1 to 2"),
        ([[0.5, 0.5]], [0], {"k": 3}, "from 1 to 2"),
    ],
)
def test_what_is_no_classifier_is_refused(probabilities, labels, options, why):
    with pytest.raises(ValueError, match=why):
        expected_calibration_error(probabilities, labels, **options)


def test_importing_statistics_imports_no_heavy_library():
    code = "import sys, assay.evaluation.statistics; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'numpy'" in loaded
    assert not {"scipy", "statsmodels", "pandas", "torch", "matplotlib", "wandb"} & set(
        loaded.replace("'", "").strip("[]\n").split(", ")
    )
