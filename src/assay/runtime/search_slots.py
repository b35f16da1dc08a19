"""What became of each slot of a search, told from the trials of its study.

A slot is a trial as the user counts them, from 0 to n_trials - 1. Each attempt at it is a trial of Optuna that notes
its slot and attempt. Where two workers without common locks queue one attempt twice, the first of the two counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from optuna.trial import FrozenTrial, TrialState

# a slot whose attempts all failed or were killed is given up after these, or one that kills its own process (too
# little memory) would do so for ever
ATTEMPTS = 5
# why a failed trial is no attempt to be tried again, noted as its `ended`
NOT_FINITE = "not finite"
SURPLUS = "surplus"

Slots = dict[int, list[FrozenTrial]]
"""Slot -> its attempts in order, at least one."""


def read_slots(trials: Iterable[FrozenTrial]) -> Slots:
    """The slots that have an attempt, in order; trials that count for nothing are left out."""
    found: dict[int, dict[int, FrozenTrial]] = {}
    for trial in sorted(trials, key=lambda trial: trial.number):
        notes = trial.user_attrs
        if "slot" in notes and notes.get("ended") != SURPLUS:
            found.setdefault(notes["slot"], {}).setdefault(notes["attempt"], trial)
    return {slot: [tries[attempt] for attempt in sorted(tries)] for slot, tries in sorted(found.items())}


def is_finished(tries: list[FrozenTrial]) -> bool:
    """Whether a slot has a score or was pruned."""
    return tries[-1].state in (TrialState.COMPLETE, TrialState.PRUNED)


def next_slot(slots: Slots, n_trials: int) -> int | None:
    """The first slot to begin or to try again; None where every slot is settled or in work."""
    # the budget may have been lowered, and the trials that finished need not be the first ones
    if sum(map(is_finished, slots.values())) >= n_trials:
        return None
    return next((slot for slot in range(n_trials) if slot not in slots or _is_open(slots[slot])), None)


def _is_open(tries: list[FrozenTrial]) -> bool:
    last = tries[-1]
    if last.state == TrialState.FAIL:
        return last.user_attrs.get("ended") != NOT_FINITE and len(tries) < ATTEMPTS
    return last.state == TrialState.WAITING
