"""One run: python -u -m src.main run=ID results_dir=PATH mode=trial|full."""

import subprocess
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

RUNS = Path(__file__).resolve().parents[1] / "config" / "runs"


@hydra.main(version_base="1.3", config_path="../config", config_name="config")
def main(cfg: DictConfig) -> None:
    if cfg.mode not in ("trial", "full"):
        raise SystemExit(f"mode={cfg.mode}: it is trial or full")
    if not (RUNS / f"{cfg.run}.yaml").is_file():
        raise SystemExit(f"run={cfg.run}: there are {', '.join(sorted(path.stem for path in RUNS.glob('*.yaml')))}")
    words = [f"run={cfg.run}", f"results_dir={cfg.results_dir}", f"mode={cfg.mode}"]
    ended = subprocess.run([sys.executable, "-u", "-m", "src.train", *words], check=False)
    raise SystemExit(ended.returncode)


if __name__ == "__main__":
    main()
