"""The register of what calls of library functions do."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from assay.analysis.enactment.machine import Machine
from assay.analysis.enactment.values import ABSENT

MAX_NAMES = 8_192


@dataclass(slots=True)
class Call:
    """A call that a model carries out.

    Args:
        machine: The program that makes it.
        positional: Its positional arguments.
        keywords: Its arguments by name.
        node: Where it stands.
        is_open: Whether there may be more arguments.
        name: What is called: the path of a function, or the name of a method.
    """

    machine: Machine
    positional: list[object]
    keywords: dict[str, object]
    node: ast.AST
    is_open: bool = False
    name: str = ""

    def first(self, place: int, name: str, default: object = ABSENT) -> object:
        """The argument at a place, or of a name."""
        if len(self.positional) > place:
            return self.positional[place]
        return self.keywords.get(name, default)

    @property
    def values(self) -> list[object]:
        """All arguments."""
        return [*self.positional, *self.keywords.values()]


Model = Callable[[Call], object]
MODELS: dict[str, Model] = {}
# Models of functions that have many names.
PATTERNS: list[tuple[re.Pattern[str], Model]] = []
# Functions that are modelled although they may get more arguments than are known.
OPEN_TOO: set[str] = set()


def model(*names: str, open_too: bool = False) -> Callable[[Model], Model]:
    """Register what calls of these functions do.

    Args:
        names: Dotted names of the functions.
        open_too: Whether this holds although there may be more arguments than are known.
    """

    def register(function: Model) -> Model:
        for name in names:
            MODELS[name] = function
        if open_too:
            OPEN_TOO.update(names)
        return function

    return register


def pattern(text: str) -> Callable[[Model], Model]:
    """Register what calls of the functions do whose dotted name matches."""

    def register(function: Model) -> Model:
        PATTERNS.append((re.compile(text), function))
        return function

    return register


def known_model(name: str, is_open: bool) -> Model | None:
    """The model of a function, if it has one."""
    if is_open:
        return MODELS[name] if name in OPEN_TOO else None
    return MODELS.get(name) or _matching(name)


@lru_cache(MAX_NAMES)
def _matching(name: str) -> Model | None:
    return next((how for wanted, how in PATTERNS if wanted.match(name)), None)
