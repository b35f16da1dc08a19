"""TRN010: a gradient scaler is used in a way that it refuses, or where it has nothing to do."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from assay.analysis.name_uses import is_dead
from assay.analysis.project import Project
from assay.analysis.python_source import keyword, string_value
from assay.analysis.run_scenarios import RunScenarios, Scenario, run_scenarios
from assay.analysis.tensor_values import Scope, TrainingCode, training_code
from assay.analysis.training_loops import (
    SCALERS,
    always_follows,
    is_scaler,
    library_calls,
    method_calls,
    receiver,
    runs_whenever_called,
)
from assay.finding import Consequence, Severity
from assay.rules.rule import Example, Outcome, Rule

_HALF = frozenset({"torch.float16", "torch.half"})
# What may give weights another precision, or leave them out of the step.
_SPARES = frozenset({"prepare_model_for_kbit_training", "get_peft_model", "add_adapter", "PeftModel"})
_CONVERTS = frozenset({"float", "bfloat16", "double", "type", "to"})
_MODEL_WORDS = ("model", "net", "param", "data", "module", "head", "layer")
_HEAD = "import torch\nfrom transformers import AutoModelForCausalLM\n\n\n"
_MODEL = "    model = AutoModelForCausalLM.from_pretrained('gpt2', torch_dtype={dtype}).cuda()\n"
_TRAIN = (
    "def train(batches):\n{model}    opt = torch.optim.AdamW(model.parameters())\n    scaler = torch.amp.GradScaler('cuda'{enabled})\n"
    "    for x in batches:\n        with torch.autocast('cuda', dtype={cast}):\n            loss = model(**x).loss\n"
    "{body}        scaler.update()\n        opt.zero_grad()\n\n\ntrain(1)\n"
)
_GOOD = "        scaler.scale(loss).backward()\n        scaler.unscale_(opt)\n        scaler.step(opt)\n"
_F32, _F16, _BF16 = "torch.float32", "torch.float16", "torch.bfloat16"


def _example(dtype: str, cast: str, body: str = _GOOD, enabled: str = "") -> dict[str, str]:
    text = _HEAD + _TRAIN.format(model=_MODEL.format(dtype=dtype), cast=cast, body=body, enabled=enabled)
    return {"src/train.py": text}


class ScalerMisuse(Rule):
    """`GradScaler` keeps small gradients of float16 computations from vanishing. It needs weights in float32: for weights in
    float16 it raises `Attempting to unscale FP16 gradients`. It needs `scale(loss)` before `step`, and `unscale_` before
    `step`. With bfloat16 it does nothing useful, since bfloat16 has the range of float32.

    Weights in float16 block where the model is certainly loaded so, trained as a whole, and the code needs a GPU (a scaler
    switches itself off without one). The rest is a warning.
    """

    code = "TRN010"
    name = "scaler-misuse"
    requirements = ("X2", "B6.2", "E1.3", "E4.3", "D2.2")
    consequence = Consequence.CRASHES
    message = "{what}"
    explanation = "{effect}"
    repair = "{cure}"

    VALID = (
        Example(_example(_F32, _F16)),
        Example(_example(_F16, _F16, enabled=", enabled=False")),
        Example(_example(_F16, _F16, body="        loss.backward()\n        opt.step()\n")),
        # adapters are kept in float32
        Example(
            {
                "src/train.py": "from peft import get_peft_model\n"
                + _example(_F16, _F16)["src/train.py"].replace(
                    "    opt =", "    model = get_peft_model(model, 1)\n    opt ="
                )
            }
        ),
        # two files of settings decide
        Example(_example(_F32, _BF16, enabled=", enabled=precision == 'fp16'")),
        # a frozen teacher in float16
        Example(
            {
                "src/train.py": _example(_F32, _F16)["src/train.py"].replace(
                    "    opt =",
                    "    teacher = AutoModelForCausalLM.from_pretrained('gpt2', torch_dtype=torch.float16)\n    opt =",
                )
            }
        ),
    )
    INVALID = (
        Example(_example(_F16, _F16), at=("src/train.py:6",), repaired=_example(_F32, _F16)),
        # tensors are made on the GPU, and moved there where there are any
        Example(
            {
                "src/train.py": _example(_F16, _F16)["src/train.py"]
                .replace(".cuda()\n", "\n    seen = torch.zeros(1, device='cuda')\n")
                .replace("model(**x)", "model(**{key: value.cuda() for key, value in x.items()})")
            },
            at=("src/train.py:6",),
            repaired=_example(_F32, _F16),
        ),
        Example(_example(_F32, _BF16), at=("src/train.py:8",)),
        Example(
            _example(_F32, _F16, body="        loss.backward()\n        scaler.step(opt)\n"), at=("src/train.py:13",)
        ),
        Example(
            _example(
                _F32,
                _F16,
                body="        scaler.scale(loss).backward()\n        scaler.step(opt)\n        scaler.unscale_(opt)\n",
            ),
            at=("src/train.py:14",),
        ),
    )

    def check(self, project: Project) -> Iterator[Outcome]:
        code = training_code(project)
        made = [(scope, call) for scope in code.scopes.values() for call in scope.calls if _is_scaler(scope, call)]
        if not made:
            return
        uses = code.uses
        made = [(scope, call) for scope, call in made if not is_dead(scope.file, call, uses)]
        yield from self._half_weights(project, code, made)
        names = code.attributes
        for scope, call in made:
            if (_casts_to(scope, code) == {"torch.bfloat16"} and _is_on(scope, call)) or _is_for_bfloat16(call):
                yield self.finding(
                    scope.file.path,
                    call,
                    severity=Severity.WARNING,
                    symbol=scope.file.symbol_of(call) or None,
                    what="a gradient scaler is used with bfloat16",
                    effect="bfloat16 has the range of float32: scaling changes nothing, and skipped steps may hide errors.",
                    cure="Leave the scaler out, or enable it for float16 only.",
                )
        for scope in code.scopes.values():
            for call in method_calls(scope, "step"):
                if not is_scaler(library_calls(code, scope, receiver(call))):
                    continue
                if "scale" not in names:
                    yield self.finding(
                        scope.file.path,
                        call,
                        severity=Severity.WARNING,
                        symbol=scope.file.symbol_of(call) or None,
                        what="the scaler steps and no loss is scaled",
                        effect="On a GPU the scaler's step fails: it never saw a scaled loss.",
                        cure="Call scaler.scale(loss).backward().",
                    )
                for other in method_calls(scope, "unscale_"):
                    same = [part.args and scope.file.qualified(part.args[0]) for part in (call, other)]
                    if always_follows(scope, call, other) and same[0] and same[0] == same[1]:
                        yield self.finding(
                            scope.file.path,
                            other,
                            severity=Severity.WARNING,
                            symbol=scope.file.symbol_of(other) or None,
                            what="unscale_ comes after step",
                            effect="On a GPU unscale_ raises after step; a clipping in between has no effect.",
                            cure="Call scaler.unscale_(optimizer), clip, and then scaler.step(optimizer).",
                        )

    def _half_weights(
        self, project: Project, code: TrainingCode, made: list[tuple[Scope, ast.Call]]
    ) -> Iterator[Outcome]:
        """A model that is loaded in float16 and stepped through a scaler."""
        names = code.attributes | {part for file in code.files for item in file.imports for part in [item.name or ""]}
        if names & _SPARES or ("unscale_" not in names and not _scaler_steps(code)) or _converts_weights(code):
            return
        loads = [
            (scope, call)
            for scope in code.scopes.values()
            for call in scope.calls
            if (name := scope.file.qualified(call.func)).startswith("transformers.AutoModel") and "from_" in name
        ]
        if len(loads) != 1:
            return
        values = run_scenarios(project)
        scope, load = loads[0]
        asked = keyword(load, "torch_dtype") or keyword(load, "dtype")
        for scenario in values.scenarios:
            half, sure = _is_half(code, values, scope, asked, scenario, 6)
            if not half:
                continue
            on = [_enabled(values, place, call, scenario) for place, call in made]
            if not any(is_on for is_on, _ in on):
                continue
            certain = sure and all(is_on and known for is_on, known in on) and _needs_gpu(code)
            certain = certain and all(runs_whenever_called(place, call) for place, call in [*made, (scope, load)])
            yield self.finding(
                scope.file.path,
                load,
                severity=None if certain else Severity.WARNING,
                symbol=scope.file.symbol_of(load) or None,
                run=scenario.run or None,
                what="the model is loaded in float16 and trained through a gradient scaler",
                effect="The scaler raises on a GPU: Attempting to unscale FP16 gradients.",
                cure="Load the weights in float32 and let autocast choose float16, or train in bfloat16 without a scaler.",
            )
            return


def _is_scaler(scope: Scope, call: ast.Call) -> bool:
    return scope.file.qualified(call.func) in SCALERS


def _scaler_steps(code: TrainingCode) -> bool:
    return any(
        is_scaler(library_calls(code, scope, receiver(call)))
        for scope in code.scopes.values()
        for call in method_calls(scope, "step")
    )


def _converts_weights(code: TrainingCode) -> bool:
    """Whether something may give a model, or its parameters one by one, another number format."""
    for scope in code.scopes.values():
        for call in scope.calls:
            if not isinstance(call.func, ast.Attribute) or call.func.attr not in _CONVERTS:
                continue
            holder = call.func.value
            last = (
                holder.attr if isinstance(holder, ast.Attribute) else holder.id if isinstance(holder, ast.Name) else "p"
            )
            if last != "p" and not any(word in last.lower() for word in _MODEL_WORDS):
                continue
            if call.func.attr != "to":
                return True
            given = [*call.args, *(part.value for part in call.keywords)]
            if any(scope.file.qualified(part) in ("torch.float32", "torch.float", "torch.bfloat16") for part in given):
                return True
    return False


def _casts_to(scope: Scope, code: TrainingCode) -> set[str]:
    """The number formats that a function's autocast blocks name; empty where one is not spelled out."""
    found: set[str] = set()
    for call in scope.calls:
        if scope.file.qualified(call.func).rpartition(".")[2] == "autocast":
            asked = keyword(call, "dtype")
            name = scope.file.qualified(asked) if asked is not None else ""
            if not name.startswith("torch."):
                return set()
            found.add(name)
    return found


def _is_on(scope: Scope, call: ast.Call) -> bool:
    """Whether a scaler is switched on for certain."""
    asked = keyword(call, "enabled")
    plain = asked is None and not any(part.arg is None for part in call.keywords)
    return plain or (isinstance(asked, ast.Constant) and asked.value is True)


def _is_for_bfloat16(call: ast.Call) -> bool:
    """Whether a scaler is switched on where a text says bfloat16: `enabled="bf16" in precision`."""
    asked = keyword(call, "enabled")
    tests = asked.values if isinstance(asked, ast.BoolOp) and isinstance(asked.op, ast.And) else [asked]
    for test in tests:
        if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.In | ast.Eq):
            sides = [test.left, *test.comparators]
            parts = [one for side in sides for one in getattr(side, "elts", [side])]
            if any(isinstance(part, ast.Constant) and part.value in ("bf16", "bfloat16") for part in parts):
                return True
    return False


def _enabled(values: RunScenarios, scope: Scope, call: ast.Call, scenario: Scenario) -> tuple[bool, bool]:
    """Whether a scaler is on in a run, and whether that is certain."""
    if any(part.arg is None for part in call.keywords):
        return False, False
    asked = keyword(call, "enabled")
    if asked is None:
        return True, True
    found = values.value(scope.file, asked, scenario)
    return found.known and bool(found.value), found.known and found.sure


def _is_half(
    code: TrainingCode, values: RunScenarios, scope: Scope, node: ast.expr | None, scenario: Scenario, steps: int
) -> tuple[bool, bool]:
    """Whether a number format is float16 in a run, and whether that is certain."""
    if node is None or steps <= 0:
        return False, False
    if scope.file.qualified(node) in _HALF:
        return True, True
    if isinstance(node, ast.Name):
        bound = scope.bindings.get(node.id, [])
        if len(bound) == 1 and bound[0].item is None and not bound[0].augmented:
            return _is_half(code, values, scope, bound[0].value, scenario, steps - 1)
        return False, False
    if isinstance(node, ast.IfExp):
        test = values.value(scope.file, node.test, scenario)
        if not test.known:
            return False, False
        half, sure = _is_half(code, values, scope, node.body if test.value else node.orelse, scenario, steps - 1)
        return half, sure and test.sure
    if isinstance(node, ast.Call) and scope.file.qualified(node.func) == "getattr" and len(node.args) == 2:
        if scope.file.qualified(node.args[0]) != "torch":
            return False, False
        named = values.value(scope.file, node.args[1], scenario)
        return named.known and named.value in ("float16", "half"), named.sure
    named = values.value(scope.file, node, scenario)
    return named.known and named.value == "float16", named.sure


def _needs_gpu(code: TrainingCode) -> bool:
    """Whether the code moves tensors to a GPU without asking whether there is one."""
    names = {node.attr for file in code.files for node in file.nodes_of(ast.Attribute)}
    moves = any(
        _is_for_gpu(call) and runs_whenever_called(scope, call)
        for scope in code.scopes.values()
        for call in scope.calls
    )
    return moves and "is_available" not in names


def _is_for_gpu(call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute) and call.func.attr == "cuda":
        return True
    return (string_value(keyword(call, "device")) or "").startswith("cuda")
