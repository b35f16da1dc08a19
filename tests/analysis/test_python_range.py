"""The range of Python versions that a submission admits."""

from __future__ import annotations

import pytest

from assay.analysis.ruff_check import python_range


@pytest.mark.parametrize(
    ("requires", "admitted"),
    [
        (">=3.10", (10, None)),
        (">=3.10,<3.13", (10, 12)),
        ("<3.13.0", (None, 12)),
        # a patch release above the bound's first one: the minor version itself is admitted
        (">=3.12.1,<3.12.9", (12, 12)),
        ("==3.11.*", (11, 11)),
        (">=3.8, <4", (8, None)),
    ],
)
def test_the_bounds_are_minor_versions(requires, admitted):
    assert python_range(requires) == admitted


def test_a_pinned_version_wins():
    assert python_range(">=3.9", "3.12.4\n") == (12, 12)
