"""Figures of runs and comparisons, one module a kind. Importing this imports matplotlib, and no pyplot."""

from assay.evaluation.figures.bar_chart import draw_bar_chart
from assay.evaluation.figures.box_plot import draw_box_plot
from assay.evaluation.figures.confusion_matrix import draw_confusion_matrix
from assay.evaluation.figures.curve_spread import draw_curve_spread
from assay.evaluation.figures.heat_map import draw_heat_map
from assay.evaluation.figures.learning_curve import draw_learning_curve
from assay.evaluation.figures.names import FigureNames
from assay.evaluation.figures.style import pdf_bytes
from assay.evaluation.figures.survival import draw_survival

__all__ = [
    "FigureNames",
    "draw_bar_chart",
    "draw_box_plot",
    "draw_confusion_matrix",
    "draw_curve_spread",
    "draw_heat_map",
    "draw_learning_curve",
    "draw_survival",
    "pdf_bytes",
]
