"""File names of figures: what they show, nothing random, no two alike."""

from __future__ import annotations

import re

from assay.runtime.errors import ExperimentError

# file systems take 255 bytes; while it is written, a file's name has a few more
_LONGEST = 240


class FigureNames:
    """Gives out file names and refuses the second of two that would be one file.

    Names that differ only in case count as one: on some file systems they are.
    """

    def __init__(self) -> None:
        self._given: dict[str, str] = {}

    def of_run(self, run_id: str, topic: str) -> str:
        """`{run_id}_{topic}.pdf`.

        Args:
            run_id: A run id that is fit to be a folder's name.
            topic: What the figure shows.

        Raises:
            ExperimentError: The name was given out before.
        """
        return self._claim(f"{run_id}_{safe_topic(topic)}.pdf", f"{topic} of {run_id}")

    def of_comparison(self, topic: str, condition: str | None = None) -> str:
        """`comparison_{topic}.pdf`, or `comparison_{topic}_{condition}.pdf`.

        Args:
            topic: What the figure shows.
            condition: Of what: a metric, a curve.

        Raises:
            ExperimentError: The name was given out before.
        """
        parts = [topic] if condition is None else [topic, condition]
        return self._claim("_".join(["comparison", *map(safe_topic, parts)]) + ".pdf", " of ".join(parts))

    def _claim(self, name: str, meaning: str) -> str:
        if len(name.encode()) > _LONGEST:
            raise ExperimentError(
                f"{name}: too long for the name of a file; track {meaning} under a shorter key.", status=2
            )
        earlier = self._given.get(name.lower())
        if earlier is not None:
            raise ExperimentError(
                f"Two figures would be {name}: {earlier}, and {meaning}. Rename one of the two keys where "
                "it is tracked, or leave one out of evaluate(...).",
                status=2,
            )
        self._given[name.lower()] = meaning
        return name


def safe_topic(topic: str) -> str:
    """Letters and digits of any script, dots and hyphens as they are; everything else becomes one underscore.

    Args:
        topic: Any text.

    Raises:
        ExperimentError: Nothing would be left of it.
    """
    safe = re.sub(r"[^\w.-]+", "_", topic).strip("_.")
    if not safe:
        raise ExperimentError(f"{topic!r} has no letter that a figure's file name could hold; rename it.", status=2)
    return safe
