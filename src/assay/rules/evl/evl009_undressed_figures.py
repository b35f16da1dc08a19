"""EVL009: figures without a legend, annotations or a tight layout."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.evaluation_side import evaluation_side
from assay.analysis.project import Project
from assay.analysis.python_source import string_value
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_SAVING = ("savefig", "write_image")
# https://matplotlib.org/stable/api/pyplot_summary.html, https://seaborn.pydata.org/api.html
_LEGEND = frozenset(
    {"legend", "figlegend", "add_legend", "Legend", "set_legend", "move_legend", "showlegend", "legend_elements"}
)
_TIGHT = frozenset(
    {
        "tight_layout", "constrained_layout", "set_tight_layout", "set_constrained_layout", "set_layout_engine", "layout",
        "bbox_inches", "subplots_adjust", "autolayout", "tight_bbox", "layout_engine",
    }
)  # fmt: skip
_TIGHT_TEXTS = frozenset(
    {"tight", "constrained", "compressed", "figure.autolayout", "figure.constrained_layout.use", "savefig.bbox"}
)
# they draw legends by themselves
_WITH_LEGENDS = frozenset(
    {"seaborn", "plotly", "plotnine", "altair", "bokeh", "hvplot", "holoviews", "proplot", "ultraplot"}
)
# https://pandas.pydata.org/docs/reference/api/pandas.DataFrame.plot.html: keywords that Axes.plot does not have
_OF_FRAMES = frozenset({"ax", "x", "y", "kind", "figsize", "subplots", "secondary_y", "use_index"})
_NOTES = frozenset({"annotate", "text", "bar_label", "annot", "figtext", "table", "add_annotation", "clabel"})
_HEAD = "import matplotlib.pyplot as plt\n\nfigure, axes = plt.subplots()\naxes.plot(x, y, label='a')\n"
_WHOLE = (
    _HEAD + "axes.legend()\naxes.annotate('0.5', (1, 0.5))\nfigure.tight_layout()\nfigure.savefig('comparison_a.pdf')\n"
)


class UndressedFigures(Rule):
    """A figure says by itself what it shows: a legend names its lines, annotations give the values that matter, and a tight
    layout keeps labels from being cut off.

    The rule looks at evaluate as a whole. Where figures are saved and no call of the kind stands anywhere, none of them
    has it. Seaborn, plotly and the method `plot` of a pandas frame draw legends by themselves. A missing annotation is a warning: a title may do its work.
    """

    code = "EVL009"
    name = "undressed-figures"
    requirements = ("E8.8", "B5.1")
    message = "no figure of evaluate has {missing}"
    explanation = "The figures are saved without {missing}."
    repair = "Add {call} before the figure is saved."

    VALID = (
        Example({"src/evaluate.py": _WHOLE}),
        Example({"src/evaluate.py": "import seaborn as sns\n" + _WHOLE.replace("axes.legend()\n", "")}),
        Example(
            {
                "src/evaluate.py": _WHOLE.replace("figure.tight_layout()\n", "").replace(
                    ".pdf'", ".pdf', bbox_inches='tight'"
                )
            }
        ),
        Example(
            {
                "src/evaluate.py": "import matplotlib.pyplot as plt\nplt.style.use('paper.mplstyle')\n"
                + _HEAD
                + "save(figure)\n"
            }
        ),
        # a frame draws its own
        Example({"src/evaluate.py": _WHOLE.replace("axes.legend()", "history.plot(x='step', y='loss', ax=axes)")}),
        Example({"src/evaluate.py": _WHOLE.replace("axes.legend()", "history.plot.bar(ax=axes)")}),
        Example({"src/evaluate.py": _WHOLE.replace("axes.legend()", "history.plot('step', 'loss', 'line', axes)")}),
        Example({"src/evaluate.py": _WHOLE.replace("axes.legend()", "axes.set(xlabel='x')\nlegend(axes)")}),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": _WHOLE.replace("axes.legend()\n", "").replace("figure.tight_layout()\n", "")},
            at=("src/evaluate.py:6", "src/evaluate.py:6"),
            repaired={"src/evaluate.py": _WHOLE},
        ),
        Example(
            {"src/evaluate.py": _WHOLE.replace("axes.legend()\n", "")},
            contract="base",
            at=("src/evaluate.py:7",),
            repaired={"src/evaluate.py": _WHOLE},
        ),
        # a warning
        Example({"src/evaluate.py": _WHOLE.replace("axes.annotate('0.5', (1, 0.5))\n", "")}, at=("src/evaluate.py:7",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        side = evaluation_side(project)
        if side.unknown:
            yield Undecided(side.unknown)
            return
        place = side.call_named(*_SAVING)
        if place is None or not side.draws or {"style", "use"} <= side.names or "rcParams" in side.names:
            # a style may do any of it
            return
        file, call = place
        own = {function.name for each in project.python.values() for function in each.functions}
        said = side.names | {node for node in own if "legend" in node or "annot" in node}
        by_itself = bool(side.roots & _WITH_LEGENDS) or any(
            _is_frame_plot(item) for each in side.files for item, _ in each.calls
        )
        draws_lines = (
            side.call_named("plot", "bar", "barh", "errorbar", "scatter", "hist", "step", "fill_between") is not None
        )
        tight = bool(said & _TIGHT) or bool(side.texts & _TIGHT_TEXTS) or "plotly" in side.roots
        labels = any(
            isinstance(node, ast.keyword) and node.arg == "legend" for each in side.files for node in each.nodes
        )
        if (
            draws_lines
            and not by_itself
            and not labels
            and not any("legend" in name for name in said | side.texts)
            and not said & _LEGEND
        ):
            yield self.finding(file.path, call, missing="a legend", call="axes.legend()")
        asked = "E8.8" in project.contract.ids
        if asked and not tight:
            yield self.finding(
                file.path, call, requirements=("E8.8",), missing="a tight layout", call="figure.tight_layout()"
            )
        if not said & _NOTES and not any("annot" in name for name in said | side.texts):
            yield self.finding(
                file.path,
                call,
                severity=Severity.WARNING,
                missing="an annotation",
                call="axes.annotate or axes.bar_label",
            )


def _is_frame_plot(call: ast.Call) -> bool:
    """Whether a call draws a table or a display object by its own method `plot`, which adds the legend."""
    method = call.func
    if isinstance(method, ast.Attribute) and isinstance(method.value, ast.Attribute) and method.value.attr == "plot":
        # `frame.plot.bar()`
        return True
    if not isinstance(method, ast.Attribute) or method.attr != "plot":
        return False
    return (
        not call.args or string_value(call.args[0]) is not None or any(item.arg in _OF_FRAMES for item in call.keywords)
    )
