"""Names of metrics, and which values of them are better."""

from __future__ import annotations

import pytest

from assay.analysis.metric_names import direction_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", "higher"),
        ("best_val_acc", "higher"),
        ("val/f1", "higher"),
        ("trainLoss", "lower"),
        ("rouge1", "higher"),
        ("final_perplexity", "lower"),
        ("loss_weight", None),
        ("chance_accuracy", None),
        ("learning_rate", None),
        ("score", None),
        ("", None),
    ],
)
def test_directions(name, expected):
    assert direction_of(name) == expected
