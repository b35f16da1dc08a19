"""LIB004: the library of this package has no such name, or does not take the call."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import assay
from assay.analysis.own_library import LIBRARY, PACKAGES, is_hidden
from assay.analysis.project import Project
from assay.analysis.python_source import Import, PythonFile
from assay.finding import Consequence, Frame, Severity
from assay.rules.lib.lib002_key_not_registered import _files
from assay.rules.rule import Example, Outcome, Rule


class NoSuchInterface(Rule):
    """A name is imported from `assay` that it does not have, a call does not fit, or an object has no such attribute.

    The interface is read from the library itself, as it is installed with the review. Calls are bound to the library's
    own signatures: `run.track` takes `series` and `summary` by name, `run.epochs` the number of epochs.
    """

    code = "LIB004"
    name = "no-such-interface"
    gate = "compose"
    requirements = ("E1.2", "E2.3", "E2.4")
    consequence = Consequence.CRASHES
    message = "`{what}`: {fault}"
    explanation = "The program stops with {error}."
    repair = "Use what `assay.runtime` and `assay.evaluation` have."

    VALID = (
        Example(_files()),
        Example(_files(("from assay.runtime import experiment", "from assay.runtime import Run, experiment, launch"))),
        # deeper modules
        Example(_files(("from assay", "from assay.runtime.loops import Batches\nfrom assay"))),
        # whether it is there is asked
        Example(
            _files(
                (
                    "from assay",
                    "try:\n    from assay.runtime import Ledger\nexcept ImportError:\n    Ledger = None\nfrom assay",
                )
            )
        ),
        # another package has the name
        Example(
            {
                **_files(("import experiment", "import experiment, Ledger")),
                "assay/runtime.py": "Ledger = experiment = None\n",
            }
        ),
        Example(_files(("run.epochs(cfg.training.epochs)", "run.epochs(*[cfg.training.epochs])"))),
    )
    INVALID = (
        Example(
            _files(("import experiment", "import Ledger, experiment")),
            at=("src/train.py:1",),
            repaired=_files(),
        ),
        Example(
            _files(("from assay", "from assay.runtime.ledger import Ledger\nfrom assay")),
            at=("src/train.py:1",),
            repaired=_files(),
        ),
        Example(
            _files(("run.epochs(cfg.training.epochs)", "run.epochs(total=cfg.training.epochs)")),
            at=("src/train.py:14",),
            repaired=_files(),
        ),
        Example(
            _files(("run.track(cfg, series=SERIES, summary=", "run.track(cfg, SERIES, summary=")),
            at=("src/train.py:12",),
            repaired=_files(),
        ),
        Example(
            _files(("tracker.summarize(", "tracker.summary(")),
            at=("src/train.py:16",),
            repaired=_files(),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if is_hidden(project.submission.files):
            return
        for file in project.python.values():
            for item in file.imports:
                if item.module.partition(".")[0] == LIBRARY and not item.guarded and (fault := _missing(item)):
                    yield self.finding(
                        file.path,
                        item.node,
                        severity=Severity.WARNING if item.in_function else None,
                        symbol=item.name,
                        what=item.target,
                        fault=fault,
                        error="ImportError",
                    )
        given = {
            node.attr
            for file in project.python.values()
            for node in file.nodes_of(ast.Attribute)
            if isinstance(node.ctx, ast.Store)
        }
        told: set[tuple[str, int]] = set()
        for seen in project.enactment.seen("misused"):
            # the program may give the object that attribute by itself
            is_given = str(seen.data["what"]).rpartition(".")[2] in given
            if (seen.file, seen.line) in told or seen.guarded or is_given:
                continue
            told.add((seen.file, seen.line))
            yield self.finding(
                seen.file,
                seen.place,
                severity=None if seen.sure else Severity.WARNING,
                run=seen.runs[0] if len(seen.runs) == 1 else None,
                frames=tuple(Frame(frame.file, frame.line) for frame in seen.frames),
                what=seen.data["what"],
                fault=seen.data["fault"],
                error="AttributeError" if "no such attribute" in seen.data["fault"] else "TypeError",
            )


def _missing(item: Import) -> str:
    """What the library lacks of an import; empty where it lacks nothing, or that is not known. Nothing is imported."""
    file = _source(item.module)
    if file is None:
        return "there is no such module"
    if item.name in (None, "*") or _source(item.target) is not None:
        return ""
    if item.module in PACKAGES:
        return "" if item.name in importlib.import_module(item.module).__all__ else "there is no such name"
    defined = PythonFile(file.name, file.read_text(encoding="utf-8")).defined
    return "" if {item.name, "*"} & defined else "there is no such name"


def _source(module: str) -> Path | None:
    """The file of a module of the library; None where there is none."""
    place = Path(assay.__file__).parent.joinpath(*module.split(".")[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
