"""A run that was tracked online is read back from W&B in full, or not at all."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from assay.evaluation.records_wandb import fetch_record
from assay.runtime.errors import ExperimentError
from assay.runtime.track_log import read_track
from assay.runtime.tracker import Tracker
from tests.runtime.wandb_server import ENTITY, ServedRun, WandbServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    with WandbServer() as served:
        served.lead_here(monkeypatch, tmp_path)
        yield served
        importlib.import_module("wandb").teardown()
        assert [request for request in served.unknown if "otel" not in request] == []


def tracked(folder: Path, *, rows: int) -> None:
    """Tracks a run `a` of two seeds online."""
    section = {"entity": None, "project": "p"}
    config = {"training": {"rate": math.inf, "seeds": [0, 1]}}
    series, summary = ["epoch", "loss", "matrix"], ["loss", "best"]
    context: dict[str, float] = {}
    with Tracker(
        folder,
        "a",
        config,
        series=series,
        summary=summary,
        wandb_section=section,
        context=lambda: context,
        say=lambda line: None,
    ) as tracker:
        for step in range(rows):
            context = {"seed": step % 2, "seconds": step / 4}
            tracker.log({"epoch": step, "loss": 0.5 + step if step % 7 else math.nan})
        tracker.log({"matrix": [[1, 0], [2, 3]]})
        tracker.summarize({"best": -math.inf})


def served(
    server: WandbServer, *, rows: int, config: dict[str, object] | None = None, summary: str = "{}"
) -> ServedRun:
    """Puts a run `b` on the server that something else tracked."""
    run = ServedRun("e", "p", "b", config={key: {"value": value} for key, value in (config or {}).items()})
    run.history = [json.dumps({"loss": step, "_step": step, "_runtime": 1.0}) for step in range(rows)]
    run.summary = summary
    server.runs["b"] = run
    return run


def readable(row: Mapping[str, Any]) -> list[str]:
    return sorted(
        f"{key}={value:g}" if isinstance(value, float | int) else f"{key}={value}" for key, value in row.items()
    )


def test_a_run_is_read_as_it_was_tracked(server: WandbServer, tmp_path: Path) -> None:
    tracked(tmp_path, rows=30)
    record, content = fetch_record(None, "p", "a"), read_track(tmp_path / "track.jsonl")
    assert len(record.history) == len(content.rows) == 31
    # as text, because not-a-number does not equal itself; W&B keeps no order of keys, and writes 1.0 as 1
    assert [readable(row) for row in record.history] == [readable(row) for row in content.rows]
    assert record.summary == content.summary == {"best": -math.inf}
    assert record.config == content.config == {"training": {"rate": math.inf, "seeds": [0, 1]}}
    assert (record.series, record.summary_keys) == (content.series, content.summary_keys)
    assert (record.run_id, record.source) == ("a", f"W&B {ENTITY}/p/a")
    assert record.by_seed("epoch") == {0: 28.0, 1: 29.0}


def test_every_row_is_read_and_none_is_sampled(server: WandbServer) -> None:
    served(server, rows=2345, config={"x": 1}, summary='{"loss": 3, "_step": 2344}')
    record = fetch_record("e", "p", "b")
    assert [row["loss"] for row in record.history] == list(range(2345))
    assert record.history[0] == {"loss": 0}
    assert (record.config, record.summary, record.series, record.summary_keys) == ({"x": 1}, {"loss": 3}, (), ())


def test_rows_that_were_uploaded_twice_count_once(server: WandbServer) -> None:
    run = served(server, rows=5)
    run.history += run.history
    assert [row["loss"] for row in fetch_record("e", "p", "b").history] == list(range(5))


@pytest.mark.parametrize(
    ("summary", "reason"),
    [
        ('{"_assay_rows": 7}', "W&B has 5 rows, but 7 were tracked: upload the rest with `wandb sync"),
        ("{}", "W&B has 5 rows, but the run has not ended, or was not uploaded fully"),
    ],
)
def test_a_run_that_wandb_has_in_part_is_refused(server: WandbServer, summary: str, reason: str) -> None:
    served(server, rows=5, config={"_assay": {"series": ["loss"], "summary": []}}, summary=summary)
    with pytest.raises(ExperimentError) as caught:
        fetch_record("e", "p", "b")
    assert str(caught.value).startswith(f"e/p/b: {reason}")


def test_a_run_that_wandb_does_not_have_is_named(server: WandbServer) -> None:
    with pytest.raises(ExperimentError, match=r"^e/p/b: cannot be read from W&B: .*not found"):
        fetch_record("e", "p", "b")


def test_without_a_key_nothing_is_asked(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    with pytest.raises(ExperimentError, match=r"^p/b: no W&B key to read it with: set WANDB_API_KEY"):
        fetch_record(None, "p", "b")
    assert server.operations == []


def test_a_server_that_cannot_be_reached_is_one_line(server: WandbServer) -> None:
    server.go_down()
    with pytest.raises(ExperimentError, match=r"^e/p/b: cannot be read from W&B: ") as caught:
        fetch_record("e", "p", "b", timeout_seconds=1)
    assert "\n" not in str(caught.value)
