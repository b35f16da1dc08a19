"""Small complete submissions to start from: what `assay new` writes.

The folders beside this file are the templates, one for each contract. A template file other than Python holds the
word NAME where the project's name belongs. `derived` holds only what differs from the foundation it specialises.
"""

from assay.scaffold.new_submission import NewSubmission, new_submission

__all__ = ["NewSubmission", "new_submission"]
