"""`python -m assay` and the `assay` command."""

from __future__ import annotations

import atexit
import gc
import os
import sys

EXIT_INTERRUPTED = 130
# Syntax trees are many objects and no cycles: to look for cycles as often as Python does, and once more at the end,
# takes a twentieth of a review.
GARBAGE_THRESHOLD = 100_000


def main() -> None:
    """Run the command line. Whatever is wrong with the call or the input is one line, and exit status 2."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    atexit.register(gc.freeze)
    _leave_the_working_directory()
    if sys.stdout is None:
        # closed by the caller (`>&-`): the report goes nowhere, the exit status stays
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def _leave_the_working_directory() -> None:
    """Take the working directory off the import path, where `python -m assay` puts it: it may be the submission."""
    here = os.path.realpath(".")
    if os.path.realpath(sys.path[0]) == here and os.path.realpath(os.path.join(__file__, "../..")) != here:  # noqa: PTH118
        del sys.path[0]


def _run() -> None:
    if sys.argv[1:2] == ["review"] and len(sys.argv) > 2 and "--help" not in sys.argv:
        from assay.analysis.enactment.session import start_early

        start_early()
    from assay.cli import EXIT_UNREADABLE, app, complain
    from assay.errors import InputError

    try:
        status = app(standalone_mode=False)
    except InputError as error:
        complain(error)
        sys.exit(EXIT_UNREADABLE)
    except Exception as error:
        # Typer's own errors share no public base class; each has a message for people and an exit status
        if not hasattr(error, "format_message"):
            # a fault of assay's own is no verdict; the status that Python would end with means "not ready"
            import traceback

            traceback.print_exc()
            sys.exit(EXIT_UNREADABLE)
        command = getattr(getattr(error, "ctx", None), "command_path", "assay")
        complain(f"{error.format_message()} (`{command} --help` shows the options)")
        sys.exit(getattr(error, "exit_code", EXIT_UNREADABLE))
    sys.exit(status or 0)


if __name__ == "__main__":
    main()
