"""What a hyper-parameter search may try: `optuna.search_space` of a configuration, checked before anything runs."""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from assay.runtime.errors import ExperimentError

if TYPE_CHECKING:
    from omegaconf import DictConfig

Value = float | int | str | bool | None

# type in the configuration -> keys it needs, keys it may have
_TYPES: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "uniform": (frozenset({"low", "high"}), frozenset({"step"})),
    "loguniform": (frozenset({"low", "high"}), frozenset()),
    "int": (frozenset({"low", "high"}), frozenset({"step", "log"})),
    "categorical": (frozenset({"choices"}), frozenset()),
}
# what says which run this is and where it goes; trying values for it would be another run, not another trial
_PROTECTED = ("optuna", "mode", "run", "run_id", "results_dir", "wandb", "hydra")


@dataclass(frozen=True)
class Parameter:
    """One searched key and the values it may take.

    Attributes:
        key: Dotted path in the configuration, list elements by number.
        kind: `float` and `int` lie in a range, `categorical` is one of the choices.
        low: Lowest value, included; 0 for `categorical`.
        high: Highest value, included; 0 for `categorical`.
        step: Distance between neighbouring values, or None where every value of the range can be drawn.
        log: Whether the logarithm is uniform.
        choices: The choices of `categorical`.
    """

    key: str
    kind: Literal["float", "int", "categorical"]
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    choices: tuple[Value, ...] = ()

    def described(self) -> str:
        """The parameter as text; equal exactly where two parameters draw alike."""
        if self.kind == "categorical":
            return f"one of {list(self.choices)!r}"
        scale = ", log" if self.log else ""
        step = f", step {self.step!r}" if self.step is not None else ""
        return f"{self.kind} from {self.low!r} to {self.high!r}{step}{scale}"


@dataclass(frozen=True)
class SearchSpace:
    """All searched keys, in the order of the configuration."""

    parameters: tuple[Parameter, ...]

    def apply(self, cfg: DictConfig, values: Mapping[str, Any]) -> DictConfig:
        """A copy of a configuration with values set.

        Interpolations in the copy follow the new values. The copy is in struct mode, so that no misspelt key can be set
        or read.

        Args:
            cfg: The configuration that the space was read from; it stays as it is.
            values: One value for each dotted key of the space.

        Returns:
            The new configuration.

        Raises:
            ValueError: A value is missing, or is given for a key that is not searched.
        """
        import copy

        from omegaconf import OmegaConf, read_write

        keys = {parameter.key for parameter in self.parameters}
        if keys != set(values):
            raise ValueError(f"values are for {sorted(values)}, the search space has {sorted(keys)}")
        candidate = copy.deepcopy(cfg)
        with read_write(candidate):
            for key, value in values.items():
                OmegaConf.update(candidate, key, value, merge=False)
        OmegaConf.set_struct(candidate, True)
        return candidate


def read_space(cfg: DictConfig) -> SearchSpace:
    """The search space of a configuration.

    Names in `optuna.search_space` are dotted paths, or the last part of one where exactly one key of the configuration
    has it.

    Args:
        cfg: The configuration of a run, with `optuna.search_space`.

    Returns:
        The space, with at least one parameter.

    Raises:
        ExperimentError: An entry cannot be drawn from, or does not fit the key it names (exit status 2).
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        given = cfg.optuna.get("search_space")
        section = OmegaConf.to_container(given, resolve=True) if OmegaConf.is_config(given) else given or {}
    except OmegaConfBaseException as error:
        raise _fault(f"optuna.search_space cannot be resolved: {error}") from error
    if not isinstance(section, dict):
        raise _fault("optuna.search_space is not a mapping of names to ranges or choices")
    if not section:
        raise _fault(
            "optuna.n_trials is above 0 and optuna.search_space is empty: name what to search, or set n_trials: 0"
        )
    leaves = _Leaves(cfg)
    named: dict[str, str] = {}
    parameters = []
    for given, entry in section.items():
        name = str(given)
        parameter = _parameter(name, entry, leaves)
        if parameter.key in named:
            raise _fault(f"optuna.search_space names {parameter.key} twice, as {named[parameter.key]} and as {name}")
        named[parameter.key] = name
        parameters.append(parameter)
    return SearchSpace(tuple(parameters))


def _parameter(name: str, entry: object, leaves: _Leaves) -> Parameter:
    """One entry, checked by itself and against the key it names."""
    at = f"optuna.search_space: {name}"
    if not isinstance(entry, dict):
        raise _fault(
            f"{at} is {entry!r}: write {{type: ..., low: ..., high: ...}} or {{type: categorical, choices: [...]}}"
        )
    if "type" not in entry:
        inner = next((key for key, value in entry.items() if isinstance(value, dict)), None)
        hint = f"; for a key inside {name}, write {name}.{inner}: {{...}}" if inner is not None else ""
        raise _fault(f"{at} has no type: give one of {', '.join(_TYPES)}{hint}")
    kind = entry["type"]
    if kind not in tuple(_TYPES):
        near = difflib.get_close_matches(str(kind).lower(), _TYPES, 1, 0.5)
        hint = f"did you mean {near[0]}? " if near else ""
        raise _fault(f"{at} has the unknown type {kind!r}: {hint}There are {', '.join(_TYPES)}")
    needed, possible = _TYPES[kind]
    keys = {str(key) for key in entry} - {"type"}
    if missing := sorted(needed - keys):
        raise _fault(f"{at} is {kind} and has no {' and no '.join(missing)}")
    if extra := sorted(keys - needed - possible):
        allowed = sorted(needed | possible)
        raise _fault(
            f"{at} is {kind} and has {', '.join(extra)}, which it does not know: it takes {', '.join(allowed)}"
        )
    key = leaves.found(name)
    if kind == "categorical":
        parameter = _categorical(at, key, entry["choices"])
    else:
        parameter = _range(at, key, kind, entry)
    _fits(at, parameter, leaves.values[key])
    return parameter


def _categorical(at: str, key: str, choices: object) -> Parameter:
    if not isinstance(choices, list) or not choices:
        raise _fault(f"{at} has no choices: list at least one")
    seen: list[tuple[type, object]] = []
    for choice in choices:
        if not isinstance(choice, bool | int | float | str | None):
            raise _fault(f"{at} has the choice {choice!r}: choices are numbers, texts, true, false or null")
        if isinstance(choice, float) and not math.isfinite(choice):
            raise _fault(f"{at} has the choice {choice!r}, which is not a finite number")
        # 1, 1.0 and true are one choice to Optuna, which finds them by comparing
        if any(choice == other for _, other in seen):
            raise _fault(f"{at} has the choice {choice!r} twice")
        seen.append((type(choice), choice))
    return Parameter(key, "categorical", choices=tuple(choices))


def _range(at: str, key: str, kind: str, entry: Mapping[Any, Any]) -> Parameter:
    whole = kind == "int"
    low, high = (_number(at, end, entry[end], whole) for end in ("low", "high"))
    log = entry.get("log", kind == "loguniform")
    if not isinstance(log, bool):
        raise _fault(f"{at} has log: {log!r}: write true or false")
    step = None if entry.get("step") is None else _number(at, "step", entry["step"], whole)
    if low > high:
        raise _fault(f"{at} begins at {low}, above its end {high}")
    if log and low <= 0:
        raise _fault(f"{at} is logarithmic and begins at {low}: a logarithm needs a low end above 0")
    if step is not None:
        if step <= 0:
            raise _fault(f"{at} has step {step}: a step is above 0")
        if log and step != 1:
            raise _fault(f"{at} is logarithmic and has a step: leave out one of them")
        # decimal text, because 0.3 is no multiple of 0.1 in binary
        if (Fraction(str(high)) - Fraction(str(low))) % Fraction(str(step)):
            raise _fault(
                f"{at} does not reach its end {high} from {low} in steps of {step}: choose an end that is reached"
            )
    return Parameter(key, "int" if whole else "float", low, high, None if log else step, log)


def _number(at: str, end: str, value: object, whole: bool) -> float:
    if isinstance(value, str):
        hint = ""
        with contextlib.suppress(ValueError):
            hint = f", without quotes: {float(value)!r}"
        raise _fault(f"{at} has the text {value!r} as its {end}: write a number{hint}")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _fault(f"{at} has {value!r} as its {end}: write a finite number")
    if whole and not isinstance(value, int):
        raise _fault(f"{at} is of whole numbers and has {value!r} as its {end}: write a whole number, or type: uniform")
    return value


def _fits(at: str, parameter: Parameter, present: object) -> None:
    """Whether values drawn are of the kind that the key has now; null and ??? say nothing about a kind."""
    if present is None or present == "???":
        return
    drawn: tuple[object, ...] = parameter.choices
    if parameter.kind != "categorical":
        drawn = (parameter.low,) if parameter.kind == "int" else (0.5,)
    for value in drawn:
        if value is None:
            continue
        if _kind(value) != _kind(present):
            shown = (
                "is drawn from a range of numbers" if parameter.kind != "categorical" else f"has the choice {value!r}"
            )
            raise _fault(
                f"{at} {shown}, and {parameter.key} is {present!r}, {_kind(present)}: give values of that kind, "
                f"or change what {parameter.key} is without a search"
            )
        if isinstance(present, int) and isinstance(value, float):
            raise _fault(
                f"{at} gives fractions, and {parameter.key} is the whole number {present}: "
                f"use type: int, or write {parameter.key} as {float(present)}"
            )


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "text" if isinstance(value, str) else f"a {type(value).__name__}"


class _Leaves:
    """The keys of a configuration that hold one value each.

    Attributes:
        values: Dotted path -> value, or the text of an interpolation.
        sections: Dotted paths of mappings and lists.
    """

    def __init__(self, cfg: DictConfig) -> None:
        from omegaconf import OmegaConf

        self.values: dict[str, object] = {}
        self.sections: set[str] = set()
        self._linked: dict[str, str] = {}
        # unresolved, because an interpolation is a link that a value would cut
        for path, value in walk(OmegaConf.to_container(cfg, resolve=False)):
            if isinstance(value, dict | list):
                self.sections.add(path)
                continue
            self.values[path] = value
            if isinstance(value, str) and "${" in value:
                self._linked[path] = value

    def found(self, name: str) -> str:
        """The dotted path that a name means."""
        at = f"optuna.search_space: {name}"
        if name.split(".")[0] in _PROTECTED:
            raise _fault(f"{at} belongs to what says which run this is, and cannot be searched")
        for path, link in self._linked.items():
            if name == path or name.startswith(path + "."):
                raise _fault(
                    f"{at} would cut a link: {path} is {link}. Search the key that it points to "
                    f"({_source(link, name[len(path) :])})"
                )
        if name in self.values:
            return name
        if name in self.sections:
            raise _fault(f"{at} is a section of the configuration, not one value: name a key inside it")
        candidates = [path for path in self.values if _open(path) and path.split(".")[-1] == name]
        links = [path for path in candidates if path in self._linked]
        own = [path for path in candidates if path not in self._linked]
        if len(own) > 1:
            raise _fault(f"{at} could be {' or '.join(own)}: write one of them")
        if own:
            # links elsewhere with this name follow their own source, which is often this key
            return own[0]
        if links:
            return self.found(links[0])
        names = sorted({path for path in self.values if _open(path)} | {path.split(".")[-1] for path in self.values})
        near = difflib.get_close_matches(name, names, 3, 0.6)
        hint = f": did you mean {' or '.join(near)}?" if near else ": every searched name is a key of the configuration"
        raise _fault(f"{at} is no key of the configuration{hint}")


def walk(node: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every node of nested mappings and lists but the root, with its dotted path; mappings before their entries."""
    children: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(node, dict):
        children = iter(node.items())
    elif isinstance(node, list):
        children = iter(enumerate(node))
    for key, value in children:
        inner = f"{path}.{key}" if path else str(key)
        yield inner, value
        yield from walk(value, inner)


def _open(path: str) -> bool:
    return path.split(".")[0] not in _PROTECTED


def _source(link: str, rest: str) -> str:
    """What an interpolation points to, as far as it can be told from its text."""
    inner = link[2:-1] if link.startswith("${") and link.endswith("}") and link.count("${") == 1 else ""
    return inner + rest if inner and ":" not in inner else "the keys named there"


def _fault(text: str) -> ExperimentError:
    return ExperimentError(text, status=2)
