"""The one error that a person sees: what is wrong with the input, where, and what to do."""

from __future__ import annotations


class InputError(Exception):
    """The submission or the call cannot be read. Its text is one line for a person; exit status 2 follows."""
