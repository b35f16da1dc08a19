"""What a rehearsal sees of tracking, and what the stand-in answers beyond what the test's server knows."""

from __future__ import annotations

import pytest

from tests.trial.tracking.tracked import Told, rehearsed

pytest.importorskip("wandb")

TRAINS = """
import json, sys
import numpy as np
import wandb

def told(call):
    try:
        answer = call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return answer if isinstance(answer, (str, int, float, list, type(None))) else type(answer).__name__

out = {}
def train():
    config = {"lr": 0.1, "model": {"r": 4}}
    run = wandb.init(entity="team", project="p", id="proposed-a", resume="allow", config=config)
    for step in range(200):
        wandb.log({"train_loss": 1.0 / (step + 1), "val/acc": step / 200})
    wandb.log({"val_loss": float("nan")})
    wandb.log({"table": wandb.Table(columns=["a"], data=[[1]]), "histogram": wandb.Histogram([1, 2, 3])})
    wandb.log({"image": wandb.Image(np.zeros((8, 8, 3), dtype=np.uint8))})
    wandb.log({"confusion": wandb.plot.confusion_matrix(y_true=[0, 1], preds=[0, 1], class_names=["a", "b"])})
    artifact = wandb.Artifact("weights", type="model")
    with artifact.new_file("x.txt") as file:
        file.write("x")
    out["artifact"] = told(lambda: run.log_artifact(artifact).wait().name)
    out["used"] = told(lambda: run.use_artifact("weights:latest").name)
    wandb.summary["final_accuracy"] = 0.5
    out["address"] = run.url.startswith("https://") and run.url.endswith("/team/p/runs/proposed-a")
    wandb.finish()
train()

again = wandb.init(entity="team", project="p", id="proposed-a", resume="allow")
out["again"] = [again.resumed, again.step, again.summary["final_accuracy"], again.config["lr"]]
again.log({"train_loss": 7.0})
again.finish()
for word, run_id in (("must", "missing"), ("never", "proposed-a")):
    out[word] = told(lambda: wandb.init(entity="team", project="p", id=run_id, resume=word))
silent = wandb.init(project="p", mode="disabled")
silent.log({"x": 1})
out["disabled"] = silent.disabled
silent.finish()
away = wandb.init(entity="team", project="p", id="away", mode="offline")
away.log({"x": 1})
out["offline"] = [away.offline, told(lambda: away.url)]
away.finish()
left = wandb.init(entity="team", project="p", id="left", config={"lr": 0.3})
left.log({"x": 1})
print(json.dumps(out))
"""

EVALUATES = """
import json
import wandb

def told(call):
    try:
        answer = call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return answer if isinstance(answer, (str, int, float, list, type(None))) else type(answer).__name__

out = {}
api = wandb.Api()
run = api.run("team/p/proposed-a")
history = run.history()
out["columns"] = sorted(name for name in history.columns if not name.startswith("_"))
out["rows"] = [len(history), len(run.history(samples=50)), len(list(run.scan_history()))]
out["keys"] = len(run.history(keys=["train_loss"]))
out["missing keys"] = [len(run.history(keys=["train_lost"])), len(list(run.scan_history(keys=["train_lost"])))]
out["no pandas"] = type(run.history(pandas=False)).__name__
out["summary"] = [run.summary.get("final_accuracy"), run.summary.get("final_accurancy"), run.summary["val_loss"]]
out["config"] = [run.config["lr"], run.config["model"]["r"], run.state]
out["runs"] = sorted(run.id for run in api.runs("team/p"))
out["chosen"] = [run.id for run in api.runs("team/p", filters={"config.lr": {"$lt": 0.2}})]
out["best"] = [run.id for run in api.runs("team/p", order="-summary_metrics.final_accuracy")][:1]
out["no project"] = told(lambda: len(api.runs("team/q")))
out["no run"] = told(lambda: api.run("team/p/comparative-a"))
out["offline"] = told(lambda: api.run("team/p/away"))
out["left open"] = api.run("team/p/left").state
out["more"] = [len(list(run.files())), len(list(run.logged_artifacts())), api.default_entity]
run.summary["later"] = 1
run.summary.update()
out["changed"] = api.run("team/p/proposed-a").summary["later"]
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> tuple[Told, Told]:
    folder = tmp_path_factory.mktemp("tracking")
    trained = rehearsed(folder, TRAINS)
    return trained, rehearsed(folder, EVALUATES, step="evaluate", mode="evaluate")


def test_runs_go_as_with_the_service(steps: tuple[Told, Told]) -> None:
    said = steps[0].answers
    assert (said["artifact"], said["used"]) == ("weights", "weights")
    assert said["again"] == [True, 204, 0.5, 0.1]
    assert said["must"].startswith("UsageError")
    assert "has not been initialized" in said["must"]
    assert said["never"].startswith("UsageError")
    assert "already exists" in said["never"]
    assert (said["disabled"], said["offline"], said["address"]) == (True, [True, None], True)


def test_logging_is_told_in_few_events(steps: tuple[Told, Told]) -> None:
    trained = steps[0]
    first = trained.of("wandb", op="init")[0]
    assert (first["mode"], first["id"], first["project"], first["entity"]) == ("online", "proposed-a", "p", "team")
    assert (first["resume"], first["config_keys"]) == ("allow", ["lr", "model.r"])
    logged = trained.of("wandb", op="log", id="proposed-a")
    assert (logged[0]["keys"], logged[0]["step"], len(logged) < 90) == (["train_loss", "val/acc"], 0, True)
    assert [frame[2] for frame in logged[0]["frames"]] == ["<module>", "train"]
    assert "wandb.log(" in TRAINS.splitlines()[logged[0]["frames"][-1][1] - 1]
    (bad,) = trained.of("nonfinite")
    assert (bad["what"], bad["name"], bad["note"]) == ("logged", "val_loss", "nan")
    assert '"val_loss"' in TRAINS.splitlines()[bad["frames"][-1][1] - 1]
    (summed,) = trained.of("wandb", op="summary", id="proposed-a")
    assert summed["keys"] == ["final_accuracy"]
    finished = trained.of("wandb", op="finish", id="proposed-a")
    assert len(finished) == 2
    assert "final_accuracy" in finished[0]["keys"]
    assert {event["mode"] for event in trained.of("wandb", op="init")} == {"online", "disabled", "offline"}


def test_a_run_left_open_ends_with_the_program(steps: tuple[Told, Told]) -> None:
    assert steps[1].answers["left open"] == "finished"


def test_the_interface_gives_back_what_was_logged(steps: tuple[Told, Told]) -> None:
    said = steps[1].answers
    assert {"train_loss", "val/acc", "val_loss", "table", "image", "histogram"} <= set(said["columns"])
    assert said["rows"] == [205, 50, 205]
    assert (said["keys"], said["missing keys"], said["no pandas"]) == (201, [0, 0], "list")
    assert said["summary"] == [0.5, None, "NaN"]
    assert said["config"] == [0.1, 4, "finished"]
    assert (said["runs"], said["chosen"], said["best"]) == (["left", "proposed-a"], ["proposed-a"], ["proposed-a"])
    assert (said["changed"], said["more"]) == (1, [0, 0, "rehearsal"])


def test_what_is_not_there_is_refused_as_by_the_service(steps: tuple[Told, Told]) -> None:
    said = steps[1].answers
    assert said["no run"].startswith("CommError: Could not find run <Run team/p/comparative-a")
    assert said["offline"].startswith("CommError: Could not find run")
    assert said["no project"].startswith("ValueError: Could not find project q")


def test_what_evaluation_asks_for_in_vain_is_told(steps: tuple[Told, Told]) -> None:
    asked = steps[1].of("wandb", op="api")
    missing = {(event["call"], *event["missing"]) for event in asked if event.get("missing")}
    assert missing >= {
        ("history", "train_lost"),
        ("summary", "final_accurancy"),
        ("run", "team/p/comparative-a"),
        ("runs", "team/q"),
    }
    assert not [event for event in asked if event.get("unsupported")]
    assert not steps[0].of("network")
    assert not steps[1].of("network")
