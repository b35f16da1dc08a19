"""What the tool behind the tables of members reads from a package that makes its names as it is imported."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

PLACE = Path(__file__).parents[2] / "tools/static_namespace.py"

INIT = """
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .utils import _LazyModule, is_torch_available
from .utils.import_utils import define_import_structure

_import_structure = {"trainer": ["Trainer"], "data": []}

if not is_torch_available():
    from .utils import dummy_objects

    _import_structure["utils.dummy_objects"] = [name for name in dir(dummy_objects) if not name.startswith("_")]

if TYPE_CHECKING:
    from .models import *
    from .trainer import Callback
else:
    structure = define_import_structure(Path(__file__).parent / "models", prefix="models")
    sys.modules[__name__] = _LazyModule(__name__, globals()["__file__"], structure)
"""

LAZY = """
class _LazyModule:
    def __getattr__(self, name):
        if name.endswith("TokenizerFast"):
            return getattr(self, name[:-4])
        if name.endswith("Tokenizer"):
            from ..convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS
        raise AttributeError(name)
"""

FILES = {
    "__init__.py": INIT,
    "trainer.py": "class Trainer: ...\nclass Callback: ...\n",
    "data/__init__.py": "",
    "utils/__init__.py": "from . import dummy_objects\nfrom .import_utils import _LazyModule\n",
    "utils/import_utils.py": LAZY,
    "utils/dummy_objects.py": "class Scorer: ...\n",
    "convert_slow_tokenizer.py": 'SLOW_TO_FAST_CONVERTERS = {"OldTokenizer": object}\n',
    "models/__init__.py": "from .small import *\n",
    "models/small/__init__.py": "",
    "models/small/modeling_small.py": 'import math\n__all__ = ["SmallModel"]\nclass SmallModel: ...\nclass Block: 1\n',
    "models/small/tokenization_small.py": '__all__ = [\n    "SmallTokenizer",\n]\n',
    "models/small/processing_small.py": (
        '@requires(backends=("vision",))\n@other\nclass SmallProcessor: ...\nclass Hidden: ...\n'
    ),
    "models/small/convert_small.py": '__all__ = ["convert"]\n',
    "models/old/deep/modeling_deep.py": '__all__ = ["DeepModel"]\n',
}  # fmt: skip


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("static_namespace", PLACE)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["static_namespace"] = made
    spec.loader.exec_module(made)
    yield made
    del sys.modules["static_namespace"]


def names_of(tool: ModuleType, folder: Path, files: dict[str, str]) -> set[str]:
    for path, text in files.items():
        place = folder / "lib" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    found = tool.Library(folder, ("lib",)).names("lib")
    assert found.open == ""
    return set(found.found)


def test_a_lazy_package_has_what_its_files_offer_whatever_they_need(tool, tmp_path):
    names = names_of(tool, tmp_path, FILES)
    assert {"SmallModel", "SmallTokenizer", "SmallProcessor", "DeepModel"} <= names
    assert not {"Block", "Hidden", "convert", "math", "small"} & names


def test_a_lazy_package_has_what_it_lists_and_its_submodules(tool, tmp_path):
    assert {"Trainer", "trainer", "data", "models", "utils"} <= names_of(tool, tmp_path, FILES)


def test_a_lazy_package_has_nothing_that_is_imported_for_type_checkers_only(tool, tmp_path):
    assert "Callback" not in names_of(tool, tmp_path, FILES)


def test_a_lazy_package_has_the_dummies_of_what_is_not_installed(tool, tmp_path):
    assert "Scorer" in names_of(tool, tmp_path, FILES)


def test_a_lazy_package_has_the_names_that_it_answers_for_by_others(tool, tmp_path):
    names = names_of(tool, tmp_path, FILES)
    assert {"SmallTokenizerFast", "OldTokenizer", "OldTokenizerFast"} <= names
    assert "SmallProcessorFast" not in names
    assert "OldTokenizer" not in names_of(
        tool, tmp_path / "b", {**FILES, "utils/import_utils.py": "class _LazyModule: ..."}
    )


def test_a_package_that_loads_its_parts_at_once_has_what_its_text_binds(tool, tmp_path):
    plain = {
        "__init__.py": "from typing import TYPE_CHECKING\nfrom .a import *\nif TYPE_CHECKING:\n    from .b import C\n",
        "a.py": '__all__ = ["A"]\nclass A: ...\nclass B: ...\n',
        "b.py": "class C: ...\n",
    }
    names = names_of(tool, tmp_path, plain)
    # a stub and a branch for type checkers count: what is said of a name that is not there holds in every branch
    assert {"A", "C", "a", "b"} <= names
    assert "B" not in names
