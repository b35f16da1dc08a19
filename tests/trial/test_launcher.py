"""What a command's probes wrote is read whatever the submission did to it."""

import json
import os

import pytest

from assay.trial.launcher import read_events, stops_of, tail
from assay.trial.sandbox import Ended, Isolation


def ended(status=1, broke=""):
    return Ended(status, None, 1.0, 1.0, 1, broke, Isolation("limits"))


def test_lines_that_are_no_events_are_passed_over(tmp_path):
    path = tmp_path / "events.jsonl"
    lines = ["", "no json", "[1]", '{"kind": 5}', '{"no": "kind"}', "[" * 100_000, json.dumps({"kind": "step", "n": 1})]
    path.write_bytes("\n".join(lines).encode() + b'\n\xff\xfe\n{"kind": "half')
    assert read_events(tmp_path, []) == [{"kind": "step", "n": 1}]


def test_a_submission_that_removes_its_events_has_none(tmp_path):
    assert read_events(tmp_path, []) == []
    assert tail(tmp_path / "gone", []) == ""


def test_folders_and_addresses_are_told_the_same_each_time(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps({"kind": "x", "text": "<Model at 0x7f2b4c0d1e20> in /p/001-trial/work/src/a.py"}))
    assert read_events(tmp_path, [("/p/001-trial/work/", "")])[0]["text"] == "<Model at 0x...> in src/a.py"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_put_in_place_of_the_events_is_not_read(kind, tmp_path):
    path = tmp_path / "events" / "events.jsonl"
    path.parent.mkdir()
    if kind == "link":
        (tmp_path / "secret").write_text('{"kind": "secret"}')
        path.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert read_events(path.parent, []) == []


def stop(**more):
    return {"kind": "stop", "type": "ValueError", "message": "no", "frames": [["src/train.py", 3, "main"]], **more}


def test_the_first_fatal_stop_counts_and_shims_come_before_it():
    events = (
        {"kind": "shim", "name": "unscale", "type": "ValueError", "message": "m", "frames": [["src/train.py", 9, "f"]]},
        stop(fatal=False, message="a thread"),
        stop(),
        stop(type="KeyError"),
    )
    found = stops_of(events, ended(), "")
    assert [(one.type, one.message, one.shim) for one in found] == [
        ("ValueError", "m", "unscale"),
        ("ValueError", "no", ""),
    ]
    assert found[1].frames[0].line == 3


def test_a_command_that_ended_well_or_was_ended_has_no_stop():
    assert stops_of((stop(),), ended(status=0), "") == []
    assert stops_of((stop(),), ended(status=None, broke="time"), "") == []


def test_a_status_without_an_exception_is_a_stop_in_its_own_words():
    [found] = stops_of((), ended(status=3), "usage: main\n")
    assert (found.type, found.message, found.text) == ("exit", "exit status 3", "usage: main\n")


def test_frames_of_other_shapes_do_no_harm():
    [found] = stops_of(
        (stop(frames=[["src/a.py"], "x", None, ["src/a.py", "7", "f"], ["src/a.py", 7, "f"]]),), ended(), ""
    )
    assert [frame.line for frame in found.frames] == [7]
    [found] = stops_of((stop(frames=5, chain="no", message=None, type=3),), ended(), "")
    assert (found.frames, found.chain, found.type) == ((), (), "")
