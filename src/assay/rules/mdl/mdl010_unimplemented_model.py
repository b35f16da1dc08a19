"""MDL010: a run names a model that the code's own choice has no branch for."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Consequence
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.unimplemented_choice import unimplemented

_MAIN = (
    "import subprocess, sys\n\n\ndef main():\n"
    "    subprocess.run([sys.executable, '-m', 'src.train', '--config', 'run.yaml'])\n\n\nmain()\n"
)
_TRAIN = (
    "import yaml\nfrom src.model import build_model\n\n\ndef main(path):\n    cfg = yaml.safe_load(open(path))\n"
    "    return build_model(cfg['model'])\n\n\nif __name__ == '__main__':\n    main('run')\n"
)
_CHOICE = (
    "def build_model(cfg):\n    name = cfg['name'].lower()\n    if name == 'dummy':\n        return 1\n"
    "    if name in ('resnet20', 'other'):\n        return 2\n    raise ValueError(f'unknown model {name}')\n"
)
_REGISTRY = (
    "KNOWN = {'small': int, 'large': float}\n\n\ndef build_model(cfg):\n    name = cfg.get('name', 'small')\n"
    "    if name not in KNOWN:\n        raise NotImplementedError(name)\n    return KNOWN[name]()\n"
)
_STAND_INS = (
    "def build_model(model_name):\n    if model_name == 'dummy':\n        return 1\n"
    "    raise ValueError(model_name)\n\n\nbuild_model('dummy')\n"
)
_HYDRA = (
    "import hydra\nfrom src.model import build_model\n\n\n@hydra.main(config_path='../config', version_base=None)\n"
    "def main(cfg):\n    return build_model(cfg.model)\n\n\nif __name__ == '__main__':\n    main()\n"
)


def _files(choice: str, name: str, train: str = _TRAIN) -> dict[str, str]:
    return {
        "src/main.py": _MAIN,
        "src/train.py": train,
        "src/model.py": choice,
        "config/full_experiment.yaml": f"experiments:\n  - run_id: a\n    model:\n      name: {name}\n",
    }


class UnimplementedModel(Rule):
    """The program chooses its model by name, and ends with an exception for any name it does not know. A run
    that configures such a name stops there.

    The rule follows the configured value from the file of the run through assignments, accesses and calls of the
    program's own functions to the comparison. It blocks where every comparison on the way is decided, nothing catches the
    exception and no code or command sets the value anew. Where the choice knows only stand-ins (`dummy`, `synthetic`, ...)
    and refuses everything else, no run can ever use a real model: that breaks the contract whatever the runs say.
    """

    code = "MDL010"
    name = "unimplemented-model"
    requirements = ("E4.1", "D2.2", "D2.5", "B4.2")
    consequence = Consequence.CRASHES
    message = "{function} has no branch for the model {value!r} that run {who} names{more}"
    explanation = "The run ends in {raised}: {path} in {run_file} reaches this choice, which knows {known} only."
    repair = "Implement {value} in {function}, or name a model there that it implements."

    VALID = (
        Example(_files(_CHOICE, "resnet20"), contract="derived"),
        Example(_files(_REGISTRY, "large"), contract="derived"),
        # another module may register more
        Example(
            {**_files(_REGISTRY, "huge"), "src/evaluate.py": "from src.model import KNOWN\nKNOWN['huge'] = str\n"},
            contract="derived",
        ),
        # the code sets the name anew
        Example(
            _files(_CHOICE, "huge", _TRAIN.replace("    return", "    cfg['model']['name'] = 'other'\n    return")),
            contract="derived",
        ),
        # what is refused is caught
        Example(
            _files(
                _CHOICE,
                "huge",
                _TRAIN.replace(
                    "    return", "    try:\n        return 1\n    except ValueError:\n        pass\n    return"
                ),
            ),
            contract="derived",
        ),
        # a branch that is not decided may take it
        Example(
            _files(_CHOICE.replace("    raise", "    if exists(name):\n        return 3\n    raise"), "huge"),
            contract="derived",
        ),
        Example(
            {"src/model.py": _CHOICE.replace("'resnet20'", "'synthetic'").replace("'other'", "'toy'")}, contract="base"
        ),
    )
    INVALID = (
        Example(
            _files(_CHOICE, "huge"),
            contract="derived",
            at=("src/model.py:7",),
            repaired={"src/model.py": _CHOICE.replace("'other'", "'huge'")},
        ),
        Example(
            _files(_REGISTRY, "huge"),
            contract="derived",
            at=("src/model.py:7",),
            repaired={"src/model.py": _REGISTRY.replace("'large'", "'huge'")},
        ),
        Example(
            {
                "src/main.py": _MAIN,
                "src/train.py": _HYDRA,
                "src/model.py": _CHOICE,
                "config/runs/a.yaml": "run_id: a\nmodel:\n  name: huge\n",
            },
            at=("src/model.py:7",),
            repaired={"config/runs/a.yaml": "run_id: a\nmodel:\n  name: resnet20\n"},
        ),
        # nothing but stand-ins, whatever the runs say
        Example(
            {"src/model.py": _STAND_INS},
            contract="derived",
            at=("src/model.py:4",),
            repaired={"src/model.py": _STAND_INS.replace("'dummy'", "'resnet20'")},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        yield from unimplemented(self, project, "model", ("D2.2", "E4.1"))
