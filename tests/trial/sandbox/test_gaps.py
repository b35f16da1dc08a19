"""What resource limits alone do not stop, as `Isolation.gaps` says: if one of these fails, a gap has been closed."""

from __future__ import annotations

import os
import socket

import pytest

from assay.trial.sandbox.isolating import GAP_OF_ROOT, GAPS


@pytest.fixture
def open_box(box):
    if not box.isolation.gaps:
        pytest.skip("this kind isolates, which test_hostile.py shows")
    return box


def test_each_gap_is_told(open_box):
    assert open_box.isolation.gaps == ((*GAPS, GAP_OF_ROOT) if os.geteuid() == 0 else GAPS)


def test_files_can_be_read_and_written(open_box, tmp_path):
    (tmp_path / "secret").write_text("seen")
    said = open_box.says("import sys; print(open(sys.argv[1]).read()); open(sys.argv[1], 'w')", tmp_path / "secret")
    assert said == "seen"
    assert (tmp_path / "secret").read_text() == ""


def test_the_network_can_be_reached(open_box):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        open_box.says("import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))", port)


def test_processes_can_be_seen(open_box):
    open_box.says("import os, sys; os.kill(int(sys.argv[1]), 0)", os.getpid())
    # a child of the caller's, which the program may end
    assert str(os.getpid()) in open_box.says("import os; print(*os.listdir('/proc'))").split()


def test_it_gains_no_power_by_programs(open_box):
    # a wall that stands here too
    program = "print(*(line.strip() for line in open('/proc/self/status') if line.startswith('NoNewPrivs')))"
    assert open_box.says(program) == "NoNewPrivs:\t1"
