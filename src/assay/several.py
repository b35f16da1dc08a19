"""Reviewing several submissions, one after another or side by side."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from assay.errors import InputError

if TYPE_CHECKING:
    from assay.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Answer:
    """What one path was answered: a verdict, or the line that says why there is none."""

    path: str
    verdict: Verdict | None
    error: str = ""

    @property
    def status(self) -> int:
        """The exit status it stands for: 0 ready, 1 not ready, 2 unreadable."""
        return 2 if self.verdict is None else int(not self.verdict.ready)


def review_several(
    paths: Sequence[str],
    *,
    jobs: int = 1,
    report_progress: Callable[[Answer], None] | None = None,
    say: Callable[[str, str], None] | None = None,
    **options: Any,
) -> list[Answer]:
    """Review each path with the same options.

    Args:
        paths: What to review, as `assay.review` takes it.
        jobs: How many processes work side by side.
        report_progress: Called with each answer as it comes, in the order of completion.
        say: Told the path, and in a few words what happens in its rehearsal. Where several processes work, it is
            called in each of them, and must be a function of a module.
        options: Passed to `assay.review`.

    Returns:
        The answers, in the order of the paths.
    """
    tell = report_progress or (lambda answer: None)
    if say is not None:
        options["say"] = say
    if jobs == 1 or len(paths) == 1:
        answers = []
        for path in paths:
            answers.append(_answer(path, options))
            tell(answers[-1])
        return answers
    return _side_by_side(paths, jobs, tell, options)


def _side_by_side(
    paths: Sequence[str], jobs: int, tell: Callable[[Answer], None], options: dict[str, Any]
) -> list[Answer]:
    from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
    from multiprocessing import active_children, get_context

    answers: dict[int, Answer] = {}
    # a new Python looks for modules in the working directory first, which may be the submission
    safe_path = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"

    def take(number: int, answer: Answer) -> None:
        answers[number] = answer
        tell(answer)

    def pool_of(size: int) -> Executor:
        # an interrupt is the parent's to handle
        return ProcessPoolExecutor(size, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN))

    pool = pool_of(min(jobs, len(paths)))
    try:
        pending: dict[Future[Answer], int] = {}
        lost = []
        for number, path in enumerate(paths):
            try:
                if path != "-":
                    pending[pool.submit(_answer, path, options)] = number
            except BrokenExecutor:
                lost.append(number)
        for number, path in enumerate(paths):
            if path == "-":
                # only this process has the standard input
                take(number, _answer(path, options))
        for done in as_completed(pending):
            try:
                take(pending[done], done.result())
            except BrokenExecutor:
                lost.append(pending[done])
        # a process that dies (of memory, say) takes its pool along: each that is lost gets a pool of its own
        for number in sorted(lost):
            alone = pool_of(1)
            try:
                take(number, alone.submit(_answer, paths[number], options).result())
            except BrokenExecutor:
                take(number, Answer(paths[number], None, f"{paths[number]}: the reviewing process died"))
            finally:
                alone.shutdown(wait=False)
    except KeyboardInterrupt:
        for child in active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        if safe_path is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = safe_path
    return [answers[number] for number in range(len(paths))]


def _answer(path: str, options: dict[str, Any]) -> Answer:
    from assay.reviewer import review

    if "say" in options:
        options = {**options, "say": partial(options["say"], path)}
    try:
        return Answer(path, review(path, **options))
    except InputError as error:
        return Answer(path, None, str(error))
    except Exception as error:
        # a fault of assay's own must not take the other answers with it
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename}:{place.lineno}"
        return Answer(path, None, f"{path}: assay itself failed: {type(error).__name__}: {error} ({where})")
