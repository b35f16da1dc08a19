"""INT012: errors of training or evaluation are swallowed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.expressions import number, words_of
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, descend
from assay.finding import Severity
from assay.rules.rule import Example, Outcome, Rule

_BROAD = frozenset({"Exception", "BaseException", "RuntimeError", "ValueError"})
_TRAINS = frozenset({"backward", "fit", "train_step", "training_step"})
_RUNS = frozenset({"train", "training", "fit", "evaluate", "evaluation", "run"})
# words in the names of functions that give a quantity which is reported
_MEASURES = frozenset(
    {"measure", "energy", "power", "joules", "memory", "latency", "accuracy", "loss", "score", "evaluate", "metric", "auc",
     "flops", "throughput", "carbon", "emissions", "rouge", "bleu", "perplexity"}
)  # fmt: skip
_SAYS = frozenset({"print", "warn", "warning", "info", "error", "exception", "debug", "log", "write", "echo"})


class SwallowedError(Rule):
    """A `try` around the training step or the evaluation that goes on after any error turns a failure into a result: steps
    that never happened count as done, and a run that broke ends as if it had succeeded.

    The rule warns where a handler for all errors, around a backward pass, an optimizer step or a call that trains or
    evaluates, does nothing but report, skip, or return a number; where evaluate passes over a run that it cannot read; and
    where a function that measures something gives a number after any error.
    """

    code = "INT012"
    name = "swallowed-error"
    requirements = ("X4", "X2", "E8.9", "D5.2")
    severity = Severity.WARNING
    message = "an error {where} is swallowed"
    explanation = "The run goes on, or ends well, although it did not do what it reports."
    repair = "Catch the error that is expected, and let all others stop the run."

    VALID = (
        Example({"src/train.py": "try:\n    loss.backward()\nexcept RuntimeError:\n    raise\n"}),
        Example(
            {"src/train.py": "try:\n    batch = next(batches)\nexcept StopIteration:\n    batches = iter(loader)\n"}
        ),
        Example({"src/train.py": "try:\n    wandb.log({'loss': 1})\nexcept Exception:\n    pass\n"}),
        Example(
            {
                "src/main.py": "import sys\n\ntry:\n    train(cfg)\nexcept Exception as error:\n    sys.exit(str(error))\n"
            }
        ),
        # out of memory is expected, and said by its own name
        Example(
            {
                "src/train.py": "import torch\n\ntry:\n    loss.backward()\nexcept torch.cuda.OutOfMemoryError:\n    continue_()\n"
            }
        ),
    )
    INVALID = (
        Example(
            {
                "src/train.py": "for batch in data:\n    try:\n        loss.backward()\n    except Exception:\n        continue\n"
            },
            at=("src/train.py:4",),
        ),
        Example(
            {"src/main.py": "try:\n    train(cfg)\nexcept Exception as error:\n    print(error)\n"},
            at=("src/main.py:3",),
        ),
        Example(
            {
                "src/evaluate.py": "for run_id in run_ids:\n    try:\n        run = api.run(run_id)\n"
                "    except Exception:\n        continue\n"
            },
            at=("src/evaluate.py:4",),
        ),
        Example(
            {
                "src/train.py": "def measure_energy(handle):\n    try:\n        return read(handle)\n"
                "    except Exception:\n        return 0.0\n"
            },
            at=("src/train.py:4",),
        ),
        Example(
            {
                "src/train.py": "def objective(trial):\n    try:\n        score = train_once(trial)\n"
                "    except Exception:\n        score = float('inf')\n    return score\n"
            },
            at=("src/train.py:4",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        evaluate = project.role("evaluate")
        for file in project.python.values():
            for node in file.nodes_of(ast.Try):
                if not isinstance(node, ast.Try):
                    continue
                reads = file is evaluate and _reads_run(node.body)
                where = "in reading a recorded run" if reads else _does(file, node.body)
                for handler in node.handlers:
                    symbol = file.symbol_of(handler) or None
                    if not _is_broad(file, handler) or not all(_is_silent(file, item) for item in handler.body):
                        continue
                    if where:
                        rows = ("X4", "E8.9") if reads else ("X4", "X2", "D5.2")
                        yield self.finding(file.path, handler, requirements=rows, symbol=symbol, where=where)
                    elif (number_given := _number_of_a_measurement(file, node, handler)) is not None:
                        yield self.finding(
                            file.path,
                            handler,
                            requirements=("X4",),
                            symbol=symbol,
                            message="where {function} fails, it gives {number} as its measurement",
                            explanation="A quantity that could not be measured is then reported as measured.",
                            repair="Give None and leave the quantity out, or let the error stop the run.",
                            function=(file.symbol_of(handler) or file.path).rpartition(".")[2],
                            number=f"{number_given:g}",
                        )


def _does(file: PythonFile, block: list[ast.stmt]) -> str:
    """What a block does that must not fail unseen."""
    for statement in block:
        for node in descend(statement):
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Attribute):
                last, owner = node.func.attr, words_of(_short(node.func.value))
                if last in _TRAINS or (
                    last == "step" and {"optimizer", "optimiser", "opt", "optim", "scaler"} & set(owner)
                ):
                    return "in the training step"
                if last in ("train", "evaluate") and owner != ["model"] and not node.args and "trainer" in owner:
                    return f"in {_short(node.func.value)}.{last}"
            elif isinstance(node.func, ast.Name):
                parts = words_of(node.func.id)
                if parts and parts[0] in _RUNS and {"train", "training", "fit", "evaluate", "evaluation"} & set(parts):
                    return f"in {node.func.id}"
    return ""


def _reads_run(block: list[ast.stmt]) -> bool:
    """Whether a block reads a run from the W&B API."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (
            node.func.attr == "scan_history" or (node.func.attr == "run" and "api" in words_of(_short(node.func.value)))
        )
        for statement in block
        for node in descend(statement)
    )


def _number_of_a_measurement(file: PythonFile, node: ast.Try, handler: ast.ExceptHandler) -> float | None:
    """The number that a function which measures something returns after any error."""
    last = handler.body[-1]
    function = file.function_of(node)
    if not isinstance(last, ast.Return) or last.value is None or function is None:
        return None
    given = next((n for item in _elements(last.value) if (n := number(item)) is not None), None)
    measured = any(isinstance(item, ast.Return) and not _is_number(item.value or last.value) for item in node.body)
    return given if measured and _MEASURES & set(words_of(function.name)) else None


def _elements(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def _short(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_broad(file: PythonFile, handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(file.qualified(kind) in _BROAD for kind in kinds)


def _is_silent(file: PythonFile, statement: ast.stmt) -> bool:
    """Whether a statement only reports, skips, or gives a number in place of a result."""
    if isinstance(statement, ast.Pass | ast.Continue | ast.Break):
        return True
    if isinstance(statement, ast.Return):
        return statement.value is None or all(_is_number(item) for item in _elements(statement.value))
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return statement.value is not None and _is_number(statement.value)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        called = statement.value.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        return name in _SAYS or name in ("print_exc", "zero_grad", "empty_cache")
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_number(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float" and node.args:
        return isinstance(node.args[0], ast.Constant)
    if isinstance(node, ast.UnaryOp):
        return _is_number(node.operand)
    return number(node) is not None or (isinstance(node, ast.Constant) and node.value is None)
