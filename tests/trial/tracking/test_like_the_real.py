"""One script, with the real client and with the stand-in: what they say is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.trial.tracking.tracked import really, rehearsed

pytest.importorskip("wandb")

SCRIPT = Path(__file__).with_name("logs_much.py").read_text()
_ADDED = ("_runtime", "_timestamp", "_wandb")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("tracking")
    return really(folder / "real", SCRIPT), rehearsed(folder, SCRIPT).answers


def as_served(value: Any) -> Any:
    """As the service says it: the test's server passes numbers on that are not finite, the service makes them text."""
    if isinstance(value, float) and value - value != 0:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {name: as_served(item) for name, item in value.items() if name not in _ADDED}
    return [as_served(item) for item in value] if isinstance(value, list) else value


def flat(row: dict[str, Any], before: str = "") -> dict[str, Any]:
    """A row with the names that the service gives to what is nested."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict) and "_type" not in value:
            found |= flat(value, f"{before}{name}.")
        else:
            found[before + name] = value
    return found


def test_every_answer_is_the_same(answers: tuple[dict[str, Any], dict[str, Any]]) -> None:
    real, ours = answers
    compared = set(real) - {"rows", "summary types"}
    assert {name: as_served(ours[name]) for name in compared} == {name: as_served(real[name]) for name in compared}


def test_rows_are_the_same(answers: tuple[dict[str, Any], dict[str, Any]]) -> None:
    real, ours = answers
    assert ours["rows"] == [as_served(flat(row)) for row in real["rows"]]


def test_values_of_the_summary_have_the_same_types(answers: tuple[dict[str, Any], dict[str, Any]]) -> None:
    real, ours = answers
    not_finite = {name for name, value in real["summary"].items() if isinstance(value, float) and value - value != 0}
    assert not_finite
    kept = [name for name in real["summary types"] if name not in not_finite and name not in _ADDED]
    assert {name: ours["summary types"][name] for name in kept} == {name: real["summary types"][name] for name in kept}
    assert {ours["summary types"][name] for name in not_finite} == {"str"}
    assert (ours["summary types"]["whole"], ours["summary types"]["nested"]) == ("int", "SummarySubDict")
