"""Regions of a program that may not be entered, or more than once; the ways through them, and where these meet."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from types import TracebackType

from assay.analysis.enactment.exception_names import catches
from assay.analysis.enactment.values import (
    ABSENT,
    ANYTHING,
    CALL,
    TURN,
    Class,
    External,
    Function,
    Module,
    Scope,
    choice,
    marks_of,
)

# How a body of statements ends.
NORMAL, RETURN, BREAK, CONTINUE, RAISE = "normal", "return", "break", "continue", "raise"

# Kinds of regions. A statement in a `LOOP` is carried out for each batch; one in a `BRANCH` perhaps once, one in a
# `REPEAT` perhaps many times. One in a `TRY` is carried out, but what follows may find it undone half way; one in a
# `SEARCH` is, and many times. An exception ends the first three and the program goes on behind them.
BRANCH, LOOP, REPEAT, TRY, SEARCH = "branch", "loop", "repeat", "try", "search"
ENDED = frozenset({BRANCH, LOOP, REPEAT})
# Names of Python's own functions.
BUILTINS = frozenset(dir(builtins))


class ExhaustedError(Exception):
    """The enactment has taken as many steps as it may."""


class CaughtError(Exception):
    """An exception of the submission that one of its own `try` statements catches.

    Args:
        names: Names of the exception's class and of its bases.
        value: The exception.
        sure: Whether it is certain that the statement catches it.
    """

    def __init__(self, names: tuple[str, ...], value: object = ANYTHING, *, sure: bool = True) -> None:
        super().__init__(names)
        self.names = names
        self.value = value
        self.sure = sure


class LeftError(Exception):
    """An exception of the submission ends the innermost region: what stands behind it there is not carried out.

    Args:
        depth: How many regions there are around it.
    """

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self.depth = depth


class EndedError(Exception):
    """The program ends here."""


class Attempt:
    """A `try` statement whose body is being enacted.

    Args:
        names: The names of the exceptions that it catches; `?` where a handler catches something unknown.
        depth: How many regions there are around it.
        guards: Whether it stands for a `try` of the submission.
        reached: Whether an exception on one of several ways leads to its handlers.
    """

    __slots__ = ("depth", "guards", "names", "reached")

    def __init__(self, names: tuple[str, ...], depth: int, *, guards: bool = True) -> None:
        self.names = names
        self.depth = depth
        self.guards = guards
        self.reached = False


class Region:
    """A part of the program that may not be entered, or more than once. An exception of the submission ends it."""

    __slots__ = ("depth", "kind", "machine")

    def __init__(self, machine: Ways, kind: str) -> None:
        self.machine = machine
        self.kind = kind
        self.depth = 0

    def __enter__(self) -> None:
        machine = self.machine
        self.depth = len(machine.regions)
        machine.made += 1
        machine.regions.append((machine.made, self.kind))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        del self.machine.regions[self.depth :]
        return kind is LeftError and self.kind in ENDED


class Ways:
    """What is known of the way that the program has taken to where the enactment is, and how ways part and meet."""

    def __init__(self) -> None:
        self.regions: list[tuple[int, str]] = []
        self.tries: list[Attempt] = []
        self.made = 0
        self.changes = 0
        self.doubt = False

    @property
    def region(self) -> int:
        """The innermost region that may not be entered, or more than once."""
        return self.regions[-1][0] if self.regions else 0

    def within(self, kind: str) -> Region:
        """A region that may not be entered (`branch`), or that is entered for each batch (`loop`)."""
        return Region(self, kind)

    def certainty(self) -> str:
        """Whether the program certainly comes here: `yes`, `loop` (once a batch), or `maybe`."""
        if self.doubt:
            return "maybe"
        found = "yes"
        for _, kind in self.regions:
            if kind in (BRANCH, REPEAT):
                return "maybe"
            if kind == LOOP:
                found = "loop"
        return found

    def weak(self, region: int) -> bool:
        """Whether a change to something that was made in a region may not happen, or more than once."""
        if self.region == region:
            return False
        self.changes += 1
        return True

    def mixed(self, old: object, new: object) -> object:
        """What holds where a change may have happened."""
        if any(kind in (LOOP, REPEAT, SEARCH) for _, kind in self.regions):
            return choice([old, new, External("?", marks_of(old, new))])
        return choice([old, new])

    def doubt_the_rest(self, scope: Scope) -> None:
        """What follows in the turn or call may not be reached: a region that lasts to its end."""
        if not any(number == scope.covered for number, _ in self.regions):
            self.made += 1
            scope.covered = self.made
            self.regions.append((self.made, BRANCH))

    # -- where an exception leads to -----------------------------------------------------------------------------------

    def goes_to_handler(self, names: tuple[str, ...], value: object) -> bool:
        """Whether a handler may catch an exception that is raised here.

        Raises:
            CaughtError: where nothing but the exception leads to the handler.
        """
        for attempt in reversed(self.tries):
            caught = catches(attempt.names, names)
            if caught is False:
                continue
            if self.boundary() <= attempt.depth:
                raise CaughtError(names, value, sure=caught is True)
            attempt.reached = True
            return True
        return False

    def boundary(self) -> int:
        """How many regions there are up to the innermost one that an exception ends."""
        for place in range(len(self.regions), 0, -1):
            if self.regions[place - 1][1] in ENDED:
                return place
        return 0

    def left(self) -> LeftError:
        """What is raised where an exception of the submission ends the innermost region."""
        return LeftError(self.boundary())

    # -- several ways --------------------------------------------------------------------------------------------------

    def fork(self, scope: Scope, *ways: Callable[[], str]) -> str:
        """Several ways of which the program takes one."""
        before = scope.names
        ends: list[tuple[str, dict[str, object]]] = []
        for way in ways:
            scope.names = dict(before)
            status = RAISE
            with self.within(BRANCH):
                status = way()
            ends.append((status, scope.names))
        return self.join_ways(scope, ends)

    def join_ways(self, scope: Scope, ends: list[tuple[str, dict[str, object]]]) -> str:
        """Go on after several ways: with the names of those that go on; those that leave are remembered."""
        going = [names for status, names in ends if status == NORMAL]
        leaving = {status for status, _ in ends if status in (RETURN, BREAK, CONTINUE)}
        if not going and len(leaving) == 1:
            scope.names = joined([names for status, names in ends if status in leaving])
            return leaving.pop()
        for status, names in ends:
            if scope.loops and status in (BREAK, CONTINUE):
                scope.loops[-1][status == CONTINUE].append(names)
        if leaving:
            scope.doubt = max(scope.doubt, CALL if RETURN in leaving else TURN)
        if not going:
            scope.names = ends[0][1]
            return RAISE
        scope.names = joined(going)
        return NORMAL


def joined(ways: list[dict[str, object]]) -> dict[str, object]:
    """The names of several ways: what they agree on, and choices of the rest."""
    if len(ways) == 1:
        return ways[0]
    found: dict[str, object] = {}
    for names in ways:
        for name, value in names.items():
            if name in found:
                continue
            values = [value]
            for one in ways:
                other = one.get(name, ABSENT)
                if other is ABSENT:
                    other = External(name) if name in BUILTINS else value
                if other is not value:
                    values.append(other)
            found[name] = value if len(values) == 1 else choice(values)
    return found


def unsure(value: object) -> object:
    """A value that may have been changed in the meantime."""
    return value if isinstance(value, Function | Class | Module) else choice([value, External("?", marks_of(value))])
