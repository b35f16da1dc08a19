"""The machine with all of its parts: what each kind of statement and expression of Python does."""

from __future__ import annotations

from assay.analysis.enactment.attempts import ATTEMPTS, Attempts
from assay.analysis.enactment.calls import CALLS, Calls
from assay.analysis.enactment.expressions import EXPRESSIONS, Expressions
from assay.analysis.enactment.loops import LOOPS, Loops
from assay.analysis.enactment.objects import Objects
from assay.analysis.enactment.statements import STATEMENTS, Statements


class Interpreter(Statements, Loops, Attempts, Expressions, Calls, Objects):
    """A machine that can carry out whole programs: what one of its parts leaves open, another one does."""

    statements = {**STATEMENTS, **LOOPS, **ATTEMPTS}
    expressions = {**EXPRESSIONS, **CALLS}
