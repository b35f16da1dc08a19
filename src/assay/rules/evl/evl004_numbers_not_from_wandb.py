"""EVL004: evaluate does not read the runs from the W&B API."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.own_imports import reached_files
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile
from assay.rules.rule import Example, Outcome, Rule, Undecided

_APIS = frozenset({"wandb.Api", "wandb.apis.public.Api", "wandb.apis.PublicApi", "wandb.PublicApi"})


class NumbersNotFromWandb(Rule):
    """Evaluate takes history, summary and configuration of every run from the W&B API, so that every number it reports can
    be traced to the run that made it.

    An evaluate program without `wandb.Api` reads something else: files that train left, or nothing at all.
    """

    code = "EVL004"
    name = "numbers-not-from-wandb"
    requirements = ("E8.2",)
    message = "evaluate does not use the W&B API"
    explanation = "Its numbers cannot come from the recorded runs, which only wandb.Api gives."
    repair = "Read each run with wandb.Api().run(f'{{entity}}/{{project}}/{{run_id}}')."

    VALID = (
        Example({"src/evaluate.py": "import wandb\nrun = wandb.Api().run('e/p/r')\n"}),
        Example({"src/evaluate.py": "from wandb import Api\napi = Api()\n"}),
        Example({"src/evaluate.py": "from assay import evaluation\nevaluation.main()\n"}),
        Example(
            {
                "src/evaluate.py": "from src.model import runs\nruns()\n",
                "src/model.py": "import wandb\nruns = wandb.Api().runs\n",
            }
        ),
        # through two files, or made from the configuration
        Example(
            {
                "src/evaluate.py": "from src.preprocess import read\nread()\n",
                "src/preprocess.py": "from src.model import fetch as read\n",
                "src/model.py": "from wandb import Api\n\ndef fetch():\n    return Api().runs('e/p')\n",
            }
        ),
        Example(
            {
                "src/evaluate.py": "from hydra.utils import instantiate\napi = instantiate(cfg.api)\n",
                "config/config.yaml": "api:\n  _target_: wandb.Api\n",
            }
        ),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": "import json\nwith open('results.json') as file:\n    results = json.load(file)\n"},
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": "import wandb\nresults = wandb.Api().run('e/p/r').summary\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        evaluate = project.role("evaluate")
        if evaluate is None or not evaluate.nodes[1:]:
            yield Undecided("evaluate is missing or cannot be read")
            return
        files = [evaluate, *reached_files(project, evaluate)]
        if any(_uses_api(file) for file in files):
            return
        if any(
            item.module.partition(".")[0] in ("assay", "importlib") or item.name == "*" for item in evaluate.imports
        ):
            yield Undecided("a library reads the runs")
        elif any(file.tree is None for file in files) or _takes_by_name(evaluate):
            yield Undecided("part of what evaluate uses cannot be read")
        elif any("wandb.Api" in file.text for file in project.yaml.values()):
            yield Undecided("the configuration may name the W&B API")
        else:
            yield self.finding(evaluate.path)


def _uses_api(file: PythonFile) -> bool:
    if any(item.target in _APIS for item in file.imports):
        return True
    names = (file.qualified(node) for node in file.nodes)
    return any(name in _APIS or name.endswith(".wandb.Api") for name in names if name)


def _takes_by_name(file: PythonFile) -> bool:
    return any(name == "getattr" and call.args and file.qualified(call.args[0]) == "wandb" for call, name in file.calls)
