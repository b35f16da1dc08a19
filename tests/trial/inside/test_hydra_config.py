from __future__ import annotations

from tests.trial.inside.watched_run import Stage

CONFIG = {
    "config/config.yaml": "defaults: [_self_, {run: a}]\nseed: 1\ntraining: {lr: 0.1, steps: 5}\n"
    "hydra: {run: {dir: outputs}, job: {chdir: true}}\n",
    "config/run/a.yaml": "run_id: a\ntraining: {steps: 9}\ndataset: {name: d}\n",
}
MAIN = """\
import os, subprocess, sys, hydra
from omegaconf import OmegaConf
@hydra.main(config_path="config", config_name="config", version_base=None)
def main(cfg):
    print(os.path.basename(os.getcwd()), flush=True)
    subprocess.run([sys.executable, "-c", "import os; print(os.path.basename(os.getcwd()))"])
    print(cfg.run_id, cfg.dataset.name, cfg.training.steps, cfg.training.lr, cfg.run.seed)
    cfg.training.lr = 7
    assert cfg.run.training.lr == 7
    OmegaConf.merge(cfg, {"new": 1})
if __name__ == "__main__":
    main()
"""
SHIMS = ["hydra-root", "struct", "working-directory"]


def test_a_missing_key_stops_with_the_configuration_told_before(stage: Stage) -> None:
    stage.write({**CONFIG, "main.py": MAIN})
    # HYDRA_FULL_ERROR is not set: Hydra prints the exception and exits
    ran = stage.run("-m", "main")
    assert ran.stop["type"] == "omegaconf.errors.ConfigAttributeError"
    assert ran.stop["frames"][-1] == ["main.py", 7, "main"]
    (config,) = ran.of("config")
    assert config["data"]["run"]["training"] == {"steps": 9}


def test_shims_let_it_find_keys_folders_and_room_for_new_keys(stage: Stage) -> None:
    stage.write({**CONFIG, "main.py": MAIN})
    ran = stage.run("-m", "main", shims=SHIMS)
    assert ran.status == 0, ran.errors
    assert ran.output.splitlines() == ["work", "work", "a d 9 0.1 1"]
    assert {event["name"] for event in ran.of("applied")} == set(SHIMS)


def test_a_composed_configuration_is_treated_alike(stage: Stage) -> None:
    text = (
        "from hydra import compose, initialize\nwith initialize(config_path='config', version_base=None):\n"
        "    cfg = compose('config')\nprint(cfg.run_id)\ncfg.new = 1\n"
    )
    stage.write({**CONFIG, "main.py": text})
    assert stage.run("-m", "main").stop["frames"] == [["main.py", 4, "<module>"]]
    assert stage.run("-m", "main", shims=SHIMS).status == 0
