"""EVL001: train or main draws figures."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_LIBRARIES = ("matplotlib", "seaborn", "plotly")
_PLOT_NAMES = (
    "figure", "Figure", "subplots", "subplot", "plot", "scatter", "bar", "barh", "hist", "boxplot", "imshow", "savefig", "errorbar",
    "heatmap", "lineplot", "barplot", "scatterplot", "histplot", "violinplot", "kdeplot", "pcolormesh",
    "fill_between", "gcf", "gca",
)  # fmt: skip


class FiguresDrawnByTrain(Rule):
    """Figures are evaluate's work: it draws them from the recorded history, the same way for every run.

    A figure that train or main draws cannot be drawn again without training again, and it slows the run down. The rule
    finds calls that make or save a figure with matplotlib, seaborn or plotly; a drawing library that is imported and
    not used is a warning.
    """

    code = "EVL001"
    name = "figures-drawn-by-train"
    requirements = ("E8.8",)
    message = "{path} draws figures ({call})"
    explanation = "Only evaluate draws, from the recorded history; train and main draw nothing."
    repair = "Log the values that the figure shows and draw it in evaluate."

    VALID = (
        Example({"src/train.py": "import torch\nplot = {}\nplot.get('figure')\n"}),
        Example({"src/evaluate.py": "import matplotlib.pyplot as plt\nplt.figure()\nplt.savefig('a.pdf')\n"}),
        Example({"src/train.py": "import matplotlib.pyplot as plt\nplt.figure()\n"}, contract="base"),
        # a name for annotations alone
        Example(
            {
                "src/train.py": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from matplotlib.figure import Figure\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": "import matplotlib.pyplot as plt\n\nplt.plot(losses)\nplt.savefig('loss.pdf')\n"},
            at=("src/train.py:3",),
            repaired={"src/train.py": "import wandb\n\nwandb.log({'loss': 1.0})\n"},
        ),
        Example(
            {"src/main.py": "import plotly.express as px\n\npx.line(x=[1], y=[1]).write_image('loss.pdf')\n"},
            at=("src/main.py:3",),
            repaired={"src/main.py": "import wandb\n\nwandb.log({'loss': 1.0})\n"},
        ),
        Example({"src/main.py": "import seaborn as sns\n"}, at=("src/main.py:1",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        uses = used_names(project.python.values())
        for role in ("train", "main"):
            file = project.role(role)
            if file is None:
                continue
            imported = [
                item
                for item in file.imports
                if item.module.partition(".")[0] in _LIBRARIES and not (item.guarded and not _is_tried(file, item.node))
            ]
            if not imported:
                continue
            drawn = [
                (call, name)
                for call, name in file.calls
                if name.partition(".")[0] in _LIBRARIES
                and (name.rpartition(".")[2] in _PLOT_NAMES or name.startswith("plotly.express."))
            ]
            live = [(call, name) for call, name in drawn if not is_dead(file, call, uses)]
            if live or drawn:
                call, name = (live or drawn)[0]
                weight = None if live else Severity.WARNING
                yield self.finding(
                    file.path, call, severity=weight, symbol=file.symbol_of(call) or None, path=file.path, call=name
                )
            else:
                first = imported[0]
                yield self.finding(
                    file.path,
                    first.node,
                    severity=Severity.WARNING,
                    message="{path} imports {module}, a drawing library",
                    path=file.path,
                    module=first.module,
                )


def _is_tried(file: PythonFile, node: ast.AST) -> bool:
    return any(isinstance(up, ast.Try) for up in file.ancestors(node))
