"""Tracking a run: registered keys, `track.jsonl` before W&B, and W&B that may fail without ending the run."""

from __future__ import annotations

import importlib
import math
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assay.runtime.errors import ExperimentError
from assay.runtime.track_log import read_track
from assay.runtime.tracker import Tracker, wandb_mode
from tests.runtime.wandb_server import API_KEY, ENTITY, WandbServer, forget_wandb

SECTION = {"entity": None, "project": "p"}


def local(folder: Path, said: list[str] | None = None, **changes: Any) -> Tracker:
    """A tracker without W&B that registers `epoch`, `loss` and `matrix` for rows, and `loss` for the summary."""
    settings: dict[str, Any] = {"series": ["epoch", "loss", "matrix"], "summary": ["loss"], "mode": "local"}
    settings["say"] = (said if said is not None else []).append
    return Tracker(folder, "a", {"x": 1}, **settings | changes)


def online(folder: Path, said: list[str], **changes: Any) -> Tracker:
    limits = {"init_seconds": 10.0, "finish_seconds": 10.0}
    return local(folder, said, **{"mode": None, "wandb_section": SECTION} | limits | changes)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    with WandbServer() as served:
        served.lead_here(monkeypatch, tmp_path)
        yield served
        importlib.import_module("wandb").teardown()
        assert [request for request in served.unknown if "otel" not in request] == []


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / "a"
    folder.mkdir(parents=True)
    return folder


# --- keys and values -------------------------------------------------------------------------------------------------


def test_a_complete_run_is_in_its_file(tmp_path: Path) -> None:
    noon = datetime(2026, 1, 2, 12, tzinfo=UTC)
    with local(tmp_path, now=lambda: noon) as tracker:
        tracker.log({"epoch": 0, "loss": 2.0})
        tracker.log({"matrix": [[1, 0], [0, 1]]})
        tracker.summarize({"loss": 2.0})
        assert (tracker.rows, tracker.url) == (2, None)
    content = read_track(tmp_path / "track.jsonl")
    assert content.rows == ({"epoch": 0, "loss": 2.0}, {"matrix": [[1, 0], [0, 1]]})
    assert (content.summary, content.status, content.config) == ({"loss": 2.0}, "complete", {"x": 1})
    assert (content.series, content.summary_keys) == (("epoch", "loss", "matrix"), ("loss",))
    assert content.wandb["mode"] == "local"
    assert content.starts[0]["time"] == "2026-01-02T12:00:00+00:00"


def test_rows_say_what_the_context_gives(tmp_path: Path) -> None:
    context: dict[str, Any] = {}
    with local(tmp_path, context=lambda: context) as tracker:
        tracker.log({"loss": 1.0})
        context = {"seed": 3, "seconds": 0.5}
        tracker.log({"loss": 2.0})
    assert read_track(tmp_path / "track.jsonl").rows == ({"loss": 1.0}, {"loss": 2.0, "seed": 3, "seconds": 0.5})


@pytest.mark.parametrize("mode", ["local", "disabled"])
def test_a_key_that_was_not_registered_is_refused_in_a_trial_too(tmp_path: Path, mode: str) -> None:
    tracker = local(tmp_path, mode=mode)
    with pytest.raises(ExperimentError) as caught:
        tracker.log({"epoch": 0, "los": 1.0})
    line = "'los' was not registered. Did you mean 'loss'? Registered in series: epoch, loss, matrix."
    assert line in str(caught.value)
    with pytest.raises(ExperimentError, match=r"tracker\.summarize: 'epoch' .* Registered in summary: loss\."):
        tracker.summarize({"epoch": 1})
    with pytest.raises(ExperimentError, match=r"tracker\.values: 'accuracy'"):
        tracker.values("accuracy")
    assert tracker.rows == 0
    tracker.finish()


@pytest.mark.parametrize(
    ("series", "reason"),
    [
        ("loss", r"a list of keys is expected: series=\['loss'\]"),
        (["seed"], "'seed' is tracked by itself"),
        (["seconds"], "'seconds' is tracked by itself"),
        (["_step"], "begin with `_`"),
        (["loss", "acc", "loss"], "loss registered twice"),
        ([""], "no name"),
        ([3], "3 is no name"),
    ],
)
def test_a_key_that_cannot_be_registered_is_a_wrong_call(tmp_path: Path, series: Any, reason: str) -> None:
    with pytest.raises(ExperimentError, match=reason) as caught:
        local(tmp_path, series=series, mode="disabled")
    assert caught.value.status == 2


def test_the_last_value_of_each_seed_and_their_mean(tmp_path: Path) -> None:
    context = {"seed": 7}
    with local(tmp_path, context=lambda: context) as tracker:
        for loss in (3.0, 1.0):
            tracker.log({"loss": loss})
        context["seed"] = 5
        for loss in (4.0, 2.0):
            tracker.log({"loss": loss})
        tracker.log({"epoch": 1})
        assert tracker.values("loss") == {5: 2.0, 7: 1.0}
        assert list(tracker.values("loss")) == [5, 7]
        assert tracker.mean("loss") == 1.5
        with pytest.raises(ExperimentError, match="nothing was logged as 'matrix'"):
            tracker.mean("matrix")
        tracker.log({"matrix": [[1]]})
        with pytest.raises(ExperimentError, match=r"'matrix' is \[\[1\]\], which is no number"):
            tracker.values("matrix")
        tracker.log({"loss": math.inf})
        context["seed"] = 7
        tracker.log({"loss": -math.inf})
        assert math.isnan(tracker.mean("loss"))


def test_a_trial_writes_nothing_and_knows_its_values(tmp_path: Path) -> None:
    with local(tmp_path / "nowhere", mode="disabled", wandb_section=SECTION) as tracker:
        tracker.log({"loss": 1.0})
        tracker.log({"loss": 2.0})
        assert tracker.mean("loss") == 2.0
        tracker.rewind(1)
        assert (tracker.rows, tracker.mean("loss")) == (1, 1.0)
        tracker.summarize({"loss": 1.0})
        tracker.sync()
    assert list(tmp_path.iterdir()) == []


def test_a_trial_does_not_import_wandb(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from assay.runtime.tracker import Tracker
with Tracker(Path("nowhere"), "a", {}, series=["loss"], wandb_section={"project": "p"}, mode="disabled") as tracker:
    tracker.log({"loss": 1.0})
print("wandb" in sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (ran.stdout, ran.stderr) == ("False\n", "")


# --- ends and resumptions --------------------------------------------------------------------------------------------


def test_keys_that_were_never_tracked_are_named_at_a_complete_end_only(tmp_path: Path) -> None:
    said: list[str] = []
    with local(tmp_path, said, series=["a", "b", "c"], summary=["b", "d"]) as tracker:
        tracker.log({"c": 1})
        tracker.summarize({"d": 1})
    assert said[-1] == "registered, but never tracked: a, b"
    with pytest.raises(ZeroDivisionError), local(tmp_path, said):
        _ = 1 / 0
    assert said[-1] == "tracking in track.jsonl only, without W&B"


def test_a_run_that_an_exception_ends_has_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), local(tmp_path):
        raise KeyboardInterrupt
    assert read_track(tmp_path / "track.jsonl").status == "failed"


def test_nothing_is_tracked_after_the_end_and_ending_twice_is_ending_once(tmp_path: Path) -> None:
    with local(tmp_path) as tracker:
        tracker.finish("failed")
    assert read_track(tmp_path / "track.jsonl").status == "failed"
    with pytest.raises(ExperimentError, match="the run was finished"):
        tracker.log({"loss": 1.0})
    with pytest.raises(ExperimentError, match="the run was finished"):
        tracker.summarize({"loss": 1.0})


def test_a_resumed_run_goes_on_from_the_rows_of_its_checkpoint(tmp_path: Path) -> None:
    context = {"seed": 0}
    with local(tmp_path, context=lambda: context) as tracker:
        for context["seed"] in range(3):
            tracker.log({"loss": float(context["seed"])})
        tracker.finish("failed")
    with local(tmp_path, context=lambda: context) as tracker:
        assert (tracker.rows, tracker.values("loss")) == (3, {0: 0.0, 1: 1.0, 2: 2.0})
        tracker.rewind(2)
        assert (tracker.rows, tracker.values("loss")) == (2, {0: 0.0, 1: 1.0})
        tracker.log({"loss": 20.0})
        assert tracker.mean("loss") == 7.0
        tracker.rewind(3)
    content = read_track(tmp_path / "track.jsonl")
    assert [start["attempt"] for start in content.starts] == [1, 2]
    assert [row["loss"] for row in content.rows] == [0.0, 1.0, 20.0]
    assert (tmp_path / "track.jsonl").read_text().count('"rewind"') == 1


def test_a_checkpoint_that_knows_more_rows_than_were_tracked_is_refused(tmp_path: Path) -> None:
    with local(tmp_path) as tracker:
        tracker.log({"loss": 1.0})
        with pytest.raises(ExperimentError, match=r"track\.jsonl: has 1 rows, but the checkpoint knew 2"):
            tracker.rewind(2)


def test_a_run_that_is_tracked_elsewhere_or_is_another_is_refused(tmp_path: Path) -> None:
    with local(tmp_path), pytest.raises(ExperimentError, match="another process is tracking this run"):
        local(tmp_path)
    with pytest.raises(ExperimentError, match="belongs to run 'a', not to 'b'"):
        Tracker(tmp_path, "b", {}, series=["loss"], mode="local")
    local(tmp_path).finish()  # what was refused left no lock


def test_a_full_disk_ends_the_run_with_its_own_line(tmp_path: Path) -> None:
    program = """
import resource, sys
from pathlib import Path
from assay.runtime.errors import ExperimentError
from assay.runtime.tracker import Tracker
try:
    with Tracker(Path("."), "a", {}, series=["loss"], mode="local") as tracker:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        while True:
            tracker.log({"loss": 1.0})
except ExperimentError as fault:
    print(tracker.rows, fault)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    rows, _, fault = ran.stdout.partition(" ")
    assert fault.startswith("track.jsonl: no room for another line")
    assert ran.stderr == "tracking in track.jsonl only, without W&B\n"
    assert 10 < len(read_track(tmp_path / "track.jsonl").rows) <= int(rows)


# --- how W&B takes part ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "environment", "stored", "expected"),
    [
        (SECTION, {"WANDB_API_KEY": "k"}, False, ("online", "")),
        (SECTION, {"WANDB_IDENTITY_TOKEN_FILE": "f"}, False, ("online", "")),
        (SECTION, {}, True, ("online", "")),
        (SECTION, {}, False, ("offline", "no W&B key: set WANDB_API_KEY or run `wandb login`")),
        (SECTION, {"WANDB_MODE": "offline", "WANDB_API_KEY": "k"}, True, ("offline", "WANDB_MODE=offline")),
        (SECTION, {"WANDB_MODE": "dryrun", "WANDB_API_KEY": "k"}, True, ("offline", "WANDB_MODE=dryrun")),
        (SECTION, {"WANDB_MODE": "disabled", "WANDB_API_KEY": "k"}, True, ("local", "WANDB_MODE=disabled")),
        (SECTION | {"mode": "offline"}, {"WANDB_API_KEY": "k"}, True, ("offline", "wandb.mode=offline")),
        (SECTION | {"mode": "offline"}, {"WANDB_MODE": "online"}, True, ("online", "")),
        ({}, {"WANDB_API_KEY": "k"}, True, ("local", "the configuration has no section wandb")),
    ],
)
def test_how_wandb_takes_part(
    section: Mapping[str, Any], environment: Mapping[str, str], stored: bool, expected: tuple[str, str]
) -> None:
    assert wandb_mode(section, environment, lambda: stored) == expected


def test_a_mode_that_does_not_exist_and_a_project_that_is_missing_are_wrong_calls() -> None:
    with pytest.raises(ExperimentError, match="WANDB_MODE=on: no mode of W&B"):
        wandb_mode(SECTION, {"WANDB_MODE": "on"}, lambda: True)
    with pytest.raises(ExperimentError, match=r"wandb\.project is missing"):
        wandb_mode({"entity": "e"}, {}, lambda: True)


def test_a_key_that_wandb_login_left_is_found_where_wandb_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_wandb(monkeypatch, tmp_path)
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text(f"machine elsewhere.example.org login user password {API_KEY}\n")
    assert wandb_mode(SECTION, {})[0] == "offline"
    (tmp_path / "netrc").write_text(f"machine wandb.example.org login user password {API_KEY}\n")
    assert wandb_mode(SECTION, {})[0] == "online"
    (tmp_path / "netrc").write_text("machine wandb.example.org login user password short\n")
    assert wandb_mode(SECTION, {})[0] == "online"  # W&B itself says what is wrong with it


def test_without_wandb_installed_a_run_is_tracked_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = """
import sys
sys.modules["wandb"] = None  # what an import of a package that is not there meets
from pathlib import Path
from assay.runtime.tracker import Tracker
with Tracker(Path("."), "a", {}, series=["loss"], wandb_section={"project": "p"}) as tracker:
    tracker.log({"loss": 1.0})
"""
    forget_wandb(monkeypatch, tmp_path)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ran.stderr.startswith("W&B cannot be used (")
    assert "tracked in track.jsonl only" in ran.stderr
    assert read_track(tmp_path / "track.jsonl").status == "complete"


# --- W&B, against a server that speaks its protocol ------------------------------------------------------------------


def test_a_run_tracked_online_is_at_wandb_as_it_is_in_the_file(
    server: WandbServer, run_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    with online(run_folder, said, context=lambda: {"seed": 0}) as tracker:
        tracker.log({"epoch": 0, "loss": 3.0})
        tracker.log({"loss": math.nan, "matrix": [[1, 2], [3, 4]]})
        tracker.summarize({"loss": math.inf})
        assert tracker.url == f"{server.url}/{ENTITY}/p/runs/a"
    content, run = read_track(run_folder / "track.jsonl"), server.runs["a"]
    assert run.rows[0] == {"epoch": 0, "loss": 3, "seed": 0}
    assert math.isnan(run.rows[1].pop("loss"))
    assert run.rows[1].keys() == {"loss", "matrix", "seed"}
    assert run.rows[1]["matrix"] == [[1, 2], [3, 4]]
    assert [row.get("loss") for row in content.rows][:1] == [3.0]
    assert (run.name, run.display_name, run.project, run.state) == ("a", "a", "p", "finished")
    assert run.config["x"] == {"value": 1}
    assert run.summary_values["loss"] == "Infinity"
    assert run.summary_values["_assay_rows"] == 2
    assert content.wandb == {"mode": "online", "entity": ENTITY, "project": "p", "url": tracker.url}
    assert said == [f"tracking at {tracker.url}"]
    output = capfd.readouterr()
    assert output.out == ""
    assert "🚀" not in output.err


def test_what_was_logged_and_never_summed_up_is_not_in_the_summary(server: WandbServer, run_folder: Path) -> None:
    with online(run_folder, []) as tracker:
        tracker.log({"loss": 3.0})
        tracker.finish("failed")
    assert server.runs["a"].state == "failed"
    assert server.runs["a"].summary_values == {"_assay_rows": 1}


def test_a_resumed_run_sends_only_what_wandb_has_not(
    server: WandbServer, run_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with online(run_folder, []) as tracker:
        for epoch in range(4):
            tracker.log({"epoch": epoch})
        tracker.finish("failed")
    said: list[str] = []
    with online(run_folder, said) as tracker:
        tracker.rewind(2)
        for epoch in range(2, 6):
            tracker.log({"epoch": epoch})
    assert [row["epoch"] for row in server.runs["a"].rows] == list(range(6))
    assert [row["epoch"] for row in read_track(run_folder / "track.jsonl").rows] == list(range(6))
    assert server.runs["a"].summary_values["_assay_rows"] == 6
    assert "less than the current step" not in capfd.readouterr().err


def test_rows_of_another_run_with_the_same_id_are_not_mixed_with_new_ones(server: WandbServer, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with online(tmp_path / "first", []) as tracker:
        tracker.log({"loss": 1.0})
    said: list[str] = []
    with online(tmp_path / "second", said) as tracker:
        tracker.log({"loss": 2.0})
        tracker.log({"loss": 3.0})
    assert said[0].startswith(f"{server.url}/{ENTITY}/p/runs/a holds rows of an earlier run with this id")
    assert [row["loss"] for row in server.runs["a"].rows] == [1]
    content = read_track(tmp_path / "second" / "track.jsonl")
    assert ([row["loss"] for row in content.rows], content.wandb["mode"]) == ([2.0, 3.0], "offline")


def test_without_a_key_a_run_is_tracked_offline_and_can_be_uploaded_later(
    server: WandbServer, run_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY")
    said: list[str] = []
    with online(run_folder, said) as tracker:
        tracker.log({"epoch": 0, "loss": 1.0, "matrix": [[1]]})
        tracker.summarize({"loss": 1.0})
    assert server.operations == []
    output = capfd.readouterr()
    assert (output.out, output.err) == ("", "")
    [folder] = (run_folder / "wandb").glob("offline-run-*")
    assert said == [
        f"tracking offline (no W&B key: set WANDB_API_KEY or run `wandb login`): `wandb sync {folder}` uploads it later"
    ]
    assert read_track(run_folder / "track.jsonl").wandb["mode"] == "offline"
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    upload(folder)
    assert server.runs["a"].rows == [{"epoch": 0, "loss": 1, "matrix": [[1]]}]
    assert server.runs["a"].summary_values["loss"] == 1


@pytest.mark.parametrize("way", ["refused", "failing"])
def test_a_server_that_is_not_there_at_the_start_has_the_run_tracked_offline(
    server: WandbServer, run_folder: Path, way: str
) -> None:
    if way == "refused":
        server.go_down()
    else:
        server.failing = True
    said: list[str] = []
    with online(run_folder, said, init_seconds=1.0) as tracker:
        tracker.log({"epoch": 0, "loss": 1.0, "matrix": 1})
        tracker.summarize({"loss": 1.0})
    assert said[0].startswith("W&B cannot be reached (")
    assert said[0].endswith("): tracking offline")
    assert said[1].startswith("tracking offline: `wandb sync ")
    content = read_track(run_folder / "track.jsonl")
    assert (content.status, content.wandb["mode"], len(content.rows)) == ("complete", "offline", 1)


def test_wandb_gets_a_row_when_it_is_written_and_not_at_the_end(server: WandbServer, run_folder: Path) -> None:
    with online(run_folder, []) as tracker:
        tracker.log({"epoch": 0})  # the first is written at once
        assert tracker._wandb is not None
        assert not tracker._wandb.lacks(tracker.rows)
    assert [row["epoch"] for row in server.runs["a"].rows] == [0]


def test_rows_that_were_taken_back_before_they_were_sent_are_never_sent(server: WandbServer, run_folder: Path) -> None:
    with online(run_folder, []) as tracker:
        tracker.log({"epoch": 0})
        assert tracker._log is not None
        tracker._log._clock = lambda: tracker._log._written if tracker._log else 0.0  # what follows comes at once
        tracker.log({"epoch": 1, "loss": 1.0})
        tracker.rewind(1)
        tracker.log({"epoch": 1, "loss": 2.0})
    assert [row.get("loss") for row in server.runs["a"].rows] == [None, 2.0]
    assert [row.get("loss") for row in read_track(run_folder / "track.jsonl").rows] == [None, 2.0]


def test_a_wandb_that_does_not_start_leaves_the_run_tracked(run_folder: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from assay.runtime.tracker import Tracker
with Tracker(Path(sys.argv[1]), "a", {}, series=["epoch"], wandb_section={"project": "p"}, init_seconds=5) as tracker:
    tracker.log({"epoch": 0})
"""
    # as a process of which W&B was a part leaves it to its children
    gone = {"WANDB_SERVICE": "3-1-unix-/nowhere/socket", "PATH": os.environ["PATH"], "HOME": str(run_folder)}
    command = [sys.executable, "-c", program, str(run_folder)]
    ran = subprocess.run(command, env=gone, capture_output=True, text=True, check=False, cwd=run_folder)
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert len(read_track(run_folder / "track.jsonl").rows) == 1


def test_a_key_in_a_wrong_form_has_the_run_tracked_offline(
    server: WandbServer, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "short")
    said: list[str] = []
    with online(run_folder, said, series=["epoch"], summary=[]) as tracker:
        tracker.log({"epoch": 0})
    assert "API key" in said[0]
    assert [line.split(" (")[0].split(":")[0] for line in said] == ["W&B cannot be reached", "tracking offline"]
    assert read_track(run_folder / "track.jsonl").status == "complete"


def test_a_server_that_goes_away_ends_neither_the_run_nor_holds_it_up(server: WandbServer, run_folder: Path) -> None:
    said: list[str] = []
    with online(run_folder, said, finish_seconds=1.0) as tracker:
        tracker.log({"epoch": 0})
        server.go_down()
        for epoch in range(1, 50):
            tracker.log({"epoch": epoch, "loss": 0.5, "matrix": 1})
        tracker.summarize({"loss": 0.5})
    assert len(said) == 2
    assert said[1].startswith("W&B did not take everything within 1 seconds; `wandb sync --include-online ")
    content = read_track(run_folder / "track.jsonl")
    assert (content.status, len(content.rows)) == ("complete", 50)
    server.come_back()
    upload(Path(said[1].split("--include-online ")[1].split("`")[0]), "--include-online")
    assert [row["epoch"] for row in server.runs["a"].rows] == list(range(50))
    assert server.runs["a"].summary_values["_assay_rows"] == 50


def test_a_wandb_run_that_breaks_is_told_of_once_and_the_file_goes_on(server: WandbServer, run_folder: Path) -> None:
    said: list[str] = []
    with online(run_folder, said) as tracker:
        tracker.log({"epoch": 0, "loss": 0.5, "matrix": 1})
        importlib.import_module("wandb").finish()  # as a library that tracks by itself may do
        for epoch in range(1, 5):
            tracker.log({"epoch": epoch})
        tracker.summarize({"loss": 0.5})
    assert said[1].startswith("W&B: logging failed (")
    assert said[1].endswith("): from here on tracked in track.jsonl only")
    assert sum("failed" in line for line in said[2:]) <= 1  # the end of the run may say once more how to upload
    content = read_track(run_folder / "track.jsonl")
    assert (content.status, len(content.rows), content.summary) == ("complete", 5, {"loss": 0.5})


def test_a_run_killed_while_it_is_tracked_online_goes_on_where_its_checkpoint_was(
    server: WandbServer, run_folder: Path
) -> None:
    program = """
import os, sys
from pathlib import Path
from assay.runtime.tracker import Tracker
section = {"entity": None, "project": "p"}
tracker = Tracker(Path(sys.argv[1]), "a", {}, series=["epoch"], wandb_section=section, environment=os.environ)
for epoch in range(1000000):
    tracker.log({"epoch": epoch})
    tracker.sync()
    os.write(1, b"%d\\n" % tracker.rows)
"""
    command = [sys.executable, "-c", program, str(run_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 30:
                services = children(process.pid)
                process.kill()
                break
    assert services
    for service in services:  # W&B's service ends by itself, about a second after the process that it served
        select.select([service], [], [])
        os.close(service)
    with online(run_folder, [], series=["epoch"], summary=[]) as tracker:
        known = tracker.rows
        assert known >= 30
        tracker.rewind(20)
        for epoch in range(20, known + 10):
            tracker.log({"epoch": epoch})
    assert [row["epoch"] for row in read_track(run_folder / "track.jsonl").rows] == list(range(known + 10))
    assert [row["epoch"] for row in server.runs["a"].rows] == list(range(known + 10))


def test_rows_of_an_attempt_that_was_offline_reach_wandb_with_the_next_that_is_online(
    server: WandbServer, run_folder: Path
) -> None:
    with online(run_folder, [], mode="local") as tracker:
        tracker.log({"epoch": 0})
        tracker.log({"epoch": 1})
        tracker.finish("failed")
    with online(run_folder, []) as tracker:
        tracker.log({"epoch": 2})
        assert tracker.rows == 3
        tracker.finish("failed")
    assert [row["epoch"] for row in server.runs["a"].rows] == [0, 1, 2]
    with online(run_folder, [], mode="local") as tracker:
        tracker.log({"epoch": 3})
    with online(run_folder, []):
        pass
    assert [row["epoch"] for row in server.runs["a"].rows] == [0, 1, 2, 3]
    assert server.runs["a"].summary_values["_assay_rows"] == 4


def test_a_run_that_cannot_be_begun_is_not_left_running_at_wandb(server: WandbServer, run_folder: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        online(run_folder, [], now=lambda: 1 / 0)
    assert server.runs["a"].state == "failed"


def test_what_wandb_refuses_to_take_is_told_by_wandb(
    server: WandbServer, run_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with online(run_folder, []) as tracker:
        server.forbidden = True
        tracker.log({"epoch": 0})
    assert "Some run data will not be synced" in capfd.readouterr().err
    assert read_track(run_folder / "track.jsonl").status == "complete"


def children(process: int) -> list[int]:
    """File descriptors that become readable when the children of a process end."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [os.pidfd_open(int(child)) for listed in lists for child in listed.read_text().split()]


def upload(folder: Path, *options: str) -> None:
    words = [sys.executable, "-m", "wandb", "sync", *options, str(folder)]
    # its logs go where it works
    subprocess.run(words, check=True, capture_output=True, cwd=folder.parent)
