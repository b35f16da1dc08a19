"""What ends a process is told, wherever it happens, with the submission's own frames."""

from __future__ import annotations

import pytest

from tests.trial.inside.watched_run import Stage

FAILS = "def lookup():\n    return {}['x']\n"


def test_an_uncaught_exception_is_told_with_its_frames(stage: Stage) -> None:
    stage.write({"a.py": FAILS + "lookup()\n"})
    for way in (["a.py"], ["-m", "a"], ["-I", "a.py"], ["-E", "-m", "a"]):
        ran = stage.run(*way)
        assert ran.status == 1
        assert ran.stop["type"] == "KeyError"
        assert ran.stop["frames"] == [["a.py", 3, "<module>"], ["a.py", 2, "lookup"]]
        assert "assay_trial_inside" not in ran.stop["text"]


@pytest.mark.parametrize("way", [["a.py"], ["-m", "a"]])
def test_an_exit_with_a_message_is_a_stop_and_one_without_is_none(stage: Stage, way: list[str]) -> None:
    stage.write({"a.py": "import sys\nsys.exit(sys.argv[1] if len(sys.argv) > 1 else 0)\n"})
    assert stage.run(*way, "no such mode").stop["message"] == "no such mode"
    assert stage.run(*way).of("stop") == []


@pytest.mark.parametrize("way", [["a.py"], ["-m", "a"]])
def test_an_exit_after_a_caught_exception_is_told_as_that_exception(stage: Stage, way: list[str]) -> None:
    text = "import sys\ndef main():\n    try:\n        lookup()\n    except Exception:\n        sys.exit(1)\nmain()\n"
    stage.write({"a.py": FAILS + text})
    stop = stage.run(*way).stop
    assert stop["type"] == "KeyError"
    assert stop["frames"] == [["a.py", 9, "<module>"], ["a.py", 6, "main"], ["a.py", 2, "lookup"]]


def test_a_syntax_error_names_its_line(stage: Stage) -> None:
    stage.write({"a.py": "import b\n", "b.py": "x = 1\ny = = 2\n"})
    assert stage.run("-m", "a").stop["frames"] == [["a.py", 1, "<module>"], ["b.py", 2, "<module>"]]


def test_a_child_with_a_cleared_environment_is_followed_and_its_parent_stops_for_it_alone(stage: Stage) -> None:
    text = "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'a'], env={}, check=True)\n"
    stage.write({"a.py": FAILS + "lookup()\n", "main.py": text})
    ran = stage.run("-m", "main", variables={"PYTHONPATH": "/nowhere"})
    assert ran.status == 1
    assert ran.stop["type"] == "KeyError"
    assert [event["type"] for event in ran.of("passed-on")] == ["subprocess.CalledProcessError"]


def test_a_failed_child_that_is_no_python_stops_its_parent(stage: Stage) -> None:
    stage.write({"main.py": "import subprocess\nsubprocess.run(['false'], check=True)\n"})
    assert stage.run("-m", "main").stop["type"] == "subprocess.CalledProcessError"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_children_of_multiprocessing_are_followed(stage: Stage, method: str) -> None:
    text = (
        "import multiprocessing\nfrom a import lookup\n"
        f"if __name__ == '__main__':\n    child = multiprocessing.get_context('{method}').Process(target=lookup)\n"
        "    child.start()\n    child.join()\n"
    )
    stage.write({"a.py": FAILS, "main.py": text})
    stop = stage.run("-m", "main").stop
    assert (stop["type"], stop["frames"]) == ("KeyError", [["a.py", 2, "lookup"]])


def test_a_pool_of_processes_tells_the_frames_of_its_worker(stage: Stage) -> None:
    text = (
        "from concurrent.futures import ProcessPoolExecutor\nfrom a import lookup\nif __name__ == '__main__':\n"
        "    with ProcessPoolExecutor(1) as pool:\n        pool.submit(lookup).result()\n"
    )
    stage.write({"a.py": FAILS, "main.py": text})
    stop = stage.run("-m", "main").stop
    assert stop["worker"]
    assert stop["frames"][-1] == ["a.py", 2, "lookup"]


def test_an_exception_in_a_thread_ends_nothing(stage: Stage) -> None:
    text = "import threading\nthread = threading.Thread(target=lookup)\nthread.start()\nthread.join()\n"
    stage.write({"a.py": FAILS + text})
    ran = stage.run("-m", "a")
    assert ran.status == 0
    assert not ran.stop["fatal"]


def test_an_exception_in_a_finalizer_is_none(stage: Stage) -> None:
    stage.write({"a.py": FAILS + "class A:\n    def __del__(self):\n        lookup()\nA()\n"})
    assert stage.run("-m", "a").of("stop") == []


def test_nothing_is_watched_where_it_is_switched_off(stage: Stage) -> None:
    stage.write({"a.py": FAILS + "lookup()\n"})
    assert stage.run("-m", "a", variables={"ASSAY_TRIAL": "off"}).events == []


def test_a_submission_that_closes_all_descriptors_is_still_watched(stage: Stage) -> None:
    text = "import os\nos.closerange(3, 1024)\nfor n in range(250):\n    os.open('own.txt', os.O_WRONLY | os.O_CREAT)\n"
    stage.write({"a.py": FAILS + text + "lookup()\n"})
    assert stage.run("-m", "a").stop["type"] == "KeyError"
    assert (stage.work / "own.txt").read_text() == ""


def test_the_command_is_launched_and_its_status_told(stage: Stage) -> None:
    stage.write({"a.py": "import os, sys\nprint(os.getcwd())\nsys.exit(3)\n"})
    command = [str(stage.folder / "overlay/bin/python"), "-m", "a"]
    ran = stage.run("-m", "assay_trial_inside.launch", variables={"ASSAY_TRIAL": "off"}, command=command)
    assert ran.status == 3
    assert ran.output.strip() == str(stage.work.resolve())
    assert [event["status"] for event in ran.of("exit")] == [3]
    assert ran.stop["status"] == 3
