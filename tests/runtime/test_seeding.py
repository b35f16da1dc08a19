"""One call seeds everything that draws at random."""

from __future__ import annotations

import random

import numpy as np
import pytest

from assay.runtime.seeding import set_seed


def draws():
    return random.random(), float(np.random.rand())


def test_the_same_seed_gives_the_same_draws_and_another_gives_others():
    set_seed(7)
    first = draws()
    set_seed(8)
    second = draws()
    set_seed(7)
    assert draws() == first
    assert all(a != b for a, b in zip(first, second, strict=True))


class Noise:
    """Each example is a draw of every generator, as an augmentation makes."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        import torch

        return np.array([random.random(), np.random.rand(), torch.rand(()).item()])


def test_workers_of_a_data_loader_are_seeded_too():
    torch = pytest.importorskip("torch")

    def drawn(seed):
        set_seed(seed)
        return torch.cat(list(torch.utils.data.DataLoader(Noise(), batch_size=2, num_workers=2))).tolist()

    first = drawn(3)
    assert drawn(3) == first
    assert drawn(4) != first
    assert len({tuple(row) for row in first}) == 6


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, "3"])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ValueError, match="a seed is a whole number from 0 to 4294967295"):
        set_seed(seed)
