"""API020: a module that is imported is not in the environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from assay.analysis.library_error_kinds import Kind
from assay.analysis.project import Project
from assay.finding import Consequence, Evidence, Finding, Severity
from assay.rules.imp.imp005_undeclared_dependency import UndeclaredDependency
from assay.rules.rule import Example, Outcome, Rule, Undecided

_LIBRARY = {"shapes/__init__.py": "", "shapes/round.py": "def circle(radius): ...\n"}


class MissingModule(Rule):
    """A module is imported that the environment does not hold.

    It is told by an environment (`--env`, `--resolve`): the module is in none of its folders. Most often a library
    has moved a submodule or dropped it, and the code was written for another version. Where the whole library is
    missing because it is not declared, IMP005 says so, and this rule does not repeat it.

    Imports that are tried, guarded or made only after another failed are left alone. An import in a function that is
    not certainly called is a warning.
    """

    code = "API020"
    name = "module-not-installed"
    yields_to = ("IMP005",)
    requirements = ("X1", "B4.8", "D4.2")
    consequence = Consequence.CRASHES
    late = True
    message = "{module} is imported, and {what}"
    explanation = "In this environment the import raises ModuleNotFoundError{when}."
    repair = "Import from a module that this version has, or declare the distribution that provides {module}."

    VALID = (
        Example({"src/main.py": "import nowhere\n"}),
        Example(
            {
                "src/main.py": (
                    "import shapes.round\nfrom shapes import round\nfrom src import model\n"
                    "try:\n    import shapes.fast\nexcept ImportError:\n    pass\n"
                ),
                "src/model.py": "x = 1\n",
            },
            libraries=_LIBRARY,
        ),
        # another version may be asked for
        Example(
            {"src/main.py": 'import shapes\nif shapes.__version__ > "2":\n    import shapes.flat\n'}, libraries=_LIBRARY
        ),
    )
    INVALID = (
        Example(
            {"src/main.py": "import shapes.flat  # type: ignore\n"},
            at=("src/main.py:1",),
            repaired={"src/main.py": "import shapes.round\n"},
            libraries=_LIBRARY,
        ),
        Example(
            {"src/main.py": "def draw():\n    from shapes.flat import square\n    square()\n"},
            at=("src/main.py:2",),
            libraries=_LIBRARY,
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.library_errors is None or project.ty is None:
            return
        errors = [error for error in project.library_errors.found if error.kind is Kind.MODULE]
        if project.ty.failure:
            yield Undecided(project.ty.failure, ("X1",))
        said = {
            (finding.file, finding.line)
            for finding in (UndeclaredDependency().check(project) if errors else ())
            if isinstance(finding, Finding)
        }
        for error in errors:
            if (error.file.path, getattr(error.node, "lineno", None)) in said:
                continue
            if project.library_errors.environment.is_doubtful(error.name):
                yield Undecided(f"{error.name} may be in an environment that could be built in full", ("X1",))
                continue
            found = self.finding(
                error.file.path,
                error.node,
                severity=None if error.certain else Severity.WARNING,
                symbol=error.name,
                module=error.name,
                what=error.what,
                when="" if error.certain else " when this line is reached",
            )
            yield replace(found, evidence=Evidence("environment", error.said))
