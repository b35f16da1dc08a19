"""What `@hydra.main` says is read as Hydra reads it."""

from __future__ import annotations

import pytest

from assay.analysis.hydra_entry import hydra_entry
from assay.analysis.python_source import PythonFile


def entry_of(decorator, before="import hydra\n", after="main()\n"):
    return hydra_entry(PythonFile("src/main.py", f"{before}\n@{decorator}\ndef main(cfg):\n    pass\n\n\n{after}"))


@pytest.mark.parametrize(
    ("arguments", "folder"),
    [
        ("config_path='../config'", "config"),
        ("'../config', 'config'", "config"),
        ("config_path='conf'", "src/conf"),
        ("config_path='.'", "src"),
        ("", "src"),
        ("version_base=None", None),
        ("version_base='1.1'", "src"),
        ("version_base='1.3', config_path=None", None),
        ("config_path=str(Path(__file__).parent.parent / 'config')", "config"),
        ("config_path=str(Path(__file__).resolve().parents[1] / 'config')", "config"),
        ("config_path=os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'config')", "config"),
        ("config_path=FOLDER", "config"),
    ],
)
def test_the_folder_of_the_configuration(arguments, folder):
    before = "import os\nfrom pathlib import Path\nimport hydra\n\nFOLDER = '../config'\n"
    entry = entry_of(f"hydra.main({arguments})", before)
    assert entry is not None
    assert entry.config_dir == folder
    assert entry.unread == ""


@pytest.mark.parametrize(
    ("arguments", "moves"),
    [("", True), ("version_base=None", False), ("version_base='1.1'", True), ("version_base='1.1.2'", True),
     ("version_base='1.2'", False), ("version_base='1.3'", False), ("version_base='1.10'", False)],
)  # fmt: skip
def test_which_version_it_acts_as(arguments, moves):
    entry = entry_of(f"hydra.main({arguments})")
    assert entry is not None
    assert entry.acts_as_1_1 is moves


@pytest.mark.parametrize(
    ("decorator", "before", "after"),
    [
        ("hydra.main(config_path=folder(), config_name='c')", "import hydra\n", "main()\n"),
        ("hydra.main(*where)", "import hydra\n", "main()\n"),
        ("hydra.main(**where)", "import hydra\n", "main()\n"),
        ("hydra.main(config_path='../../elsewhere')", "import hydra\n", "main()\n"),
        ("hydra.main", "import hydra\n", "main()\n"),
        ("hydra.main(config_name='c')", "import hydra\n", "main(cfg)\n"),
        ("hydra.main(config_name='c')", "import hydra\n", "if ready:\n    main()\n"),
        ("hydra.main(config_name='c')", "import hydra\n", "try:\n    main()\nexcept Exception:\n    pass\n"),
        ("hydra.main(config_name='c')", "import hydra\nimport sys\nsys.argv.append('run=a')\n", "main()\n"),
        ("hydra.main(config_name='c')", "import hydra\n", ""),
    ],
)
def test_what_cannot_be_told_is_not_certain(decorator, before, after):
    entry = entry_of(decorator, before, after)
    assert entry is not None
    assert not entry.certain


def test_other_ways_to_write_it():
    for text in (
        "from hydra import main as entry\n\n\n@entry(config_name='c')\ndef run(cfg):\n    pass\n\n\nrun()\n",
        "import hydra\n\n\ndef run(cfg):\n    pass\n\n\nhydra.main(config_name='c')(run)()\n",
    ):
        entry = hydra_entry(PythonFile("src/main.py", text))
        assert entry is not None
        assert entry.function is not None
        assert entry.function.name == "run"
        assert entry.config_name == "c"
        assert entry.certain
    assert hydra_entry(PythonFile("src/main.py", "import hydra\n")) is None
