"""`track.jsonl` is intact and complete however the process that writes it ends."""

from __future__ import annotations

import json
import math
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assay.runtime.errors import ExperimentError
from assay.runtime.track_log import TrackLog, from_json, json_ready, plain_config, plain_values, read_track

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def started(path: Path, *, attempt: int = 1, config: dict[str, Any] | None = None) -> TrackLog:
    log = TrackLog(path)
    online = {"mode": "online", "entity": "e", "project": "p", "url": "https://example.org"}
    log.start(
        attempt=attempt, time=NOON, run_id="a", config=config or {}, series=["loss"], summary=["best"], wandb=online
    )
    return log


# A child that starts a log at argv[1] and logs rows without end; each row that is logged is told on standard output.
LOGGING_CHILD = """
import os, sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from assay.runtime.track_log import TrackLog, read_track
path = Path(sys.argv[1])
log = TrackLog(path, clock=count().__next__)  # a second passes from row to row: each is written at once
before = read_track(path)
attempt = len(before.starts) + 1
log.start(attempt=attempt, time=datetime.now(UTC), run_id="a", config={}, series=[], summary=[], wandb={})
step = len(before.rows)
while True:
    log.row(step, {"loss": 1 / (1 + step), "text": "x" * (step % 700)})
    step += 1
    os.write(1, b"%d\\n" % step)
"""


def child(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def told(process: subprocess.Popen[bytes], *, until: int) -> None:
    """Waits until a child has told of so many rows."""
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= until:
            return
    raise AssertionError(process.stderr.read() if process.stderr else "")


def ended(process: subprocess.Popen[bytes]) -> int:
    """What a child that was killed told last, or 0."""
    process.kill()
    rest, _ = process.communicate()
    complete = rest.split(b"\n")[:-1]
    return int(complete[-1]) if complete else 0


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    with started(path, config={"model": {"width": 3}}) as log:
        log.row(0, {"loss": 0.5, "seed": 0})
        log.row(1, {"matrix": [[1, 2], [3, 4]]})
        log.summary({"best": 0.5})
        log.summary({"last": None})
        log.finish("complete", NOON)
    content = read_track(path)
    assert content.rows == ({"loss": 0.5, "seed": 0}, {"matrix": [[1, 2], [3, 4]]})
    assert content.summary == {"best": 0.5, "last": None}
    assert (content.status, content.config) == ("complete", {"model": {"width": 3}})
    assert (content.series, content.summary_keys) == (("loss",), ("best",))
    assert content.wandb["url"] == "https://example.org"
    assert content.starts[0]["time"] == "2026-01-02T12:00:00+00:00"


def test_numbers_that_are_not_finite_are_strings_in_the_file_and_numbers_for_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    strange = {"a": math.nan, "b": math.inf, "c": -math.inf, "d": [1.0, [math.nan]]}
    with started(path, config={"clip": math.inf}) as log:
        log.row(0, plain_values(strange))
        log.summary(plain_values(strange))
    for line in path.read_text().splitlines()[1:]:
        assert json.loads(line)["values"] == {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": [1.0, ["NaN"]]}
    content = read_track(path)
    assert content.config == {"clip": math.inf}
    for values in (content.rows[0], content.summary):
        assert math.isnan(values["a"])
        assert (values["b"], values["c"]) == (math.inf, -math.inf)
        assert math.isnan(values["d"][1][0])


def test_a_rewind_takes_back_later_rows_and_only_those(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    with started(path) as log:
        for step in range(5):
            log.row(step, {"loss": step})
        log.rewind(2)
        log.row(2, {"loss": 20})
    assert [row["loss"] for row in read_track(path).rows] == [0, 1, 20]


def test_a_new_attempt_begins_without_the_end_and_the_summary_of_the_earlier(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    with started(path, config={"x": 1}) as log:
        log.row(0, {"loss": 1})
        log.summary({"best": 1})
        log.finish("failed", NOON)
    assert read_track(path).status == "failed"
    started(path, attempt=2, config={"x": 2}).close()
    content = read_track(path)
    assert [start["attempt"] for start in content.starts] == [1, 2]
    assert (content.status, content.summary, content.config) == (None, {}, {"x": 2})
    assert content.rows == ({"loss": 1},)


def test_every_beginning_of_a_file_can_be_read_and_written_on(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    with started(whole) as log:
        log.row(0, {"loss": 0.25})
        log.row(1, {"name": "é\udc80", "loss": math.nan})
        log.rewind(1)
        log.row(1, {"loss": 0.5})
    data = whole.read_bytes()
    path = tmp_path / "track.jsonl"
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        complete = data[: data.rfind(b"\n", 0, size) + 1]
        before = read_track(path)
        assert len(before.starts) == min(1, complete.count(b"\n"))
        with started(path, attempt=2) as log:
            log.row(len(before.rows), {"loss": -1})
        assert path.read_bytes().startswith(complete)
        assert path.read_bytes().count(b"\n") == complete.count(b"\n") + 2
        assert repr(read_track(path).rows[:-1]) == repr(before.rows)  # repr: not-a-number does not equal itself


def test_a_torn_line_longer_than_what_is_read_at_once_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    started(path).close()
    complete = path.read_bytes()
    path.write_bytes(complete + b'{"kind":"row","values":"' + b"x" * 200_000)
    TrackLog(path).close()
    assert path.read_bytes() == complete


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "broken line"),
        ("[]", "object"),
        ('"start"', "object"),
        ('{"step": 0}', "'kind'"),
        ('{"kind": "rows"}', "unknown kind 'rows'"),
        ('{"kind": "row", "step": 7, "values": {}}', "its step is 7, where 1 is due"),
        ('{"kind": "row", "step": 1}', "'values'"),
        ('{"kind": "row", "step": 1, "values": [1]}', "object"),
        ('{"kind": "rewind", "rows": 2}', "goes back to 2 rows, where 1 are known"),
        ('{"kind": "rewind", "rows": -1}', "goes back to -1"),
        ('{"kind": "finish", "status": "done"}', "unknown status 'done'"),
        ('{"kind": "start", "config": 1, "series": [], "summary": [], "wandb": {}}', "config is no dict"),
        ("\udcff", "broken line"),
        ("", "broken line"),
    ],
)
def test_a_broken_line_is_named_with_its_file_and_number(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "track.jsonl"
    with started(path) as log:
        log.row(0, {"loss": 1})
    with path.open("ab") as file:
        file.write(line.encode(errors="surrogateescape") + b'\n{"kind":"row","step":1,"values":{}}\n')
    with pytest.raises(ExperimentError) as caught:
        read_track(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert reason in str(caught.value)


def test_a_row_before_any_start_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    path.write_text('{"kind":"row","step":0,"values":{}}\n')
    with pytest.raises(ExperimentError, match=r"track\.jsonl:1: .*nothing was started"):
        read_track(path)


def test_a_file_that_is_not_there_and_a_folder_that_is_not_there_are_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "track.jsonl"
    with pytest.raises(ExperimentError, match=r"nowhere.*cannot be read: No such file"):
        read_track(path)
    with pytest.raises(ExperimentError, match=r"nowhere.*cannot be opened for tracking: No such file"):
        TrackLog(path)


def test_no_row_is_lost_when_the_process_is_killed_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    chance = random.Random(7)
    acknowledged = 0
    for attempt in range(1, 6):
        process = child(LOGGING_CHILD, path)
        told(process, until=acknowledged + chance.randrange(1, 400))
        acknowledged = max(acknowledged, ended(process))
        content = read_track(path)
        assert len(content.starts) == attempt
        assert len(content.rows) >= acknowledged
        assert [row["loss"] for row in content.rows] == [1 / (1 + step) for step in range(len(content.rows))]
        acknowledged = len(content.rows)


def test_a_full_disk_is_one_clear_line_and_leaves_every_row_that_was_tracked(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    program = """
import resource, sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from assay.runtime.errors import ExperimentError
from assay.runtime.track_log import TrackLog
log = TrackLog(Path(sys.argv[1]), clock=count().__next__)
log.start(attempt=1, time=datetime.now(UTC), run_id="a", config={}, series=[], summary=[], wandb={})
resource.setrlimit(resource.RLIMIT_FSIZE, (4321, resource.RLIM_INFINITY))
rows = 0
try:
    while True:
        log.row(rows, {"loss": 1.0})
        rows += 1
except ExperimentError as fault:
    print(rows, fault)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.row(rows, {"loss": 2.0})
"""
    output, errors = child(program, path).communicate()
    rows, _, fault = output.decode().partition(" ")
    assert fault.startswith(f"{path}: no room for another line (File too large): make room"), errors
    content = read_track(path)
    assert int(rows) > 10
    assert [row["loss"] for row in content.rows] == [1.0] * int(rows) + [2.0]


def losses(path: Path) -> list[float]:
    return [row["loss"] for row in read_track(path).rows]


def begun(path: Path, clock: Callable[[], float]) -> TrackLog:
    log = TrackLog(path, clock)
    log.start(attempt=1, time=datetime.now(UTC), run_id="a", config={}, series=[], summary=[], wandb={})
    return log


def test_rows_that_follow_each_other_fast_are_written_together(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    now = [0.0]
    with begun(path, lambda: now[0]) as log:
        held = []
        for step, now[0] in enumerate([5.0, 5.01, 5.09, 5.11, 5.12]):
            log.row(step, {"loss": float(step)})
            held.append(len(losses(path)))
        assert held == [1, 1, 1, 4, 4]
    assert losses(path) == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize(
    "write", [TrackLog.flush, TrackLog.sync, lambda log: log.summary({}), lambda log: log.rewind(3)]
)
def test_whatever_else_is_written_comes_after_the_rows_before_it(
    tmp_path: Path, write: Callable[[TrackLog], None]
) -> None:
    path = tmp_path / "track.jsonl"
    with begun(path, lambda: 0.0) as log:
        for step in range(3):
            log.row(step, {"loss": float(step)})
        assert losses(path) == [0.0]
        write(log)
        assert losses(path) == [0.0, 1.0, 2.0]


def test_rows_do_not_wait_without_end_where_time_stands_still(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    with begun(path, lambda: 0.0) as log:
        for step in range(1002):
            log.row(step, {"loss": 1.0})
        assert len(losses(path)) == 1001


def test_rows_that_a_full_disk_did_not_take_are_written_once_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    now = [0.0]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with begun(path, lambda: now[0]) as log:
        for step in range(50):
            log.row(step, {"loss": float(step)})
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 1000, hard))
        try:
            now[0] = 1.0
            with pytest.raises(ExperimentError, match="no room"):
                log.row(50, {"loss": 50.0})
            assert 1 < len(losses(path)) < 50
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        # it was refused, and so it is logged again
        log.row(50, {"loss": 50.0})
    assert losses(path) == [float(step) for step in range(51)]


def test_one_run_is_tracked_by_one_process(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    process = child(LOGGING_CHILD, path)
    told(process, until=1)
    with pytest.raises(ExperimentError, match=r"track\.jsonl: another process is tracking this run: wait"):
        TrackLog(path)
    ended(process)
    TrackLog(path).close()
    with TrackLog(path), pytest.raises(ExperimentError, match="another process"):
        TrackLog(path)


def test_a_forked_worker_that_outlives_its_parent_does_not_keep_the_run_locked(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    program = """
import os, signal, sys
from pathlib import Path
from assay.runtime.errors import ExperimentError
from assay.runtime.track_log import TrackLog
log = TrackLog(Path(sys.argv[1]))
if os.fork() == 0:
    try:
        log.row(0, {})
        print("logged", flush=True)
    except ExperimentError as fault:
        print(fault, flush=True)
    sys.stdin.read()
else:
    signal.pause()
"""
    process = child(program, path)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert b"opened by another process than the one that logs" in process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        TrackLog(path).close()
    finally:
        process.kill()
        process.stdin.close()  # lets the worker go


def test_a_file_that_was_deleted_meanwhile_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "track.jsonl"
    with started(path) as log:
        path.unlink()
        with pytest.raises(ExperimentError, match="deleted while the run was tracked"):
            log.summary({"best": 1})


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    log = started(tmp_path / "track.jsonl")
    log.close()
    log.close()
    with pytest.raises(ExperimentError, match="closed"):
        log.row(0, {})


def test_numpy_values_become_plain_ones() -> None:
    numpy = pytest.importorskip("numpy")
    values = plain_values(
        {
            "double": numpy.float64(0.5),
            "single": numpy.float32(0.5),
            "count": numpy.int64(3),
            "flag": numpy.bool_(True),
            "matrix": numpy.array([[1, 2], [3, 4]]),
            "list": [numpy.float32(0.5), (1, True)],
            "none": None,
            "text": "a",
        }
    )
    assert values == {
        "double": 0.5,
        "single": 0.5,
        "count": 3,
        "flag": True,
        "matrix": [[1, 2], [3, 4]],
        "list": [0.5, [1, True]],
        "none": None,
        "text": "a",
    }
    assert type(values["double"]) is float
    assert type(values["flag"]) is bool
    assert type(values["count"]) is int


def test_a_tensor_with_one_element_is_a_number_and_one_with_several_is_refused() -> None:
    torch = pytest.importorskip("torch")
    parameter = torch.nn.Parameter(torch.tensor([0.5]))
    values = {"a": torch.tensor(3), "b": parameter, "c": (parameter * 2).sum()}
    assert plain_values(values) == {"a": 3, "b": 0.5, "c": 1}
    with pytest.raises(ExperimentError, match=r"loss: a tensor of shape \(2,\) .*\.mean\(\)\.item\(\)"):
        plain_values({"loss": torch.zeros(2)})
    with pytest.raises(ExperimentError, match=r"loss: a value of type torch\.Tensor has no single value"):
        plain_values({"loss": torch.zeros(1, device="meta")})


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"a": 1}, "dict"),
        (object(), "object"),
        (1j, "complex"),
        (NOON, "datetime.datetime"),
        (["a"], "list with a str"),
        ([None], "list with a NoneType"),
        ([{}], "dict"),
        (b"x", "bytes"),
    ],
)
def test_what_cannot_be_tracked_is_refused_with_its_key_and_type(value: object, named: str) -> None:
    with pytest.raises(ExperimentError, match=f"^loss: .*{named}"):
        plain_values({"loss": value})


def test_a_configuration_with_a_foreign_value_names_its_place() -> None:
    config: dict[Any, Any] = {"a": [Path("b"), None, {"c": math.nan}], 1: True}
    assert plain_config(config) == {"a": ["b", None, {"c": "NaN"}], "1": True}
    with pytest.raises(ExperimentError, match=r"config\.model\.layers\[1\]: a value of type object"):
        plain_config({"model": {"layers": [1, object()]}})


def test_strings_for_numbers_that_are_not_finite_go_both_ways() -> None:
    assert json_ready([math.inf, [-math.inf], "NaN", 1]) == ["Infinity", ["-Infinity"], "NaN", 1]
    assert from_json({"a": ["Infinity", {"b": "-Infinity"}], "c": "inf"}) == {
        "a": [math.inf, {"b": -math.inf}],
        "c": "inf",
    }


def test_importing_what_tracks_imports_nothing_heavy() -> None:
    program = "import sys, assay.runtime.tracker; print(*{'wandb', 'torch', 'numpy', 'omegaconf'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"
