"""What a program that means no harm finds in a box."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from assay.trial.sandbox import BoxError, Limits, isolation, run_boxed
from assay.trial.sandbox.isolating import kinds, works


def test_what_it_says_and_how_it_ends_are_told(box):
    ended = box.run("import sys; print('here'); print('there', file=sys.stderr); sys.exit(3)")
    assert (ended.status, ended.signal, ended.broke, ended.isolation) == (3, None, "", box.isolation)
    assert (box.said, box.complaints) == ("here\n", "there\n")
    assert ended.cpu_seconds > 0
    assert 0 < ended.seconds < 20
    assert ended.peak_memory > 1_000_000


def test_a_signal_is_told_from_a_status(box):
    ended = box.run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert (ended.status, ended.signal) == (None, signal.SIGSEGV)


def test_both_streams_may_go_to_one_file(box):
    line = ["/bin/sh", "-c", "echo one; echo two >&2"]
    one = box.folder / "one"
    run_boxed(
        line, folder=box.folder, writable=(), readable=(), cwd=box.folder, environment={}, limits=Limits(20),
        stdout=one, stderr=one, within=box.isolation,
    )  # fmt: skip
    assert one.read_text() == "one\ntwo\n"


def test_the_environment_is_the_one_given(box):
    ended = box.run_line(["/usr/bin/env"])
    assert ended.status == 0
    given = {f"{name}={value}" for name, value in box.environment.items()}
    assert set(box.said.splitlines()) == given | {f"PWD={box.work}"}


def test_nothing_is_inherited(box):
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    try:
        said = box.says(
            "import os\n"
            "fds = os.listdir('/proc/self/fd')\n"
            "held = {fd: os.readlink(f'/proc/self/fd/{fd}') for fd in fds if os.path.lexists(f'/proc/self/fd/{fd}')}\n"
            # bubblewrap leaves that open, which is what each process finds as /proc/self/ns/user
            "print(sorted(fd for fd in held if not held[fd].startswith('user:')))\n"
            "print(os.readlink('/proc/self/fd/0'), repr(open(0).read()))\n"
            "try: open('/dev/tty')\n"
            "except OSError: print('no terminal')\n"
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert said.splitlines() == ["['0', '1', '2']", "/dev/null ''", "no terminal"]


def test_paths_are_the_same_inside(box):
    (box.folder / "read").write_text("from outside")
    said = box.says("import os; print(os.getcwd(), open('../read').read()); open('made', 'w').write('from inside')")
    assert said == f"{box.work} from outside"
    assert (box.work / "made").read_text() == "from inside"


def test_subprocesses_semaphores_and_shared_memory_work(box):
    program = (
        "import multiprocessing as mp, subprocess, sys\n"
        "from multiprocessing.shared_memory import SharedMemory\n"
        "lock, queue, memory = mp.Lock(), mp.Queue(), SharedMemory(create=True, size=1 << 20)\n"
        "def work():\n"
        "    with lock: memory.buf[:4] = b'done'; queue.put(1)\n"
        "process = mp.Process(target=work); process.start(); queue.get(); process.join()\n"
        "print(bytes(memory.buf[:4]), subprocess.check_output([sys.executable, '-c', 'print(1)']))\n"
        "memory.unlink()\n"
    )
    assert box.says(program) == r"b'done' b'1\n'"


def test_loaders_with_workers_work(box):
    # not imported here, and in one kind only: that takes seconds
    if (torch := importlib.util.find_spec("torch")) is None or torch.origin is None:
        pytest.skip("torch is not installed")
    if box.isolation != isolation():
        pytest.skip("shown in the best kind")
    program = (
        "import torch\n"
        "from torch.utils.data import DataLoader, TensorDataset\n"
        "data = TensorDataset(torch.ones(64, 4096))\n"
        "print(sum(batch[0].sum().item() for batch in DataLoader(data, batch_size=8, num_workers=2)))\n"
    )
    environment = Path(torch.origin).parents[4]
    ended = run_boxed(
        [str(environment / "bin" / "python"), "-c", program], folder=box.folder, writable=(box.work,),
        readable=(environment, Path(sys.base_prefix)), cwd=box.work,
        environment={**box.environment, "OMP_NUM_THREADS": "1"}, limits=Limits(60),
        stdout=box.folder / "said", stderr=box.folder / "complaints", within=box.isolation,
    )  # fmt: skip
    assert (ended.status, box.said.strip()) == (0, str(64 * 4096.0)), box.complaints
    assert box.complaints == ""
    assert ended.peak_memory > 100_000_000


def test_loopback_carries(box):
    program = (
        "import socket\n"
        "server = socket.create_server(('127.0.0.1', 0))\n"
        "client = socket.create_connection(('localhost', server.getsockname()[1]), 5)\n"
        "server.accept()[0].send(b'heard'); print(client.recv(9))\n"
    )
    assert box.says(program) == "b'heard'"


def test_a_wish_to_stop_is_granted(box):
    box.stop = threading.Event()
    threading.Timer(0.3, box.stop.set).start()
    ended = box.run("import time; time.sleep(15)")
    assert (ended.broke, ended.status, ended.signal) == ("stopped", None, None)
    assert ended.seconds < 10


def test_a_wish_to_stop_may_come_first(box):
    box.stop = threading.Event()
    box.stop.set()
    assert box.run("import time; time.sleep(15)").broke == "stopped"


def test_what_it_may_write_is_its_own_whoever_made_it(box):
    (box.work / "made").mkdir()
    (box.work / "made" / "file").write_text("outside")
    (box.work / "link").symlink_to(box.folder / "read")
    (box.folder / "read").write_text("")
    for _ in range(2):
        box.says("import os; open('made/file', 'a').write('.'); open('made/more', 'a').write('.'); os.utime('made')")
    assert (box.work / "made" / "file").read_text() == "outside.."
    assert (box.folder / "read").stat().st_uid == os.geteuid()


def test_what_only_root_may_read_is_read(box):
    # root's own number inside, then, or else nothing could be read
    (box.folder / "overlay").mkdir(mode=0o700)
    (box.folder / "overlay" / "file").write_text("seen")
    box.folder.chmod(0o700)
    assert box.says("print(open('../overlay/file').read())") == "seen"


def test_where_it_cannot_become_somebody_else_it_runs_as_root(box, monkeypatch):
    monkeypatch.setattr("assay.trial.sandbox.boxed.somebody_else_works", lambda _: False)
    (box.work / "made").write_text("before")
    box.says("open('made', 'w').write('after')")
    assert (box.work / "made").stat().st_uid == os.geteuid()


def test_a_stream_may_be_opened_by_its_name(box):
    box.says("open('/dev/stderr', 'w').write('here'); open('/proc/self/fd/1', 'w').write('there')")
    assert (box.said, box.complaints) == ("there", "here")


def test_several_run_side_by_side(box):
    statuses = []
    names = ["one", "two", "three"]
    threads = [
        threading.Thread(
            target=lambda name=name: statuses.append(
                run_boxed(
                    ["/bin/sh", "-c", f"echo {name}"], folder=box.folder, writable=(), readable=(), cwd=box.folder,
                    environment={}, limits=Limits(20), stdout=box.folder / name, stderr=box.folder / f"{name}.err",
                    within=box.isolation,
                ).status
            )
        )
        for name in names
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [0, 0, 0]
    assert [(box.folder / name).read_text().strip() for name in names] == names


def test_a_program_that_is_not_there_is_told(box):
    with pytest.raises(BoxError, match="No such file"):
        box.run_line(["/nowhere/program"])


def test_a_folder_that_is_not_there_is_told(box):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        run_boxed(
            ["/bin/true"], folder=box.folder, writable=(box.folder / "nowhere",), readable=(), cwd=box.folder,
            environment={}, limits=Limits(5), stdout=box.folder / "o", stderr=box.folder / "e",
        )  # fmt: skip


def test_the_best_kind_that_works_is_chosen():
    chosen = isolation()
    better = kinds()[: kinds().index(chosen)]
    assert not works(chosen)
    assert all(works(kind) for kind in better)
    assert json.dumps(chosen.gaps) == "[]" or chosen.kind == "limits"


def test_memory_that_processes_share_counts_once(box):
    program = (
        "import os, time\n"
        "block = bytearray(b'x') * 200_000_000\n"
        "children = [os.fork() for _ in range(1)]\n"
        "if children[0]: [os.fork() or time.sleep(2) or os._exit(0) for _ in range(3)]\n"
        "time.sleep(1)\n"
    )
    begin = time.monotonic()
    ended = box.run(program)
    assert (ended.broke, ended.status) == ("", 0), time.monotonic() - begin
    assert 200_000_000 < ended.peak_memory < 400_000_000
