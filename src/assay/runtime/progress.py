"""Which parts of a run (its seeds) are finished, so that a restart goes on with the next one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from assay.runtime.errors import ExperimentError
from assay.runtime.whole_file import replace_file


@dataclass(frozen=True)
class FinishedPart:
    """A part that is done.

    Attributes:
        rows: How many rows the tracker had when the part ended.
        seconds: Time spent in the part, over all attempts.
    """

    rows: int
    seconds: float


class Progress:
    """The finished parts of a run, in a JSON file that is replaced as a whole.

    A file that cannot be read is a fault, and is left alone: a kill cannot leave one (it is replaced atomically), so
    the disk or a person did, and to take it as absent would train finished parts again and count them twice.

    Args:
        path: The file; there is none before the first part is finished.

    Raises:
        ExperimentError: The file is there and does not hold progress.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._finished = _read(path)

    @property
    def finished(self) -> Mapping[str, FinishedPart]:
        """Part -> what was noted at its end, in the order in which they ended."""
        return dict(self._finished)

    def finish(self, part: str | int, *, rows: int, seconds: float) -> None:
        """Notes that a part is done; noting it again replaces what was noted.

        Args:
            part: Its name; a seed counts as its decimal text.
            rows: How many rows the tracker has now.
            seconds: Time spent in the part, over all attempts.

        Raises:
            ExperimentError: The file cannot be written; the one before is unharmed.
        """
        finished = {**self._finished, str(part): FinishedPart(rows, seconds)}
        _write(self._path, finished)
        self._finished = finished


def _read(path: Path) -> dict[str, FinishedPart]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path} cannot be read: {error}; put back a copy of it, then start again") from error
    try:
        finished = {}
        for name, part in json.loads(text)["finished"].items():
            if type(part["rows"]) is not int or type(part["seconds"]) not in (int, float):
                raise TypeError(f"{name} has no numbers")
            finished[name] = FinishedPart(part["rows"], float(part["seconds"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ExperimentError(
            f"{path} does not say which seeds are finished ({error}): put back a copy of it, or remove the folder of "
            "the run to train every seed again"
        ) from error
    return finished


def _write(path: Path, finished: Mapping[str, FinishedPart]) -> None:
    text = json.dumps({"finished": {name: asdict(part) for name, part in finished.items()}}, indent=2)
    replace_file(path, text + "\n")
