"""Budgets and stopwatches count what they are told by the clock that they are given, over pauses and resumed runs."""

from __future__ import annotations

import json
import math

import pytest

from assay.runtime.budget import Budget, Left, Spent
from assay.runtime.errors import ExperimentError
from assay.runtime.stopwatch import Stopwatch


class Clock:
    """A clock that shows what it was set to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_stopwatch_counts_from_its_making(clock):
    watch = Stopwatch(clock)
    clock.now += 2.5
    assert watch.seconds == 2.5
    clock.now += 0.5
    assert watch.seconds == 3.0


def test_a_stopwatch_goes_on_from_an_earlier_attempt(clock):
    watch = Stopwatch(clock, already=40.0)
    clock.now += 2
    assert watch.seconds == 42.0


@pytest.mark.parametrize("already", [-1.0, math.nan, math.inf])
def test_a_stopwatch_refuses_what_is_no_time(clock, already):
    with pytest.raises(ValueError, match="already"):
        Stopwatch(clock, already=already)


def test_a_paused_stopwatch_stands_still(clock):
    watch = Stopwatch(clock)
    clock.now += 1
    watch.pause()
    clock.now += 10
    watch.pause()
    assert watch.seconds == 1.0
    assert not watch.running
    watch.resume()
    clock.now += 2
    watch.resume()
    assert watch.seconds == 3.0
    assert watch.running


def test_a_clock_that_jumps_back_takes_nothing_away(clock):
    watch = Stopwatch(clock)
    clock.now += 5
    assert watch.seconds == 5.0
    clock.now -= 100
    assert watch.seconds == 5.0
    clock.now += 3
    assert watch.seconds == 8.0


def test_a_clock_that_jumped_back_while_paused_takes_nothing_away(clock):
    watch = Stopwatch(clock)
    clock.now += 5
    watch.pause()
    clock.now -= 100
    watch.resume()
    assert watch.seconds == 5.0
    clock.now += 1
    assert watch.seconds == 6.0


def test_a_budget_of_seconds_follows_the_clock(clock):
    budget = Budget(seconds=10, clock=clock)
    assert (budget.left, budget.fraction_left, budget.exhausted) == (Left(10.0, None), 1.0, False)
    clock.now += 2.5
    assert (budget.used, budget.left, budget.fraction_left) == (Spent(2.5, 0), Left(7.5, None), 0.75)
    clock.now += 7.5
    assert (budget.left, budget.fraction_left, budget.exhausted) == (Left(0.0, None), 0.0, True)


def test_what_exceeds_the_limit_is_used_but_never_left_below_zero(clock):
    budget = Budget(seconds=10, steps=2, clock=clock)
    clock.now += 11
    budget.spend(3)
    assert (budget.used, budget.left, budget.fraction_left) == (Spent(11.0, 3), Left(0.0, 0), 0.0)


def test_a_budget_of_steps_does_not_look_at_the_time(clock):
    budget = Budget(steps=4, clock=clock)
    clock.now += 1e9
    budget.spend()
    assert (budget.left, budget.fraction_left, budget.exhausted) == (Left(None, 3), 0.75, False)
    budget.spend(3)
    assert budget.exhausted


@pytest.mark.parametrize(("seconds", "steps", "share"), [(5.0, 1, 0.5), (1.0, 2, 0.5), (2.0, 3, 0.25)])
def test_the_smaller_share_counts(clock, seconds, steps, share):
    budget = Budget(seconds=10, steps=4, clock=clock)
    clock.now += seconds
    budget.spend(steps)
    assert budget.fraction_left == share


def test_either_limit_ends_a_budget(clock):
    budget = Budget(seconds=10, steps=4, clock=clock)
    budget.spend(4)
    assert budget.exhausted
    budget = Budget(seconds=10, steps=4, clock=clock)
    clock.now += 10
    assert budget.exhausted


def test_a_loop_ends_with_the_steps(clock):
    budget = Budget(steps=3, clock=clock)
    assert [(item, budget.fraction_left) for item in budget.until_spent(range(9))] == [(0, 1.0), (1, 2 / 3), (2, 1 / 3)]
    assert budget.used.steps == 3


def test_a_loop_ends_with_the_time_after_the_step_that_passed_it(clock):
    budget = Budget(seconds=10, clock=clock)
    seen = []
    for item in budget.until_spent(range(9)):
        clock.now += 4
        seen.append(item)
    assert seen == [0, 1, 2]
    assert budget.used == Spent(12.0, 3)


def test_a_loop_ends_with_its_items(clock):
    budget = Budget(steps=5, clock=clock)
    assert list(budget.until_spent("ab")) == ["a", "b"]
    assert budget.left.steps == 3
    assert list(budget.until_spent("cdefg")) == ["c", "d", "e"]


def test_no_item_is_taken_that_is_not_handed_out(clock):
    source = iter(range(9))
    budget = Budget(steps=2, clock=clock)
    assert list(budget.until_spent(source)) == [0, 1]
    assert next(source) == 2


def test_a_step_that_the_loop_breaks_off_counts(clock):
    budget = Budget(steps=5, clock=clock)
    for item in budget.until_spent(range(9)):
        if item == 1:
            break
    assert budget.used.steps == 2


def test_an_evaluation_need_not_count(clock):
    budget = Budget(seconds=10, clock=clock)
    clock.now += 1
    with budget.not_counted():
        clock.now += 50
        with budget.not_counted():
            clock.now += 50
        clock.now += 50
    clock.now += 1
    assert budget.used.seconds == 2.0


def test_time_counts_again_after_an_evaluation_that_failed(clock):
    budget = Budget(seconds=10, clock=clock)
    with pytest.raises(ZeroDivisionError), budget.not_counted():
        raise ZeroDivisionError
    clock.now += 3
    assert budget.used.seconds == 3.0


def test_an_evaluation_does_not_end_a_pause(clock):
    budget = Budget(seconds=10, clock=clock)
    budget.pause()
    with budget.not_counted():
        pass
    clock.now += 3
    assert budget.used.seconds == 0.0
    budget.resume()
    clock.now += 3
    assert budget.used.seconds == 3.0


def test_a_resumed_run_goes_on_with_what_was_used(clock):
    killed = Budget(seconds=10, steps=8, clock=clock)
    clock.now += 4
    killed.spend(2)
    state = json.loads(json.dumps(killed.state_dict()))
    later = Clock(5.0)
    budget = Budget(seconds=10, steps=8, clock=later)
    later.now += 100  # before the checkpoint was loaded
    budget.load_state_dict(state)
    assert budget.used == Spent(4.0, 2)
    later.now += 1
    budget.spend()
    assert (budget.used, budget.left) == (Spent(5.0, 3), Left(5.0, 5))


def test_a_resumed_run_may_have_other_limits(clock):
    budget = Budget(seconds=100, clock=clock)
    budget.load_state_dict({"seconds": 25.0, "steps": 7})
    assert budget.fraction_left == 0.75


def test_a_paused_budget_stays_paused_over_a_load(clock):
    budget = Budget(seconds=10, clock=clock)
    budget.pause()
    budget.load_state_dict({"seconds": 1.0, "steps": 0})
    clock.now += 5
    assert budget.used.seconds == 1.0


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"seconds": 1.0},
        {"seconds": 1.0, "steps": 1, "more": 0},
        {"seconds": -1.0, "steps": 1},
        {"seconds": math.nan, "steps": 1},
        {"seconds": 1.0, "steps": -1},
        {"seconds": 1.0, "steps": 0.5},
        {"seconds": "1", "steps": 1},
    ],
)
def test_what_is_no_state_is_refused_and_changes_nothing(clock, state):
    budget = Budget(seconds=10, clock=clock)
    clock.now += 2
    with pytest.raises(ExperimentError, match="state of a budget"):
        budget.load_state_dict(state)
    assert budget.used == Spent(2.0, 0)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, True, "60", [60]])
def test_seconds_that_are_no_limit_are_refused(clock, seconds):
    with pytest.raises(ExperimentError, match="above 0") as caught:
        Budget(seconds=seconds, clock=clock)
    assert caught.value.status == 2


@pytest.mark.parametrize("steps", [0, -1, 1.5, 2.0, True, "3"])
def test_steps_that_are_no_limit_are_refused(clock, steps):
    with pytest.raises(ExperimentError, match="1 or more") as caught:
        Budget(steps=steps, clock=clock)
    assert caught.value.status == 2


def test_a_budget_without_a_limit_is_refused():
    with pytest.raises(ExperimentError, match="needs a limit"):
        Budget()


@pytest.mark.parametrize("steps", [-1, 0.5, None, True])
def test_steps_that_cannot_be_spent_are_refused(clock, steps):
    budget = Budget(steps=5, clock=clock)
    with pytest.raises(ExperimentError, match="0 or more"):
        budget.spend(steps)
    assert budget.used.steps == 0


def test_spending_nothing_is_allowed(clock):
    budget = Budget(steps=5, clock=clock)
    budget.spend(0)
    assert budget.used.steps == 0
