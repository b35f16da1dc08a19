"""Statistics over seeds. Importing this imports NumPy only; SciPy follows where it is used."""

from assay.evaluation.statistics.calibration import expected_calibration_error
from assay.evaluation.statistics.censored import (
    Survival,
    TimeToTarget,
    censored_differences,
    censored_paired,
    log_rank,
    resampled_medians,
    survival,
    time_to_target,
)
from assay.evaluation.statistics.correction import corrected
from assay.evaluation.statistics.curves import MeanCurve, area_under_curve, mean_curve, step_values
from assay.evaluation.statistics.effect import (
    Effect,
    Interval,
    bootstrap_interval,
    interval_over_pairs,
    paired_effect,
    rank_biserial,
)
from assay.evaluation.statistics.paired import paired_permutation, paired_wilcoxon
from assay.evaluation.statistics.pairs import Pairs, pair
from assay.evaluation.statistics.significance import Significance
from assay.evaluation.statistics.summary import Summary, summarize

__all__ = [
    "Effect",
    "Interval",
    "MeanCurve",
    "Pairs",
    "Significance",
    "Summary",
    "Survival",
    "TimeToTarget",
    "area_under_curve",
    "bootstrap_interval",
    "censored_differences",
    "censored_paired",
    "corrected",
    "expected_calibration_error",
    "interval_over_pairs",
    "log_rank",
    "mean_curve",
    "pair",
    "paired_effect",
    "paired_permutation",
    "paired_wilcoxon",
    "rank_biserial",
    "resampled_medians",
    "step_values",
    "summarize",
    "survival",
    "time_to_target",
]
