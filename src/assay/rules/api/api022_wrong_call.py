"""API022: a library's function is called with arguments that it does not take in the environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from assay.analysis.library_error_kinds import Kind
from assay.analysis.project import Project
from assay.finding import Consequence, Evidence, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_LIBRARY = {
    "shapes/__init__.py": "from .round import Circle, Disc, circle, open_circle, wrapped\n",
    "shapes/round.py": (
        "import functools\nfrom dataclasses import dataclass\n\n\n"
        "class Circle:\n    def __init__(self, radius, colour=None): ...\n\n\n"
        "@dataclass\nclass Disc:\n    radius: int = 1\n\n\n"
        "def circle(radius, colour=None): ...\n\n\ndef open_circle(radius, **more): ...\n\n\n"
        "@functools.wraps(open_circle)\ndef wrapped(radius): ...\n"
    ),
}


class WrongCall(Rule):
    """A function or class of a library is called in a way that its signature does not admit.

    An argument that it does not know, an argument that it needs and does not get, or more positional arguments than
    it takes. It is told by an environment (`--env`, `--resolve`): a type checker reports the call, and the definition
    in the library's own files confirms it. Functions that are decorated, overloaded or found at run time are left
    alone, and so are methods of values whose class is not certain.
    """

    code = "API022"
    name = "wrong-library-call"
    yields_to = ("API001", "API002", "API003")
    requirements = ("X2", "E1.2", "D4.1", "B1.1")
    consequence = Consequence.CRASHES
    late = True
    message = "{what}"
    explanation = "With the installed version{version} the call raises TypeError{when}."
    repair = "Call it as this version defines it, or ask for a version that takes these arguments."

    VALID = (
        Example({"src/main.py": "import shapes\nshapes.circle()\n"}),
        Example(
            {
                "src/main.py": (
                    "import shapes\nmore = {}\nshapes.circle(1, colour=2)\nshapes.circle(**more)\nshapes.Disc(radius=2)\n"
                    "shapes.open_circle(1, anything=2)\nshapes.wrapped(1, anything=2)\n"
                    "try:\n    shapes.circle(1, size=2)\nexcept TypeError:\n    pass\n"
                )
            },
            libraries=_LIBRARY,
        ),
        # the submission's own functions are its own affair
        Example({"src/main.py": "def circle(radius): ...\n\n\ncircle(1, 2)\n"}, libraries=_LIBRARY),
    )
    INVALID = (
        Example(
            {
                "src/main.py": (
                    "import shapes\nfrom shapes import Circle, Disc\nshapes.circle(1, size=2)\nshapes.circle(colour=2)\n"
                    "Circle(1, 2, 3)\nDisc(radius=1, size=2)\n"
                )
            },
            at=("src/main.py:3", "src/main.py:4", "src/main.py:5", "src/main.py:6"),
            repaired={"src/main.py": "import shapes\nshapes.circle(1, colour=2)\n"},
            libraries=_LIBRARY,
        ),
        Example(
            {"src/main.py": "import shapes\n\n\ndef draw():\n    return shapes.circle(1, size=2)\n"},
            at=("src/main.py:5",),
            libraries=_LIBRARY,
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.library_errors is None or project.ty is None:
            return
        if project.ty.failure:
            yield Undecided(project.ty.failure, ("X2",))
        environment = project.library_errors.environment
        for error in project.library_errors.found:
            if error.kind is not Kind.CALL:
                continue
            if environment.is_doubtful(error.name):
                yield Undecided(
                    f"{error.name}: an environment that could be built in full may hold another version", ("X2",)
                )
                continue
            found = self.finding(
                error.file.path,
                error.node,
                severity=None if error.certain else Severity.WARNING,
                symbol=error.name,
                what=error.what,
                version=environment.version_text(error.name),
                when="" if error.certain else " when this line is reached",
            )
            yield replace(found, evidence=Evidence("environment", error.said))
