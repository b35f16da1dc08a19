"""EVL008: the best runs are not chosen by what their ids say."""

from __future__ import annotations

from collections.abc import Iterator

from assay.analysis.evaluation_side import evaluation_side
from assay.analysis.project import Project
from assay.rules.rule import Example, Outcome, Rule, Undecided

_KEYS = ("best_proposed", "best_baseline")
_SHORTEST = 4
_WHOLE = (
    "proposed = {k: v for k, v in values.items() if 'proposed' in k}\n"
    "baseline = {k: v for k, v in values.items() if 'comparative' in k or 'baseline' in k}\n"
    "table = {'best_proposed': max(proposed, key=proposed.get), 'best_baseline': max(baseline, key=baseline.get)}\n"
)


class BestRunsByName(Rule):
    """The best proposed run is looked for among the run ids that contain `proposed`, the best baseline among those that
    contain `comparative` or `baseline`.

    Evaluate gets nothing but run ids, so without these words it cannot tell the method from what it is compared with.
    The rule looks for the words, or the beginning of one, as texts of their own beside the keys of the aggregated
    metrics.
    """

    code = "EVL008"
    name = "best-runs-by-name"
    requirements = ("E8.5",)
    message = "evaluate never looks for {missing} in the run ids"
    explanation = "The best proposed run and the best baseline cannot be told apart by their ids."
    repair = "Choose among the run ids that contain `proposed`, and among those with `comparative` or `baseline`."

    VALID = (
        Example({"src/evaluate.py": _WHOLE}),
        Example({"src/evaluate.py": _WHOLE.replace("'proposed' in k", "k.startswith('proposed-')")}),
        Example({"src/evaluate.py": _WHOLE.replace("'proposed' in k", "re.match(r'prop(osed)?', k)")}),
        Example({"src/evaluate.py": "print('best_proposals')\n"}),
        # one word for both
        Example({"src/evaluate.py": _WHOLE.replace("'comparative' in k or 'baseline' in k", "'proposed' not in k")}),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": "table = {'best_proposed': run_ids[0], 'best_baseline': run_ids[1]}\n"},
            at=("src/evaluate.py",),
            repaired={"src/evaluate.py": _WHOLE},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        side = evaluation_side(project)
        if side.evaluate is None or side.unknown:
            yield Undecided(side.unknown)
            return
        if not any(key in side.texts or key in side.names for key in _KEYS):
            # that the keys are missing is said elsewhere
            return
        texts = {text.lower() for text in side.texts} - set(_KEYS)
        config = project.yaml.get(project.contract.role("config") or "")
        if _named("proposed", texts) or (config is not None and "proposed" in config.text):
            return
        if _named("comparative", texts) or _named("baseline", texts):
            return
        yield self.finding(side.evaluate.path, missing="`proposed`, `comparative` or `baseline`")


def _named(word: str, texts: set[str]) -> bool:
    """Whether a word, or its beginning, is part of a text that is no key of the aggregated metrics."""
    beginnings = [word[:length] for length in range(_SHORTEST, len(word) + 1)]
    for text in texts:
        plain = text.replace("best_proposed", "").replace("best_baseline", "")
        if any(beginning in plain for beginning in beginnings):
            return True
    return False
