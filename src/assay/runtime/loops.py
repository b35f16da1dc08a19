"""Loops over batches that a trial keeps short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Generic, TypeVar

Batch = TypeVar("Batch")


class Batches(Generic[Batch]):
    """The first batches of a loader; its length is known where the loader's is.

    Args:
        loader: Gives batches; iterated anew each time.
        limit: At most this many batches; None for all.
    """

    def __init__(self, loader: Iterable[Batch], limit: int | None = None) -> None:
        self.loader = loader
        self.limit = limit

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.loader) if self.limit is None else islice(self.loader, self.limit)

    def __len__(self) -> int:
        count = len(self.loader)  # type: ignore[arg-type]
        return count if self.limit is None else min(count, self.limit)


def accumulated(batches: Iterable[Batch], steps: int) -> Iterator[tuple[Batch, bool]]:
    """Each batch, and whether the optimizer steps after it.

    It steps after every `steps` batches, and after the last batch, so that no gradient is lost, and at least once.

    Args:
        batches: The batches.
        steps: Batches whose gradients are added up, at least 1.

    Raises:
        ValueError: `steps` is below 1.
    """
    if steps < 1:
        raise ValueError(f"gradients are accumulated over at least 1 batch, not {steps}")
    waiting: list[Batch] = []
    count = 0
    for batch in batches:
        if waiting:
            count += 1
            yield waiting.pop(), count % steps == 0
        waiting.append(batch)
    if waiting:
        yield waiting.pop(), True
