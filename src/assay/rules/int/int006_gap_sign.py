"""INT006: the gap between the proposed method and the baseline is worked out wrongly."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from assay.analysis.expressions import bare, is_same, last_part, number, scope_nodes, words, words_of
from assay.analysis.metric_names import direction_of
from assay.analysis.project import Project
from assay.analysis.python_source import FunctionNode, PythonFile, descend, string_value
from assay.analysis.text_pattern import PatternReader
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.submission.brief import Brief

_MAX_GAPS = 20
_PROPOSED = frozenset({"proposed", "prop", "ours"})
_BASELINE = frozenset({"baseline", "base", "comparative", "reference"})
_GAP = frozenset({"gap", "improvement", "improvements", "improv"})
# the name under which the contract asks for null
_NULL = frozenset({"gap"})
# what the name of the contract's gap may say besides
_GENERIC = _GAP | _PROPOSED | _BASELINE | frozenset(
    {
        "best", "relative", "rel", "percent", "percentage", "pct", "perc", "value", "values", "overall", "total", "final",
        "primary", "main", "metric", "over", "vs", "versus", "to", "the", "of", "in", "compute", "computed", "calc", "calculate",
        "get", "raw", "signed", "performance", "perf", "result", "score", "scores", "abs", "absolute", "p", "b", "mean",
        "average", "avg", "test", "val", "all", "method", "methods", "run", "runs", "aggregate", "aggregated",
    }
)  # fmt: skip
# words of a program that knows of both directions
_DIRECTION = frozenset(
    {"direction", "directions", "minimize", "minimise", "maximize", "maximise", "lower", "higher", "greater", "sign"}
)
_UP = Brief(primary_metric="accuracy", direction="maximize")
_DOWN = Brief(primary_metric="perplexity", direction="minimize")


class _Gap(NamedTuple):
    """A difference that is divided.

    Args:
        place: The division.
        first: `proposed` or `baseline`, whichever the other one is taken from.
        below: The same for the divisor; None where it is neither.
        divisor: The divisor.
    """

    place: ast.BinOp
    first: str
    below: str | None
    divisor: ast.expr


class GapSign(Rule):
    """The contract's gap is (proposed - baseline) / baseline x 100, with its sign turned where lower is better, and null
    where the baseline is 0 or missing. A gap with another sign or divisor makes a worse method look better.

    The rule reads divisions of a difference whose parts are named after the proposed method and the baseline. It blocks
    where the divisor is the proposed value, where the brief's direction, or the `max` or `min` by which the program
    chooses the best run, contradicts the sign and nothing in evaluate turns it, and where a number stands for a
    gap that does not exist. A divisor that may be 0, or that is kept from being 0 by a small number, is a warning.
    """

    code = "INT006"
    name = "gap-sign"
    requirements = ("E8.5",)
    message = "the gap {fault}"
    explanation = (
        "The contract asks for (proposed - baseline) / baseline x 100, negated where lower is better, else null."
    )
    repair = "{change}."

    VALID = (
        Example(
            {
                "src/evaluate.py": "gap = None\nif baseline:\n    gap = (proposed - baseline) / baseline * 100\n"
                "    if direction == 'minimize':\n        gap = -gap\n"
            }
        ),
        Example(
            {"src/evaluate.py": "gap = (baseline - proposed) / baseline * 100 if baseline else None\n"}, brief=_DOWN
        ),
        Example({"src/evaluate.py": "gap = (proposed - baseline) / baseline * 100 if baseline else None\n"}, brief=_UP),
        Example(
            {
                "src/evaluate.py": "def gap_of(proposed, baseline, direction):\n    if baseline == 0:\n        return None\n"
                "    gap = (proposed - baseline) / baseline * 100\n    return gap if direction == 'maximize' else -gap\n"
            },
            brief=_DOWN,
        ),
        # of another metric than the primary one
        Example(
            {
                "src/evaluate.py": "loss_gap = (baseline_loss - proposed_loss) / baseline_loss * 100 if baseline_loss else None\n"
            },
            brief=_UP,
        ),
        Example(
            {
                "src/evaluate.py": "best_proposed = max(proposed_ids, key=score)\n"
                "energy_gap = (baseline_energy - proposed_energy) / baseline_energy if baseline_energy else 0.0\n"
            }
        ),
        # a speed-up
        Example({"src/evaluate.py": "speed_improvement = (baseline_time - proposed_time) / proposed_time\n"}),
        # a share of the baseline that is no gap
        Example({"src/evaluate.py": "share = (baseline - minimum) / baseline\n"}),
    )
    INVALID = (
        Example(
            {"src/evaluate.py": "gap = (proposed - baseline) / proposed * 100 if proposed else None\n"},
            at=("src/evaluate.py:1",),
            repaired={"src/evaluate.py": "gap = (proposed - baseline) / baseline * 100 if baseline else None\n"},
        ),
        Example(
            {"src/evaluate.py": "gap = (baseline - proposed) / baseline * 100 if baseline else None\n"},
            brief=_UP,
            at=("src/evaluate.py:1",),
            repaired={"src/evaluate.py": "gap = (proposed - baseline) / baseline * 100 if baseline else None\n"},
        ),
        Example(
            {"src/evaluate.py": "gap = (proposed - baseline) / baseline * 100 if baseline else None\n"},
            brief=_DOWN,
            at=("src/evaluate.py:1",),
            repaired={"src/evaluate.py": "gap = (baseline - proposed) / baseline * 100 if baseline else None\n"},
        ),
        Example(
            {"src/evaluate.py": "gap = (proposed - baseline) / baseline * 100 if baseline else 0.0\n"},
            at=("src/evaluate.py:1",),
            repaired={"src/evaluate.py": "gap = (proposed - baseline) / baseline * 100 if baseline else None\n"},
        ),
        Example(
            {"src/evaluate.py": "gap = (proposed - baseline) / baseline * 100\n"},
            at=("src/evaluate.py:1",),
        ),
        Example(
            {"src/evaluate.py": "gap = (proposed - baseline) / max(baseline, 1e-9) * 100\n"},
            at=("src/evaluate.py:1",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        file = project.role("evaluate")
        if file is None or file.tree is None:
            return
        reader = PatternReader(file)
        found = (gap for node in file.nodes if (gap := _gap(reader, node)) is not None and _is_gap(file, node))
        for gap in islice(found, _MAX_GAPS):
            yield from self._judge(project, file, gap)

    def _judge(self, project: Project, file: PythonFile, gap: _Gap) -> Iterator[Outcome]:
        symbol = file.symbol_of(gap.place) or None
        better, why = _direction(project, file, gap)
        others = [word for word in _name_of(file, gap.place) if word not in _GENERIC]
        known = direction_of("_".join(others))
        if others and (known is None or better not in (None, known)):
            # the gap of another quantity: `energy_gap`
            return
        if gap.below == "proposed" and (gap.first == "proposed" or _is_gap(file, gap.place, _NULL)):
            yield self.finding(
                file.path, gap.place, symbol=symbol, fault="is divided by the proposed value",
                change="Divide by the baseline",
            )  # fmt: skip
            return
        if gap.below == "proposed":
            # a speed-up is the other way round
            return
        wrong = (gap.first == "proposed" and better == "lower") or (gap.first == "baseline" and better == "higher")
        if wrong and not _turns(file, gap):
            yield self.finding(
                file.path, gap.place, symbol=symbol, detail=why,
                fault=f"is positive where the proposed method is worse ({better} is better)",
                change="Take the baseline from the proposed value" if better == "higher" else "Turn the sign",
            )  # fmt: skip
        number_given = _number_instead(file, gap) if _is_gap(file, gap.place, _NULL) else None
        if number_given is not None:
            yield self.finding(
                file.path, number_given, symbol=symbol, fault="is a number where there is no baseline to divide by",
                change="Give None there",
            )  # fmt: skip
        elif _softened(gap.divisor):
            yield self.finding(
                file.path, gap.place, severity=Severity.WARNING, symbol=symbol,
                fault="is divided by a number that stands in for a baseline of 0", change="Give None where it is 0",
            )  # fmt: skip
        elif not _is_guarded(file, gap):
            yield self.finding(
                file.path, gap.place, severity=Severity.WARNING, symbol=symbol,
                fault="is divided by the baseline without a look at whether that is 0",
                change="Give None where the baseline is 0",
            )  # fmt: skip


def _role(node: ast.AST) -> str | None:
    """Whether the names in an expression speak of the proposed method or of the baseline, and not of both."""
    held = set(words(node))
    proposed, baseline = bool(held & _PROPOSED), bool(held & _BASELINE)
    return None if proposed == baseline else "proposed" if proposed else "baseline"


def _gap(reader: PatternReader, node: ast.AST) -> _Gap | None:
    """A division of a difference of proposed and baseline."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return None
    difference = reader.value_of(node.left)
    while isinstance(difference, ast.BinOp) and isinstance(difference.op, ast.Mult):
        side = next((s for s in (difference.left, difference.right) if number(s) is None), None)
        difference = reader.value_of(side)
    if not isinstance(difference, ast.BinOp) or not isinstance(difference.op, ast.Sub):
        return None
    first, second = _role(difference.left), _role(difference.right)
    if first is None or second is None or first == second:
        return None
    return _Gap(node, first, _role(node.right), node.right)


def _is_gap(file: PythonFile, node: ast.AST, called: frozenset[str] = _GAP) -> bool:
    """Whether a value goes to a name, key or function that is called a gap."""
    for up in file.ancestors(node):
        named: list[ast.AST] = []
        if isinstance(up, ast.Assign):
            named = list(up.targets)
        elif isinstance(up, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            named = [up.target]
        elif isinstance(up, ast.Dict):
            named = [key for key in up.keys if key is not None]
        elif isinstance(up, FunctionNode):
            return bool(called & set(words_of(up.name)))
        elif isinstance(up, ast.Lambda | ast.ClassDef):
            return False
        if any(called & set(words(item)) for item in named):
            return True
    return False


def _name_of(file: PythonFile, node: ast.AST) -> list[str]:
    """The words of the name, key or function that a gap goes to, the nearest one that is called so."""
    for up in file.ancestors(node):
        named: list[str] = []
        if isinstance(up, ast.Assign):
            named = [last_part(target) for target in up.targets]
        elif isinstance(up, ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            named = [last_part(up.target)]
        elif isinstance(up, ast.Dict):
            named = [
                string_value(key) or "" for key, value in zip(up.keys, up.values, strict=True) if _holds(value, node)
            ]
        elif isinstance(up, FunctionNode):
            named = [up.name]
        for name in named:
            if _GAP & set(words_of(name)):
                return words_of(name)
    return []


def _holds(value: ast.AST, node: ast.AST) -> bool:
    return any(part is node for part in descend(value))


def _direction(project: Project, file: PythonFile, gap: _Gap) -> tuple[str | None, str]:
    """Which values of the primary metric are better, and how that is known."""
    said = (project.brief.direction or "").lower()
    if said in ("maximize", "minimize"):
        better = "higher" if said == "maximize" else "lower"
        named = direction_of(project.brief.primary_metric or "")
        statement = next((up for up in file.ancestors(gap.place) if isinstance(up, ast.stmt)), gap.place)
        spoken = {direction_of(word) for word in words(statement)} - {None}
        if spoken - {better}:
            # the gap of another metric
            return None, ""
        # a brief that contradicts the metric's name says nothing
        return (None, "") if named is not None and named != better else (better, f"the brief says {said}")
    chosen = {
        call.func.id
        for call, _ in file.calls
        if isinstance(call.func, ast.Name) and call.func.id in ("max", "min") and _chooses(file, call)
    }
    if len(chosen) == 1:
        name = chosen.pop()
        return ("higher" if name == "max" else "lower"), f"the best run is chosen with {name}"
    return None, ""


def _chooses(file: PythonFile, call: ast.Call) -> bool:
    """Whether a call of `max` or `min` chooses the best proposed run or the best baseline."""
    for up in file.ancestors(call):
        if isinstance(up, ast.Assign):
            held = {word for target in up.targets for word in words(target)}
            return (
                "best" in held and bool(held & (_PROPOSED | _BASELINE)) and any(k.arg == "key" for k in call.keywords)
            )
        if isinstance(up, ast.stmt):
            return False
    return False


def _turns(file: PythonFile, gap: _Gap) -> bool:
    """Whether anything in the file may turn the sign of a gap, or take another direction into account."""
    for node in file.nodes:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and number(node) is None:
            return True
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Mult):
            sides = [node.value] if isinstance(node, ast.AugAssign) else [node.left, node.right]
            if any(number(side) == -1 for side in sides):
                return True
        if isinstance(node, ast.Name | ast.Attribute | ast.arg):
            text = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else node.arg
            if _DIRECTION & set(words_of(text)):
                return True
        if isinstance(node, ast.Constant) and node.value in ("minimize", "maximize", "min", "max", "lower", "higher"):
            return True
        if node is not gap.place and isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            first, second = _role(node.left), _role(node.right)
            if first and second and first != second and first != gap.first:
                return True
    return False


def _number_instead(file: PythonFile, gap: _Gap) -> ast.AST | None:
    """The number that is taken where the division is not made: `... if baseline else 0.0`, or set beforehand."""
    child: ast.AST = gap.place
    for up in file.ancestors(gap.place):
        if isinstance(up, ast.IfExp) and child is up.body:
            return up.orelse if number(up.orelse) is not None else None
        if isinstance(up, ast.Assign) and len(up.targets) == 1 and isinstance(up.targets[0], ast.Name):
            return _set_before(file, up, up.targets[0].id)
        if isinstance(up, ast.stmt):
            return None
        child = up
    return None


def _set_before(file: PythonFile, statement: ast.Assign, name: str) -> ast.AST | None:
    """A number that a name keeps where an `if` around its other assignment does not hold."""
    around = file.parents.get(statement)
    if not isinstance(around, ast.If) or around.orelse or statement not in around.body:
        return None
    scope = file.function_of(statement) or file.tree
    assert scope is not None
    given = [
        node
        for node in scope_nodes(scope)
        if isinstance(node, ast.Assign) and any(isinstance(item, ast.Name) and item.id == name for item in node.targets)
    ]
    first = given[0] if given else None
    alone = len(given) == 2 and first is not None and file.parents.get(first) is file.parents.get(around)
    return first if alone and first is not None and number(first.value) is not None else None


def _softened(divisor: ast.expr) -> bool:
    """Whether a small number keeps a divisor from being 0: `max(x, 1e-9)`, `x + 1e-9`."""
    for node in descend(divisor):
        value = number(node)
        if value is not None and 0 < value < 1e-3:
            return True
    return False


def _is_guarded(file: PythonFile, gap: _Gap) -> bool:
    """Whether a condition that names the divisor, or a check before it, stands around the division."""
    scope = file.function_of(gap.place) or file.tree
    assert scope is not None
    tests = [
        node.test
        for node in scope_nodes(scope)
        if isinstance(node, ast.If | ast.IfExp | ast.Assert | ast.While) and node.lineno <= gap.place.lineno
    ]
    divisor = bare(file, gap.divisor)
    names = {part.id for part in descend(gap.divisor) if isinstance(part, ast.Name)}
    handled = any(isinstance(up, ast.Try) for up in file.ancestors(gap.place))
    for test in tests:
        for part in descend(test):
            if isinstance(part, ast.expr) and (is_same(part, divisor) or _role(part) == "baseline"):
                compared = file.parents.get(part)
                if isinstance(compared, ast.Compare) and all(isinstance(op, ast.Is | ast.IsNot) for op in compared.ops):
                    continue
                # `if best_id:` says that there is a baseline, not that its value is not 0
                if is_same(part, divisor) or (isinstance(compared, ast.Compare) and _has_zero(compared)):
                    return True
    return handled or not names


def _has_zero(compared: ast.Compare) -> bool:
    return any(number(item) == 0 for item in (compared.left, *compared.comparators))
