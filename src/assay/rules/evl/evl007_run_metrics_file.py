"""EVL007: evaluate writes no metrics.json for each run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.evaluation_side import evaluation_side
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_NAMED = re.compile(r"(?<![\w.-])metrics\.json$|^_?metrics\.json$|[/\\]metrics\.json")
_PART = re.compile(r"^[/_\\]?metrics$|^\.json$|^metrics\.?$")
_WHOLE = "import json\n\nfor run_id in run_ids:\n    (results / run_id / 'metrics.json').write_text(json.dumps(read(run_id)))\n"


class RunMetricsFile(Rule):
    """Evaluate writes what it read of each run to `{results_dir}/{run_id}/metrics.json`.

    Whatever comes after evaluate looks for this name. The rule looks for it as text in evaluate and in the files it
    imports; where it may be put together from parts, it only warns.
    """

    code = "EVL007"
    name = "run-metrics-file"
    requirements = ("E8.3",)
    message = "evaluate never names metrics.json"
    explanation = "The metrics of each run are looked for in {{results_dir}}/{{run_id}}/metrics.json."
    repair = "Write the metrics of each run to results_dir / run_id / 'metrics.json'."

    VALID = (
        Example({"src/evaluate.py": _WHOLE}),
        Example({"src/evaluate.py": "save(f'{results}/{run_id}/metrics.json')\n"}),
        Example({"src/evaluate.py": "from assay.evaluation import compare\ncompare()\n"}),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": _WHOLE.replace("metrics.json", "results.json")},
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": _WHOLE},
        ),
        # the aggregated one is another file
        Example(
            {"src/evaluate.py": "import json\n\njson.dump(table, open('comparison/aggregated_metrics.json', 'w'))\n"},
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": _WHOLE},
        ),
        # the name may be put together: a warning
        Example({"src/evaluate.py": "save('metrics' + '.json')\n"}, at=("src/evaluate.py",)),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        side = evaluation_side(project)
        if side.evaluate is None or side.unknown:
            yield Undecided(side.unknown)
            return
        if any(_NAMED.search(text) for text in side.texts):
            return
        built = any(_PART.search(text) for text in side.texts)
        built |= any("metrics.json" in file.text for file in project.yaml.values())
        yield self.finding(side.evaluate.path, severity=Severity.WARNING if built else None)
