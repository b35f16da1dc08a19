"""INT011: the best value is chosen in the wrong direction."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.expressions import is_same, last_part, number, words_of
from assay.analysis.metric_names import direction_of
from assay.analysis.project import Project
from assay.analysis.python_source import descend
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule
from assay.submission.brief import Brief


class BestDirection(Rule):
    """Of accuracies the highest is the best, of losses the lowest. A program that keeps the highest loss keeps its worst
    model and reports it as its best.

    The rule reads `if loss > best_loss: best_loss = loss` and `best = max(best, loss)`, where the names speak of a metric
    whose direction is known. It blocks where the name is that of the brief's primary metric and the brief's direction
    says so too; otherwise it warns, because a name may be used in another sense.
    """

    code = "INT011"
    name = "best-direction"
    requirements = ("E6.2", "E8.5", "D3.3")
    severity = Severity.WARNING
    message = "the best {name} is taken to be the {kept} one, although {better} is better"
    explanation = "What is kept and reported as the best is the worst."
    repair = "Turn the comparison around."

    VALID = (
        Example({"src/train.py": "if val_loss < best_val_loss:\n    best_val_loss = val_loss\n"}),
        Example({"src/train.py": "best_accuracy = max(best_accuracy, accuracy)\nworst_loss = max(worst_loss, loss)\n"}),
        Example({"src/train.py": "if -val_loss > best_score:\n    best_score = -val_loss\n"}),
        Example({"src/train.py": "if val_loss > best_loss:\n    patience += 1\n"}),
        # early stopping counts the epochs without improvement
        Example(
            {"src/train.py": "if val_loss > best_loss - 1e-4:\n    waited += 1\nelse:\n    best_loss = val_loss\n"}
        ),
    )
    INVALID = (
        Example({"src/train.py": "if val_loss > best_loss:\n    best_loss = val_loss\n"}, at=("src/train.py:1",)),
        Example({"src/train.py": "best_acc = min(best_acc, acc)\n"}, at=("src/train.py:1",)),
        Example(
            {"src/train.py": "best_perplexity = max(best_perplexity, perplexity)\n"},
            brief=Brief(primary_metric="perplexity", direction="minimize"),
            at=("src/train.py:1",),
            repaired={"src/train.py": "best_perplexity = min(best_perplexity, perplexity)\n"},
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        brief = project.brief
        primary = "_".join(words_of(brief.primary_metric or ""))
        said = {"maximize": "higher", "minimize": "lower"}.get((brief.direction or "").lower())
        for file in project.python.values():
            for node in file.nodes:
                found = _kept(node)
                if found is None:
                    continue
                name, kept = found
                better = direction_of(name)
                if better is None or better == kept:
                    continue
                sure = said == better and primary != "" and primary in "_".join(words_of(name))
                yield self.finding(
                    file.path,
                    node,
                    severity=Severity.BLOCKING if sure else None,
                    symbol=file.symbol_of(node) or None,
                    name=name.removeprefix("best_"),
                    kept="highest" if kept == "higher" else "lowest",
                    better=better,
                )


def _kept(node: ast.AST) -> tuple[str, str] | None:
    """The name of a score of which the best is kept, and whether that is the `higher` or the `lower` one."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
        left, operator, right = node.test.left, node.test.ops[0], node.test.comparators[0]
        if not isinstance(operator, ast.Gt | ast.GtE | ast.Lt | ast.LtE):
            return None
        up = isinstance(operator, ast.Gt | ast.GtE)
        if "best" in words_of(last_part(left)):
            left, right, up = right, left, not up
        if "best" not in words_of(last_part(right)) or not last_part(left):
            return None
        takes = any(
            isinstance(part, ast.Assign)
            and any(is_same(target, right) for target in part.targets)
            and is_same(part.value, left)
            for statement in node.body
            for part in descend(statement)
        )
        return (last_part(left), "higher" if up else "lower") if takes and _agree(left, right) else None
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.value, ast.Call):
        call = node.value
        if not isinstance(call.func, ast.Name) or call.func.id not in ("max", "min") or len(call.args) != 2:
            return None
        target = node.targets[0]
        others = [item for item in call.args if not is_same(item, target)]
        if "best" not in words_of(last_part(target)) or len(others) != 1 or number(others[0]) is not None:
            return None
        name = last_part(others[0])
        return (name, "higher" if call.func.id == "max" else "lower") if name and _agree(others[0], target) else None
    return None


def _agree(score: ast.AST, best: ast.AST) -> bool:
    """Whether the two names do not speak of metrics with different directions."""
    held = direction_of(last_part(best))
    return held is None or held == direction_of(last_part(score))
