"""What a run tracked is read back as it was tracked, and nothing is made up where it was not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from assay.evaluation import records_wandb
from assay.evaluation.records import RunRecord, load_record, one_value_a_position
from assay.runtime.errors import ExperimentError
from assay.runtime.track_log import TrackLog
from tests.evaluation.conftest import NOON, write_track

OFFLINE = {"mode": "offline", "project": "study"}
ONLINE = {"mode": "online", "entity": "lab", "project": "study"}


def record(*rows: dict[str, Any], **changed: Any) -> RunRecord:
    given: dict[str, Any] = {"summary": {}, "config": {}, "series": ("loss",), "summary_keys": (), "source": "test"}
    return RunRecord(run_id="a", history=rows, **(given | changed))


def test_the_last_value_of_every_seed_counts_in_the_order_of_seeds():
    run = record({"seed": 2, "loss": 1.0}, {"seed": 1, "loss": 3.0}, {"seed": 2, "loss": 0.5}, {"seed": 2, "other": 9})
    assert list(run.by_seed("loss").items()) == [(1, 3.0), (2, 0.5)]


def test_a_series_that_was_never_logged_has_no_seeds_no_curve_and_no_value():
    run = record({"seed": 1, "loss": 1.0})
    assert (run.by_seed("other"), run.curve("other"), run.value("other")) == ({}, {}, None)


def test_rows_without_a_seed_count_as_seed_zero_only_where_no_row_has_one():
    assert record({"loss": 1.0}, {"loss": 2.0}).by_seed("loss") == {0: 2.0}
    assert record({"seed": 3, "loss": 1.0}, {"loss": 2.0}).by_seed("loss") == {3: 1.0}


def test_a_value_that_is_not_a_number_is_kept_and_makes_the_mean_not_a_number():
    run = record({"seed": 1, "loss": 1.0}, {"seed": 2, "loss": "NaN"})
    assert math.isnan(run.by_seed("loss")[2])
    value = run.value("loss")
    assert value is not None
    assert math.isnan(value)


def test_infinities_of_opposite_signs_have_no_mean():
    value = record({"seed": 1, "loss": "Infinity"}, {"seed": 2, "loss": "-Infinity"}).value("loss")
    assert value is not None
    assert math.isnan(value)


def test_the_value_is_the_summary_where_the_run_registered_it_and_else_the_mean_over_seeds():
    rows = ({"seed": 1, "loss": 1.0}, {"seed": 2, "loss": 2.0})
    assert record(*rows, summary={"loss": 9.0}, summary_keys=("loss",)).value("loss") == 9.0
    # W&B's own summary holds the last row of every series: seed 2's alone
    assert record(*rows, summary={"loss": 2.0}).value("loss") == 1.5
    assert record(*rows, summary={"loss": 2.0}, series=()).value("loss") == 2.0


def test_a_curve_has_the_positions_and_values_of_each_seed():
    run = record(
        {"seed": 1, "epoch": 0, "loss": 4.0},
        {"seed": 1, "epoch": 1, "loss": "NaN"},
        {"seed": 1, "loss": 2.0},
        {"seed": 1, "epoch": "NaN", "loss": 2.0},
        {"seed": 0, "epoch": 0, "loss": 5.0},
    )
    curve = run.curve("loss")
    assert list(curve) == [0, 1]
    assert curve[0] == ([0.0], [5.0])
    assert curve[1][0] == [0.0, 1.0]
    assert math.isnan(curve[1][1][1])


def test_values_at_one_position_are_averaged_and_positions_rise():
    assert one_value_a_position(([1.0, 0.0, 1.0], [4.0, 9.0, 2.0])) == ([0.0, 1.0], [9.0, 3.0])


def test_a_local_log_is_read_with_its_keys_config_and_source(tmp_path):
    path = write_track(tmp_path, "a", [{"epoch": 0, "seed": 1, "test_loss": math.inf}], summary={"test_loss": 1.5})
    run = load_record(tmp_path, "a", OFFLINE)
    assert run.history == ({"epoch": 0, "seed": 1, "test_loss": math.inf},)
    assert run.summary == {"test_loss": 1.5}
    assert run.config == {"training": {"learning_rate": 0.1}}
    assert "val_accuracy" in run.series
    assert run.summary_keys == ("test_accuracy", "test_loss")
    assert run.source == str(path)


def test_rows_that_a_resumed_run_took_back_do_not_count(tmp_path):
    path = write_track(tmp_path, "a", [{"seed": 1, "test_loss": 1}, {"seed": 1, "test_loss": 2}], status=None)
    with TrackLog(path) as log:
        log.start(
            attempt=2, time=NOON, run_id="a", config={"again": 1}, series=["test_loss"], summary=[], wandb=OFFLINE
        )
        log.rewind(1)
        log.row(1, {"seed": 1, "test_loss": 7})
        log.finish("complete", NOON)
    run = load_record(tmp_path, "a", OFFLINE)
    assert [row["test_loss"] for row in run.history] == [1, 7]
    assert run.config == {"again": 1}


def test_a_torn_last_line_is_ignored_and_a_broken_line_elsewhere_named(tmp_path):
    path = write_track(tmp_path, "a", [{"seed": 1, "test_loss": 1}])
    whole = path.read_text()
    path.write_text(whole + '{"kind": "row", "st')
    assert len(load_record(tmp_path, "a", OFFLINE).history) == 1
    lines = whole.splitlines()
    path.write_text("\n".join([lines[0], "{broken", *lines[2:]]) + "\n")
    with pytest.raises(ExperimentError, match=r"track\.jsonl:2"):
        load_record(tmp_path, "a", OFFLINE)


@pytest.mark.parametrize(("status", "said"), [(None, "has not finished"), ("failed", "failed")])
@pytest.mark.parametrize("source", ["auto", "local", "wandb"])
def test_a_run_that_did_not_come_to_its_end_is_not_compared(tmp_path, status, said, source):
    write_track(tmp_path, "a", [{"seed": 1, "test_loss": 1}], status=status)
    with pytest.raises(ExperimentError, match=said):
        load_record(tmp_path, "a", OFFLINE, source)


def test_without_tracked_data_it_says_that_trial_mode_tracks_nothing(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "trial.json").write_text("{}")
    with pytest.raises(ExperimentError, match=r"a: no tracked data.*trial mode tracks nothing; run it with mode=full"):
        load_record(tmp_path, "a", OFFLINE)


class Api:
    """Stands for the service: what it was asked for, and what it answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answer: RunRecord | None = None):
        self.asked: list[tuple[Any, ...]] = []
        self.answer = answer
        monkeypatch.setattr(records_wandb, "fetch_record", self.fetch)

    def fetch(self, *path: Any) -> RunRecord:
        self.asked.append(path)
        if self.answer is None:
            raise ExperimentError("lab/study/a: there is no network")
        return self.answer


def test_a_run_that_was_tracked_online_is_read_from_the_service(tmp_path, monkeypatch):
    write_track(tmp_path, "a", [{"seed": 1, "test_loss": 1}], wandb=ONLINE)
    online = record(source="W&B lab/study/a")
    api = Api(monkeypatch, online)
    assert load_record(tmp_path, "a", ONLINE) is online
    assert api.asked == [("lab", "study", "a")]


def test_a_run_of_another_machine_is_read_from_the_service(tmp_path, monkeypatch):
    online = record(source="W&B lab/study/a")
    Api(monkeypatch, online)
    assert load_record(tmp_path, "a", {"entity": "lab", "project": "study"}) is online


def test_a_run_that_was_tracked_offline_is_not_looked_for_in_the_service(tmp_path, monkeypatch):
    write_track(tmp_path, "a", [{"seed": 1, "test_loss": 1}], wandb=OFFLINE)
    api = Api(monkeypatch)
    assert load_record(tmp_path, "a", ONLINE).source.endswith("track.jsonl")
    assert api.asked == []


def test_local_means_that_the_service_is_not_asked(tmp_path, monkeypatch):
    write_track(tmp_path, "a", [{"seed": 1, "test_loss": 1}], wandb=ONLINE)
    api = Api(monkeypatch)
    assert load_record(tmp_path, "a", ONLINE, "local").source.endswith("track.jsonl")
    assert api.asked == []


def test_where_the_service_gives_nothing_the_local_log_is_read_and_that_is_said(tmp_path, monkeypatch, capsys):
    write_track(tmp_path, "a", [{"seed": 1, "test_loss": 1}], wandb=ONLINE)
    Api(monkeypatch)
    assert len(load_record(tmp_path, "a", ONLINE).history) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "there is no network" in said
    assert "track.jsonl" in said


def test_the_service_alone_means_that_its_fault_stands(tmp_path, monkeypatch):
    write_track(tmp_path, "a", [{"seed": 1, "test_loss": 1}], wandb=ONLINE)
    Api(monkeypatch)
    with pytest.raises(ExperimentError, match="no network"):
        load_record(tmp_path, "a", ONLINE, "wandb")


def test_neither_source_has_the_run(tmp_path: Path, monkeypatch):
    Api(monkeypatch)
    with pytest.raises(ExperimentError, match=r"no network.*mode=full"):
        load_record(tmp_path, "a", ONLINE)


def test_a_configuration_without_a_project_is_a_wrong_call(tmp_path):
    with pytest.raises(ExperimentError, match=r"wandb\.project") as fault:
        load_record(tmp_path, "a", {"mode": "online"}, "wandb")
    assert fault.value.status == 2
