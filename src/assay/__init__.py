"""Assay decides whether a machine-learning experiment can be believed."""

from __future__ import annotations

# the module `typing` takes as long to import as the child that enacts takes to be started
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from assay.contracts import Contract
    from assay.errors import InputError
    from assay.finding import Consequence, Evidence, Finding, Frame, Severity
    from assay.reviewer import review
    from assay.submission import Brief, Run, SourceFile, Submission, open_submission
    from assay.verdict import RequirementStatus, Verdict

__version__ = "0.1.0"

__all__ = [
    "Brief",
    "Consequence",
    "Contract",
    "Evidence",
    "Finding",
    "Frame",
    "InputError",
    "RequirementStatus",
    "Run",
    "Severity",
    "SourceFile",
    "Submission",
    "Verdict",
    "open_submission",
    "review",
]

_HOMES = {
    "review": "assay.reviewer",
    "RequirementStatus": "assay.verdict",
    "Verdict": "assay.verdict",
    "InputError": "assay.errors",
    "Contract": "assay.contracts",
    "Brief": "assay.submission",
    "Run": "assay.submission",
    "SourceFile": "assay.submission",
    "Submission": "assay.submission",
    "open_submission": "assay.submission",
}


def __getattr__(name: str) -> Any:
    """Import public names when they are first used, so that `import assay` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'assay' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES.get(name, "assay.finding")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
