"""Understanding a submission without running it."""

from assay.analysis.project import Project

__all__ = ["Project"]
