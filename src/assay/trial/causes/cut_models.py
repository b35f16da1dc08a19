"""Whether a stop may come from a stand-in of a model that has fewer layers, or less width, than the real one.

Models that are large stay cut in the second run too. A program that names a layer which only the real model has, or a
width that is the real one's, is right, and stops in both.
"""

from __future__ import annotations

import re

from assay.analysis.project import Project
from assay.trial.causes.known import Cause
from assay.trial.reading import text, whole
from assay.trial.record import Step, Stop

_DOUBT = "the stand-in of the model has fewer layers, or less width, than the real one, whose numbers the program names"
# a model, or a list of its layers or of its hidden states, that has no such number
_MISSED = re.compile(r"(?:tuple|list) index out of range|^index -?\d+ is out of range|has no attribute '\d+'|^'?\d+'?$")
_SIZED = re.compile(r"out of range|index|empty")
_FROZEN = ("loss-without-graph", "no-parameters", "unused-in-grad")
_SHAPED = ("shapes-do-not-multiply", "sizes-do-not-match", "target-size", "state-does-not-fit")
# a layer by its number: `layer.11`, `hidden_states[-4]`, `layers_to_transform: [8, 9]`, `unfreeze_last: 4`
_LAYER = re.compile(
    r"(?:layers?(?:_to_transform|_ind(?:ex|ices)|_idx|_ids?)?|hidden_states|blocks?|\bh|(?:last|top|freeze|unfreeze)\w*)"
    r"['\"\])]{0,2}\s*(?:[.:=\[({_,]|==|>=|<|in)\s*[\[(]?\s*-?(?P<number>\d{1,3})\b|"
    r"(?:layer|block)\w* .*?range\((?:\d+, *)?(?P<end>\d{1,3})\)"
)
# the layers that an adapter is put on
_ADAPTED = re.compile(r"layers_to_transform\D{0,6}\d|(?:layers?|\bh|blocks?)\\{0,2}\.[\[(]{0,2}\d")
# layers of a tiny stand-in
_LAYERS = 2
# names of models that are larger or smaller than what their family has by default, and widths that such models have
_OF_A_SIZE = re.compile(r"large|small|tiny|mini|medium|huge|giant|distil|\bx+l\b|\d[bm]\b", re.IGNORECASE)
_USUAL_WIDTHS = frozenset(
    (
        128,
        192,
        256,
        312,
        384,
        512,
        768,
        896,
        1024,
        1280,
        1408,
        1536,
        1600,
        1792,
        2048,
        2304,
        2560,
        3072,
        3584,
        4096,
        5120,
    )
)
# the least number that is told for a width
_WIDTH = 100


def doubt_of_cut_model(stop: Stop, cause: Cause, step: Step, project: Project) -> str:
    """Why a stop may be the stand-in's; empty where nothing speaks for that."""
    shaped = cause.name in _SHAPED or "shape" in stop.message
    missed, adapted = bool(_MISSED.search(stop.message)), cause.name == "target-modules-not-found"
    frozen = cause.name in _FROZEN
    names = {text(event, "name") for event in step.of("model") if text(event, "name")}
    if not names or not (shaped or missed or adapted or frozen):
        return ""
    texts = [project.submission.text(path) or "" for path in (*project.python, *project.yaml)]
    if frozen and not (_is_all_frozen(cause, step) and any("requires_grad" in held for held in texts)):
        return ""
    for layers_stay, width_stays, numbers in map(_second_run, sorted(names)):
        if shaped and not width_stays and any(_literals(held) & numbers for held in texts):
            return _DOUBT
        # what is not about sizes is run again with a tiny stand-in
        cut = not layers_stay if _SIZED.search(stop.message) else True
        if (missed or frozen) and cut and any(map(_names_layer, texts)):
            return _DOUBT
        if adapted and cut and any(map(_ADAPTED.search, texts)):
            return _DOUBT
    return ""


def _is_all_frozen(cause: Cause, step: Step) -> bool:
    """Whether no parameter was left to train, as where all layers but one that the stand-in lacks are frozen."""
    if cause.name == "no-parameters":
        return True
    made = list(step.of("optimizer"))
    return bool(made) and all(whole(event, "frozen") >= whole(event, "parameters") for event in made)


def _second_run(name: str) -> tuple[bool, bool, frozenset[int]]:
    """Whether a model keeps its layers and its width in a run without cuts, and the sizes of the real one."""
    from assay.trial.catalogue import catalogue
    from assay.trial.inside.hub.models import facts_of, plan

    known = catalogue()
    facts = facts_of(known["names"].get(name.lower(), name), known)
    if facts is None:
        return True, True, frozenset()
    words = facts.config.get("vocab_size")
    if known["rows"].get(facts.id) is None and _OF_A_SIZE.search(name):
        # what is known is the family's, in another size
        return False, False, _USUAL_WIDTHS
    shrinking, _ = plan(facts.config, words if isinstance(words, int) else 0, shrink=False)
    sizes = {value for value in facts.config.values() if isinstance(value, int) and value >= _WIDTH}
    return shrinking.layers is None, shrinking.width is None, frozenset(sizes)


def _literals(held: str) -> set[int]:
    return {int(number) for number in re.findall(r"(?<![\w.])\d{3,5}(?![\w.])", held)}


def _names_layer(held: str) -> bool:
    """Whether a text names a layer that a tiny stand-in does not have."""
    return any(int(match["number"] or match["end"]) >= _LAYERS for match in _LAYER.finditer(held))
