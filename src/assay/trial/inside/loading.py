"""Batches: which loaders there are, how many batches each pass over them takes, what stands in the first ones.

In a shortened run the batch size and the number of batches in a pass are cut. A data set that is split by the numbers
of rows of the real one is split in the same proportion.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys

from . import counters, events, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType
    from typing import Any

LABELS = ("labels", "label", "targets", "target", "y")
# what the loss of PyTorch leaves out, by its default
IGNORED = -100
# passes of a loader that are told one by one; then powers of two
PASSES = 30
# a pass that trains without a step of an optimizer takes so many times the batches of others, at most
PATIENCE = 8

_numbers = itertools.count(1)


def install(module: ModuleType) -> None:
    """Watch torch's DataLoader, and split stand-ins by proportion."""
    import torch.utils.data as data

    _watch_loader(data.DataLoader)
    _watch_split(data)


def _watch_loader(loader: Any) -> None:
    init, iterate, length = loader.__init__, loader.__iter__, loader.__len__

    @functools.wraps(init)
    def created(self: Any, *args: Any, **keywords: Any) -> None:
        args, keywords = _smaller(args, keywords, events.own_frames(sys._getframe(1)))
        init(self, *args, **keywords)
        _tell_loader(self, sys._getframe(1))

    @functools.wraps(iterate)
    def iterated(self: Any) -> Any:
        return Pass(self, iterate(self))

    @functools.wraps(length)
    def measured(self: Any) -> int:
        found: int = length(self)
        most = _most_batches()
        # a trial's own limits are what is judged
        return found if most is None or settings.get("mode") == "trial" else min(found, most)

    loader.__init__, loader.__iter__, loader.__len__ = created, iterated, measured


def _smaller(
    args: tuple[Any, ...], keywords: dict[str, Any], frames: list[Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a DataLoader with a smaller batch and fewer workers, where a run is shortened."""
    try:
        most = settings.limit("batch_size")
        if most is None:
            return args, keywords
        keywords = dict(keywords)
        # DataLoader(dataset, batch_size, ...); None switches batches off
        given = args[1] if len(args) > 1 else keywords.get("batch_size", 1)
        if isinstance(given, int) and given > most:
            events.shrunk("batch size", given, most, frames)
            if len(args) > 1:
                args = (args[0], most, *args[2:])
            else:
                keywords["batch_size"] = most
        sampler = args[4] if len(args) > 4 else keywords.get("batch_sampler")
        _smaller_sampler(sampler, most, frames)
        workers = args[5] if len(args) > 5 else keywords.get("num_workers", 0)
        if isinstance(workers, int) and workers > 2:
            # one stays, so that what crosses to a worker is still pickled or forked, and what prefetches stays valid
            events.shrunk("workers", workers, 1, frames)
            if len(args) > 5:
                args = (*args[:5], 1, *args[6:])
            else:
                keywords["num_workers"] = 1
    except Exception as error:
        events.failed("loading.smaller", error)
    return args, keywords


def _smaller_sampler(sampler: Any, most: int, frames: list[Any]) -> None:
    import torch.utils.data as data

    # one of the submission's own may need its size, to hold so many of each class
    if type(sampler) is data.BatchSampler and isinstance(sampler.batch_size, int) and sampler.batch_size > most:
        events.shrunk("batch size", sampler.batch_size, most, frames)
        sampler.batch_size = most


@events.guarded
def _tell_loader(loader: Any, frame: Any) -> None:
    if "_assay_number" in vars(loader):
        return
    # DataLoader refuses to change some attributes after __init__; others pass through its __setattr__
    object.__setattr__(loader, "_assay_number", next(_numbers))
    object.__setattr__(loader, "_assay_passes", 0)
    object.__setattr__(loader, "_assay_batches", 0)
    events.emit(
        "loader",
        id=loader._assay_number,
        length=_length(loader),
        batch_size=getattr(loader, "batch_size", None),
        dataset=_described(loader.dataset),
        split=split_of(loader.dataset),
        frames=events.own_frames(frame),
    )


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except Exception:
        # a stream's loader, or a data set of the submission without a length
        return None


def _described(dataset: Any) -> str:
    text = f"{type(dataset).__module__}.{type(dataset).__qualname__}"
    try:
        return f"{text} of {len(dataset)}"
    except Exception:
        return text


def split_of(dataset: Any) -> str | None:
    """The split that a data set was loaded as, found through what is wrapped around it; None where nothing tells it."""
    for _ in range(8):
        # datasets: a NamedSplit; torchvision: `split` is text, or `train` a truth value
        split = getattr(dataset, "split", None)
        if split is not None and not callable(split):
            return str(split)
        train = getattr(dataset, "train", None)
        if isinstance(train, bool):
            return "train" if train else "test"
        for name in ("dataset", "ds", "data", "base", "hf_dataset", "base_dataset", "_dataset"):
            inner = getattr(dataset, name, None)
            if inner is not None and not isinstance(inner, (list, tuple, dict, str)) and hasattr(inner, "__getitem__"):
                dataset = inner
                break
        else:
            return None
    return None


def _most_batches() -> int | None:
    """How many batches a pass takes at most, by the mode; None for all of them.

    It stays the same all along: the lengths of schedules are computed from it, and their divisors.
    """
    return settings.limit("trial_batches" if settings.get("mode") == "trial" else "batches_per_pass")


def _is_late() -> bool:
    """Whether a full run took as many steps as it needs, so that further passes may be the shortest there are."""
    steps = settings.limit("steps")
    return steps is not None and settings.get("mode") != "trial" and counters.steps >= steps


class Pass:
    """An iterator over a loader's batches that counts them, and ends where a shortened run has seen enough."""

    def __init__(self, loader: Any, batches: Iterator[Any]) -> None:
        self._loader = loader
        self._inner = batches
        self._n = 0
        self._backward = counters.backward
        self._steps = counters.steps
        self._pid = os.getpid()
        self._ended = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self._ended and self._n and self._is_enough():
            self._tell(cut=True)
            # releases workers that would go on to prefetch
            self._release()
        if self._ended:
            raise StopIteration
        try:
            batch = next(self._inner)
        except StopIteration:
            self._tell(cut=False)
            raise
        self._n += 1
        _tell_batch(self._loader, batch)
        return batch

    def _is_enough(self) -> bool:
        """Whether the pass ends here.

        One that trains goes on until an optimizer took a step in it, or gradients that are accumulated over more
        batches than a pass has would never be used, and a loop until so many steps would never end.
        """
        import torch

        most = _most_batches()
        if most is None:
            return False
        fewest = min(settings.limit("passes_after_steps") or most, most) if _is_late() else most
        before = getattr(self._loader, "_assay_trains", None)
        trains = counters.backward > self._backward
        if trains or (before and torch.is_grad_enabled()):
            return self._n >= (most * PATIENCE if counters.steps == self._steps else fewest)
        # an evaluation, if it needs no gradients or was none of training the last time
        return self._n >= (fewest if before is False or not torch.is_grad_enabled() else most)

    def __len__(self) -> int:
        return len(self._inner)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __del__(self) -> None:
        # a pass that the submission broke off; one that nobody began says nothing
        if self._ended or not self._n or sys is None or sys.is_finalizing():
            return
        # a worker was forked with it
        if self._pid == os.getpid():
            self._tell(cut=False, broken_off=True)

    def _release(self) -> None:
        if not getattr(self._loader, "persistent_workers", False):
            self._inner = iter(())

    @events.guarded
    def _tell(self, cut: bool, broken_off: bool = False) -> None:
        if self._ended:
            return
        self._ended = True
        loader = self._loader
        number = getattr(loader, "_assay_passes", 0) + 1
        object.__setattr__(loader, "_assay_passes", number)
        trained = counters.backward > self._backward
        object.__setattr__(loader, "_assay_trains", trained or bool(getattr(loader, "_assay_trains", None)))
        if cut:
            events.emit_once(
                ("cut", getattr(loader, "_assay_number", 0)),
                "shrunk",
                what="batches of a pass",
                frames=events.own_frames(sys._getframe(3)),
                **{"from": None, "to": self._n},
            )
        if number > PASSES and number & (number - 1):
            return
        events.emit(
            "pass",
            loader=getattr(loader, "_assay_number", None),
            n=number,
            batches=self._n,
            cut=cut,
            broken_off=broken_off,
            training=trained,
            stepped=counters.steps > self._steps,
            split=split_of(loader.dataset),
        )


@events.guarded
def _tell_batch(loader: Any, batch: Any) -> None:
    seen = getattr(loader, "_assay_batches", 2)
    if seen >= 2:
        return
    object.__setattr__(loader, "_assay_batches", seen + 1)
    named = _named(batch)
    keys = {name: _shape(value) for name, value in named.items()}
    events.emit("batch", loader=loader._assay_number, keys=keys, labels=_labels(named))


def _named(batch: Any) -> dict[str, Any]:
    if isinstance(batch, dict) or hasattr(batch, "keys"):
        return {str(name): batch[name] for name in list(batch.keys())[:40]}
    if isinstance(batch, (list, tuple)):
        return {str(position): value for position, value in enumerate(batch[:20])}
    return {"": batch}


def _shape(value: Any) -> list[Any]:
    shape = getattr(value, "shape", None)
    if shape is not None:
        return [[int(size) for size in shape], str(getattr(value, "dtype", ""))]
    if isinstance(value, (list, tuple)):
        return [[len(value)], f"{type(value).__name__} of {type(value[0]).__name__}" if value else type(value).__name__]
    return [[], type(value).__name__]


def _labels(named: dict[str, Any]) -> dict[str, Any]:
    """The share of labels that the loss leaves out, their least and greatest, and whether padding is among them."""
    import torch

    labels = next((named[name] for name in LABELS if torch.is_tensor(named.get(name))), None)
    # a pair of inputs and targets, as torchvision's data sets give it
    if labels is None and set(named) == {"0", "1"} and torch.is_tensor(named["1"]):
        labels = named["1"]
    if labels is None or labels.numel() == 0:
        return {}
    labels = labels.detach()
    if labels.is_floating_point():
        finite = labels[torch.isfinite(labels)]
        if finite.numel() == 0:
            return {"ignored": 0.0, "min": None, "max": None}
        return {"ignored": 0.0, "min": float(finite.min()), "max": float(finite.max())}
    ignored = labels == IGNORED
    used = labels[~ignored]
    found: dict[str, Any] = {
        "ignored": float(ignored.float().mean()),
        "min": int(used.min()) if used.numel() else None,
        "max": int(used.max()) if used.numel() else None,
    }
    mask, inputs = named.get("attention_mask"), named.get("input_ids")
    if torch.is_tensor(mask) and mask.shape == labels.shape:
        padding = mask == 0
        if bool(padding.any()):
            found["padded"] = float(padding.float().mean())
            found["padding_in_loss"] = float((~ignored[padding]).float().mean())
    if torch.is_tensor(inputs) and inputs.shape == labels.shape:
        found["same_as_inputs"] = float((labels == inputs)[~ignored].float().mean()) if used.numel() else None
    return found


def _watch_split(data: Any) -> None:
    split = data.random_split

    @functools.wraps(split)
    def random_split(dataset: Any, lengths: Any, *args: Any, **keywords: Any) -> Any:
        fitted = _fitted(dataset, lengths, sys._getframe(1))
        return split(dataset, lengths if fitted is None else fitted, *args, **keywords)

    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("torch.utils.data") and vars(module).get("random_split") is split:
            module.random_split = random_split  # type: ignore[attr-defined]


@events.guarded
def _fitted(dataset: Any, lengths: Any, frame: Any) -> list[int] | None:
    """Lengths in the same proportion that fit a stand-in; None where they ask for no more rows than it has."""
    lengths = list(lengths)
    rows = len(dataset)
    if not lengths or not all(isinstance(one, int) and one >= 0 for one in lengths) or sum(lengths) <= rows:
        return None
    found = scaled(lengths, rows)
    events.shrunk("random_split", lengths, found, events.own_frames(frame))
    return found


def scaled(lengths: list[int], rows: int) -> list[int]:
    """Whole numbers in the proportion of the lengths that sum to `rows`, none of them 0 where its length is not."""
    total = sum(lengths)
    found = [max(one * rows // total, 1 if one else 0) for one in lengths]
    largest = found.index(max(found))
    found[largest] += rows - sum(found)
    return found
