"""DRV003: a definition of the base came back much shorter."""

from __future__ import annotations

import re
from collections.abc import Iterator

from assay.analysis.definitions import Definition, definitions, found_elsewhere, total_shapes
from assay.analysis.project import Project
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule, Undecided

_LEAST = 8
_STEPS = (
    "load",
    "split",
    "pad",
    "mask",
    "embed",
    "encode",
    "pool",
    "project",
    "scale",
    "score",
    "rank",
    "clip",
    "store",
)
_LONG = (
    "def fit(model, data):\n"
    + "".join(f"    step_{n} = data.{name}(model)\n" for n, name in enumerate(_STEPS))
    + "    return step_12\n"
)
_CUT = "def fit(model, data):\n    return data.load(model)\n"
_ALIKE = "def pick(kind):\n" + "".join(f"    if kind == 'k{n}':\n        return {n}\n" for n in range(8))


class ShortenedDefinition(Rule):
    """A derived submission specialises its base; it does not cut it down.

    A function that lost more than half of its statements, and at least eight, lost behaviour, unless the statements went
    into other definitions. The rule compares what the statements do, not how their variables are called. It blocks where
    more than 70 % is gone, statements of many kinds among it, little of it is found anywhere else, and no library was
    imported that may do it.
    """

    code = "DRV003"
    name = "shortened-definition"
    requirements = ("D1.2",)
    message = "{definition} went from {before} statements in the base to {now}"
    explanation = "Much of what the base did there is found nowhere else in the derived code."
    repair = "Bring the lost part of {definition} back, or put what replaces it into the derived code."

    VALID = (
        Example({"src/train.py": _LONG}, contract="derived", base={"src/train.py": _LONG}),
        # moved into another function
        Example(
            {"src/train.py": _CUT + "\n" + _LONG.replace("fit", "fit_parts").replace("step_", "s_")},
            contract="derived",
            base={"src/train.py": _LONG},
        ),
        Example({"src/train.py": _CUT}, contract="derived"),
    )
    INVALID = (
        Example(
            {"src/train.py": _CUT},
            contract="derived",
            base={"src/train.py": _LONG},
            at=("src/train.py:1",),
            repaired={"src/train.py": _LONG},
        ),
        # statements of one kind may stand in a table now: a warning
        Example(
            {"src/train.py": "def pick(kind):\n    return TABLE[kind]\n"},
            contract="derived",
            base={"src/train.py": _ALIKE},
            at=("src/train.py:1",),
        ),
        # a library may do the rest now: a warning
        Example(
            {"src/train.py": "import trainer\n\n" + _CUT.replace("data.load(model)", "trainer.fit(model, data)")},
            contract="derived",
            base={"src/train.py": _LONG},
            at=("src/train.py:3",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        if project.base is None:
            yield Undecided("no base was given")
            return
        before, after = definitions(project.base.python.values()), definitions(project.python.values())
        by_symbol: dict[str, list[Definition]] = {}
        for item in after:
            by_symbol.setdefault(item.symbol, []).append(item)
        total_before, total_after = total_shapes(before), total_shapes(after)
        owners = {item.owner for item in before}
        named_before: dict[str, list[Definition]] = {}
        for item in before:
            named_before.setdefault(item.symbol, []).append(item)
        roots_before = {item.module.partition(".")[0] for file in project.base.python.values() for item in file.imports}
        for item in before:
            # a class is judged by its methods
            if item.is_stand_in or (item.name in owners and not item.owner):
                continue
            candidates = by_symbol.get(item.symbol, [])
            same_file = [other for other in candidates if other.file.path == item.file.path]
            # a name that several files define, such as main, is compared within its file only
            now = max(same_file or candidates, key=lambda other: len(other.statements), default=None)
            if now is None or (not same_file and len(candidates) + len(named_before[item.symbol]) > 2):
                continue
            if len(item.statements) - len(now.statements) < _LEAST:
                continue
            if len(now.statements) >= 0.5 * len(item.statements):
                continue
            lost = item.shapes - now.shapes
            replaced = found_elsewhere(lost, item, now, total_before, total_after)
            if replaced >= 0.6:
                continue
            roots = (
                {entry.module.partition(".")[0] for entry in now.file.imports} - roots_before - {"src", "__future__"}
            )
            # many statements of a kind may have become a loop, or a table
            kinds = {re.sub(r"\d+", "", kind) for kind in lost}
            extreme = len(now.statements) < 0.3 * len(item.statements) and replaced < 0.3 and len(kinds) >= _LEAST
            yield self.finding(
                now.file.path,
                now.node,
                severity=None if extreme and not roots else Severity.WARNING,
                symbol=item.symbol,
                definition=item.symbol,
                now=len(now.statements),
                before=len(item.statements),
                detail=f"{item.file.path}:{item.node.lineno} of the base",
            )
