"""Repair: a program that takes the values alone gets them without their names."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from assay.trial.record import Step, Stop

if TYPE_CHECKING:
    from assay.trial.launcher import Copy

CHANGE = "src.evaluate gets its arguments without `results_dir=` and `run_ids=`"
_REFUSED = re.compile(r"unrecognized arguments|the following arguments are required|Expecting value|invalid JSON", re.I)


def wanted(stop: Stop, step: Step) -> bool:
    """Whether a command of the form `name=value` is not understood."""
    return step.mode == "evaluate" and _REFUSED.search(f"{stop.message} {stop.text}") is not None


def bare(copy: Copy) -> Copy | None:
    """The copy whose evaluation gets bare values; None where it does already."""
    if CHANGE in copy.changes:
        return None
    return replace(copy, arguments="bare", changes=(*copy.changes, CHANGE))
