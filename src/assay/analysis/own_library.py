"""What the review knows of `assay.runtime` and `assay.evaluation`, on which a submission may stand.

The facts are those of the library itself (`src/assay/runtime`, `src/assay/evaluation`); where it has them as pure data
or functions, the review uses these (`assay.runtime.call`, `assay.runtime.modes`). Names are the public ones: what a
submission imports from deeper modules, or what a package of its own called `assay` holds, is not meant.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from functools import lru_cache

LIBRARY = "assay"
EXPERIMENT = "assay.runtime.experiment"
LAUNCH = "assay.runtime.launch"
EVALUATE = "assay.evaluation.evaluate"
METRIC = "assay.evaluation.Metric"

# What the library makes, as the enactment names it.
RUN = "assay.runtime.Run()"
TRACKER = "assay.runtime.Tracker()"
REPORT = "assay.runtime.Report()"
BEST_WEIGHTS = "assay.runtime.BestWeights()"
# Where their classes are; the modules are light.
MADE = {RUN: "assay.runtime.run.Run", TRACKER: "assay.runtime.tracker.Tracker",
        BEST_WEIGHTS: "assay.runtime.best_weights.BestWeights"}  # fmt: skip
PACKAGES = ("assay.runtime", "assay.evaluation")
# Loops that certainly have a turn: the library refuses no seeds and less than one epoch.
LOOPS = frozenset({f"{RUN}.seeds()", f"{RUN}.epochs()", f"{RUN}.batches()", f"{RUN}.accumulated()"})
# Of these none is None, empty or false.
OBJECTS = frozenset({RUN, TRACKER, REPORT, BEST_WEIGHTS}) | LOOPS

# What `@experiment` composes: `assay.runtime.program`.
CONFIG_FOLDER = "../config"
CONFIG_NAME = "config"
VERSION_BASE = "1.3"
# What the tracker adds to every row: `assay.runtime.run.Run.track`.
ADDED_KEYS = frozenset({"seed", "seconds"})


def is_hidden(paths: Iterable[str]) -> bool:
    """Whether a submission with these files may mean something else by `assay`: a file or folder has that name."""
    return any(LIBRARY in path.removesuffix(".py").split("/") for path in paths)


def run_words(words: Iterable[str], run_group: str) -> list[str]:
    """The words of a command line as `@experiment` hands them to Hydra: the run file is chosen as one more default."""
    return [f"+{run_group}@_global_={word[4:]}" if word.startswith("run=") else word for word in words]


@lru_cache(256)
def member(path: str) -> object:
    """What a public name of the library leads to: `assay.runtime.launch`, `assay.runtime.Run().track`.

    None where the library has no such name. It is True for an attribute that an object gets when it is made, and for
    what is no public name of the library's at all.
    """
    above, _, name = path.rpartition(".")
    if above in MADE:
        module, _, kind = MADE[above].rpartition(".")
        cls = getattr(importlib.import_module(module), kind)
        held = inspect.getattr_static(cls, name, None)
        return held if held is not None or name not in cls.__init__.__code__.co_names else True
    if above not in PACKAGES:
        return True
    package = importlib.import_module(above)
    if name not in package.__all__:
        return None
    try:
        return getattr(package, name)
    except ImportError:
        # it needs what only an experiment has installed
        return True


def misfit(path: str, positional: int, keywords: tuple[str, ...]) -> str:
    """Why Python refuses a call of the library with so many positional arguments, and with these names; empty where it
    does not."""
    called = member(path)
    if called is True or called is None or isinstance(called, property):
        return ""
    above = path.rpartition(".")[0]
    try:
        signature = inspect.signature(called)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*range(positional + (above in MADE)), **dict.fromkeys(keywords))
    except TypeError as error:
        return str(error)
    return ""
