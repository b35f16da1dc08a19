"""The section `criteria:` of config.yaml: what it may say, and reading it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from assay.evaluation.request import Direction
from assay.runtime.errors import ExperimentError

_DIRECTIONS = ("maximize", "minimize")
_MEASURES = ("relative", "absolute")
_STATISTICS = ("median", "mean")
_TESTS = ("wilcoxon", "permutation", "logrank", "none")
_CORRECTIONS = ("none", "holm", "bonferroni")
_TIME_KEYS = ("time_to", "target", "against", "score_direction")
_IMPROVEMENT_KEYS = ("at_least", "measure", "statistic")
_KEYS = (
    "metric",
    "direction",
    "improvement",
    "test",
    "alpha",
    "correction",
    "minimum_pairs",
    "share_of_settings",
    "proposed",
    "baseline",
    "settings",
)


@dataclass(frozen=True)
class Criterion:
    """One entry of `criteria:`, with what it leaves to default. docs/criteria.md explains every key.

    Attributes:
        name: The entry's name.
        series: The metric's key, or, with a target, the key of the score that is to reach it.
        target: The score whose time of arrival is the metric; None where the metric is the series' last value.
        against: The key of time.
        score_direction: Whether the score reaches the target from below (`maximize`); None: as the evaluation has it.
        direction: Which values of the metric are better; None: as the evaluation has it.
        at_least: The improvement that is asked for; negative: how much worse is still good enough.
        measure: Whether that is a share of the baseline's value or in the unit of the metric.
        statistic: What stands for a run's seeds.
        test: The significance test.
        alpha: The significance level.
        correction: The correction over the settings of this criterion.
        minimum_pairs: Fewest shared seeds at which a setting is decided.
        share_of_settings: Share of the settings that must meet the criterion, in (0, 1].
        proposed: Pattern of the proposed runs' ids; None: ids that contain `proposed`.
        baseline: Pattern of the baselines' ids; None: ids that contain `comparative` or `baseline`.
        settings: Pairs of a proposed run's id and a baseline's; None: found by their ids.
    """

    name: str
    series: str
    target: float | None = None
    against: str = "seconds"
    score_direction: Direction | None = None
    direction: Direction | None = None
    at_least: float = 0.0
    measure: Literal["relative", "absolute"] = "absolute"
    statistic: Literal["median", "mean"] = "median"
    test: Literal["wilcoxon", "permutation", "logrank", "none"] = "wilcoxon"
    alpha: float = 0.05
    correction: Literal["none", "holm", "bonferroni"] = "holm"
    minimum_pairs: int = 6
    share_of_settings: float = 1.0
    proposed: str | None = None
    baseline: str | None = None
    settings: tuple[tuple[str, str], ...] | None = None


def read_criteria(section: object) -> tuple[Criterion, ...]:
    """Reads the section `criteria:` of config.yaml.

    Args:
        section: The section: a mapping from the name of a criterion to its keys. None or empty: no criteria.

    Returns:
        The criteria in the order of the section.

    Raises:
        ExperimentError: A key is unknown or missing, or its value is not allowed; names the key, the value and what is
            allowed.
    """
    if section is None:
        return ()
    entries = _mapping(section, "criteria", "criteria by their names")
    return tuple(_read_one(str(name), entry) for name, entry in entries.items())


def _read_one(name: str, entry: object) -> Criterion:
    at = f"criteria.{name}"
    given = _mapping(entry, at, f"the keys {', '.join(_KEYS)}")
    _known_keys(given, at, _KEYS)
    if "metric" not in given:
        raise wrong(at, "lacks the key metric: the name of a metric, or {time_to: NAME, target: NUMBER}")
    options: dict[str, Any] = {"name": name, **_read_metric(given["metric"], f"{at}.metric")}
    timed = "target" in options
    if "improvement" in given:
        options |= _read_improvement(given["improvement"], f"{at}.improvement")
    for key, allowed in (("direction", _DIRECTIONS), ("test", _TESTS), ("correction", _CORRECTIONS)):
        if key in given:
            options[key] = _word(given[key], f"{at}.{key}", allowed)
    if timed and options.setdefault("direction", "minimize") != "minimize":
        raise wrong(f"{at}.direction", "is maximize, but a time to a target is better where it is shorter: minimize")
    if not timed and options.get("test") == "logrank":
        raise wrong(
            f"{at}.test", "is logrank, which compares times to a target; write metric: {time_to: ..., target: ...}"
        )
    if "alpha" in given:
        options["alpha"] = _number(given["alpha"], f"{at}.alpha", "between 0 and 1, both excluded", lambda x: 0 < x < 1)
    if "share_of_settings" in given:
        options["share_of_settings"] = _number(
            given["share_of_settings"], f"{at}.share_of_settings", "above 0 and at most 1", lambda x: 0 < x <= 1
        )
    if "minimum_pairs" in given:
        whole = _number(
            given["minimum_pairs"], f"{at}.minimum_pairs", "a whole number from 1", lambda x: x >= 1 and x == int(x)
        )
        options["minimum_pairs"] = int(whole)
    for key in ("proposed", "baseline"):
        if key in given:
            options[key] = _text(given[key], f"{at}.{key}", "a pattern of run ids, such as proposed*")
    if "settings" in given:
        options["settings"] = _read_settings(given["settings"], f"{at}.settings")
        if "proposed" in given or "baseline" in given:
            raise wrong(f"{at}.settings", "names the pairs already; leave out proposed and baseline, or settings")
    return Criterion(**options)


def _read_metric(value: object, at: str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"series": _text(value, at, "the name of a metric")}
    given = _mapping(value, at, "the name of a metric, or {time_to: NAME, target: NUMBER}")
    _known_keys(given, at, _TIME_KEYS)
    for key in ("time_to", "target"):
        if key not in given:
            raise wrong(at, f"lacks the key {key}: a time to a target is written {{time_to: NAME, target: NUMBER}}")
    read: dict[str, Any] = {
        "series": _text(given["time_to"], f"{at}.time_to", "the name of a metric"),
        "target": _number(given["target"], f"{at}.target", "a number", math.isfinite),
    }
    if "against" in given:
        read["against"] = _text(given["against"], f"{at}.against", "the key of time, such as seconds or epoch")
    if "score_direction" in given:
        read["score_direction"] = _word(given["score_direction"], f"{at}.score_direction", _DIRECTIONS)
    return read


def _read_improvement(value: object, at: str) -> dict[str, Any]:
    given = _mapping(value, at, "{at_least: NUMBER, measure: relative | absolute, statistic: median | mean}")
    _known_keys(given, at, _IMPROVEMENT_KEYS)
    for key in ("at_least", "measure"):
        if key not in given:
            raise wrong(
                at, f"lacks the key {key}; an improvement is {{at_least: NUMBER, measure: relative | absolute}}"
            )
    read: dict[str, Any] = {
        "at_least": _number(given["at_least"], f"{at}.at_least", "a number", math.isfinite),
        "measure": _word(given["measure"], f"{at}.measure", _MEASURES),
    }
    if "statistic" in given:
        read["statistic"] = _word(given["statistic"], f"{at}.statistic", _STATISTICS)
    return read


def _read_settings(value: object, at: str) -> tuple[tuple[str, str], ...]:
    wanted = "a list of [proposed run id, baseline run id]"
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise wrong(at, f"is {value!r}; it takes {wanted}")
    settings = []
    for number, entry in enumerate(value):
        if isinstance(entry, str) or not isinstance(entry, Sequence) or len(entry) != 2:
            raise wrong(f"{at}[{number}]", f"is {entry!r}; it takes {wanted}")
        proposed, baseline = (_text(run_id, f"{at}[{number}]", "two run ids") for run_id in entry)
        if proposed == baseline:
            raise wrong(f"{at}[{number}]", f"compares {proposed!r} with itself")
        settings.append((proposed, baseline))
    return tuple(settings)


def _mapping(value: object, at: str, wanted: str) -> Mapping[object, object]:
    if not isinstance(value, Mapping):
        raise wrong(at, f"is {value!r}; it takes {wanted}")
    return value


def _known_keys(given: Mapping[object, object], at: str, allowed: Sequence[str]) -> None:
    for key in given:
        if key not in allowed:
            raise wrong(
                f"{at}.{key}", f"is no key of this section; the keys are {', '.join(allowed)}{meant(key, allowed)}"
            )


def _word(value: object, at: str, allowed: Sequence[str]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise wrong(at, f"is {value!r}; it takes {' | '.join(allowed)}{meant(value, allowed)}")
    return value


def _text(value: object, at: str, wanted: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise wrong(at, f"is {value!r}; it takes {wanted}")
    return value


def _number(value: object, at: str, wanted: str, good: Callable[[float], bool]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not good(value):
        raise wrong(at, f"is {value!r}; it takes {wanted if wanted.startswith('a ') else 'a number ' + wanted}")
    return float(value)


def meant(given: object, allowed: Collection[str]) -> str:
    """A hint for the end of a sentence: what was probably meant by a word that is not allowed; empty for nothing."""
    close = difflib.get_close_matches(str(given), list(allowed), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def wrong(at: str, what: str) -> ExperimentError:
    """The fault of a place in the section, from a predicate such as `is 7; it takes a word`."""
    return ExperimentError(f"config.yaml: {at} {what}.", status=2)
