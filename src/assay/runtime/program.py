"""`@experiment`: a function becomes a program that Hydra configures, one run per call."""

from __future__ import annotations

import functools
import inspect
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from assay.runtime.call import Call, quoted, read_call
from assay.runtime.errors import ExperimentError
from assay.runtime.modes import apply_mode
from assay.runtime.run import Run

Main = Callable[[DictConfig, Run], object]


def experiment(main: Main) -> Callable[[], None]:
    """Make a program of a function that gets the configuration of a run, and the run.

    The program takes `run=ID results_dir=PATH mode=trial|full` and any overrides and flags of Hydra. Hydra composes
    `config/config.yaml`, found beside the package that the function stands in; `config/runs/ID.yaml`, or
    `config/run/ID.yaml`, is laid over it at its root, then the words of the command line. Keys that the configuration
    lacks stay errors (struct mode). The mode is applied once, see `assay.runtime.modes.apply_mode`.

    What is wrong with the call or the configuration is said in one line on standard error; the exit status is then 2.

    Args:
        main: Takes the configuration (a `DictConfig` in struct mode) and the `Run`.

    Example:
        ```python
        @experiment
        def main(cfg: DictConfig, run: Run) -> None:
            with run.track(cfg, series=["loss"], summary=["final_loss"]) as tracker:
                ...

        if __name__ == "__main__":
            main()
        ```
    """
    file = Path(inspect.getfile(main)).resolve()
    root = file.parents[1]
    program = f"{file.parent.name}.{file.stem}"

    @functools.wraps(main)
    def start() -> None:
        try:
            call = read_call(sys.argv[1:], root / "config", program)
        except ExperimentError as fault:
            _stop(fault)
        program_name, *given = sys.argv
        sys.argv = [program_name, *call.words]
        try:
            _hydra_program(main, call, root)()
        except KeyboardInterrupt:
            again = f"python -u -m {program} {shlex.join(given)}"
            _stop(ExperimentError(f"{program}: interrupted; what is finished is kept, go on with: {again}", status=130))
        finally:
            sys.argv = [program_name, *given]

    return start


def _hydra_program(main: Main, call: Call, root: Path) -> Callable[[], object]:
    @functools.wraps(main)
    def task(cfg: DictConfig) -> object:
        try:
            settings = HydraConfig.get()
            _name_run(cfg, call.as_given(settings.overrides.task))
            apply_mode(cfg)
            _complete(cfg)
            return main(cfg, Run(cfg, root=root, arguments=_for_child(call, cfg, settings.overrides.task)))
        except ExperimentError as fault:
            _stop(fault)

    decorate = hydra.main(version_base="1.3", config_path=str(root / "config"), config_name="config")
    program: Callable[[], object] = decorate(task)
    return program


def _for_child(call: Call, cfg: DictConfig, overrides: Sequence[str]) -> list[str]:
    """The words for a child process, which works in the folder of the submission, wherever this one does."""
    results = quoted(str(Path(cfg.results_dir).absolute()))
    words = call.as_given([word for word in overrides if not word.startswith("hydra.")])
    return [f"results_dir={results}" if word.startswith("results_dir=") else word for word in words]


def _name_run(cfg: DictConfig, overrides: list[str]) -> None:
    """Set `run` and `run_id`; the run file is named after its run."""
    run = next(word.partition("=")[2] for word in overrides if word.startswith("run=")).strip("'\"")
    with open_dict(cfg):
        cfg.run = run
        said = cfg.get("run_id")
        cfg.run_id = run
    if said is not None and str(said) != run:
        raise ExperimentError(
            f"the run file {run}.yaml says run_id: {said}; a run file is named after its run", status=2
        )


def _complete(cfg: DictConfig) -> None:
    """Read every value once, so that a missing one or a broken interpolation is said before any work."""
    try:
        OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ExperimentError(
            f"run {cfg.run}: configuration, key {error.full_key}: {str(error).splitlines()[0]}", status=2
        ) from None


def _stop(fault: ExperimentError) -> NoReturn:
    sys.stdout.flush()
    print(fault, file=sys.stderr, flush=True)
    raise SystemExit(fault.status)
