"""HPO001: an entry of a search space that nothing can be drawn from."""

from __future__ import annotations

from collections.abc import Iterator

from assay import yaml_tree
from assay.analysis.parameter_search import Searched, parameter_search
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_LOW = ("low", "min", "lower", "minimum")
_HIGH = ("high", "max", "upper", "maximum")
_CHOICES = ("choices", "values", "options", "categories", "choice")
_LOGARITHMIC = frozenset({"loguniform", "log_uniform", "log-uniform", "logfloat", "log_float"})
_RANGES = frozenset({"uniform", "float", "int", "integer", "randint", "discrete_uniform"}) | _LOGARITHMIC
_RUN = "run_id: a\noptuna:\n  n_trials: 10\n  search_space:\n"
_LR = "    training.lr: {type: loguniform, low: 1e-5, high: 1e-3}\n"


class MalformedSpace(Rule):
    """An entry of `optuna.search_space` says what a value is drawn from: a range with `low` and `high`, or a list of choices.

    Optuna refuses a range whose low end lies above its high end, a logarithmic range that does not begin above zero, and
    an empty list of choices. An entry without a value fails where its type is asked for. With `n_trials` above 0 this
    happens in the first trial, in full mode only.

    A step in a logarithmic range, and fractions as the ends of a range of whole numbers, are warnings: it depends on
    the code what becomes of them.
    """

    code = "HPO001"
    name = "malformed-search-space"
    requirements = ("E7.3",)
    message = "the search space of `{name}` {fault}"
    explanation = "Optuna cannot draw a value from it, so the first trial fails."
    repair = "Give `{name}` {change}."

    VALID = (
        Example({"config/runs/a.yaml": _RUN + _LR + "    model.rank: {type: categorical, choices: [4, 8]}\n"}),
        Example(
            {
                "config/runs/a.yaml": _RUN
                + "    lr: {type: float, min: 0.1, max: 0.2}\n    n: {type: int, low: 1, high: 9}\n"
            }
        ),
        Example(
            {
                "config/runs/a.yaml": _RUN
                + "    lr: [0.1, 0.2]\n    wd: ${shared.range}\n    b: {low: '${x}', high: 1}\n"
            }
        ),
        # config.yaml declares the name, the run fills it
        Example(
            {
                "config/config.yaml": "optuna:\n  n_trials: 0\n  search_space:\n    training.lr: null\n",
                "config/runs/a.yaml": _RUN + _LR,
            }
        ),
        Example({"config/runs/a.yaml": "optuna:\n  n_trials: 0\n  search_space: {}\n"}),
    )
    INVALID = (
        Example(
            {"config/runs/a.yaml": _RUN + "    training.lr: {type: uniform, low: 0.1, high: 0.01}\n"},
            at=("config/runs/a.yaml:5",),
            repaired={"config/runs/a.yaml": _RUN + "    training.lr: {type: uniform, low: 0.01, high: 0.1}\n"},
        ),
        Example(
            {"config/runs/a.yaml": _RUN + "    training.wd: {type: loguniform, low: 0.0, high: 0.1}\n"},
            at=("config/runs/a.yaml:5",),
            repaired={"config/runs/a.yaml": _RUN + "    training.wd: {type: uniform, low: 0.0, high: 0.1}\n"},
        ),
        Example(
            {"config/runs/a.yaml": _RUN + "    model.rank: {type: categorical, choices: []}\n    model.dropout:\n"},
            at=("config/runs/a.yaml:5", "config/runs/a.yaml:6"),
            repaired={"config/runs/a.yaml": _RUN + "    model.rank: {type: categorical, choices: [4, 8]}\n"},
        ),
        Example(
            {"config/runs/a.yaml": _RUN + "    training.lr: {type: loguniform, high: 0.1}\n"},
            at=("config/runs/a.yaml:5",),
            repaired={"config/runs/a.yaml": _RUN + _LR},
        ),
        # the code may leave the step out: a warning
        Example(
            {"config/runs/a.yaml": _RUN + "    model.width: {type: int, low: 8, high: 512, step: 8, log: true}\n"},
            at=("config/runs/a.yaml:5",),
        ),
        # nothing is searched: a warning
        Example(
            {
                "config/runs/a.yaml": "optuna:\n  n_trials: 0\n  search_space:\n    lr: {type: uniform, low: 2, high: 1}\n"
            },
            at=("config/runs/a.yaml:4",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        told: set[tuple[str, str]] = set()
        for item in parameter_search(project).searched:
            fault = _fault(item)
            if fault is None or (item.file, item.name) in told:
                continue
            told.add((item.file, item.name))
            what, change, certain = fault
            laid = project.submission.files[item.file].laid
            yield self.finding(
                item.file,
                item.key,
                severity=None if certain and item.active and not laid else Severity.WARNING,
                symbol=item.name,
                name=item.name,
                fault=what,
                change=change,
            )


def _fault(item: Searched) -> tuple[str, str, bool] | None:
    """What is wrong with an entry, what to write instead, and whether no reading of it works."""
    entry = item.entry
    if isinstance(entry, yaml_tree.Scalar):
        return ("is empty", "a type with its range or choices", True) if entry.resolve() is None else None
    if not isinstance(entry, yaml_tree.Mapping) or entry.key("<<") is not None or entry.key("_target_") is not None:
        return None
    kind = _text(entry.get("type")).lower()
    low, high = _number(entry, _LOW), _number(entry, _HIGH)
    logarithmic = kind in _LOGARITHMIC or _text(entry.get("log")).lower() in ("true", "yes", "on")
    choices = next((value for name in _CHOICES if (value := entry.get(name)) is not None), None)
    if kind == "categorical":
        if choices is None:
            return "has no choices", "a list of choices", not _holds_list(entry)
        if isinstance(choices, yaml_tree.Sequence) and not choices.items:
            return "has an empty list of choices", "at least one choice", True
        return None
    if choices is not None or (kind and kind not in _RANGES):
        return None
    if low is not None and high is not None:
        if low > high:
            return f"begins at {low:g}, above its end {high:g}", "a low end below its high end", True
        if logarithmic and low <= 0:
            return f"is logarithmic and begins at {low:g}", "a low end above 0", True
        if logarithmic and entry.get("step") is not None:
            return "is logarithmic and has a step", "either a step or a logarithmic scale", False
        if kind in ("int", "integer", "randint") and (low % 1 or high % 1):
            return "is one of whole numbers and has fractions as its ends", "whole numbers as its ends", False
        return None
    for names, others in ((_LOW, _HIGH), (_HIGH, _LOW)):
        if kind and _has(entry, others) and not _has(entry, names) and not _holds_list(entry):
            return f"has no {names[0]} end", "both ends of its range", True
    return None


def _text(node: yaml_tree.Node | None) -> str:
    return node.text if isinstance(node, yaml_tree.Scalar) else ""


def _has(entry: yaml_tree.Mapping, names: tuple[str, ...]) -> bool:
    return any(entry.get(name) is not None for name in names)


def _holds_list(entry: yaml_tree.Mapping) -> bool:
    return any(isinstance(value, yaml_tree.Sequence) for _, value in entry.items())


def _number(entry: yaml_tree.Mapping, names: tuple[str, ...]) -> float | None:
    node = next((value for name in names if (value := entry.get(name)) is not None), None)
    value = node.resolve(omegaconf=True) if isinstance(node, yaml_tree.Scalar) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
