"""A launched module is a real process: what it prints arrives whole, and its end, its parent's and signals count."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import io
import json
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pytest

from assay.runtime.errors import ExperimentError
from assay.runtime.launching import _BOUND_TO_PARENT, ChildExit, _copy, _Signals, _write_all, launch

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes, signals and pipes of POSIX")
# no test waits for it: what would wait for ever fails then
GUARD = 60

MAIN = """
import json, sys
from assay.runtime.errors import ExperimentError
from assay.runtime.launching import launch

try:
    ended = launch("src.train", sys.argv[2:], folder=sys.argv[1] or None)
except ExperimentError as fault:
    sys.exit(f"{fault.status}: {fault}")
print("main goes on", ended.code, flush=True)
"""


class Submission:
    """A folder with a package `src`, whose `main` launches `train`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "src").mkdir(parents=True)
        self.module("main", MAIN)

    def module(self, name: str, text: str) -> None:
        path = self.root / "src" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def train(self, text: str) -> None:
        self.module("train", text)

    def start(
        self, *words: str, folder: Path | str = "", before: str = "exec", **options: Any
    ) -> subprocess.Popen[bytes]:
        command = ["sh", "-c", f'{before} "$@"', "sh", sys.executable, "-u", "-m", "src.main", str(folder), *words]
        options.setdefault("cwd", self.root)
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process: subprocess.Popen[bytes] = subprocess.Popen(command, start_new_session=True, **pipes, **options)
        return process


@pytest.fixture
def submission(tmp_path):
    return Submission(tmp_path / "a submission")


@pytest.fixture
def logs(tmp_path):
    return tmp_path / "results" / "run-1"


@pytest.fixture
def started():
    """Processes that are ended after the test, whatever it came to."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def read_line(stream: IO[bytes] | None) -> str:
    assert stream is not None
    assert select.select([stream], [], [], GUARD)[0], "nothing came"
    return stream.readline().decode()


def wait_for_end(pid_file_descriptor: int) -> bool:
    return bool(select.select([pid_file_descriptor], [], [], GUARD)[0])


def test_both_streams_arrive_whole_and_in_order(submission, logs, capfdbinary):
    submission.train(
        "import hashlib, random, sys, threading\n"
        "def pour(stream, seed):\n"
        "    data = random.Random(seed).randbytes(10_000_000)\n"
        "    for start in range(0, len(data), 77_777):\n"
        "        stream.buffer.write(data[start : start + 77_777])\n"
        "    stream.flush()\n"
        "threads = [threading.Thread(target=pour, args=pair) for pair in ((sys.stdout, 1), (sys.stderr, 2))]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
    )
    ended = launch("src.train", folder=logs, directory=submission.root)
    shown = capfdbinary.readouterr()
    assert ended.ok
    for seed, name, own in ((1, "stdout.log", shown.out), (2, "stderr.log", shown.err)):
        expected = hashlib.sha256(random.Random(seed).randbytes(10_000_000)).hexdigest()
        assert hashlib.sha256((logs / name).read_bytes()).hexdigest() == expected
        assert hashlib.sha256(own).hexdigest() == expected


def test_one_stream_may_be_poured_out_before_the_other_begins(submission, logs, capfdbinary):
    submission.train("import sys\nsys.stderr.write('e' * 3_000_000)\nprint('o' * 3_000_000)\nsys.stderr.write('end')\n")
    launch("src.train", folder=logs, directory=submission.root)
    assert capfdbinary.readouterr() == (b"o" * 3_000_000 + b"\n", b"e" * 3_000_000 + b"end")


def test_invalid_characters_and_missing_line_ends_pass(submission, logs, capfdbinary):
    submission.train("import sys\nsys.stdout.buffer.write(b'\\xff\\x00\\xc3(\\r\\n\\x1b[1m')\n")
    launch("src.train", folder=logs, directory=submission.root)
    assert capfdbinary.readouterr().out == b"\xff\x00\xc3(\r\n\x1b[1m"
    assert (logs / "stdout.log").read_bytes() == b"\xff\x00\xc3(\r\n\x1b[1m"


def test_a_progress_bar_is_seen_before_its_line_ends(submission, logs, tmp_path, started):
    os.mkfifo(tmp_path / "go")
    submission.train("import sys\nsys.stdout.write('50%\\r')\nopen(sys.argv[1]).read()\nprint('100%')\n")
    process = submission.start(str(tmp_path / "go"), folder=logs)
    started.append(process)
    assert select.select([process.stdout], [], [], GUARD)[0], "nothing came"
    assert os.read(process.stdout.fileno(), 100) == b"50%\r"
    assert (logs / "stdout.log").read_bytes() == b"50%\r"
    (tmp_path / "go").write_text("go")
    assert process.communicate(timeout=GUARD)[0] == b"100%\nmain goes on 0\n"


def test_words_arrive_as_they_are(submission, capfd):
    words = ["run=a b", "runs=[\"a\",'b']", "x={a: 1}", "", "--flag=$HOME", "back\\slash", "new\nline", "é", "*", "-u"]
    submission.train("import json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    launch("src.train", words, directory=submission.root)
    assert json.loads(capfd.readouterr().out) == words


def test_bytes_that_are_no_characters_arrive_as_they_are(submission, capfd):
    submission.train("import os, sys\nprint(os.fsencode(sys.argv[1]).hex())\n")
    launch("src.train", [os.fsdecode(b"caf\xe9")], directory=submission.root)
    assert capfd.readouterr().out == "636166e9\n"


def test_the_child_is_the_program_that_was_asked_for(submission, capfd):
    submission.train(
        "import os, pathlib, sys\n"
        "print(sys.orig_argv[1:], sys.stdin.read() == '', sys.stdout.line_buffering or sys.stdout.write_through)\n"
        "print(os.getcwd() == os.path.realpath(sys.path[0]), __package__, os.getpgid(0) == os.getpid())\n"
    )
    launch("src.train", ["a=1"], directory=submission.root)
    expected = "['-u', '-m', 'src.train', 'a=1'] True True\nTrue src True\n"
    assert capfd.readouterr().out == expected


def test_variables_are_added_to_those_of_this_program(submission, capfd, monkeypatch):
    monkeypatch.setenv("KEPT", "kept")
    monkeypatch.setenv("CHANGED", "old")
    submission.train("import os\nprint(os.environ['KEPT'], os.environ['CHANGED'], os.environ['ADDED'])\n")
    launch("src.train", directory=submission.root, environment={"CHANGED": "new", "ADDED": "more"})
    assert capfd.readouterr().out == "kept new more\n"
    assert os.environ["CHANGED"] == "old"


def test_a_child_that_ends_well_is_reported(submission, capfd):
    submission.train("pass\n")
    times = iter([10.0])
    ended = launch("src.train", directory=submission.root, clock=lambda: next(times, 14.0))
    assert ended == ChildExit("src.train", 0, None, 4.0)
    assert ended.ok
    assert str(ended) == "src.train ended with exit code 0 after 4.0 s"


def test_an_exit_code_becomes_that_of_the_fault(submission, logs, capfd):
    submission.train("import sys\nsys.exit(7)\n")
    with pytest.raises(
        ExperimentError, match=r"^src\.train ended with exit code 7 after .* s; see .*/stderr\.log$"
    ) as caught:
        launch("src.train", folder=logs, directory=submission.root)
    assert caught.value.status == 7
    assert str(logs / "stderr.log") in str(caught.value)


def test_an_exit_code_can_be_looked_at(submission, capfd):
    submission.train("import sys\nsys.exit(7)\n")
    ended = launch("src.train", directory=submission.root, check=False)
    assert (ended.code, ended.signal, ended.ok) == (7, None, False)


def test_a_killed_child_is_reported_with_the_usual_reason(submission, logs, capfd):
    submission.train("import os, signal\nprint('before')\nos.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(
        ExperimentError, match=r"ended by signal 9 \(SIGKILL: often the kernel, out of memory\)"
    ) as caught:
        launch("src.train", folder=logs, directory=submission.root)
    assert caught.value.status == 137
    assert (logs / "stdout.log").read_text() == "before\n"


def test_a_signal_without_a_name_is_reported():
    assert "signal 47 (without a name)" in str(ChildExit("src.train", 128 + 47, 47, 1.0))


def test_logs_of_earlier_attempts_are_kept(submission, logs, capfd):
    def now():
        return datetime(2026, 3, 1, 12, tzinfo=UTC)

    submission.train("import sys\nprint(sys.argv[1], end='')\n")
    for word in ("first", "second\n", "third"):
        launch("src.train", [word], folder=logs, directory=submission.root, now=now)
    line = "--- started again 2026-03-01T12:00:00+00:00 ---\n"
    assert (logs / "stdout.log").read_text() == f"first\n{line}second\n{line}third"
    assert (logs / "stderr.log").read_text() == ""


def test_no_log_is_written_without_a_folder(submission, capfd, tmp_path):
    submission.train("print('shown')\n")
    launch("src.train", directory=submission.root)
    assert capfd.readouterr().out == "shown\n"
    assert list(tmp_path.rglob("*.log")) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_full_disk_ends_neither_the_child_nor_what_is_shown(submission, logs, capfd):
    logs.mkdir(parents=True)
    (logs / "stdout.log").symlink_to("/dev/full")
    submission.train("import sys\nfor number in range(3):\n    print(number)\nprint('error', file=sys.stderr)\n")
    ended = launch("src.train", folder=logs, directory=submission.root)
    shown = capfd.readouterr()
    assert ended.ok
    assert shown.out == "0\n1\n2\n"
    assert [line for line in shown.err.splitlines() if line.startswith("assay:")] == [
        f"assay: logs in {logs} are incomplete: No space left on device; the output goes on here"
    ]
    assert (logs / "stderr.log").read_text() == "error\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_what_is_said_of_a_full_disk_is_a_line_of_its_own(submission, logs, tmp_path, started):
    logs.mkdir(parents=True)
    (logs / "stdout.log").symlink_to("/dev/full")
    os.mkfifo(tmp_path / "go")
    submission.train("import sys\nsys.stderr.write('half a line')\nopen(sys.argv[1]).read()\nprint('out')\n")
    process = submission.start(str(tmp_path / "go"), folder=logs)
    started.append(process)
    assert select.select([process.stderr], [], [], GUARD)[0], "nothing came"
    assert os.read(process.stderr.fileno(), 100) == b"half a line"
    (tmp_path / "go").write_text("go")
    err = process.communicate(timeout=GUARD)[1].decode()
    assert err.startswith(f"\nassay: logs in {logs} are incomplete: ")
    assert err.count("\n") == 2


def test_a_folder_that_cannot_be_is_said_before_the_start(submission, tmp_path, capfd):
    (tmp_path / "file").write_text("")
    submission.train("print('started')\n")
    with pytest.raises(ExperimentError, match=r"the log .*stdout\.log cannot be written"):
        launch("src.train", folder=tmp_path / "file", directory=submission.root)
    assert capfd.readouterr().out == ""


def test_a_reader_that_goes_away_ends_neither_the_child_nor_its_logs(submission, logs, tmp_path, started):
    os.mkfifo(tmp_path / "go")
    submission.train("import sys\nprint('ready')\nopen(sys.argv[1]).read()\nprint('x' * 1_000_000)\n")
    # without -u, as `python -m src.main` may be started: what stayed in a buffer would fail at the exit
    buffered = "import sys\nsys.stdout = open(1, 'w', closefd=False)\n"
    submission.module("main", buffered + MAIN.replace("print(", "0 and print("))
    process = submission.start(str(tmp_path / "go"), folder=logs)
    started.append(process)
    assert read_line(process.stdout) == "ready\n"
    process.stdout.close()
    (tmp_path / "go").write_text("go")
    assert process.stderr.read() == b""
    assert process.wait(GUARD) == 0
    assert (logs / "stdout.log").read_text() == "ready\n" + "x" * 1_000_000 + "\n"


def test_streams_that_are_closed_from_the_start_are_no_trouble(submission, logs, started):
    submission.train("import sys\nprint('out')\nprint('err', file=sys.stderr)\n")
    process = submission.start(folder=logs, before="exec >&- 2>&-; exec")
    started.append(process)
    assert process.wait(GUARD) == 0
    assert ((logs / "stdout.log").read_text(), (logs / "stderr.log").read_text()) == ("out\n", "err\n")


def test_streams_that_only_take_text_are_served(submission):
    submission.train("print('é' * 100_000)\n")
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        launch("src.train", directory=submission.root)
    assert shown.getvalue() == "é" * 100_000 + "\n"


def test_what_was_printed_before_comes_before(submission, started):
    submission.train("print('child')\n")
    buffered = "import sys\nsys.stdout = open(1, 'w', closefd=False)\n"
    submission.module("main", f"{buffered}print('main', end=' ')\n{MAIN}")
    process = submission.start()
    started.append(process)
    assert process.communicate(timeout=GUARD)[0] == b"main child\nmain goes on 0\n"


LEFT_BEHIND = """
import subprocess, sys
left = subprocess.Popen([sys.executable, "-c", {code!r}], start_new_session=True)
print(left.pid, "x" * 30_000)
"""


@pytest.mark.parametrize(
    "code",
    ["import signal; signal.pause()", "while True: print('y' * 1000, flush=True)"],
    ids=["silent", "chattering"],
)
def test_a_process_that_the_child_leaves_behind_holds_nobody_up(submission, logs, capfd, code):
    submission.train(LEFT_BEHIND.format(code=code))
    assert launch("src.train", folder=logs, directory=submission.root, patience=0.0).ok
    shown = capfd.readouterr()
    text = (logs / "stdout.log").read_text()
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(text.replace("y" * 1000 + "\n", "").split()[0]), signal.SIGKILL)
    assert "x" * 30_000 in text
    assert "x" * 30_000 in shown.out
    assert shown.err == "assay: a process that the child left behind still holds its output; it is no longer read\n"


class Chattering:
    """A sink whose every write puts more into the pipe that it is copied from."""

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self.data = b""
        self.writes = 0

    def write(self, data: bytes) -> None:
        self.data += data
        self.writes += 1
        assert self.writes < 10, "it does not come to an end"
        os.write(self.pipe, b"more")


def test_what_the_child_itself_wrote_is_kept_without_patience():
    source, held = os.pipe()
    ended, tell = os.pipe()
    if sys.platform.startswith("linux"):
        fcntl.fcntl(held, fcntl.F_SETPIPE_SZ, 1 << 20)  # more than is read at once
    size = 300_000 if sys.platform.startswith("linux") else 30_000
    os.write(held, b"x" * size)
    os.close(tell)
    sink = Chattering(held)
    assert _copy(source, ended, [sink], 0.0, time.monotonic)  # type: ignore[list-item]
    assert sink.data.startswith(b"x" * size)
    for descriptor in (source, held, ended):
        os.close(descriptor)


def test_a_stream_that_does_not_block_gets_everything(submission, started):
    submission.train("print('x' * 2_000_000)\n")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    command = [sys.executable, "-m", "src.main", ""]
    process = subprocess.Popen(command, cwd=submission.root, stdout=writing, stderr=subprocess.PIPE)
    started.append(process)
    os.close(writing)
    with open(reading, "rb") as stream:  # noqa: PTH123
        assert stream.read() == b"x" * 2_000_000 + b"\nmain goes on 0\n"


def test_a_write_that_is_taken_in_part_goes_on():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with open(reading, "rb") as stream:  # noqa: PTH123
        received: list[bytes] = []
        reader = threading.Thread(target=lambda: received.append(stream.read()))
        reader.start()
        _write_all(writing, b"x" * 1_000_000)
        os.close(writing)
        reader.join(GUARD)
    assert received == [b"x" * 1_000_000]


def test_what_a_process_left_behind_writes_soon_is_kept(submission, logs, capfd, tmp_path):
    os.mkfifo(tmp_path / "gone")
    submission.train(
        "import os, subprocess, sys\n"
        # ends only after its parent has: a pipe of which the parent holds the other end
        "read, write = os.pipe()\n"
        "code = f'import os; os.close({write}); os.read({read}, 1); print(\"late\")'\n"
        "subprocess.Popen([sys.executable, '-c', code], pass_fds=(read, write))\n"
    )
    launch("src.train", folder=logs, directory=submission.root, patience=GUARD)
    assert (logs / "stdout.log").read_text() == "late\n"
    assert capfd.readouterr() == ("late\n", "")


WAITING = """
import os, signal, sys
def asked(number, frame):
    print("asked", signal.Signals(number).name)
    sys.exit({code})
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, asked)
print("ready", os.getpid())
while True:
    signal.pause()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_passed_on_and_the_end_waited_for(submission, logs, started, name):
    submission.train(WAITING.format(code=5))
    process = submission.start(folder=logs)
    started.append(process)
    assert read_line(process.stdout).startswith("ready")
    # to the whole group of main, as a terminal does: it reaches the child once, by way of main
    os.killpg(process.pid, signal.Signals[name])
    out, err = process.communicate(timeout=GUARD)
    assert out.decode() == f"asked {name}\n"
    assert process.returncode == 1
    assert err.decode().startswith("5: src.train ended with exit code 5 after")
    assert f"after {name} was passed on to it; see {logs}/stderr.log" in err.decode()


def test_a_child_that_ends_well_when_asked_did_not_finish(submission, started):
    submission.train(WAITING.format(code=0))
    process = submission.start()
    started.append(process)
    read_line(process.stdout)
    process.terminate()
    out, err = process.communicate(timeout=GUARD)
    assert b"main goes on" not in out
    assert err.decode().startswith("143: src.train ended with exit code 0 after")


def test_a_child_that_minds_no_signal_ends_by_it(submission, started):
    submission.train("import signal\nprint('ready')\nsignal.pause()\n")
    process = submission.start()
    started.append(process)
    read_line(process.stdout)
    process.terminate()
    err = process.communicate(timeout=GUARD)[1].decode()
    assert err.startswith("143: src.train was ended by signal 15 (SIGTERM: asked to end")


def test_an_interrupt_reaches_the_children_of_the_child_as_in_a_terminal(submission, started):
    # the signal may come while `up` is still being printed, where nothing else can be, or before the pause
    helper = (
        "import os, signal; signal.signal(2, lambda *_: (os.write(1, b'helper asked\\n'), os._exit(0))); "
        "print('up', flush=True); signal.pause()"
    )
    submission.train(
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\n"
        f"subprocess.run([sys.executable, '-c', {helper!r}])\n"
    )
    process = submission.start()
    started.append(process)
    assert read_line(process.stdout) == "up\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=GUARD)[0] == b"helper asked\n"


def test_a_signal_that_comes_before_the_child_is_passed_on_once_it_is_there():
    with _Signals() as signals:
        os.kill(os.getpid(), signal.SIGTERM)
        with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as child:
            signals.reach(child)
            assert child.wait(GUARD) == -signal.SIGTERM


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends the children of a killed parent")
def test_a_child_whose_parent_died_at_once_does_not_start():
    not_the_parent = str(os.getppid())
    command = [sys.executable, "-I", "-S", "-c", _BOUND_TO_PARENT, not_the_parent, "/bin/echo", "started"]
    done = subprocess.run(command, capture_output=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_a_second_signal_kills(submission, started):
    submission.train(WAITING.format(code=0).replace("sys.exit(0)", "pass"))
    process = submission.start()
    started.append(process)
    read_line(process.stdout)
    process.terminate()
    assert read_line(process.stdout) == "asked SIGTERM\n"
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=GUARD)[1].decode()
    assert err.startswith("137: src.train was ended by signal 9")


def test_signals_that_main_ignores_stay_ignored(submission, tmp_path, started):
    os.mkfifo(tmp_path / "go")
    submission.train("import sys\nprint('ready')\nopen(sys.argv[1]).read()\n")
    process = submission.start(str(tmp_path / "go"), before='trap "" INT HUP; exec')
    started.append(process)
    read_line(process.stdout)
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGHUP)
    (tmp_path / "go").write_text("go")
    assert process.communicate(timeout=GUARD) == (b"main goes on 0\n", b"")


def test_handlers_are_as_before_afterwards(submission, capfd):
    submission.train("pass\n")
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    launch("src.train", directory=submission.root)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_launch_from_another_thread_works_without_signals(submission, capfd):
    submission.train("print('from a thread')\n")
    ends: list[ChildExit] = []
    thread = threading.Thread(target=lambda: ends.append(launch("src.train", directory=submission.root)))
    thread.start()
    thread.join(GUARD)
    assert [end.code for end in ends] == [0]
    assert capfd.readouterr().out == "from a thread\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends the children of a killed parent")
def test_no_child_outlives_a_main_that_was_killed(submission, started):
    submission.train("import os, signal\nprint(os.getpid())\nsignal.pause()\n")
    process = submission.start()
    started.append(process)
    child = os.pidfd_open(int(read_line(process.stdout)))
    process.kill()
    assert wait_for_end(child)
    os.close(child)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends the children of a killed parent")
def test_an_error_while_waiting_leaves_no_child(submission, started):
    submission.train("import os, signal\nprint(os.getppid(), os.getpid())\nsignal.pause()\n")
    alarm = "import signal\ndef late(*_):\n    raise TimeoutError('late')\nsignal.signal(signal.SIGALRM, late)\n"
    caught = "except TimeoutError:\n    import os\n    print('left', os.waitpid(-1, os.WNOHANG))\n"
    submission.module("main", MAIN.replace("try:", f"{alarm}try:", 1).replace("except", f"{caught}except", 1))
    process = submission.start()
    started.append(process)
    parent, pid = map(int, read_line(process.stdout).split())
    child = os.pidfd_open(pid)
    os.kill(parent, signal.SIGALRM)
    # main asks for its children, after the error, and has none
    assert b"ChildProcessError" in process.communicate(timeout=GUARD)[1]
    assert wait_for_end(child)
    os.close(child)


def test_main_finds_the_submission_from_elsewhere(submission, tmp_path, started):
    submission.train("import os\nprint(os.getcwd())\n")
    variables = {**os.environ, "PYTHONPATH": str(submission.root)}
    process = submission.start(cwd=tmp_path, env=variables)
    started.append(process)
    assert process.communicate(timeout=GUARD)[0].decode().splitlines()[0] == str(submission.root.resolve())


def test_main_started_as_a_file_finds_the_submission(submission, tmp_path, started):
    submission.train("import os\nprint(os.getcwd())\n")
    command = [sys.executable, str(submission.root / "src" / "main.py"), ""]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    started.append(process)
    assert process.communicate(timeout=GUARD)[0].decode().splitlines()[0] == str(submission.root.resolve())


def test_a_package_with_a_main_can_be_started(submission, capfd):
    submission.module("tool/__main__", "print('tool')\n")
    launch("src.tool", directory=submission.root)
    assert capfd.readouterr().out == "tool\n"


def test_an_installed_module_can_be_started(capfd):
    launch("json.tool", ["--help"])
    assert "usage" in capfd.readouterr().out


def test_a_word_that_no_process_can_get_is_said(submission, capfd):
    submission.train("pass\n")
    with pytest.raises(ExperimentError, match=r"src\.train cannot be started in .*: embedded null byte"):
        launch("src.train", ["a\0b"], directory=submission.root)


@pytest.mark.parametrize("module", ["src.nothing", "nowhere.train", "src.package", "src.train.deeper"])
def test_a_module_that_is_missing_is_named(submission, module, logs):
    submission.train("pass\n")
    submission.module("package/__init__", "")
    with pytest.raises(ExperimentError, match=f"there is no module {module} in {submission.root}") as caught:
        launch(module, folder=logs, directory=submission.root)
    assert caught.value.status == 2
    assert not logs.exists()


def test_a_missing_module_does_not_import_its_package(submission):
    submission.module("__init__", "raise RuntimeError('imported')\n")
    with pytest.raises(ExperimentError, match="no module"):
        launch("src.nothing", directory=submission.root)


@pytest.mark.parametrize("name", ["with space", "quote'", "braces{}", "é", "$HOME", "-x"])
def test_a_submission_may_lie_anywhere(tmp_path, name, capfd):
    submission = Submission(tmp_path / name)
    submission.train("import os\nprint(os.path.basename(os.getcwd()))\n")
    launch("src.train", directory=submission.root, folder=tmp_path / name / "logs")
    assert capfd.readouterr().out == f"{name}\n"
    assert (tmp_path / name / "logs" / "stdout.log").read_text() == f"{name}\n"
