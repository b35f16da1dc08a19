"""API021: a library's module or class has no such member in the environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from assay.analysis.library_error_kinds import Kind
from assay.analysis.project import Project
from assay.finding import Consequence, Evidence, Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

if TYPE_CHECKING:
    from assay.analysis.environment import Environment

_LIBRARY = {
    "shapes/__init__.py": "from .round import Circle, circle\n",
    "shapes/round.py": (
        "class Circle:\n    def __init__(self, radius=1):\n        self.radius = radius\n\n    def area(self): ...\n\n\n"
        "def circle(radius) -> Circle: ...\n"
    ),
    "shapes/lazy.py": "def __getattr__(name):\n    return name\n",
    "shapes/made.py": 'for name in ("square", "cube"):\n    globals()[name] = name\n',
}


class MissingMember(Rule):
    """A name is taken from a library's module or class that does not have it.

    It is told by an environment (`--env`, `--resolve`): a type checker reports the name, and the library's own files
    confirm that nothing defines, imports or assigns it. What a library makes at run time is left alone, and so are
    values whose class is only guessed: unions, parameters, and whatever a function returns.
    """

    code = "API021"
    name = "no-such-member"
    yields_to = ("API001", "API002", "API003")
    requirements = ("X1", "E1.2", "D4.1", "B4.8")
    consequence = Consequence.CRASHES
    late = True
    message = "{what}"
    explanation = "{basis} this raises {error}{when}."
    repair = "Use what this version offers instead of {name}, or ask for a version that has it."

    VALID = (
        Example({"src/main.py": "import shapes\nshapes.square\n"}),
        Example(
            {
                "src/main.py": (
                    "import shapes.round\nfrom shapes import Circle, lazy, made\nfrom shapes.made import square\n"
                    "shapes.round.circle(1).colour\nCircle(1).area()\nCircle(1).radius\nlazy.anything\nmade.cube\n"
                )
            },
            libraries=_LIBRARY,
        ),
        # the class of a parameter is what its author wrote, not what is passed
        Example(
            {"src/main.py": "from shapes import Circle\n\n\ndef paint(circle: Circle):\n    return circle.colour\n"},
            libraries=_LIBRARY,
        ),
        Example({"src/main.py": "import shapes\nfloat(shapes.circle(1)).hex()\n"}, libraries=_LIBRARY),
        # asked for before it is used, or its absence is caught
        Example(
            {
                "src/main.py": (
                    'import shapes\nif hasattr(shapes, "oval"):\n    shapes.oval(1)\n'
                    "try:\n    shapes.triangle(1)\nexcept AttributeError:\n    pass\n"
                )
            },
            libraries=_LIBRARY,
        ),
    )
    INVALID = (
        Example(
            {"src/main.py": "from shapes import triangle\n"},
            at=("src/main.py:1",),
            repaired={"src/main.py": "from shapes import circle\n"},
            libraries=_LIBRARY,
        ),
        Example(
            {
                "src/main.py": "import shapes\nfrom shapes import Circle\n\nshapes.triangle()  # ty: ignore\nc = Circle(2)\nc.colour()\nCircle.unit()\n"
            },
            at=("src/main.py:4", "src/main.py:6", "src/main.py:7"),
            repaired={"src/main.py": "import shapes\n\nshapes.circle(1)\n"},
            libraries=_LIBRARY,
        ),
        Example(
            {"src/main.py": 'x = float("0.5").sqrt()\n'},
            at=("src/main.py:1",),
            repaired={"src/main.py": 'x = float("0.5") ** 0.5\n'},
            libraries=_LIBRARY,
        ),
        Example(
            {"src/main.py": "import shapes\n\n\ndef draw():\n    return shapes.triangle\n"},
            at=("src/main.py:5",),
            libraries=_LIBRARY,
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.library_errors is None or project.ty is None:
            return
        if project.ty.failure:
            yield Undecided(project.ty.failure, ("X1",))
        environment = project.library_errors.environment
        for error in project.library_errors.found:
            if error.kind is not Kind.MEMBER:
                continue
            if environment.is_doubtful(error.name):
                yield Undecided(
                    f"{error.name}: an environment that could be built in full may hold another version", ("X1",)
                )
                continue
            found = self.finding(
                error.file.path,
                error.node,
                severity=None if error.certain else Severity.WARNING,
                symbol=error.name,
                what=error.what,
                basis=_basis(environment, error.name),
                error="AttributeError" if "import" not in type(error.node).__name__.lower() else "ImportError",
                when="" if error.certain else " when this line is reached",
                name=error.name.rpartition(".")[2],
            )
            yield replace(found, evidence=Evidence("environment", error.said))


def _basis(environment: Environment, name: str) -> str:
    """What the statement holds for: a version of a library, or Python itself."""
    known = environment.version_text(name)
    if known or environment.distributions_of(name):
        return f"With the installed version{known}"
    return "In this environment"
