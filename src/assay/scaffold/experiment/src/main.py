"""Starts one run: python -u -m src.main run=ID results_dir=PATH mode=trial|full."""

from assay.runtime import Run, experiment, launch
from omegaconf import DictConfig


@experiment
def main(cfg: DictConfig, run: Run) -> None:
    launch("src.train", run.arguments, folder=run.folder)


if __name__ == "__main__":
    main()
