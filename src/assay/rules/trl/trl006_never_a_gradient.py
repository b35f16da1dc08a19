"""TRL006: some parameters of an optimizer never get a gradient."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.rules.trl.rehearsals import at, saw, trained
from assay.trial.reading import FULL_MODES, command_of, optimizers, places, settled

_FEWEST = 4
# parts of well-known architectures that a task may leave unused, those that a router may not choose, and the copy that
# PEFT keeps of a module it trains
_OFTEN_UNUSED = re.compile(
    r"original_module|pooler|lm_head|\bhead\b|cls\b|mlm|nsp|expert|router|token_type|position|logit_scale",
    re.IGNORECASE,
)
_MODEL = "class Net(nn.Module):\n    def __init__(self):\n        self.gate = nn.Linear(4, 4)\n"


def _seen(names: list[str], steps: int = 8) -> tuple[dict[str, object], ...]:
    return (
        {"kind": "optimizer", "id": 1, "cls": "AdamW", "parameters": 10, "frames": at("src/train.py", 1)},
        {
            "kind": "optimizer-end",
            "optimizer": 1,
            "steps": steps,
            "parameters": 10,
            "never_gradient": names,
            "never_gradient_count": len(names),
            "never_moved_count": len(names),
        },
    )


class NeverAGradient(Rule):
    """Parameters that an optimizer holds and that no backward pass reaches, in any of at least four steps of a full mode:
    a layer that `forward` does not call, a branch that is never taken, a tensor that is detached on its way. They stay as
    they were initialised.

    Parts that tasks often leave unused (poolers, heads, experts that no router chose) are not told.
    """

    code = "TRL006"
    name = "never-a-gradient"
    requirements = ("X2", "E1.3", "E4.1", "B6.2", "D2.5")
    gate = "trial"
    severity = Severity.WARNING
    yields_to = ("TRL005",)
    message = "{count} of {parameters} parameters of {cls} never get a gradient in {command}: {names}"
    explanation = "They stay as they were initialised, whatever is trained around them."
    repair = "Let the forward pass use them, or do not hand them to the optimizer."

    VALID = (
        Example({"src/model.py": _MODEL, "src/train.py": "x = 1\n"}, rehearsed=saw(*trained(4), mode="full")),
        Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*_seen(["bert.pooler.dense.weight"]), mode="full")),
        Example({"src/train.py": "x = 1\n"}, rehearsed=saw(*_seen(["gate.weight"], 2), mode="full")),
    )
    INVALID = (
        Example(
            {"src/model.py": _MODEL, "src/train.py": "x = 1\n"},
            at=("src/train.py:1",),
            rehearsed=saw(*_seen(["gate.weight", "gate.bias"]), mode="full"),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.rehearsal is None:
            return
        told: set[tuple[object, ...]] = set()
        for step in settled(project.rehearsal, *FULL_MODES):
            for one in optimizers(step):
                names = [name for name in one.names if not _OFTEN_UNUSED.search(name)]
                if one.steps < _FEWEST or not names or one.never_gradient >= one.parameters:
                    continue
                place = one.frames[-1] if one.frames else None
                key = (place, tuple(names))
                if key in told:
                    continue
                told.add(key)
                yield self.finding(
                    place.file if place else None,
                    place.line if place else None,
                    symbol=names[0],
                    run=step.run or None,
                    detail=f"steps: {one.steps}; without a gradient in all of them: {', '.join(one.names)}",
                    frames=places(one.frames),
                    count=one.never_gradient,
                    parameters=one.parameters,
                    cls=one.cls,
                    command=command_of(step),
                    names=", ".join(names[:5]) + (" ..." if len(names) > 5 else ""),
                )
