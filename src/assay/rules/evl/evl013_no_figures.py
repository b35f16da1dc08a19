"""EVL013: evaluate draws no figure."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.evaluation_side import evaluation_side
from assay.analysis.project import Project
from assay.rules.rule import Example, Outcome, Rule, Undecided

_LIBRARIES = frozenset(
    {
        "matplotlib", "seaborn", "plotly", "pylab", "bokeh", "altair", "plotnine", "pygal", "holoviews", "hvplot", "PIL", "cv2",
        "reportlab", "proplot", "scienceplots", "yellowbrick", "mplhep", "arviz", "cairo", "fpdf", "pgfplots", "tikzplotlib",
    }
)  # fmt: skip


class NoFigures(Rule):
    """Evaluate draws figures: of each run, and of the runs beside each other.

    A program that uses no drawing library, in any of the files it imports, draws none.
    """

    code = "EVL013"
    name = "no-figures"
    requirements = ("B1.4", "E8.3", "E8.6")
    message = "evaluate draws no figure"
    explanation = "No drawing library is imported by evaluate or by what it imports."
    repair = "Draw the curves and the comparison, with matplotlib for example, and save them as PDF."

    VALID = (
        Example({"src/evaluate.py": "import matplotlib.pyplot as plt\nplt.savefig('comparison_a.pdf')\n"}),
        Example(
            {"src/evaluate.py": "import pandas as pd\npd.DataFrame(x).plot().figure.savefig('comparison_a.pdf')\n"}
        ),
        Example(
            {
                "src/evaluate.py": "from src.model import draw\ndraw()\n",
                "src/model.py": "import seaborn as sns\n\n\ndef draw():\n    sns.lineplot()\n",
            }
        ),
        Example({"src/evaluate.py": "from assay.evaluation import compare\ncompare()\n"}),
        # the foundation asks for figures, whoever draws them
        Example(
            {
                "src/evaluate.py": "import json\nprint(json.dumps({'accuracy': 0.5}))\n",
                "src/train.py": "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.savefig('loss.pdf')\n",
            },
            contract="base",
        ),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": "import json\n\nprint(json.dumps({'accuracy': 0.5}))\n"},
            at=("src/evaluate.py",),
            repaired={
                "src/evaluate.py": "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.savefig('comparison_a.pdf')\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        side = evaluation_side(project)
        if side.evaluate is None or side.unknown:
            yield Undecided(side.unknown)
            return
        if side.roots & _LIBRARIES or {"savefig", "write_image", "plot", "to_image"} & side.names:
            return
        others = [file for file in project.python.values() if file not in side.files]
        roots = {item.module.partition(".")[0] for file in others for item in file.imports}
        if "B1.4" in project.contract.ids and (roots & _LIBRARIES or any(file.tree is None for file in others)):
            yield Undecided("another program may draw the figures")
            return
        yield self.finding(side.evaluate.path)
