"""What is wrong with a call, a configuration or a file that an experiment relies on, in one line for a person."""

from __future__ import annotations


class ExperimentError(Exception):
    """Says in one line what is wrong, where, and what to do about it.

    `experiment` and `evaluate` print it without a traceback and end the program.

    Args:
        text: The line.
        status: Exit status of the program: 1 where work could not go on, 2 where the call or the configuration is
            wrong.
    """

    def __init__(self, text: str, *, status: int = 1) -> None:
        super().__init__(" ".join(text.split()))
        self.status = status
