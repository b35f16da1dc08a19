"""Two verdicts to report on: one of everything, and one that is ready."""

from __future__ import annotations

import pytest
from hand_written import CONFIG, FINDINGS, TRAIN, verdict_of  # type: ignore[import-not-found]


@pytest.fixture
def verdict():
    return verdict_of({"src/train.py": TRAIN, "config/config.yaml": CONFIG}, FINDINGS)


@pytest.fixture
def ready():
    return verdict_of({"config/config.yaml": CONFIG}, name="other")
