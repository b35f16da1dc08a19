"""The brief: what an experiment sets out to show, how, and with which runs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an experiment.

    Args:
        run_id: Its identifier, as given on the command line.
        method: The method's name (`proposed`, `comparative-1`, ...).
        model: The model's name, as the brief puts it.
        dataset: The dataset's name, as the brief puts it.
        config: The text of its YAML configuration, if the brief holds one.
    """

    run_id: str
    method: str | None = None
    model: str | None = None
    dataset: str | None = None
    config: str | None = None


@dataclass(frozen=True, slots=True)
class Brief:
    """Everything a reviewer knows about an experiment besides its code. Every part may be missing.

    Args:
        hypothesis: What the experiment claims, and why.
        method: The proposed method in words.
        design: How the experiment is carried out.
        runs: The runs (or run variations) it consists of.
        primary_metric: Name of the metric that decides.
        direction: `maximize` or `minimize`, if the brief says it.
        expected: What is expected to come out.
    """

    hypothesis: str = ""
    method: str = ""
    design: str = ""
    runs: tuple[Run, ...] = field(default=())
    primary_metric: str | None = None
    direction: str | None = None
    expected: str = ""

    @property
    def run_ids(self) -> tuple[str, ...]:
        return tuple(run.run_id for run in self.runs)
