"""Workers that share a search, and workers that are killed: real processes, a real database, SIGKILL."""

import json
import subprocess
import sys
from collections import Counter

import pytest

pytest.importorskip("optuna")

# Plays each scene, forking every worker from this one process that has Optuna loaded; what a worker says goes to a
# file of its own.
PROGRAM = """
import gc, json, os, shutil, signal, sys, time
from pathlib import Path

import optuna, sqlalchemy, sqlalchemy.dialects.sqlite, alembic.config
from omegaconf import OmegaConf
from assay.runtime.searching import search

gc.freeze()
ROOT = Path(sys.argv[1])
SPACE = {"x": {"type": "uniform", "low": 0.0, "high": 1.0}, "n": {"type": "int", "low": 1, "high": 1000}}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def prepare(name):
    # Optuna's tables take longer to make than the search
    empty = ROOT / "empty.db"
    if not empty.exists():
        optuna.storages.RDBStorage(f"sqlite:///{empty}")
    (ROOT / name).mkdir()
    shutil.copy(empty, ROOT / name / "search.db")


def worker(name, trials, objective, before=None):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if before is not None:
            before()
        lines = (ROOT / f"{name}.lines").open("a", buffering=1)
        cfg = OmegaConf.create({"x": 0.5, "n": 1, "optuna": {
            "n_trials": trials, "direction": "maximize", "seed": 0, "pruner": None, "search_space": SPACE}})
        found = search(cfg, objective, folder=ROOT / name, mode="full", say=lambda line: lines.write(line + "\\n"),
                       sleep=lambda seconds: time.sleep(0.05))
        (ROOT / f"{name}.{os.getpid()}.best").write_text(json.dumps([found.best, found.value, found.trials]))
        code = 0
    except BaseException as error:
        (ROOT / f"{name}.error").write_text(repr(error))
    finally:
        os._exit(code)


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def trials(name):
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{ROOT / name}/search.db")
    return [[t.state.name, t.user_attrs.get("slot"), t.params, t.value] for t in study.trials]


def until(holds):
    # bounded, so that nothing is left behind where a worker failed before it came here
    for _ in range(6_000):
        if holds():
            return
        time.sleep(0.01)
    raise TimeoutError


def gathered(name, count):
    (ROOT / f"{name}.here{os.getpid()}").touch()
    until(lambda: len(list(ROOT.glob(f"{name}.here*"))) >= count)


def score(cfg, report):
    return cfg.n * cfg.x


def killed_at_any_write():
    def play(name, moment):
        def doomed():
            writes = iter(range(1, 10_000))

            @sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "before_cursor_execute")
            def before(connection, cursor, statement, *rest):
                if not statement.lstrip().upper().startswith(("SELECT", "PRAGMA")) and next(writes) == moment:
                    die()

        code = ended(worker(name, 3, score, doomed))
        return [moment, code, ended(worker(name, 3, score)), trials(name), (ROOT / f"{name}.lines").read_text()]

    prepare("whole")
    assert ended(worker("whole", 3, score)) == 0
    # the first ones fall within the making of the tables
    runs = [play(f"new{moment}", moment) for moment in (2, 14, 27)]
    for moment in range(1, 400, 9):
        prepare(f"cut{moment}")
        runs.append(play(f"cut{moment}", moment))
        if runs[-1][1] == 0:
            break
    return dict(whole=trials("whole"), runs=runs)


def one_of_three_killed():
    def steady(cfg, report):
        # every worker holds a trial before any of them ends one
        gathered("shared", 3)
        return cfg.n * cfg.x

    def doomed(cfg, report):
        gathered("shared", 3)
        die()

    prepare("shared")
    crew = [worker("shared", 9, steady), worker("shared", 9, doomed), worker("shared", 9, steady)]
    codes = [ended(pid) for pid in crew]
    last = ended(worker("shared", 9, score))
    return dict(codes=codes, last=last, trials=trials("shared"), lines=(ROOT / "shared.lines").read_text(),
                bests=[json.loads(path.read_text()) for path in ROOT.glob("shared.*.best")])


def begun_at_once():
    codes = [ended(pid) for pid in [worker("race", 8, score, lambda: gathered("race", 4)) for _ in range(4)]]
    return dict(codes=codes, trials=trials("race"))


def killed_while_waited_for():
    def hanging(cfg, report):
        (ROOT / "hangs").touch()
        time.sleep(300)

    prepare("wait")
    slow = worker("wait", 2, hanging)
    until((ROOT / "hangs").exists)
    quick = worker("wait", 2, score)
    lines = ROOT / "wait.lines"
    until(lambda: lines.exists() and "waiting for 1 trial" in lines.read_text())
    os.kill(slow, signal.SIGKILL)
    codes = [ended(quick), ended(slow)]
    return dict(codes=codes, trials=trials("wait"), lines=lines.read_text())


scenes = (killed_at_any_write, one_of_three_killed, begun_at_once, killed_while_waited_for)
print(json.dumps({scene.__name__: scene() for scene in scenes}))
"""


@pytest.fixture(scope="module")
def stories(tmp_path_factory):
    root = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, root], capture_output=True, text=True, check=False, timeout=300
    )
    errors = [path.read_text() for path in root.glob("*.error")]
    assert (done.returncode, done.stderr, errors) == (0, "", [])
    return json.loads(done.stdout)


def finished(trials):
    """Slot -> values and score of each trial that finished."""
    return {slot: [params, value] for state, slot, params, value in trials if state == "COMPLETE"}


def test_a_worker_killed_at_any_write_loses_nothing_and_repeats_nothing(stories):
    story = stories["killed_at_any_write"]

    whole = finished(story["whole"])
    assert len(whole) == 3
    killed = [run for run in story["runs"] if run[1] == -9]
    assert len(killed) > 6
    assert story["runs"][-1][1] == 0
    for moment, _, second, trials, lines in story["runs"]:
        states = Counter(state for state, *_ in trials)
        assert second == 0, moment
        assert finished(trials) == whole, moment
        assert states["COMPLETE"] == 3, moment
        assert states["RUNNING"] == 0, moment
        assert states["FAIL"] == lines.count("it is tried again") <= 1, moment
    # at some moment a trial was under way
    assert any(any(state == "FAIL" for state, *_ in run[3]) for run in killed)


def test_workers_share_one_budget_though_one_is_killed_in_a_trial(stories):
    story = stories["one_of_three_killed"]

    assert story["codes"] == [0, -9, 0]
    assert story["last"] == 0
    done = [trial for trial in story["trials"] if trial[0] == "COMPLETE"]
    assert sorted(slot for _, slot, *_ in done) == list(range(9))
    [lost] = [trial for trial in story["trials"] if trial[0] != "COMPLETE"]
    [again] = [trial for trial in done if trial[1] == lost[1]]
    assert (lost[0], again[2]) == ("FAIL", lost[2])
    assert story["lines"].count("it is tried again") == 1
    assert len({json.dumps(params) for _, _, params, _ in done}) == 9
    # the two that lived and the one that came later say the same
    assert len(story["bests"]) == 3
    assert story["bests"].count(story["bests"][0]) == 3
    assert story["bests"][0][1:] == [max(value for *_, value in done), 9]


def test_workers_that_begin_at_once_make_one_search(stories):
    story = stories["begun_at_once"]

    assert story["codes"] == [0] * 4
    assert sorted(slot for state, slot, *_ in story["trials"] if state == "COMPLETE") == list(range(8))
    assert len(story["trials"]) == 8


def test_a_worker_waits_for_the_last_trial_of_another_and_takes_it_over_when_that_is_killed(stories):
    story = stories["killed_while_waited_for"]

    assert story["codes"] == [0, -9]
    assert [trial[:2] for trial in story["trials"]] == [["FAIL", 0], ["COMPLETE", 1], ["COMPLETE", 0]]
    assert story["trials"][0][2] == story["trials"][2][2]
    assert story["lines"].count("waiting") == 1
