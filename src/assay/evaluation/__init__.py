"""Compares tracked runs: `python -m src.evaluate results_dir=PATH run_ids='["a", "b"]'`."""

from assay.evaluation.evaluate import evaluate
from assay.evaluation.records import RunRecord, load_record
from assay.evaluation.request import Metric

__all__ = ["Metric", "RunRecord", "evaluate", "load_record"]
