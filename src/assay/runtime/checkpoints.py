"""Checkpoints of training from which a killed run goes on as if it had not been killed.

A checkpoint is a folder named by its step, `000012`, with two files:

- `state.pt`, which `torch.load(path, weights_only=True)` reads: `step`, `parts` (name -> state dict), `values` (name ->
  plain value) and `random` (states of the random number generators);
- `digest.json`: size and SHA-256 of `state.pt`, the step, the names of the parts, and versions.

It is written into a hidden folder, flushed to the disk, and renamed: a folder with a number is a whole checkpoint.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.runtime.errors import ExperimentError

if TYPE_CHECKING:
    import torch

_FORMAT = 1
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NAME = re.compile(r"\d{6,}")
# what a kill leaves half written or half removed
_LEFT = re.compile(r"\.\d{6,}\.(new|old)")


@dataclass(frozen=True)
class Restored:
    """What a checkpoint holds apart from its parts.

    Attributes:
        step: The step it was saved at.
        values: The plain values saved with it.
    """

    step: int
    values: Mapping[str, Any] = field(default_factory=dict)


class Checkpoints:
    """The checkpoints of one training, in a folder that nothing else writes to.

    A checkpoint that is damaged is set aside as `000012.corrupt`, and the one before it is used.

    Args:
        folder: Their folder; it is made by the first `save`.
        keep: How many are kept, at least 1. With 2, a damaged newest one costs one step.
        say: Takes one line for a person.
        device: Where tensors are read to.
    """

    def __init__(
        self, folder: Path, keep: int = 2, *, say: Callable[[str], None] = print, device: torch.device | str = "cpu"
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep is {keep}: at least the newest checkpoint is kept")
        self._folder = folder
        self._keep = keep
        self._say = say
        self._device = device

    def save(self, step: int, parts: Mapping[str, Any], values: Mapping[str, Any] | None = None) -> None:
        """Saves parts, values, and the random states of Python, NumPy and PyTorch; then drops those beyond `keep`.

        Args:
            step: What is done, above every step saved before.
            parts: Name -> object with `state_dict` and `load_state_dict` (a module, an optimizer, a scheduler, a
                gradient scaler, `BestWeights`), or with `get_state` and `set_state` (a `torch.Generator`).
            values: Name -> plain value: a number, a text, or lists and mappings of such.

        Raises:
            ExperimentError: It cannot be written, as on a full disk: earlier checkpoints stay, and the run should end,
                because a run that goes on would lose more and more when it is killed. Or a part holds what only pickle
                could read.
        """
        steps = self._steps()
        if steps and step <= steps[-1]:
            raise ExperimentError(
                f"{self._folder} has a checkpoint of step {steps[-1]}, and step {step} is to be saved: go on from it "
                "with restore(), or remove the folder to start anew"
            )
        state = {
            "step": step,
            "parts": {name: _plain(_state(name, part), name) for name, part in parts.items()},
            "values": _plain(dict(values or {}), "values"),
            "random": _random_states(),
        }
        self._sweep()
        temporary = self._folder / f".{step:06d}.new"
        try:
            temporary.mkdir(parents=True)
            size, digest = _write_state(temporary / "state.pt", state)
            about = {"sha256": digest, "size": size, "step": step, "parts": sorted(parts), "versions": _versions()}
            _write_text(temporary / "digest.json", json.dumps(about, indent=2) + "\n")
            _flush(temporary)
            temporary.rename(self._path(step))
            _flush(self._folder)
        except OSError as error:
            shutil.rmtree(temporary, ignore_errors=True)
            remedy = "Make room" if error.errno in _FULL else "Mend that"
            left = f"the one of step {steps[-1]} is unharmed" if steps else "there is none yet"
            raise ExperimentError(
                f"checkpoint {step} cannot be written to {self._folder} ({error.strerror or error}); {left}. "
                f"{remedy} and start again: the run goes on from there"
            ) from error
        self._drop(self._steps()[: -self._keep])

    def restore(self, parts: Mapping[str, Any]) -> Restored | None:
        """Puts the newest sound checkpoint back into parts, and the random states as they were.

        Args:
            parts: The parts as for `save`, built as they were then.

        Returns:
            Its step and values, or None where there is no checkpoint to go on from.

        Raises:
            ExperimentError: It is of other parts, or of other shapes.
        """
        found = self._newest()
        if found is None:
            return None
        path = self._path(found)
        state = _read(path, self._device)
        saved = state["parts"]
        if set(saved) != set(parts):
            raise _misfit(path, f"has the parts {_listed(saved)}, and this run has {_listed(parts)}")
        for name, part in parts.items():
            if odd := _differences(part, saved[name]):
                raise _misfit(path, f"does not fit {name}: {odd}")
        for name, part in parts.items():
            try:
                _load(part, saved[name])
            except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise _misfit(path, f"does not fit {name}: {error}") from error
        # last, because building and loading parts may draw numbers
        self._put_back(state["random"])
        return Restored(state["step"], state["values"])

    def newest(self) -> Restored | None:
        """Step and values of the newest sound checkpoint, without putting anything back."""
        found = self._newest()
        if found is None:
            return None
        state = _read(self._path(found), "cpu", mmap=True)
        return Restored(state["step"], state["values"])

    def keep_newest(self) -> None:
        """Drops all checkpoints but the newest, as when a training is finished."""
        self._drop(self._steps()[:-1])
        self._sweep()

    def _path(self, step: int) -> Path:
        return self._folder / f"{step:06d}"

    def _steps(self) -> list[int]:
        """The steps there are checkpoints of, in order."""
        if not self._folder.is_dir():
            return []
        return sorted(int(path.name) for path in self._folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())

    def _newest(self) -> int | None:
        """The newest step whose checkpoint is sound; damaged ones above it are set aside."""
        steps = self._steps()
        for step in reversed(steps):
            path = self._path(step)
            damage = _damage(path)
            if damage is None:
                return step
            aside = _free(path.with_name(f"{path.name}.corrupt"))
            path.rename(aside)
            older = [other for other in steps if other < step]
            instead = f"step {older[-1]} is looked at instead" if older else "with no older one, training starts anew"
            self._say(f"checkpoint {path} is damaged ({damage}) and set aside as {aside.name}; {instead}")
        return None

    def _drop(self, steps: list[int]) -> None:
        """Removes checkpoints, each under another name first: a kill must not leave half of one that looks whole."""
        for step in steps:
            old = self._folder / f".{step:06d}.old"
            # what cannot be removed costs room, and nothing else
            with contextlib.suppress(OSError):
                self._path(step).rename(old)
            shutil.rmtree(old, ignore_errors=True)

    def _sweep(self) -> None:
        """Removes what a kill left while writing or removing."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if _LEFT.fullmatch(path.name):
                    shutil.rmtree(path, ignore_errors=True)

    def _put_back(self, states: Mapping[str, Any]) -> None:
        import numpy as np
        import torch

        version, inner, gauss = states["python"]
        random.setstate((version, tuple(inner), gauss))
        numpy_state = dict(states["numpy"])
        numpy_state["state"] = {**numpy_state["state"], "key": np.array(numpy_state["state"]["key"], dtype=np.uint32)}
        np.random.set_state(numpy_state)
        torch.set_rng_state(states["torch"].cpu())
        devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if devices != len(states["cuda"]):
            self._say(
                f"the checkpoint was saved with {len(states['cuda'])} GPUs and this machine has {devices}: random "
                "numbers on GPUs do not go on where they were"
            )
        elif devices:
            torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])


def _random_states() -> dict[str, Any]:
    """States of the global generators, of types that a checkpoint may hold."""
    import numpy as np
    import torch

    numpy_state: Any = np.random.get_state(legacy=False)
    numpy_state = {**numpy_state, "state": {**numpy_state["state"], "key": numpy_state["state"]["key"].tolist()}}
    version, inner, gauss = random.getstate()
    return {
        "python": [version, list(inner), gauss],
        "numpy": numpy_state,
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def check_parts(parts: Mapping[str, Any]) -> None:
    """Say before any work what could not be saved after it.

    Raises:
        ExperimentError: A part has no state that could be saved and put back.
    """
    for name, part in parts.items():
        _reading_method(name, part)


def _reading_method(name: str, part: Any) -> str:
    for both in (("state_dict", "load_state_dict"), ("get_state", "set_state")):
        if all(hasattr(part, method) for method in both):
            return both[0]
    raise ExperimentError(
        f"the part {name} of a checkpoint is a {type(part).__name__}, which has no state_dict and load_state_dict: "
        "give an object that has, and plain values as values"
    )


def _state(name: str, part: Any) -> Any:
    return getattr(part, _reading_method(name, part))()


def _load(part: Any, state: Any) -> None:
    if hasattr(part, "load_state_dict"):
        part.load_state_dict(state)
    else:
        part.set_state(state.cpu())


def _plain(value: Any, where: str) -> Any:
    """A value of which `torch.load(weights_only=True)` can read everything; NumPy's numbers become Python's."""
    import torch

    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        # NumPy's float64 is a float, and would still need NumPy's own class to be read
        return value.item()
    if isinstance(value, torch.Tensor | torch.Size | torch.dtype | torch.device | int | float | str | bytes | None):
        return value
    if isinstance(value, dict):
        entries = {_plain(key, where): _plain(inner, f"{where}.{key}") for key, inner in value.items()}
        # a module's state dict carries the versions of its modules beside its entries
        metadata = getattr(value, "_metadata", None)
        if metadata is None:
            return entries
        kept = type(value)(entries)
        kept._metadata = metadata  # type: ignore[attr-defined]  # as torch sets it
        return kept
    if isinstance(value, list | tuple):
        inner = [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return inner if isinstance(value, list) else tuple(inner)
    raise ExperimentError(
        f"the checkpoint cannot hold {where}, a {type(value).__name__}: only tensors, numbers, texts, and lists and "
        "mappings of them can be read back safely"
    )


class _Hashed:
    """A file that torch writes to: counts and hashes what is written, and keeps the error of a full disk.

    An exception must not pass through torch's writer, which ends the process when it cannot close its archive.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._file = file
        self.size = 0
        self.digest = hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if self.error is None:
            try:
                rest = memoryview(data)
                # a raw file may take less than it is given
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                self.error = error
        self.size += size
        self.digest.update(data)
        return size

    def flush(self) -> None:
        """What has to be flushed is flushed at the end."""


def _write_state(path: Path, state: Mapping[str, Any]) -> tuple[int, str]:
    """Writes it to the disk; its size in bytes, and its SHA-256."""
    import torch

    # without a buffer, so that a write that fails fails here and not when the file is closed
    with path.open("wb", buffering=0) as file:
        whole = _Hashed(file)
        torch.save(state, whole)  # type: ignore[arg-type]  # torch needs `write` and `flush` alone
        if whole.error is not None:
            raise whole.error
        os.fsync(file.fileno())
    return whole.size, whole.digest.hexdigest()


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """Brings a folder's names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _versions() -> dict[str, Any]:
    import platform

    import numpy as np
    import torch

    libraries = {"numpy": np.__version__, "torch": str(torch.__version__)}
    return {"format": _FORMAT, "python": platform.python_version(), **libraries}


def _damage(path: Path) -> str | None:
    """What is wrong with the files of a checkpoint, or None."""
    try:
        about = json.loads((path / "digest.json").read_bytes())
        size, wanted, step = about["size"], about["sha256"], about["step"]
    except FileNotFoundError:
        return "digest.json is missing"
    except (ValueError, KeyError, TypeError):
        return "digest.json cannot be understood"
    except OSError as error:
        raise _unreadable(path, error) from error
    if step != int(path.name):
        return f"digest.json is of step {step}"
    try:
        with (path / "state.pt").open("rb") as file:
            present = os.fstat(file.fileno()).st_size
            if present != size:
                return f"state.pt has {present} bytes instead of {size}"
            if hashlib.file_digest(file, "sha256").hexdigest() != wanted:
                return "the content of state.pt has changed"
    except FileNotFoundError:
        return "state.pt is missing"
    except OSError as error:
        raise _unreadable(path, error) from error
    return None


def _read(path: Path, device: Any, *, mmap: bool = False) -> dict[str, Any]:
    """The state in a checkpoint whose files are sound."""
    import pickle

    import torch

    try:
        state: dict[str, Any] = torch.load(path / "state.pt", map_location=device, weights_only=True, mmap=mmap)
    except (RuntimeError, pickle.UnpicklingError, OSError) as error:
        raise _unreadable(path, error) from error
    return state


def _differences(part: Any, saved: Any) -> str:
    """How a module differs from a state dict by name and shape; nothing of the module has changed then."""
    import torch

    if not isinstance(part, torch.nn.Module):
        return ""
    present = part.state_dict()
    told = [f"{name} is not in the checkpoint" for name in present if name not in saved]
    told += [f"the checkpoint has {name} besides" for name in saved if name not in present]
    for name in present:
        before, now = (getattr(state.get(name), "shape", None) for state in (saved, present))
        if name in saved and before != now:
            told.append(f"{name} was {_shape(before)} and is {_shape(now)}")
    return "; ".join(told[:3]) + (f"; and {len(told) - 3} more" if len(told) > 3 else "")


def _shape(shape: Any) -> str:
    return "x".join(str(size) for size in shape) or "a number" if shape is not None else "no tensor"


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "(none)"


def _misfit(path: Path, what: str) -> ExperimentError:
    return ExperimentError(
        f"checkpoint {path} {what}. Build the run as it was to go on, or remove {path.parent} to start anew"
    )


def _unreadable(path: Path, error: Exception) -> ExperimentError:
    return ExperimentError(f"checkpoint {path} cannot be read: {str(error).splitlines()[0] if str(error) else error!r}")


def _free(path: Path) -> Path:
    """The path, or the next one with a number that is not taken."""
    taken: Iterator[Path] = (path.with_name(f"{path.name}-{number}") for number in range(2, 1_000_000))
    return path if not path.exists() else next(other for other in taken if not other.exists())
