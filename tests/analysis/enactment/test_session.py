"""A session answers once, says plainly why it cannot, and leaves nothing behind."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assay.analysis.enactment import session as module
from assay.analysis.enactment.session import Session, compile_once, sandbox_works

ASK: dict[str, object] = {"config_dir": "config", "config_name": "config", "version_base": None}
REQUEST: dict[str, object] = {
    "files": {"config/config.yaml": "mode: full\nrun: null\na: ${nobody}\n", "src/main.py": "print('never run')\n"},
    "compositions": [{**ASK, "overrides": ["run=a"]}, {**ASK, "overrides": ["walk=a"]}],
}


def inside(session):
    """The child's number and its folder."""
    assert session._process is not None
    assert session._folder is not None
    return session._process.pid, Path(session._folder)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("sandbox", [False, True])
def test_it_answers(sandbox):
    if sandbox and not sandbox_works():
        pytest.skip("bubblewrap does not work here")
    session = Session(sandbox=sandbox)
    session.send(REQUEST)
    _, folder = inside(session)
    answer = session.answer(30)
    assert session.answer(30) is answer
    first, second = answer["compositions"]
    assert first["keys"] == ["mode", "run", "a"]
    assert first["broken"] == [["a", "missing-key", "`nobody` is not there"]]
    assert second["refusal"]["kind"] == "unknown-override"
    assert not folder.exists()


def test_the_sandbox_shows_neither_the_callers_files_nor_the_network(tmp_path, monkeypatch):
    if not sandbox_works():
        pytest.skip("bubblewrap does not work here")
    (tmp_path / "secret.txt").write_text("secret")
    looking = (
        "import json, os, socket, sys\n"
        f"seen = [os.path.exists(path) for path in ({str(tmp_path / 'secret.txt')!r}, '/etc/passwd')]\n"
        "try:\n    socket.create_connection(('192.0.2.1', 80), 1)\n"
        "except OSError as error:\n    seen.append(error.errno == 101)\n"
        "print(json.dumps({'seen': seen}))\n"
    )
    monkeypatch.setattr(module, "_BOOT", looking)
    session = Session()
    session.send({})
    assert session.answer(20) == {"seen": [False, False, True]}


def test_what_others_print_does_not_reach_the_answer(monkeypatch):
    noisy = (
        "import os, sys\nsys.path.append(sys.argv[1])\nfrom assay.analysis.enactment import child\n"
        "def noise(folder):\n    print('noise', flush=True)\n    os.write(1, b'more')\n    return {'quiet': True}\n"
        "child._answered = noise\nchild.main(sys.argv[2], 5)\n"
    )
    monkeypatch.setattr(module, "_BOOT", noisy)
    session = Session()
    session.send({})
    assert session.answer(30) == {"quiet": True}


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import time; time.sleep(60)", "it did not answer within 1 s"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it died of SIGSEGV"),
        ("raise SystemExit(3)", "it ended with status 3 and no answer"),
        ("print('no JSON')", "it ended with status 0 and no answer"),
        ("print('[1]')", "its answer could not be read"),
        ("import sys; [sys.stdout.write('x' * 2**20) for _ in range(80)]", "its answer is longer than 64 MiB"),
    ],
)
def test_it_says_why_there_is_no_answer(monkeypatch, program, said):
    monkeypatch.setattr(module, "_BOOT", program)
    session = Session(sandbox=False)
    begin = time.monotonic()
    session.send({"files": {"a.yaml": "x" * 2**20}})
    pid, _ = inside(session)
    assert session.answer(1 if "60" in program else 20) == {"failed": said}
    assert time.monotonic() - begin < 60
    assert not alive(pid)


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("while True: pass", "it needed more than 1 s of processor time"),
        ("x = bytearray(3 * 2**30)", "it needed more than 1536 MiB of memory"),
    ],
)
def test_processor_time_and_memory_are_bounded(monkeypatch, then, said):
    spoilt = (
        "import sys\nsys.path.append(sys.argv[1])\nfrom assay.analysis.enactment import child\n"
        f"def spoilt(folder):\n    {then}\n    return {{}}\n"
        "child._answered = spoilt\nchild.main(sys.argv[2], 1)\n"
    )
    monkeypatch.setattr(module, "_BOOT", spoilt)
    session = Session(cpu_seconds=1)
    session.send({})
    answer = session.answer(20)
    assert answer["failed"] == said or "it was killed" in answer["failed"]


def test_a_path_that_leaves_the_folder_is_refused(tmp_path):
    for path in ("../outside.yaml", "/tmp/outside.yaml", "a/../../outside.yaml", "a\\..\\b.yaml", "a\0.yaml"):
        session = Session()
        session.send({"files": {path: "a: 1\n"}, "compositions": []})
        assert "leaves the submission" in session.answer(20)["failed"]


def test_ending_early_leaves_nothing():
    session = Session(sandbox=False)
    session.start()
    pid, folder = inside(session)
    session.close()
    assert not alive(pid)
    assert not folder.exists()
    assert session.answer(1) == {"failed": "it was ended before it answered"}
    session.close()


def test_the_folder_goes_when_the_child_dies():
    session = Session(sandbox=False)
    session.start()
    pid, folder = inside(session)
    os.kill(pid, signal.SIGKILL)
    session.send(REQUEST)
    assert "killed" in session.answer(10)["failed"]
    assert not folder.exists()


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_session_that_is_dropped_leaves_no_folder():
    session = Session(sandbox=False)
    session.start()
    _, folder = inside(session)
    assert folder.stat().st_mode & 0o077 == 0
    del session
    gc.collect()
    assert not folder.exists()


def test_starting_a_child_imports_little():
    # every review waits for the child, so nothing that takes long to import comes before it
    program = (
        "import sys; before = set(sys.modules)\n"
        "from assay.analysis.enactment.session import Session\n"
        "with Session() as session: print(*set(sys.modules) - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "assay.analysis.enactment.session" in loaded
    assert not loaded & {"hydra", "omegaconf", "yaml", "typing", "pathlib", "json", "tempfile", "inspect", "assay.cli"}


def test_a_bubblewrap_that_does_not_work_is_left_out(tmp_path, monkeypatch):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: no permissions' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with Session() as session:
        session.send({"files": {}, "compositions": []})
        assert session.answer(30) == {"compositions": []}
        assert not session.sandbox


@pytest.mark.parametrize(("there", "forbidden", "started"), [(False, False, 1), (True, False, 0), (False, True, 0)])
def test_bytecode_is_written_once_because_the_sandbox_cannot(tmp_path, monkeypatch, there, forbidden, started):
    kept = tmp_path / "kept.pyc"
    if there:
        kept.write_bytes(b"")
    calls = []
    monkeypatch.setattr(sys, "dont_write_bytecode", forbidden)
    monkeypatch.setattr(importlib.util, "cache_from_source", lambda path: str(kept))
    monkeypatch.setattr(subprocess, "Popen", lambda command, **options: calls.append(command))
    compile_once()
    assert len(calls) == started
    assert all("compileall" in command and any(part.endswith("hydra") for part in command) for command in calls)
