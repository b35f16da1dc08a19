"""DAT012: a run names a dataset that the code's own choice has no branch for."""

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
    "import yaml\nfrom src.preprocess import get_data\n\n\ndef main(path):\n    cfg = yaml.safe_load(open(path))\n"
    "    return get_data(cfg['dataset'])\n\n\nif __name__ == '__main__':\n    main('run')\n"
)
_CHOICE = (
    "def get_data(cfg):\n    name = cfg['name'].lower()\n    if name == 'dummy':\n        return 1\n"
    "    if name in ('cifar10', 'other'):\n        return 2\n    raise ValueError(f'unknown dataset {name}')\n"
)
_REGISTRY = (
    "KNOWN = {'small': int, 'large': float}\n\n\ndef get_data(cfg):\n    name = cfg.get('name', 'small')\n"
    "    if name not in KNOWN:\n        raise NotImplementedError(name)\n    return KNOWN[name]()\n"
)
_STAND_INS = (
    "def get_data(dataset_name):\n    if dataset_name == 'dummy':\n        return 1\n"
    "    raise ValueError(dataset_name)\n\n\nget_data('dummy')\n"
)
_HYDRA = (
    "import hydra\nfrom src.preprocess import get_data\n\n\n@hydra.main(config_path='../config', version_base=None)\n"
    "def main(cfg):\n    return get_data(cfg.dataset)\n\n\nif __name__ == '__main__':\n    main()\n"
)


def _files(choice: str, name: str, train: str = _TRAIN) -> dict[str, str]:
    return {
        "src/main.py": _MAIN,
        "src/train.py": train,
        "src/preprocess.py": choice,
        "config/full_experiment.yaml": f"experiments:\n  - run_id: a\n    dataset:\n      name: {name}\n",
    }


class UnimplementedDataset(Rule):
    """The program chooses its dataset by name, and ends with an exception for any name it does not know. A run
    that configures such a name stops there.

    The rule follows the configured value from the file of the run through assignments, accesses and calls of the
    program's own functions to the comparison. It blocks where every comparison on the way is decided, nothing catches the
    exception and no code or command sets the value anew. Where the choice knows only stand-ins (`dummy`, `synthetic`, ...)
    and refuses everything else, no run can ever use a real dataset: that breaks the contract whatever the runs say.
    """

    code = "DAT012"
    name = "unimplemented-dataset"
    requirements = ("E3.1", "D2.1", "D3.1", "B4.2")
    consequence = Consequence.CRASHES
    message = "{function} has no branch for the dataset {value!r} that run {who} names{more}"
    explanation = "The run ends in {raised}: {path} in {run_file} reaches this choice, which knows {known} only."
    repair = "Implement {value} in {function}, or name a dataset there that it implements."

    VALID = (
        Example(_files(_CHOICE, "cifar10"), contract="derived"),
        Example(_files(_REGISTRY, "large"), contract="derived"),
        # another module may register more
        Example(
            {**_files(_REGISTRY, "huge"), "src/evaluate.py": "from src.preprocess import KNOWN\nKNOWN['huge'] = str\n"},
            contract="derived",
        ),
        # the code sets the name anew
        Example(
            _files(_CHOICE, "huge", _TRAIN.replace("    return", "    cfg['dataset']['name'] = 'other'\n    return")),
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
        Example({"src/preprocess.py": _STAND_INS}, contract="base"),
    )
    INVALID = (
        Example(
            _files(_CHOICE, "huge"),
            contract="derived",
            at=("src/preprocess.py:7",),
            repaired={"src/preprocess.py": _CHOICE.replace("'other'", "'huge'")},
        ),
        Example(
            _files(_REGISTRY, "huge"),
            contract="derived",
            at=("src/preprocess.py:7",),
            repaired={"src/preprocess.py": _REGISTRY.replace("'large'", "'huge'")},
        ),
        Example(
            {
                "src/main.py": _MAIN,
                "src/train.py": _HYDRA,
                "src/preprocess.py": _CHOICE,
                "config/runs/a.yaml": "run_id: a\ndataset:\n  name: huge\n",
            },
            at=("src/preprocess.py:7",),
            repaired={"config/runs/a.yaml": "run_id: a\ndataset:\n  name: cifar10\n"},
        ),
        # nothing but stand-ins, whatever the runs say
        Example(
            {"src/preprocess.py": _STAND_INS},
            contract="derived",
            at=("src/preprocess.py:4",),
            repaired={"src/preprocess.py": _STAND_INS.replace("'dummy'", "'cifar10'")},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        yield from unimplemented(self, project, "dataset", ("D2.1", "E3.1"))
