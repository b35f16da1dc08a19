"""What a hostile program does in a box, and what comes of it. Each really runs."""

from __future__ import annotations

import os
import socket
import time
import uuid
from pathlib import Path

import pytest

from assay.trial.sandbox import read_left, remove_tree
from assay.trial.sandbox.view import UID
from tests.trial.sandbox.running import none_marked

MEGABYTE = 10**6

# --- reading


def test_secrets_of_the_machine_are_not_there(closed_box, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a secret of the host")
    places = [
        secret,
        "/etc/shadow",
        "/root/.ssh",
        "/root/.bashrc",
        Path.home() / ".ssh",
        "/home",
        "/run",
        "/proc/kcore",
    ]
    program = (
        "import os, sys\n"
        "for place in sys.argv[1:]:\n"
        "    try: print(place, os.listdir(place) if os.path.isdir(place) else open(place, 'rb').read(9))\n"
        "    except OSError: pass\n"
    )
    assert closed_box.says(program, *places) in ("", "/proc/kcore b''")


def test_the_users_file_is_made_up(closed_box):
    said = closed_box.says("print(open('/etc/passwd').read(), open('/etc/hosts').read())")
    assert [line.split(":")[0] for line in said.splitlines()[:3]] == ["root", "boxed", "nobody"]


def test_the_environments_of_others_are_not_seen(closed_box, monkeypatch):
    monkeypatch.setenv("ASSAY_TEST_SECRET", "mark-of-the-secret")
    program = (
        "import glob\n"
        "for path in glob.glob('/proc/*/environ') + glob.glob('/proc/*/task/*/environ'):\n"
        "    try: print(open(path).read())\n"
        "    except OSError: pass\n"
    )
    assert "mark-of-the-secret" not in closed_box.says(program)


def test_the_processes_of_others_are_not_seen(closed_box):
    pids = [int(pid) for pid in closed_box.says("import os; print(*filter(str.isdigit, os.listdir('/proc')))").split()]
    assert max(pids) < 20
    assert len(pids) <= 3


def test_it_has_no_power(closed_box):
    program = (
        "import os\n"
        "lines = [line.strip() for line in open('/proc/self/status')]\n"
        "status = dict(line.split(':\\t') for line in lines if line.startswith(('Cap', 'No')))\n"
        "print(*(status[name] for name in ('CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs')), os.getuid())\n"
    )
    assert closed_box.says(program) == f"{'0' * 16} {'0' * 16} {'0' * 16} {'0' * 16} 1 {UID}"


def test_it_makes_no_namespaces_of_its_own(closed_box):
    program = "import ctypes; print(ctypes.CDLL(None).unshare(0x10000000))"
    assert closed_box.says(program) == "-1"


def test_it_mounts_nothing(closed_box):
    program = "import ctypes; print(ctypes.CDLL(None).mount(b'tmpfs', b'.', b'tmpfs', 0, None))"
    assert closed_box.says(program) == "-1"


def test_it_does_not_trace_what_keeps_it(closed_box):
    if closed_box.isolation.kind == "bubblewrap":
        pytest.skip("it may trace bubblewrap's own first process, which has no more power than itself")
    program = "import ctypes; print(ctypes.CDLL(None).ptrace(16, 1, 0, 0))"
    assert closed_box.says(program) == "-1"


# --- writing


def test_nothing_outside_is_written(closed_box, tmp_path):
    (closed_box.folder / "overlay").mkdir()
    outside = tmp_path / "outside"
    outside.write_text("as it was")
    library = Path(os.__file__).parent
    inside = [closed_box.folder / "overlay" / "x", closed_box.folder / "x", library / "x", library.parent / "x"]
    places = [*inside, "/usr/x", "/etc/x", "/etc/passwd", "/x", "/dev/x", "/var/x", "/sys/x", "/root/x"]
    program = (
        "import sys\n"
        "for place in sys.argv[2:]:\n"
        "    try: open(place, 'w').write('0'); print('wrote', place)\n"
        "    except OSError: pass\n"
        # that folder is the box's own and lies in memory
        "try: open(sys.argv[1], 'w').write('0')\n"
        "except OSError: pass\n"
    )
    assert closed_box.says(program, outside, *places) == ""
    assert outside.read_text() == "as it was"


# what only its owner may read makes a program of root's run as root
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_the_kernels_settings_cannot_be_opened_for_writing(closed_box, mode):
    # opened, never written: where the box has a hole, the test must not change the machine
    program = (
        "import os, stat\n"
        "def look(path):\n"
        "    try:\n"
        "        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)\n"
        # what is covered by /dev/null may be opened
        "        if not stat.S_ISCHR(os.fstat(fd).st_mode): print(path)\n"
        "        os.close(fd)\n"
        "    except OSError: pass\n"
        "for name in os.listdir('/proc'):\n"
        "    if os.path.isfile(f'/proc/{name}'): look(f'/proc/{name}')\n"
        "    if os.path.islink(f'/proc/{name}') or name.isdigit(): continue\n"
        "    for folder, _, files in os.walk(f'/proc/{name}'):\n"
        "        for file in files: look(f'{folder}/{file}')\n"
        "for folder, _, files in os.walk('/sys'):\n"
        "    for file in files: look(f'{folder}/{file}')\n"
    )
    closed_box.folder.chmod(mode)
    assert closed_box.says(program) == ""


@pytest.mark.parametrize("act", ["os.chmod(path, 0o777)", "os.utime(path)", "os.remove(path)", "open(path, 'a')"])
def test_what_is_readable_is_not_changed(closed_box, act):
    program = f"import os, sys\npath = sys.argv[1]\ntry: {act}\nexcept OSError as error: print(error.errno)"
    # the file system is read-only, and before that, the file somebody else's
    assert closed_box.says(program, os.__file__) in ("30", "13")


def test_links_lead_nowhere(closed_box, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("as it was")
    program = (
        "import os, sys\n"
        "os.symlink(sys.argv[1], 'soft')\n"
        "acts = [lambda: os.listdir('soft'), lambda: open('soft/kept', 'w'),\n"
        "        lambda: os.link(sys.argv[1] + '/kept', 'hard'), lambda: os.link(sys.argv[2], 'hard')]\n"
        "for act in acts:\n"
        "    try: act(); print('done')\n"
        "    except OSError: pass\n"
    )
    assert closed_box.says(program, outside, os.__file__) == ""
    # what is left behind is removed without what it points at
    remove_tree(closed_box.work)
    assert (outside / "kept").read_text() == "as it was"
    closed_box.work.mkdir()


# --- network


def test_the_network_is_not_there(closed_box):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        program = (
            "import socket, sys\n"
            "for address in (('127.0.0.1', int(sys.argv[1])), ('1.1.1.1', 53), ('192.0.2.1', 80)):\n"
            "    try: socket.create_connection(address, 3); print('connected', address)\n"
            "    except OSError as error: print(type(error).__name__)\n"
            "try: socket.getaddrinfo('example.org', 80); print('found')\n"
            "except OSError: pass\n"
            "socket.socket(socket.AF_UNIX).bind('\\0mark')\n"
        )
        said = closed_box.says(program, server.getsockname()[1])
        with pytest.raises(TimeoutError):
            server.accept()
    assert said.splitlines() == ["ConnectionRefusedError", "OSError", "OSError"]


def test_abstract_sockets_of_the_machine_are_not_reached(closed_box):
    name = f"\0assay-{uuid.uuid4().hex}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        program = (
            "import socket, sys\ntry: socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1]); print('connected')\n"
            "except OSError: pass"
        )
        assert closed_box.says(program, name[1:]) == ""


# --- processes


def test_signals_reach_nobody_else(closed_box):
    program = (
        "import os, sys\n"
        "for pid in (os.getppid(), 1, int(sys.argv[1])):\n"
        "    try: os.kill(pid, 9)\n"
        "    except OSError: pass\n"
        "print('still here')\n"
    )
    assert closed_box.says(program, os.getpid()) == "still here"


# 400 in all, by a counter that all share, and each ends by itself: harmless where no box holds it
BOMB = """
import mmap, os, signal, struct, time
shared = mmap.mmap(-1, 4)
signal.alarm(12)
def taken():
    with lock: count, = struct.unpack('i', shared[:4]); shared[:4] = struct.pack('i', count + 1); return count
class Lock:
    def __enter__(self): fcntl.lockf(file, fcntl.LOCK_EX)
    def __exit__(self, *_): fcntl.lockf(file, fcntl.LOCK_UN)
import fcntl
file, lock = open('lock', 'w'), Lock()
end = time.monotonic() + 10
while time.monotonic() < end and taken() < 400:
    try:
        if os.fork() == 0: signal.alarm(12)
    except OSError: time.sleep(0.01)
time.sleep(max(0, end - time.monotonic()))
"""


def test_forks_without_end_are_ended(box):
    mark = uuid.uuid4().hex
    begin = time.monotonic()
    ended = box.run(BOMB, mark, processes=64)
    assert ended.broke == "processes"
    assert time.monotonic() - begin < 8
    assert none_marked(mark)


def test_the_kernel_itself_bounds_forks(closed_box):
    if not closed_box.counts:
        pytest.skip("the kernel counts no processes of root")
    # eight times as many tasks as processes, and less what is there already
    program = (
        "import os, signal, time\nmade = 0\n"
        "try:\n"
        "    for made in range(40):\n"
        "        if os.fork() == 0: signal.alarm(10); time.sleep(5); os._exit(0)\n"
        "except OSError as error: os.write(1, f'{error.errno} {made}'.encode())\n"
    )
    ended = closed_box.run(program, processes=2)
    assert ended.broke in ("processes", "")
    assert closed_box.said == "" or 10 < int(closed_box.said.split()[1]) < 16


def test_threads_without_end_are_ended(box):
    program = (
        "import threading, time\n"
        "threading.stack_size(65536)\n"
        "for _ in range(400):\n"
        "  try: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
        "  except RuntimeError: time.sleep(0.01)\n"
        "time.sleep(9)\n"
    )
    # ended by their number, or, where the kernel counts, told not to
    assert box.run(program, processes=4, seconds=2).broke in ("processes", "time")


def test_who_ignores_signals_is_ended(box):
    mark = uuid.uuid4().hex
    program = (
        "import signal, time\n"
        "for number in range(1, 32):\n"
        "    if number not in (9, 19): signal.signal(number, signal.SIG_IGN)\n"
        "print('ready', flush=True)\n"
        "time.sleep(15)\n"
    )
    ended = box.run(program, mark, seconds=1)
    assert (ended.broke, box.said) == ("time", "ready\n")
    assert ended.seconds < 8
    assert none_marked(mark)


@pytest.mark.parametrize("last", ["", "time.sleep(15)"])
def test_who_stays_behind_is_ended(box, last):
    mark = uuid.uuid4().hex
    program = (
        "import os, sys, time\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork(): os._exit(0)\n"
        "        os.closerange(0, 3)\n"
        "        time.sleep(15); os._exit(0)\n"
        "time.sleep(0.2)\n" + last
    )
    ended = box.run(program, mark, seconds=2)
    assert ended.broke == ("time" if last else "")
    assert none_marked(mark, 0)


# --- memory, disk, output


def test_memory_without_end_is_ended(box):
    ended = box.run(
        "import time\nblocks = [bytearray(b'x') * 10_000_000 for _ in range(60)]\ntime.sleep(9)", memory=200 * MEGABYTE
    )
    assert ended.broke == "memory"
    assert 200 * MEGABYTE < ended.peak_memory < 2000 * MEGABYTE


def test_memory_of_all_processes_counts(box):
    program = (
        "import os, time\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0: break\n"
        "block = bytearray(b'x') * 60_000_000\n"
        "time.sleep(9)\n"
    )
    assert box.run(program, memory=200 * MEGABYTE).broke == "memory"


def test_memory_that_no_process_maps_counts(closed_box):
    program = (
        "import os, time\nfd = os.memfd_create('x')\nfor _ in range(400): os.write(fd, b'x' * 1_000_000)\ntime.sleep(9)"
    )
    assert closed_box.run(program, memory=200 * MEGABYTE).broke == "memory"


def test_shared_memory_is_bounded(closed_box):
    program = (
        "import time\n"
        "with open('/dev/shm/x', 'wb') as file:\n"
        "    try:\n"
        "        for _ in range(300): file.write(b'x' * 1_000_000)\n"
        "    except OSError as error: print(error.errno, flush=True)\n"
        "time.sleep(0.2)\n"
    )
    ended = closed_box.run(program, memory=400 * MEGABYTE)
    assert closed_box.said.strip() == "28"
    assert ended.peak_memory > 150 * MEGABYTE


def test_a_big_file_is_refused(box):
    program = (
        "try:\n"
        "    with open('big', 'wb') as file:\n"
        "        for _ in range(100): file.write(b'x' * 1_000_000)\n"
        "except OSError as error: print(error.errno)\n"
    )
    assert box.says(program, file_size=20 * MEGABYTE) == "27"
    assert (box.work / "big").stat().st_size == 20 * MEGABYTE


def test_many_big_files_are_ended(box):
    program = (
        "import time\nfor n in range(500): open(f'{n}', 'wb').write(b'x' * 400_000); time.sleep(0.005)\ntime.sleep(9)"
    )
    assert box.run(program, disk=50 * MEGABYTE).broke == "disk"


def test_a_file_without_a_name_counts(box):
    program = (
        "import os, time\nfile = open('x', 'wb')\nos.unlink('x')\n"
        "for _ in range(100): file.write(b'x' * 1_000_000)\nfile.flush()\ntime.sleep(9)"
    )
    assert box.run(program, disk=50 * MEGABYTE).broke == "disk"


def test_a_sparse_file_takes_nothing(box):
    program = "import time\nopen('x', 'wb').truncate(1_000_000_000)\ntime.sleep(0.6)"
    assert box.run(program, disk=50 * MEGABYTE).broke == ""


def test_many_files_are_ended(box):
    program = "import os, time\nfor n in range(4000): os.close(os.open(f'{n}', os.O_CREAT))\ntime.sleep(9)"
    assert box.run(program, files=1500).broke == "disk"


def test_many_files_in_memory_are_ended(closed_box):
    program = "import os, time\nfor n in range(4000): os.close(os.open(f'/dev/shm/{n}', os.O_CREAT))\ntime.sleep(9)"
    assert closed_box.run(program, files=1500).broke == "disk"


@pytest.mark.parametrize("stream", [1, 2])
def test_output_without_end_is_cut_and_ended(box, stream):
    program = f"import os, time\nfor _ in range(2000): os.write({stream}, b'x' * 100_000)\ntime.sleep(9)"
    ended = box.run(program, output=3 * MEGABYTE)
    assert ended.broke == "output"
    assert [len(box.said), len(box.complaints)][stream - 1] == 3 * MEGABYTE


def test_thousands_of_open_files_are_refused(box):
    program = (
        "files = []\n"
        "try:\n    for _ in range(2000): files.append(open('/dev/null'))\n"
        "except OSError as error: print(error.errno)\n"
    )
    assert box.says(program, open_files=300) == "24"


def test_deep_folders_are_ended_and_removed(box):
    # the path of the innermost is longer than the kernel takes
    program = (
        "import os, time\nname = 'deep' * 20\n"
        "for n in range(200): os.mkdir(name); os.chdir(name)\n"
        "open('x', 'w')\ntime.sleep(9)"
    )
    assert box.run(program).broke == "disk"
    remove_tree(box.work)
    assert not box.work.exists()
    box.work.mkdir()


# --- what it leaves behind


def test_modes_do_not_keep_a_folder(tmp_path):
    folder = tmp_path / "folder"
    (folder / "a" / "b" / "c").mkdir(parents=True)
    (folder / "a" / "b" / "file").write_text("")
    (folder / ".removed-1" / "x").mkdir(parents=True)
    (folder / ".removed-2").write_text("")
    for path in (folder / "a" / "b" / "c", folder / "a" / "b", folder / "a"):
        path.chmod(0)
    remove_tree(folder)
    assert not folder.exists()
    remove_tree(folder)


def test_a_link_is_not_removed_through(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(OSError):
        remove_tree(tmp_path / "link")
    assert (tmp_path / "real").is_dir()


def test_what_is_left_is_read(tmp_path):
    (tmp_path / "within").mkdir()
    (tmp_path / "within" / "file").write_bytes(b"0123456789")
    assert read_left(tmp_path, "within/file", 4) == b"0123"
    assert read_left(tmp_path, "within/file", 4, end=True) == b"6789"
    assert read_left(tmp_path, "within/file", 40, end=True) == b"0123456789"


@pytest.mark.parametrize("path", ["link", "way/secret", "pipe", "within", "gone", "../secret", "/etc/passwd"])
def test_no_trap_is_read(tmp_path, path):
    (tmp_path / "secret").write_text("a secret")
    left = tmp_path / "left"
    (left / "within").mkdir(parents=True)
    (left / "link").symlink_to(tmp_path / "secret")
    (left / "way").symlink_to(tmp_path)
    os.mkfifo(left / "pipe")
    with pytest.raises(OSError):
        read_left(left, path, 100)
