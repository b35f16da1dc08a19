"""What `assay.runtime` offers, each imported only when it is asked for."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

import assay.runtime


@pytest.mark.parametrize("name", assay.runtime.__all__)
def test_every_name_is_what_it_says_and_no_module(name):
    if name in ("BestWeights", "Checkpoints"):
        pytest.importorskip("torch")
    offered = getattr(assay.runtime, name)
    assert not isinstance(offered, ModuleType)
    assert getattr(offered, "__name__", name) in (name, "Callable")


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'expriment'"):
        assay.runtime.expriment  # noqa: B018


HEAVY = ("torch", "numpy", "wandb", "optuna", "scipy", "matplotlib", "pandas", "sklearn")


@pytest.mark.parametrize("statement", ["import assay.runtime", "from assay.runtime import Run, experiment, launch"])
def test_a_launcher_imports_nothing_heavy(statement):
    code = f"{statement}\nimport sys\nprint([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
