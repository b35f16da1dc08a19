from __future__ import annotations

import pytest

from tests.trial.inside.watched_run import Stage

pytest.importorskip("optuna")

SEARCH = """\
import optuna
def objective(trial):
    trial.suggest_int("inner_steps", 3, 40)
    trial.suggest_categorical("batch_size", [32, 16])
    return trial.suggest_float("lr", 1e-5, 1e-1, log=True)
study = optuna.create_study(direction="maximize")
study.optimize(objective, n_trials=20)
print(sorted(study.best_params))
"""


def test_a_search_is_short_and_the_same_twice(stage: Stage) -> None:
    stage.write({"a.py": SEARCH})
    ran, again = stage.run("-m", "a"), stage.run("-m", "a")
    trials = [event["params"] for event in ran.of("optuna", op="trial")]
    assert trials == [event["params"] for event in again.of("optuna", op="trial")]
    assert len(trials) == 2
    assert {(one["inner_steps"], one["batch_size"]) for one in trials} == {(3, 16)}
    assert len({one["lr"] for one in trials}) == 2
    assert [(event["from"], event["to"]) for event in ran.of("shrunk")] == [(20, 2)]
    assert ran.of("optuna", op="best")[0]["params"] in trials
    assert ran.of("optuna", op="study")[0]["direction"] == ["maximize"]


ASKED = """\
import optuna
study = optuna.create_study()
for _ in range(5):
    trial = study.ask()
    study.tell(trial, trial.suggest_float("x", 0, 1) + trial.suggest_int("num_layers", 2, 9))
print(len(study.trials), study.best_params["num_layers"])
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
"""


def test_trials_that_it_asks_for_itself_are_told_and_left_to_its_own_loop(stage: Stage) -> None:
    stage.write({"a.py": ASKED})
    ran = stage.run("-m", "a")
    assert ran.output.split() == ["5", "2"]
    assert [event["trial"] for event in ran.of("optuna", op="ask")] == [0, 1, 2, 3, 4]
    assert [event["name"] for event in ran.of("optuna", op="trial")] == ["0", "1", "2", "3", "4", "5"]
    assert ran.of("shrunk") == []
