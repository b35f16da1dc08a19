"""Success criteria: what `criteria:` in config.yaml asks for, and whether the tracked runs meet it."""

from assay.evaluation.criteria.section import Criterion, read_criteria
from assay.evaluation.criteria.verdict import decide

__all__ = ["Criterion", "decide", "read_criteria"]
