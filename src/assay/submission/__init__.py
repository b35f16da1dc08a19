"""Reading what is under review: a folder, a git revision, a code bundle or a review transcript, and the brief."""

from assay.submission.brief import Brief, Run
from assay.submission.opening import open_submission
from assay.submission.record import SourceFile, Submission

__all__ = ["Brief", "Run", "SourceFile", "Submission", "open_submission"]
