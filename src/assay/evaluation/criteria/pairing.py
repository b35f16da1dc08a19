"""Which runs a criterion compares: pairs of a proposed run and a baseline, found by their run ids."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence

from assay.evaluation.criteria.section import Criterion, wrong
from assay.evaluation.records import RunRecord

PROPOSED = "*proposed*"
BASELINES = ("*comparative*", "*baseline*")

Words = tuple[str, ...]


def settings_of(criterion: Criterion, records: Sequence[RunRecord]) -> list[tuple[str, str | None]]:
    """The settings of a criterion: the ones it names, or pairs of runs whose ids say the same apart from their roles.

    The role is the plain part of the pattern that an id matches (`proposed`, `comparative`, `baseline`). What is left
    of an id is compared word by word, in four steps, of which the first that finds any pair counts for all runs:

    1. The words are the same: `proposed-cifar10` and `baseline-cifar10`.
    2. They are, without the number that follows the baseline's role: `proposed-cifar10` and `comparative-1-cifar10`.
    3. They are, without one word at the front of either, which names the method: `proposed-lora-cifar10` and
       `comparative-1-full-cifar10`. Such a word could as well name the data, so that this counts only where both
       configurations name the same `model` and the same `dataset`.
    4. There is one proposed run and one baseline, and both configurations name the same `dataset`:
       `proposed-mlp-digits` and `comparative-1-logistic-digits`, whose models are what is compared.

    Args:
        criterion: The criterion.
        records: The runs that are compared.

    Returns:
        Ids of a proposed run and of a baseline; several where several baselines go with a run, and one with None where
        none does.

    Raises:
        ExperimentError: A run is both proposed and a baseline.
    """
    if criterion.settings is not None:
        return list(criterion.settings)
    baseline_patterns = (criterion.baseline,) if criterion.baseline else BASELINES
    ours = _matching(records, (criterion.proposed or PROPOSED,))
    theirs = _matching(records, baseline_patterns)
    both = sorted(ours.keys() & theirs.keys())
    if both:
        raise wrong(
            f"criteria.{criterion.name}",
            f"takes {both[0]} both for a proposed run and for a baseline; name the pairs under settings",
        )
    configs = {record.run_id: record.config for record in records}

    def same(p: str, b: str) -> bool:
        return ours[p] == theirs[b]

    def same_without_number(p: str, b: str) -> bool:
        return ours[p] == _unnumbered(theirs[b])

    def same_without_method(p: str, b: str) -> bool:
        left, right = ours[p], _unnumbered(theirs[b])
        agree = left[1:] in (right, right[1:]) or left == right[1:]
        return agree and _name_alike(("model", "dataset"), configs[p], configs[b])

    def alone(p: str, b: str) -> bool:
        return len(ours) == len(theirs) == 1 and _name_alike(("dataset",), configs[p], configs[b])

    steps: tuple[Callable[[str, str], bool], ...] = (same, same_without_number, same_without_method, alone)
    for step in steps:
        found = {p: [b for b in theirs if step(p, b)] for p in ours}
        if any(found.values()):
            break
    none: list[str | None] = [None]
    return [(p, b) for p, partners in found.items() for b in partners or none]


def _matching(records: Sequence[RunRecord], patterns: Sequence[str]) -> dict[str, Words]:
    """Run ids that match one of the patterns, with their words apart from the role."""
    matching = {}
    for record in records:
        pattern = next((p for p in patterns if fnmatch.fnmatchcase(record.run_id, p)), None)
        if pattern is not None:
            role = max(re.split(r"[*?]|\[[^\]]*\]", pattern), key=len).strip("-_")
            matching[record.run_id] = _words(record.run_id.replace(role, "-", 1) if role else record.run_id)
    return matching


def _words(text: str) -> Words:
    return tuple(word for word in re.split(r"[-_]", text) if word)


def _unnumbered(words: Words) -> Words:
    return words[1:] if words and words[0].isdigit() else words


def _name_alike(sections: Sequence[str], first: Mapping[str, object], second: Mapping[str, object]) -> bool:
    names = [(_name(first.get(section)), _name(second.get(section))) for section in sections]
    return all(a is not None and a == b for a, b in names)


def _name(section: object) -> object:
    return section.get("name", section) if isinstance(section, Mapping) else section
