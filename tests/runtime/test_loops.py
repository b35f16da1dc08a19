"""Loops over batches: short in a trial, and never without an optimizer step."""

from __future__ import annotations

import pytest

from assay.runtime.loops import Batches, accumulated


def test_batches_are_the_loaders_own():
    loader = ["a", "b", "c"]
    assert list(Batches(loader)) == loader
    assert len(Batches(loader)) == 3


def test_a_limit_takes_the_first_and_nothing_more():
    taken = []

    def loader():
        for number in range(100):
            taken.append(number)
            yield number

    assert list(Batches(loader(), 2)) == [0, 1]
    assert taken == [0, 1]
    assert len(Batches([1, 2, 3], 2)) == 2
    assert len(Batches([1], 2)) == 1


def test_each_epoch_starts_anew():
    batches = Batches([1, 2, 3], 2)
    assert [list(batches), list(batches)] == [[1, 2], [1, 2]]


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 2, 3, 6, 7])
def test_the_optimizer_steps_after_each_group_and_after_the_last_batch(count, steps):
    pairs = list(accumulated(range(count), steps))
    assert [batch for batch, _ in pairs] == list(range(count))
    expected = [(number + 1) % steps == 0 or number + 1 == count for number in range(count)]
    assert [is_update for _, is_update in pairs] == expected
    assert any(expected)


def test_no_batch_no_step():
    assert list(accumulated([], 4)) == []


def test_nothing_is_accumulated_over_no_batch():
    with pytest.raises(ValueError, match="at least 1 batch, not 0"):
        list(accumulated([1], 0))
