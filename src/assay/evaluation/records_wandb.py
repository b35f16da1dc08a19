"""Reads a run that was tracked online back from W&B, in full."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from assay.evaluation.records import RunRecord
from assay.runtime.errors import ExperimentError
from assay.runtime.track_log import from_json
from assay.runtime.wandb_session import REGISTERED_KEY, ROWS_KEY, has_key, quiet_wandb


def fetch_record(entity: str | None, project: str, run_id: str, *, timeout_seconds: int = 30) -> RunRecord:
    """Fetches one run with every row, not a sample of them.

    Args:
        entity: Whose project it is; None is the default of the key.
        project: The W&B project.
        run_id: The run.
        timeout_seconds: Time that one request may take.

    Returns:
        The run. Where it says which keys it registered for the summary, the summary holds those and nothing that W&B
        added of itself.

    Raises:
        ExperimentError: No key, no such run, no network, or W&B has the run in part only.
    """
    where = "/".join(part for part in (entity, project, run_id) if part)
    try:
        wandb = quiet_wandb()
    except ImportError as error:
        raise ExperimentError(f"{where}: W&B is not installed ({error})") from error
    try:
        if not has_key(os.environ):  # W&B's client would ask for one, and wait for an answer
            raise ExperimentError(f"{where}: no W&B key to read it with: set WANDB_API_KEY or run `wandb login`")
        run = wandb.Api(timeout=timeout_seconds).run(where)
        source = f"W&B {'/'.join(run.path)}"
        config, summary = from_json(dict(run.config)), from_json(_plain(run.summary))
        history = _rows(run.scan_history(use_cache=False))
    except ExperimentError:
        raise
    except Exception as error:  # whatever W&B's client raises for keys, names and networks, its text says what it is
        raise ExperimentError(f"{where}: cannot be read from W&B: {_reason(error)}") from error
    registered = config.pop(REGISTERED_KEY, None)
    if not isinstance(registered, dict):
        own = {key: value for key, value in summary.items() if not key.startswith("_")}
        return RunRecord(run_id, history, own, config, (), (), source)
    tracked = summary.get(ROWS_KEY)
    if tracked != len(history):
        known = f"{tracked} were tracked" if tracked is not None else "the run has not ended, or was not uploaded fully"
        raise ExperimentError(
            f"{where}: W&B has {len(history)} rows, but {known}: upload the rest with `wandb sync --include-online` on "
            "the folders in the run's wandb/, or evaluate with source=local"
        )
    series, summary_keys = tuple(registered.get("series", ())), tuple(registered.get("summary", ()))
    own = {key: summary[key] for key in summary_keys if key in summary}
    return RunRecord(run_id, history, own, config, series, summary_keys, source)


def _rows(scanned: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """The rows in the order of steps, without what W&B adds. A step that was uploaded twice counts once."""
    by_step = {row.get("_step", number): row for number, row in enumerate(scanned)}
    return tuple(
        from_json({key: value for key, value in row.items() if not key.startswith("_")})
        for _, row in sorted(by_step.items())
    )


def _plain(value: Any) -> Any:
    """W&B's summary as dictionaries; its nested parts are objects of its own."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "keys"):
        return value
    return {str(key): _plain(value[key]) for key in value.keys()}  # noqa: SIM118 - they are no mappings


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
