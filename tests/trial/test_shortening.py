"""Full runs become short from outside, line for line."""

import pytest

from assay.trial.shortening import shortened


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("epochs: 100", "epochs: 2"),
        ("  num_epochs: 30  # long", "  num_epochs: 2  # long"),
        ("epochs: 1", "epochs: 1"),
        ("max_steps: 50000", "max_steps: 24"),
        ("  eval_interval: 500", "  eval_interval: 3"),
        ("save_every_steps: 1000", "save_every_steps: 3"),
        ("warmup_steps: 2000", "warmup_steps: 3"),
        ("n_trials: 20", "n_trials: 2"),
        ("- training_steps: 900", "- training_steps: 24"),
        # how often an update happens is part of the method
        ("gradient_accumulation_steps: 8", "gradient_accumulation_steps: 8"),
        ("num_inference_steps: 50", "num_inference_steps: 50"),
        ("inner_steps: 10", "inner_steps: 10"),
        # no numbers of time
        ("batch_size: 64", "batch_size: 64"),
        ("epochs: ${training.long}", "epochs: ${training.long}"),
        ("epochs: 1e3", "epochs: 1e3"),
        ("name: epochs 100", "name: epochs 100"),
    ],
)
def test_numbers_that_say_how_long_a_run_takes_are_cut(line, expected):
    assert shortened(line) == expected


def test_lines_stay_where_they_are():
    text = "a: 1\n\ntraining:\n  epochs: 50\n# epochs: 50\nlast: x"
    assert shortened(text) == "a: 1\n\ntraining:\n  epochs: 2\n# epochs: 50\nlast: x"


def test_a_run_is_longer_than_its_longest_interval():
    steps = int(shortened("max_steps: 10000").split()[-1])
    assert all(
        steps > 3 * int(shortened(f"{key}: 10000").split()[-1]) for key in ("eval_steps", "log_every", "save_freq")
    )
