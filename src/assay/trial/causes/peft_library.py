"""Causes that PEFT reports: target modules."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.trial.causes.known import Known, Words, known
from assay.trial.causes.locating import of_keys, of_models, of_values
from assay.trial.record import Step, Stop, TrialFrame

_TARGETS = r"target_modules|modules|lora|adapter|peft"


def _target_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    yield from of_models(step)
    named = re.findall(r"[\w.]+", words.get("names", ""))
    found = list(of_values(project, step, named, _TARGETS)) if named else []
    yield from found or list(of_keys(project, step, r"^target_modules$"))


def _wrapped_places(stop: Stop, step: Step, project: Project, words: Words) -> Iterator[TrialFrame]:
    # the message shows the module, `RobertaIntermediate(\n (dense): ...`; its class ends in the word that was asked for
    kind = words.get("module", "").lower()
    yield from of_models(step)
    targets = list(of_keys(project, step, r"^target_modules$")) or list(of_values(project, step, (), _TARGETS))
    likely = [
        frame
        for frame in of_keys(project, step, r".*")
        if re.search(_TARGETS, frame.function) and _says(project, frame, kind)
    ]
    yield from likely or targets


def _says(project: Project, frame: TrialFrame, kind: str) -> bool:
    """Whether a line of a configuration holds a word that the name of a class ends in."""
    lines = (project.submission.text(frame.file) or "").split("\n")
    line = lines[frame.line - 1] if frame.line <= len(lines) else ""
    return any(kind.endswith(word.lower()) for word in re.findall(r"[A-Za-z_]{4,}", line))


CAUSES: tuple[Known, ...] = (
    known(
        "target-modules-not-found",
        "ValueError",
        r"Target modules (?P<names>.*?) not found in the base model",
        "the adapter's target modules {names} are not in this model",
        "Name modules that the model of this run has (`[name for name, _ in model.named_modules()]`), or `all-linear`.",
        action="shim:lora-targets",
        area="model",
        points=_target_places,
    ),
    known(
        "target-module-not-supported",
        "ValueError",
        r"Target module (?P<module>\w+)\(.*?is not supported",
        "the adapter cannot wrap `{module}`, which is no single layer",
        "Name the linear layers themselves, such as `intermediate.dense`.",
        action="shim:lora-targets",
        area="model",
        points=_wrapped_places,
    ),
    known(
        "target-modules-unknown-architecture",
        "ValueError",
        r"Please specify `target_modules`(?: or .*)? in `peft_config`",
        "no target modules are given, and PEFT knows none for this architecture",
        "Give `target_modules` in the adapter's configuration.",
        action="shim:lora-targets",
        area="model",
        points=_target_places,
    ),
    known(
        "modules-to-save-not-found",
        "ValueError AttributeError",
        r"modules_to_save.*?(?:not found|has no attribute)",
        "the adapter is told to keep modules that this model does not have",
        "Name modules of this model in `modules_to_save`, or leave it out.",
        area="model",
        inside=r"\bpeft\b",
        points=_target_places,
    ),
    known(
        "adapter-argument",
        "TypeError",
        r"LoraConfig\.__init__\(\) got an unexpected keyword argument '(?P<name>\w+)'",
        "`LoraConfig` has no argument `{name}`",
        "Leave `{name}` out.",
        area="model",
    ),
    known(
        "no-trainable-adapter",
        "ValueError",
        r"Attempting to add an adapter|adapter .* already exists",
        "an adapter is added to a model that has one of that name",
        "Add it once, or give it a name of its own.",
        area="model",
        inside=r"\bpeft\b",
    ),
)
