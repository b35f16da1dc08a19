"""What the functions of Optuna do."""

from __future__ import annotations

from assay.analysis.enactment.describing import describe
from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.registry import Call, pattern
from assay.analysis.enactment.values import ANYTHING, Choice, External, Pairs


def is_study(path: str) -> bool:
    """Whether a path leads to a study or trial."""
    return path.startswith("optuna.") and any(
        word in path for word in ("create_study()", "Study", "load_study()", "Trial")
    )


def suggested(machine: Machine) -> Pairs:
    """The parameters that the search has suggested so far."""
    names: dict[object, object] = {}
    is_open = False
    for event in machine.events:
        if event["kind"] == "suggest":
            name = event["name"]
            if isinstance(name, str):
                names[name] = External("optuna.Study.best_params[]", frozenset({name}))
            else:
                is_open = True
    return Pairs(names, open=is_open or not names, region=machine.region)


@pattern(r"^optuna\.(\w+\.)*Trial\.suggest_\w+$")
def _suggest(call: Call) -> object:
    machine = call.machine
    name = call.first(0, "name", ANYTHING)
    marks: set[str] = set()
    for one in name.values if isinstance(name, Choice) else (name,):
        machine.emit(
            "suggest", call.node, name=one if isinstance(one, str) else None,
            positional=[describe(machine, value) for value in call.positional[1:]],
            keywords={word: describe(machine, value) for word, value in call.keywords.items()},
        )  # fmt: skip
        marks.add(one if isinstance(one, str) else "?")
    return External("optuna.Trial.suggest()", frozenset(marks))


@pattern(r"^optuna\.(\w+\.)*(create_study|load_study|Study)\(\)\.optimize$")
def _optimize(call: Call) -> object:
    machine = call.machine
    objective = call.first(0, "func", ANYTHING)
    trials = call.first(1, "n_trials", None)
    if isinstance(trials, int) and trials <= 0:
        return None
    machine.emit("search", call.node, phase="begin", trials=trials if isinstance(trials, int) else None)
    machine.emit("search-scope", call.node, begins=machine.steps)
    result = machine.search(objective, [External("optuna.Trial")], call.node, "catch" in call.keywords)
    machine.emit("search", call.node, phase="end", returns=describe(machine, result))
    return None
