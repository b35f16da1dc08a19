"""What the parts of `assay.runtime` and `assay.evaluation` do, the library of this package that a submission may use.

What the library has as pure functions is carried out by these themselves, so that both cannot differ.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from assay.analysis.enactment.configurations import MARK
from assay.analysis.enactment.describing import describe, plain_of
from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.operations import join_path
from assay.analysis.enactment.regions import SEARCH
from assay.analysis.enactment.registry import Call, model
from assay.analysis.enactment.values import (
    ANYTHING,
    Choice,
    External,
    FilePath,
    Instance,
    Items,
    Method,
    Node,
    Pairs,
)
from assay.analysis.own_library import ADDED_KEYS, BEST_WEIGHTS, EVALUATE, LAUNCH, REPORT, RUN, TRACKER, member, misfit


@dataclass(slots=True)
class RunningExperiment:
    """What the library's `Run` knows.

    Args:
        config: The configuration that the program was given.
        run: Id of the run.
        mode: `trial` or `full`.
        results: The folder of the results.
        arguments: The words of the command line, None for one that is not known.
    """

    config: Node
    run: str
    mode: str
    results: str | None
    arguments: list[str | None]


def library_attribute(machine: Machine, receiver: External, name: str, node: ast.AST) -> object:
    """`value.name`, of what the library makes."""
    path = f"{receiver.path}.{name}"
    if isinstance(node, ast.Attribute) and not name.startswith("_") and member(path) is None:
        machine.emit("misused", node, what=path.removeprefix("assay.runtime."), fault="there is no such attribute")
    if receiver.path == RUN:
        return _run_attribute(machine, name)
    is_called = receiver.path == TRACKER and name in ("log", "summarize", "mean", "values")
    return Method(receiver, name) if is_called else receiver.then(f".{name}")


def check_call(call: Call, path: str) -> None:
    """Record a call of the library that Python refuses: an argument is missing, or there is none of the name."""
    fault = "" if call.is_open else misfit(path, len(call.positional), tuple(call.keywords))
    if fault:
        what = path.removeprefix("assay.").removeprefix("runtime.").removeprefix("evaluation.")
        call.machine.emit("misused", call.node, what=f"{what}()", fault=fault)


def _run_attribute(machine: Machine, name: str) -> object:
    running = machine.running
    if isinstance(running, RunningExperiment):
        if name == "id":
            return running.run
        if name == "mode":
            return running.mode
        if name == "is_trial":
            return running.mode == "trial"
        if name == "folder" and running.results is not None:
            return FilePath(join_path(running.results, running.run))
        if name == "arguments":
            words = [ANYTHING if word is None else word for word in running.arguments]
            return Items(list(words), region=machine.region)
    return External(RUN).then(f".{name}")


# -- searching ---------------------------------------------------------------------------------------------------------


@model(f"{RUN}.search")
def _search(call: Call) -> object:
    from assay.runtime.errors import ExperimentError
    from assay.runtime.search_settings import read_settings

    machine = call.machine
    running = machine.running
    objective = call.first(0, "objective", ANYTHING)
    machine.emit("read", call.node, path="optuna", by="items", found=True)
    if not isinstance(running, RunningExperiment) or not isinstance(running.config.config, DictConfig):
        machine.callbacks([objective], call.node)
        return ANYTHING
    config = running.config.config
    configurations = machine.configurations
    optuna = config.get("optuna")
    trials = configurations.abstract(optuna.get("n_trials")) if isinstance(optuna, DictConfig) else 0
    known = configurations.is_sure_below(config)
    known = known and not (configurations.held and MARK in OmegaConf.to_yaml(config))
    if known and not trials:
        return running.config
    try:
        settings = read_settings(config) if known else None
    except ExperimentError as fault:
        machine.emit("refused", call.node, **_refusal("search", str(fault), "optuna"))
        settings = None
    if settings is None:
        # what is tried, and what comes out of it, is not known
        candidate = configurations.copied(running.config)
        configurations.shake(candidate.config)
        machine.search(objective, [candidate, External(REPORT)], call.node, False)
        return candidate
    space = settings.space
    keys = {str(name): one.key for name, one in zip(config.optuna.search_space, space.parameters, strict=True)}
    for name, key in keys.items():
        machine.emit("suggest", call.node, name=name, positional=[], keywords={})
        machine.emit("write", call.node, path=key, marks=(name,))

    def filled(path: str) -> Node:
        values = {key: configurations.hold(External(path, frozenset({name}))) for name, key in keys.items()}
        return configurations.made(space.apply(config, values))

    machine.emit(
        "search", call.node, phase="begin", trials=trials if isinstance(trials, int) else None, by_library=True
    )
    result = machine.search(objective, [filled("optuna.Trial.suggest()"), External(REPORT)], call.node, False)
    machine.emit("search", call.node, phase="end", returns=describe(machine, result))
    return filled("optuna.Study.best_params[]")


def _refusal(program: str, message: str, key: str | None) -> dict[str, object]:
    """The data of a `refused` event of the library's own."""
    return {"cause": "library", "message": message, "override": None, "blamed": None, "key": key, "program": program}


# -- loops -------------------------------------------------------------------------------------------------------------


@model(f"{RUN}.seeds")
def _seeds(call: Call) -> object:
    machine = call.machine
    given = call.first(0, "seeds", ANYTHING)
    turns = machine.turns(given, keep=True)
    machine.emit("seeds", call.node, count=None if turns is None else len(turns))
    if turns is not None and len(turns) == 1:
        return Items(turns, "iterator", region=machine.region)
    return External(f"{RUN}.seeds()")


@model(f"{RUN}.epochs", open_too=True)
def _epochs(call: Call) -> object:
    machine = call.machine
    count = call.first(0, "count", ANYTHING)
    machine.emit("epochs", call.node, count=count if isinstance(count, int) else None)
    for part in call.keywords.values():
        # what a class of the submission does when its state is saved or restored
        for name in ("state_dict", "load_state_dict") if isinstance(part, Instance) else ():
            method = part.cls.method(name) if isinstance(part, Instance) else None
            if method is not None:
                machine.callbacks([method.bound_to(part)], call.node)
    if count == 1:
        return Items([0], "iterator", region=machine.region)
    return External(f"{RUN}.epochs()")


@model(f"{RUN}.batches")
def _batches(call: Call) -> object:
    loader = call.first(0, "loader", ANYTHING)
    if isinstance(loader, Items | Instance | Choice):
        return loader
    return External(f"{RUN}.batches()")


@model(f"{RUN}.accumulated", "assay.runtime.accumulated")
def _accumulated(call: Call) -> object:
    return External(f"{RUN}.accumulated()")


@model("assay.runtime.BestWeights")
def _best_weights(call: Call) -> object:
    return External(BEST_WEIGHTS)


# -- tracking ----------------------------------------------------------------------------------------------------------


@model(f"{RUN}.track", open_too=True)
def _track(call: Call) -> object:
    machine = call.machine
    series = _names(machine, call.keywords.get("series", ANYTHING))
    summary = _names(machine, call.keywords.get("summary", ANYTHING))
    config = call.first(0, "cfg", ANYTHING)
    for what, names in (("series", series), ("summary", summary)):
        for name in names or ():
            if name in ADDED_KEYS or name.startswith("_"):
                why = "is tracked by itself" if name in ADDED_KEYS else "is W&B's, as all names that begin with `_`"
                machine.emit("refused", call.node, **_refusal("track", f"{what}: {name!r} {why}", None))
    if _is_searching(machine):
        said = "a run is not tracked within a search"
        machine.emit("refused", call.node, **_refusal("track", said, None))
    whole = isinstance(config, Node) and not machine.configurations.path_of(config.config)
    machine.emit("track", call.node, series=series, summary=summary, whole=whole)
    return External(TRACKER, keys=(("series", series), ("summary", summary)))


def _is_searching(machine: Machine) -> bool:
    return any(region == SEARCH for _, region in machine.regions)


def tracker_method(call: Call, receiver: External) -> object:
    """`tracker.log(values)`, `tracker.summarize(values)`, and `tracker.mean(name)`."""
    machine = call.machine
    check_call(call, f"{TRACKER}.{call.name}")
    if call.name in ("mean", "values"):
        name, registered = call.first(0, "name", ANYTHING), dict(receiver.keys).get("series")
        if isinstance(name, str) and isinstance(registered, tuple) and name not in registered:
            said = f"tracker.{call.name}: {name!r} is none of the series"
            machine.emit("refused", call.node, **_refusal("track", said, None))
        return External(f"{TRACKER}.{call.name}()")
    values = call.first(0, "values", ANYTHING)
    kind = "series" if call.name == "log" else "summary"
    known = isinstance(values, Pairs) and not values.attributes
    keys = sorted(str(key) for key in values.pairs if isinstance(key, str)) if isinstance(values, Pairs) else []
    doubtful = [str(key) for key in values.doubtful] if isinstance(values, Pairs) else []
    machine.emit(
        "tracked", call.node, what=kind, keys=keys, doubtful=sorted(doubtful), registered=dict(receiver.keys).get(kind),
        open=not known or call.is_open or (isinstance(values, Pairs) and values.open),
        searching=_is_searching(machine),
    )  # fmt: skip
    return None


def _names(machine: Machine, value: object) -> tuple[str, ...] | None:
    """The texts that a value holds; None where they are not all known."""
    turns = machine.turns(value, keep=True)
    if turns is None or not all(isinstance(one, str) for one in turns):
        return None
    return tuple(str(one) for one in turns)


# -- programs ----------------------------------------------------------------------------------------------------------


@model(LAUNCH, open_too=True)
def _launch(call: Call) -> object:
    machine = call.machine
    module = machine.text_of(call.first(0, "module", ANYTHING))
    words = machine.turns(call.first(1, "arguments", Items([])), keep=True)
    shown = (
        None
        if words is None or module is None or call.is_open
        else ["python", "-u", "-m", module, *map(machine.text_of, words)]
    )
    own = {name.partition(".")[0] for name in machine.module_paths}
    is_there = {module, f"{module}.__main__"} & machine.module_paths.keys()
    if module is not None and module.partition(".")[0] in own and not is_there and "directory" not in call.keywords:
        machine.emit("refused", call.node, **_refusal("launch", f"there is no module {module}", None))
    machine.emit(
        "launch", call.node, words=shown, cwd=None, has_cwd="directory" in call.keywords,
        has_env="environment" in call.keywords,
        environment={str(key): one for key, one in machine.environment.pairs.items() if isinstance(one, str)},
        by_library=True,
    )  # fmt: skip
    return External(f"{LAUNCH}()")


@model(EVALUATE, open_too=True)
def _evaluate(call: Call) -> object:
    machine = call.machine
    given = call.keywords
    metrics = [_metric(one) for one in ([given["primary"]] if "primary" in given else call.positional)]
    curves = _names(machine, given.get("curves", Items([])))
    targets = given.get("targets")
    named = _names(machine, Items([]) if targets is None else targets)
    confusion, against = given.get("confusion"), given.get("against", "epoch")
    known = None not in (curves, named) and isinstance(confusion, str | None) and isinstance(against, str)
    known = known and not {"arguments", "config"} & given.keys()
    fault = _request_fault(metrics, curves, str(against), targets) if known else ""
    if fault:
        machine.emit("refused", call.node, **_refusal("evaluate", fault, None))
    machine.emit(
        "evaluate", call.node, metrics=metrics, curves=curves or (),
        confusion=confusion if isinstance(confusion, str) else None, targets=named or (),
        against=against if isinstance(against, str) else None, known=known and not call.is_open,
    )  # fmt: skip
    return None


def _request_fault(
    metrics: list[list[str] | None], curves: tuple[str, ...] | None, against: str, targets: object
) -> str:
    """Why the library refuses what it is asked to compare; empty where it does not."""
    from assay.evaluation.request import Metric, make_request
    from assay.runtime.errors import ExperimentError

    wanted = plain_of(Pairs() if targets is None else targets)
    try:
        made = [Metric(one[0], one[1]) for one in metrics if one is not None]  # type: ignore[arg-type]
        if len(made) == len(metrics) and isinstance(wanted, dict):
            make_request(made, curves or (), against, None, None, wanted)
    except ExperimentError as fault:
        return str(fault)
    return ""


def _metric(value: object) -> list[str] | None:
    """Name and direction of a metric; None where they are not known."""
    if not isinstance(value, External) or value.path != "assay.evaluation.Metric()":
        return None
    keys = dict(value.keys)
    name, direction = keys.get("name", keys.get("0")), keys.get("direction", keys.get("1"))
    return [name, direction] if isinstance(name, str) and isinstance(direction, str) else None
