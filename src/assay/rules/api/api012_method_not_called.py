"""API012: a method is named and not called, or a parameter is turned into an array as it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.import_time import catches
from assay.analysis.library_references import LibraryReferences
from assay.analysis.name_origins import How, Origins
from assay.analysis.name_uses import is_dead, used_names
from assay.analysis.project import Project
from assay.analysis.python_source import PythonFile, keyword
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

# Methods of optimizers, schedulers, losses and models that people call for what they do.
_ACTIONS = frozenset({"backward", "step", "zero_grad"})
_SETTINGS = frozenset({"train", "eval", "cuda", "cpu", "half", "to", "finish", "savefig", "close", "tight_layout"})
_ERRORS = frozenset({"RuntimeError", "Exception", "BaseException"})


class MethodNotCalled(Rule):
    """A statement names a method and does not call it, or takes `.numpy()` of a parameter.

    `optimizer.step` without brackets does nothing at all, and Python says nothing about it. `.numpy()` of an
    `nn.Parameter` raises RuntimeError: a tensor that needs a gradient has to be detached first.

    A forgotten call of `backward`, `step` or `zero_grad` blocks, because that part of the training loop is not there.
    """

    code = "API012"
    name = "method-not-called"
    requirements = ("E1.1", "D4.1", "B1.1")
    consequence = Consequence.BREAKS_CONTRACT
    message = "{what}"
    explanation = "{effect}."
    repair = "{remedy}."

    VALID = (
        Example({"src/train.py": "loss.backward()\noptimizer.step()\nmodel.eval()\n"}),
        Example({"src/train.py": "step = optimizer.step\nstep()\n"}),
        Example(
            {"src/train.py": "import contextlib\n\nwith contextlib.suppress(AttributeError):\n    optimizer.step\n"}
        ),
        Example(
            {
                "src/model.py": "import torch\nfrom torch import nn\n\nw = nn.Parameter(torch.zeros(2))\nprint(w.detach().numpy(), w.data.numpy())\n"
            }
        ),
        Example(
            {
                "src/model.py": "import torch\nfrom torch import nn\n\nw = nn.Parameter(torch.zeros(2), requires_grad=False)\nprint(w.numpy())\n"
            }
        ),
    )
    INVALID = (
        Example(
            {"src/train.py": "loss.backward()\noptimizer.step\n"},
            at=("src/train.py:2",),
            repaired={"src/train.py": "loss.backward()\noptimizer.step()\n"},
        ),
        Example({"src/train.py": "def show(model):\n    model.eval\n    return model\n"}, at=("src/train.py:2",)),
        Example(
            {
                "src/main.py": "import torch\nfrom torch import nn\n\nw = nn.Parameter(torch.zeros(2))\nprint(w.numpy())\n"
            },
            at=("src/main.py:5",),
            repaired={
                "src/main.py": "import torch\nfrom torch import nn\n\nw = nn.Parameter(torch.zeros(2))\nprint(w.detach().numpy())\n"
            },
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        references = project.shared(LibraryReferences)
        uses = used_names(project.python.values())
        properties = {
            function.name
            for file in project.python.values()
            for function in file.functions
            if function.decorator_list or function.name == "__getattr__"
        }
        properties |= _ACTIONS if "__getattr__" in properties else set()
        for file in project.python.values():
            origins = references.origins(file)
            for node in file.nodes_of(ast.Expr):
                if isinstance(node.value, ast.Attribute):
                    name = node.value.attr
                    if name in _ACTIONS | _SETTINGS and not _is_probe(file, node):
                        blocks = name in _ACTIONS and name not in properties and not is_dead(file, node, uses)
                        yield self.finding(
                            file.path,
                            node,
                            severity=Severity.BLOCKING if blocks else Severity.WARNING,
                            symbol=name,
                            what=f"`.{name}` is named and not called",
                            effect="The statement does nothing",
                            remedy=f"Write `.{name}()`",
                        )
            for call, _ in file.calls:
                if not isinstance(call.func, ast.Attribute) or call.func.attr != "numpy" or call.args or call.keywords:
                    continue
                if not _is_parameter(file, origins, references, call.func.value) or catches(file, call, _ERRORS):
                    continue
                severity, consequence = references.weight(file, call)
                yield self.finding(
                    file.path,
                    call,
                    severity=severity,
                    consequence=consequence,
                    symbol="numpy",
                    what="`.numpy()` of a parameter that needs a gradient",
                    effect="This raises RuntimeError as soon as the line runs",
                    remedy="Write `.detach().numpy()`",
                )


def _is_probe(file: PythonFile, node: ast.Expr) -> bool:
    """Whether a `try`, or a block such as `suppress(AttributeError)`, asks in this way if the method is there."""
    for up in file.ancestors(node):
        if isinstance(up, ast.Try):
            return True
        for item in up.items if isinstance(up, ast.With | ast.AsyncWith) else ():
            call = item.context_expr
            last = file.qualified(call.func if isinstance(call, ast.Call) else call).rpartition(".")[2]
            if last in ("suppress", "raises", "assertRaises"):
                return True
    return False


def _is_parameter(file: PythonFile, origins: Origins, references: LibraryReferences, node: ast.expr) -> bool:
    """Whether a name is assigned once, to a new parameter that needs a gradient."""
    if not isinstance(node, ast.Name):
        return False
    found = origins.of(node)
    if len(found) != 1 or found[0].how is not How.VALUE or not isinstance(found[0].expression, ast.Call):
        return False
    made = found[0].expression
    needs = keyword(made, "requires_grad")
    if needs is None and len(made.args) > 1:
        needs = made.args[1]
    plain = needs is None or (isinstance(needs, ast.Constant) and needs.value is True)
    named = references.path_of(file, made.func) in ("torch.nn.Parameter", "torch.nn.parameter.Parameter")
    frozen = any(
        isinstance(other, ast.Attribute)
        and isinstance(other.ctx, ast.Store)
        and other.attr in ("requires_grad", "data")
        for other in file.nodes
    ) or any(name.endswith("requires_grad_") for _, name in file.calls)
    return plain and named and not frozen
