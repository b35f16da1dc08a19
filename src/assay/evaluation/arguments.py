"""The words after `python -m src.evaluate`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from assay.evaluation.records import Source
from assay.runtime.errors import ExperimentError

USAGE = """usage: python -m src.evaluate results_dir=PATH run_ids='["RUN", "RUN"]' [source=auto|wandb|local]"""

_SOURCES = ("auto", "wandb", "local")


@dataclass(frozen=True)
class Call:
    """What the command was told.

    Attributes:
        results_dir: An existing folder.
        run_ids: At least one, each once, each fit to be a folder's name.
        source: Where tracked data are read from.
    """

    results_dir: Path
    run_ids: tuple[str, ...]
    source: Source


def read_arguments(arguments: Sequence[str]) -> Call:
    """Reads the command's words.

    Args:
        arguments: As in `sys.argv[1:]`, in any order.

    Returns:
        What they say.

    Raises:
        ExperimentError: With status 2 and the usage, for anything but the words above.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name.startswith("-"):
            raise _wrong(f"{argument!r} starts with hyphens; the words are key=value")
        if not equals:
            raise _wrong(f"{argument!r} is no key=value")
        if name not in ("results_dir", "run_ids", "source"):
            raise _wrong(f"there is no {name!r}")
        if name in given:
            raise _wrong(f"{name} stands twice")
        given[name] = value
    missing = [name for name in ("results_dir", "run_ids") if not given.get(name)]
    if missing:
        raise _wrong(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    source = given.get("source", "auto")
    if source not in _SOURCES:
        raise _wrong(f"source={source} is none of {', '.join(_SOURCES)}")
    run_ids = _read_run_ids(given["run_ids"])
    results_dir = Path(given["results_dir"])
    if not _is_folder(results_dir):
        raise _wrong(f"results_dir: there is no folder {results_dir}; run the experiment with mode=full first")
    return Call(results_dir, run_ids, cast("Source", source))


def _read_run_ids(text: str) -> tuple[str, ...]:
    try:
        run_ids = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = (
            "nested too deeply" if isinstance(error, RecursionError) else getattr(error, "msg", "a number too long")
        )
        raise _wrong(f"run_ids={text} is not JSON ({reason}); quote it against the shell") from None
    if not isinstance(run_ids, list) or not all(isinstance(run_id, str) for run_id in run_ids):
        raise _wrong(f"run_ids={text} is no list of texts")
    if not run_ids:
        raise _wrong("run_ids is an empty list")
    for position, run_id in enumerate(run_ids):
        if run_id in run_ids[:position]:
            raise _wrong(f"run_ids names {run_id!r} twice")
        if not _is_folder_name(run_id):
            raise _wrong(f"{run_id!r} cannot be a run id: it is the name of a folder in results_dir, up to 200 bytes")
        if run_id == "comparison":
            raise _wrong("a run cannot be called 'comparison': the comparison itself goes into that folder")
    return tuple(run_ids)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is too long, or that holds a null
        return False


def _is_folder_name(run_id: str) -> bool:
    """Whether a run can be called so; figures put words of their own behind it, in names of at most 255 bytes."""
    return (
        bool(run_id.strip())
        and run_id.isprintable()
        and not run_id.startswith(".")
        and not set(run_id) & set("/\\")
        and len(run_id.encode()) <= 200
    )


def _wrong(what: str) -> ExperimentError:
    return ExperimentError(f"{what}. {USAGE}", status=2)
