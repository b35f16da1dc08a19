"""LIB001: the library refuses to start a run, or to search."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from assay import yaml_tree
from assay.analysis.enacted_runs import Program, Seen
from assay.analysis.hydra_entry import hydra_entry
from assay.analysis.library_use import library_use, starts_by_library
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode
from assay.finding import Consequence, Frame, Severity
from assay.rules.rule import Example, Outcome, Place, Proved, Rule

_MAIN = """from assay.runtime import experiment, launch


@experiment
def main(cfg, run):
    launch("src.train", run.arguments, folder=run.folder)


if __name__ == "__main__":
    main()
"""
_TRAIN = """from assay.runtime import experiment


def fit(cfg, report=None):
    return cfg.training.lr


@experiment
def main(cfg, run):
    cfg = run.search(lambda candidate, report: fit(candidate, report))
    fit(cfg)


if __name__ == "__main__":
    main()
"""
_CONFIG = "run: ???\nresults_dir: ???\nmode: ???\n"
_RUN = """run_id: a
training: {lr: 0.1}
optuna:
  n_trials: 5
  direction: maximize
  search_space:
    training.lr: {type: loguniform, low: 0.01, high: 1.0}
"""


def _files(main: str = _MAIN, train: str = _TRAIN, run: str = _RUN, config: str = _CONFIG) -> dict[str, str]:
    return {"src/main.py": main, "src/train.py": train, "config/config.yaml": config, "config/runs/a.yaml": run}


_CHANGES = {
    "search": "Name what is searched as the configuration does.",
    "evaluate": "Name each metric once, with `maximize` or `minimize`.",
    "launch": "Name a module of the submission, such as src.train.",
    "track": "Register what is tracked, but nothing that the tracker adds, and track after the search.",
}


class RefusedStart(Rule):
    """`assay.runtime` refuses a call, a configuration or a search space, in one line, before anything is trained.

    A run file is named after its run; no value may be missing; every name in `optuna.search_space` is a key of the
    configuration; main passes on `run.arguments`; the function under `@experiment` takes the configuration and the run.
    The check is the library's own, made for every run and in both modes. Words that make train another run than main was
    asked for break the contract.

    Where main and train begin with `@experiment` and everything is known of them, the rows that the library keeps by
    itself are met.
    """

    code = "LIB001"
    name = "refused-by-the-runtime"
    gate = "compose"
    requirements = ("E2.1", "E2.2", "E2.3", "E2.4", "E6.1", "E6.2", "E7.3", "E9.3")
    consequence = Consequence.CRASHES
    message = "the library refuses {what}: {said}"
    explanation = "The program ends there ({which})."
    repair = "{change}"

    VALID = (
        Example(_files()),
        # the last part of a key will do where one key has it
        Example(_files(run=_RUN.replace("training.lr:", "lr:"))),
        # the run file in the other folder, without an id of its own
        Example({path.replace("/runs/", "/run/"): text for path, text in _files(run=_RUN[10:]).items()}),
        # a package of its own has the name of the library: what it does is not known
        Example(
            {**_files(run=_RUN.replace("run_id: a", "run_id: b")), "assay/runtime.py": "def experiment(main): ...\n"}
        ),
        # nothing is searched
        Example(_files(run=_RUN.replace("n_trials: 5", "n_trials: 0").replace("training.lr:", "warmup:"))),
    )
    INVALID = (
        # a searched name that is in the configuration of another run only
        Example(
            {
                **_files(),
                "config/runs/b.yaml": _RUN.replace("run_id: a", "run_id: b").replace("training.lr:", "model.dropout:"),
            },
            at=("config/runs/b.yaml:7",),
            repaired={"config/runs/b.yaml": _RUN.replace("run_id: a", "run_id: b")},
        ),
        Example(
            _files(run=_RUN.replace("run_id: a", "run_id: b")),
            at=("config/runs/a.yaml:1",),
            repaired={"config/runs/a.yaml": _RUN},
        ),
        Example(
            _files(config=_CONFIG + "wandb:\n  entity: ???\n"),
            at=("config/config.yaml:5",),
            repaired={"config/config.yaml": _CONFIG + "wandb: {entity: lab}\n"},
        ),
        # a word that is no mode
        Example(
            _files(_MAIN.replace("run.arguments", "[f'run={run.id}', 'results_dir=results', 'mode=test']")),
            at=("src/main.py:6",),
            repaired={"src/main.py": _MAIN},
        ),
        # a mode that is always the same
        Example(
            _files(_MAIN.replace("run.arguments", "[f'run={run.id}', 'results_dir=results', 'mode=trial']")),
            at=("src/main.py:6",),
            repaired={"src/main.py": _MAIN},
        ),
        Example(
            _files(_MAIN.replace('"src.train"', '"src.trian"')),
            at=("src/main.py:6",),
            repaired={"src/main.py": _MAIN},
        ),
        # the child is told another run than there is
        Example(
            _files(_MAIN.replace("run.arguments", "['run=b', 'results_dir=results', f'mode={run.mode}']")),
            at=("src/main.py:6",),
            repaired={"src/main.py": _MAIN},
        ),
        Example(
            _files(_MAIN.replace("main(cfg, run)", "main(cfg)")),
            at=("src/main.py:5",),
            repaired={"src/main.py": _MAIN},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        for role in ("main", "train"):
            entry = hydra_entry(project.role(role))
            function = entry.function if entry is not None and starts_by_library(project, role) else None
            if entry is not None and function is not None and not _takes_two(function):
                yield self.finding(
                    entry.file.path,
                    function,
                    requirements=("E2.3",),
                    symbol=function.name,
                    what=f"`{function.name}`",
                    said="it is called with the configuration and the run",
                    which=f"each run, in {role}",
                    change="Let it take two arguments: `def main(cfg, run)`.",
                )
        told: set[str] = set()
        refused = [one for one in project.enactment.seen("refused") if one.data["cause"] == "library"]
        for one in sorted(refused, key=lambda one: len(one.programs[0].parents)):
            said = str(one.data["message"])
            if said in told:
                continue
            told.add(said)
            yield self._refusal(project, one, said)
        yield from self._other_runs(project)
        yield Proved(tuple(library_use(project).proved()))

    def _other_runs(self, project: Project) -> Iterator[Outcome]:
        """The places where main starts train as another run, or in another mode, than it was asked for, and only so."""
        told: set[tuple[str, int]] = set()
        programs = project.enactment.of(project.contract.role("train"))
        asked = {(one.run, one.mode) for one in programs if _is_asked_for(one)}
        for program in programs if starts_by_library(project, "train") else ():
            if not program.parents or program.composed != "yes" or (program.run, program.mode) in asked:
                continue
            launch = program.parents[-1]
            place = (str(launch["file"]), int(str(launch["line"])))
            if launch["certain"] != "yes" or place in told or not project.enactment.complete:
                continue
            told.add(place)
            yield self.finding(
                place[0],
                place[1],
                requirements=("E2.3", "E9.3"),
                consequence=Consequence.BREAKS_CONTRACT,
                run=program.run,
                message="main starts train as run={run_then} mode={mode_then}, whatever it was asked for",
                explanation="The command for run {run_now} in {mode_now} mode does something else.",
                repair="Pass on `run.arguments`.",
                run_then=program.keys["run"],
                mode_then=program.keys["mode"],
                run_now=program.run,
                mode_now=program.mode,
            )

    def _refusal(self, project: Project, one: Seen, said: str) -> Outcome:
        path, place = _place(project, one, said)
        parents = one.programs[0].parents
        at = str(one.data["program"])
        sure = one.sure and not one.guarded and all(parent["certain"] != "maybe" for parent in parents)
        return self.finding(
            path,
            place,
            severity=Severity.BLOCKING if sure else Severity.WARNING,
            requirements={"search": ("E7.3",), "track": ("E6.1", "E6.2"), "evaluate": ("E2.4",)}.get(
                at, self.requirements[:3]
            ),
            symbol=str(one.data["key"] or "") or None,
            run=one.runs[0] if len(one.runs) == 1 else None,
            detail=said,
            frames=(Frame(one.file, one.line),),
            what={
                "search": "the search",
                "track": "to track",
                "launch": "to start a child",
                "evaluate": "to compare",
            }.get(at, "to start"),
            said=said.removeprefix("optuna.search_space: ").rstrip("."),
            which=one.where(),
            change=_CHANGES.get(at, "Say what the library asks for."),
        )


def _is_asked_for(program: Program) -> bool:
    """Whether a program was started as the run, and in the mode, that main was asked for."""
    keys = program.keys
    if not isinstance(keys, Mapping) or not {"run", "mode"} <= keys.keys():
        return True
    return (str(keys["run"]), keys["mode"]) == (str(program.run), program.mode)


def _takes_two(function: FunctionNode) -> bool:
    """Whether a function can be called with two positional arguments."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args]
    required = len(named) - len(arguments.defaults)
    most = 2 if arguments.vararg is not None else len(named)
    return required <= 2 <= most and all(default is not None for default in arguments.kw_defaults)


def _place(project: Project, one: Seen, said: str) -> tuple[str, Place]:
    """What is to blame: a key of the configuration, or else the words that main passes on."""
    key = str(one.data["key"] or "")
    parts = key.split(".") if key else []
    if key == "optuna":
        if named := re.match(r"optuna\.search_space: ([^ ]+) ", said):
            parts = ["optuna", "search_space", named.group(1)]
        elif named := re.match(r"optuna\.(\w+)", said):
            parts = ["optuna", named.group(1)]
    config = project.yaml.get(project.contract.role("config") or "")
    runs = (
        [file for path, file in project.run_files.items() if path.rpartition("/")[2] == f"{one.runs[0]}.yaml"]
        if one.runs
        else []
    )
    for file in [*runs, *([config] if config is not None else [])] if parts else []:
        above = yaml_tree.find(file.root, *parts[:-1])
        node = above.key(parts[-1]) if isinstance(above, yaml_tree.Mapping) else None
        if node is not None:
            return file.path, node
    parents = one.programs[0].parents
    if parents and not key and one.data["program"] not in _CHANGES:
        return str(parents[-1]["file"]), int(str(parents[-1]["line"]))
    return one.file, one.place
