"""What a known cause is: how its stop looks, what it means in plain words, and what repairs it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from assay.analysis.project import Project
from assay.trial.record import Step, Stop, TrialFrame

Words = dict[str, str]
Points = Callable[[Stop, Step, Project, Words], Iterable[TrialFrame]]


@dataclass(frozen=True, slots=True)
class Known:
    """A cause that stops have in common.

    Args:
        name: The cause in a few words joined by hyphens.
        types: Last parts of the names of exceptions; any where empty.
        pattern: What the message looks like. Its named groups fill the texts below.
        sentence: What is wrong, in plain words; a format string without a full stop.
        repair: The smallest change that mends it; a format string.
        action: What the rehearsal does so that it can go on, as `trial.repairs` takes it; a format string.
        doubt: Why such a stop does not prove that the submission is at fault; empty where it does.
        area: What it is about: `configuration`, `packaging`, `data`, `model`, `training`, `tracking`, `evaluation`,
            `launch`; empty where that depends on the place.
        inside: A pattern that some library frame's module, or the traceback's text, must match.
        points: Further places of the submission that the stop is about.
        fill: More words for the texts, from the stop itself; None where the cause does not fit after all.
    """

    name: str
    types: tuple[str, ...]
    pattern: re.Pattern[str]
    sentence: str
    repair: str
    action: str = ""
    doubt: str = ""
    area: str = ""
    inside: re.Pattern[str] | None = None
    points: Points | None = None
    fill: Callable[[Stop, Step, Project, Words], Words | None] | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """The cause of one stop.

    Args:
        name: Name of the known cause; empty where the stop is like none.
        sentence: What is wrong, in plain words, without a full stop.
        repair: The smallest change that mends it.
        action: What the rehearsal does so that it can go on; empty where nothing is known.
        doubt: Why the stop does not prove that the submission is at fault; empty where it does.
        area: What it is about.
        places: Further places of the submission that it is about, the nearest last.
    """

    name: str = ""
    sentence: str = ""
    repair: str = ""
    action: str = ""
    doubt: str = ""
    area: str = ""
    places: tuple[TrialFrame, ...] = ()


def known(
    name: str,
    types: str,
    pattern: str,
    sentence: str,
    repair: str,
    *,
    action: str = "",
    doubt: str = "",
    area: str = "",
    inside: str = "",
    points: Points | None = None,
    fill: Callable[[Stop, Step, Project, Words], Words | None] | None = None,
) -> Known:
    """A known cause, with its patterns compiled; `types` are separated by spaces."""
    return Known(
        name,
        tuple(types.split()),
        re.compile(pattern, re.DOTALL),
        sentence,
        repair,
        action,
        doubt,
        area,
        re.compile(inside) if inside else None,
        points,
        fill,
    )
