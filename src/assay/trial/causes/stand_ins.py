"""Stops that what a rehearsal puts in the place of the real things may have brought about: rows, texts, trials.

A second run has the same stand-ins, so that it shows the same stop and proves nothing. Each of these causes fits only
where the step really worked with such a thing; otherwise another cause speaks.
"""

from __future__ import annotations

import re

from assay.analysis.project import Project
from assay.trial.causes.known import Known, Words, known
from assay.trial.reading import cuts, made_up_data, row_counts, text
from assay.trial.record import Step, Stop

_ROWS = "a stand-in has fewer rows than the real data, and fewer of each class"
_FORM = "what is read there was made up, and the real data may have another form"
_PARSING = re.compile(
    r"\.split\(|\.partition\(|\.groups?\(|\bre\.\w+\(|json\.loads|literal_eval|strptime|\bint\(|\bfloat\(|\.index\(|\.find\("
)
_FAILED_PARSING = re.compile(
    r"has no attribute '(?:group|groups|start|end|span)'|invalid literal|could not convert string"
)
# what a program looks at where it checks its data or its own success
_LOOKED_AT = re.compile(
    r"\blen\(|\.shape|\.size\b|\.numel|batch|count|nunique|\bunique|empty|\brows|samples|accura|\bacc\b|score|metric|f1\b",
    re.IGNORECASE,
)
_INNERMOST = re.compile(r'(?m)^ *File "([^"]+)", line (\d+)')


def _lines(stop: Stop, project: Project) -> list[str]:
    """The lines of a file of the submission down to the one where it stopped."""
    if not stop.frames:
        return []
    place = stop.frames[-1]
    return (project.submission.text(place.file) or "").split("\n")[: place.line]


def _condition(lines: list[str]) -> str:
    """The line that the last one depends on: the nearest above it that is indented less."""
    depth = len(lines[-1]) - len(lines[-1].lstrip())
    above = (line for line in reversed(lines[:-1]) if line.strip() and len(line) - len(line.lstrip()) < depth)
    return next(above, "")


def _with_data(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    return words if made_up_data(step) else None


def _beyond(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """Whether a list of as many entries as a stand-in has rows was read beyond its end."""
    size = words.get("size", "")
    return words if size.isdigit() and int(size) in row_counts(step) else None


def _parsed(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """Whether a made-up text was taken apart, in a form that it does not have."""
    lines = _lines(stop, project)
    # some errors say by themselves that a text was taken apart, wherever that was
    apart = _FAILED_PARSING.search(stop.message) or any(_PARSING.search(line) for line in lines[-1:])
    if not apart or not made_up_data(step):
        return None
    value = re.search(r"'([^']+)'$", stop.message)
    files = project.submission.files
    # a value of the submission's own, such as one of a configuration, is no stand-in's
    own = value is not None and any(value.group(1) in (project.submission.text(path) or "") for path in files)
    return None if own and "attribute" not in stop.message else words


def _searched(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    return words if cuts(step, "optuna trials") else None


def _checked(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """Whether the program itself gave up, after a look at a size or at its own success that a rehearsal changes."""
    if not stop.frames or not (made_up_data(step) or any(step.of("shrunk"))):
        return None
    found = _INNERMOST.findall(stop.text)
    place = stop.frames[-1]
    if found and (found[-1][0].removeprefix("./"), int(found[-1][1])) != (place.file, place.line):
        return None
    lines = _lines(stop, project)
    last = lines[-1] if lines else ""
    if re.match(r"\s*assert\b", last):
        return words if _LOOKED_AT.search(last) else None
    if not re.search(r"\braise\b|exit\(", last):
        return None
    condition = _condition(lines)
    return words if re.match(r"\s*(?:el)?if\b", condition) and _LOOKED_AT.search(condition) else None


def _mixed(stop: Stop, step: Step, project: Project, words: Words) -> Words | None:
    """Whether CUDA's mixed precision was led to the CPU, whose lists of what is cast are others."""
    mapped = any(text(event, "op") == "autocast" and event.get("enabled") is True for event in step.of("cuda"))
    return words if mapped else None


CAUSES: tuple[Known, ...] = (
    known(
        "mixed-precision-on-cpu",
        "RuntimeError",
        r"(?:Half|float16|BFloat16|bfloat16).*?(?:[Ff]loat|[Dd]ouble|dtype)|(?:[Ff]loat|dtype).*?(?:Half|BFloat16)|"
        r"Expected self\.dtype to be equal to src\.dtype",
        "tensors of different kinds of numbers meet in one operation under mixed precision",
        "Bring inputs and weights to the same dtype, or work under autocast.",
        doubt="the mixed precision of a CPU casts other operations than a GPU's",
        fill=_mixed,
    ),
    known(
        "too-few-rows",
        "ValueError IndexError AssertionError RuntimeError StatisticsError NotFittedError",
        r"least populated class|n_splits=\d+ cannot be greater|[Cc]annot have number of (?:splits|folds)|"
        r"(?:test|train)_size ?= ?\d+ should be (?:greater|smaller|either)|"
        r"should be greater or equal to the number of classes|"
        r"[Ll]arger (?:sample )?than (?:the )?population|Only one class|number of classes has to be greater than one|"
        r"at least (?:2|two) classes|n_neighbors ?<=|n_components=\S+ must be|n_samples=\d+ should be|"
        r"Found array with 0 |train set will be empty|previously unseen labels|Number of classes in y_true|"
        r"empty vocabulary|no terms remain|zero-size array to reduction|need at least one array|"
        r"(?:arg|argument) is (?:an )?empty|non-empty (?:list of tensors|TensorList)|"
        r"Cannot choose from an empty sequence|"
        r"a must be (?:greater than 0|non-empty)|at least (?:one|two) data points?|out-of-bounds|"
        r"Expected more than 1 value per channel when training",
        "there are too few rows, or too few of a class",
        "See to it that this works with as few rows as there may be.",
        doubt=_ROWS,
        area="data",
        fill=_with_data,
    ),
    known(
        "row-beyond-the-stand-in",
        "IndexError",
        r"is out of bounds for (?:axis|dimension) 0 with size (?P<size>\d+)",
        "a row beyond the last of {size} is asked for",
        "Take at most as many rows as there are.",
        doubt=_ROWS,
        area="data",
        fill=_beyond,
    ),
    known(
        "made-up-text-taken-apart",
        "ValueError IndexError AttributeError JSONDecodeError SyntaxError",
        r"invalid literal for int\(\)|could not convert string to float|does not match format|values to unpack|"
        r"substring not found|is not in list|list index out of range|"
        r"has no attribute '(?:group|groups|start|end|span)'|"
        r"malformed node|Expecting (?:value|property|',')",
        "a text of the data has another form than the program takes apart",
        "Treat rows of another form, or leave them out and count them.",
        doubt=_FORM,
        area="data",
        fill=_parsed,
    ),
    known(
        "search-of-few-trials",
        "ValueError RuntimeError",
        r"zero total variance|parameter importances|No trials are completed|No feasible trials|only a single trial",
        "the search has too few trials that came to their end",
        "Treat a search whose trials were all cut off, or end alike.",
        doubt="a rehearsal makes two trials of a search",
        fill=_searched,
    ),
    known(
        "own-check",
        "",
        r".*",
        "the program gives up by a check of its own",
        "Let the check hold for what the contract's command gives.",
        doubt="it checks a size or a result, and a rehearsal's are not the real ones",
        fill=_checked,
    ),
)
