"""A run: its loops in a trial and in full, and what is left of it after a kill at any moment."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf, open_dict

from assay.runtime.errors import ExperimentError
from assay.runtime.modes import apply_mode
from assay.runtime.run import Run
from assay.runtime.track_log import read_track

torch = pytest.importorskip("torch")

SERIES = ("epoch", "loss", "warm_loss", "score")


def run_of(folder: Path, mode: str = "full", **training: object) -> Run:
    cfg = OmegaConf.create(
        {
            "run": "proposed-a",
            "run_id": "proposed-a",
            "results_dir": str(folder),
            "mode": mode,
            "wandb": {"entity": "e", "project": "p"},
            "training": {"seeds": [0, 1], "epochs": 3, "learning_rate": 0.1, **training},
        }
    )
    OmegaConf.set_struct(cfg, True)
    apply_mode(cfg)
    return Run(cfg, root=folder, arguments=[], clock=count().__next__)


def train(run: Run, epochs: int = 3) -> None:
    """Two phases of training, with shuffled data and dropout, so that every generator matters."""
    from assay.runtime.best_weights import BestWeights

    cfg = run._cfg
    with run.track(cfg, series=SERIES, summary=("score",)) as tracker:
        for seed in run.seeds(cfg.training.seeds):
            model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
            optimizer = torch.optim.SGD(model.parameters(), lr=cfg.training.learning_rate, momentum=0.9)
            loader = torch.utils.data.DataLoader(torch.arange(24.0).reshape(8, 3) / 24, batch_size=4, shuffle=True)

            def step(batch, model=model, optimizer=optimizer):
                loss = (model(batch) - 1 - random.random()).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                return loss.item()

            for epoch in run.epochs(1, model=model, optimizer=optimizer):
                for batch in run.batches(loader):
                    tracker.log({"epoch": epoch, "warm_loss": step(batch)})
            best = BestWeights(model, "minimize")
            for epoch in run.epochs(epochs, model=model, optimizer=optimizer, best=best):
                for batch in run.batches(loader):
                    loss = step(batch)
                    tracker.log({"epoch": epoch, "loss": loss})
                best.update(loss)
            best.restore()
            with torch.no_grad():
                tracker.log({"score": model.eval()(torch.ones(1, 3)).item()})
            assert seed in cfg.training.seeds
        tracker.summarize({"score": tracker.mean("score")})


@pytest.fixture(autouse=True)
def without_wandb(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


def tracked(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any], str | None]:
    """Rows without their seconds, summary and status."""
    content = read_track(folder / "proposed-a" / "track.jsonl")
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in content.rows]
    return rows, dict(content.summary), content.status


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    os.environ["WANDB_MODE"] = "disabled"
    # what PyTorch imports at its first step is imported here once, and not in every child
    train(run_of(tmp_path_factory.mktemp("warm"), mode="trial"))
    events = in_child(lambda: train(run_of(folder)))
    assert events.status == 0
    return tracked(folder), events.count


class Child:
    """How a child process ended, and how many file operations it came to."""

    def __init__(self, status: int, events: int) -> None:
        self.status = status
        self.count = events


FILE_EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "os.truncate"}


def in_child(work: Callable[[], None], kill_at: int = 0) -> Child:
    """Do something in a forked process, which dies of SIGKILL at its n-th file operation in the run's folder."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        seen = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event in FILE_EVENTS and "proposed-a" in str(arguments):
                seen += 1
                if seen == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            torch.set_num_threads(1)
            sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
            sys.addaudithook(hook)
            work()
            os.write(write, str(seen).encode())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return Child(status, int(text or 0))


def test_an_undisturbed_run_tracks_every_step_of_every_seed(undisturbed):
    (rows, summary, status), _ = undisturbed
    per_seed = [("warm_loss", 2), ("loss", 6), ("score", 1)]
    for seed in (0, 1):
        held = [row for row in rows if row["seed"] == seed]
        assert [(name, sum(name in row for row in held)) for name, _ in per_seed] == per_seed
    assert summary["score"] == sum(row["score"] for row in rows if "score" in row) / 2
    assert status == "complete"


# Every part of a run is hit: provenance, tracking, checkpoints of both phases, progress, the second seed, the end.
@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99])
def test_a_run_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(share, undisturbed, tmp_path):
    expected, operations = undisturbed
    killed = in_child(lambda: train(run_of(tmp_path)), kill_at=max(1, round(operations * share)))
    assert killed.status == -signal.SIGKILL
    again = in_child(lambda: train(run_of(tmp_path)))
    assert again.status == 0
    assert tracked(tmp_path) == expected


def test_a_run_that_is_killed_again_and_again_loses_only_the_unfinished_epoch(undisturbed, tmp_path):
    expected, operations = undisturbed
    for attempts in range(40):  # noqa: B007
        child = in_child(lambda: train(run_of(tmp_path)), kill_at=operations // 3)
        if child.status == 0:
            break
    assert child.status == 0
    assert 3 <= attempts <= 20
    assert tracked(tmp_path) == expected


def test_seconds_go_on_over_a_restart(undisturbed, tmp_path):
    _, operations = undisturbed
    in_child(lambda: train(run_of(tmp_path)), kill_at=operations // 3)
    in_child(lambda: train(run_of(tmp_path)))
    rows = read_track(tmp_path / "proposed-a" / "track.jsonl").rows
    for seed in (0, 1):
        seconds = [row["seconds"] for row in rows if row["seed"] == seed]
        assert seconds == sorted(seconds)
        assert len(set(seconds)) == len(seconds)


def test_a_finished_run_is_not_trained_again(undisturbed, tmp_path, capsys):
    train(run_of(tmp_path))
    before = tracked(tmp_path)
    train(run_of(tmp_path))
    assert "seed 0 was finished before\nseed 1 was finished before" in capsys.readouterr().out
    assert tracked(tmp_path) == before


def test_another_configuration_in_the_same_folder_is_refused(tmp_path):
    train(run_of(tmp_path))
    with pytest.raises(ExperimentError, match=r"another configuration \(training.learning_rate was 0.1, is 0.2\)"):
        train(run_of(tmp_path, learning_rate=0.2))


def test_of_a_finished_seed_one_checkpoint_is_kept(tmp_path):
    train(run_of(tmp_path))
    kept = sorted(path.parent.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("state.pt"))
    phases = [
        f"proposed-a/checkpoints/seed-{seed}/phase-{n}/00000{last}" for seed in (0, 1) for n, last in ((1, 1), (2, 3))
    ]
    assert kept == phases


def test_a_trial_writes_nothing_but_what_it_was_made_with(tmp_path):
    train(run_of(tmp_path, mode="trial"))
    written = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert written == ["proposed-a/trial/run.json"]


def test_a_trial_leaves_a_full_run_as_it_is(undisturbed, tmp_path):
    _, operations = undisturbed
    in_child(lambda: train(run_of(tmp_path)), kill_at=operations // 2)
    held = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    train(run_of(tmp_path, mode="trial"))
    assert {path: path.read_bytes() for path in held} == held
    added = {path for path in tmp_path.rglob("*") if path.is_file()} - {*held}
    assert added == {tmp_path / "proposed-a" / "trial" / "run.json"}


def test_a_run_says_what_it_was_made_with(tmp_path):
    train(run_of(tmp_path))
    content = json.loads((tmp_path / "proposed-a" / "run.json").read_text())
    attempt = content["attempts"][0]
    assert content["config"]["training"]["seeds"] == [0, 1]
    assert attempt["versions"]["torch"] == torch.__version__
    assert attempt["hardware"]["cores"] == os.cpu_count()
    assert attempt["device"] == str(run_of(tmp_path).device)


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_are_given_and_each_once(seeds, tmp_path):
    with pytest.raises(ExperimentError, match="give at least one, and each once"):
        list(run_of(tmp_path).seeds(seeds))


def test_no_epoch_trains_nothing(tmp_path):
    with pytest.raises(ExperimentError, match="0 epochs train nothing"):
        list(run_of(tmp_path).epochs(0))


def test_a_loop_has_two_batches_in_a_trial_and_all_in_full(tmp_path):
    assert list(run_of(tmp_path, mode="trial").batches(range(9))) == [0, 1]
    assert list(run_of(tmp_path).batches(range(9))) == list(range(9))
    assert list(run_of(tmp_path, mode="trial").accumulated(range(9), 4)) == [(0, False), (1, True)]


def searching(folder: Path) -> Run:
    run = run_of(folder)
    space = {"training.learning_rate": {"type": "uniform", "low": 0.1, "high": 0.2}}
    with open_dict(run._cfg):
        run._cfg.optuna = {"n_trials": 1, "direction": "maximize", "search_space": space}
    return run


def test_a_run_does_not_begin_to_be_tracked_within_a_search(tmp_path):
    run = searching(tmp_path)

    def objective(candidate, report):
        with run.track(candidate, series=["loss"], summary=[]):
            raise AssertionError("it was let in")

    with pytest.raises(ExperimentError, match="not within a search"):
        run.search(objective)


def test_a_trial_of_a_search_is_not_tracked(tmp_path):
    run = searching(tmp_path)
    with run.track(run._cfg, series=["loss"], summary=[]) as tracker:

        def objective(candidate, report):
            tracker.log({"loss": 1.0})
            return 1.0

        with pytest.raises(ExperimentError, match="trials of a search are not tracked"):
            run.search(objective)
        tracker.log({"loss": 2.0})
    assert tracked(tmp_path)[0] == [{"loss": 2.0}]


def test_a_device_that_pytorch_does_not_know_is_said(tmp_path):
    run = run_of(tmp_path)
    with open_dict(run._cfg):
        run._cfg.device = "abacus"
    with pytest.raises(ExperimentError, match=r"^device=abacus: "):
        run.device  # noqa: B018


def test_what_an_earlier_attempt_tracked_is_checked_and_not_tracked_again(undisturbed, tmp_path):
    run = run_of(tmp_path)
    with run.track(run._cfg, series=SERIES, summary=()) as tracker:
        tracker.muted = True
        tracker.log({"loss": 1.0})
        with pytest.raises(ExperimentError, match="'los' was not registered"):
            tracker.log({"los": 1.0})
    assert tracked(tmp_path)[0] == []


def around(run: Run, fail_at: str = "") -> None:
    """Tracks rows before, within and after the loop over seeds, and stops where it is told to."""
    with run.track(run._cfg, series=("loss", "score"), summary=()) as tracker:
        tracker.log({"score": 1})
        for seed in run.seeds(run._cfg.training.seeds):
            model = torch.nn.Linear(1, 1)
            for epoch in run.epochs(2, model=model):
                tracker.log({"loss": epoch})
                if fail_at == f"{seed} {epoch}":
                    raise RuntimeError(fail_at)
        tracker.log({"score": 2})
        if fail_at == "end":
            raise RuntimeError(fail_at)


@pytest.mark.parametrize("moments", [[], ["0 0"], ["0 1"], ["1 0"], ["1 1"], ["end"], ["0 0", "1 0", "end", "end"]])
def test_rows_before_and_after_the_loop_over_seeds_are_tracked_once(moments, tmp_path):
    for moment in moments:
        with pytest.raises(RuntimeError, match=moment):
            around(run_of(tmp_path), moment)
    around(run_of(tmp_path))
    rows, _, status = tracked(tmp_path)
    assert [row.get("score", row.get("loss")) for row in rows] == [1, 0, 1, 0, 1, 2]
    assert [row.get("seed") for row in rows] == [None, 0, 0, 1, 1, None]
    assert status == "complete"


def test_without_a_loop_over_seeds_a_run_begins_anew(tmp_path):
    for _ in range(2):
        run = run_of(tmp_path)
        with run.track(run._cfg, series=("loss",), summary=()) as tracker:
            tracker.log({"loss": 1})
    assert tracked(tmp_path)[0] == [{"loss": 1}]


def test_a_second_loop_over_the_same_seeds_is_refused_instead_of_skipped(tmp_path):
    run = run_of(tmp_path)
    with run.track(run._cfg, series=("loss",), summary=()) as tracker:
        for _ in run.seeds([0, 1]):
            tracker.log({"loss": 1})
        with pytest.raises(ExperimentError, match=r"seeds \[1\] had their turn"):
            next(run.seeds([1, 2]))


def test_rows_after_a_loop_over_seeds_that_was_left_have_no_seed(tmp_path):
    run = run_of(tmp_path)
    with run.track(run._cfg, series=("loss",), summary=()) as tracker:
        for _ in run.seeds([0, 1]):
            break
        tracker.log({"loss": 1})
    assert tracked(tmp_path)[0] == [{"loss": 1}]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "proposed-a").write_text("a file")
    with pytest.raises(ExperimentError, match="proposed-a cannot be made: "):
        train(run_of(tmp_path))


def test_a_lost_progress_file_is_said_where_it_matters(undisturbed, tmp_path):
    train(run_of(tmp_path))
    (tmp_path / "proposed-a" / "progress.json").unlink()
    with pytest.raises(ExperimentError, match=r"seeds 0, 1 have checkpoints, and progress\.json does not say"):
        train(run_of(tmp_path))


def test_what_needs_no_pytorch_runs_without_it(tmp_path, monkeypatch):
    monkeypatch.setattr("assay.runtime.run.find_spec", lambda name: None)
    run = run_of(tmp_path)
    with run.track(run._cfg, series=["loss"], summary=[]) as tracker:
        tracker.log({"loss": 1.0})
    attempt = json.loads((tmp_path / "proposed-a" / "run.json").read_text())["attempts"][0]
    assert attempt["device"] is None


def test_a_trial_refuses_parts_that_a_full_run_could_not_save(tmp_path):
    with pytest.raises(ExperimentError, match="the part history of a checkpoint is a list"):
        list(run_of(tmp_path, mode="trial").epochs(2, history=[]))
