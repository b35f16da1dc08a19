"""The kinds of mistakes in the use of installed libraries, apart from what finds them: most reviews never look."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """What is wrong."""

    MODULE = "module"
    MEMBER = "member"
    CALL = "call"
