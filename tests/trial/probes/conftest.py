from __future__ import annotations

from pathlib import Path

import pytest

from tests.trial.inside.watched_run import Stage

pytest.importorskip("torch")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A folder with a submission's copy, whose programs run under the probes."""
    return Stage(tmp_path)
